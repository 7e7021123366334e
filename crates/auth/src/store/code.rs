//! Table `codes`: requests for mailed codes.

use diesel::{dsl::max, prelude::*, sql_types::Text};
use doorward_domain::{Gid, Timestamp};
use doorward_storage::{AnyConnection, Error, Result};

use super::schema::codes;
use crate::model::{Code, PendingSignup, Purpose, ValidRequest};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = codes)]
struct Row {
    validation_code_hash: String,
    purpose: String,
    subject: String,
    codes_hmac: String,
    binding_hmacs: String,
    signup_gid: Option<String>,
    password_hash: Option<String>,
    failed_attempts: i64,
    expires_at: i64,
    request_number: i64,
    is_from_known_network: bool,
    is_reserved: bool,
}

impl Row {
    fn new(code: Code, request_number: i64) -> Self {
        let (signup_gid, password_hash) = code
            .signup
            .map(|signup| (signup.gid.to_string(), signup.password_hash))
            .unzip();
        Self {
            validation_code_hash: code.validation_code_hash,
            purpose: code.purpose.as_str().to_owned(),
            subject: code.subject,
            codes_hmac: code.codes_hmac,
            binding_hmacs: code.binding_hmacs.join(" "),
            signup_gid,
            password_hash,
            failed_attempts: code.failed_attempts,
            expires_at: code.expires_at.as_micros(),
            request_number,
            is_from_known_network: code.is_from_known_network,
            is_reserved: false,
        }
    }
}

impl TryFrom<Row> for Code {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let signup = match row.signup_gid.zip(row.password_hash) {
            Some((gid, password_hash)) => Some(PendingSignup {
                gid: gid.parse()?,
                password_hash,
            }),
            None => None,
        };
        Ok(Self {
            validation_code_hash: row.validation_code_hash,
            purpose: row.purpose.parse()?,
            subject: row.subject,
            codes_hmac: row.codes_hmac,
            binding_hmacs: row.binding_hmacs.split(' ').map(str::to_owned).collect(),
            signup,
            failed_attempts: row.failed_attempts,
            expires_at: Timestamp::from_micros(row.expires_at),
            is_from_known_network: row.is_from_known_network,
        })
    }
}

/// Locks the requests of one subject until the commit. Every change holds this lock, so no two
/// transactions wait for each other's rows. Only the deletion of rows that expired long ago does
/// not need it.
pub(crate) fn lock_subject(
    connection: &mut AnyConnection,
    purpose: Purpose,
    subject: &str,
) -> Result<()> {
    // SQLite runs one write transaction at a time.
    if let AnyConnection::Postgres(connection) = connection {
        let lock = "SELECT pg_advisory_xact_lock(hashtextextended('codes/' || $1 || '/' || $2, 0))";
        diesel::sql_query(lock)
            .bind::<Text, _>(purpose.as_str())
            .bind::<Text, _>(subject)
            .execute(connection)?;
    }
    Ok(())
}

/// Inserts a request after all others of its subject, whose lock the caller holds.
pub(crate) fn insert(connection: &mut AnyConnection, code: Code) -> Result<()> {
    let has_subject = codes::purpose
        .eq(code.purpose.as_str())
        .and(codes::subject.eq(code.subject.clone()));
    let last: Option<i64> = codes::table
        .filter(has_subject)
        .select(max(codes::request_number))
        .get_result(connection)?;
    diesel::insert_into(codes::table)
        .values(Row::new(code, last.unwrap_or(0) + 1))
        .execute(connection)?;
    Ok(())
}

