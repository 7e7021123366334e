//! Filling the empty databases of an installation: all of them or none.
//!
//! 1. Both databases are locked, and must be empty, or left by an import that was interrupted. They are marked as
//!    `Loading`, and that is committed: from then on no server starts over them.
//! 2. All rows are inserted in one transaction for each database.
//! 3. The first database is committed, still `Loading`; then the second, as `Complete`; then the first becomes `Complete`.
//!
//! Whenever that stops, at least one database is `Loading`. A later import then takes both: the `Complete` one is known as
//! part of the same import by its gid, so the data of another installation is never deleted.

use doorward_domain::{Gid, IdGenerator};

use super::{Row, Tables, TransferError, marker::ImportState};
use crate::DatabaseUrl;
use crate::transfer::import_target::ImportTarget;

/// A database, and the tables of its service.
pub type ImportDatabase<'a> = (&'a DatabaseUrl, &'static Tables);

/// An import into the databases of an installation, which nothing else changes meanwhile.
pub struct Import<'a> {
    gid: Gid,
    first_place: ImportDatabase<'a>,
    first: ImportTarget,
    second: ImportTarget,
}

impl<'a> Import<'a> {
    /// Marks both databases, and opens them. They must have all migrations.
    ///
    /// # Errors
    /// [`TransferError::NotEmpty`] and [`TransferError::AlreadyImported`], and nothing has changed; database errors.
    pub fn start(
        first: ImportDatabase<'a>,
        second: ImportDatabase<'a>,
        ids: &dyn IdGenerator,
    ) -> Result<Self, TransferError> {
        let gid = mark_loading(first, second, ids)?;
        let open = |(url, tables): ImportDatabase<'_>| {
            let mut target = ImportTarget::open(url, tables)?;
            if target.state()? != Some(ImportState::Loading(gid))
                || target.find_nonempty_table()?.is_some()
            {
                return Err(TransferError::ChangedMeanwhile {
                    database: tables.database,
                });
            }
            target.delete_seeded_rows()?;
            Ok(target)
        };
        Ok(Self {
            gid,
            first_place: first,
            first: open(first)?,
            second: open(second)?,
        })
    }

    /// The migrations of each database, by its name.
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

    /// Inserts a row into a table, by its name in an export.
    ///
    /// # Errors
    /// When the database has no such table or column, or the value does not fit; database errors.
    pub fn insert(&mut self, table: &str, row: &Row) -> Result<(), TransferError> {
        for target in [&mut self.first, &mut self.second] {
            if let Some(table) = target.tables.find(table) {
                return target.insert(table, row);
            }
        }
        Err(TransferError::UnknownTable(table.to_owned()))
    }

    /// Commits everything.
    ///
    /// # Errors
    /// [`TransferError::RowCountNotOne`], and database errors.
    pub fn finish(mut self) -> Result<(), TransferError> {
        self.first.finish()?;
        self.second.finish()?;
        self.first.commit()?;
        self.second.set_state(ImportState::Complete(self.gid))?;
        self.second.commit()?;
        let (url, tables) = self.first_place;
        let mut first = ImportTarget::open(url, tables)?;
        first.set_state(ImportState::Complete(self.gid))?;
        first.commit()
    }
}

/// Marks both databases as `Loading`, after deleting what an interrupted import has left: the gid of the import.
fn mark_loading(
    first: ImportDatabase<'_>,
    second: ImportDatabase<'_>,
    ids: &dyn IdGenerator,
) -> Result<Gid, TransferError> {
    let mut targets = [
        ImportTarget::open(first.0, first.1)?,
        ImportTarget::open(second.0, second.1)?,
    ];
    let mut markers = Vec::with_capacity(targets.len());
    for target in &mut targets {
        markers.push(target.state()?);
    }
    let interrupted = markers.iter().find_map(|marker| match marker {
        Some(ImportState::Loading(gid)) => Some(*gid),
        Some(ImportState::Complete(_)) | None => None,
    });
    for (target, marker) in targets.iter_mut().zip(markers) {
        let database = target.tables.database;
        match marker {
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
