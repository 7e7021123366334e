//! What an app needs to start: all that one user may see, and the position in the change feed, of one moment.

use std::collections::HashSet;

use doorward_domain::{Gid, MembershipStatus, ProjectStatus, Role};
use doorward_storage::AnyConnection;

use crate::{
    Caller, Directory, Error,
    model::{Membership, Project, User, UserSummary},
    store,
    visibility::{self, Visibility},
};

#[derive(Debug)]
pub struct Init {
    pub caller: User,
    pub users: Vec<UserSummary>,
    pub projects: Vec<Project>,
    pub own_memberships: Vec<Membership>,
    /// Of the other members of the caller's projects.
    pub other_memberships: Vec<Membership>,
    /// Projects that the caller owns: there, the options of other members are theirs to see.
    pub owned_projects: HashSet<Gid>,
    pub cursor: i64,
}

impl Init {
    /// The active projects that the caller owns or is an active member of, to their role.
    pub fn user_projects(&self) -> impl Iterator<Item = (Gid, Role)> {
        user_projects(&self.projects, &self.own_memberships)
    }
}

/// The active projects that somebody owns or is an active member of, to their role.
pub(crate) fn user_projects(
    projects: &[Project],
    own: &[Membership],
) -> impl Iterator<Item = (Gid, Role)> {
    let is_active = |project: &&Project| project.status == ProjectStatus::Active;
    let active: HashSet<Gid> = projects
        .iter()
        .filter(is_active)
        .map(|project| project.gid)
        .collect();
    own.iter()
        .filter(move |own| own.status == MembershipStatus::Active && active.contains(&own.project))
        .map(|own| (own.project, own.role))
}

impl Directory {
    /// # Errors
    /// [`Error::CallerNotActive`], and database errors.
    pub async fn get_init(&self, caller: Caller) -> Result<Init, Error> {
        self.database
            .read_snapshot(move |connection| get(connection, caller))
            .await
    }
}

pub(crate) fn get(connection: &mut AnyConnection, caller: Caller) -> Result<Init, Error> {
    let cursor = store::feed_change::get_head(connection)?;
    let caller = caller.active(connection)?.into_user();
    let user = caller.gid;
    let (own_memberships, projects) = own(connection, user)?;
    let mut people = Vec::new();
    let mut other_memberships = Vec::new();
    let mut seen = HashSet::new();
    for (membership, person) in store::init::list_others(connection, user)? {
        if visibility::is_user_visible(membership.status) && seen.insert(person.gid) {
            people.push(person);
        }
        other_memberships.push(membership);
    }
    let owned = own_memberships
        .iter()
        .filter(|own| own.role == Role::Owner)
        .map(|own| own.project)
        .collect();
    Ok(Init {
        caller,
        users: people,
        projects,
        own_memberships,
        other_memberships,
        owned_projects: owned,
        cursor,
    })
}

/// The memberships that their holder sees, and the projects.
pub(crate) fn own(
    connection: &mut AnyConnection,
    user: Gid,
) -> Result<(Vec<Membership>, Vec<Project>), Error> {
    let own = store::init::own(connection, user)?;
    Ok(own
        .into_iter()
        .filter(|(membership, project)| is_visible_to_holder(membership, project))
        .unzip())
}

pub(crate) fn is_visible_to_holder(membership: &Membership, project: &Project) -> bool {
    visibility::of_project(project.status, Some(membership)) > Visibility::None
}
