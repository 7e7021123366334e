//! Table `throttle`: the counts of buckets.

use diesel::prelude::*;
use doorward_domain::Timestamp;
use doorward_storage::{AnyConnection, Error, Result};

use super::schema::throttle;
use crate::model::FailureCount;

/// Maximum number of attempts to lock a count that others delete at the same time.
const MAX_LOCK_ATTEMPTS: usize = 10;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = throttle)]
struct Row {
    bucket: String,
    failures: i64,
    failed_at: i64,
    blocked_until: i64,
    audited_until: i64,
}

impl From<Row> for FailureCount {
    fn from(row: Row) -> Self {
        Self {
            bucket: row.bucket,
            failures: row.failures,
            failed_at: Timestamp::from_micros(row.failed_at),
            blocked_until: Timestamp::from_micros(row.blocked_until),
            audited_until: Timestamp::from_micros(row.audited_until),
        }
    }
}

impl From<FailureCount> for Row {
    fn from(count: FailureCount) -> Self {
        Self {
            bucket: count.bucket,
            failures: count.failures,
            failed_at: count.failed_at.as_micros(),
            blocked_until: count.blocked_until.as_micros(),
            audited_until: count.audited_until.as_micros(),
        }
    }
}

/// Finds the count of a bucket.
pub(crate) fn find(connection: &mut AnyConnection, bucket: &str) -> Result<Option<FailureCount>> {
    let row: Option<Row> = throttle::table
        .find(bucket)
        .select(Row::as_select())
        .get_result(connection)
        .optional()?;
    Ok(row.map(FailureCount::from))
}

/// Lists the counts of three buckets. A bucket without failures can be missing.
pub(crate) fn list(
    connection: &mut AnyConnection,
    [a, b, c]: [&str; 3],
) -> Result<Vec<FailureCount>> {
    // diesel does not cache statements with `IN` over a list on SQLite, but prepares them each
    // time.
    let rows: Vec<Row> = throttle::table
        .filter(
            throttle::bucket
                .eq(a)
                .or(throttle::bucket.eq(b))
                .or(throttle::bucket.eq(c)),
        )
        .select(Row::as_select())
        .load(connection)?;
    Ok(rows.into_iter().map(FailureCount::from).collect())
}

/// Returns the count of a bucket and locks it until the commit. A missing count is inserted first.
///
/// # Errors
/// Database errors, also if others keep deleting the count.
pub(crate) fn get_locked(connection: &mut AnyConnection, bucket: &str) -> Result<FailureCount> {
    for _ in 0..MAX_LOCK_ATTEMPTS {
        insert_if_missing(connection, bucket)?;
        let same = throttle::failures.eq(throttle::failures);
        if diesel::update(throttle::table.find(bucket))
            .set(same)
            .execute(connection)?
            > 0
        {
            let row: Row = throttle::table
                .find(bucket)
                .select(Row::as_select())
                .get_result(connection)?;
            return Ok(row.into());
        }
        // A successful login has deleted the count since the insertion.
    }
    Err(Error::Unavailable(
        "failed to lock a count of the throttle that others keep deleting".to_owned(),
    ))
}

fn insert_if_missing(connection: &mut AnyConnection, bucket: &str) -> Result<()> {
    let empty = Row {
        bucket: bucket.to_owned(),
        failures: 0,
        failed_at: 0,
        blocked_until: 0,
        audited_until: 0,
    };
    match connection {
        AnyConnection::Postgres(connection) => diesel::insert_into(throttle::table)
            .values(&empty)
            .on_conflict_do_nothing()
            .execute(connection)?,
        AnyConnection::Sqlite(connection) => diesel::insert_into(throttle::table)
            .values(&empty)
            .on_conflict_do_nothing()
            .execute(connection)?,
    };
    Ok(())
}

/// Replaces a count.
pub(crate) fn update(connection: &mut AnyConnection, count: FailureCount) -> Result<()> {
    let row = Row::from(count);
    diesel::update(throttle::table.find(row.bucket.clone()))
        .set(&row)
        .execute(connection)?;
    Ok(())
}

