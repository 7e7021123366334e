//! Types that the stores and the rules share.

mod api_key;
mod audit;
mod code;
mod failure_count;
pub(crate) mod feedback;
mod revocation;
mod signing_key;

pub use api_key::ApiKey;
pub(crate) use api_key::RowLock;
pub(crate) use audit::Entry;
pub use audit::{Action, Actor, Filter, Origin, Record, RecordPosition};
pub(crate) use code::{Code, PendingSignup, Purpose, ValidRequest};
pub(crate) use failure_count::FailureCount;
pub(crate) use revocation::{Revocation, RevocationTarget};
pub use signing_key::{KeyState, SigningKey};
