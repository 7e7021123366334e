//! Table `revocations`: revocations that can still cover a token.

use diesel::prelude::*;
use doorward_domain::{Gid, Timestamp};
use doorward_storage::{AnyConnection, Error, Result};

use super::schema::{credentials, revocations};
use crate::model::{Revocation, RevocationTarget};

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = revocations)]
struct Row {
    kind: String,
    id: String,
    not_before_seconds: i64,
    expires_at_seconds: i64,
    revoked_at: i64,
    version: i64,
}

impl TryFrom<Row> for Revocation {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let target = if row.kind == "sid" {
            RevocationTarget::Sid(row.id)
        } else {
            RevocationTarget::Subject(row.id.parse()?)
        };
        Ok(Self {
            target,
            not_before_seconds: row.not_before_seconds,
            expires_at_seconds: row.expires_at_seconds,
            revoked_at: Timestamp::from_micros(row.revoked_at),
        })
    }
}

/// Finds the revocation of a target.
pub(crate) fn find(
    connection: &mut AnyConnection,
    target: &RevocationTarget,
) -> Result<Option<Revocation>> {
    let (kind, id) = target.to_key();
    let row = revocations::table
        .find((kind, id))
        .select(Row::as_select())
        .get_result(connection)
        .optional()?;
    row.map(Revocation::try_from).transpose()
}

/// Returns the password hash of a user and the revocation of the user's tokens, from one query and
/// so from one moment. Without a hash there is no result for the revocation either.
pub(crate) fn find_with_hash(
    connection: &mut AnyConnection,
    user: Gid,
) -> Result<(Option<String>, Option<Revocation>)> {
    let is_of_user = revocations::kind
        .eq("subject")
        .and(revocations::id.eq(credentials::user_gid));
    let row: Option<(String, Option<Row>)> = credentials::table
        .left_join(revocations::table.on(is_of_user))
        .filter(credentials::user_gid.eq(user.to_string()))
        .select((credentials::password_hash, Option::<Row>::as_select()))
        .get_result(connection)
        .optional()?;
    match row {
        Some((hash, revocation)) => Ok((
            Some(hash),
            revocation.map(Revocation::try_from).transpose()?,
        )),
        None => Ok((None, None)),
    }
}

/// Inserts a revocation, or merges it into the existing one of the same target. The caller holds
/// the lock of the trust version.
pub(crate) fn upsert(
    connection: &mut AnyConnection,
    revocation: &Revocation,
    version: i64,
) -> Result<()> {
    let (kind, id) = revocation.target.to_key();
    let known = find(connection, &revocation.target)?;
    let merged = known
        .as_ref()
        .map_or_else(|| revocation.clone(), |known| known.merge(revocation));
    let row = Row {
        kind: kind.to_owned(),
        id: id.clone(),
        not_before_seconds: merged.not_before_seconds,
        expires_at_seconds: merged.expires_at_seconds,
        revoked_at: merged.revoked_at.as_micros(),
        version,
    };
    if known.is_some() {
        diesel::update(revocations::table.find((kind, id)))
            .set(&row)
            .execute(connection)?;
    } else {
        diesel::insert_into(revocations::table)
            .values(&row)
            .execute(connection)?;
    }
    Ok(())
}

/// Lists the revocations with a later version, in the order of versions.
pub(crate) fn list_after(connection: &mut AnyConnection, version: i64) -> Result<Vec<Revocation>> {
    let rows: Vec<Row> = revocations::table
        .filter(revocations::version.gt(version))
        .order(revocations::version)
        .select(Row::as_select())
        .load(connection)?;
    rows.into_iter().map(Revocation::try_from).collect()
}

/// Deletes the revocations whose last token has expired.
pub(crate) fn delete_expired(connection: &mut AnyConnection, now: Timestamp) -> Result<()> {
    diesel::delete(revocations::table.filter(revocations::expires_at_seconds.lt(now.as_seconds())))
        .execute(connection)?;
    Ok(())
}
