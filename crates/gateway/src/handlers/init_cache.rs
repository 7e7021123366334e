//! Init answers that were written before. The directory is asked each time whether one is still true, so nothing stale is
//! ever sent; what is saved is reading, sending and writing it all again.

use actix_web::web::Bytes;
use doorward_domain::Gid;
use moka::sync::Cache;

const MAX_BYTES: u64 = 32 * 1024 * 1024;

pub(crate) struct InitCache {
    by_caller: Cache<Key, CachedInit>,
}

/// The user, and the project of a project's init.
type Key = (Gid, Option<Gid>);

#[derive(Clone)]
pub(crate) struct CachedInit {
    /// The position in the change feed at which it was true.
    pub(crate) cursor: i64,
    pub(crate) body: Bytes,
}

impl InitCache {
    pub(crate) fn new() -> Self {
        let weigh = |_: &Key, init: &CachedInit| u32::try_from(init.body.len()).unwrap_or(u32::MAX);
        Self {
            by_caller: Cache::builder()
                .max_capacity(MAX_BYTES)
                .weigher(weigh)
                .build(),
        }
    }

    pub(crate) fn find(&self, user: Gid, project: Option<Gid>) -> Option<CachedInit> {
        self.by_caller.get(&(user, project))
    }

    pub(crate) fn insert(&self, user: Gid, project: Option<Gid>, init: CachedInit) {
        self.by_caller.insert((user, project), init);
    }
}
