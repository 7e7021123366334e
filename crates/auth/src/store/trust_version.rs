//! The count of changes to keys and revocations, and how long these must be kept.

use std::time::Duration;

use diesel::prelude::*;
use doorward_storage::{AnyConnection, Result};

use super::schema::trust_version;

pub(crate) fn get(connection: &mut AnyConnection) -> Result<i64> {
    Ok(trust_version::table
        .find(1)
        .select(trust_version::version)
        .get_result(connection)?)
}

/// The version of the change that this transaction makes. From here to the commit, other writers of trust wait.
pub(crate) fn increment(connection: &mut AnyConnection) -> Result<i64> {
    diesel::update(trust_version::table.find(1))
        .set(trust_version::version.eq(trust_version::version + 1))
        .execute(connection)?;
    get(connection)
}

/// Makes other writers of trust wait until the commit.
pub(crate) fn lock(connection: &mut AnyConnection) -> Result<()> {
    diesel::update(trust_version::table.find(1))
        .set(trust_version::version.eq(trust_version::version))
        .execute(connection)?;
    Ok(())
}

/// How long any token may live that was ever issued; `own` is what this process would issue.
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

/// To be called before tokens of this lifetime are issued.
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
