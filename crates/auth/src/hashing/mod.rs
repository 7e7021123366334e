//! Password hashes, and the threads that compute them.

mod foreign;
mod pace;
mod pool;
mod stored;

pub(crate) use pace::Pace;
pub use pool::Hasher;
pub(crate) use pool::Memory;
pub use stored::StoredHash;
pub(crate) use stored::hash;