/// Lists the valid requests of a subject whose second step has not begun, the oldest first.
pub(crate) fn list_valid(
    connection: &mut AnyConnection,
    purpose: Purpose,
    subject: &str,
    max_attempts: i64,
    now: Timestamp,
) -> Result<Vec<ValidRequest>> {
    let rows: Vec<(String, bool, i64)> = codes::table
        .filter(
            codes::purpose
                .eq(purpose.as_str())
                .and(codes::subject.eq(subject)),
        )
        .filter(codes::is_reserved.eq(false))
        .filter(
            codes::failed_attempts
                .lt(max_attempts)
                .and(codes::expires_at.gt(now.as_micros())),
        )
        .order(codes::request_number)
        .select((
            codes::validation_code_hash,
            codes::is_from_known_network,
            codes::expires_at,
        ))
        .load(connection)?;
    let valid =
        rows.into_iter().map(
            |(validation, is_from_known_network, expires_at)| ValidRequest {
                validation,
                is_from_known_network,
                expires_at: Timestamp::from_micros(expires_at),
            },
        );
    Ok(valid.collect())
}

/// Finds a request and locks all requests of its subject until the commit. The row is read again
/// under the lock, because another transaction may have used it up while this one waited.
pub(crate) fn find_locked(
    connection: &mut AnyConnection,
    validation: &str,
    purpose: Purpose,
) -> Result<Option<Code>> {
    let query = || {
        codes::table
            .find(validation)
            .filter(codes::purpose.eq(purpose.as_str()))
    };
    let subject: Option<String> = query()
        .select(codes::subject)
        .get_result(connection)
        .optional()?;
    let Some(subject) = subject else {
        return Ok(None);
    };
    lock_subject(connection, purpose, &subject)?;
    let row: Option<Row> = query()
        .select(Row::as_select())
        .get_result(connection)
        .optional()?;
    row.map(Code::try_from).transpose()
}

/// Stores the number of failed attempts.
pub(crate) fn set_failed_attempts(
    connection: &mut AnyConnection,
    validation: &str,
    failed_attempts: i64,
) -> Result<()> {
    diesel::update(codes::table.find(validation))
        .set(codes::failed_attempts.eq(failed_attempts))
        .execute(connection)?;
    Ok(())
}

/// Marks a request whose second step has begun.
pub(crate) fn set_reserved(connection: &mut AnyConnection, validation: &str) -> Result<()> {
    diesel::update(codes::table.find(validation))
        .set(codes::is_reserved.eq(true))
        .execute(connection)?;
    Ok(())
}

/// Deletes one request.
pub(crate) fn delete(connection: &mut AnyConnection, validation: &str) -> Result<()> {
    diesel::delete(codes::table.find(validation)).execute(connection)?;
    Ok(())
}

/// Deletes the requests of a subject whose second step has not begun, except one.
pub(crate) fn delete_other_requests(connection: &mut AnyConnection, code: &Code) -> Result<()> {
    let has_subject = codes::purpose
        .eq(code.purpose.as_str())
        .and(codes::subject.eq(&code.subject));
    let others = codes::table
        .filter(has_subject)
        .filter(codes::validation_code_hash.ne(&code.validation_code_hash));
    diesel::delete(others.filter(codes::is_reserved.eq(false))).execute(connection)?;
    Ok(())
}

/// Locks and deletes all requests of a subject.
pub(crate) fn delete_for_subject(
    connection: &mut AnyConnection,
    purpose: Purpose,
    subject: &str,
) -> Result<()> {
    lock_subject(connection, purpose, subject)?;
    let has_subject = codes::purpose
        .eq(purpose.as_str())
        .and(codes::subject.eq(subject));
    diesel::delete(codes::table.filter(has_subject)).execute(connection)?;
    Ok(())
}

/// Deletes the requests whose subject is a user. Those for an address with several accounts stay.
/// The caller holds the lock of the trust version: only under it can a transaction take the locks
/// of several subjects without a deadlock.
pub(crate) fn delete_for_user(connection: &mut AnyConnection, user: Gid) -> Result<()> {
    let user = user.to_string();
    delete_for_subject(connection, Purpose::PasswordReset, &user)?;
    delete_for_subject(connection, Purpose::EmailChange, &user)
}

/// Deletes the requests that expired before `cut`.
pub(crate) fn delete_expired(connection: &mut AnyConnection, cut: Timestamp) -> Result<()> {
    diesel::delete(codes::table.filter(codes::expires_at.lt(cut.as_micros())))
        .execute(connection)?;
    Ok(())
}
