//! Limits of mails with codes. No client may fill a mailbox, and none may keep its owner from receiving a code by asking first.
//! Each network has its own count for a mailbox. Networks from which the account has logged in have no other. All others
//! share a second count; while that makes them wait, a network that has hardly asked for this mailbox yet is still let
//! through, within a third count. ADR 0022 has the reasons.
//!
//! With the defaults, six networks that ask 40 times each for one mailbox: the first two send 10 mails each, and then the
//! shared count (20) makes them wait. The other four are newcomers and send 2 each. The owner, from a seventh network, is
//! a newcomer too and receives a code at once; 40 such networks could do the same before the third count (100) is full.

use std::time::Duration;

use doorward_domain::{Email, Timestamp};
use doorward_storage::AnyConnection;

use super::{Bucket, ClientNetwork, count_attempt, wait};
use crate::{Error, accounts::codes::sha256_base64, config::ThrottleConfig, store};

/// Mails to one mailbox for one network, as a multiple of the failures that a username may have.
const MAILBOX_FACTOR: u32 = 2;
/// The same for all networks together from which the account has not logged in.
const UNKNOWN_NETWORKS_FACTOR: u32 = 4;
/// The same for newcomers while the others wait.
const NEW_NETWORKS_FACTOR: u32 = 20;
/// A network with fewer mails to the mailbox than that is a newcomer.
const NEW_NETWORK_MAX_MAILS: i64 = 2;
/// Time until one mail is forgiven. A shorter time than the longest wait would let counts shrink during an attack.
pub(super) const MAIL_DECAY: Duration = Duration::from_secs(3600);
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

/// A mail with a code, before it is written.
#[derive(Debug, Clone)]
pub(crate) struct CodeMail {
    pub(crate) recipient: Email,
    /// The network that asks for it.
    pub(crate) network: ClientNetwork,
    /// Whether the account has logged in from there.
    pub(crate) is_known_network: bool,
}

/// Counts a mail with a code before it is written.
///
/// # Errors
/// [`Error::Throttled`], and then the caller's transaction must not be committed; database errors.
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
        decay_seconds: MAIL_DECAY,
    };
    let earlier = own.decayed_failures(store::throttle::find(connection, &own.key)?.as_ref(), now);
    count_attempt(connection, &[&own], config, now)?;
    if mail.is_known_network {
        return Ok(());
    }
    let strangers = Bucket {
        key: format!("strangers:{mailbox}"),
        threshold: unknown_networks_threshold(config),
        decay_seconds: MAIL_DECAY,
    };
    let count = store::throttle::get_locked(connection, &strangers.key)?;
    let Some(wait) = wait(&count, now) else {
        return Ok(store::throttle::update(
            connection,
            strangers.with_failure(count, config, now),
        )?);
    };
    if earlier >= NEW_NETWORK_MAX_MAILS {
        return Err(Error::Throttled(wait));
    }
    let newcomers = Bucket {
        key: format!("newcomers:{mailbox}"),
        threshold: new_networks_threshold(config),
        decay_seconds: NEW_NETWORK_DECAY,
    };
    count_attempt(connection, &[&newcomers], config, now)
}

#[cfg(test)]
mod tests {
    use doorward_storage::{Database, testing::TestDatabase};

    use super::*;
    use crate::MIGRATIONS;

    /// Each wait takes as long as two mails of newcomers until they are forgiven.
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
        async fn ask(&self, to: &str, network: u32, is_known_place: bool) -> bool {
            let to = Email::parse(to).unwrap();
            let place = ClientNetwork::from_address(std::net::Ipv4Addr::from(network).into());
            let (mail, now) = (
                CodeMail {
                    recipient: to,
                    network: place,
                    is_known_network: is_known_place,
                },
                self.now,
            );
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

        /// Returns how many of so many requests to the mailbox have their mail.
        async fn ask_from(&self, network: u32, times: usize, is_known_place: bool) -> usize {
            let mut sent = 0;
            for _ in 0..times {
                sent += usize::from(self.ask("ann@example.org", network, is_known_place).await);
            }
            sent
        }

        /// Returns how many networks are sent a mail, each new and with one request, before one must wait.
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
            let mut scene = Fixture {
                database: test.database.clone(),
                now: START,
                networks: 0,
            };
            let mut sent = Vec::new();
            for _ in 0..6 {
                scene.networks += 1;
                sent.push(scene.ask_from(scene.networks, 40, false).await);
            }
            assert_eq!(sent, [10, 10, 2, 2, 2, 2]);
            assert_eq!(
                scene.ask_from_new_networks().await,
                100 - 4 * 2,
                "newcomers have a count of their own"
            );
            scene.networks += 1;
            assert_eq!(
                scene.ask_from(scene.networks, 40, true).await,
                10,
                "the account has logged in from there"
            );
            assert!(
                scene.ask("ben@example.org", 1, false).await,
                "each mailbox has its own counts"
            );

            // One mail within the count of all networks, and two more of newcomers are forgiven.
            for _ in 0..3 {
                scene.now = scene.now.saturating_add(WAIT);
                assert_eq!(scene.ask_from_new_networks().await, 1 + 2);
            }
        }
    }
}
