//! Revocations and their targets. The rules in `tokens/revocation.rs` have an example.

use std::time::Duration;

use doorward_domain::{Gid, Timestamp};

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
    pub(crate) fn for_login(
        sid: String,
        auth_time: i64,
        revoked_at: Timestamp,
        lifetime: Duration,
    ) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
