//! Named tokens of gRPC clients other than the three services: their secret, their table, and the
//! check of every gRPC call. auth and the directory have this table in their own database each;
//! this crate knows no other table of theirs.

mod authenticator;
mod certificate;
mod denials;
mod layer;
mod model;
mod registry;
mod secret;
mod store;
mod until_revoked;

pub use authenticator::ClientAuthenticator;
pub use layer::{AuthenticatedService, check_project};
pub use model::{ClientName, MAX_PROJECTS, NamedToken};
pub use secret::Secret;
pub use store::{InsertOutcome, delete, insert, list, withdraw};
