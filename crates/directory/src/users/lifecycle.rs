//! Users: made, found, activated, deactivated, deleted.

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

/// What a user is made of.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub gid: Gid,
    pub username: Username,
    /// Taken as verified.
    pub email: Option<Email>,
    pub name: DisplayName,
    pub status: UserStatus,
    /// A code of the global list.
    pub language: String,
    pub timezone: Timezone,
}

impl NewUser {
    /// An active user with the defaults of the API.
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
    /// # Errors
    /// [`Error::UsernameTaken`], [`Error::GidTaken`], [`Error::UsernameNotOwnEmail`], and those of the database.
    pub async fn create_user(&self, new: NewUser) -> Result<User, Error> {
        let mut made = self.create_users(vec![new]).await?;
        made.pop().unwrap_or(Err(Error::UserNotFound))
    }

    /// Makes those that can be made, in one transaction; one answer for each, in order.
    ///
    /// # Errors
    /// Those of the database, and then none is made.
    pub async fn create_users(&self, new: Vec<NewUser>) -> Result<Vec<Result<User, Error>>, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| create_many(connection, new, &*clock))
            .await
    }

    /// What stands against making each of these, in order; nothing is made.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn check_users(&self, new: Vec<NewUser>) -> Result<Vec<Option<Error>>, Error> {
        let answers = self
            .database
            .read_snapshot(move |connection| check_creatable(connection, new))
            .await?;
        Ok(answers.into_iter().map(Result::err).collect())
    }

    /// Returns the user with this username.
    ///
    /// # Errors
    /// [`Error::UserNotFound`], database errors.
    pub async fn get_user_by_username(&self, username: &str) -> Result<User, Error> {
        let username = Username::parse_existing(username).map_err(|_| Error::UserNotFound)?;
        self.database
            .read_snapshot(move |connection| {
                store::user::find_by_username(connection, username.as_str())?
                    .ok_or(Error::UserNotFound)
            })
            .await
    }

    /// # Errors
    /// [`Error::UserNotFound`], and those of the database.
    pub async fn get_user_by_gid(&self, gid: Gid) -> Result<User, Error> {
        self.database
            .read_snapshot(move |connection| {
                store::user::find(connection, gid)?.ok_or(Error::UserNotFound)
            })
            .await
    }

    /// A page in the order of gids.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list_users(&self, after: Option<Gid>, limit: i64) -> Result<Vec<User>, Error> {
        self.database
            .read_snapshot(move |connection| Ok(store::user::list(connection, after, limit)?))
            .await
    }

    /// Activates or deactivates. A user who has the status already is left as they are.
    ///
    /// # Errors
    /// [`Error::UserNotFound`], [`Error::UserNotActive`] for who has no account yet, and those of the database.
    pub async fn set_user_status(&self, gid: Gid, status: UserStatus) -> Result<User, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| set_status(connection, gid, status, &*clock))
            .await
    }

    /// Deletes a user and their memberships.
    ///
    /// # Errors
    /// [`Error::UserNotFound`], [`Error::OwnsProjects`], and those of the database.
    pub async fn delete_user(&self, gid: Gid) -> Result<(), Error> {
        let clock = self.clock.clone();
        self.write(move |connection| delete(connection, gid, &*clock))
            .await
    }
}

/// Each as a user, or what stands against it.
fn check_creatable(
    connection: &mut AnyConnection,
    new: Vec<NewUser>,
) -> Result<Vec<Result<User, Error>>, Error> {
    let usernames: Vec<&str> = new.iter().map(|user| user.username.as_str()).collect();
    let gids: Vec<String> = new.iter().map(|user| user.gid.to_string()).collect();
    let (usernames, gids) = store::user::find_taken(connection, &usernames, &gids)?;
    let mut usernames: HashSet<String> = usernames.into_iter().collect();
    let mut gids: HashSet<String> = gids.into_iter().collect();
    let answers = new.into_iter().map(|user| {
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
    Ok(answers.collect())
}

fn create_many(
    connection: &mut AnyConnection,
    new: Vec<NewUser>,
    clock: &dyn Clock,
) -> Result<Vec<Result<User, Error>>, Error> {
    // First of all, as everywhere: who waits for a name while others wait for the feed would wait for ever.
    feed::lock(connection)?;
    let answers = check_creatable(connection, new)?;
    let made: Vec<User> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().ok().cloned())
        .collect();
    if made.is_empty() {
        return Ok(answers);
    }
    match store::user::insert_many(connection, &made, clock.now()) {
        // Somebody else took a name between our look and our insert.
        Err(doorward_storage::Error::UniqueViolation(_)) if made.len() == 1 => {
            return Err(Error::UsernameTaken);
        }
        done => done?,
    }
    let mut changes: Vec<NewChange> = made
        .iter()
        .map(|user| NewChange::user(Action::Insert, user.gid, user.status.as_str()))
        .collect();
    let verified = list_verified_addresses(connection, &made)?;
    for (user, email) in verified {
        changes.extend(placeholders::claim_invitations(
            connection,
            user,
            &email,
            clock.now(),
        )?);
    }
    feed::append(connection, changes, clock)?;
    Ok(answers)
}

/// Those whose address was invited before.
fn list_verified_addresses(
    connection: &mut AnyConnection,
    made: &[User],
) -> Result<Vec<(Gid, Email)>, Error> {
    let emails = made
        .iter()
        .filter_map(|user| Some((user.gid, Email::parse(user.email.as_deref()?).ok()?)));
    let emails: Vec<(Gid, Email)> = emails.collect();
    let folded: Vec<String> = emails.iter().map(|(_, email)| email.canonical()).collect();
    let invited: HashSet<String> = store::user::list_placeholder_addresses(connection, &folded)?
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
    // Active and without a username, it would be taken for an API user.
    if user.is_placeholder() {
        return Err(Error::UserNotActive);
    }
    if user.status != status {
        store::user::set_status(connection, gid, status, clock.now())?;
        let mut changes = vec![NewChange::user(Action::Update, gid, status.as_str())];
        // Its address may have been invited while nobody had an account with it.
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

pub(crate) fn delete(
    connection: &mut AnyConnection,
    gid: Gid,
    clock: &dyn Clock,
) -> Result<(), Error> {
    feed::lock(connection)?;
    let user = store::user::find(connection, gid)?.ok_or(Error::UserNotFound)?;
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