/// Deletes a count.
pub(crate) fn delete(connection: &mut AnyConnection, bucket: &str) -> Result<()> {
    diesel::delete(throttle::table.find(bucket)).execute(connection)?;
    Ok(())
}

/// Deletes the counts whose key is `bucket`, an `@` and a network.
pub(crate) fn delete_parts(connection: &mut AnyConnection, bucket: &str) -> Result<()> {
    // The character after `@` is `A`. A range uses the index, and has no wildcards, unlike LIKE.
    let parts = throttle::bucket
        .ge(format!("{bucket}@"))
        .and(throttle::bucket.lt(format!("{bucket}A")));
    diesel::delete(throttle::table.filter(parts)).execute(connection)?;
    Ok(())
}

/// Marks a wait as recorded in the audit trail. Returns false if another call has done it already.
pub(crate) fn mark_audited(
    connection: &mut AnyConnection,
    bucket: &str,
    until: Timestamp,
) -> Result<bool> {
    let unmarked = throttle::table
        .find(bucket)
        .filter(throttle::audited_until.lt(until.as_micros()));
    Ok(diesel::update(unmarked)
        .set(throttle::audited_until.eq(until.as_micros()))
        .execute(connection)?
        > 0)
}

/// Deletes the counts with this prefix whose last failure was before `cut`, and the oldest beyond
/// `max`. Counts with a wait that has not ended are not deleted.
pub(crate) fn delete_decayed(
    connection: &mut AnyConnection,
    prefix: &str,
    cut: Timestamp,
    max: i64,
    now: Timestamp,
) -> Result<()> {
    let newest_excess: Option<i64> = throttle::table
        .filter(throttle::bucket.like(format!("{prefix}%")))
        .order(throttle::failed_at.desc())
        .offset(max)
        .limit(1)
        .select(throttle::failed_at)
        .get_result(connection)
        .optional()?;
    let wait_has_ended = || {
        throttle::bucket
            .like(format!("{prefix}%"))
            .and(throttle::blocked_until.lt(now.as_micros()))
    };
    let old = throttle::table
        .filter(throttle::failed_at.lt(cut.as_micros()))
        .filter(wait_has_ended());
    diesel::delete(old).execute(connection)?;
    if let Some(newest_excess) = newest_excess {
        let oldest = throttle::table
            .filter(throttle::failed_at.le(newest_excess))
            .filter(wait_has_ended());
        diesel::delete(oldest).execute(connection)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use doorward_storage::testing::TestDatabase;

    use super::*;
    use crate::migrations::MIGRATIONS;

    #[tokio::test]
    async fn wait_is_audited_once() {
        let test = TestDatabase::sqlite(&MIGRATIONS);
        let mark = |connection: &mut AnyConnection| -> Result<Vec<bool>> {
            get_locked(connection, "name:a")?;
            [10, 10, 9, 11]
                .map(|second| mark_audited(connection, "name:a", Timestamp::from_seconds(second)))
                .into_iter()
                .collect()
        };
        assert_eq!(
            test.database.write(mark).await.unwrap(),
            [true, false, false, true]
        );
    }

    #[tokio::test]
    async fn only_the_parts_of_a_bucket_are_deleted() {
        let test = TestDatabase::sqlite(&MIGRATIONS);
        let delete = |connection: &mut AnyConnection| -> Result<Vec<bool>> {
            let keys = [
                "name:a",
                "name:a@192.0.2.1",
                "name:a@2001:db8::/64",
                "name:ab@192.0.2.1",
                "name:b@192.0.2.1",
            ];
            for key in keys {
                get_locked(connection, key)?;
            }
            delete_parts(connection, "name:a")?;
            keys.map(|key| find(connection, key).map(|found| found.is_some()))
                .into_iter()
                .collect()
        };
        assert_eq!(
            test.database.write(delete).await.unwrap(),
            [true, false, false, true, true]
        );
    }
}
