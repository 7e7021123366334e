//! Table `api_keys`: the keys of API users.

use diesel::prelude::*;
use doorward_domain::{Gid, Timestamp};
use doorward_storage::{AnyConnection, Error, Result};

use super::schema::api_keys;
use crate::model::{ApiKey, RowLock};

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = api_keys, treat_none_as_null = true)]
struct Row {
    user_gid: String,
    project_gid: String,
    lookup_hmac: String,
    sealed_key: String,
    created_at: i64,
    last_used_at: Option<i64>,
}

impl From<&ApiKey> for Row {
    fn from(key: &ApiKey) -> Self {
        Self {
            user_gid: key.user.to_string(),
            project_gid: key.project.to_string(),
            lookup_hmac: key.lookup_hmac.clone(),
            sealed_key: key.sealed_key.clone(),
            created_at: key.created_at.as_micros(),
            last_used_at: key.last_used_at.map(Timestamp::as_micros),
        }
    }
}

impl TryFrom<Row> for ApiKey {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            user: row.user_gid.parse()?,
            project: row.project_gid.parse()?,
            lookup_hmac: row.lookup_hmac,
            sealed_key: row.sealed_key,
            created_at: Timestamp::from_micros(row.created_at),
            last_used_at: row.last_used_at.map(Timestamp::from_micros),
        })
    }
}

/// Finds the key of an API user.
pub(crate) fn find(connection: &mut AnyConnection, user: Gid) -> Result<Option<ApiKey>> {
    let row = api_keys::table
        .find(user.to_string())
        .select(Row::as_select())
        .get_result(connection)
        .optional()?;
    row.map(ApiKey::try_from).transpose()
}

/// Returns a page of the users with a key, ordered by gid, after the last one of the previous page.
pub(crate) fn list_users(
    connection: &mut AnyConnection,
    after: Option<Gid>,
    limit: i64,
) -> Result<Vec<Gid>> {
    let after = after.map(|gid| gid.to_string()).unwrap_or_default();
    let gids: Vec<String> = api_keys::table
        .filter(api_keys::user_gid.gt(after))
        .order(api_keys::user_gid)
        .limit(limit)
        .select(api_keys::user_gid)
        .load(connection)?;
    gids.into_iter().map(|gid| Ok(gid.parse()?)).collect()
}

/// Finds a key by its HMAC.
pub(crate) fn find_by_lookup(
    connection: &mut AnyConnection,
    lookup: &str,
) -> Result<Option<ApiKey>> {
    let row = api_keys::table
        .filter(api_keys::lookup_hmac.eq(lookup))
        .select(Row::as_select())
        .get_result(connection)
        .optional()?;
    row.map(ApiKey::try_from).transpose()
}

/// Does the same as [`find_by_lookup`] and locks the row: no other transaction changes it before
/// this one ends. Two transactions that share the lock and then both change the row would deadlock,
/// so a transaction that will change it must pass [`RowLock::ForUpdate`].
pub(crate) fn find_by_lookup_locked(
    connection: &mut AnyConnection,
    lookup: &str,
    lock: RowLock,
) -> Result<Option<ApiKey>> {
    if let AnyConnection::Postgres(connection) = connection {
        let found = api_keys::table
            .filter(api_keys::lookup_hmac.eq(lookup))
            .select(Row::as_select());
        let row = match lock {
            RowLock::Shared => found.for_share().get_result(connection).optional()?,
            RowLock::ForUpdate => found
                .for_no_key_update()
                .get_result(connection)
                .optional()?,
        };
        return row.map(ApiKey::try_from).transpose();
    }
    // SQLite runs one write transaction at a time.
    find_by_lookup(connection, lookup)
}

/// Inserts a key, or replaces that of the user.
pub(crate) fn upsert(connection: &mut AnyConnection, key: &ApiKey) -> Result<()> {
    let row = Row::from(key);
    let changed = diesel::update(api_keys::table.find(key.user.to_string()))
        .set(&row)
        .execute(connection)?;
    if changed == 0 {
        diesel::insert_into(api_keys::table)
            .values(&row)
            .execute(connection)?;
    }
    Ok(())
}

/// Records a use of the key.
pub(crate) fn set_last_used(
    connection: &mut AnyConnection,
    user: Gid,
    now: Timestamp,
) -> Result<()> {
    diesel::update(api_keys::table.find(user.to_string()))
        .set(api_keys::last_used_at.eq(now.as_micros()))
        .execute(connection)?;
    Ok(())
}

/// Returns a page of keys, ordered by user, after the last one of the previous page.
pub(crate) fn list(
    connection: &mut AnyConnection,
    after: Option<Gid>,
    limit: i64,
) -> Result<Vec<ApiKey>> {
    let after = after.map(|gid| gid.to_string()).unwrap_or_default();
    let rows: Vec<Row> = api_keys::table
        .filter(api_keys::user_gid.gt(after))
        .order(api_keys::user_gid)
        .limit(limit)
        .select(Row::as_select())
        .load(connection)?;
    rows.into_iter().map(ApiKey::try_from).collect()
}

/// Deletes the key of a user if it was created at or before `than`. A deleted gid can be created
/// again, and then has a newer key.
pub(crate) fn delete_older(
    connection: &mut AnyConnection,
    user: Gid,
    than: Timestamp,
) -> Result<()> {
    let older = api_keys::table
        .find(user.to_string())
        .filter(api_keys::created_at.le(than.as_micros()));
    diesel::delete(older).execute(connection)?;
    Ok(())
}
