//! What is told of a project: to all who see it, and to each whose sight of it a deletion or an undeletion changes.

use doorward_domain::{Gid, MembershipStatus, ProjectStatus};
use doorward_storage::{AnyConnection, Result};

use crate::feed::{
    append::{FeedPage, action_for, membership_key},
    new_change::{MEMBERSHIPS, PROJECTS},
};
use crate::{
    feed::audience::Scope,
    model::{Action, Membership, Project},
    store, visibility,
};

impl FeedPage {
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
        let (gid, owner) = (project.gid, project.owner);
        let (card, inside) = (Scope::Card(gid), Scope::ProjectMembers(gid));
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
            // Its owner's membership, which comes next, says it.
            (None, _) => {}
            (Some(_), None) => {
                self.push_event(
                    Scope::User(owner),
                    Action::Delete,
                    PROJECTS,
                    gid.to_string(),
                );
                self.push_visibility_event(
                    Scope::User(owner),
                    Action::Delete,
                    MEMBERSHIPS,
                    membership_key(gid, owner),
                );
                store::feed_subscription::close_all(connection, card, self.cursor)?;
                store::membership_slot::close_all(connection, gid, self.cursor)?;
            }
            (Some(old), Some(new)) if old == new => {
                self.push_event(card, Action::Update, PROJECTS, gid.to_string());
                self.push_event(inside, Action::Update, PROJECTS, gid.to_string());
            }
            (Some(_), Some(new)) => {
                let action = match new {
                    ProjectStatus::Active => Action::Insert,
                    ProjectStatus::Deleted => Action::Delete,
                };
                self.push_event(
                    Scope::User(owner),
                    Action::Update,
                    PROJECTS,
                    gid.to_string(),
                );
                self.push_event(card, action, PROJECTS, gid.to_string());
                self.push_event(inside, action, PROJECTS, gid.to_string());
                let all = store::membership::list_all(connection, gid)?;
                let concerned: Vec<&Membership> = all
                    .iter()
                    .filter(|own| own.user != owner && visibility::is_user_visible(own.status))
                    .collect();
                // Also to each alone: who follows as it happens doesn't listen there yet.
                for own in &concerned {
                    self.push_event(Scope::User(own.user), action, PROJECTS, gid.to_string());
                }
                for own in concerned {
                    self.push_visibility_event(
                        Scope::User(own.user),
                        action,
                        MEMBERSHIPS,
                        membership_key(gid, own.user),
                    );
                }
                self.push_visibility_event_for_all_members(connection, inside, action, gid)?;
                match new {
                    ProjectStatus::Active => open_subscriptions(connection, gid, &all, start)?,
                    ProjectStatus::Deleted => {
                        store::feed_subscription::close_all(connection, card, self.cursor)?;
                        store::feed_subscription::close_all(connection, inside, self.cursor)?;
                        store::feed_subscription::open(connection, &[owner], card, self.cursor)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// For the members of a project that is brought back.
fn open_subscriptions(
    connection: &mut AnyConnection,
    project: Gid,
    all: &[Membership],
    after: i64,
) -> Result<()> {
    let with = |status: MembershipStatus| -> Vec<Gid> {
        all.iter()
            .filter(|own| own.status == status)
            .map(|own| own.user)
            .collect()
    };
    // Until now it was its owner's alone.
    store::feed_subscription::close_all(connection, Scope::Card(project), after)?;
    store::feed_subscription::open(
        connection,
        &with(MembershipStatus::Invited),
        Scope::Card(project),
        after,
    )?;
    store::feed_subscription::open(
        connection,
        &with(MembershipStatus::Active),
        Scope::ProjectMembers(project),
        after,
    )
}
