//! The canonical forms of the users' email addresses, and the marks of users whose addresses
//! conflict. It does not know when a conflict is resolved.

use diesel::prelude::*;
use doorward_domain::{Gid, UserStatus};
use doorward_storage::{AnyConnection, Result};

use super::schema::users;

/// An address with its canonical form.
#[derive(Debug)]
pub(crate) struct StoredEmail {
    pub(crate) user: Gid,
    pub(crate) email: String,
    pub(crate) canonical: String,
}

/// A user with a certain address.
#[derive(Debug)]
pub(crate) struct AddressHolder {
    pub(crate) user: Gid,
    pub(crate) email: String,
    /// False for a placeholder account.
    pub(crate) is_account: bool,
    pub(crate) status: UserStatus,
    pub(crate) has_conflict: bool,
}

/// Returns a page of the users with an address in the order of gids, after the last one of the
/// previous page.
pub(crate) fn list(
    connection: &mut AnyConnection,
    after: Option<Gid>,
    limit: i64,
) -> Result<Vec<StoredEmail>> {
    let rows: Vec<(String, String, String)> = users::table
        .filter(users::gid.gt(text(after)))
        .filter(users::email.is_not_null())
        .filter(users::email_canonical.is_not_null())
        .order(users::gid)
        .limit(limit)
        .select((
            users::gid,
            users::email.assume_not_null(),
            users::email_canonical.assume_not_null(),
        ))
        .load(connection)?;
    rows.into_iter()
        .map(|(gid, email, canonical)| {
            Ok(StoredEmail {
                user: gid.parse()?,
                email,
                canonical,
            })
        })
        .collect()
}

/// Returns a page of the users who are marked as conflicting, with the canonical forms of their
/// addresses.
pub(crate) fn list_conflicting(
    connection: &mut AnyConnection,
    after: Option<Gid>,
    limit: i64,
) -> Result<Vec<(Gid, String)>> {
    let rows: Vec<(String, String)> = users::table
        .filter(users::has_email_conflict)
        .filter(users::email_canonical.is_not_null())
        .filter(users::gid.gt(text(after)))
        .order(users::gid)
        .limit(limit)
        .select((users::gid, users::email_canonical.assume_not_null()))
        .load(connection)?;
    rows.into_iter()
        .map(|(gid, canonical)| Ok((gid.parse()?, canonical)))
        .collect()
}

/// Returns all users with an address, the oldest user first.
pub(crate) fn list_holders(
    connection: &mut AnyConnection,
    canonical: &str,
) -> Result<Vec<AddressHolder>> {
    let rows: Vec<(String, String, Option<String>, String, bool)> = users::table
        .filter(users::email_canonical.eq(canonical))
        .filter(users::email.is_not_null())
        .order((users::created_at, users::gid))
        .select((
            users::gid,
            users::email.assume_not_null(),
            users::username,
            users::status,
            users::has_email_conflict,
        ))
        .load(connection)?;
    let holders = rows
        .into_iter()
        .map(|(gid, email, username, status, is_marked)| {
            let is_account = username.is_some();
            Ok(AddressHolder {
                user: gid.parse()?,
                email,
                is_account,
                status: status.parse()?,
                has_conflict: is_marked,
            })
        });
    holders.collect()
}

/// Finds the account to which an address belongs: the oldest one without a conflict.
pub(crate) fn find_oldest_holder(
    connection: &mut AnyConnection,
    canonical: &str,
) -> Result<Option<Gid>> {
    let gid: Option<String> = users::table
        .filter(users::email_canonical.eq(canonical))
        .filter(users::username.is_not_null())
        .filter(diesel::dsl::not(users::has_email_conflict))
        .order((users::created_at, users::gid))
        .limit(1)
        .select(users::gid)
        .get_result(connection)
        .optional()?;
    gid.map(|gid| Ok(gid.parse()?)).transpose()
}

/// Sets the canonical form of an address, and marks its user until the conflicts of the address are
/// resolved.
pub(crate) fn set_canonical_with_conflict(
    connection: &mut AnyConnection,
    user: Gid,
    canonical: &str,
) -> Result<()> {
    diesel::update(users::table.find(user.to_string()))
        .set((
            users::email_canonical.eq(canonical),
            users::has_email_conflict.eq(true),
        ))
        .execute(connection)?;
    Ok(())
}

/// Marks or unmarks a user as conflicting.
pub(crate) fn set_conflict(
    connection: &mut AnyConnection,
    user: Gid,
    is_marked: bool,
) -> Result<()> {
    diesel::update(users::table.find(user.to_string()))
        .set(users::has_email_conflict.eq(is_marked))
        .execute(connection)?;
    Ok(())
}

/// Returns the text after which a page starts; the empty text is before all gids.
fn text(gid: Option<Gid>) -> String {
    gid.map(|gid| gid.to_string()).unwrap_or_default()
}
