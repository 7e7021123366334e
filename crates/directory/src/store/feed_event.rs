//! Changes, as users are told of them.

use diesel::{prelude::*, sql_types};
use doorward_storage::{AnyConnection, Error, Result};

use crate::model::FeedEvent;
use crate::store::{feed_subscription::Subscription, schema::feed_events};

/// Of one INSERT: PostgreSQL takes 65,535 values in all.
const MAX_ROWS: usize = 1000;

#[derive(Queryable, QueryableByName, Selectable, Insertable)]
#[diesel(table_name = feed_events)]
struct SyncRow {
    audience: String,
    cursor: i64,
    first_cursor: Option<i64>,
    action: String,
    data_type: String,
    data_key: String,
}

impl TryFrom<SyncRow> for FeedEvent {
    type Error = Error;

    fn try_from(row: SyncRow) -> Result<Self> {
        Ok(Self {
            audience: row.audience.parse()?,
            cursor: row.cursor,
            first_cursor: row.first_cursor,
            action: row.action.parse()?,
            data_type: row.data_type,
            data_key: row.data_key,
        })
    }
}

pub(crate) fn insert_many(connection: &mut AnyConnection, notices: Vec<FeedEvent>) -> Result<()> {
    let rows: Vec<SyncRow> = notices
        .into_iter()
        .map(|notice| SyncRow {
            audience: notice.audience.to_string(),
            cursor: notice.cursor,
            first_cursor: notice.first_cursor,
            action: notice.action.to_string(),
            data_type: notice.data_type,
            data_key: notice.data_key,
        })
        .collect();
    for rows in rows.chunks(MAX_ROWS) {
        match connection {
            AnyConnection::Postgres(connection) => diesel::insert_into(feed_events::table)
                .values(rows)
                .execute(connection)?,
            AnyConnection::Sqlite(connection) => diesel::insert_into(feed_events::table)
                .values(rows)
                .execute(connection)?,
        };
    }
    Ok(())
}

/// The first notices of several scopes, in the order of cursors; each scope is read by index and no further than the limit.
pub(crate) fn list_for_subscriptions(
    connection: &mut AnyConnection,
    listening: &[Subscription],
    limit: usize,
) -> Result<Vec<FeedEvent>> {
    let limit_rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows: Vec<SyncRow> = match connection {
        AnyConnection::Postgres(connection) => {
            let scopes: Vec<String> = listening
                .iter()
                .map(|heard| heard.scope.to_string())
                .collect();
            let after: Vec<i64> = listening.iter().map(|heard| heard.after_cursor).collect();
            let until: Vec<i64> = listening.iter().map(|heard| heard.until_cursor).collect();
            diesel::sql_query(
                "SELECT event.* FROM unnest($1, $2, $3) AS subscription (audience, after_cursor, until_cursor) \
                 CROSS JOIN LATERAL (SELECT * FROM feed_events WHERE feed_events.audience = subscription.audience \
                 AND cursor > subscription.after_cursor AND cursor <= subscription.until_cursor ORDER BY cursor LIMIT $4) AS event \
                 ORDER BY event.cursor LIMIT $4",
            )
            .bind::<sql_types::Array<sql_types::Text>, _>(scopes)
            .bind::<sql_types::Array<sql_types::BigInt>, _>(after)
            .bind::<sql_types::Array<sql_types::BigInt>, _>(until)
            .bind::<sql_types::BigInt, _>(limit_rows)
            .load(connection)?
        }
        AnyConnection::Sqlite(connection) => {
            let mut rows: Vec<SyncRow> = Vec::new();
            // What comes behind so many is of no use.
            let mut end = i64::MAX;
            for heard in listening {
                let of_scope: Vec<SyncRow> = feed_events::table
                    .filter(feed_events::audience.eq(heard.scope.to_string()))
                    .filter(feed_events::cursor.gt(heard.after_cursor))
                    .filter(feed_events::cursor.le(heard.until_cursor.min(end)))
                    .order(feed_events::cursor)
                    .limit(limit_rows)
                    .select(SyncRow::as_select())
                    .load(connection)?;
                rows.extend(of_scope);
                if rows.len() > limit {
                    rows.sort_by_key(|row| row.cursor);
                    rows.truncate(limit);
                    end = rows.last().map_or(end, |last| last.cursor);
                }
            }
            rows
        }
    };
    rows.sort_by_key(|row| row.cursor);
    rows.truncate(limit);
    rows.into_iter().map(FeedEvent::try_from).collect()
}

/// All notices after a cursor and up to another, in order, at most so many.
pub(crate) fn list(
    connection: &mut AnyConnection,
    after: i64,
    until: i64,
    limit: i64,
) -> Result<Vec<FeedEvent>> {
    let rows: Vec<SyncRow> = feed_events::table
        .filter(feed_events::cursor.gt(after))
        .filter(feed_events::cursor.le(until))
        .order((feed_events::cursor, feed_events::audience))
        .limit(limit)
        .select(SyncRow::as_select())
        .load(connection)?;
    rows.into_iter().map(FeedEvent::try_from).collect()
}

/// Forgets what is not kept any more.
pub(crate) fn delete_until(connection: &mut AnyConnection, cursor: i64) -> Result<()> {
    diesel::delete(feed_events::table.filter(feed_events::cursor.le(cursor)))
        .execute(connection)?;
    Ok(())
}
