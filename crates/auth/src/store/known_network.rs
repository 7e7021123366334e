//! Table `known_networks`: client networks from which users have logged in.

use std::time::Duration;

use diesel::prelude::*;
use doorward_domain::{Gid, Timestamp};
use doorward_storage::{AnyConnection, Result};

use crate::store::schema::{credentials, known_networks};

/// Maximum number of networks of one user. Beyond it, the one with the oldest login is deleted.
const MAX_NETWORKS_PER_USER: i64 = 100;

/// Returns the password hash of a user, and the time of the last login from this network. One query
/// serves both, because every login needs both.
pub(crate) fn find_with_hash(
    connection: &mut AnyConnection,
    user: Gid,
    network: &str,
) -> Result<Option<(String, Option<Timestamp>)>> {
    let row: Option<(String, Option<i64>)> = credentials::table
        .left_join(
            known_networks::table.on(known_networks::user_gid
                .eq(credentials::user_gid)
                .and(known_networks::network.eq(network))),
        )
        .filter(credentials::user_gid.eq(user.to_string()))
        .select((
            credentials::password_hash,
            known_networks::last_login_at.nullable(),
        ))
        .get_result(connection)
        .optional()?;
    Ok(row.map(|(hash, at)| (hash, at.map(Timestamp::from_micros))))
}

/// Returns whether the user has logged in from this network after `since`.
pub(crate) fn is_known(
    connection: &mut AnyConnection,
    user: Gid,
    network: &str,
    since: Timestamp,
) -> Result<bool> {
    let known = known_networks::table.find((user.to_string(), network));
    let last_login_at: Option<i64> = known
        .select(known_networks::last_login_at)
        .get_result(connection)
        .optional()?;
    Ok(last_login_at.is_some_and(|at| at > since.as_micros()))
}

/// Records a login, and deletes the network with the oldest login if there are too many.
pub(crate) fn upsert(
    connection: &mut AnyConnection,
    user: Gid,
    network: &str,
    now: Timestamp,
) -> Result<()> {
    let known = known_networks::table.find((user.to_string(), network));
    let changed = diesel::update(known)
        .set(known_networks::last_login_at.eq(now.as_micros()))
        .execute(connection)?;
    if changed > 0 {
        return Ok(());
    }
    let row = (
        known_networks::user_gid.eq(user.to_string()),
        known_networks::network.eq(network),
        known_networks::last_login_at.eq(now.as_micros()),
    );
    // Two concurrent first logins from one network insert the same row.
    match connection {
        AnyConnection::Postgres(connection) => diesel::insert_into(known_networks::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(connection)?,
        AnyConnection::Sqlite(connection) => diesel::insert_into(known_networks::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(connection)?,
    };
    let too_old: Option<i64> = known_networks::table
        .filter(known_networks::user_gid.eq(user.to_string()))
        .order(known_networks::last_login_at.desc())
        .offset(MAX_NETWORKS_PER_USER)
        .limit(1)
        .select(known_networks::last_login_at)
        .get_result(connection)
        .optional()?;
    if let Some(too_old) = too_old {
        let old = known_networks::table
            .filter(known_networks::user_gid.eq(user.to_string()))
            .filter(known_networks::last_login_at.le(too_old));
        diesel::delete(old).execute(connection)?;
    }
    Ok(())
}

/// Deletes the networks of a user.
pub(crate) fn delete_for_user(connection: &mut AnyConnection, user: Gid) -> Result<()> {
    diesel::delete(known_networks::table.filter(known_networks::user_gid.eq(user.to_string())))
        .execute(connection)?;
    Ok(())
}

/// Deletes the networks whose last login is older than `than`.
pub(crate) fn delete_older(
    connection: &mut AnyConnection,
    now: Timestamp,
    than: Duration,
) -> Result<()> {
    let cut = now.saturating_sub(than).as_micros();
    diesel::delete(known_networks::table.filter(known_networks::last_login_at.lt(cut)))
        .execute(connection)?;
    Ok(())
}
