//! Revocations: which tokens are invalid before they expire. A token is invalid if its `auth_time`
//! is before `not_before_seconds` of a revocation of its subject or login. `auth_time` has whole
//! seconds and stays in renewals, so a revocation covers them too. ADR 0006 has the reasons.
//!
//! Example of the seconds, with the tokens of ann:
//!
//! ```text
//! 10.1 s  login A                auth_time 10
//! 10.2 s  new password           not_before 11: A is invalid
//! 10.3 s  login B                auth_time 11 (dated ahead to not_before): valid
//! 10.4 s  logout everywhere      not_before 12 (merged into the same row): B is invalid
//! 10.5 s  login C                auth_time 12: valid
//! 15.0 s  ann is deactivated     not_before 16: C is invalid
//! ```
//!
//! Example of the order of the checks in a login, which lasts longer than one moment:
//!
//! 1. 20.00 s: the directory finds that ann is active. This time is the `checked_at` of the login.
//! 2. 20.01 s: she is deactivated, and a revocation with `revoked_at` 20.01 is stored.
//! 3. 20.10 s: her password is verified. One transaction then reads the stored hash and the
//!    revocation. Its `revoked_at` is not before `checked_at`, so the login is rejected.
//!
//! If step 2 happens after step 3 instead, the login gets a token with `auth_time` 20. The
//! revocation that follows has `not_before` 21 or later, and covers it.

use std::time::Duration;

use doorward_domain::Timestamp;
use doorward_storage::AnyConnection;
use doorward_token::Claims;

use crate::{
    error::Error,
    model::{Revocation, RevocationTarget},
    store,
};

/// Stores revocations in the caller's transaction, each with the time of its event. `own_lifetime`
/// is the lifetime of the tokens that this process issues; other processes may have a longer one,
/// which counts.
///
/// # Errors
/// Database errors.
pub(crate) fn revoke(
    connection: &mut AnyConnection,
    targets: Vec<(RevocationTarget, Timestamp)>,
    own_lifetime: Duration,
) -> Result<(), Error> {
    if targets.is_empty() {
        return Ok(());
    }
    // The increment locks the version until the commit, so versions become visible in their order.
    let version = store::trust_version::increment(connection)?;
    let lifetime = store::trust_version::get_longest_lifetime(connection, own_lifetime)?;
    for (target, revoked_at) in targets {
        store::revocation::upsert(
            connection,
            &Revocation::for_target(target, revoked_at, lifetime),
            version,
        )?;
    }
    Ok(())
}

/// Stores the revocation of one login in the caller's transaction.
///
/// # Errors
/// Database errors.
pub(crate) fn revoke_login(
    connection: &mut AnyConnection,
    login: &Claims,
    revoked_at: Timestamp,
    own_lifetime: Duration,
) -> Result<(), Error> {
    let version = store::trust_version::increment(connection)?;
    let lifetime = store::trust_version::get_longest_lifetime(connection, own_lifetime)?;
    let revocation =
        Revocation::for_login(login.sid.clone(), login.auth_time, revoked_at, lifetime);
    Ok(store::revocation::upsert(connection, &revocation, version)?)
}

#[cfg(test)]
mod tests {
    use doorward_domain::Gid;
    use doorward_storage::testing::TestDatabase;

    use super::*;
    use crate::migrations::MIGRATIONS;

    #[tokio::test]
    async fn expired_revocations_are_deleted_and_no_others() {
        let test = TestDatabase::sqlite(&MIGRATIONS);
        let check = |connection: &mut AnyConnection| {
            let user = RevocationTarget::Subject(Gid::NIL);
            let sid = RevocationTarget::Sid("s".to_owned());
            let targets = [(&user, 10), (&sid, 20)]
                .map(|(target, second)| (target.clone(), Timestamp::from_seconds(second)));
            revoke(connection, targets.to_vec(), Duration::from_secs(60))?;
            let mut left = Vec::new();
            for second in [131, 132] {
                store::revocation::delete_expired(connection, Timestamp::from_seconds(second))?;
                let is_kept = |connection: &mut AnyConnection, target| {
                    store::revocation::find(connection, target).map(|found| found.is_some())
                };
                left.push((is_kept(connection, &user)?, is_kept(connection, &sid)?));
            }
            Ok::<_, Error>(left)
        };
        assert_eq!(
            test.database.write(check).await.unwrap(),
            [(true, true), (false, true)]
        );
    }
}
