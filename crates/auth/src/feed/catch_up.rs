//! Catching up when auth's cursor has expired: the directory has deleted changes that auth has not
//! applied, so auth requests every user who has a password or an API key here.
//!
//! Example: auth has applied the feed up to 40, and the directory stores it from 90 to 120.
//!
//! 1. The head, 120, is read before the first user.
//! 2. The users are requested page by page. ben is inactive: his tokens are revoked. cid does not
//!    exist any more: his tokens are revoked and his password is deleted. ann is active.
//! 3. ann is deactivated while the others are requested. That is change 121.
//! 4. The position is set to 120. The follower continues there, and applies 121.
//!
//! If the head were read at the end (121), the change of ann would be lost. After a failure in
//! between, the position is unchanged, and everything is repeated; revoking twice does no harm.

use doorward_domain::Gid;
use doorward_rpc::{
    RpcError,
    directory::v1::{GetCursorRequest, GetUserRequest, UserStatus},
};
use doorward_storage::AnyConnection;

use crate::{
    error::Error,
    feed::{
        access_end::{AccessEnd, EndReason, revoke_access},
        follower::{Client, Follower},
    },
    store,
};

/// Number of users in one page, and in one transaction.
const PAGE: i64 = 500;

/// Returns whether the directory does not store the feed back to the requested cursor.
pub(crate) fn is_cursor_expired(failure: &RpcError) -> bool {
    failure
        .info
        .get("reason")
        .is_some_and(|reason| reason == "cursor_expired")
}

impl Follower {
    /// Revokes the tokens of all users who are not active any more, and moves the position to the
    /// head of the feed.
    ///
    /// # Errors
    /// Returns the reason if the directory or the database fails.
    pub(crate) async fn catch_up(&self, client: &mut Client) -> Result<(), String> {
        // The head is read first: later changes are applied afterwards by the follower.
        let request = GetCursorRequest {
            user_gid: String::new(),
            project_gid: None,
        };
        let cursor = client
            .get_cursor(request)
            .await
            .map_err(|status| status.to_string())?
            .into_inner()
            .cursor;
        let mut count = 0;
        for list in [store::credential::list_users, store::api_key::list_users] {
            let mut after = None;
            loop {
                let list_page = move |connection: &mut AnyConnection| list(connection, after, PAGE);
                let users = self
                    .database
                    .query(list_page)
                    .await
                    .map_err(|error| error.to_string())?;
                let Some(last) = users.last() else { break };
                after = Some(*last);
                count += self.revoke_ended_access(client, users).await?;
            }
        }
        let advance = move |connection: &mut AnyConnection| {
            Ok::<_, Error>(store::feed_position::advance(connection, cursor)?)
        };
        self.database
            .write(advance)
            .await
            .map_err(|error| error.to_string())?;
        tracing::warn!(
            cursor,
            count,
            "the cursor of the directory feed had expired; checked every user instead; \
             consider a longer feed_retention"
        );
        Ok(())
    }

    async fn revoke_ended_access(
        &self,
        client: &mut Client,
        users: Vec<Gid>,
    ) -> Result<usize, String> {
        let mut ended = Vec::new();
        for user in users {
            if let Some(reason) = find_end_reason(client, user).await? {
                ended.push(AccessEnd {
                    user,
                    ended_at: self.clock.now(),
                    reason,
                });
            }
        }
        let count = ended.len();
        let lifetime = self.lifetime;
        if count > 0 {
            let write =
                move |connection: &mut AnyConnection| revoke_access(connection, &ended, lifetime);
            self.database
                .write(write)
                .await
                .map_err(|error: Error| error.to_string())?;
            self.trust
                .refresh()
                .await
                .map_err(|error| error.to_string())?;
        }
        Ok(count)
    }
}

/// Returns why a user has no access any more; None if the user is active. A user who is unknown to
/// the directory was deleted.
async fn find_end_reason(client: &mut Client, user: Gid) -> Result<Option<EndReason>, String> {
    match client
        .get_user(GetUserRequest {
            user_gid: user.to_string(),
        })
        .await
    {
        Ok(found) => {
            let is_active = found
                .into_inner()
                .user
                .is_some_and(|user| user.status() == UserStatus::Active);
            Ok((!is_active).then_some(EndReason::Inactive))
        }
        Err(status) => {
            let failure = RpcError::from(status);
            let is_unknown = failure
                .info
                .get("reason")
                .is_some_and(|reason| reason == "user_not_found");
            if is_unknown {
                Ok(Some(EndReason::Deleted))
            } else {
                Err(format!("{:?}", failure.code))
            }
        }
    }
}

#[cfg(test)]
#[path = "catch_up_tests.rs"]
mod tests;
