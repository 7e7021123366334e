//! Changes of the status of a membership: the calls leave, remove, deactivate and activate, and the
//! function that applies a step, which invitations use, too. Each call checks who calls, takes one
//! step of `transitions.rs`, and appends the change to the feed in the same transaction.

use doorward_domain::{Gid, Role, Timestamp};
use doorward_storage::AnyConnection;

use crate::{
    Actor, Caller, Directory, Error,
    caller::ActiveCaller,
    feed::{self, NewChange},
    members::{
        access,
        transitions::{self, Step},
    },
    model::{Action, Member, Membership},
    policy::Permission,
    store,
};

impl Directory {
    /// Deletes the caller's own membership, also while the project is deleted.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] to API users, [`Error::NotAMember`],
    /// [`Error::UserIsOwner`], and database errors.
    pub async fn leave_project(&self, caller: Caller, project: Gid) -> Result<(), Error> {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let caller = caller.active_account(connection)?.gid();
            let project = store::project::find(connection, project)?.ok_or(Error::NotAMember)?;
            let (_, changes) =
                apply_transition(connection, project.gid, caller, Step::Leave, clock.now())?;
            feed::append(connection, changes.into_iter().collect(), &*clock)?;
            Ok(())
        })
        .await
    }

    /// Deletes a membership. The owner, an administrator, or the member themself is allowed to.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`] and [`Error::Forbidden`] to a caller, [`Error::ProjectNotFound`]
    /// to an administrator; [`Error::NotAMember`], [`Error::UserIsOwner`],
    /// [`Error::UserIsApiUser`], and database errors.
    pub async fn remove_member(&self, actor: Actor, project: Gid, user: Gid) -> Result<(), Error> {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let caller = actor.active(connection)?;
            let is_own = caller.as_ref().is_some_and(|caller| caller.gid() == user);
            let permission = if is_own {
                Permission::AccessProject
            } else {
                Permission::ManageMembers
            };
            authorize(connection, caller.as_ref(), project, permission)?;
            let (_, changes) =
                apply_transition(connection, project, user, Step::Remove, clock.now())?;
            let mut changes: Vec<NewChange> = changes.into_iter().collect();
            // A placeholder account is deleted with its last membership. The next invitation of the
            // address creates another one.
            if is_unused_placeholder(connection, user)? {
                store::user::delete(connection, user)?;
                changes.push(NewChange::user(Action::Delete, user, ""));
            }
            feed::append(connection, changes, &*clock)?;
            Ok(())
        })
        .await
    }

    /// Activates or deactivates a membership.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::NotAMember`],
    /// [`Error::MemberNotActive`], [`Error::UserIsOwner`], [`Error::UserIsApiUser`], and database
    /// errors.
    pub async fn set_member_status(
        &self,
        caller: Caller,
        project: Gid,
        user: Gid,
        is_active: bool,
    ) -> Result<Member, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let caller = caller.active(connection)?;
            access::authorize(connection, project, &caller, Permission::ManageMembers)?;
            let step = if is_active {
                Step::Activate
            } else {
                Step::Deactivate
            };
            let (membership, changes) =
                apply_transition(connection, project, user, step, clock.now())?;
            if let Some(changed) = changes {
                feed::append(connection, vec![changed], &*clock)?;
            }
            let user = store::user::find(connection, user)?.ok_or(Error::NotAMember)?;
            Ok(Member {
                user,
                membership: membership.ok_or(Error::NotAMember)?,
            })
        })
        .await
    }
}

/// Applies a step to the membership of a user. Returns the membership after the step, and the
/// change that the caller must append to the feed. Both are `None` where there is no membership or
/// change.
///
/// # Errors
/// The errors of [`transitions::next_status`], and database errors.
pub(crate) fn apply_transition(
    connection: &mut AnyConnection,
    project: Gid,
    user: Gid,
    step: Step,
    now: Timestamp,
) -> Result<(Option<Membership>, Option<NewChange>), Error> {
    let old = store::membership::find(connection, project, user)?;
    let next = transitions::next_status(old.as_ref().map(|old| (old.status, old.role)), step)?;
    match (old, next) {
        // Nothing changes, so nothing is written and the feed gets no row.
        (Some(old), Some(status)) if old.status == status => Ok((Some(old), None)),
        (Some(old), Some(status)) => {
            store::membership::set_status(connection, project, user, status, now)?;
            let new = Membership {
                status,
                ..old.clone()
            };
            let changed = NewChange::Membership {
                before: Some(old),
                after: Some(new.clone()),
            };
            Ok((Some(new), Some(changed)))
        }
        (None, Some(status)) => {
            let new = Membership {
                project,
                user,
                role: Role::Member,
                status,
                rate_limit_per_second: None,
                notifications: None,
            };
            store::membership::insert(connection, &new, now)?;
            let changed = NewChange::Membership {
                before: None,
                after: Some(new.clone()),
            };
            Ok((Some(new), Some(changed)))
        }
        (Some(old), None) => {
            store::membership::delete(connection, project, user)?;
            Ok((
                None,
                Some(NewChange::Membership {
                    before: Some(old),
                    after: None,
                }),
            ))
        }
        (None, None) => Ok((None, None)),
    }
}

/// Checks the permission of a caller. For an administrator (`None`) it only checks that the project
/// exists.
fn authorize(
    connection: &mut AnyConnection,
    caller: Option<&ActiveCaller>,
    project: Gid,
    permission: Permission,
) -> Result<(), Error> {
    match caller {
        Some(caller) => access::authorize(connection, project, caller, permission),
        None => store::project::find(connection, project)?
            .map(drop)
            .ok_or(Error::ProjectNotFound),
    }
}

/// Checks whether a user is a placeholder account without any membership. Such a user serves no
/// purpose.
fn is_unused_placeholder(connection: &mut AnyConnection, user: Gid) -> Result<bool, Error> {
    let is_placeholder =
        store::user::find(connection, user)?.is_some_and(|user| user.is_placeholder());
    Ok(is_placeholder && store::membership::list_of_user(connection, user)?.is_empty())
}
