//! The tables of the directory for export and import, and the pictures that their rows name. It
//! does not know the format of an export.

use doorward_storage::transfer::{Snapshot, Table, Tables, TransferError};

use crate::media;

/// All tables, in an order in which they can be imported: a row refers only to rows of tables
/// before.
pub const TABLES: Tables = Tables {
    database: "directory",
    tables: &[
        USERS,
        PROJECTS,
        Table::new("memberships"),
        Table::new("project_items"),
        Table::new("project_languages"),
        Table::seeded("feed_head"),
        Table::seeded("feed_tail"),
        Table::new("announced_api_version"),
        Table::new("feed_changes"),
        Table::new("feed_events"),
        Table::new("feed_subscriptions"),
        Table::new("membership_slots"),
        DISCARDED_MEDIA,
        Table::new("service_tokens"),
        Table::new("outbox"),
    ],
};
const USERS: Table = Table::new("users");
const PROJECTS: Table = Table::new("projects");
const DISCARDED_MEDIA: Table = Table::new("discarded_media");

/// A picture that a row names.
pub struct Picture {
    /// Name in the object store.
    pub name: String,
    /// Whether it will be deleted or was never used; the object store may no longer have it.
    pub is_discarded: bool,
}

/// Calls `each` for every picture that a row names.
///
/// # Errors
/// Errors of `each`, and database errors.
pub fn for_each_picture<E: From<TransferError>>(
    snapshot: &mut Snapshot,
    mut each: impl FnMut(Picture) -> Result<(), E>,
) -> Result<(), E> {
    let mut each_used = |name| {
        each(Picture {
            name,
            is_discarded: false,
        })
    };
    snapshot.for_each_value(&USERS, "avatar", |name| each_used(media::file(&name)))?;
    snapshot.for_each_value(&PROJECTS, "icon_file", |name| {
        each_used(media::icon_path(&name))
    })?;
    snapshot.for_each_value(&DISCARDED_MEDIA, "name", |name| {
        each(Picture {
            name,
            is_discarded: true,
        })
    })
}

/// Checks whether this can be the name of a picture in the object store. An import rejects other
/// names, which could lead out of the directory.
#[must_use]
pub fn is_picture(name: &str) -> bool {
    let is_file = |file: &str| {
        !file.is_empty()
            && !file.starts_with('.')
            && file
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
    };
    ["avatars/", "icons/"]
        .iter()
        .any(|folder| name.strip_prefix(folder).is_some_and(is_file))
}

#[cfg(test)]
mod tests {
    use doorward_storage::{AnyConnection, testing::TestDatabase, transfer::check_tables};

    use super::*;
    use crate::MIGRATIONS;

    #[tokio::test]
    async fn all_tables_are_listed() {
        for database in TestDatabase::both(&MIGRATIONS) {
            let check = |connection: &mut AnyConnection| -> Result<_, doorward_storage::Error> {
                Ok(check_tables(connection, &TABLES).map_err(|error| error.to_string()))
            };
            assert_eq!(
                database.database.read_snapshot(check).await.unwrap(),
                Ok(())
            );
        }
    }

    #[test]
    fn picture_names_have_their_folder() {
        for name in [
            "avatars/0f8fad5b-d9cb-469f-a165-70867728950e.png",
            "icons/a.webp",
        ] {
            assert!(is_picture(name), "{name}");
        }
        for name in [
            "",
            "avatars",
            "avatars/",
            "avatars/../x.png",
            "avatars/..",
            "icons/a/b.png",
            "/icons/a.png",
            "probe/x",
            "icons/a#1",
        ] {
            assert!(!is_picture(name), "{name}");
        }
    }
}
