//! Password hashes, and the threads that compute them.

mod foreign;
mod pace;
mod pool;
mod stored;

pub(crate) use pace::TimingPadding;
pub use pool::Hasher;
pub(crate) use pool::Memory;
pub(crate) use stored::hash_password;
pub use stored::{StoredHash, is_within_cost_limit};
