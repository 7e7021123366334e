//! Init answers that were written before. The directory is asked each time whether one is still true, so nothing stale is
//! ever sent; what is saved is reading, sending and writing it all again.

use actix_web::web::Bytes;
use doorward_domain::Gid;
use moka::sync::Cache;

const MAX_BYTES: u64 = 32 * 1024 * 1024;

pub(crate) struct Inits {
    by_user: Cache<Gid, Init>,
}

#[derive(Clone)]
pub(crate) struct Init {
    /// The position in the change feed at which it was true.
    pub(crate) cursor: i64,
    pub(crate) body: Bytes,
}

impl Inits {
    pub(crate) fn new() -> Self {
        let weigh = |_: &Gid, init: &Init| u32::try_from(init.body.len()).unwrap_or(u32::MAX);
        Self { by_user: Cache::builder().max_capacity(MAX_BYTES).weigher(weigh).build() }
    }

    pub(crate) fn find(&self, user: Gid) -> Option<Init> {
        self.by_user.get(&user)
    }

    pub(crate) fn keep(&self, user: Gid, init: Init) {
        self.by_user.insert(user, init);
    }
}
