//! Accounts, as people make, find, change and end their own.

use doorward_domain::{
    Clock, DisplayName, Email, Gid, Malformed, Timezone, UserStatus, Username, languages,
};
use doorward_mail::{MailContent, NewMail};
use doorward_storage::AnyConnection;

use crate::{
    Caller, Directory, Error, NewUser,
    feed::{self, NewChange},
    members::placeholders,
    model::{Action, User},
    store,
    users::lifecycle,
};

/// More accounts than anybody has with one address.
const MAX_ACCOUNTS: i64 = 100;

/// By what accounts are looked for.
#[derive(Debug, Clone)]
pub enum AccountQuery {
    Username(String),
    Email(String),
    /// An address that accounts have, or else a username.
    Either(String),
}

/// A signup whose codes were right.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Names the signup.
    pub signup: Gid,
    pub username: Username,
    /// Verified.
    pub email: Email,
}

/// What somebody changes about themself; None stays as it is. As typed.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    pub username: Option<String>,
    pub name: Option<String>,
    pub language: Option<String>,
    pub timezone: Option<String>,
}

impl Directory {
    /// A username as normalised, and whether nobody has it.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::UsernameNotOwnEmail`] when an address is given, and those of the database.
    pub async fn check_username(
        &self,
        username: &str,
        email: Option<&str>,
    ) -> Result<(Username, bool), Error> {
        let username = parse_username(username)?;
        if let Some(email) = email
            && !username.is_allowed_for_email(Email::parse(email).ok().as_ref())
        {
            return Err(Error::UsernameNotOwnEmail);
        }
        let name = username.clone();
        let find = move |connection: &mut AnyConnection| {
            store::user::find_by_username(connection, name.as_str())
        };
        let found = self.database.query(find).await?;
        Ok((username, found.is_none()))
    }

    /// Accounts of these statuses, in the order of usernames.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_accounts(
        &self,
        by: AccountQuery,
        statuses: &'static [UserStatus],
    ) -> Result<Vec<User>, Error> {
        Ok(self
            .database
            .query(move |connection| find_accounts(connection, &by, statuses))
            .await?)
    }

    /// The account of a signup. An address that was invited before has a place already, which the account takes.
    ///
    /// # Errors
    /// [`Error::UsernameTaken`], [`Error::UsernameNotOwnEmail`], and those of the database.
    pub async fn create_account(&self, new: NewAccount) -> Result<User, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| create_account(connection, new, &*clock))
            .await
    }

    /// # Errors
    /// [`Error::Malformed`], [`Error::UsernameTaken`], [`Error::UsernameNotOwnEmail`], [`Error::CallerNotActive`],
    /// [`Error::Forbidden`], and those of the database.
    pub async fn update_user(&self, caller: Caller, wanted: UserChange) -> Result<User, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let (old, new) = apply_change(connection, caller, &wanted)?;
            save(connection, &old, &new, &*clock)?;
            Ok(new)
        })
        .await
    }

    /// What stands against a change; nothing is changed.
    ///
    /// # Errors
    /// As [`update_user`](Self::update_user).
    pub async fn validate_user_update(
        &self,
        caller: Caller,
        wanted: UserChange,
    ) -> Result<User, Error> {
        self.database
            .read_snapshot(move |connection| Ok(apply_change(connection, caller, &wanted)?.1))
            .await
    }

    /// Deletes somebody's own account, with their memberships.
    ///
    /// # Errors
    /// [`Error::OwnsProjects`], [`Error::CallerNotActive`], [`Error::Forbidden`], and database errors.
    pub async fn delete_account(&self, caller: Caller) -> Result<(), Error> {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let caller = caller.active_person(connection)?;
            lifecycle::delete(connection, caller.gid(), &*clock)
        })
        .await
    }

    /// Sets an address that was verified, in place of `old`, to which a mail tells of it.
    ///
    /// # Errors
    /// [`Error::EmailChanged`], [`Error::CallerNotActive`], [`Error::Forbidden`], and database errors.
    pub async fn set_email(
        &self,
        caller: Caller,
        old: Option<String>,
        email: Email,
    ) -> Result<User, Error> {
        let (clock, id, outbox) = (self.clock.clone(), self.ids.new_gid(), self.outbox.clone());
        let user = self
            .write(move |connection| {
                feed::lock(connection)?;
                let user = caller.active_person(connection)?.into_user();
                let gid = user.gid;
                let changed = User {
                    email: Some(email.to_string()),
                    ..user.clone()
                };
                if changed == user {
                    return Ok::<_, Error>(user);
                }
                if user.email != old {
                    return Err(Error::EmailChanged);
                }
                // An address that an earlier release accepted and this one does not gets no email.
                if let Some(to) = old.and_then(|old| Email::parse(&old).ok()) {
                    let outbox = outbox.ok_or(Error::MailDisabled)?;
                    let username = user.username.clone().unwrap_or_default();
                    let letter = MailContent::EmailChanged {
                        username,
                        email: email.to_string(),
                    };
                    let (language, user) = (user.language.clone(), Some(gid));
                    let mail = NewMail {
                        id,
                        recipient: to,
                        language,
                        content: letter,
                        topic: None,
                        expires_at: None,
                        user,
                    };
                    outbox.enqueue(connection, mail, clock.now())?;
                }
                save(connection, &user, &changed, &*clock)?;
                let taken = placeholders::claim_invitations(connection, gid, &email, clock.now())?;
                feed::append(connection, taken, &*clock)?;
                Ok(changed)
            })
            .await?;
        if let Some(outbox) = &self.outbox {
            outbox.wake_worker();
        }
        Ok(user)
    }
}

