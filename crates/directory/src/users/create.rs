//! Creation of users by administrators, one or many at a time. No permission is checked here. The
//! account of a signup is created in `accounts.rs`.

use std::collections::HashSet;

use doorward_domain::{Clock, DisplayName, Email, Gid, Timezone, UserStatus, Username, languages};
use doorward_storage::AnyConnection;

use crate::{
    Directory, Error,
    feed::{self, NewChange},
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
