//! Table `trust_version`: the counter of changes to keys and revocations, and the longest token
//! lifetime, which decides how long they are kept. It has one row, whose lock orders all these
//! changes.

use std::time::Duration;

use diesel::prelude::*;
use doorward_storage::{AnyConnection, Result};

use super::schema::trust_version;

/// Returns the current version.
pub(crate) fn get(connection: &mut AnyConnection) -> Result<i64> {
    Ok(trust_version::table
        .find(1)
        .select(trust_version::version)
        .get_result(connection)?)
}

/// Returns the version of the change that this transaction makes. Other transactions that change
/// keys or revocations wait until the commit.
pub(crate) fn increment(connection: &mut AnyConnection) -> Result<i64> {
    diesel::update(trust_version::table.find(1))
        .set(trust_version::version.eq(trust_version::version + 1))
        .execute(connection)?;
    get(connection)
}

/// Takes the same lock as [`increment`] without a change of the version.
pub(crate) fn lock(connection: &mut AnyConnection) -> Result<()> {
    diesel::update(trust_version::table.find(1))
        .set(trust_version::version.eq(trust_version::version))
        .execute(connection)?;
    Ok(())
}

/// Returns the longest lifetime of any token, of `own` (the setting of this process) and of all
/// that were ever configured.
pub(crate) fn get_longest_lifetime(
    connection: &mut AnyConnection,
    own: Duration,
) -> Result<Duration> {
    let seconds: i64 = trust_version::table
        .find(1)
        .select(trust_version::longest_lifetime_seconds)
        .get_result(connection)?;
    Ok(own.max(Duration::from_secs(
        u64::try_from(seconds).unwrap_or_default(),
    )))
}

/// Records the lifetime of tokens. A process calls this before it issues the first one.
pub(crate) fn record_lifetime(connection: &mut AnyConnection, lifetime: Duration) -> Result<()> {
    let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    diesel::update(
        trust_version::table
            .find(1)
            .filter(trust_version::longest_lifetime_seconds.lt(seconds)),
    )
    .set(trust_version::longest_lifetime_seconds.eq(seconds))
    .execute(connection)?;
    Ok(())
}
