//! Codes that were mailed.

use diesel::prelude::*;
use doorward_domain::{Gid, Timestamp};
use doorward_storage::{AnyConnection, Error, Result};

use super::schema::codes;
use crate::codes::{Code, Purpose, Signup};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = codes)]
struct Row {
    validation: String,
    purpose: String,
    subject: String,
    verification: String,
    bindings: String,
    signup_gid: Option<String>,
    password_hash: Option<String>,
    failed_tries: i64,
    expires_at: i64,
}

impl From<Code> for Row {
    fn from(code: Code) -> Self {
        let (signup_gid, password_hash) =
            code.signup.map(|signup| (signup.gid.to_string(), signup.password_hash)).unzip();
        Self {
            validation: code.validation,
            purpose: code.purpose.as_str().to_owned(),
            subject: code.subject,
            verification: code.verification,
            bindings: code.bindings.join(" "),
            signup_gid,
            password_hash,
            failed_tries: code.failed_tries,
            expires_at: code.expires_at.as_micros(),
        }
    }
}

impl TryFrom<Row> for Code {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let signup = match row.signup_gid.zip(row.password_hash) {
            Some((gid, password_hash)) => Some(Signup { gid: gid.parse()?, password_hash }),
            None => None,
        };
        Ok(Self {
            validation: row.validation,
            purpose: row.purpose.parse()?,
            subject: row.subject,
            verification: row.verification,
            bindings: row.bindings.split(' ').map(str::to_owned).collect(),
            signup,
            failed_tries: row.failed_tries,
            expires_at: Timestamp::from_micros(row.expires_at),
        })
    }
}

/// In place of the one that its subject has.
pub(crate) fn put(connection: &mut AnyConnection, code: Code) -> Result<()> {
    use diesel::upsert::excluded;
    let row = Row::from(code);
    let set = (
        codes::validation.eq(excluded(codes::validation)),
        codes::verification.eq(excluded(codes::verification)),
        codes::bindings.eq(excluded(codes::bindings)),
        codes::signup_gid.eq(excluded(codes::signup_gid)),
        codes::password_hash.eq(excluded(codes::password_hash)),
        codes::failed_tries.eq(excluded(codes::failed_tries)),
        codes::expires_at.eq(excluded(codes::expires_at)),
    );
    let insert = diesel::insert_into(codes::table).values(&row);
    match connection {
        AnyConnection::Postgres(connection) => {
            insert.on_conflict((codes::purpose, codes::subject)).do_update().set(set).execute(connection)?
        }
        AnyConnection::Sqlite(connection) => {
            insert.on_conflict((codes::purpose, codes::subject)).do_update().set(set).execute(connection)?
        }
    };
    Ok(())
}

/// Until the commit nobody else tries it or uses it up.
pub(crate) fn find_locked(connection: &mut AnyConnection, validation: &str, purpose: Purpose) -> Result<Option<Code>> {
    let here = codes::table.find(validation).filter(codes::purpose.eq(purpose.as_str()));
    if diesel::update(here).set(codes::failed_tries.eq(codes::failed_tries)).execute(connection)? == 0 {
        return Ok(None);
    }
    let row: Row = codes::table.find(validation).select(Row::as_select()).get_result(connection)?;
    Ok(Some(row.try_into()?))
}

pub(crate) fn set_failed_tries(connection: &mut AnyConnection, validation: &str, failed_tries: i64) -> Result<()> {
    diesel::update(codes::table.find(validation)).set(codes::failed_tries.eq(failed_tries)).execute(connection)?;
    Ok(())
}

/// Whether it is there still.
pub(crate) fn set_subject(connection: &mut AnyConnection, validation: &str, subject: &str) -> Result<bool> {
    Ok(diesel::update(codes::table.find(validation)).set(codes::subject.eq(subject)).execute(connection)? > 0)
}

pub(crate) fn delete(connection: &mut AnyConnection, validation: &str) -> Result<()> {
    diesel::delete(codes::table.find(validation)).execute(connection)?;
    Ok(())
}

pub(crate) fn delete_of(connection: &mut AnyConnection, purpose: Purpose, subject: &str) -> Result<()> {
    let of_subject = codes::purpose.eq(purpose.as_str()).and(codes::subject.eq(subject));
    diesel::delete(codes::table.filter(of_subject)).execute(connection)?;
    Ok(())
}

/// Those of a user, by gid; what they asked for by address goes when it expires.
pub(crate) fn delete_of_user(connection: &mut AnyConnection, user: Gid) -> Result<()> {
    diesel::delete(codes::table.filter(codes::subject.eq(user.to_string()).and(is_of_user()))).execute(connection)?;
    Ok(())
}

#[diesel::dsl::auto_type(no_type_alias)]
fn is_of_user() -> _ {
    codes::purpose.eq("reset").or(codes::purpose.eq("email"))
}

pub(crate) fn delete_expired(connection: &mut AnyConnection, cut: Timestamp) -> Result<()> {
    diesel::delete(codes::table.filter(codes::expires_at.lt(cut.as_micros()))).execute(connection)?;
    Ok(())
}
