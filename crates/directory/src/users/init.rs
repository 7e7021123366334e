//! The init of a user: everything that one user sees, and the head of the change feed at the same
//! moment, so that `Sync` can continue from there. It must follow the rules of `visibility.rs`,
//! because the feed announces what becomes visible or hidden by the same rules.
//!
//! Example: Ann is an active member of the project A, is invited to B, declined C, and owns D,
//! which is deleted.
//!
//! 1. [`own`] keeps the memberships and projects that she sees: A, B and D. C is hidden from her.
//! 2. The other memberships come from A only, because it is the only active project in which she is
//!    an active member: (A, Bob, active), (A, Cleo, invited), (A, Dan, declined).
//! 3. `users` has Bob and Cleo. Dan's membership is visible, but not his user. If Bob were a member
//!    of another project of hers, he would still be in `users` only once.
//! 4. `owned_projects` is D. [`user_projects`], the list of projects in which she can work, is A.

use std::collections::HashSet;

use doorward_domain::{Gid, MembershipStatus, ProjectStatus, Role};
use doorward_storage::AnyConnection;

use crate::{
    Caller, Directory, Error,
    model::{Membership, Project, User, UserSummary},
    store,
    visibility::{self, Visibility},
};

/// Everything that a user sees, at one moment.
#[derive(Debug)]
pub struct Init {
    pub caller: User,
    /// The other users that the caller sees, without duplicates.
    pub users: Vec<UserSummary>,
    pub projects: Vec<Project>,
    /// The caller's memberships in `projects`, in the same order.
    pub own_memberships: Vec<Membership>,
    /// Memberships of the other members of the caller's projects.
    pub other_memberships: Vec<Membership>,
    /// Projects that the caller owns. The owner sees the options of other members.
    pub owned_projects: HashSet<Gid>,
    /// Head of the change feed.
    pub cursor: i64,
}

impl Init {
    /// Returns the active projects of which the caller is an active member, with their role.
    pub fn user_projects(&self) -> impl Iterator<Item = (Gid, Role)> {
        user_projects(&self.projects, &self.own_memberships)
    }
}

/// Returns the active projects of which a user is an active member, with their role. The owner is
/// an active member.
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
    /// Returns everything that the caller sees, and the head of the change feed.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], and database errors.
    pub async fn get_init(&self, caller: Caller) -> Result<Init, Error> {
        self.database
            .read_snapshot(move |connection| get(connection, caller))
            .await
    }
}

/// Reads the init of the caller. It must run in one snapshot: with a cursor and rows of different
/// moments, the app would miss changes or get rows that its next sync page does not know.
///
/// # Errors
/// [`Error::CallerNotActive`], and database errors.
pub(crate) fn get(connection: &mut AnyConnection, caller: Caller) -> Result<Init, Error> {
    let cursor = store::feed_change::get_head(connection)?;
    let caller = caller.active(connection)?.into_user();
    let user = caller.gid;
    let (own_memberships, projects) = own(connection, user)?;
    let mut users = Vec::new();
    let mut other_memberships = Vec::new();
    // A user who shares several projects with the caller has several rows.
    let mut included = HashSet::new();
    for (membership, other) in store::init::list_others(connection, user)? {
        if visibility::is_user_visible(membership.status) && included.insert(other.gid) {
            users.push(other);
        }
        other_memberships.push(membership);
    }
    let owned_projects = own_memberships
        .iter()
        .filter(|own| own.role == Role::Owner)
        .map(|own| own.project)
        .collect();
    Ok(Init {
        caller,
        users,
        projects,
        own_memberships,
        other_memberships,
        owned_projects,
        cursor,
    })
}

/// Returns the memberships that a user sees of their own, and their projects, in the same order.
///
/// # Errors
/// Database errors.
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

/// Checks whether a user sees their own membership and its project.
pub(crate) fn is_visible_to_holder(membership: &Membership, project: &Project) -> bool {
    visibility::of_project(project.status, Some(membership)) > Visibility::Hidden
}
