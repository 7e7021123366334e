//! Decides which rows of the global feed a user receives: those that match what the user sees at
//! this moment. It reads the visibility of all entries of a batch with a few queries. The tests
//! are in `sync_tests.rs`.

use std::collections::HashSet;

use doorward_domain::Gid;
use doorward_storage::AnyConnection;

use crate::{
    Error,
    feed::{
        new_change::{MEMBERSHIPS, PROJECTS, USERS},
        sync_row::SyncRow,
    },
    model::Action,
    store,
    visibility::{self, Visibility},
};

/// Drops the rows that contradict what the user sees at this moment.
pub(super) fn filter_visible(
    connection: &mut AnyConnection,
    user: Gid,
    rows: Vec<SyncRow>,
) -> Result<Vec<SyncRow>, Error> {
    if rows.is_empty() {
        return Ok(rows);
    }
    let visible = load_visible_entries(connection, user, &rows)?;
    Ok(rows
        .into_iter()
        .filter_map(|row| visible.to_deliver(row))
        .collect())
}

/// The entries of some rows that the user sees at this moment.
struct VisibleEntries {
    user: Gid,
    projects: Vec<(Gid, Visibility)>,
    /// Project and user of the memberships of other users.
    memberships: HashSet<(Gid, Gid)>,
    /// Other users.
    users: HashSet<Gid>,
}

/// Finds out which entries of the rows the user sees, with a few queries for all rows.
fn load_visible_entries(
    connection: &mut AnyConnection,
    user: Gid,
    rows: &[SyncRow],
) -> Result<VisibleEntries, Error> {
    // A generic plan may date from when the tables were empty, and would read them as a whole.
    connection.force_custom_plans()?;
    let keys: Vec<EntryKey> = rows.iter().filter_map(EntryKey::parse).collect();
    let mut projects: Vec<Gid> = keys.iter().filter_map(EntryKey::project).collect();
    projects.sort();
    projects.dedup();
    let mut visible = VisibleEntries {
        user,
        projects: Vec::new(),
        memberships: HashSet::new(),
        users: HashSet::new(),
    };
    if !projects.is_empty() {
        for (membership, project) in store::init::list_own_in(connection, user, &projects)? {
            visible.projects.push((
                project.gid,
                visibility::of_project(project.status, Some(&membership)),
            ));
        }
    }
    for (project, visibility) in &visible.projects {
        let mut users: Vec<Gid> = keys
            .iter()
            .filter_map(EntryKey::membership)
            .filter(|(key_project, _)| key_project == project)
            .map(|(_, user)| user)
            .collect();
        users.sort();
        users.dedup();
        if *visibility == Visibility::Full && !users.is_empty() {
            let found = store::membership::list_of_users(connection, *project, &users)?;
            visible
                .memberships
                .extend(found.iter().map(|found| (found.project, found.user)));
        }
    }
    let mut users: Vec<Gid> = keys.iter().filter_map(EntryKey::user).collect();
    users.sort();
    users.dedup();
    if !users.is_empty() {
        visible.users = store::init::list_visible_users(connection, user, &users)?
            .into_iter()
            .collect();
    }
    Ok(visible)
}

impl VisibleEntries {
    /// Returns the row as the user receives it, or None if the user must not receive it.
    fn to_deliver(&self, row: SyncRow) -> Option<SyncRow> {
        match (row.action, self.contains(&row)) {
            (Action::Insert | Action::Update, true) | (Action::Delete, false) => Some(row),
            // See the header of `sync.rs`: some clients do not fetch a project on INSERT.
            (Action::Delete, true) if row.data_type == PROJECTS => Some(SyncRow {
                action: Action::Update,
                ..row
            }),
            (Action::Insert | Action::Update, false) | (Action::Delete, true) => None,
        }
    }

    fn contains(&self, row: &SyncRow) -> bool {
        match EntryKey::parse(row) {
            Some(EntryKey::User(user)) => user == self.user || self.users.contains(&user),
            Some(EntryKey::Project(project)) => self.visibility(project) > Visibility::Hidden,
            Some(EntryKey::Membership(project, user)) if user == self.user => {
                self.visibility(project) > Visibility::Hidden
            }
            Some(EntryKey::Membership(project, user)) => {
                self.visibility(project) == Visibility::Full
                    && self.memberships.contains(&(project, user))
            }
            // The API version, which every user sees.
            None => true,
        }
    }

    fn visibility(&self, project: Gid) -> Visibility {
        self.projects
            .iter()
            .find(|(gid, _)| *gid == project)
            .map_or(Visibility::Hidden, |(_, visibility)| *visibility)
    }
}

/// The entry that a row names.
#[derive(Debug, Clone, Copy)]
enum EntryKey {
    User(Gid),
    Project(Gid),
    /// Project and user.
    Membership(Gid, Gid),
}

impl EntryKey {
    /// Returns None for rows that are not about an entry, such as the API version.
    fn parse(row: &SyncRow) -> Option<Self> {
        match row.data_type.as_str() {
            USERS => row.data_key.parse().ok().map(Self::User),
            PROJECTS => row.data_key.parse().ok().map(Self::Project),
            MEMBERSHIPS => {
                let (project, user) = row.data_key.split_once('/')?;
                Some(Self::Membership(project.parse().ok()?, user.parse().ok()?))
            }
            _ => None,
        }
    }

    const fn project(&self) -> Option<Gid> {
        match self {
            Self::User(_) => None,
            Self::Project(project) | Self::Membership(project, _) => Some(*project),
        }
    }

    const fn membership(&self) -> Option<(Gid, Gid)> {
        match self {
            Self::User(_) | Self::Project(_) => None,
            Self::Membership(project, user) => Some((*project, *user)),
        }
    }

    const fn user(&self) -> Option<Gid> {
        match self {
            Self::User(user) => Some(*user),
            Self::Project(_) | Self::Membership(..) => None,
        }
    }
}
