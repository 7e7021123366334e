//! Counts of failures.

use diesel::prelude::*;
use doorward_domain::Timestamp;
use doorward_storage::{AnyConnection, Error, Result};

use super::schema::throttle;
use crate::throttle::FailureCount;

/// To catch a count that others clear at the same time.
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

pub(crate) fn find(connection: &mut AnyConnection, bucket: &str) -> Result<Option<FailureCount>> {
    let row: Option<Row> = throttle::table
        .find(bucket)
        .select(Row::as_select())
        .get_result(connection)
        .optional()?;
    Ok(row.map(FailureCount::from))
}

/// Those of up to three buckets.
pub(crate) fn list(
    connection: &mut AnyConnection,
    [a, b, c]: [&str; 3],
) -> Result<Vec<FailureCount>> {
    // No `IN` over a list: SQLite would prepare it anew each time.
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

/// The count of a bucket, made if need be. Until the commit nobody else changes it.
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
        // A success has cleared it in between.
    }
    Err(Error::Unavailable("a count comes and goes".to_owned()))
}

fn insert_if_missing(connection: &mut AnyConnection, bucket: &str) -> Result<()> {
    let none = Row {
        bucket: bucket.to_owned(),
        failures: 0,
        failed_at: 0,
        blocked_until: 0,
        audited_until: 0,
    };
    match connection {
        AnyConnection::Postgres(connection) => diesel::insert_into(throttle::table)
            .values(&none)
            .on_conflict_do_nothing()
            .execute(connection)?,
        AnyConnection::Sqlite(connection) => diesel::insert_into(throttle::table)
            .values(&none)
            .on_conflict_do_nothing()
            .execute(connection)?,
    };
    Ok(())
}

pub(crate) fn update(connection: &mut AnyConnection, count: FailureCount) -> Result<()> {
    let row = Row::from(count);
    diesel::update(throttle::table.find(row.bucket.clone()))
        .set(&row)
        .execute(connection)?;
    Ok(())
}

pub(crate) fn delete(connection: &mut AnyConnection, bucket: &str) -> Result<()> {
    diesel::delete(throttle::table.find(bucket)).execute(connection)?;
    Ok(())
}

/// Deletes the counts of a bucket that has parts: those whose key is `bucket` and one more part after an `@`.
pub(crate) fn delete_parts(connection: &mut AnyConnection, bucket: &str) -> Result<()> {
    // The character after `@` is `A`. A range uses the index, and has no wildcards as LIKE has.
    let parts = throttle::bucket
        .ge(format!("{bucket}@"))
        .and(throttle::bucket.lt(format!("{bucket}A")));
    diesel::delete(throttle::table.filter(parts)).execute(connection)?;
    Ok(())
}

/// Whether this call is the one that notes that a wait is told of.
pub(crate) fn mark_audited(
    connection: &mut AnyConnection,
    bucket: &str,
    until: Timestamp,
) -> Result<bool> {
    let untold = throttle::table
        .find(bucket)
        .filter(throttle::audited_until.lt(until.as_micros()));
    Ok(diesel::update(untold)
        .set(throttle::audited_until.eq(until.as_micros()))
        .execute(connection)?
        > 0)
}

/// Of the buckets that begin so: those whose last failure was before `cut`, and the oldest beyond `max`, unless they still
/// make somebody wait.
pub(crate) fn delete_decayed(
    connection: &mut AnyConnection,
    prefix: &str,
    cut: Timestamp,
    max: i64,
    now: Timestamp,
) -> Result<()> {
    let beyond: Option<i64> = throttle::table
        .filter(throttle::bucket.like(format!("{prefix}%")))
        .order(throttle::failed_at.desc())
        .offset(max)
        .limit(1)
        .select(throttle::failed_at)
        .get_result(connection)
        .optional()?;
    let waits_no_more = || {
        throttle::bucket
            .like(format!("{prefix}%"))
            .and(throttle::blocked_until.lt(now.as_micros()))
    };
    let old = throttle::table
        .filter(throttle::failed_at.lt(cut.as_micros()))
        .filter(waits_no_more());
    diesel::delete(old).execute(connection)?;
    if let Some(beyond) = beyond {
        let oldest = throttle::table
            .filter(throttle::failed_at.le(beyond))
            .filter(waits_no_more());
        diesel::delete(oldest).execute(connection)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use doorward_storage::testing::TestDatabase;

    use super::*;
    use crate::MIGRATIONS;

    #[tokio::test]
    async fn wait_is_audited_once() {
        let test = TestDatabase::sqlite(&MIGRATIONS);
        let note = |connection: &mut AnyConnection| -> Result<Vec<bool>> {
            get_locked(connection, "name:a")?;
            [10, 10, 9, 11]
                .map(|second| mark_audited(connection, "name:a", Timestamp::from_seconds(second)))
                .into_iter()
                .collect()
        };
        assert_eq!(
            test.database.write(note).await.unwrap(),
            [true, false, false, true]
        );
    }

    #[tokio::test]
    async fn only_the_parts_of_a_bucket_are_deleted() {
        let test = TestDatabase::sqlite(&MIGRATIONS);
        let clear = |connection: &mut AnyConnection| -> Result<Vec<bool>> {
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
            test.database.write(clear).await.unwrap(),
            [true, false, false, true, true]
        );
    }
}
