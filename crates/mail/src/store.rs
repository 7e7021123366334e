//! The table `outbox`, which each service that sends mails has. It knows neither SMTP nor when a
//! mail is tried again.

use diesel::{prelude::*, result::Error as Diesel, sql_types::Text};
use doorward_domain::{Gid, Timestamp};
use doorward_storage::{AnyConnection, Result};

use crate::retry::Attempt;

diesel::table! {
    outbox (id) {
        id -> Text,
        recipient -> Text,
        language -> Text,
        kind -> Text,
        content -> Text,
        topic -> Nullable<Text>,
        user_gid -> Nullable<Text>,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        attempts -> BigInt,
        next_attempt_at -> BigInt,
        leased_until -> Nullable<BigInt>,
        quarantined_at -> Nullable<BigInt>,
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = outbox)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) recipient: String,
    pub(crate) language: String,
    pub(crate) kind: String,
    pub(crate) content: String,
    pub(crate) topic: Option<String>,
    pub(crate) user_gid: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) attempts: i64,
    pub(crate) next_attempt_at: i64,
    pub(crate) leased_until: Option<i64>,
}

/// A mail that only this process may send until the lease ends.
#[derive(Debug, Clone)]
pub(crate) struct LeasedMail {
    pub(crate) id: Gid,
    /// Address of the recipient, as stored. It is parsed when the mail is composed.
    pub(crate) recipient: String,
    pub(crate) language: String,
    pub(crate) kind: String,
    pub(crate) content: String,
    pub(crate) topic: Option<String>,
    pub(crate) user: Option<Gid>,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    /// Number of attempts, including the one of this lease.
    pub(crate) attempts: i64,
    pub(crate) leased_until: Timestamp,
}

impl LeasedMail {
    fn new(row: Row, leased_until: Timestamp) -> Result<Self> {
        Ok(Self {
            id: row.id.parse()?,
            recipient: row.recipient,
            language: row.language,
            kind: row.kind,
            content: row.content,
            topic: row.topic,
            user: row.user_gid.map(|gid| gid.parse()).transpose()?,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: row.expires_at.map(Timestamp::from_micros),
            attempts: row.attempts + 1,
            leased_until,
        })
    }

    pub(crate) fn attempt(&self) -> Attempt {
        Attempt {
            attempts: self.attempts,
            created_at: self.created_at,
            expires_at: self.expires_at,
        }
    }
}

pub(crate) fn insert(connection: &mut AnyConnection, row: &Row) -> Result<()> {
    diesel::insert_into(outbox::table)
        .values(row)
        .execute(connection)?;
    Ok(())
}

/// Locks a topic until the transaction ends, so that no other transaction writes a mail of it.
pub(crate) fn lock_topic(connection: &mut AnyConnection, topic: &str) -> Result<()> {
    // In SQLite, write transactions exclude each other anyway.
    if let AnyConnection::Postgres(connection) = connection {
        let lock = "SELECT pg_advisory_xact_lock(hashtextextended('outbox/' || $1, 0))";
        diesel::sql_query(lock)
            .bind::<Text, _>(topic)
            .execute(connection)?;
    }
    Ok(())
}

/// Deletes the mails of a topic that no process has a lease on.
pub(crate) fn delete_waiting(
    connection: &mut AnyConnection,
    topic: &str,
    now: Timestamp,
) -> Result<()> {
    let has_no_lease = outbox::leased_until
        .is_null()
        .or(outbox::leased_until.le(now.as_micros()));
    diesel::delete(
        outbox::table
            .filter(outbox::topic.eq(topic))
            .filter(has_no_lease),
    )
    .execute(connection)?;
    Ok(())
}

/// Returns whether there is a mail to claim.
pub(crate) fn has_due(connection: &mut AnyConnection, now: Timestamp) -> Result<bool> {
    let due = outbox::table
        .filter(outbox::next_attempt_at.le(now.as_micros()))
        .filter(outbox::quarantined_at.is_null());
    let due = due.select(outbox::id).limit(1);
    Ok(due.get_result::<String>(connection).optional()?.is_some())
}

/// The result of [`claim`].
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    pub(crate) mails: Vec<LeasedMail>,
    /// Ids of rows that could not be read and are now quarantined.
    pub(crate) quarantined: Vec<String>,
}

/// Takes leases until `lease_end` on the mails that have been due longest, at most `limit`.
pub(crate) fn claim(
    connection: &mut AnyConnection,
    now: Timestamp,
    lease_end: Timestamp,
    limit: i64,
) -> Result<Claimed> {
    let due = || {
        let due = outbox::table
            .filter(outbox::next_attempt_at.le(now.as_micros()))
            .filter(outbox::quarantined_at.is_null());
        due.order((outbox::next_attempt_at, outbox::id))
            .select(outbox::id)
            .limit(limit)
    };
    let ids: Vec<String> = match connection {
        // Rows that another process is claiming are skipped, so replicas do not wait for each
        // other.
        AnyConnection::Postgres(connection) => due().for_update().skip_locked().load(connection)?,
        // Write transactions exclude each other, so no other process is claiming now.
        AnyConnection::Sqlite(connection) => due().load(connection)?,
    };
    let mut claimed = Claimed::default();
    for id in ids {
        match find_leased(connection, &id, lease_end)? {
            Some(mail) => {
                lease(connection, &id, lease_end)?;
                claimed.mails.push(mail);
            }
            None => {
                quarantine(connection, &id, now)?;
                claimed.quarantined.push(id);
            }
        }
    }
    Ok(claimed)
}

