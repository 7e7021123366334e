//! How often people may ask for what costs others something: questions without a token, codes by mail, invitations.

use doorward_domain::{Email, Gid, Timestamp};
use doorward_storage::AnyConnection;

use crate::{
    Config, Error,
    accounts::{Accounts, ClientContext},
    throttle::{self, Bucket, ClientNetwork, CodeMail},
};

impl Accounts {
    /// Counts a question of a client without a token.
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

    /// Counts a mail that a user has sent to another.
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

    /// Counts a code for the signup of a mailbox. No account tells which networks its owner uses.
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

    /// Counts a request for a new password of these users, and the code to their mailbox, if they have one. Returns whether it
    /// comes from an address from which one of them has logged in: then no request from elsewhere holds it up, nor do other
    /// questions from there.
    ///
    /// # Errors
    /// [`Error::Throttled`], and database errors.
    pub(super) async fn count_reset_mails(
        &self,
        users: Vec<Gid>,
        to: Option<Email>,
        from: &ClientContext,
    ) -> Result<bool, Error> {
        let place = ClientNetwork::from_address(from.client_address);
        self.run_count(move |connection, config, now| {
            let is_known_place = throttle::is_known_to_any_user(connection, &users, &place, now)?;
            if !is_known_place {
                let question = Bucket::for_anonymous_requests(&place, &config.throttle);
                throttle::count_attempt(connection, &[&question], &config.throttle, now)?;
            }
            if let Some(to) = to {
                let mail = CodeMail {
                    recipient: to,
                    network: place,
                    is_known_network: is_known_place,
                };
                throttle::count_mail(connection, &mail, &config.throttle, now)?;
            }
            Ok(is_known_place)
        })
        .await
    }

    /// Counts a code for another email address of a user with a token. Returns whether the user has logged in from there.
    ///
    /// # Errors
    /// [`Error::Throttled`], and database errors.
    pub(super) async fn count_email_change_mail(
        &self,
        user: Gid,
        to: Email,
        from: &ClientContext,
    ) -> Result<bool, Error> {
        let place = ClientNetwork::from_address(from.client_address);
        self.run_count(move |connection, config, now| {
            let is_known_place = throttle::is_known_to_any_user(connection, &[user], &place, now)?;
            let requests =
                Bucket::for_user_requests(user, is_known_place.then_some(&place), &config.throttle);
            throttle::count_attempt(connection, &[&requests], &config.throttle, now)?;
            let mail = CodeMail {
                recipient: to,
                network: place,
                is_known_network: is_known_place,
            };
            throttle::count_mail(connection, &mail, &config.throttle, now)?;
            Ok(is_known_place)
        })
        .await
    }

    async fn run_count<T: Send + 'static>(
        &self,
        count: impl FnOnce(&mut AnyConnection, &Config, Timestamp) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (config, clock) = (self.config.clone(), self.clock.clone());
        self.database
            .write(move |connection| count(connection, &config, clock.now()))
            .await
    }
}
