//! Changes of users that the calls of users and of administrators share: each changes the rows and
//! appends to the feed. The callers of these functions check permissions.

use doorward_domain::{Clock, Gid};
use doorward_storage::AnyConnection;

use crate::{
    Error,
    feed::{self, NewChange},
    media,
    model::{Action, User},
    store,
};

/// Stores a changed user and appends the changes to the feed.
///
/// # Errors
/// [`Error::UsernameTaken`], and database errors.
pub(crate) fn save(
    connection: &mut AnyConnection,
    old: &User,
    new: &User,
    clock: &dyn Clock,
) -> Result<(), Error> {
    if old == new {
        return Ok(());
    }
    match store::user::update(connection, new, clock.now()) {
        // The unique index decides, as for a new account.
        Err(doorward_storage::Error::UniqueViolation(_)) => return Err(Error::UsernameTaken),
        done => done?,
    }
    let mut changes = vec![NewChange::user(
        Action::Update,
        new.gid,
        new.status.as_str(),
    )];
    if old.email != new.email {
        changes.push(NewChange::EmailChanged(new.gid));
    }
    feed::append(connection, changes, clock)?;
    Ok(())
}

/// Deletes a user, their memberships and their avatar.
///
/// # Errors
/// [`Error::UserNotFound`], [`Error::OwnsProjects`], and database errors.
pub(crate) fn delete(
    connection: &mut AnyConnection,
    gid: Gid,
    clock: &dyn Clock,
) -> Result<(), Error> {
    feed::lock(connection)?;
    let user = store::user::find(connection, gid)?.ok_or(Error::UserNotFound)?;
    // Deleted projects count, too: their owner must be able to undelete them.
    if store::project::is_owner_of_any(connection, gid)? {
        return Err(Error::OwnsProjects);
    }
    let mut changes = Vec::new();
    for membership in store::membership::list_of_user(connection, gid)? {
        changes.push(NewChange::Membership {
            before: Some(membership),
            after: None,
        });
    }
    changes.push(NewChange::user(Action::Delete, gid, ""));
    store::membership::delete_all_of_user(connection, gid)?;
    store::user::delete(connection, gid)?;
    media::discard_avatar(connection, &user, clock)?;
    feed::append(connection, changes, clock)?;
    Ok(())
}
