//! The table `import_state` of each service, which says whether an import is complete.

use diesel::connection::SimpleConnection;
use doorward_domain::Gid;

use super::query::query_texts;
use crate::{
    connection::AnyConnection,
    error::{Error, Result},
};

pub(super) const TABLE: &str = "import_state";

/// State of the last import into a database. Its gid is the same in all databases of an
/// installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ImportState {
    Loading(Gid),
    Complete(Gid),
}

/// Checks that no import into this database was interrupted.
///
/// # Errors
/// [`Error::ImportIncomplete`] if one was; database errors.
pub fn check_complete(connection: &mut AnyConnection) -> Result<()> {
    match find_state(connection)? {
        Some(ImportState::Loading(_)) => Err(Error::ImportIncomplete),
        Some(ImportState::Complete(_)) | None => Ok(()),
    }
}

pub(super) fn find_state(connection: &mut AnyConnection) -> Result<Option<ImportState>> {
    let rows = query_texts(
        connection,
        "SELECT state || ' ' || import_gid AS text FROM import_state",
    )?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    match row.split_once(' ') {
        Some(("loading", gid)) => Ok(Some(ImportState::Loading(gid.parse()?))),
        Some(("complete", gid)) => Ok(Some(ImportState::Complete(gid.parse()?))),
        Some(_) | None => Err(Error::Other(
            "import_state holds an unknown state".to_owned(),
        )),
    }
}

pub(super) fn set_state(connection: &mut AnyConnection, import: ImportState) -> Result<()> {
    let (state, gid) = match import {
        ImportState::Loading(gid) => ("loading", gid),
        ImportState::Complete(gid) => ("complete", gid),
    };
    connection.batch_execute(&format!(
        "INSERT INTO import_state (id, import_gid, state) VALUES (1, '{gid}', '{state}') \
         ON CONFLICT (id) DO UPDATE SET import_gid = excluded.import_gid, state = excluded.state"
    ))?;
    Ok(())
}
