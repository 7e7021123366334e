//! The end of a user's access: which changes in the directory cause it, and what follows from it.

use std::time::Duration;

use doorward_domain::{Gid, Timestamp, UserStatus};
use doorward_rpc::directory::v1::{Action, Change};
use doorward_storage::AnyConnection;

use crate::{
    accounts, audit,
    error::Error,
    model::{self, Entry, Origin, RevocationTarget},
    store,
    tokens::revocation,
};

/// A user who must not have tokens any more.
pub(crate) struct AccessEnd {
    pub(crate) user: Gid,
    /// Time of the change in the directory.
    pub(crate) ended_at: Timestamp,
    pub(crate) reason: EndReason,
}

/// Why a user lost access.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    Inactive,
    Deleted,
    /// An API user is not a member of its project any more.
    MembershipEnded,
}

impl EndReason {
    /// Returns the detail of the audit record.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "user inactive",
            Self::Deleted => "user deleted",
            Self::MembershipEnded => "no member any more",
        }
    }
}

/// Revokes the tokens of users without access, and deletes the secrets of those who were deleted.
///
/// # Errors
/// Database errors.
pub(crate) fn revoke_access(
    connection: &mut AnyConnection,
    ended: &[AccessEnd],
    lifetime: Duration,
) -> Result<(), Error> {
    let targets = ended
        .iter()
        .map(|end| (RevocationTarget::Subject(end.user), end.ended_at))
        .collect();
    revocation::revoke(connection, targets, lifetime)?;
    ended.iter().try_for_each(|end| record_end(connection, end))
}

/// Returns the user who loses access by this change, if there is one.
pub(super) fn find_access_end(
    connection: &mut AnyConnection,
    change: &Change,
) -> Result<Option<AccessEnd>, Error> {
    // A new user or membership with another status, such as `invited`, has no tokens to revoke.
    let can_have_tokens =
        change.status == UserStatus::Active.as_str() || change.action() == Action::Insert;
    if can_have_tokens {
        return Ok(None);
    }
    let at = Timestamp::from_micros(change.changed_at);
    let is_deleted = change.action() == Action::Delete;
    match change.data_type.as_str() {
        "cc.users" => {
            let reason = if is_deleted {
                EndReason::Deleted
            } else {
                EndReason::Inactive
            };
            Ok(change.data_key.parse().ok().map(|user| AccessEnd {
                user,
                ended_at: at,
                reason,
            }))
        }
        "cc.projects_members" => {
            let key = change.data_key.split_once('/');
            let Some((Ok(project), Ok(user))) =
                key.map(|(project, user)| (project.parse::<Gid>(), user.parse()))
            else {
                return Ok(None);
            };
            // The token of an account is valid in all its projects. That of an API user is valid in
            // this one only, so it ends with the membership.
            let is_api_user =
                store::api_key::find(connection, user)?.is_some_and(|key| key.project == project);
            Ok(is_api_user.then_some(AccessEnd {
                user,
                ended_at: at,
                reason: EndReason::MembershipEnded,
            }))
        }
        _ => Ok(None),
    }
}

/// Records the end of access in the audit trail, and deletes the secrets of a deleted user.
fn record_end(connection: &mut AnyConnection, end: &AccessEnd) -> Result<(), Error> {
    let entry = Entry::new(
        model::Action::TokensRevoked,
        Some(end.user),
        &Origin::internal(),
    );
    audit::record(
        connection,
        entry.with_detail(end.reason.as_str()),
        end.ended_at,
    )?;
    if end.reason == EndReason::Deleted {
        // Secrets from after the deletion stay: the gid may have been imported again.
        accounts::forget(connection, end.user, end.ended_at)?;
    }
    Ok(())
}
