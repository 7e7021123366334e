//! Limits of mails with codes. No client can fill a mailbox, and none can keep its owner from
//! receiving a code by asking first. Each network has its own count for a mailbox, and known
//! networks have no other. All unknown networks share a second count. While that one makes them
//! wait, a network with fewer than two mails to this mailbox (a newcomer) can still request one,
//! within a third count. ADR 0022 has the reasons.
//!
//! Example: with the defaults, six networks ask 40 times each for one mailbox.
//!
//! 1. The first two cause 10 mails each. Then their own counts (10) and the shared count (20) are
//!    full.
//! 2. The other four are newcomers and cause 2 mails each, counted in the third count (8 of 100).
//! 3. The owner asks from a seventh network, is a newcomer too, and receives a code at once. 92
//!    such requests are possible before the third count is full.

use std::time::Duration;

use doorward_domain::{Email, Timestamp};
use doorward_storage::AnyConnection;

use crate::{
    config::ThrottleConfig,
    error::Error,
    sha256::sha256_base64,
    store,
    throttle::{
        bucket::{Bucket, ClientNetwork, wait},
        count::count_attempt,
    },
};

/// Threshold of mails to one mailbox for one network, as a multiple of the threshold of a username.
const MAILBOX_FACTOR: u32 = 2;
/// The same for all unknown networks together.
const UNKNOWN_NETWORKS_FACTOR: u32 = 4;
/// The same for all newcomers together while the shared count makes unknown networks wait.
const NEW_NETWORKS_FACTOR: u32 = 20;
/// Number of mails to the mailbox from which a network is no newcomer any more.
const NEW_NETWORK_MAX_MAILS: i64 = 2;
/// Time until one mail is forgiven. It must not be shorter than the longest wait, or counts would
/// shrink during an attack.
pub(super) const MAIL_DECAY: Duration = Duration::from_secs(3600);
/// Time until one mail of a newcomer is forgiven.
pub(super) const NEW_NETWORK_DECAY: Duration = Duration::from_secs(5 * 60);

pub(super) const fn mailbox_threshold(config: &ThrottleConfig) -> u32 {
    config.failures.saturating_mul(MAILBOX_FACTOR)
}

pub(super) const fn unknown_networks_threshold(config: &ThrottleConfig) -> u32 {
    config.failures.saturating_mul(UNKNOWN_NETWORKS_FACTOR)
}

pub(super) const fn new_networks_threshold(config: &ThrottleConfig) -> u32 {
    config.failures.saturating_mul(NEW_NETWORKS_FACTOR)
}

/// A mail with a code that is not in the outbox yet.
#[derive(Debug, Clone)]
pub(crate) struct CodeMail {
    pub(crate) recipient: Email,
    /// The network that requests it.
    pub(crate) network: ClientNetwork,
    /// Whether the account has logged in from the network within the last 30 days.
    pub(crate) is_known_network: bool,
}

/// Counts a mail with a code before it is put into the outbox.
///
/// # Errors
/// [`Error::Throttled`] during a wait, and then the caller's transaction must not be committed.
/// Database errors.
pub(crate) fn count_mail(
    connection: &mut AnyConnection,
    mail: &CodeMail,
    config: &ThrottleConfig,
    now: Timestamp,
) -> Result<(), Error> {
    let mailbox = sha256_base64(&mail.recipient.canonical());
    let own = Bucket {
        key: format!("mailbox:{mailbox}@{}", mail.network.as_str()),
        threshold: mailbox_threshold(config),
        decay_interval: MAIL_DECAY,
    };
    // Read before the mail itself is counted: a newcomer is judged by its earlier mails.
    let earlier_mails =
        own.decayed_failures(store::throttle::find(connection, &own.key)?.as_ref(), now);
    count_attempt(connection, &[&own], config, now)?;
    if mail.is_known_network {
        return Ok(());
    }
    let unknown_networks = Bucket {
        key: format!("strangers:{mailbox}"),
        threshold: unknown_networks_threshold(config),
        decay_interval: MAIL_DECAY,
    };
    let count = store::throttle::get_locked(connection, &unknown_networks.key)?;
    let Some(wait) = wait(&count, now) else {
        return Ok(store::throttle::update(
            connection,
            unknown_networks.with_failure(count, config, now),
        )?);
    };
    if earlier_mails >= NEW_NETWORK_MAX_MAILS {
        return Err(Error::Throttled(wait));
    }
    let new_networks = Bucket {
        key: format!("newcomers:{mailbox}"),
        threshold: new_networks_threshold(config),
        decay_interval: NEW_NETWORK_DECAY,
    };
    count_attempt(connection, &[&new_networks], config, now)
}

