//! Limits of calls that cost other people something: anonymous calls, mails with codes,
//! invitations. The throttle does the counting; this module chooses the buckets.

use doorward_domain::{Email, Gid, Timestamp};
use doorward_storage::AnyConnection;

use crate::{
    accounts::{account_rules::Accounts, client_context::ClientContext},
    config::Config,
    error::Error,
    throttle::{self, Bucket, ClientNetwork, CodeMail},
};

impl Accounts {
    /// Counts an anonymous call.
    ///
    /// # Errors
    /// [`Error::Throttled`], and database errors.
    pub(crate) async fn count_anonymous_call(&self, from: &ClientContext) -> Result<(), Error> {
        let bucket = Bucket::for_anonymous_requests(
            &ClientNetwork::from_address(from.client_address),
            &self.config.throttle,
        );
        self.run_count(move |connection, config, now| {
            throttle::count_attempt(connection, &[&bucket], &config.throttle, now)
        })
        .await
    }

    /// Counts an invitation of a user, which is mailed to another person.
    ///
    /// # Errors
    /// [`Error::Throttled`], and database errors.
    pub(crate) async fn count_invitation(&self, inviter: Gid) -> Result<(), Error> {
        let bucket = Bucket::for_invitations(inviter, &self.config.throttle);
        self.run_count(move |connection, config, now| {
            throttle::count_attempt(connection, &[&bucket], &config.throttle, now)
        })
        .await
    }

    /// Counts a mail with a code for a signup. No network is known, because there is no account
    /// yet.
    ///
    /// # Errors
    /// [`Error::Throttled`], and database errors.
    pub(super) async fn count_signup_mail(
        &self,
        to: Email,
        from: &ClientContext,
    ) -> Result<(), Error> {
        let mail = CodeMail {
            recipient: to,
            network: ClientNetwork::from_address(from.client_address),
            is_known_network: false,
        };
        self.run_count(move |connection, config, now| {
            throttle::count_mail(connection, &mail, &config.throttle, now)
        })
        .await
    }

    /// Counts a request to reset the password of these users, and the mail to their mailbox if they
    /// have one. Returns whether the network is known for one of them. If it is, neither requests
    /// from other networks nor anonymous calls from this one delay the request.
    ///
    /// # Errors
    /// [`Error::Throttled`], and database errors.
    pub(super) async fn count_reset_mails(
        &self,
        users: Vec<Gid>,
        to: Option<Email>,
        from: &ClientContext,
    ) -> Result<bool, Error> {
        let network = ClientNetwork::from_address(from.client_address);
        self.run_count(move |connection, config, now| {
            let is_known_network =
                throttle::is_known_to_any_user(connection, &users, &network, now)?;
            if !is_known_network {
                let calls = Bucket::for_anonymous_requests(&network, &config.throttle);
                throttle::count_attempt(connection, &[&calls], &config.throttle, now)?;
            }
            if let Some(to) = to {
                let mail = CodeMail {
                    recipient: to,
                    network,
                    is_known_network,
                };
                throttle::count_mail(connection, &mail, &config.throttle, now)?;
            }
            Ok(is_known_network)
        })
        .await
    }

    /// Counts a request of a user to change the email address, and the mail to the new address.
    /// Returns whether the network is known for the user.
    ///
    /// # Errors
    /// [`Error::Throttled`], and database errors.
    pub(super) async fn count_email_change_mail(
        &self,
        user: Gid,
        to: Email,
        from: &ClientContext,
    ) -> Result<bool, Error> {
        let network = ClientNetwork::from_address(from.client_address);
        self.run_count(move |connection, config, now| {
            let is_known_network =
                throttle::is_known_to_any_user(connection, &[user], &network, now)?;
            let requests = Bucket::for_user_requests(
                user,
                is_known_network.then_some(&network),
                &config.throttle,
            );
            throttle::count_attempt(connection, &[&requests], &config.throttle, now)?;
            let mail = CodeMail {
                recipient: to,
                network,
                is_known_network,
            };
            throttle::count_mail(connection, &mail, &config.throttle, now)?;
            Ok(is_known_network)
        })
        .await
    }

    /// Runs `count` in a transaction, with the settings and the time.
    async fn run_count<T, F>(&self, count: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut AnyConnection, &Config, Timestamp) -> Result<T, Error> + Send + 'static,
    {
        let config = self.config.clone();
        let clock = self.clock.clone();
        self.database
            .write(move |connection| count(connection, &config, clock.now()))
            .await
    }
}
