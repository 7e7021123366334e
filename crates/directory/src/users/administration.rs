//! Calls of administrators about an existing user, from the command line: edit, activate,
//! deactivate and delete. They are not bound by the rules for callers, but they keep the same
//! invariants. Creation is in `create.rs`.

use doorward_domain::{Clock, DisplayName, Email, Gid, UserStatus, Username};
use doorward_storage::AnyConnection;

use crate::{
    Directory, Error,
    feed::{self, NewChange},
    members::placeholders,
    model::{Action, Project, User},
    store,
    users::changes,
};

/// Fields of a user that an administrator sets; a field that is `None` keeps its value.
#[derive(Debug, Clone, Default)]
pub struct UserEdit {
    pub username: Option<Username>,
    /// Address, which is treated as verified.
    pub email: Option<Email>,
    pub name: Option<DisplayName>,
}

impl Directory {
    /// Changes a user and returns the new state. Sends no mail.
    ///
    /// # Errors
    /// [`Error::UserNotFound`]; [`Error::UserNotActive`] for a placeholder account;
    /// [`Error::UserIsApiUser`] for a username or an address of an API user;
    /// [`Error::UsernameTaken`]; [`Error::UsernameNotOwnEmail`]; database errors.
    pub async fn edit_user(&self, gid: Gid, edit: UserEdit) -> Result<User, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| edit_user(connection, gid, edit, &*clock))
            .await
    }

    /// Activates or deactivates a user. A user who has the status already stays unchanged.
    ///
    /// # Errors
    /// [`Error::UserNotFound`], [`Error::UserNotActive`] for a placeholder account, and database
    /// errors.
    pub async fn set_user_status(&self, gid: Gid, status: UserStatus) -> Result<User, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| set_status(connection, gid, status, &*clock))
            .await
    }

    /// Deletes a user and their memberships.
    ///
    /// # Errors
    /// [`Error::UserNotFound`], [`Error::OwnsProjects`], and database errors.
    pub async fn delete_user(&self, gid: Gid) -> Result<(), Error> {
        let clock = self.clock.clone();
        self.write(move |connection| changes::delete(connection, gid, &*clock))
            .await
    }

    /// Returns projects that the user owns, deleted ones included, in the order of their gids.
    ///
    /// # Errors
    /// Database errors.
    pub async fn list_owned_projects(&self, owner: Gid, limit: i64) -> Result<Vec<Project>, Error> {
        self.database
            .read_snapshot(move |connection| {
                Ok(store::project::list_of_owner(connection, owner, limit)?)
            })
            .await
    }
}

fn edit_user(
    connection: &mut AnyConnection,
    gid: Gid,
    edit: UserEdit,
    clock: &dyn Clock,
) -> Result<User, Error> {
    feed::lock(connection)?;
    let old = store::user::find(connection, gid)?.ok_or(Error::UserNotFound)?;
    // With a username it would count as an account, although no user has signed up.
    if old.is_placeholder() {
        return Err(Error::UserNotActive);
    }
    if old.is_api_user() && (edit.username.is_some() || edit.email.is_some()) {
        return Err(Error::UserIsApiUser);
    }
    let mut new = old.clone();
    if let Some(email) = &edit.email {
        new.email = Some(email.to_string());
    }
    if let Some(username) = edit.username
        && old.username.as_deref() != Some(username.as_str())
    {
        // The new address counts, if the same call sets one.
        let email = new
            .email
            .as_deref()
            .and_then(|email| Email::parse(email).ok());
        if !username.is_allowed_for_email(email.as_ref()) {
            return Err(Error::UsernameNotOwnEmail);
        }
        if store::user::find_by_username(connection, username.as_str())?.is_some() {
            return Err(Error::UsernameTaken);
        }
        new.username = Some(username.to_string());
    }
    if let Some(name) = edit.name {
        new.name = name.to_string();
    }
    changes::save(connection, &old, &new, clock)?;
    // An inactive account receives the invitations of its address when it is activated.
    if let (Some(email), UserStatus::Active) = (edit.email, new.status) {
        let moved = placeholders::claim_invitations(connection, gid, &email, clock.now())?;
        feed::append(connection, moved, clock)?;
    }
    Ok(new)
}

fn set_status(
    connection: &mut AnyConnection,
    gid: Gid,
    status: UserStatus,
    clock: &dyn Clock,
) -> Result<User, Error> {
    feed::lock(connection)?;
    let mut user = store::user::find(connection, gid)?.ok_or(Error::UserNotFound)?;
    // An active user without a username would count as an API user.
    if user.is_placeholder() {
        return Err(Error::UserNotActive);
    }
    if user.status != status {
        store::user::set_status(connection, gid, status, clock.now())?;
        let mut changes = vec![NewChange::user(Action::Update, gid, status.as_str())];
        // While the account was inactive, its address may have been invited by a new placeholder
        // account.
        if let (UserStatus::Active, Some(Ok(email))) =
            (status, user.email.as_deref().map(Email::parse))
        {
            changes.extend(placeholders::claim_invitations(
                connection,
                gid,
                &email,
                clock.now(),
            )?);
        }
        feed::append(connection, changes, clock)?;
        user.status = status;
    }
    Ok(user)
}
