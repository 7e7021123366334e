//! A database as the services use it: short pieces of blocking work, each in one transaction, off the async threads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    AnyConnection, DatabaseUrl, Error,
    error::{Backend, start_work, take_write_failure},
    pool::{self, Pool, Pooled},
    write_check::WriteCheck,
};

/// How long a piece of work waits for a connection, before it fails as unavailable.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone)]
pub struct Options {
    /// Whose it is, in metrics.
    pub name: &'static str,
    pub url: DatabaseUrl,
    pub pool_size: u32,
}

#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    pool: Pool,
    /// Fair queueing before the pool, which has none.
    permits: Arc<Semaphore>,
    /// Connections of an earlier generation are not used any more.
    generation: Arc<AtomicU64>,
    write_check: WriteCheck,
}

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// All that is read is of one moment.
    Snapshot,
    Write,
    /// As `Write`, but the end doesn't wait for the disk.
    WriteWithoutFsync,
}

impl Database {
    /// Doesn't connect yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
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

    /// Whose it is, in metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.inner.options.name
    }

    #[must_use]
    pub fn url(&self) -> &DatabaseUrl {
        &self.inner.options.url
    }

    /// Runs `work` on one snapshot. It must not write.
    ///
    /// # Errors
    /// Those of `work`; [`Error::Unavailable`] when there is no connection in time.
    pub async fn read_snapshot<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.run(Kind::Snapshot, work).await
    }

    /// Runs `work` in a transaction that is committed when it succeeds, and undone when it fails.
    ///
    /// # Errors
    /// Those of `work`; [`Error::Unavailable`] when there is no connection in time.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.run(Kind::Write, work).await
    }

    /// As [`write`](Self::write), without waiting for the disk: what was written survives the end of this process. When the
    /// machine (or PostgreSQL) ends, what came after the last write that did wait may be lost.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn write_without_fsync<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.run(Kind::WriteWithoutFsync, work).await
    }

    /// Runs queries that need no snapshot in common, such as a single one, without a transaction: a round trip each, and none
    /// to begin and to end. `work` must not write, and is run again when the connection turns out to be dead.
    ///
    /// # Errors
    /// Those of `work`; [`Error::Unavailable`] when there is no connection in time.
    pub async fn query<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: Fn(&mut AnyConnection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.run_blocking(move |inner| inner.peek(work)).await
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it doesn't.
    pub async fn ping(&self) -> Result<(), Error> {
        self.query(|connection| Ok(ping(connection)?)).await
    }

    /// Checks that the database answers and accepts writes. Writes at most once a second, and once in five seconds while all
    /// is well.
    ///
    /// # Errors
    /// When it doesn't: [`Error::ReadOnly`] and [`Error::DiskFull`] among others.
    pub async fn check_writable(&self) -> Result<(), Error> {
        self.run_blocking(Inner::check_writable).await
    }

    /// Sets the gauges of the pool to what they are now.
    pub fn record_metrics(&self) {
        let Options { name, .. } = self.inner.options;
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
        self.run_blocking(move |inner| inner.begin(kind)?.finish(work))
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
        let task = tokio::task::spawn_blocking(move || {
            let _entered = span.entered();
            let _permit = permit;
            work(&inner)
        });
        task.await
            .map_err(|error| Error::Other(format!("database work ended early: {error}")))?
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

impl Inner {
    /// A connection with an open transaction. Connections that died while they lay in the pool are dropped on the way;
    /// there are at most as many of these as the pool is large.
    fn begin(&self, kind: Kind) -> Result<OpenTransaction<'_>, Error> {
        let mut tries_left = self.options.pool_size;
        loop {
            let mut pooled = self.connection()?;
            match begin(&mut pooled.connection, kind).map_err(Error::from) {
                Ok(()) => {
                    return Ok(OpenTransaction {
                        inner: self,
                        kind,
                        pooled,
                    });
                }
                Err(Error::Disconnected(_)) if tries_left > 0 => tries_left -= 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn peek<T>(&self, work: impl Fn(&mut AnyConnection) -> Result<T, Error>) -> Result<T, Error> {
        let mut tries_left = self.options.pool_size;
        loop {
            let mut pooled = self.connection()?;
            match work(&mut pooled.connection) {
                Err(Error::Disconnected(_)) if tries_left > 0 => tries_left -= 1,
                done => {
                    // On a full disk SQLite may be unable to make another one.
                    pooled.is_broken =
                        matches!(done, Err(Error::Disconnected(_) | Error::Unavailable(_)));
                    self.record_write_failure(&mut pooled);
                    return done;
                }
            }
        }
    }

    fn check_writable(&self) -> Result<(), Error> {
        self.peek(|connection| {
            ping(connection)?;
            self.write_check.run(connection, &self.options.url)
        })
    }

    /// A connection that counts as broken until the work on it has ended well.
    fn connection(&self) -> Result<r2d2::PooledConnection<pool::Manager>, Error> {
        let mut outdated_left = self.options.pool_size;
        loop {
            let mut pooled = self
                .pool
                .get()
                .map_err(|error| Error::Unavailable(error.to_string()))?;
            pooled.is_broken = true;
            if outdated_left == 0 || pooled.generation == self.generation.load(Ordering::Acquire) {
                start_work(Backend::for_connection(&pooled.connection));
                return Ok(pooled);
            }
            outdated_left -= 1;
        }
    }

    /// After work that couldn't write: readiness tells it at once. Where the database is read-only, all connections may lead
    /// to a server that has become a standby, so none of them is used again.
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

struct OpenTransaction<'a> {
    inner: &'a Inner,
    kind: Kind,
    pooled: r2d2::PooledConnection<pool::Manager>,
}

impl OpenTransaction<'_> {
    fn finish<T, E: From<Error>>(
        mut self,
        work: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let connection = &mut self.pooled.connection;
        let worked = work(connection);
        let (done, is_ended) = match worked {
            Ok(value) => match commit(connection) {
                Ok(()) => (Ok(value), true),
                Err(error) => (Err(E::from(error.into())), rollback_if_open(connection)),
            },
            Err(error) => (Err(error), rollback_if_open(connection)),
        };
        self.pooled.is_broken = !is_ended || restore_fsync(connection, self.kind).is_err();
        self.inner.record_write_failure(&mut self.pooled);
        done
    }
}

pub(crate) fn begin(connection: &mut AnyConnection, kind: Kind) -> diesel::QueryResult<()> {
    match (connection, kind) {
        (AnyConnection::Postgres(connection), Kind::Snapshot) => {
            AnsiTransactionManager::begin_transaction_sql(
                connection,
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            )
        }
        (AnyConnection::Postgres(connection), Kind::Write) => {
            AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN")
        }
        (AnyConnection::Sqlite(connection), Kind::Snapshot) => {
            AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN")
        }
        (AnyConnection::Postgres(connection), Kind::WriteWithoutFsync) => {
            // Two statements, one round trip.
            AnsiTransactionManager::begin_transaction_sql(
                connection,
                "BEGIN; SET LOCAL synchronous_commit = off",
            )
        }
        (AnyConnection::Sqlite(connection), Kind::WriteWithoutFsync) => {
            // Can't be set within a transaction.
            connection.batch_execute("PRAGMA synchronous = NORMAL")?;
            AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")
        }
        // A plain BEGIN takes the write lock at the first write, too late to wait for it.
        (AnyConnection::Sqlite(connection), Kind::Write) => {
            AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")
        }
    }
}

fn ping(connection: &mut AnyConnection) -> diesel::QueryResult<()> {
    match connection {
        AnyConnection::Postgres(connection) => connection.batch_execute("SELECT 1"),
        AnyConnection::Sqlite(connection) => {
            connection.batch_execute("SELECT 1 FROM sqlite_master")
        }
    }
}

pub(crate) fn commit(connection: &mut AnyConnection) -> diesel::QueryResult<()> {
    <AnyConnection as diesel::Connection>::TransactionManager::commit_transaction(connection)
}

fn rollback(connection: &mut AnyConnection) -> diesel::QueryResult<()> {
    <AnyConnection as diesel::Connection>::TransactionManager::rollback_transaction(connection)
}

/// Undoes the transaction, unless diesel has after a failed commit, or SQLite has by itself, as it does when the disk is full:
/// a connection less would be one more that has to be made on a full disk.
fn rollback_if_open(connection: &mut AnyConnection) -> bool {
    match (rollback(connection), connection) {
        (Ok(()) | Err(diesel::result::Error::NotInTransaction), _) => true,
        (Err(_), AnyConnection::Sqlite(connection)) => {
            connection.batch_execute("BEGIN; ROLLBACK").is_ok()
        }
        (Err(_), AnyConnection::Postgres(_)) => false,
    }
}

/// What [`Kind::WriteWithoutFsync`] needs after its end. PostgreSQL does it by itself.
fn restore_fsync(connection: &mut AnyConnection, kind: Kind) -> diesel::QueryResult<()> {
    match (connection, kind) {
        (AnyConnection::Sqlite(connection), Kind::WriteWithoutFsync) => {
            connection.batch_execute("PRAGMA synchronous = FULL")
        }
        (AnyConnection::Sqlite(_), Kind::Snapshot | Kind::Write)
        | (AnyConnection::Postgres(_), _) => Ok(()),
    }
}

/// For work outside the pool: migrations.
pub(crate) fn write_transaction<T>(
    connection: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, Error>,
) -> Result<T, Error> {
    begin(connection, Kind::Write)?;
    match work(connection) {
        Ok(value) => {
            commit(connection)?;
            Ok(value)
        }
        Err(error) => {
            rollback(connection)?;
            Err(error)
        }
    }
}
