//! Feed events: changes as they are delivered to the users of one audience.

use diesel::{prelude::*, sql_types};
use doorward_storage::{AnyConnection, Error, Result};

use crate::model::FeedEvent;
use crate::store::{feed_subscription::Subscription, schema::feed_events};

/// Maximum number of rows in one INSERT: PostgreSQL accepts at most 65,535 parameters in a
/// statement.
const MAX_ROWS: usize = 1000;

#[derive(Queryable, QueryableByName, Selectable, Insertable)]
#[diesel(table_name = feed_events)]
struct EventRow {
    audience: String,
    cursor: i64,
    first_cursor: Option<i64>,
    action: String,
    data_type: String,
    data_key: String,
}

impl TryFrom<EventRow> for FeedEvent {
    type Error = Error;

    fn try_from(row: EventRow) -> Result<Self> {
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

/// Inserts events with their cursors.
pub(crate) fn insert_many(connection: &mut AnyConnection, events: Vec<FeedEvent>) -> Result<()> {
    let rows: Vec<EventRow> = events
        .into_iter()
        .map(|event| EventRow {
            audience: event.audience.to_string(),
            cursor: event.cursor,
            first_cursor: event.first_cursor,
            action: event.action.to_string(),
            data_type: event.data_type,
            data_key: event.data_key,
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

/// Returns the first events of several subscriptions, ordered by cursor, at most `limit`.
///
/// Each audience is read by index and no further than `limit`, so the cost does not depend on how
/// many events an audience has.
pub(crate) fn list_for_subscriptions(
    connection: &mut AnyConnection,
    subscriptions: &[Subscription],
    limit: usize,
) -> Result<Vec<FeedEvent>> {
    let limit_rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows: Vec<EventRow> = match connection {
        AnyConnection::Postgres(connection) => {
            let audiences: Vec<String> = subscriptions
                .iter()
                .map(|subscription| subscription.audience.to_string())
                .collect();
            let after: Vec<i64> = subscriptions
                .iter()
                .map(|subscription| subscription.after_cursor)
                .collect();
            let until: Vec<i64> = subscriptions
                .iter()
                .map(|subscription| subscription.until_cursor)
                .collect();
            diesel::sql_query(
                "SELECT event.* FROM unnest($1, $2, $3) AS subscription (audience, after_cursor, until_cursor) \
                 CROSS JOIN LATERAL (SELECT * FROM feed_events WHERE feed_events.audience = subscription.audience \
                 AND cursor > subscription.after_cursor AND cursor <= subscription.until_cursor ORDER BY cursor LIMIT $4) AS event \
                 ORDER BY event.cursor LIMIT $4",
            )
            .bind::<sql_types::Array<sql_types::Text>, _>(audiences)
            .bind::<sql_types::Array<sql_types::BigInt>, _>(after)
            .bind::<sql_types::Array<sql_types::BigInt>, _>(until)
            .bind::<sql_types::BigInt, _>(limit_rows)
            .load(connection)?
        }
        AnyConnection::Sqlite(connection) => {
            let mut rows: Vec<EventRow> = Vec::new();
            // Once there are `limit` rows, later ones cannot be part of the result.
            let mut end = i64::MAX;
            for subscription in subscriptions {
                let found: Vec<EventRow> = feed_events::table
                    .filter(feed_events::audience.eq(subscription.audience.to_string()))
                    .filter(feed_events::cursor.gt(subscription.after_cursor))
                    .filter(feed_events::cursor.le(subscription.until_cursor.min(end)))
                    .order(feed_events::cursor)
                    .limit(limit_rows)
                    .select(EventRow::as_select())
                    .load(connection)?;
                rows.extend(found);
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

/// Returns the first events after a cursor and up to another, ordered by cursor, at most `limit`.
pub(crate) fn list(
    connection: &mut AnyConnection,
    after: i64,
    until: i64,
    limit: i64,
) -> Result<Vec<FeedEvent>> {
    let rows: Vec<EventRow> = feed_events::table
        .filter(feed_events::cursor.gt(after))
        .filter(feed_events::cursor.le(until))
        .order((feed_events::cursor, feed_events::audience))
        .limit(limit)
        .select(EventRow::as_select())
        .load(connection)?;
    rows.into_iter().map(FeedEvent::try_from).collect()
}

/// Deletes the events up to a cursor.
pub(crate) fn delete_until(connection: &mut AnyConnection, cursor: i64) -> Result<()> {
    diesel::delete(feed_events::table.filter(feed_events::cursor.le(cursor)))
        .execute(connection)?;
    Ok(())
}
