//! Rows that other services of the same application append to the feed of a project, so that their data is synced too.

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

/// Of one call.
const MAX_ROWS: usize = 1000;
const MAX_TYPE_BYTES: usize = 100;
const MAX_KEY_BYTES: usize = 200;

/// As it was sent.
#[derive(Debug, Clone)]
pub struct PublishedRow {
    pub action: Action,
    pub data_type: String,
    pub data_key: String,
}

impl Directory {
    /// All of them or none. Answers the last cursor.
    ///
    /// # Errors
    /// [`Error::Malformed`]; [`Error::ProjectNotFound`] also for one that is deleted; those of the database.
    pub async fn publish(&self, project: Gid, rows: Vec<PublishedRow>) -> Result<i64, Error> {
        check(&rows).map_err(|malformed| Error::Malformed("rows", malformed))?;
        let clock = self.clock.clone();
        self.write(move |connection| {
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
                NewChange::SyncRow {
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

fn check(rows: &[PublishedRow]) -> Result<(), Malformed> {
    if rows.is_empty() || rows.len() > MAX_ROWS {
        return Err(Malformed("must be 1 to 1,000"));
    }
    rows.iter().try_for_each(|row| {
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
