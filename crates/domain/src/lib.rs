//! Types that all parts of Doorward share: ids, names, addresses, roles, statuses, error codes, the
//! clock. This crate depends on no other crate of the workspace, has no async code and no I/O, and
//! knows nothing of HTTP, gRPC or SQL.

pub mod clock;
pub mod email;
pub mod error;
pub mod gid;
pub mod languages;
mod malformed;
pub mod name;
pub mod status;
pub mod timezone;
pub mod username;
pub mod version;

pub use clock::{Clock, SystemClock, Timestamp};
pub use email::Email;
pub use error::{ErrorCode, Info};
pub use gid::{Gid, IdGenerator, RandomIdGenerator};
pub use malformed::Malformed;
pub use name::DisplayName;
pub use status::{MembershipStatus, ProjectStatus, Role, UserStatus};
pub use timezone::Timezone;
pub use username::Username;
pub use version::ApiVersion;
