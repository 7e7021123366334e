//! Password hashes, the threads that compute them, and the padding of their times.

pub(crate) mod foreign;
pub(crate) mod pool;
pub(crate) mod stored_hash;
pub(crate) mod timing_padding;

pub use crate::passwords::hashing::pool::Hasher;
pub(crate) use crate::passwords::hashing::stored_hash::hash_password;
pub use crate::passwords::hashing::stored_hash::{StoredHash, is_within_cost_limit};
pub(crate) use crate::passwords::hashing::timing_padding::TimingPadding;
