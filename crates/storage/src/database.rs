//! Access to a database for services: short blocking work, in one transaction each, outside the
//! async threads. It knows no table.
//!
//! # Example
//!
//! `database.write(rename_user)` on PostgreSQL:
//!
//! 1. It waits at most 2 s for one of `pool_size` permits, and takes a connection from the pool on
//!    a thread for blocking work. The connection counts as broken from now on.
//! 2. `BEGIN` fails because the server was restarted, so the connection is dropped and the next one
//!    is tried. `rename_user` has not run yet, so this is safe.
//! 3. `rename_user` runs. If it returns an error, the transaction is rolled back. If it panics, the
//!    connection still counts as broken and is closed, which also rolls back.
//! 4. `COMMIT`. If the connection is lost here, the caller gets an error although the transaction
//!    may be committed, and there is no retry: work must be safe to repeat by the caller.
//! 5. The connection counts as intact again and returns to the pool.
//!
//! With [`Database::query`] there is no transaction, so a lost connection is detected by the work
//! itself, which then runs again on another connection. With [`Database::read_snapshot`], all
//! queries of the work see the database at the moment of the first one.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use diesel::connection::SimpleConnection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    connection::AnyConnection,
    error::{Error, start_work, take_write_failure},
    pool::{self, Pool, Pooled},
    transaction::{Kind, OpenTransaction},
    url::DatabaseUrl,
    write_check::WriteCheck,
};

/// Maximum time to wait for a connection before work fails as unavailable.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);

/// Settings of a database.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    /// Name of the database in metrics.
    pub name: &'static str,
    pub url: DatabaseUrl,
    /// Maximum number of connections.
    pub pool_size: u32,
}

/// A database with its pool of connections.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    options: DatabaseOptions,
    pool: Pool,
    /// One permit per connection. Waiting for a permit is first in, first out and does not block a
    /// thread; waiting in the pool is neither.
    permits: Arc<Semaphore>,
    /// Generation of the pool. Connections of an earlier generation are dropped.
    generation: Arc<AtomicU64>,
    write_check: WriteCheck,
}

impl Database {
    /// Returns a database. It connects when it is first used.
    #[must_use]
    pub fn new(options: DatabaseOptions) -> Self {
        let size = options.pool_size.max(1);
        let generation = Arc::default();
        let pool = pool::open(
            &options.url,
            size,
            CONNECTION_TIMEOUT,
            Arc::clone(&generation),
        );
        let permits = Arc::new(Semaphore::new(usize::try_from(size).unwrap_or(1)));
        let write_check = WriteCheck::default();
        Self {
            inner: Arc::new(Inner {
                options,
                pool,
                permits,
                generation,
                write_check,
            }),
        }
    }

    /// Returns the name of the database in metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.inner.options.name
    }

    #[must_use]
    pub fn url(&self) -> &DatabaseUrl {
        &self.inner.options.url
    }

    /// Runs `work` in a transaction with one snapshot. `work` must not write.
    ///
    /// # Errors
    /// Errors of `work`; [`Error::Unavailable`] if no connection becomes free in time.
    pub async fn read_snapshot<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.run(Kind::Snapshot, work).await
    }

    /// Runs `work` in a transaction. Commits if `work` succeeds and rolls back if it fails.
    ///
    /// # Errors
    /// Errors of `work`; [`Error::Unavailable`] if no connection becomes free in time. After an
    /// error of the commit, it is unknown whether the transaction was committed.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.run(Kind::Write, work).await
    }

    /// Runs `work` like [`write`](Self::write), but without waiting for the disk. The writes
    /// survive the end of this process. If the machine or PostgreSQL crashes, all writes after the
    /// last one that waited for the disk can be lost.
    ///
    /// # Errors
    /// See [`write`](Self::write).
    pub async fn write_without_fsync<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.run(Kind::WriteWithoutFsync, work).await
    }

    /// Runs queries that need no common snapshot, such as a single one, without a transaction. This
    /// saves the round trips to begin and end one. `work` must not write, and runs again if the
    /// connection was lost.
    ///
    /// # Errors
    /// Errors of `work`; [`Error::Unavailable`] if no connection becomes free in time.
    pub async fn query<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: Fn(&mut AnyConnection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.run_blocking(move |inner| inner.query(work)).await
    }

    /// Checks that the database answers.
    ///
    /// # Errors
    /// Database errors.
    pub async fn ping(&self) -> Result<(), Error> {
        self.query(|connection| Ok(ping(connection)?)).await
    }

    /// Checks that the database answers and accepts writes. Repeats the write at most every five
    /// seconds, or every second after a failure; in between, the last result is returned.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::DiskFull`] and other database errors.
    pub async fn check_writable(&self) -> Result<(), Error> {
        self.run_blocking(Inner::check_writable).await
    }

    /// Sets the gauges of the pool to their current values.
    pub fn record_metrics(&self) {
        let DatabaseOptions { name, .. } = self.inner.options;
        let state = self.inner.pool.state();
        let size = self.inner.pool.max_size();
        let used = f64::from(size)
            - f64::from(u32::try_from(self.inner.permits.available_permits()).unwrap_or(size));
        metrics::gauge!("doorward_database_pool_size", "database" => name).set(f64::from(size));
        metrics::gauge!("doorward_database_pool_connections", "database" => name)
            .set(f64::from(state.connections));
        metrics::gauge!("doorward_database_pool_in_use", "database" => name).set(used);
    }

    async fn run<T, E, F>(&self, kind: Kind, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.run_blocking(move |inner| inner.run_transaction(kind, work))
            .await
    }

    async fn run_blocking<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Inner) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let permit = self.acquire_permit().await?;
        let inner = self.inner.clone();
        let span = tracing::Span::current();
        let task = erase_types(move || {
            let _entered = span.entered();
            let _permit = permit;
            work(&inner)
        });
        match tokio::task::spawn_blocking(task).await {
            Ok(result) => result.downcast().map_or_else(
                |_| Err(Error::Other("database work returned another type".to_owned()).into()),
                |result| *result,
            ),
            Err(error) => Err(Error::Other(format!(
                "database work panicked or was cancelled: {error}"
            ))
            .into()),
        }
    }

    async fn acquire_permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        let name = self.inner.options.name;
        let permit = tokio::time::timeout(
            CONNECTION_TIMEOUT,
            self.inner.permits.clone().acquire_owned(),
        )
        .await;
        if permit.is_err() {
            metrics::counter!("doorward_database_pool_timeouts_total", "database" => name)
                .increment(1);
        }
        permit
            .map_err(|_| Error::Unavailable("no connection became free in time".to_owned()))?
            .map_err(|_| Error::Unavailable("closed".to_owned()))
    }
}

