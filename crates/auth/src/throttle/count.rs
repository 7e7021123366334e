//! Counts failures and attempts in buckets.

use std::time::Duration;

use doorward_domain::Timestamp;
use doorward_storage::AnyConnection;

use crate::{
    config::ThrottleConfig,
    error::Error,
    store,
    throttle::bucket::{Bucket, wait},
};

/// Counts a failure in each of these buckets. Their order is the order of locks, so all callers
/// must pass the client network first; otherwise two transactions could deadlock.
pub(crate) fn count_failure(
    connection: &mut AnyConnection,
    buckets: &[&Bucket],
    config: &ThrottleConfig,
    now: Timestamp,
) -> Result<(), Error> {
    for bucket in buckets {
        let count = store::throttle::get_locked(connection, &bucket.key)?;
        // An attempt that began before a wait and fails during it does not extend the wait.
        if wait(&count, now).is_none() {
            store::throttle::update(connection, bucket.with_failure(count, config, now))?;
        }
    }
    Ok(())
}

/// Clears the failed logins of a username, at every address.
pub(crate) fn clear_username(
    connection: &mut AnyConnection,
    username: &str,
    config: &ThrottleConfig,
) -> Result<(), Error> {
    let bucket = Bucket::for_username(username, config);
    store::throttle::delete(connection, &bucket.key)?;
    Ok(store::throttle::delete_parts(connection, &bucket.key)?)
}

/// Counts an action that is limited whether or not it succeeds, before it is done. The order of
/// buckets is the order of locks.
///
/// # Errors
/// [`Error::Throttled`] during a wait, and then the caller's transaction must not be committed,
/// because earlier buckets have been counted. Database errors.
pub(crate) fn count_attempt(
    connection: &mut AnyConnection,
    buckets: &[&Bucket],
    config: &ThrottleConfig,
    now: Timestamp,
) -> Result<(), Error> {
    for bucket in buckets {
        let count = store::throttle::get_locked(connection, &bucket.key)?;
        if let Some(wait) = wait(&count, now) {
            return Err(Error::Throttled(wait));
        }
        store::throttle::update(connection, bucket.with_failure(count, config, now))?;
    }
    Ok(())
}

/// Returns the remaining wait of a bucket without counting anything.
///
/// # Errors
/// Database errors.
pub(crate) fn find_wait(
    connection: &mut AnyConnection,
    bucket: &Bucket,
    now: Timestamp,
) -> Result<Option<Duration>, Error> {
    let count = store::throttle::find(connection, &bucket.key)?;
    Ok(count.and_then(|count| wait(&count, now)))
}
