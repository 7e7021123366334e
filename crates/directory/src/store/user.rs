//! Users: accounts, API users and placeholder accounts. The rules of `users/` decide which changes
//! are allowed.

use diesel::prelude::*;
use doorward_domain::{Email, Gid, Timestamp, UserStatus};
use doorward_storage::{AnyConnection, Error, Result};

use super::schema::users;
use crate::model::User;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = users)]
struct UserRow {
    gid: String,
    username: Option<String>,
    email: Option<String>,
    email_canonical: Option<String>,
    name: String,
    avatar: Option<String>,
    status: String,
    language: String,
    timezone: String,
    created_at: i64,
    updated_at: i64,
    signup_gid: Option<String>,
    has_email_conflict: bool,
}

impl UserRow {
    fn new(user: &User, now: Timestamp) -> Self {
        Self {
            gid: user.gid.to_string(),
            username: user.username.clone(),
            email: user.email.clone(),
            email_canonical: user.email.as_deref().map(canonical_email),
            name: user.name.clone(),
            avatar: user.avatar.clone(),
            status: user.status.to_string(),
            language: user.language.clone(),
            timezone: user.timezone.clone(),
            created_at: now.as_micros(),
            updated_at: now.as_micros(),
            signup_gid: None,
            has_email_conflict: false,
        }
    }
}

/// Returns the canonical form of an address. An address that an earlier release accepted and this
/// one rejects is stored in lower case: no lookup finds it, but it stays distinct from others.
fn canonical_email(email: &str) -> String {
    Email::parse(email).map_or_else(|_| email.to_lowercase(), |email| email.canonical())
}

impl TryFrom<UserRow> for User {
    type Error = Error;

    fn try_from(row: UserRow) -> Result<Self> {
        Ok(Self {
            gid: row.gid.parse()?,
            username: row.username,
            email: row.email,
            name: row.name,
            avatar: row.avatar,
            status: row.status.parse()?,
            language: row.language,
            timezone: row.timezone,
        })
    }
}

pub(crate) fn insert_many(
    connection: &mut AnyConnection,
    new: &[User],
    now: Timestamp,
) -> Result<()> {
    let rows: Vec<UserRow> = new.iter().map(|user| UserRow::new(user, now)).collect();
    match connection {
        AnyConnection::Postgres(connection) => diesel::insert_into(users::table)
            .values(&rows)
            .execute(connection)?,
        AnyConnection::Sqlite(connection) => diesel::insert_into(users::table)
            .values(&rows)
            .execute(connection)?,
    };
    Ok(())
}

pub(crate) fn find(connection: &mut AnyConnection, gid: Gid) -> Result<Option<User>> {
    let row = users::table
        .find(gid.to_string())
        .select(UserRow::as_select())
        .get_result(connection)
        .optional()?;
    row.map(User::try_from).transpose()
}

pub(crate) fn find_by_username(
    connection: &mut AnyConnection,
    username: &str,
) -> Result<Option<User>> {
    let row = users::table
        .filter(users::username.eq(username))
        .select(UserRow::as_select())
        .get_result(connection)
        .optional()?;
    row.map(User::try_from).transpose()
}

pub(crate) fn list_by_gids(connection: &mut AnyConnection, gids: &[Gid]) -> Result<Vec<User>> {
    let gids: Vec<String> = gids.iter().map(Gid::to_string).collect();
    let rows: Vec<UserRow> = users::table
        .filter(users::gid.eq_any(gids))
        .select(UserRow::as_select())
        .load(connection)?;
    rows.into_iter().map(User::try_from).collect()
}

/// Returns the users with this address, a placeholder account first, then accounts without a
/// conflict, then by username. An account with a conflict is left out if another account has the
/// address without one.
pub(crate) fn list_by_email(
    connection: &mut AnyConnection,
    email: &Email,
    limit: i64,
) -> Result<Vec<User>> {
    let mut rows: Vec<UserRow> = users::table
        .filter(users::email_canonical.eq(email.canonical()))
        .order((
            users::username.is_not_null(),
            users::has_email_conflict,
            users::username,
            users::gid,
        ))
        .limit(limit)
        .select(UserRow::as_select())
        .load(connection)?;
    if rows
        .iter()
        .any(|row| row.username.is_some() && !row.has_email_conflict)
    {
        rows.retain(|row| !row.has_email_conflict);
    }
    rows.into_iter().map(User::try_from).collect()
}

/// Returns those of some canonical addresses that belong to a placeholder account.
pub(crate) fn list_placeholder_addresses(
    connection: &mut AnyConnection,
    canonical: &[String],
) -> Result<Vec<String>> {
    let found = users::table
        .filter(users::email_canonical.eq_any(canonical))
        .filter(users::username.is_null())
        .filter(users::status.eq(UserStatus::Invited.as_str()))
        .select(users::email_canonical.assume_not_null())
        .load(connection)?;
    Ok(found)
}

