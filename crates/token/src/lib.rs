//! Tokens of Doorward: JWTs (RFC 7519) that are signed with Ed25519 (RFC 8037), and their
//! verification (RFC 8725). Keys, the time and the expected issuer are parameters. This crate knows
//! no database and no revocations: the caller must check after the verification whether the token
//! is revoked.

mod cache;
mod claims;
mod keys;
mod sign;
mod verify;

pub use cache::{CachingVerifier, fingerprint};
pub use claims::{AUDIENCE, Claims, TokenKind};
pub use keys::{KeySet, PublicKey};
pub use sign::Signer;
pub use verify::{MAX_TOKEN_BYTES, Verifier, VerifyError};
