//! The pool of connections: how connections are opened, checked and dropped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use diesel::r2d2::R2D2Connection;
use scheduled_thread_pool::ScheduledThreadPool;

use crate::{connection::AnyConnection, error::Error, url::DatabaseUrl};

/// A connection in the pool. It counts as broken while work runs on it, so that after a panic or a
/// lost server no connection with an open transaction returns to the pool.
pub(crate) struct Pooled {
    pub(crate) connection: AnyConnection,
    pub(crate) is_broken: bool,
    /// Generation of the pool when the connection was opened.
    pub(crate) generation: u64,
}

/// Opens and checks connections.
pub(crate) struct Manager {
    url: DatabaseUrl,
    generation: Arc<AtomicU64>,
}

pub(crate) type Pool = r2d2::Pool<Manager>;

impl r2d2::ManageConnection for Manager {
    type Connection = Pooled;
    type Error = Error;

    fn connect(&self) -> Result<Pooled, Error> {
        // Read before the connection is opened: if the server becomes a standby in between, the
        // connection must count as one of the earlier generation.
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

/// Returns a pool without connections. One thread of the pool opens and closes them.
pub(crate) fn open(
    url: &DatabaseUrl,
    size: u32,
    wait: Duration,
    generation: Arc<AtomicU64>,
) -> Pool {
    r2d2::Pool::builder()
        .max_size(size)
        .min_idle(Some(0))
        // A ping before each use would cost a round trip. A stale connection fails at BEGIN
        // instead.
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

/// Logs errors of background connections.
#[derive(Debug)]
struct LogErrors;

impl r2d2::HandleError<Error> for LogErrors {
    fn handle_error(&self, error: Error) {
        tracing::warn!(%error, "failed to connect to the database; retrying");
    }
}
