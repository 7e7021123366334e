//! Placeholder accounts: users that stand for invited addresses without an account. This module
//! finds them, builds them, and merges them into the account that verifies the address. It does not
//! send mails and does not decide who is allowed to invite.
//!
//! Example: `eve@example.org` has no account.
//!
//! 1. Project A invites `eve@example.org`. [`find_invitee`] returns a placeholder account P, and
//!    the invitation inserts P and the membership (A, P, invited) with the link id `i1`.
//! 2. Project B invites `Eve@Example.org`. That is the same canonical address, so [`find_invitee`]
//!    finds P, and there is one more membership: (B, P, invited). It is declined by its link.
//! 3. If a user signs up with the address, `create_account` makes P itself the account. The gid and
//!    both memberships stay, the declined one too.
//! 4. If instead an existing account E verifies the address, [`claim_invitations`] merges P into E:
//!    (A, P) becomes (A, E, invited), still with the link id `i1`; (B, P) was declined and is
//!    deleted; P is deleted. If E was a member of A before, that membership stays unchanged.

use doorward_domain::{Email, Gid, MembershipStatus, Timestamp, Timezone, UserStatus};
use doorward_storage::AnyConnection;

use crate::{
    Error,
    feed::NewChange,
    members::{status_changes::apply_transition, transitions::Step},
    model::{Action, Membership, User},
    store,
    users::find::{self, AccountQuery},
};

/// The user that an invitation is for.
pub(crate) enum Invitee {
    Existing(User),
    /// A placeholder account that the caller must insert.
    Placeholder(User),
}

/// Finds the user with this username or address. For an address without a user, builds a
/// placeholder account with the gid `new_gid`.
///
/// # Errors
/// [`Error::UserNotFound`] if the text is neither an address nor the username of an active account,
/// and database errors.
pub(crate) fn find_invitee(
    connection: &mut AnyConnection,
    name: &str,
    new_gid: Gid,
    inviter: &User,
) -> Result<Invitee, Error> {
    let accounts = find::find_accounts(
        connection,
        &AccountQuery::Either(name.to_owned()),
        &[UserStatus::Active],
    )?;
    let email = Email::parse(name).ok();
    // An address can be the username of an account that had the address earlier. The invitation is
    // for the account that has the address now.
    let has = |user: &User, email: &Email| {
        user.email
            .as_deref()
            .is_some_and(|own| Email::parse(own).as_ref() == Ok(email))
    };
    let is_match = |user: &User| email.as_ref().is_none_or(|email| has(user, email));
    if let Some(user) = accounts.into_iter().find(is_match) {
        return Ok(Invitee::Existing(user));
    }
    let email = email.ok_or(Error::UserNotFound)?;
    // An inactive account with this address is not found here; `check_can_respond` rejects it.
    let holders = store::user::list_by_email(connection, &email, 1)?;
    if let Some(placeholder) = holders.into_iter().find(User::is_placeholder) {
        return Ok(Invitee::Existing(placeholder));
    }
    Ok(Invitee::Placeholder(User {
        gid: new_gid,
        username: None,
        email: Some(email.to_string()),
        name: String::new(),
        avatar: None,
        status: UserStatus::Invited,
        // The language of an invited address is unknown; that of the inviter is the best guess.
        language: inviter.language.clone(),
        timezone: Timezone::default().to_string(),
    }))
}

/// Checks that a user can log in or sign up. Otherwise no user could respond to the invitation.
///
/// # Errors
/// [`Error::UserNotFound`] for an account that is not active, and for a placeholder account whose
/// address belongs to such an account; database errors.
pub(crate) fn check_can_respond(connection: &mut AnyConnection, user: &User) -> Result<(), Error> {
    let can_respond = match user.status {
        UserStatus::Active => true,
        UserStatus::Inactive | UserStatus::Deleted => false,
        UserStatus::Invited => {
            let email = user
                .email
                .as_deref()
                .and_then(|email| Email::parse(email).ok())
                .ok_or(Error::UserNotFound)?;
            // The list has the placeholder account first, so any second user is an account. It is
            // not active: an active account would have taken the placeholder account over.
            store::user::list_by_email(connection, &email, 2)?
                .iter()
                .all(User::is_placeholder)
        }
    };
    if can_respond {
        Ok(())
    } else {
        Err(Error::UserNotFound)
    }
}

/// Moves the invitations of an address to the user who verified it, and returns the changes for the
/// feed. An address without a placeholder account has no invitations.
///
/// # Errors
/// Database errors.
pub(crate) fn claim_invitations(
    connection: &mut AnyConnection,
    user: Gid,
    email: &Email,
    now: Timestamp,
) -> Result<Vec<NewChange>, Error> {
    // One row is enough: the list has a placeholder account first.
    let holders = store::user::list_by_email(connection, email, 1)?;
    match holders
        .into_iter()
        .find(|holder| holder.is_placeholder() && holder.gid != user)
    {
        Some(placeholder) => merge_placeholder(connection, placeholder.gid, user, now),
        None => Ok(Vec::new()),
    }
}

/// Moves the open invitations of a placeholder account to another user, and deletes the placeholder
/// account. Returns the changes for the feed.
///
/// # Errors
/// Database errors.
pub(crate) fn merge_placeholder(
    connection: &mut AnyConnection,
    placeholder: Gid,
    user: Gid,
    now: Timestamp,
) -> Result<Vec<NewChange>, Error> {
    let mut changes = Vec::new();
    for old in store::membership::list_of_user(connection, placeholder)? {
        changes.push(NewChange::Membership {
            before: Some(old.clone()),
            after: None,
        });
        if old.status == MembershipStatus::Invited {
            let project = old.project;
            // The id must be read before the delete, and set after it, because it is unique.
            let invitation = store::invitation::find(connection, project, placeholder)?;
            store::membership::delete(connection, project, placeholder)?;
            let moved = move_invitation(connection, user, old, now)?;
            // With the same id, the link that was emailed stays valid.
            if let (Some(_), Some(invitation)) = (&moved, invitation) {
                store::invitation::set(connection, project, user, invitation)?;
            }
            changes.extend(moved);
        }
    }
    // The declined memberships are left; the account did not decline them itself.
    store::membership::delete_all_of_user(connection, placeholder)?;
    store::user::delete(connection, placeholder)?;
    changes.push(NewChange::user(Action::Delete, placeholder, ""));
    Ok(changes)
}

/// Gives an open invitation to an account. An invitation that the account declined in the project
/// is open again; every other membership of the account stays unchanged. Returns the change, if
/// any.
fn move_invitation(
    connection: &mut AnyConnection,
    user: Gid,
    invitation: Membership,
    now: Timestamp,
) -> Result<Option<NewChange>, Error> {
    let Some(own) = store::membership::find(connection, invitation.project, user)? else {
        let new = Membership { user, ..invitation };
        store::membership::insert(connection, &new, now)?;
        return Ok(Some(NewChange::Membership {
            before: None,
            after: Some(new),
        }));
    };
    if own.status != MembershipStatus::Declined {
        return Ok(None);
    }
    let (_, changed) = apply_transition(connection, own.project, user, Step::Invite, now)?;
    Ok(changed)
}
