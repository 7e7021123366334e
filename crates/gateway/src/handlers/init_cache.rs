//! Cache of serialized init responses. The directory is asked each time whether a response is still
//! current, so no stale response is ever sent. The cache saves reading, sending and serializing the
//! data again.
//!
//! Example: the head of the change feed is at cursor 14.
//!
//! 1. Ann calls init. The cache has no entry, so `GetInit` has no `known_cursor`. The directory
//!    sends all data and cursor 14; the body is stored with 14.
//! 2. Ann calls init again. `GetInit` has `known_cursor` 14, and the head is still 14. The
//!    directory answers `is_unchanged` and 14, without data: the stored body is sent.
//! 3. Ben changes his name: the head becomes 15. Ann's next `GetInit` with 14 returns all data and
//!    cursor 15, which replaces the entry. This happens even if Ann cannot see Ben: any change in
//!    the installation makes the next init of each user a full one.

use actix_web::web::Bytes;
use doorward_domain::Gid;
use moka::sync::Cache;

/// Maximum size of all stored bodies.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// Last init response of each user, and of each user in each project.
pub(crate) struct InitCache {
    by_caller: Cache<Key, CachedInit>,
}

/// User, and project if it is the init of a project.
type Key = (Gid, Option<Gid>);

/// Stored response.
#[derive(Clone)]
pub(crate) struct CachedInit {
    /// Position in the change feed at which the response was current.
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
