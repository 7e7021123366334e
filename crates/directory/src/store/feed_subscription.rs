//! Who is told what is said in a scope, and from when to when.

use diesel::prelude::*;
use doorward_domain::Gid;
use doorward_storage::{AnyConnection, Result};

use crate::feed::audience::Scope;
use crate::store::schema::feed_subscriptions;

/// Of one INSERT: PostgreSQL takes 65,535 values in all.
const MAX_ROWS: usize = 1000;
/// The end of what has none yet.
pub(crate) const OPEN_ENDED: i64 = i64::MAX;

/// After the one cursor, until the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) scope: Scope,
    pub(crate) after_cursor: i64,
    pub(crate) until_cursor: i64,
}

#[derive(Insertable)]
#[diesel(table_name = feed_subscriptions)]
struct SyncRow {
    user_gid: String,
    until_cursor: i64,
    audience: String,
    after_cursor: i64,
}

/// From after a cursor on. Who listens already goes on listening.
pub(crate) fn open(
    connection: &mut AnyConnection,
    users: &[Gid],
    scope: Scope,
    after: i64,
) -> Result<()> {
    let row = |user: &Gid| SyncRow {
        user_gid: user.to_string(),
        until_cursor: OPEN_ENDED,
        audience: scope.to_string(),
        after_cursor: after,
    };
    let rows: Vec<SyncRow> = users.iter().map(row).collect();
    for rows in rows.chunks(MAX_ROWS) {
        match connection {
            AnyConnection::Postgres(connection) => diesel::insert_into(feed_subscriptions::table)
                .values(rows)
                .on_conflict_do_nothing()
                .execute(connection)?,
            AnyConnection::Sqlite(connection) => {
                diesel::insert_or_ignore_into(feed_subscriptions::table)
                    .values(rows)
                    .execute(connection)?
            }
        };
    }
    Ok(())
}

/// One user hears no more of a scope.
pub(crate) fn close(
    connection: &mut AnyConnection,
    user: Gid,
    scope: Scope,
    until: i64,
) -> Result<()> {
    diesel::update(feed_subscriptions::table.find((
        user.to_string(),
        OPEN_ENDED,
        scope.to_string(),
    )))
    .set(feed_subscriptions::until_cursor.eq(until))
    .execute(connection)?;
    Ok(())
}

/// Nobody hears any more of a scope.
pub(crate) fn close_all(connection: &mut AnyConnection, scope: Scope, until: i64) -> Result<()> {
    let open = feed_subscriptions::table
        .filter(feed_subscriptions::audience.eq(scope.to_string()))
        .filter(feed_subscriptions::until_cursor.eq(OPEN_ENDED));
    diesel::update(open)
        .set(feed_subscriptions::until_cursor.eq(until))
        .execute(connection)?;
    Ok(())
}

/// What somebody has heard after a cursor, and hears still.
pub(crate) fn list_since(
    connection: &mut AnyConnection,
    user: Gid,
    after: i64,
) -> Result<Vec<Subscription>> {
    let rows: Vec<(String, i64, i64)> = feed_subscriptions::table
        .filter(feed_subscriptions::user_gid.eq(user.to_string()))
        .filter(feed_subscriptions::until_cursor.gt(after))
        .select((
            feed_subscriptions::audience,
            feed_subscriptions::after_cursor,
            feed_subscriptions::until_cursor,
        ))
        .load(connection)?;
    rows.into_iter()
        .map(|(scope, after_cursor, until_cursor)| {
            Ok(Subscription {
                scope: scope.parse()?,
                after_cursor,
                until_cursor,
            })
        })
        .collect()
}

/// Forgets who stopped to listen before what is kept.
pub(crate) fn delete_until(connection: &mut AnyConnection, cursor: i64) -> Result<()> {
    diesel::delete(feed_subscriptions::table.filter(feed_subscriptions::until_cursor.le(cursor)))
        .execute(connection)?;
    Ok(())
}
