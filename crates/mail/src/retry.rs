//! Why a mail hasn't been sent, and what is done then.

use std::time::Duration;

use doorward_domain::Timestamp;

/// Reasons hold neither addresses nor codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeliveryError {
    /// For good.
    Refused(String),
    /// It wouldn't be of use any more.
    Expired,
    /// What it says can't be read.
    Unreadable(String),
    /// This mail, for now.
    Later(String),
    /// Any mail, for now: the server is away, or doesn't let us in. What it says of that is for the log alone.
    Away(String),
}

impl DeliveryError {
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Refused(reason) | Self::Later(reason) | Self::Unreadable(reason) => reason,
            Self::Away(_) => "the mail server can't be used",
            Self::Expired => "expired before it could be sent",
        }
    }
}

/// Before the second try, the third, and so on; the last one from then on.
const BACKOFF: [Duration; 6] = [
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
];
/// While the server is away: codes are good for minutes, so they go soon after it is back.
const MAX_SERVER_BACKOFF: Duration = Duration::from_secs(60);
/// Since the mail was written.
const MAX_RETRY_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Of a mail that was tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    /// This one too.
    pub(crate) attempts: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Attempt {
    /// When to try again; never, when that has no sense.
    pub(crate) fn next_attempt_at(
        &self,
        failure: &DeliveryError,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let wait = match failure {
            DeliveryError::Refused(_) | DeliveryError::Expired | DeliveryError::Unreadable(_) => {
                return None;
            }
            DeliveryError::Later(_) => self.backoff(),
            DeliveryError::Away(_) => self.backoff().min(MAX_SERVER_BACKOFF),
        };
        if now >= self.created_at.saturating_add(MAX_RETRY_AGE) {
            return None;
        }
        let next = now.saturating_add(wait);
        // At its end it is given up in time.
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

    fn tries(attempts: i64) -> Attempt {
        Attempt {
            attempts,
            created_at: START,
            expires_at: None,
        }
    }

    #[test]
    fn backoff_grows_to_an_hour() {
        let later = DeliveryError::Later("451".to_owned());
        let away = DeliveryError::Away("away".to_owned());
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
                tries(attempts).next_attempt_at(&later, START),
                Some(after(wait)),
                "{attempts}"
            );
            assert_eq!(
                tries(attempts).next_attempt_at(&away, START),
                Some(after(wait_for_server)),
                "{attempts}"
            );
        }
        assert_eq!(
            tries(i64::MAX).next_attempt_at(&later, START),
            Some(after(3600))
        );
    }

    #[test]
    fn mail_is_given_up_after_a_day_on_rejection_and_on_expiry() {
        let later = DeliveryError::Later("451".to_owned());
        assert!(tries(30).next_attempt_at(&later, after(86_399)).is_some());
        assert_eq!(tries(30).next_attempt_at(&later, after(86_400)), None);
        assert_eq!(
            tries(1).next_attempt_at(&DeliveryError::Refused("550".to_owned()), START),
            None
        );
        assert_eq!(
            tries(1).next_attempt_at(&DeliveryError::Expired, START),
            None
        );
        let ends = Attempt {
            expires_at: Some(after(900)),
            ..tries(4)
        };
        assert_eq!(ends.next_attempt_at(&later, after(800)), Some(after(900)));
    }
}
