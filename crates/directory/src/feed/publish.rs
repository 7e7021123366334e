//! Published rows: other services of the application append them to the feed of a project, so that
//! their data is synced, too. The directory does not know what the rows mean.

use doorward_domain::{Gid, Malformed, ProjectStatus};

use crate::{
    Directory, Error,
    feed::{
        self,
        new_change::{API_VERSION, MEMBERSHIPS, NewChange, PROJECTS, USERS},
    },
    model::Action,
    store,
};

/// Maximum number of rows in one call.
const MAX_ROWS: usize = 1000;
const MAX_TYPE_BYTES: usize = 100;
const MAX_KEY_BYTES: usize = 200;

/// A row to publish, not yet checked.
#[derive(Debug, Clone)]
pub struct PublishedRow {
    pub action: Action,
    pub data_type: String,
    pub data_key: String,
}

impl Directory {
    /// Appends rows to the feed of a project, all or none, and returns the last cursor.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a row is not acceptable, [`Error::ProjectNotFound`] also if the
    /// project is deleted. Database errors.
    pub async fn publish(&self, project: Gid, rows: Vec<PublishedRow>) -> Result<i64, Error> {
        check(&rows).map_err(|malformed| Error::Malformed("rows", malformed))?;
        let clock = self.clock.clone();
        self.write(move |connection| {
            // The lock prevents a deletion of the project between the check and the insert.
            feed::lock(connection)?;
            store::project::find(connection, project)?
                .filter(|project| project.status == ProjectStatus::Active)
                .ok_or(Error::ProjectNotFound)?;
            let change = |row: PublishedRow| {
                let PublishedRow {
                    action,
                    data_type,
                    data_key,
                } = row;
                NewChange::PublishedRow {
                    project,
                    action,
                    data_type,
                    data_key,
                }
            };
            Ok(feed::append(
                connection,
                rows.into_iter().map(change).collect(),
                &*clock,
            )?)
        })
        .await
    }
}

/// Checks the number of rows, their data types and their keys.
fn check(rows: &[PublishedRow]) -> Result<(), Malformed> {
    if rows.is_empty() || rows.len() > MAX_ROWS {
        return Err(Malformed("must be 1 to 1,000"));
    }
    rows.iter().try_for_each(|row| {
        // Clients would take such a row for a change of the directory's own data.
        if [USERS, PROJECTS, MEMBERSHIPS, API_VERSION].contains(&row.data_type.as_str()) {
            return Err(Malformed("have a data type of the directory's own"));
        }
        let is_word = |text: &str, max| {
            !text.is_empty() && text.len() <= max && text.bytes().all(|b| b.is_ascii_graphic())
        };
        if is_word(&row.data_type, MAX_TYPE_BYTES) && is_word(&row.data_key, MAX_KEY_BYTES) {
            Ok(())
        } else {
            Err(Malformed(
                "have a data type or key that is empty, too long or not visible ASCII",
            ))
        }
    })
}
