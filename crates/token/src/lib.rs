//! What a Doorward token is (RFC 7519, signed with Ed25519 by RFC 8037) and when it may be believed (RFC 8725). Pure: keys,
//! the time and the expected issuer are given; revocation is for the caller to ask about.

mod cache;
mod claims;
mod keys;
mod sign;
mod verify;

pub use cache::{CachingVerifier, fingerprint};
pub use claims::{Claims, TokenKind};
pub use keys::{KeySet, PublicKey};
pub use sign::Signer;
pub use verify::{MAX_TOKEN_BYTES, Refused, Verifier};

/// The `aud` of every token.
pub const AUDIENCE: &str = "doorward";
