//! Users as administrators manage them: create, find, activate, deactivate and delete. No
//! permission is checked here. Accounts that users create and change themselves are in
//! `accounts.rs`.

use std::collections::HashSet;

use doorward_domain::{Clock, DisplayName, Email, Gid, Timezone, UserStatus, Username, languages};
use doorward_storage::AnyConnection;

use crate::{
    Directory, Error,
    feed::{self, NewChange},
    media,
    members::placeholders,
    model::{Action, User},
    store,
};

/// Fields of a user to create.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub gid: Gid,
    pub username: Username,
    /// Address, which is treated as verified.
    pub email: Option<Email>,
    pub name: DisplayName,
    pub status: UserStatus,
    /// Code of the global list of languages.
    pub language: String,
    pub timezone: Timezone,
}

impl NewUser {
    /// Creates an active user with the defaults of the API.
    #[must_use]
    pub fn new(gid: Gid, username: Username, email: Option<Email>, name: DisplayName) -> Self {
        Self {
            gid,
            username,
            email,
            name,
            status: UserStatus::Active,
            language: "en".to_owned(),
            timezone: Timezone::default(),
        }
    }

    /// Checks the rules that involve more than one field or a list.
    ///
    /// # Errors
    /// [`Error::UsernameNotOwnEmail`], and [`Error::Malformed`] for an unknown language.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !self.username.is_allowed_for_email(self.email.as_ref()) {
            return Err(Error::UsernameNotOwnEmail);
        }
        if !languages::is_known(&self.language) {
            return Err(Error::Malformed(
                "language",
                doorward_domain::Malformed("is not in the global list"),
            ));
        }
        Ok(())
    }

    pub(crate) fn into_user(self) -> User {
        User {
            gid: self.gid,
            username: Some(self.username.to_string()),
            email: self.email.map(|email| email.to_string()),
            name: self.name.to_string(),
            avatar: None,
            status: self.status,
            language: self.language,
            timezone: self.timezone.to_string(),
        }
    }
}

impl Directory {
    /// Creates a user.
    ///
    /// # Errors
    /// [`Error::UsernameTaken`], [`Error::GidTaken`], [`Error::UsernameNotOwnEmail`],
    /// [`Error::Malformed`], and database errors.
    pub async fn create_user(&self, new: NewUser) -> Result<User, Error> {
        let mut results = self.create_users(vec![new]).await?;
        results.pop().unwrap_or(Err(Error::UserNotFound))
    }

    /// Creates the valid users in one transaction. Returns one result for each user, in the same
    /// order.
    ///
    /// # Errors
    /// Database errors; then no user is created.
    pub async fn create_users(&self, new: Vec<NewUser>) -> Result<Vec<Result<User, Error>>, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| create_many(connection, new, &*clock))
            .await
    }

    /// Returns for each user, in the same order, the error that its creation would give. Creates
    /// nothing.
    ///
    /// # Errors
    /// Database errors.
    pub async fn check_users(&self, new: Vec<NewUser>) -> Result<Vec<Option<Error>>, Error> {
        let results = self
            .database
            .read_snapshot(move |connection| check_creatable(connection, new))
            .await?;
        Ok(results.into_iter().map(Result::err).collect())
    }

    /// Returns the user with this username.
    ///
    /// # Errors
    /// [`Error::UserNotFound`], and database errors.
    pub async fn get_user_by_username(&self, username: &str) -> Result<User, Error> {
        let username = Username::parse_existing(username).map_err(|_| Error::UserNotFound)?;
        self.database
            .read_snapshot(move |connection| {
                store::user::find_by_username(connection, username.as_str())?
                    .ok_or(Error::UserNotFound)
            })
            .await
    }

    /// Returns the user with this gid.
    ///
    /// # Errors
    /// [`Error::UserNotFound`], and database errors.
    pub async fn get_user_by_gid(&self, gid: Gid) -> Result<User, Error> {
        self.database
            .read_snapshot(move |connection| {
                store::user::find(connection, gid)?.ok_or(Error::UserNotFound)
            })
            .await
    }

    /// Returns a page of users in the order of gids, after the last one of the previous page.
    ///
    /// # Errors
    /// Database errors.
    pub async fn list_users(&self, after: Option<Gid>, limit: i64) -> Result<Vec<User>, Error> {
        self.database
            .read_snapshot(move |connection| Ok(store::user::list(connection, after, limit)?))
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
        self.write(move |connection| delete(connection, gid, &*clock))
            .await
    }
}

/// Returns for each user, in the same order, the user to insert or the error against it. Two equal
/// usernames or gids in `new` count as taken for the second one.
fn check_creatable(
    connection: &mut AnyConnection,
    new: Vec<NewUser>,
) -> Result<Vec<Result<User, Error>>, Error> {
    let usernames: Vec<&str> = new.iter().map(|user| user.username.as_str()).collect();
    let gids: Vec<String> = new.iter().map(|user| user.gid.to_string()).collect();
    let (usernames, gids) = store::user::find_taken(connection, &usernames, &gids)?;
    let mut usernames: HashSet<String> = usernames.into_iter().collect();
    let mut gids: HashSet<String> = gids.into_iter().collect();
    let results = new.into_iter().map(|user| {
        user.check()?;
        if usernames.contains(user.username.as_str()) {
            return Err(Error::UsernameTaken);
        }
        if !gids.insert(user.gid.to_string()) {
            return Err(Error::GidTaken);
        }
        usernames.insert(user.username.to_string());
        Ok(user.into_user())
    });
    Ok(results.collect())
}

fn create_many(
    connection: &mut AnyConnection,
    new: Vec<NewUser>,
    clock: &dyn Clock,
) -> Result<Vec<Result<User, Error>>, Error> {
    // The lock comes first in every change. Two transactions that take it and a username in
    // different orders would be a deadlock.
    feed::lock(connection)?;
    let results = check_creatable(connection, new)?;
    let users: Vec<User> = results
        .iter()
        .filter_map(|result| result.as_ref().ok().cloned())
        .collect();
    if users.is_empty() {
        return Ok(results);
    }
    match store::user::insert_many(connection, &users, clock.now()) {
        // A violation does not say which of several users it is about, so that is a database error.
        Err(doorward_storage::Error::UniqueViolation(_)) if users.len() == 1 => {
            return Err(Error::UsernameTaken);
        }
        done => done?,
    }
    let mut changes: Vec<NewChange> = users
        .iter()
        .map(|user| NewChange::user(Action::Insert, user.gid, user.status.as_str()))
        .collect();
    for (user, email) in list_invited(connection, &users)? {
        changes.extend(placeholders::claim_invitations(
            connection,
            user,
            &email,
            clock.now(),
        )?);
    }
    feed::append(connection, changes, clock)?;
    Ok(results)
}

/// Returns the users whose address has a placeholder account, with the address. One query for all
/// of them keeps bulk imports fast.
fn list_invited(
    connection: &mut AnyConnection,
    users: &[User],
) -> Result<Vec<(Gid, Email)>, Error> {
    let emails = users
        .iter()
        .filter_map(|user| Some((user.gid, Email::parse(user.email.as_deref()?).ok()?)));
    let emails: Vec<(Gid, Email)> = emails.collect();
    let canonical: Vec<String> = emails.iter().map(|(_, email)| email.canonical()).collect();
    let invited: HashSet<String> = store::user::list_placeholder_addresses(connection, &canonical)?
        .into_iter()
        .collect();
    Ok(emails
        .into_iter()
        .filter(|(_, email)| invited.contains(&email.canonical()))
        .collect())
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
