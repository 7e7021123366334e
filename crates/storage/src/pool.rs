//! The pool of connections.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use diesel::r2d2::R2D2Connection;
use scheduled_thread_pool::ScheduledThreadPool;

use crate::{AnyConnection, DatabaseUrl, Error};

/// A connection in the pool. It counts as broken while something runs on it, so that a panic or a lost server never
/// leaves one behind in the middle of a transaction.
pub(crate) struct Pooled {
    pub(crate) connection: AnyConnection,
    pub(crate) is_broken: bool,
    /// The generation of the pool in which the connection was begun.
    pub(crate) generation: u64,
}

pub(crate) struct Manager {
    url: DatabaseUrl,
    generation: Arc<AtomicU64>,
}

pub(crate) type Pool = r2d2::Pool<Manager>;

impl r2d2::ManageConnection for Manager {
    type Connection = Pooled;
    type Error = Error;

    fn connect(&self) -> Result<Pooled, Error> {
        // Before the connection is made: the server may change its role meanwhile.
        let generation = self.generation.load(Ordering::Acquire);
        Ok(Pooled {
            connection: AnyConnection::open(&self.url)?,
            is_broken: false,
            generation,
        })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), Error> {
        Ok(pooled.connection.ping()?)
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        pooled.is_broken
    }
}

/// Opens no connection yet. One thread of its own opens and closes them.
pub(crate) fn open(
    url: &DatabaseUrl,
    size: u32,
    wait: Duration,
    generation: Arc<AtomicU64>,
) -> Pool {
    r2d2::Pool::builder()
        .max_size(size)
        .min_idle(Some(0))
        // A ping before each use would cost a round trip; a stale connection shows itself at BEGIN instead.
        .test_on_check_out(false)
        .connection_timeout(wait)
        .thread_pool(Arc::new(
            ScheduledThreadPool::builder()
                .num_threads(1)
                .thread_name_pattern("database-pool-{}")
                .build(),
        ))
        .error_handler(Box::new(LogErrors))
        .build_unchecked(Manager {
            url: url.clone(),
            generation,
        })
}

#[derive(Debug)]
struct LogErrors;

impl r2d2::HandleError<Error> for LogErrors {
    fn handle_error(&self, error: Error) {
        tracing::warn!(%error, "can't connect to the database");
    }
}
