//! Subscriptions: which user belonged to which audience, after one cursor and until another. Only
//! the audiences of projects have them; see `feed/audience.rs`.

use diesel::prelude::*;
use doorward_domain::Gid;
use doorward_storage::{AnyConnection, Result};

use crate::feed::audience::Audience;
use crate::store::schema::feed_subscriptions;

/// Maximum number of rows in one INSERT: PostgreSQL accepts at most 65,535 parameters in a
/// statement.
const MAX_ROWS: usize = 1000;
/// End of a subscription or membership slot that is still open.
pub(crate) const OPEN_ENDED: i64 = i64::MAX;

/// The period in which a user belonged to an audience: the user receives its events with cursors in
/// `after_cursor + 1 ..= until_cursor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) audience: Audience,
    pub(crate) after_cursor: i64,
    pub(crate) until_cursor: i64,
}

#[derive(Insertable)]
#[diesel(table_name = feed_subscriptions)]
struct SubscriptionRow {
    user_gid: String,
    until_cursor: i64,
    audience: String,
    after_cursor: i64,
}

/// Opens subscriptions after a cursor. A subscription that is open already stays as it is.
pub(crate) fn open(
    connection: &mut AnyConnection,
    users: &[Gid],
    audience: Audience,
    after: i64,
) -> Result<()> {
    let row = |user: &Gid| SubscriptionRow {
        user_gid: user.to_string(),
        until_cursor: OPEN_ENDED,
        audience: audience.to_string(),
        after_cursor: after,
    };
    let rows: Vec<SubscriptionRow> = users.iter().map(row).collect();
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

/// Closes a user's open subscription to an audience, if there is one.
pub(crate) fn close(
    connection: &mut AnyConnection,
    user: Gid,
    audience: Audience,
    until: i64,
) -> Result<()> {
    diesel::update(feed_subscriptions::table.find((
        user.to_string(),
        OPEN_ENDED,
        audience.to_string(),
    )))
    .set(feed_subscriptions::until_cursor.eq(until))
    .execute(connection)?;
    Ok(())
}

/// Closes all open subscriptions to an audience.
pub(crate) fn close_all(
    connection: &mut AnyConnection,
    audience: Audience,
    until: i64,
) -> Result<()> {
    let open = feed_subscriptions::table
        .filter(feed_subscriptions::audience.eq(audience.to_string()))
        .filter(feed_subscriptions::until_cursor.eq(OPEN_ENDED));
    diesel::update(open)
        .set(feed_subscriptions::until_cursor.eq(until))
        .execute(connection)?;
    Ok(())
}

/// Returns a user's subscriptions that are open or were closed after a cursor.
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
        .map(|(audience, after_cursor, until_cursor)| {
            Ok(Subscription {
                audience: audience.parse()?,
                after_cursor,
                until_cursor,
            })
        })
        .collect()
}

/// Deletes the subscriptions that were closed up to a cursor.
pub(crate) fn delete_until(connection: &mut AnyConnection, cursor: i64) -> Result<()> {
    diesel::delete(feed_subscriptions::table.filter(feed_subscriptions::until_cursor.le(cursor)))
        .execute(connection)?;
    Ok(())
}
