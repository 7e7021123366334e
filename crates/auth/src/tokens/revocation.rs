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

use doorward_domain::{Gid, Timestamp};
use doorward_storage::AnyConnection;
use doorward_token::Claims;

use crate::{Error, store};

/// The subject or login whose tokens a revocation covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum RevocationTarget {
    /// All tokens of a user or API user.
    Subject(Gid),
    /// One login and its renewals.
    Sid(String),
}

impl RevocationTarget {
    /// Returns the kind and id of the row. The words are stored.
    pub(crate) fn to_key(&self) -> (&'static str, String) {
        match self {
            Self::Subject(gid) => ("subject", gid.to_string()),
            Self::Sid(sid) => ("sid", sid.clone()),
        }
    }
}

/// A revocation of all tokens of a target whose `auth_time` is before `not_before_seconds`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub target: RevocationTarget,
    pub not_before_seconds: i64,
    /// Time from which no token can be covered any more, so the revocation can be deleted.
    pub expires_at_seconds: i64,
    /// Time of the event that caused the revocation.
    pub revoked_at: Timestamp,
}

impl Revocation {
    /// Returns a revocation of all logins up to the end of the second of `revoked_at`. A login
    /// later in that second is dated ahead, to `not_before_seconds`.
    pub(crate) fn for_target(
        target: RevocationTarget,
        revoked_at: Timestamp,
        lifetime: Duration,
    ) -> Self {
        Self::covering_until(target, revoked_at.as_seconds(), revoked_at, lifetime)
    }

    /// Returns a revocation of one login, whose `auth_time` can be later than `revoked_at` because
    /// it was dated ahead.
    fn for_login(sid: String, auth_time: i64, revoked_at: Timestamp, lifetime: Duration) -> Self {
        Self::covering_until(
            RevocationTarget::Sid(sid),
            revoked_at.as_seconds().max(auth_time),
            revoked_at,
            lifetime,
        )
    }

    fn covering_until(
        target: RevocationTarget,
        last_second: i64,
        revoked_at: Timestamp,
        lifetime: Duration,
    ) -> Self {
        let not_before_seconds = last_second.saturating_add(1);
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        // One minute more, because clocks differ.
        let expires_at_seconds = not_before_seconds
            .saturating_add(lifetime)
            .saturating_add(60);
        Self {
            target,
            not_before_seconds,
            expires_at_seconds,
            revoked_at,
        }
    }

    /// Returns one revocation that covers both. A later one in the same second must also cover the
    /// tokens issued in between, which are dated to `not_before_seconds` of the earlier one, hence
    /// one second more. Merging the same or an earlier one again changes nothing, so a repeated
    /// event does not revoke newer tokens.
    pub(crate) fn merge(&self, other: &Self) -> Self {
        let after_this = if other.revoked_at > self.revoked_at {
            self.not_before_seconds + 1
        } else {
            i64::MIN
        };
        let not_before_seconds = self
            .not_before_seconds
            .max(other.not_before_seconds)
            .max(after_this);
        // If `not_before` moves ahead, the tokens that it covers expire later by the same time.
        let ahead = not_before_seconds - other.not_before_seconds.min(not_before_seconds);
        Self {
            target: self.target.clone(),
            not_before_seconds,
            expires_at_seconds: self
                .expires_at_seconds
                .max(other.expires_at_seconds.saturating_add(ahead)),
            revoked_at: self.revoked_at.max(other.revoked_at),
        }
    }
}

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
    use doorward_storage::testing::TestDatabase;

    use super::*;
    use crate::MIGRATIONS;

    fn at(micros: i64) -> Revocation {
        Revocation::for_target(
            RevocationTarget::Subject(Gid::NIL),
            Timestamp::from_micros(micros),
            Duration::from_secs(60),
        )
    }

    #[test]
    fn second_revocation_in_one_second_covers_tokens_issued_between() {
        let first = at(10_100_000);
        let second = at(10_200_000);
        let later = at(15_000_000);
        assert_eq!(first.not_before_seconds, 11);
        let both = first.merge(&second);
        assert_eq!(both.not_before_seconds, 12);
        assert!(both.expires_at_seconds > first.expires_at_seconds);
        assert_eq!(both.merge(&second), both, "the same one again");
        assert_eq!(both.merge(&first), both, "an earlier one again");
        assert_eq!(both.merge(&later).not_before_seconds, 16);
    }

    #[test]
    fn revocation_is_kept_until_its_last_token_expires() {
        // A token dated to second 11 is valid for one minute; one more minute is for clocks that
        // differ.
        let first = at(10_100_000);
        assert_eq!(first.expires_at_seconds, 11 + 60 + 60);
        let second = first.merge(&at(10_200_000));
        assert_eq!(second.expires_at_seconds, 12 + 60 + 60);
        let third = second.merge(&at(10_300_000));
        assert_eq!(
            (third.not_before_seconds, third.expires_at_seconds),
            (13, 13 + 60 + 60)
        );
        let longer = Revocation::for_target(
            third.target.clone(),
            third.revoked_at,
            Duration::from_secs(600),
        );
        assert_eq!(third.merge(&longer).expires_at_seconds, 13 + 600 + 60);
    }

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
