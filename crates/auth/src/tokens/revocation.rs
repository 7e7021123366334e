//! Revocations: which tokens are dead before they expire.

use std::time::Duration;

use doorward_domain::{Gid, Timestamp};
use doorward_storage::AnyConnection;
use doorward_token::Claims;

use crate::{Error, store};

/// Whose tokens a revocation covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum RevocationTarget {
    /// Everything of a user or API user.
    Subject(Gid),
    /// One login and its renewals.
    Sid(String),
}

impl RevocationTarget {
    pub(crate) fn to_key(&self) -> (&'static str, String) {
        match self {
            Self::Subject(gid) => ("subject", gid.to_string()),
            Self::Sid(sid) => ("sid", sid.clone()),
        }
    }
}

/// Tokens of logins (`auth_time`) before `not_before_seconds` are dead, and so are their renewals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub target: RevocationTarget,
    pub not_before_seconds: i64,
    pub expires_at_seconds: i64,
    /// When what it stands for happened.
    pub revoked_at: Timestamp,
}

impl Revocation {
    /// Covers logins up to the end of the second of `revoked_at`, for `auth_time` has whole seconds. A login later in that
    /// second is dated ahead, to `not_before_seconds`.
    pub(crate) fn for_target(
        covers: RevocationTarget,
        revoked_at: Timestamp,
        lifetime: Duration,
    ) -> Self {
        Self::covering_until(covers, revoked_at.as_seconds(), revoked_at, lifetime)
    }

    /// Of one login, which may be dated ahead.
    fn for_login(sid: String, auth_time: i64, revoked_at: Timestamp, lifetime: Duration) -> Self {
        Self::covering_until(
            RevocationTarget::Sid(sid),
            revoked_at.as_seconds().max(auth_time),
            revoked_at,
            lifetime,
        )
    }

    fn covering_until(
        covers: RevocationTarget,
        last_second: i64,
        revoked_at: Timestamp,
        lifetime: Duration,
    ) -> Self {
        let not_before_seconds = last_second.saturating_add(1);
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        // A minute more, for clocks that differ.
        let expires_at_seconds = not_before_seconds
            .saturating_add(lifetime)
            .saturating_add(60);
        Self {
            target: covers,
            not_before_seconds,
            expires_at_seconds,
            revoked_at,
        }
    }

    /// Both in one. A later one in the same second must also cover what was issued in between, which is dated to the very
    /// `not_before_seconds` of the earlier one. The same or an earlier one again changes nothing.
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

/// Records revocations within the caller's transaction, each with when it happened. `own_lifetime` is what this process
/// would give a token.
pub(crate) fn revoke(
    connection: &mut AnyConnection,
    covered: Vec<(RevocationTarget, Timestamp)>,
    own_lifetime: Duration,
) -> Result<(), Error> {
    if covered.is_empty() {
        return Ok(());
    }
    let version = store::trust_version::increment(connection)?;
    let lifetime = store::trust_version::get_longest_lifetime(connection, own_lifetime)?;
    for (covers, revoked_at) in covered {
        store::revocation::upsert(
            connection,
            &Revocation::for_target(covers, revoked_at, lifetime),
            version,
        )?;
    }
    Ok(())
}

/// Records that one login has ended, within the caller's transaction.
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
        let (first, second, later) = (at(10_100_000), at(10_200_000), at(15_000_000));
        assert_eq!(first.not_before_seconds, 11);
        let both = first.merge(&second);
        assert_eq!(both.not_before_seconds, 12);
        assert!(both.expires_at_seconds > first.expires_at_seconds);
        assert_eq!(both.merge(&second), both, "the same again");
        assert_eq!(both.merge(&first), both, "an earlier one again");
        assert_eq!(both.merge(&later).not_before_seconds, 16);
    }

    #[test]
    fn revocation_is_kept_until_its_last_token_expires() {
        // Dated to second 11, valid for a minute; and a minute for clocks that differ.
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
            let (user, sid) = (
                RevocationTarget::Subject(Gid::NIL),
                RevocationTarget::Sid("s".to_owned()),
            );
            let covered = [(&user, 10), (&sid, 20)]
                .map(|(covers, second)| (covers.clone(), Timestamp::from_seconds(second)));
            revoke(connection, covered.to_vec(), Duration::from_secs(60))?;
            let mut left = Vec::new();
            for second in [131, 132] {
                store::revocation::delete_expired(connection, Timestamp::from_seconds(second))?;
                let is_kept = |connection: &mut AnyConnection, covers| {
                    store::revocation::find(connection, covers).map(|found| found.is_some())
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
