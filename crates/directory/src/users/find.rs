//! Queries of users and accounts without a permission check, for administrators and other services.

use doorward_domain::{Email, Gid, UserStatus, Username};
use doorward_storage::AnyConnection;

use crate::{Directory, Error, model::User, store};

/// Maximum number of accounts that a query by address returns.
const MAX_ACCOUNTS: i64 = 100;

/// A username or address by which accounts are found.
#[derive(Debug, Clone)]
pub enum AccountQuery {
    Username(String),
    Email(String),
    /// An address; or a username, if no account has the address.
    Either(String),
}

impl Directory {
    /// Returns the normalized form of a username, and whether it is free.
    ///
    /// # Errors
    /// [`Error::Malformed`]; [`Error::UsernameNotOwnEmail`] if `email` is given and does not allow
    /// the username; database errors.
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

    /// Returns the accounts that match the query and have one of the statuses, in the order of
    /// usernames.
    ///
    /// # Errors
    /// Database errors.
    pub async fn find_accounts(
        &self,
        query: AccountQuery,
        statuses: &'static [UserStatus],
    ) -> Result<Vec<User>, Error> {
        Ok(self
            .database
            .query(move |connection| find_accounts(connection, &query, statuses))
            .await?)
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
}

/// Parses a new username.
///
/// # Errors
/// [`Error::Malformed`].
pub(crate) fn parse_username(text: &str) -> Result<Username, Error> {
    Username::parse(text).map_err(|malformed| Error::Malformed("username", malformed))
}

/// Returns the accounts that match the query and have one of the statuses, in the order of
/// usernames. A text that is neither a username nor an address finds no account.
///
/// # Errors
/// Database errors.
pub(crate) fn find_accounts(
    connection: &mut AnyConnection,
    query: &AccountQuery,
    statuses: &[UserStatus],
) -> doorward_storage::Result<Vec<User>> {
    // The queries also return placeholder accounts, which have no username.
    let is_account = |user: &User| statuses.contains(&user.status) && user.username.is_some();
    let found: Vec<User> = match query {
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