/// Reads one row, or returns `None` if it cannot be read. Rows are read one at a time so that such
/// a row does not keep the others from being sent.
fn find_leased(
    connection: &mut AnyConnection,
    id: &str,
    lease_end: Timestamp,
) -> Result<Option<LeasedMail>> {
    match outbox::table
        .find(id)
        .select(Row::as_select())
        .get_result(connection)
    {
        Ok(row) => Ok(LeasedMail::new(row, lease_end).ok()),
        Err(Diesel::DeserializationError(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Marks a mail as leased. The end of the lease is also when the mail is due again, so a process
/// that is killed needs no cleanup.
fn lease(connection: &mut AnyConnection, id: &str, lease_end: Timestamp) -> Result<()> {
    diesel::update(outbox::table.find(id))
        .set((
            outbox::attempts.eq(outbox::attempts + 1),
            outbox::next_attempt_at.eq(lease_end.as_micros()),
            outbox::leased_until.eq(lease_end.as_micros()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Excludes a row that cannot be read from sending, and keeps it.
pub(crate) fn quarantine(connection: &mut AnyConnection, id: &str, now: Timestamp) -> Result<()> {
    diesel::update(outbox::table.find(id))
        .set((
            outbox::quarantined_at.eq(now.as_micros()),
            outbox::leased_until.eq(None::<i64>),
        ))
        .execute(connection)?;
    Ok(())
}

/// Makes all quarantined rows due again. A later release, or a process with another key, may be
/// able to read them.
pub(crate) fn retry_quarantined(connection: &mut AnyConnection, now: Timestamp) -> Result<()> {
    diesel::update(outbox::table.filter(outbox::quarantined_at.is_not_null()))
        .set((
            outbox::quarantined_at.eq(None::<i64>),
            outbox::next_attempt_at.eq(now.as_micros()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Deletes a mail that was sent, also if its lease has ended: a process that has it now must not
/// send it again.
pub(crate) fn delete(connection: &mut AnyConnection, id: Gid) -> Result<()> {
    diesel::delete(outbox::table.find(id.to_string())).execute(connection)?;
    Ok(())
}

/// Ends the lease and sets the time of the next attempt. Does nothing if another process has a
/// lease on the mail now, which has another end.
pub(crate) fn release(
    connection: &mut AnyConnection,
    mail: &LeasedMail,
    next_attempt_at: Timestamp,
) -> Result<()> {
    let leased = outbox::table.find(mail.id.to_string());
    diesel::update(leased.filter(outbox::leased_until.eq(mail.leased_until.as_micros())))
        .set((
            outbox::next_attempt_at.eq(next_attempt_at.as_micros()),
            outbox::leased_until.eq(None::<i64>),
        ))
        .execute(connection)?;
    Ok(())
}

/// Deletes a mail, unless another process has a lease on it now. Returns whether it was deleted.
pub(crate) fn delete_leased(connection: &mut AnyConnection, mail: &LeasedMail) -> Result<bool> {
    let leased = outbox::table.find(mail.id.to_string());
    let leased = leased.filter(outbox::leased_until.eq(mail.leased_until.as_micros()));
    Ok(diesel::delete(leased).execute(connection)? > 0)
}

/// Returns whether a newer mail of the same topic was written while this one was being sent.
pub(crate) fn is_replaced(connection: &mut AnyConnection, mail: &LeasedMail) -> Result<bool> {
    let Some(topic) = &mail.topic else {
        return Ok(false);
    };
    let newer = outbox::table
        .filter(outbox::topic.eq(topic))
        .filter(outbox::id.ne(mail.id.to_string()))
        .filter(outbox::created_at.ge(mail.created_at.as_micros()));
    Ok(newer
        .select(outbox::id)
        .limit(1)
        .get_result::<String>(connection)
        .optional()?
        .is_some())
}

/// Returns the number of mails in the outbox, without quarantined ones.
pub(crate) fn count(connection: &mut AnyConnection) -> Result<i64> {
    Ok(outbox::table
        .filter(outbox::quarantined_at.is_null())
        .count()
        .get_result(connection)?)
}

/// The content of a mail as stored.
#[derive(Queryable)]
pub(crate) struct StoredContent {
    pub(crate) id: String,
    pub(crate) content: String,
    pub(crate) quarantined_at: Option<i64>,
}

/// Lists the contents of mails in the order of their ids, after the id `after`.
pub(crate) fn list_contents(
    connection: &mut AnyConnection,
    after: &str,
    limit: i64,
) -> Result<Vec<StoredContent>> {
    let page = outbox::table
        .filter(outbox::id.gt(after))
        .order(outbox::id)
        .limit(limit);
    Ok(page
        .select((outbox::id, outbox::content, outbox::quarantined_at))
        .load(connection)?)
}

pub(crate) fn set_content(connection: &mut AnyConnection, id: &str, content: &str) -> Result<()> {
    diesel::update(outbox::table.find(id))
        .set(outbox::content.eq(content))
        .execute(connection)?;
    Ok(())
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
