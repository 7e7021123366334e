//! What every part of Doorward means by the same word: ids, names, roles, states, error codes, the clock.
//! A leaf: no async, no I/O, nothing of HTTP, gRPC or SQL.

pub mod clock;
pub mod email;
pub mod error;
pub mod gid;
pub mod languages;
pub mod name;
pub mod status;
pub mod timezone;
pub mod username;
pub mod version;

pub use clock::{Clock, SystemClock, Timestamp};
pub use email::Email;
pub use error::{ErrorCode, Info};
pub use gid::{Gid, IdGenerator, RandomIdGenerator};
pub use name::DisplayName;
pub use status::{MembershipStatus, ProjectStatus, Role, UserStatus};
pub use timezone::Timezone;
pub use username::Username;
pub use version::ApiVersion;

/// A value that doesn't fit its type; the text names the rule that it broke and never repeats the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);
