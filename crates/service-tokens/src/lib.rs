//! Named tokens of clients that are not one of the three services: their secret, their table, which auth and the directory
//! each have in their own database, and the check of every gRPC call against them. Knows no other table of a service.

mod authenticator;
mod certificate;
mod denials;
mod layer;
mod model;
mod registry;
mod secret;
mod store;
mod until_revoked;

pub use crate::authenticator::ClientAuthenticator;
pub use crate::layer::{AuthenticatedService, check_project};
pub use model::{ClientName, MAX_PROJECTS, NamedToken};
pub use secret::Secret;
pub use store::{InsertOutcome, delete, insert, list, withdraw};
