//! Single users, projects and memberships as a caller sees them, and the update of a membership. An
//! entry that the caller is not allowed to see gives the same error as one that does not exist.
//! `users/init.rs` applies the same rules to all entries of a user at once.

use std::collections::HashMap;

use doorward_domain::{Gid, MembershipStatus, ProjectStatus, Role};
use doorward_storage::AnyConnection;

use crate::{
    Caller, Directory, Error, Member,
    caller::ActiveCaller,
    feed::{self, NewChange},
    members::access::{self, find_active_membership},
    model::{Membership, Notifications, Project, ProjectOptions, User},
    policy::Permission,
    store,
    users::init,
};

/// Members of a project, and the caller who sees them.
#[derive(Debug)]
pub struct VisibleMembers {
    pub caller: Gid,
    pub members: Vec<Member>,
    /// True if the caller is the owner, who sees the options of other members.
    pub is_owner: bool,
}

/// Fields of a membership to set; a field that is `None` keeps its value.
#[derive(Debug, Clone, Default)]
pub struct MemberChange {
    /// Requests per second; `Some(None)` removes the limit.
    pub limit: Option<Option<u32>>,
    pub notifications: Option<NotificationsChange>,
}

/// Notification settings to set; a field that is `None` keeps its value.
#[derive(Debug, Clone, Default)]
pub struct NotificationsChange {
    pub email: Option<String>,
    pub events: Option<Vec<String>>,
    pub frequency: Option<String>,
}

impl Directory {
    /// Returns a user who is the caller or shares an active project with them. The result has all
    /// fields; a caller of this function shows the summary only, unless the user is the caller.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::UserNotFound`], and database errors.
    pub async fn view_user(&self, caller: Caller, user: Gid) -> Result<User, Error> {
        self.database
            .read_snapshot(move |connection| {
                let caller = caller.active(connection)?.gid();
                let is_visible =
                    caller == user || store::init::shares_project(connection, caller, user)?;
                store::user::find(connection, user)?
                    .filter(|_| is_visible)
                    .ok_or(Error::UserNotFound)
            })
            .await
    }

    /// Returns a project; an invited caller gets no options.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::ProjectNotFound`], and database errors.
    pub async fn view_project(
        &self,
        caller: Caller,
        project: Gid,
    ) -> Result<(Project, Option<ProjectOptions>), Error> {
        self.database
            .read_snapshot(move |connection| {
                let caller = caller.active(connection)?.gid();
                let project =
                    store::project::find(connection, project)?.ok_or(Error::ProjectNotFound)?;
                let own = store::membership::find(connection, project.gid, caller)?;
                let own = own
                    .filter(|own| init::is_visible_to_holder(own, &project))
                    .ok_or(Error::ProjectNotFound)?;
                // The membership of an owner is active, so the owner sees the options of a deleted
                // project, too.
                let options = match own.status {
                    MembershipStatus::Active => {
                        Some(store::project_options::get(connection, project.gid)?)
                    }
                    MembershipStatus::Invited
                    | MembershipStatus::Declined
                    | MembershipStatus::Inactive => None,
                };
                Ok((project, options))
            })
            .await
    }

    /// Returns one membership: the caller's own, or that of another user in an active project of
    /// which the caller is an active member.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::MemberNotFound`], and database errors.
    pub async fn view_member(
        &self,
        caller: Caller,
        project: Gid,
        user: Gid,
    ) -> Result<VisibleMembers, Error> {
        self.database
            .read_snapshot(move |connection| {
                let caller = caller.active(connection)?.gid();
                let project =
                    store::project::find(connection, project)?.ok_or(Error::MemberNotFound)?;
                let own = store::membership::find(connection, project.gid, caller)?;
                let own = own
                    .filter(|own| init::is_visible_to_holder(own, &project))
                    .ok_or(Error::MemberNotFound)?;
                // An invited caller, or the owner of a deleted project, sees only their own
                // membership.
                let is_active_member = own.status == MembershipStatus::Active
                    && project.status == ProjectStatus::Active;
                if caller != user && !is_active_member {
                    return Err(Error::MemberNotFound);
                }
                let members = vec![find(connection, project.gid, user)?];
                Ok(VisibleMembers {
                    caller,
                    members,
                    is_owner: own.role == Role::Owner,
                })
            })
            .await
    }

    /// Returns several members of a project, in the order of `users`.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::MemberNotFound`], and database
    /// errors.
    pub async fn view_members(
        &self,
        caller: Caller,
        project: Gid,
        users: Vec<Gid>,
    ) -> Result<VisibleMembers, Error> {
        self.database
            .read_snapshot(move |connection| {
                let caller = caller.active(connection)?;
                access::authorize(connection, project, &caller, Permission::AccessProject)?;
                let members = find_many(connection, project, &users)?;
                visible_members(connection, &caller, project, members)
            })
            .await
    }

