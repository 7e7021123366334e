//! Table `credentials`: password hashes.

use diesel::prelude::*;
use doorward_domain::{Gid, Timestamp};
use doorward_storage::{AnyConnection, Result};

use super::schema::credentials;

#[derive(Insertable)]
#[diesel(table_name = credentials)]
struct Row {
    user_gid: String,
    password_hash: String,
    updated_at: i64,
}

/// Inserts or replaces the hash of a user.
pub(crate) fn upsert(
    connection: &mut AnyConnection,
    user: Gid,
    password_hash: String,
    now: Timestamp,
) -> Result<()> {
    let changed = diesel::update(credentials::table.find(user.to_string()))
        .set((
            credentials::password_hash.eq(&password_hash),
            credentials::updated_at.eq(now.as_micros()),
        ))
        .execute(connection)?;
    if changed == 0 {
        insert_many(connection, vec![(user, password_hash)], now)
    } else {
        Ok(())
    }
}

/// Inserts the hashes of users without a password.
pub(crate) fn insert_many(
    connection: &mut AnyConnection,
    new: Vec<(Gid, String)>,
    now: Timestamp,
) -> Result<()> {
    let rows: Vec<Row> = new
        .into_iter()
        .map(|(user, password_hash)| Row {
            user_gid: user.to_string(),
            password_hash,
            updated_at: now.as_micros(),
        })
        .collect();
    // diesel inserts several rows at once only on the concrete connections.
    match connection {
        AnyConnection::Postgres(connection) => diesel::insert_into(credentials::table)
            .values(&rows)
            .execute(connection)?,
        AnyConnection::Sqlite(connection) => diesel::insert_into(credentials::table)
            .values(&rows)
            .execute(connection)?,
    };
    Ok(())
}

/// Returns a page of the users with a password, ordered by gid, after the last one of the previous
/// page.
pub(crate) fn list_users(
    connection: &mut AnyConnection,
    after: Option<Gid>,
    limit: i64,
) -> Result<Vec<Gid>> {
    let after = after.map(|gid| gid.to_string()).unwrap_or_default();
    let gids: Vec<String> = credentials::table
        .filter(credentials::user_gid.gt(after))
        .order(credentials::user_gid)
        .limit(limit)
        .select(credentials::user_gid)
        .load(connection)?;
    gids.into_iter().map(|gid| Ok(gid.parse()?)).collect()
}

/// Replaces a hash by a stronger one of the same password, unless another hash is stored by now.
pub(crate) fn upgrade(
    connection: &mut AnyConnection,
    user: Gid,
    old: &str,
    new: &str,
    now: Timestamp,
) -> Result<()> {
    diesel::update(
        credentials::table
            .find(user.to_string())
            .filter(credentials::password_hash.eq(old)),
    )
    .set((
        credentials::password_hash.eq(new),
        credentials::updated_at.eq(now.as_micros()),
    ))
    .execute(connection)?;
    Ok(())
}

/// Deletes the hashes of these users.
pub(crate) fn delete_many(connection: &mut AnyConnection, users: &[Gid]) -> Result<()> {
    // A generic plan for a long list would read the whole table.
    connection.force_custom_plans()?;
    let users: Vec<String> = users.iter().map(Gid::to_string).collect();
    diesel::delete(credentials::table.filter(credentials::user_gid.eq_any(users)))
        .execute(connection)?;
    Ok(())
}

/// Deletes the hash of a user if it was stored at or before `than`. A deleted gid can be imported
/// again, and then has a newer hash.
pub(crate) fn delete_older(
    connection: &mut AnyConnection,
    user: Gid,
    than: Timestamp,
) -> Result<()> {
    let older = credentials::table
        .find(user.to_string())
        .filter(credentials::updated_at.le(than.as_micros()));
    diesel::delete(older).execute(connection)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use doorward_domain::{IdGenerator, RandomIdGenerator};
    use doorward_storage::{
        Error,
        testing::{TestDatabase, count_generic_plan_executions},
    };

    use super::*;
    use crate::migrations::MIGRATIONS;

    #[tokio::test]
    async fn bulk_deletions_use_custom_query_plans() {
        let test = TestDatabase::postgres(&MIGRATIONS);
        let delete = |connection: &mut AnyConnection| {
            let users: Vec<Gid> = (0..500).map(|_| RandomIdGenerator.new_gid()).collect();
            for _ in 0..20 {
                delete_many(connection, &users)?;
            }
            Ok::<_, Error>(count_generic_plan_executions(connection))
        };
        assert_eq!(test.database.write(delete).await.unwrap(), 0);
    }
}