pub(crate) fn parse_username(text: &str) -> Result<Username, Error> {
    Username::parse(text).map_err(|malformed| Error::Malformed("username", malformed))
}

pub(crate) fn find_accounts(
    connection: &mut AnyConnection,
    by: &AccountQuery,
    statuses: &[UserStatus],
) -> doorward_storage::Result<Vec<User>> {
    let is_account = |user: &User| statuses.contains(&user.status) && user.username.is_some();
    let found: Vec<User> = match by {
        AccountQuery::Username(text) => find_by_username(connection, text)?,
        AccountQuery::Email(text) => find_by_email(connection, text)?,
        AccountQuery::Either(text) => {
            let found = find_by_email(connection, text)?;
            if found.iter().any(is_account) {
                found
            } else {
                find_by_username(connection, text)?
            }
        }
    };
    Ok(found.into_iter().filter(is_account).collect())
}

fn find_by_email(
    connection: &mut AnyConnection,
    text: &str,
) -> doorward_storage::Result<Vec<User>> {
    match Email::parse(text) {
        Ok(email) => store::user::list_by_email(connection, &email, MAX_ACCOUNTS),
        Err(_) => Ok(Vec::new()),
    }
}

fn find_by_username(
    connection: &mut AnyConnection,
    text: &str,
) -> doorward_storage::Result<Vec<User>> {
    match Username::parse_existing(text) {
        Ok(name) => Ok(store::user::find_by_username(connection, name.as_str())?
            .into_iter()
            .collect()),
        Err(_) => Ok(Vec::new()),
    }
}

fn create_account(
    connection: &mut AnyConnection,
    new: NewAccount,
    clock: &dyn Clock,
) -> Result<User, Error> {
    feed::lock(connection)?;
    if let Some(user) = store::user::find_by_signup(connection, new.signup)? {
        return Ok(user);
    }
    if store::user::find_by_username(connection, new.username.as_str())?.is_some() {
        return Err(Error::UsernameTaken);
    }
    let holders = store::user::list_by_email(connection, &new.email, 1)?;
    let invited = holders.first().filter(|user| user.is_placeholder());
    let (action, gid) = invited.map_or((Action::Insert, new.signup), |invited| {
        (Action::Update, invited.gid)
    });
    let no_name =
        DisplayName::parse_or_empty("").map_err(|malformed| Error::Malformed("name", malformed))?;
    let account = NewUser::new(gid, new.username, Some(new.email), no_name);
    account.check()?;
    let account = account.into_user();
    if action == Action::Update {
        store::user::update(connection, &account, clock.now())?;
        store::user::set_status(connection, gid, account.status, clock.now())?;
    } else {
        match store::user::insert_many(connection, std::slice::from_ref(&account), clock.now()) {
            // Who creates many at once, at the command line, doesn't hold the lock meanwhile.
            Err(doorward_storage::Error::UniqueViolation(_)) => return Err(Error::UsernameTaken),
            done => done?,
        }
    }
    store::user::set_signup(connection, gid, new.signup)?;
    feed::append(
        connection,
        vec![NewChange::user(action, gid, account.status.as_str())],
        clock,
    )?;
    Ok(account)
}

/// The user as they are, and as they would be.
fn apply_change(
    connection: &mut AnyConnection,
    caller: Caller,
    wanted: &UserChange,
) -> Result<(User, User), Error> {
    let user = caller.active_person(connection)?.into_user();
    let mut new = user.clone();
    if let Some(text) = &wanted.username {
        let username = parse_username(text)?;
        // Who has kept a name with an @ through a change of their address may say it again.
        if user.username.as_deref() != Some(username.as_str()) {
            let email = user
                .email
                .as_deref()
                .and_then(|email| Email::parse(email).ok());
            if !username.is_allowed_for_email(email.as_ref()) {
                return Err(Error::UsernameNotOwnEmail);
            }
            if store::user::find_by_username(connection, username.as_str())?.is_some() {
                return Err(Error::UsernameTaken);
            }
        }
        new.username = Some(username.to_string());
    }
    if let Some(text) = &wanted.name {
        let name =
            DisplayName::parse(text).map_err(|malformed| Error::Malformed("name", malformed))?;
        new.name = name.to_string();
    }
    if let Some(language) = &wanted.language {
        if !languages::is_known(language) {
            return Err(Error::Malformed(
                "language",
                Malformed("is not in the global list"),
            ));
        }
        new.language.clone_from(language);
    }
    if let Some(text) = &wanted.timezone {
        let timezone: Timezone = text
            .parse()
            .map_err(|malformed| Error::Malformed("timezone", malformed))?;
        new.timezone = timezone.to_string();
    }
    Ok((user, new))
}

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
        // As above.
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
