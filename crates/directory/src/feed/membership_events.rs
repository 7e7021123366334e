//! What is told of a membership: to its holder, and to those who are in the project.

use doorward_domain::{Gid, ProjectStatus};
use doorward_storage::{AnyConnection, Result};

use crate::feed::{
    append::{FeedPage, action_for, membership_key},
    new_change::{MEMBERSHIPS, PROJECTS, USERS},
};
use crate::{
    feed::audience::Scope,
    model::{Action, Membership},
    store,
    visibility::{self, Visibility},
};

impl FeedPage {
    pub(crate) fn append_membership(
        &mut self,
        connection: &mut AnyConnection,
        before: Option<&Membership>,
        after: Option<&Membership>,
    ) -> Result<()> {
        let Some(Membership { project, user, .. }) = after.or(before).cloned() else {
            return Ok(());
        };
        let status = self.project_status(connection, project)?;
        let start = self.cursor;
        let (old, new) = (
            visibility::of_project(status, before),
            visibility::of_project(status, after),
        );
        let own = Scope::User(user);
        match (old > Visibility::None, new > Visibility::None) {
            (false, true) => {
                self.push_visibility_event(own, Action::Insert, PROJECTS, project.to_string())
            }
            // In full from now on.
            (true, true) if new > old => {
                self.push_visibility_event(own, Action::Insert, PROJECTS, project.to_string())
            }
            (true, false) => {
                self.push_visibility_event(own, Action::Delete, PROJECTS, project.to_string())
            }
            (true, true) | (false, false) => {}
        }
        let entry_status = after.map_or("", |after| after.status.as_str());
        self.push_change(
            action_for(before.is_some(), after.is_some()),
            MEMBERSHIPS,
            membership_key(project, user),
            entry_status,
        );
        if old > Visibility::None || new > Visibility::None {
            let action = action_for(old > Visibility::None, new > Visibility::None);
            self.push_event(own, action, MEMBERSHIPS, membership_key(project, user));
        }
        if status == ProjectStatus::Active {
            self.push_member_event(before, after, project, user);
        }
        match (before, after) {
            (None, Some(_)) => store::membership_slot::open(connection, project, user, start + 1)?,
            (Some(_), None) => store::membership_slot::close(connection, project, user, start + 1)?,
            (Some(_), Some(_)) | (None, None) => {}
        }
        let has_other_role = before
            .zip(after)
            .is_some_and(|(before, after)| before.role != after.role);
        match (old == Visibility::Inside, new == Visibility::Inside) {
            (false, true) => self.push_visibility_event_for_all_members(
                connection,
                own,
                Action::Insert,
                project,
            )?,
            (true, false) => self.push_visibility_event_for_all_members(
                connection,
                own,
                Action::Delete,
                project,
            )?,
            // Only an owner sees the options of others.
            (true, true) if has_other_role => self.push_visibility_event_for_all_members(
                connection,
                own,
                Action::Update,
                project,
            )?,
            (true, true) | (false, false) => {}
        }
        if old != new {
            if let Some(scope) = audience_for(old, project) {
                store::feed_subscription::close(connection, user, scope, start)?;
            }
            if let Some(scope) = audience_for(new, project) {
                store::feed_subscription::open(connection, &[user], scope, self.cursor)?;
            }
        }
        Ok(())
    }

    /// For those who are in the project.
    fn push_member_event(
        &mut self,
        before: Option<&Membership>,
        after: Option<&Membership>,
        project: Gid,
        user: Gid,
    ) {
        let scope = Scope::ProjectMembers(project);
        self.push_event(
            scope,
            action_for(before.is_some(), after.is_some()),
            MEMBERSHIPS,
            membership_key(project, user),
        );
        let shows = |membership: Option<&Membership>| {
            membership.is_some_and(|of| visibility::is_user_visible(of.status))
        };
        match (shows(before), shows(after)) {
            (false, true) => {
                self.push_visibility_event(scope, Action::Insert, USERS, user.to_string())
            }
            // Who sees them elsewhere keeps them.
            (true, false) => {
                self.push_visibility_event(scope, Action::Delete, USERS, user.to_string())
            }
            (true, true) | (false, false) => {}
        }
    }
}

/// What is said about a project where somebody hears it who sees so much of it.
const fn audience_for(sight: Visibility, project: Gid) -> Option<Scope> {
    match sight {
        Visibility::None => None,
        Visibility::Card => Some(Scope::Card(project)),
        Visibility::Inside => Some(Scope::ProjectMembers(project)),
    }
}

#[cfg(test)]
#[path = "membership_events_tests.rs"]
mod tests;
