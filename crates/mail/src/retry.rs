//! Why a mail was not sent, and when it is tried again. This is pure: it knows neither SMTP nor the
//! database.

use std::time::Duration;

use doorward_domain::Timestamp;

/// Why a mail was not sent. Reasons contain neither addresses nor codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeliveryError {
    /// The mail will never be accepted.
    Permanent(String),
    /// The mail has expired.
    Expired,
    /// The content cannot be unsealed or parsed.
    Unreadable(String),
    /// This mail was not accepted for now.
    Temporary(String),
    /// No mail is accepted for now: the server is unavailable or rejects the login. The reason can
    /// have details of the server, so it is only logged.
    ServerUnavailable(String),
}

impl DeliveryError {
    /// Returns the reason for the audit trail.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Permanent(reason) | Self::Temporary(reason) | Self::Unreadable(reason) => reason,
            Self::ServerUnavailable(_) => "the mail server can't be used",
            Self::Expired => "expired before it could be sent",
        }
    }
}

/// Pauses before the second attempt, the third, and so on. The last one is repeated.
const BACKOFF: [Duration; 6] = [
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
];
/// Maximum pause while the server is unavailable. Codes are valid for 15 minutes, so they must be
/// sent soon after the server is back.
const MAX_SERVER_BACKOFF: Duration = Duration::from_secs(60);
/// Age at which a mail is given up.
const MAX_RETRY_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The facts that decide about another attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    /// Number of attempts, including this one.
    pub(crate) attempts: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Attempt {
    /// Returns the time of the next attempt, or `None` if there must not be another one.
    pub(crate) fn next_attempt_at(
        &self,
        failure: &DeliveryError,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let wait = match failure {
            DeliveryError::Permanent(_) | DeliveryError::Expired | DeliveryError::Unreadable(_) => {
                return None;
            }
            DeliveryError::Temporary(_) => self.backoff(),
            DeliveryError::ServerUnavailable(_) => self.backoff().min(MAX_SERVER_BACKOFF),
        };
        if now >= self.created_at.saturating_add(MAX_RETRY_AGE) {
            return None;
        }
        let next = now.saturating_add(wait);
        // A mail that expires before its next attempt is due at its expiry, and is given up then.
        Some(self.expires_at.map_or(next, |end| next.min(end)))
    }

    fn backoff(&self) -> Duration {
        let last = BACKOFF.len() - 1;
        let index = usize::try_from(self.attempts - 1).unwrap_or(0).min(last);
        BACKOFF.get(index).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_000_000);

    fn after(seconds: u64) -> Timestamp {
        START.saturating_add(Duration::from_secs(seconds))
    }

    fn attempt(attempts: i64) -> Attempt {
        Attempt {
            attempts,
            created_at: START,
            expires_at: None,
        }
    }

    #[test]
    fn backoff_grows_to_an_hour() {
        let temporary = DeliveryError::Temporary("451".to_owned());
        let unavailable = DeliveryError::ServerUnavailable("unavailable".to_owned());
        let cases = [
            (1, 5, 5),
            (2, 15, 15),
            (3, 60, 60),
            (4, 300, 60),
            (5, 900, 60),
            (6, 3600, 60),
            (7, 3600, 60),
        ];
        for (attempts, wait, wait_for_server) in cases {
            assert_eq!(
                attempt(attempts).next_attempt_at(&temporary, START),
                Some(after(wait)),
                "{attempts}"
            );
            assert_eq!(
                attempt(attempts).next_attempt_at(&unavailable, START),
                Some(after(wait_for_server)),
                "{attempts}"
            );
        }
        assert_eq!(
            attempt(i64::MAX).next_attempt_at(&temporary, START),
            Some(after(3600))
        );
    }

    #[test]
    fn mail_is_given_up_after_a_day_on_rejection_and_on_expiry() {
        let temporary = DeliveryError::Temporary("451".to_owned());
        assert!(
            attempt(30)
                .next_attempt_at(&temporary, after(86_399))
                .is_some()
        );
        assert_eq!(attempt(30).next_attempt_at(&temporary, after(86_400)), None);
        assert_eq!(
            attempt(1).next_attempt_at(&DeliveryError::Permanent("550".to_owned()), START),
            None
        );
        assert_eq!(
            attempt(1).next_attempt_at(&DeliveryError::Expired, START),
            None
        );
        let ends = Attempt {
            expires_at: Some(after(900)),
            ..attempt(4)
        };
        assert_eq!(
            ends.next_attempt_at(&temporary, after(800)),
            Some(after(900))
        );
    }
}
