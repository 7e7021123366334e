//! Accounts as users manage them: sign up, and update and delete the caller's own account.
//! Verification of addresses is up to auth: an [`Email`] that arrives here is verified.
//! `administration.rs` has the calls of administrators.

use doorward_domain::{Clock, DisplayName, Email, Gid, Malformed, Timezone, Username, languages};
use doorward_mail::{MailContent, NewMail};
use doorward_storage::AnyConnection;

use crate::{
    Caller, Directory, Error,
    feed::{self, NewChange},
    members::placeholders,
    model::{Action, User},
    store,
    users::{changes, create::NewUser, find::parse_username},
};

/// The account of a signup whose codes were correct.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Id of the signup. It makes a repeated call idempotent, and is the gid of a new account.
    pub signup: Gid,
    pub username: Username,
    /// Verified address.
    pub email: Email,
}

/// Fields of the caller's own account to set, as the user entered them; a field that is `None`
/// keeps its value.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    pub username: Option<String>,
    pub name: Option<String>,
    pub language: Option<String>,
    pub timezone: Option<String>,
}

impl Directory {
    /// Creates the account of a signup. If the address was invited before, its placeholder account
    /// becomes the account. A repeated call for the same signup returns the same account.
    ///
    /// # Errors
    /// [`Error::UsernameTaken`], [`Error::UsernameNotOwnEmail`], and database errors.
    pub async fn create_account(&self, new: NewAccount) -> Result<User, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| create_account(connection, new, &*clock))
            .await
    }

    /// Changes the caller's own account, and returns it.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::UsernameTaken`], [`Error::UsernameNotOwnEmail`],
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] to API users, and database errors.
    pub async fn update_user(&self, caller: Caller, wanted: UserChange) -> Result<User, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let (old, new) = apply_change(connection, caller, &wanted)?;
            changes::save(connection, &old, &new, &*clock)?;
            Ok(new)
        })
        .await
    }

    /// Checks a change without making it, and returns the account as it would be afterwards.
    ///
    /// # Errors
    /// The errors of [`update_user`](Self::update_user).
    pub async fn validate_user_update(
        &self,
        caller: Caller,
        wanted: UserChange,
    ) -> Result<User, Error> {
        self.database
            .read_snapshot(move |connection| Ok(apply_change(connection, caller, &wanted)?.1))
            .await
    }

    /// Deletes the caller's own account, with its memberships.
    ///
    /// # Errors
    /// [`Error::OwnsProjects`], [`Error::CallerNotActive`], [`Error::Forbidden`] to API users, and
    /// database errors.
    pub async fn delete_account(&self, caller: Caller) -> Result<(), Error> {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let caller = caller.active_account(connection)?;
            changes::delete(connection, caller.gid(), &*clock)
        })
        .await
    }

    /// Replaces the address `old` by a verified one, and sends a mail about it to `old`. The
    /// account takes over the invitations of the new address.
    ///
    /// # Errors
    /// [`Error::EmailChanged`] if the account does not have the address `old` any more,
    /// [`Error::MailDisabled`], [`Error::CallerNotActive`], [`Error::Forbidden`] to API users, and
    /// database errors.
    pub async fn set_email(
        &self,
        caller: Caller,
        old: Option<String>,
        email: Email,
    ) -> Result<User, Error> {
        let clock = self.clock.clone();
        let mail_id = self.ids.new_gid();
        let outbox = self.outbox.clone();
        let user = self
            .write(move |connection| {
                feed::lock(connection)?;
                let user = caller.active_account(connection)?.into_user();
                let gid = user.gid;
                let changed = User {
                    email: Some(email.to_string()),
                    ..user.clone()
                };
                // A repeated call succeeds and sends no second mail.
                if changed == user {
                    return Ok::<_, Error>(user);
                }
                if user.email != old {
                    return Err(Error::EmailChanged);
                }
                // No mail is sent to an address that only earlier releases accepted.
                if let Some(to) = old.and_then(|old| Email::parse(&old).ok()) {
                    let outbox = outbox.ok_or(Error::MailDisabled)?;
                    let username = user.username.clone().unwrap_or_default();
                    let content = MailContent::EmailChanged {
                        username,
                        email: email.to_string(),
                    };
                    let mail = NewMail {
                        id: mail_id,
                        recipient: to,
                        language: user.language.clone(),
                        content,
                        topic: None,
                        expires_at: None,
                        user: Some(gid),
                    };
                    outbox.enqueue(connection, mail, clock.now())?;
                }
                changes::save(connection, &user, &changed, &*clock)?;
                let claimed =
                    placeholders::claim_invitations(connection, gid, &email, clock.now())?;
                feed::append(connection, claimed, &*clock)?;
                Ok(changed)
            })
            .await?;
        if let Some(outbox) = &self.outbox {
            outbox.wake_worker();
        }
        Ok(user)
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
    // One row is enough: the list has a placeholder account first. Its gid stays, and with it all
    // memberships of the invited address.
    let holders = store::user::list_by_email(connection, &new.email, 1)?;
    let placeholder = holders.first().filter(|user| user.is_placeholder());
    let (action, gid) = placeholder.map_or((Action::Insert, new.signup), |placeholder| {
        (Action::Update, placeholder.gid)
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
            // The unique index decides in the end, also if the check above found no such user.
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

/// Returns the caller's account before and after a change, without storing it.
///
/// # Errors
/// [`Error::Malformed`], [`Error::UsernameTaken`], [`Error::UsernameNotOwnEmail`],
/// [`Error::CallerNotActive`], [`Error::Forbidden`] to API users, and database errors.
fn apply_change(
    connection: &mut AnyConnection,
    caller: Caller,
    wanted: &UserChange,
) -> Result<(User, User), Error> {
    let user = caller.active_account(connection)?.into_user();
    let mut new = user.clone();
    if let Some(text) = &wanted.username {
        let username = parse_username(text)?;
        // The check of the address is only for a new username: an account can keep a username that
        // is its former address, and a client may send the unchanged username.
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
