//! Feed events about a membership: for its user, and for the members of the project. The example in
//! `append.rs` shows the events of an accepted invitation. It does not check permissions.

use doorward_domain::{Gid, ProjectStatus};
use doorward_storage::{AnyConnection, Result};

use crate::feed::{
    new_change::{MEMBERSHIPS, PROJECTS, USERS},
    page::{FeedPage, action_for, membership_key},
};
use crate::{
    feed::audience::Audience,
    model::{Action, Membership},
    store,
    visibility::{self, Visibility},
};

impl FeedPage {
    /// Appends a change of a membership with its events, opens or closes its slot, and moves the
    /// user's subscription to the audience that matches the new visibility.
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
        let old = visibility::of_project(status, before);
        let new = visibility::of_project(status, after);
        let own = Audience::User(user);
        match (old > Visibility::Hidden, new > Visibility::Hidden) {
            (false, true) => {
                self.push_visibility_event(own, Action::Insert, PROJECTS, project.to_string());
            }
            // The user saw only the summary before. Clients fetch an inserted project in full.
            (true, true) if new > old => {
                self.push_visibility_event(own, Action::Insert, PROJECTS, project.to_string());
            }
            (true, false) => {
                self.push_visibility_event(own, Action::Delete, PROJECTS, project.to_string());
            }
            (true, true) | (false, false) => {}
        }
        // The event about the project comes first, so clients know the project of the membership.
        let entry_status = after.map_or("", |after| after.status.as_str());
        self.push_change(
            action_for(before.is_some(), after.is_some()),
            MEMBERSHIPS,
            membership_key(project, user),
            entry_status,
        );
        if old > Visibility::Hidden || new > Visibility::Hidden {
            let action = action_for(old > Visibility::Hidden, new > Visibility::Hidden);
            self.push_event(own, action, MEMBERSHIPS, membership_key(project, user));
        }
        // A deleted project has no members who see it.
        if status == ProjectStatus::Active {
            self.push_member_event(before, after, project, user);
        }
        // The slot is opened before the event about all members, because the range of the event
        // needs cursors for it.
        match (before, after) {
            (None, Some(_)) => store::membership_slot::open(connection, project, user, start + 1)?,
            (Some(_), None) => store::membership_slot::close(connection, project, user, start + 1)?,
            (Some(_), Some(_)) | (None, None) => {}
        }
        let has_other_role = before
            .zip(after)
            .is_some_and(|(before, after)| before.role != after.role);
        match (old == Visibility::Full, new == Visibility::Full) {
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
            // Only the owner sees the rate limits of other members.
            (true, true) if has_other_role => self.push_visibility_event_for_all_members(
                connection,
                own,
                Action::Update,
                project,
            )?,
            (true, true) | (false, false) => {}
        }
        // The events of this change are in neither subscription: the user receives them alone.
        if old != new {
            if let Some(audience) = audience_for(old, project) {
                store::feed_subscription::close(connection, user, audience, start)?;
            }
            if let Some(audience) = audience_for(new, project) {
                store::feed_subscription::open(connection, &[user], audience, self.cursor)?;
            }
        }
        Ok(())
    }

    /// Adds the events for the active members of the project.
    fn push_member_event(
        &mut self,
        before: Option<&Membership>,
        after: Option<&Membership>,
        project: Gid,
        user: Gid,
    ) {
        let audience = Audience::Members(project);
        self.push_event(
            audience,
            action_for(before.is_some(), after.is_some()),
            MEMBERSHIPS,
            membership_key(project, user),
        );
        let shows_user = |membership: Option<&Membership>| {
            membership.is_some_and(|shown| visibility::is_user_visible(shown.status))
        };
        match (shows_user(before), shows_user(after)) {
            (false, true) => {
                self.push_visibility_event(audience, Action::Insert, USERS, user.to_string());
            }
            // Members who share another project with the user do not receive this row: Sync drops a
            // DELETE of an entry that is still visible.
            (true, false) => {
                self.push_visibility_event(audience, Action::Delete, USERS, user.to_string());
            }
            (true, true) | (false, false) => {}
        }
    }
}

/// Returns the audience of a project to which a user with this visibility belongs.
const fn audience_for(visibility: Visibility, project: Gid) -> Option<Audience> {
    match visibility {
        Visibility::Hidden => None,
        Visibility::Summary => Some(Audience::Summary(project)),
        Visibility::Full => Some(Audience::Members(project)),
    }
}

#[cfg(test)]
#[path = "membership_events_tests.rs"]
mod tests;
