//! Feed events about a project: for all users who see it, and, when it is deleted or restored, for
//! each user whose visibility changes. It does not check permissions.
//!
//! Example: ann owns herbarium, ben is a member, dan is invited. ann deletes the project; the head
//! is 200, and there are 3 membership slots. The events are:
//!
//! 1. 201 `user/ann` UPDATE: she still sees the summary. 201 `summary/..`, `project/..`, `user/ben`
//!    and `user/dan` DELETE: ben and dan no longer see the project.
//! 2. 202 and 203: DELETE of the memberships herbarium/ben and herbarium/dan, each for its user.
//! 3. 204 to 209 `project/herbarium` DELETE of `herbarium/*`: the members and their users.
//! 4. All subscriptions to both audiences end at 209; ann's to the summary starts after 209.

use doorward_domain::{Gid, MembershipStatus, ProjectStatus};
use doorward_storage::{AnyConnection, Result};

use crate::feed::{
    new_change::{MEMBERSHIPS, PROJECTS},
    page::{FeedPage, action_for, membership_key},
};
use crate::{
    feed::audience::Audience,
    model::{Action, Membership, Project},
    store, visibility,
};

impl FeedPage {
    /// Appends a change of a project with its events, and opens and closes subscriptions.
    pub(crate) fn append_project(
        &mut self,
        connection: &mut AnyConnection,
        before: Option<&Project>,
        after: Option<&Project>,
    ) -> Result<()> {
        let start = self.cursor;
        let Some(project) = after.or(before) else {
            return Ok(());
        };
        let gid = project.gid;
        let owner = project.owner;
        let summary = Audience::Summary(gid);
        let members = Audience::Members(gid);
        let status = after.map_or("", |after| after.status.as_str());
        self.push_change(
            action_for(before.is_some(), after.is_some()),
            PROJECTS,
            gid.to_string(),
            status,
        );
        match (
            before.map(|before| before.status),
            after.map(|after| after.status),
        ) {
            // A new project has only its owner; the owner's membership follows as a change of its
            // own.
            (None, _) => {}
            // A purge. The project was deleted before, so only its owner still saw it.
            (Some(_), None) => {
                self.push_event(
                    Audience::User(owner),
                    Action::Delete,
                    PROJECTS,
                    gid.to_string(),
                );
                self.push_visibility_event(
                    Audience::User(owner),
                    Action::Delete,
                    MEMBERSHIPS,
                    membership_key(gid, owner),
                );
                store::feed_subscription::close_all(connection, summary, self.cursor)?;
                store::membership_slot::close_all(connection, gid, self.cursor)?;
            }
            (Some(old), Some(new)) if old == new => {
                self.push_event(summary, Action::Update, PROJECTS, gid.to_string());
                self.push_event(members, Action::Update, PROJECTS, gid.to_string());
            }
            (Some(_), Some(new)) => {
                let action = match new {
                    ProjectStatus::Active => Action::Insert,
                    ProjectStatus::Deleted => Action::Delete,
                };
                self.push_event(
                    Audience::User(owner),
                    Action::Update,
                    PROJECTS,
                    gid.to_string(),
                );
                self.push_event(summary, action, PROJECTS, gid.to_string());
                self.push_event(members, action, PROJECTS, gid.to_string());
                let all = store::membership::list_all(connection, gid)?;
                let others: Vec<&Membership> = all
                    .iter()
                    .filter(|own| own.user != owner && visibility::is_user_visible(own.status))
                    .collect();
                // Each user gets an event of their own, too: when the project is restored, a user
                // who is connected does not belong to the two audiences yet.
                for own in &others {
                    self.push_event(Audience::User(own.user), action, PROJECTS, gid.to_string());
                }
                for own in others {
                    self.push_visibility_event(
                        Audience::User(own.user),
                        action,
                        MEMBERSHIPS,
                        membership_key(gid, own.user),
                    );
                }
                self.push_visibility_event_for_all_members(connection, members, action, gid)?;
                match new {
                    ProjectStatus::Active => open_subscriptions(connection, gid, &all, start)?,
                    ProjectStatus::Deleted => {
                        store::feed_subscription::close_all(connection, summary, self.cursor)?;
                        store::feed_subscription::close_all(connection, members, self.cursor)?;
                        store::feed_subscription::open(connection, &[owner], summary, self.cursor)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Opens the subscriptions of the members and invited users of a restored project.
fn open_subscriptions(
    connection: &mut AnyConnection,
    project: Gid,
    all: &[Membership],
    after: i64,
) -> Result<()> {
    let users_with = |status: MembershipStatus| -> Vec<Gid> {
        all.iter()
            .filter(|own| own.status == status)
            .map(|own| own.user)
            .collect()
    };
    // While the project was deleted, only its owner belonged to the audience of its summary.
    store::feed_subscription::close_all(connection, Audience::Summary(project), after)?;
    store::feed_subscription::open(
        connection,
        &users_with(MembershipStatus::Invited),
        Audience::Summary(project),
        after,
    )?;
    store::feed_subscription::open(
        connection,
        &users_with(MembershipStatus::Active),
        Audience::Members(project),
        after,
    )
}
