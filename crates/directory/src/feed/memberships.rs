//! What is told of a membership: to its holder, and to those who are in the project.

use doorward_domain::{Gid, ProjectStatus};
use doorward_storage::{AnyConnection, Result};

use super::{FeedPage, MEMBERSHIPS, PROJECTS, USERS, action_of, key};
use crate::{
    model::{Action, Membership},
    scope::Scope,
    sight::{self, Visibility},
    store,
};

impl FeedPage {
    pub(super) fn membership(
        &mut self,
        connection: &mut AnyConnection,
        before: Option<&Membership>,
        after: Option<&Membership>,
    ) -> Result<()> {
        let Some(Membership { project, user, .. }) = after.or(before).cloned() else { return Ok(()) };
        let status = self.status_of(connection, project)?;
        let start = self.cursor;
        let (old, new) = (sight::of(status, before), sight::of(status, after));
        let own = Scope::User(user);
        match (old > Visibility::None, new > Visibility::None) {
            (false, true) => self.sighting(own, Action::Insert, PROJECTS, project.to_string()),
            // In full from now on.
            (true, true) if new > old => self.sighting(own, Action::Insert, PROJECTS, project.to_string()),
            (true, false) => self.sighting(own, Action::Delete, PROJECTS, project.to_string()),
            (true, true) | (false, false) => {}
        }
        let entry_status = after.map_or("", |after| after.status.as_str());
        self.change(action_of(before.is_some(), after.is_some()), MEMBERSHIPS, key(project, user), entry_status);
        if old > Visibility::None || new > Visibility::None {
            let action = action_of(old > Visibility::None, new > Visibility::None);
            self.notice(own, action, MEMBERSHIPS, key(project, user));
        }
        if status == ProjectStatus::Active {
            self.notice_in_project(before, after, project, user);
        }
        match (before, after) {
            (None, Some(_)) => store::seat::take(connection, project, user, start + 1)?,
            (Some(_), None) => store::seat::leave(connection, project, user, start + 1)?,
            (Some(_), Some(_)) | (None, None) => {}
        }
        let has_other_role = before.zip(after).is_some_and(|(before, after)| before.role != after.role);
        match (old == Visibility::Inside, new == Visibility::Inside) {
            (false, true) => self.sighting_of_all(connection, own, Action::Insert, project)?,
            (true, false) => self.sighting_of_all(connection, own, Action::Delete, project)?,
            // Only an owner sees the options of others.
            (true, true) if has_other_role => self.sighting_of_all(connection, own, Action::Update, project)?,
            (true, true) | (false, false) => {}
        }
        if old != new {
            if let Some(scope) = scope_of(old, project) {
                store::listener::close(connection, user, scope, start)?;
            }
            if let Some(scope) = scope_of(new, project) {
                store::listener::open(connection, &[user], scope, self.cursor)?;
            }
        }
        Ok(())
    }

    /// For those who are in the project.
    fn notice_in_project(&mut self, before: Option<&Membership>, after: Option<&Membership>, project: Gid, user: Gid) {
        let scope = Scope::ProjectMembers(project);
        self.notice(scope, action_of(before.is_some(), after.is_some()), MEMBERSHIPS, key(project, user));
        let shows = |membership: Option<&Membership>| membership.is_some_and(|of| sight::shows_person(of.status));
        match (shows(before), shows(after)) {
            (false, true) => self.sighting(scope, Action::Insert, USERS, user.to_string()),
            // Who sees them elsewhere keeps them.
            (true, false) => self.sighting(scope, Action::Delete, USERS, user.to_string()),
            (true, true) | (false, false) => {}
        }
    }
}

/// What is said about a project where somebody hears it who sees so much of it.
const fn scope_of(sight: Visibility, project: Gid) -> Option<Scope> {
    match sight {
        Visibility::None => None,
        Visibility::Card => Some(Scope::Card(project)),
        Visibility::Inside => Some(Scope::ProjectMembers(project)),
    }
}

#[cfg(test)]
#[path = "memberships_tests.rs"]
mod tests;
