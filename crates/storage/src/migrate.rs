//! Migrations: each service's own, the same names for both databases, all of them or none.

use diesel::{
    RunQueryDsl,
    migration::{Migration, MigrationSource, MigrationVersion},
};
pub use diesel_migrations::EmbeddedMigrations as MigrationSet;
use diesel_migrations::MigrationHarness;

use crate::{AnyConnection, DatabaseUrl, Error, MultiBackend, database::write_transaction};

/// A service's migrations for each database.
pub struct Migrations {
    pub postgres: MigrationSet,
    pub sqlite: MigrationSet,
}

/// Any number will do, as long as all our migrations take the same one.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7246001950283)";

/// Brings the database up to date, and says which migrations it ran. Blocks; several processes may do this at once.
///
/// # Errors
/// [`Error::Newer`] when it belongs to a newer release; when it can't be reached or a migration fails, in which case
/// nothing has changed.
pub fn migrate(url: &DatabaseUrl, migrations: &Migrations) -> Result<Vec<String>, Error> {
    let mut connection = AnyConnection::open(url)?;
    let set = migrations.of(&connection);
    write_transaction(&mut connection, |connection| {
        if let AnyConnection::Postgres(connection) = connection {
            diesel::sql_query(LOCK).execute(connection)?;
        }
        refuse_newer(connection, set)?;
        let ran =
            connection.run_pending_migrations(CopySet(set)).map_err(|error| Error::Migration(error.to_string()))?;
        Ok(ran.iter().map(ToString::to_string).collect())
    })
}

/// Brings an empty database up to date, where there is nothing that older processes could still use; any other is
/// only [checked](check).
///
/// # Errors
/// Those of [`migrate`] and [`check`].
pub fn prepare(url: &DatabaseUrl, migrations: &Migrations) -> Result<(), Error> {
    let applied =
        AnyConnection::open(url)?.applied_migrations().map_err(|error| Error::Migration(error.to_string()))?;
    if applied.is_empty() { migrate(url, migrations).map(drop) } else { check(url, migrations) }
}

/// # Errors
/// [`Error::Newer`] or [`Error::Outdated`] when the database is not of this release.
pub fn check(url: &DatabaseUrl, migrations: &Migrations) -> Result<(), Error> {
    let mut connection = AnyConnection::open(url)?;
    let set = migrations.of(&connection);
    refuse_newer(&mut connection, set)?;
    let pending = connection.pending_migrations(CopySet(set)).map_err(|error| Error::Migration(error.to_string()))?;
    if pending.is_empty() {
        Ok(())
    } else {
        Err(Error::Outdated(join(pending.iter().map(|migration| migration.name().to_string()))))
    }
}

impl Migrations {
    fn of(&self, connection: &AnyConnection) -> &MigrationSet {
        match connection {
            AnyConnection::Postgres(_) => &self.postgres,
            AnyConnection::Sqlite(_) => &self.sqlite,
        }
    }
}

fn refuse_newer(connection: &mut AnyConnection, set: &MigrationSet) -> Result<(), Error> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| Error::Migration(error.to_string());
    let known = MigrationSource::<MultiBackend>::migrations(set).map_err(failed)?;
    let known: Vec<MigrationVersion<'_>> = known.iter().map(|migration| migration.name().version()).collect();
    let applied = connection.applied_migrations().map_err(failed)?;
    let unknown: Vec<String> =
        applied.iter().filter(|version| !known.contains(version)).map(ToString::to_string).collect();
    if unknown.is_empty() { Ok(()) } else { Err(Error::Newer(join(unknown))) }
}

fn join(names: impl IntoIterator<Item = String>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// The harness takes its source by value.
struct CopySet<'a>(&'a MigrationSet);

impl MigrationSource<MultiBackend> for CopySet<'_> {
    fn migrations(&self) -> diesel::migration::Result<Vec<Box<dyn Migration<MultiBackend>>>> {
        self.0.migrations()
    }
}