#[cfg(test)]
mod tests {
    use doorward_storage::{Database, testing::TestDatabase};

    use super::*;
    use crate::migrations::MIGRATIONS;

    /// Length of each wait. In this time, two mails of newcomers are forgiven.
    const WAIT: Duration = Duration::from_secs(600);
    const CONFIG: ThrottleConfig = ThrottleConfig {
        failures: 5,
        backoff: WAIT,
        backoff_max: WAIT,
    };
    const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

    struct Fixture {
        database: Database,
        now: Timestamp,
        networks: u32,
    }

    impl Fixture {
        /// Returns whether a mail is sent.
        async fn ask(&self, to: &str, network: u32, is_known_network: bool) -> bool {
            let to = Email::parse(to).unwrap();
            let mail = CodeMail {
                recipient: to,
                network: ClientNetwork::from_address(std::net::Ipv4Addr::from(network).into()),
                is_known_network,
            };
            let now = self.now;
            match self
                .database
                .write(move |connection| count_mail(connection, &mail, &CONFIG, now))
                .await
            {
                Ok(()) => true,
                Err(Error::Throttled(wait)) => {
                    assert!(wait > Duration::ZERO && wait <= WAIT, "{wait:?}");
                    false
                }
                Err(error) => panic!("{error}"),
            }
        }

        /// Returns how many of the requests of a network for the mailbox cause a mail.
        async fn ask_from(&self, network: u32, times: usize, is_known_network: bool) -> usize {
            let mut sent = 0;
            for _ in 0..times {
                sent += usize::from(self.ask("ann@example.org", network, is_known_network).await);
            }
            sent
        }

        /// Returns how many new networks, with one request each, cause a mail before one must wait.
        async fn ask_from_new_networks(&mut self) -> usize {
            let mut sent = 0;
            loop {
                self.networks += 1;
                if !self.ask("ann@example.org", self.networks, false).await {
                    return sent;
                }
                sent += 1;
            }
        }
    }

    /// The example of this module.
    #[tokio::test]
    async fn six_networks_that_ask_for_one_mailbox_leave_its_owner_a_mail() {
        for test in TestDatabase::both(&MIGRATIONS) {
            let mut fixture = Fixture {
                database: test.database.clone(),
                now: START,
                networks: 0,
            };
            let mut sent = Vec::new();
            for _ in 0..6 {
                fixture.networks += 1;
                sent.push(fixture.ask_from(fixture.networks, 40, false).await);
            }
            assert_eq!(sent, [10, 10, 2, 2, 2, 2]);
            assert_eq!(
                fixture.ask_from_new_networks().await,
                100 - 4 * 2,
                "newcomers have a count of their own"
            );
            fixture.networks += 1;
            assert_eq!(
                fixture.ask_from(fixture.networks, 40, true).await,
                10,
                "the account has logged in from there"
            );
            assert!(
                fixture.ask("ben@example.org", 1, false).await,
                "each mailbox has its own counts"
            );

            // In each wait, one mail of the shared count and two of newcomers are forgiven.
            for _ in 0..3 {
                fixture.now = fixture.now.saturating_add(WAIT);
                assert_eq!(fixture.ask_from_new_networks().await, 1 + 2);
            }
        }
    }
}
