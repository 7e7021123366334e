//! Migrations. Each service has its own, with the same names for both databases. All pending
//! migrations of a database run in one transaction.

use diesel::{
    connection::SimpleConnection,
    migration::{Migration, MigrationSource, MigrationVersion},
};
pub use diesel_migrations::EmbeddedMigrations as MigrationSet;
use diesel_migrations::MigrationHarness;

use crate::{
    compatibility,
    connection::{AnyConnection, MultiBackend},
    error::Error,
    transaction::write_transaction,
    transfer::marker::check_complete,
    url::DatabaseUrl,
};

/// A service's migrations for each database.
pub struct Migrations {
    pub postgres: MigrationSet,
    pub sqlite: MigrationSet,
    /// Name of a table that only this service has.
    pub owner_table: &'static str,
    /// Data migrations: changes of the data that SQL cannot express.
    pub data_migrations: &'static [DataMigration],
}

/// A data migration, which belongs to a migration. It runs in the same transaction, after the SQL
/// of all pending migrations, so that it can use the store of its service, which knows only the
/// newest tables.
#[derive(Debug, Clone, Copy)]
pub struct DataMigration {
    /// Name of the migration, such as `0009_canonical_emails`.
    pub migration: &'static str,
    pub run: fn(&mut AnyConnection) -> Result<(), Error>,
}

/// Treatment of a database into which an import was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncompleteImport {
    Accept,
    /// Return [`Error::ImportIncomplete`].
    Reject,
}

impl IncompleteImport {
    fn check(self, connection: &mut AnyConnection) -> Result<(), Error> {
        match self {
            Self::Accept => Ok(()),
            Self::Reject => check_complete(connection),
        }
    }
}

/// Lock that all migrations take, so that only one process migrates at a time. The number is
/// arbitrary. Migrations have no timeouts.
const LOCK_SQL: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
     SELECT pg_advisory_xact_lock(7246001950283)";

/// Runs all pending migrations and returns their names. This blocks. Several processes may call it
/// at the same time.
///
/// # Errors
/// [`Error::SchemaTooNew`] if the database belongs to a newer release; [`Error::Incompatible`] if
/// its setup is not supported; [`Error::Migration`] if a migration fails; database errors. After
/// these errors, nothing has changed. [`Error::ImportIncomplete`], after the migrations.
pub fn migrate(
    url: &DatabaseUrl,
    migrations: &Migrations,
    incomplete_import: IncompleteImport,
) -> Result<Vec<String>, Error> {
    let mut connection = AnyConnection::open(url)?;
    compatibility::check_sessions(&mut connection, url)?;
    let ran = with_migration_lock(&mut connection, |connection| migrations.run(connection))?;
    incomplete_import.check(&mut connection)?;
    Ok(ran)
}

/// Runs all migrations on an empty database, which no older process can be using. Any other
/// database is only [checked](check).
///
/// # Errors
/// See [`migrate`] and [`check`].
pub fn prepare(
    url: &DatabaseUrl,
    migrations: &Migrations,
    incomplete_import: IncompleteImport,
) -> Result<Vec<String>, Error> {
    let mut connection = AnyConnection::open(url)?;
    let ran = with_migration_lock(&mut connection, |connection| {
        let is_empty = connection
            .applied_migrations()
            .map_err(migration_error)?
            .is_empty();
        if is_empty {
            migrations.run(connection)
        } else {
            migrations.check(connection).map(|()| Vec::new())
        }
    })?;
    incomplete_import.check(&mut connection)?;
    Ok(ran)
}

/// Checks that the database has exactly the migrations of this release.
///
/// # Errors
/// [`Error::SchemaTooNew`] or [`Error::SchemaOutdated`] if it has not; [`Error::Incompatible`] if
/// its setup is not supported; [`Error::ImportIncomplete`]; database errors.
pub fn check(
    url: &DatabaseUrl,
    migrations: &Migrations,
    incomplete_import: IncompleteImport,
) -> Result<(), Error> {
    let mut connection = AnyConnection::open(url)?;
    compatibility::check_sessions(&mut connection, url)?;
    with_migration_lock(&mut connection, |connection| migrations.check(connection))?;
    incomplete_import.check(&mut connection)
}

