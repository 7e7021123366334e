//! When the directory's feed isn't kept back to where auth had followed it, nobody can say any more what has changed: so the
//! directory is asked for each user who has a password or a key here.

use doorward_domain::Gid;
use doorward_rpc::{
    RpcError,
    directory::v1::{GetCursorRequest, GetUserRequest, UserStatus},
};
use doorward_storage::AnyConnection;

use crate::{
    Error,
    feed::follow::{AccessEnd, Client, EndReason, Follower, revoke_access},
    store,
};

/// Users looked at between two transactions.
const PAGE: i64 = 500;

/// Whether the feed is not kept so far back.
pub(crate) fn is_cursor_expired(failure: &RpcError) -> bool {
    failure
        .info
        .get("reason")
        .is_some_and(|reason| reason == "cursor_expired")
}

impl Follower {
    /// Ends the tokens of whoever isn't active any more, and goes on from the present.
    pub(crate) async fn catch_up(&self, client: &mut Client) -> Result<(), String> {
        // Before anybody is looked at: what changes meanwhile is followed afterwards.
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
                let read = move |connection: &mut AnyConnection| list(connection, after, PAGE);
                let users = self
                    .database
                    .query(read)
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
            "the directory's feed was not kept long enough: each user was looked at instead"
        );
        Ok(())
    }

    async fn revoke_ended_access(
        &self,
        client: &mut Client,
        users: Vec<Gid>,
    ) -> Result<usize, String> {
        let mut gone = Vec::new();
        for user in users {
            if let Some(why) = find_end_reason(client, user).await? {
                gone.push(AccessEnd {
                    user,
                    ended_at: self.clock.now(),
                    reason: why,
                });
            }
        }
        let (count, lifetime) = (gone.len(), self.lifetime);
        if count > 0 {
            let write =
                move |connection: &mut AnyConnection| revoke_access(connection, &gone, lifetime);
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