    /// Presents a member that a call has changed to the caller of that call.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], and database errors.
    pub async fn view_changed_member(
        &self,
        caller: Caller,
        member: Member,
    ) -> Result<VisibleMembers, Error> {
        let project = member.membership.project;
        self.database
            .read_snapshot(move |connection| {
                let caller = caller.active(connection)?;
                visible_members(connection, &caller, project, vec![member])
            })
            .await
    }

    /// Sets the rate limit, which only the owner is allowed to set, and the notification settings,
    /// which only the member themself is allowed to set.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::NotAMember`],
    /// [`Error::UserIsApiUser`], and database errors.
    pub async fn update_member(
        &self,
        caller: Caller,
        project: Gid,
        user: Gid,
        wanted: MemberChange,
    ) -> Result<VisibleMembers, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let caller = caller.active(connection)?;
            access::authorize(connection, project, &caller, Permission::AccessProject)?;
            // Each field has its own rule, so one call can fail for one of its fields only. Then
            // nothing is stored.
            if wanted.limit.is_some() {
                access::authorize(connection, project, &caller, Permission::ManageMembers)?;
            }
            if wanted.notifications.is_some() && caller.gid() != user {
                return Err(Error::Forbidden);
            }
            let old =
                store::membership::find(connection, project, user)?.ok_or(Error::NotAMember)?;
            // A program reads no notifications.
            if wanted.notifications.is_some() && old.role == Role::Api {
                return Err(Error::UserIsApiUser);
            }
            let new = apply_update(old.clone(), wanted);
            // A call that changes nothing adds no row to the feed.
            if new != old {
                store::membership::set_options(connection, &new, clock.now())?;
                let changes = vec![NewChange::Membership {
                    before: Some(old),
                    after: Some(new.clone()),
                }];
                feed::append(connection, changes, &*clock)?;
            }
            let user = store::user::find(connection, user)?.ok_or(Error::NotAMember)?;
            visible_members(
                connection,
                &caller,
                project,
                vec![Member {
                    user,
                    membership: new,
                }],
            )
        })
        .await
    }
}

fn find(connection: &mut AnyConnection, project: Gid, user: Gid) -> Result<Member, Error> {
    let membership =
        store::membership::find(connection, project, user)?.ok_or(Error::MemberNotFound)?;
    let user = store::user::find(connection, user)?.ok_or(Error::MemberNotFound)?;
    Ok(Member { user, membership })
}

/// Returns the members in the order of `users`; one that is missing is an error for all.
///
/// # Errors
/// [`Error::MemberNotFound`], and database errors.
fn find_many(
    connection: &mut AnyConnection,
    project: Gid,
    users: &[Gid],
) -> Result<Vec<Member>, Error> {
    // Two queries for all users, and not two for each of them.
    let memberships = store::membership::list_of_users(connection, project, users)?;
    let memberships: HashMap<Gid, Membership> =
        memberships.into_iter().map(|own| (own.user, own)).collect();
    let found = store::user::list_by_gids(connection, users)?;
    let found: HashMap<Gid, User> = found.into_iter().map(|user| (user.gid, user)).collect();
    let member = |gid: &Gid| {
        let (user, membership) = found
            .get(gid)
            .cloned()
            .zip(memberships.get(gid).cloned())
            .ok_or(Error::MemberNotFound)?;
        Ok(Member { user, membership })
    };
    users.iter().map(member).collect()
}

fn visible_members(
    connection: &mut AnyConnection,
    caller: &ActiveCaller,
    project: Gid,
    members: Vec<Member>,
) -> Result<VisibleMembers, Error> {
    let caller = caller.gid();
    let is_owner = find_active_membership(connection, project, caller)?
        .is_some_and(|own| own.role == Role::Owner);
    Ok(VisibleMembers {
        caller,
        members,
        is_owner,
    })
}

/// Merges the change into the membership; settings that were never set start from the defaults.
fn apply_update(old: Membership, wanted: MemberChange) -> Membership {
    let mut new = old;
    if let Some(limit) = wanted.limit {
        new.rate_limit_per_second = limit;
    }
    if let Some(wanted) = wanted.notifications {
        let Notifications {
            email,
            events,
            frequency,
        } = new.notifications.unwrap_or_default();
        new.notifications = Some(Notifications {
            email: wanted.email.or(email),
            events: wanted.events.unwrap_or(events),
            frequency: wanted.frequency.unwrap_or(frequency),
        });
    }
    new
}