/// Runs work in a transaction while no other process checks or migrates. A check needs the lock as
/// well, because diesel creates its table of migrations when it reads it.
fn with_migration_lock<T>(
    connection: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, Error>,
) -> Result<T, Error> {
    compatibility::check_encoding(connection)?;
    write_transaction(connection, |connection| {
        if let AnyConnection::Postgres(connection) = connection {
            connection.batch_execute(LOCK_SQL)?;
        }
        work(connection)
    })
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn migration_error(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Migration(error.to_string())
}

impl Migrations {
    /// Runs the pending migrations. See [`migrate`].
    fn run(&self, connection: &mut AnyConnection) -> Result<Vec<String>, Error> {
        let set = self.for_connection(connection);
        self.check_owner_if_migrated(connection)?;
        check_not_newer(connection, set)?;
        let pending = connection
            .pending_migrations(MigrationSetRef(set))
            .map_err(migration_error)?;
        connection
            .run_migrations(&pending)
            .map_err(migration_error)?;
        self.check_owner(connection)?;
        let ran: Vec<String> = pending
            .iter()
            .map(|migration| migration.name().to_string())
            .collect();
        for data_migration in self
            .data_migrations
            .iter()
            .filter(|data_migration| ran.iter().any(|name| name == data_migration.migration))
        {
            (data_migration.run)(connection)?;
        }
        Ok(ran)
    }

    /// Checks the migrations. See [`check`](fn@check).
    fn check(&self, connection: &mut AnyConnection) -> Result<(), Error> {
        let set = self.for_connection(connection);
        self.check_owner_if_migrated(connection)?;
        check_not_newer(connection, set)?;
        let pending = connection
            .pending_migrations(MigrationSetRef(set))
            .map_err(migration_error)?;
        if !pending.is_empty() {
            return Err(Error::SchemaOutdated(join(
                pending.iter().map(|migration| migration.name().to_string()),
            )));
        }
        Ok(())
    }

    /// Checks the owner of a database that has migrations. This comes before a comparison of
    /// migrations, whose result would be misleading for the database of another service.
    fn check_owner_if_migrated(&self, connection: &mut AnyConnection) -> Result<(), Error> {
        let is_empty = connection
            .applied_migrations()
            .map_err(migration_error)?
            .is_empty();
        if is_empty {
            Ok(())
        } else {
            self.check_owner(connection)
        }
    }

    /// Checks that the database belongs to this service. The names of migrations do not show it,
    /// because they are similar in all services.
    fn check_owner(&self, connection: &mut AnyConnection) -> Result<(), Error> {
        let probe = format!("SELECT 1 FROM {} WHERE 1 = 0", self.owner_table);
        let is_own = connection.batch_execute(&probe).is_ok();
        if is_own {
            Ok(())
        } else {
            Err(Error::Migration("it belongs to another service".to_owned()))
        }
    }

    fn for_connection(&self, connection: &AnyConnection) -> &MigrationSet {
        match connection {
            AnyConnection::Postgres(_) => &self.postgres,
            AnyConnection::Sqlite(_) => &self.sqlite,
        }
    }
}

fn check_not_newer(connection: &mut AnyConnection, set: &MigrationSet) -> Result<(), Error> {
    let known = MigrationSource::<MultiBackend>::migrations(set).map_err(migration_error)?;
    let known: Vec<MigrationVersion<'_>> = known
        .iter()
        .map(|migration| migration.name().version())
        .collect();
    let applied = connection.applied_migrations().map_err(migration_error)?;
    let unknown: Vec<String> = applied
        .iter()
        .filter(|version| !known.contains(version))
        .map(ToString::to_string)
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(Error::SchemaTooNew(join(unknown)))
    }
}

fn join(names: impl IntoIterator<Item = String>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// A reference to migrations, because the harness of diesel takes its source by value.
struct MigrationSetRef<'a>(&'a MigrationSet);

impl MigrationSource<MultiBackend> for MigrationSetRef<'_> {
    fn migrations(&self) -> diesel::migration::Result<Vec<Box<dyn Migration<MultiBackend>>>> {
        self.0.migrations()
    }
}
