//! Import into the empty databases of an installation: all of them or none.
//!
//! # Example
//!
//! An import with the gid G into the databases of auth and the directory:
//!
//! 1. [`Import::start`] locks both databases. They must be empty, or left by an interrupted import,
//!    whose rows are deleted. Both are marked as `Loading(G)`, and that is committed: from now on
//!    no server starts with them.
//! 2. [`Import::insert`] inserts all rows, in one transaction for each database.
//! 3. [`Import::finish`] commits auth, still as `Loading(G)`; then the directory, as `Complete(G)`;
//!    then it marks auth as `Complete(G)`.
//!
//! If the process is killed, at least one database is `Loading(G)`:
//!
//! - In step 2, both are, and both are empty.
//! - In step 3 after the first commit, both are, and auth has rows.
//! - In step 3 after the second commit, auth is `Loading(G)` and the directory is `Complete(G)`.
//!   The next import deletes the rows of the directory as well, because its gid shows that it is
//!   part of the same import.
//!
//! A `Complete` database with another gid is never changed, because it belongs to another
//! installation.

use doorward_domain::{Gid, IdGenerator};

use super::{
    error::TransferError,
    import_target::ImportTarget,
    marker::ImportState,
    tables::{Row, ServiceDatabase},
};

/// An import into the databases of an installation. It has locks on them, so nothing else changes
/// them.
pub struct Import<'a> {
    gid: Gid,
    first_database: ServiceDatabase<'a>,
    first: ImportTarget,
    second: ImportTarget,
}

impl<'a> Import<'a> {
    /// Marks both databases and opens them. They must have all migrations.
    ///
    /// # Errors
    /// [`TransferError::NotEmpty`] and [`TransferError::AlreadyImported`] if the databases are in
    /// use, in which case nothing has changed; [`TransferError::ChangedMeanwhile`]; database
    /// errors.
    pub fn start(
        first: ServiceDatabase<'a>,
        second: ServiceDatabase<'a>,
        ids: &dyn IdGenerator,
    ) -> Result<Self, TransferError> {
        let gid = mark_loading(first, second, ids)?;
        let open = |database: ServiceDatabase<'_>| {
            // The locks were released when the marks were committed, so the state is checked again.
            let mut target = ImportTarget::open(database)?;
            if target.state()? != Some(ImportState::Loading(gid))
                || target.find_nonempty_table()?.is_some()
            {
                return Err(TransferError::ChangedMeanwhile {
                    database: database.tables.database,
                });
            }
            target.delete_seeded_rows()?;
            Ok(target)
        };
        Ok(Self {
            gid,
            first_database: first,
            first: open(first)?,
            second: open(second)?,
        })
    }

    /// Lists the migrations of each database, with its name.
    ///
    /// # Errors
    /// Database errors.
    pub fn migrations(&mut self) -> Result<[(&'static str, Vec<String>); 2], TransferError> {
        let Self { first, second, .. } = self;
        Ok([
            (first.tables.database, first.migrations()?),
            (second.tables.database, second.migrations()?),
        ])
    }

    /// Inserts a row into the table with this name in an export.
    ///
    /// # Errors
    /// A [`TransferError`] if the database has no such table or column, or a value has the wrong
    /// type; database errors.
    pub fn insert(&mut self, table: &str, row: &Row) -> Result<(), TransferError> {
        for target in [&mut self.first, &mut self.second] {
            if let Some(table) = target.tables.find(table) {
                return target.insert(table, row);
            }
        }
        Err(TransferError::UnknownTable(table.to_owned()))
    }

    /// Commits both databases.
    ///
    /// # Errors
    /// [`TransferError::RowCountNotOne`] if a seeded table does not have its row; database errors.
    pub fn finish(mut self) -> Result<(), TransferError> {
        self.first.finish()?;
        self.second.finish()?;
        // This order leaves at least one database as `Loading` until everything is committed.
        self.first.commit()?;
        self.second.set_state(ImportState::Complete(self.gid))?;
        self.second.commit()?;
        let mut first = ImportTarget::open(self.first_database)?;
        first.set_state(ImportState::Complete(self.gid))?;
        first.commit()
    }
}

/// Marks both databases as `Loading`, after the rows of an interrupted import are deleted. Returns
/// the gid of the import, which is that of the interrupted one if there was one.
fn mark_loading(
    first: ServiceDatabase<'_>,
    second: ServiceDatabase<'_>,
    ids: &dyn IdGenerator,
) -> Result<Gid, TransferError> {
    let mut targets = [ImportTarget::open(first)?, ImportTarget::open(second)?];
    let mut states = Vec::with_capacity(targets.len());
    for target in &mut targets {
        states.push(target.state()?);
    }
    let interrupted = states.iter().find_map(|state| match state {
        Some(ImportState::Loading(gid)) => Some(*gid),
        Some(ImportState::Complete(_)) | None => None,
    });
    for (target, state) in targets.iter_mut().zip(states) {
        let database = target.tables.database;
        match state {
            None => {
                if let Some(table) = target.find_nonempty_table()? {
                    return Err(TransferError::NotEmpty {
                        database,
                        table: table.name,
                    });
                }
            }
            Some(ImportState::Loading(_)) => target.clear()?,
            Some(ImportState::Complete(gid)) if interrupted == Some(gid) => target.clear()?,
            Some(ImportState::Complete(_)) => {
                return Err(TransferError::AlreadyImported { database });
            }
        }
    }
    let gid = interrupted.unwrap_or_else(|| ids.new_gid());
    for mut target in targets {
        target.set_state(ImportState::Loading(gid))?;
        target.commit()?;
    }
    Ok(gid)
}