/// Finds the account that a signup has created.
pub(crate) fn find_by_signup(connection: &mut AnyConnection, signup: Gid) -> Result<Option<User>> {
    let row = users::table
        .filter(users::signup_gid.eq(signup.to_string()))
        .select(UserRow::as_select())
        .get_result(connection)
        .optional()?;
    row.map(User::try_from).transpose()
}

/// Returns those of some usernames and those of some gids that exist.
pub(crate) fn find_taken(
    connection: &mut AnyConnection,
    usernames: &[&str],
    gids: &[String],
) -> Result<(Vec<String>, Vec<String>)> {
    // A generic plan may date from when the table was empty, and would read the whole table.
    connection.force_custom_plans()?;
    let names = users::table
        .filter(users::username.eq_any(usernames))
        .select(users::username.assume_not_null())
        .load(connection)?;
    let gids = users::table
        .filter(users::gid.eq_any(gids))
        .select(users::gid)
        .load(connection)?;
    Ok((names, gids))
}

/// Returns a page of users in the order of gids, after the last one of the previous page.
pub(crate) fn list(
    connection: &mut AnyConnection,
    after: Option<Gid>,
    limit: i64,
) -> Result<Vec<User>> {
    let after = after.map(|gid| gid.to_string()).unwrap_or_default();
    let rows: Vec<UserRow> = users::table
        .filter(users::gid.gt(after))
        .order(users::gid)
        .limit(limit)
        .select(UserRow::as_select())
        .load(connection)?;
    rows.into_iter().map(User::try_from).collect()
}

pub(crate) fn set_status(
    connection: &mut AnyConnection,
    gid: Gid,
    status: UserStatus,
    now: Timestamp,
) -> Result<()> {
    diesel::update(users::table.find(gid.to_string()))
        .set((
            users::status.eq(status.as_str()),
            users::updated_at.eq(now.as_micros()),
        ))
        .execute(connection)?;
    Ok(())
}

pub(crate) fn set_name(
    connection: &mut AnyConnection,
    gid: Gid,
    name: &str,
    now: Timestamp,
) -> Result<()> {
    diesel::update(users::table.find(gid.to_string()))
        .set((users::name.eq(name), users::updated_at.eq(now.as_micros())))
        .execute(connection)?;
    Ok(())
}

/// Updates a user, except the avatar and the status. Another address ends a conflict.
pub(crate) fn update(connection: &mut AnyConnection, user: &User, now: Timestamp) -> Result<()> {
    // This precedes the update of the address, because it compares with the old one.
    let conflict = users::table
        .find(user.gid.to_string())
        .filter(users::has_email_conflict);
    let resolved = users::has_email_conflict.eq(false);
    match &user.email {
        Some(email) => diesel::update(conflict.filter(users::email.ne(email)))
            .set(resolved)
            .execute(connection)?,
        None => diesel::update(conflict).set(resolved).execute(connection)?,
    };
    diesel::update(users::table.find(user.gid.to_string()))
        .set((
            users::username.eq(&user.username),
            users::email.eq(&user.email),
            users::email_canonical.eq(user.email.as_deref().map(canonical_email)),
            users::name.eq(&user.name),
            users::language.eq(&user.language),
            users::timezone.eq(&user.timezone),
            users::updated_at.eq(now.as_micros()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Stores the signup that has created an account, so that a repeated signup finds the account.
pub(crate) fn set_signup(connection: &mut AnyConnection, gid: Gid, signup: Gid) -> Result<()> {
    diesel::update(users::table.find(gid.to_string()))
        .set(users::signup_gid.eq(signup.to_string()))
        .execute(connection)?;
    Ok(())
}

pub(crate) fn set_avatar(
    connection: &mut AnyConnection,
    gid: Gid,
    avatar: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    diesel::update(users::table.find(gid.to_string()))
        .set((
            users::avatar.eq(avatar),
            users::updated_at.eq(now.as_micros()),
        ))
        .execute(connection)?;
    Ok(())
}

pub(crate) fn delete(connection: &mut AnyConnection, gid: Gid) -> Result<()> {
    diesel::delete(users::table.find(gid.to_string())).execute(connection)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use doorward_storage::testing::{TestDatabase, count_generic_plan_executions};

    use super::*;
    use crate::MIGRATIONS;

    #[tokio::test]
    async fn bulk_user_queries_use_custom_query_plans() {
        let test = TestDatabase::postgres(&MIGRATIONS);
        let query = |connection: &mut AnyConnection| {
            for _ in 0..20 {
                find_taken(connection, &["ann"; 500], &vec!["a gid".to_owned(); 500])?;
            }
            Ok::<_, Error>(count_generic_plan_executions(connection))
        };
        assert_eq!(test.database.read_snapshot(query).await.unwrap(), 0);
    }
}
