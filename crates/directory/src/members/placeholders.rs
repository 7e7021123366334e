//! Places of people who were invited by email and have no account yet: made, found, and taken over by the account that proves
//! the address.

use doorward_domain::{Email, Gid, MembershipStatus, Timestamp, Timezone, UserStatus};
use doorward_storage::AnyConnection;

use crate::{
    AccountQuery, Error,
    feed::NewChange,
    members::{invitations::apply_transition, transitions::Step},
    model::{Action, Membership, User},
    store,
    users::accounts,
};

/// Who is to be invited.
pub(crate) enum Invitee {
    Existing(User),
    /// To be made: the place that an account with this address will take.
    Placeholder(User),
}

/// Who has this username or address, or will have an account with the address.
pub(crate) fn find_invitee(
    connection: &mut AnyConnection,
    name: &str,
    new_gid: Gid,
    inviter: &User,
) -> Result<Invitee, Error> {
    let accounts = accounts::find_accounts(
        connection,
        &AccountQuery::Either(name.to_owned()),
        &[UserStatus::Active],
    )?;
    let email = Email::parse(name).ok();
    // An address may be somebody's name who had it once: it is the one who has it now that is meant.
    let has = |user: &User, email: &Email| {
        user.email
            .as_deref()
            .is_some_and(|own| Email::parse(own).as_ref() == Ok(email))
    };
    let is_meant = |user: &User| email.as_ref().is_none_or(|email| has(user, email));
    if let Some(user) = accounts.into_iter().find(is_meant) {
        return Ok(Invitee::Existing(user));
    }
    let email = email.ok_or(Error::UserNotFound)?;
    // An inactive account of this address is found by `check_can_answer`.
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
        // Who writes to somebody knows best which language they read.
        language: inviter.language.clone(),
        timezone: Timezone::default().to_string(),
    }))
}

/// Refuses to invite a user who can neither log in nor sign up: such an invitation could not be answered by anyone.
///
/// # Errors
/// [`Error::UserNotFound`] for an account that is not active, and for a placeholder account whose address belongs to one.
pub(crate) fn check_can_respond(connection: &mut AnyConnection, user: &User) -> Result<(), Error> {
    let can_answer = match user.status {
        UserStatus::Active => true,
        UserStatus::Inactive | UserStatus::Deleted => false,
        UserStatus::Invited => {
            let email = user
                .email
                .as_deref()
                .and_then(|email| Email::parse(email).ok())
                .ok_or(Error::UserNotFound)?;
            // The placeholder comes first. An active account would have taken it over.
            store::user::list_by_email(connection, &email, 2)?
                .iter()
                .all(User::is_placeholder)
        }
    };
    if can_answer {
        Ok(())
    } else {
        Err(Error::UserNotFound)
    }
}

/// When somebody proves an address, what it was invited to is theirs.
pub(crate) fn claim_invitations(
    connection: &mut AnyConnection,
    user: Gid,
    email: &Email,
    now: Timestamp,
) -> Result<Vec<NewChange>, Error> {
    let holders = store::user::list_by_email(connection, email, 1)?;
    match holders
        .into_iter()
        .find(|holder| holder.is_placeholder() && holder.gid != user)
    {
        Some(placeholder) => merge_placeholder(connection, placeholder.gid, user, now),
        None => Ok(Vec::new()),
    }
}

/// Moves the open invitations of a placeholder account to another user, and deletes the placeholder account.
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
            let (project, invitation) = (
                old.project,
                store::invitation::find(connection, old.project, placeholder)?,
            );
            store::membership::delete(connection, project, placeholder)?;
            let moved = move_invitation(connection, user, old, now)?;
            // The link that was emailed stays valid.
            if let (Some(_), Some(invitation)) = (&moved, invitation) {
                store::invitation::set(connection, project, user, invitation)?;
            }
            changes.extend(moved);
        }
    }
    store::membership::delete_all_of_user(connection, placeholder)?;
    store::user::delete(connection, placeholder)?;
    changes.push(NewChange::user(Action::Delete, placeholder, ""));
    Ok(changes)
}

/// An open invitation, for an account. What the account has declined in the project is open again; a member stays one.
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
