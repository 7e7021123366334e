//! Deletion of what auth stores about a user.

use doorward_domain::{Gid, Timestamp};
use doorward_storage::AnyConnection;

use crate::{
    accounts::account_rules::Accounts,
    audit,
    error::Error,
    model::{Action, Entry, Origin, RevocationTarget},
    store,
    tokens::revocation,
};

impl Accounts {
    /// Revokes the tokens of a user who was deleted in the directory, and deletes the user's
    /// secrets. The change feed does the same later; this call makes it immediate, and records who
    /// did it.
    ///
    /// # Errors
    /// Database errors.
    pub(crate) async fn delete_user(&self, user: Gid, origin: &Origin) -> Result<(), Error> {
        let clock = self.clock.clone();
        let lifetime = self.config.token_lifetime;
        let entry = Entry::new(Action::UserDeleted, Some(user), &origin.with_user(user));
        self.database
            .write(move |connection| {
                let now = clock.now();
                revocation::revoke(
                    connection,
                    vec![(RevocationTarget::Subject(user), now)],
                    lifetime,
                )?;
                forget(connection, user, now)?;
                audit::record(connection, entry, now)
            })
            .await?;
        self.trust.refresh().await
    }
}

/// Deletes the secrets and known networks of a user. Revocations and audit records stay.
pub(crate) fn forget(
    connection: &mut AnyConnection,
    user: Gid,
    deleted_at: Timestamp,
) -> Result<(), Error> {
    store::credential::delete_older(connection, user, deleted_at)?;
    store::known_network::delete_for_user(connection, user)?;
    store::code::delete_for_user(connection, user)?;
    Ok(store::api_key::delete_older(connection, user, deleted_at)?)
}