/// Work for a blocking thread, and its result, without their types. Otherwise the compiler would
/// generate code for each kind of work only to start it on a thread, in auth 12 % of all code.
type BlockingTask = Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>;

fn erase_types<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> BlockingTask {
    Box::new(|| Box::new(work()))
}

impl Inner {
    /// Runs work in a transaction.
    fn run_transaction<T, E: From<Error>>(
        &self,
        kind: Kind,
        work: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut ended = self.begin(kind)?.finish(work);
        self.record_write_failure(&mut ended.pooled);
        ended.result
    }

    /// Takes a connection and begins a transaction. Connections that were lost while idle are
    /// dropped. There are at most as many as the pool has connections, which bounds the loop.
    fn begin(&self, kind: Kind) -> Result<OpenTransaction, Error> {
        let mut tries_left = self.options.pool_size;
        loop {
            match OpenTransaction::begin(self.connection()?, kind) {
                Err(Error::Disconnected(_)) if tries_left > 0 => tries_left -= 1,
                begun => return begun,
            }
        }
    }

    /// Runs work without a transaction, again after each connection that was lost while idle.
    fn query<T>(&self, work: impl Fn(&mut AnyConnection) -> Result<T, Error>) -> Result<T, Error> {
        let mut tries_left = self.options.pool_size;
        loop {
            let mut pooled = self.connection()?;
            match work(&mut pooled.connection) {
                Err(Error::Disconnected(_)) if tries_left > 0 => tries_left -= 1,
                result => {
                    // Other errors leave the connection intact. It is not dropped without need,
                    // because on a full disk SQLite may be unable to open another one.
                    pooled.is_broken =
                        matches!(result, Err(Error::Disconnected(_) | Error::Unavailable(_)));
                    self.record_write_failure(&mut pooled);
                    return result;
                }
            }
        }
    }

    fn check_writable(&self) -> Result<(), Error> {
        self.query(|connection| {
            ping(connection)?;
            self.write_check.run(connection, &self.options.url)
        })
    }

    /// Takes a connection from the pool and marks it as broken. The caller must reset the mark when
    /// its work has ended and left no transaction open.
    fn connection(&self) -> Result<r2d2::PooledConnection<pool::Manager>, Error> {
        let mut outdated_left = self.options.pool_size;
        loop {
            let mut pooled = self
                .pool
                .get()
                .map_err(|error| Error::Unavailable(error.to_string()))?;
            pooled.is_broken = true;
            if outdated_left == 0 || pooled.generation == self.generation.load(Ordering::Acquire) {
                start_work(pooled.connection.backend());
                return Ok(pooled);
            }
            outdated_left -= 1;
        }
    }

    /// Records that work on this thread could not write, if that is so, for the readiness check. If
    /// the database is read-only, all connections of the pool may lead to a server that has become
    /// a standby, so none of them is used again.
    fn record_write_failure(&self, pooled: &mut Pooled) {
        let Some(failure) = take_write_failure() else {
            return;
        };
        if matches!(failure, Error::ReadOnly(_)) {
            pooled.is_broken = true;
            let next = pooled.generation.saturating_add(1);
            self.generation.fetch_max(next, Ordering::AcqRel);
        }
        self.write_check.record_failure(failure);
    }
}

/// Runs a query that makes the database answer. SQLite must read the file for it.
fn ping(connection: &mut AnyConnection) -> diesel::QueryResult<()> {
    match connection {
        AnyConnection::Postgres(connection) => connection.batch_execute("SELECT 1"),
        AnyConnection::Sqlite(connection) => {
            connection.batch_execute("SELECT 1 FROM sqlite_master")
        }
    }
}
