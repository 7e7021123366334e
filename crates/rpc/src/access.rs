//! The table of the RPCs and the clients that are allowed to call them. The match is exhaustive, so
//! a new RPC does not compile without its row. `doorward_service_tokens` enforces the table.

use std::{fmt, str::FromStr};

use doorward_domain::Malformed;

include!("generated/rpc.rs");

/// Set of RPCs that a named service token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Verify tokens of users.
    Verify,
    /// Read users, projects and members.
    Read,
    /// Follow the change feed.
    Follow,
    /// Publish rows in the feeds of the projects that the token names.
    Publish,
}

impl Scope {
    pub const ALL: [Self; 4] = [Self::Verify, Self::Read, Self::Follow, Self::Publish];

    /// Returns the word for the scope in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Read => "read",
            Self::Follow => "follow",
            Self::Publish => "publish",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or(Malformed("is not one of verify, read, follow and publish"))
    }
}

/// Clients that are allowed to call an RPC. The three services share a token of their own and are
/// allowed to call all RPCs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The three services only.
    Services,
    /// Also clients with a named token of this scope.
    Scope(Scope),
}

impl Rpc {
    /// Returns which clients are allowed to call this RPC.
    #[must_use]
    pub const fn access(self) -> Access {
        match self {
            Self::AuthVerifyToken | Self::AuthGetPublicKeys | Self::AuthWatchTrust => {
                Access::Scope(Scope::Verify)
            }
            Self::DirectoryGetUser
            | Self::DirectoryGetProject
            | Self::DirectoryListProjects
            | Self::DirectoryListMembers
            | Self::DirectoryCheckMembership
            | Self::DirectoryViewUser
            | Self::DirectoryViewProject
            | Self::DirectoryViewMember
            | Self::DirectoryViewMembers => Access::Scope(Scope::Read),
            Self::DirectoryWatchChanges | Self::DirectoryWatchEvents => {
                Access::Scope(Scope::Follow)
            }
            Self::DirectoryPublish => Access::Scope(Scope::Publish),
            Self::AuthVerifyPassword
            | Self::AuthCountAnonymousCall
            | Self::AuthCountInvitation
            | Self::AuthRequestSignup
            | Self::AuthVerifySignup
            | Self::AuthCompleteSignup
            | Self::AuthRequestPasswordReset
            | Self::AuthResetPassword
            | Self::AuthChangePassword
            | Self::AuthRequestEmailChange
            | Self::AuthVerifyEmailChange
            | Self::AuthCompleteEmailChange
            | Self::AuthReportUserDeleted
            | Self::AuthReportInvitationDeclined
            | Self::AuthFindApiKey
            | Self::AuthVerifyApiKey
            | Self::AuthGetApiKey
            | Self::AuthRotateApiKey
            | Self::AuthReportApiUserChange
            | Self::AuthRenewToken
            | Self::AuthRevokeToken
            | Self::DirectoryFindLogin
            | Self::DirectoryGetInit
            | Self::DirectoryGetProjectInit
            | Self::DirectoryCheckUsername
            | Self::DirectoryFindAccounts
            | Self::DirectoryCreateAccount
            | Self::DirectoryUpdateUser
            | Self::DirectorySetEmail
            | Self::DirectoryDeleteAccount
            | Self::DirectoryCreateApiUser
            | Self::DirectoryGetApiUser
            | Self::DirectoryUpdateApiUser
            | Self::DirectorySetApiUserStatus
            | Self::DirectoryDeleteApiUser
            | Self::DirectoryCreateProject
            | Self::DirectoryUpdateProject
            | Self::DirectorySetProjectStatus
            | Self::DirectoryPurgeProject
            | Self::DirectoryTransferProject
            | Self::DirectoryChangeLanguages
            | Self::DirectoryCreateItem
            | Self::DirectoryRenameItem
            | Self::DirectoryMoveItem
            | Self::DirectoryDeleteItems
            | Self::DirectoryInviteMember
            | Self::DirectoryResendInvitation
            | Self::DirectoryRemoveMember
            | Self::DirectorySetMemberStatus
            | Self::DirectoryUpdateMember
            | Self::DirectoryAcceptInvitation
            | Self::DirectoryDeclineInvitation
            | Self::DirectoryViewInvitation
            | Self::DirectoryLeaveProject
            | Self::DirectoryPrepareAvatar
            | Self::DirectorySetAvatar
            | Self::DirectoryPrepareIcon
            | Self::DirectorySetIcon
            | Self::DirectoryFindIcon
            | Self::DirectoryListDiscardedMedia
            | Self::DirectoryConfirmMediaDeletion
            | Self::DirectorySync
            | Self::DirectoryGetCursor => Access::Services,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_is_found_by_its_path() {
        for &rpc in Rpc::ALL {
            assert_eq!(Rpc::from_path(rpc.path()), Some(rpc));
        }
        for unknown in [
            "",
            "/",
            "/doorward.auth.v1.Auth/",
            "/doorward.auth.v1.Auth/getkeys",
            "doorward.auth.v1.Auth/GetPublicKeys",
        ] {
            assert_eq!(Rpc::from_path(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn scope_table_matches_the_documentation() {
        let document = include_str!("../../../docs/grpc.md");
        for scope in Scope::ALL {
            let row = document
                .lines()
                .find(|line| line.starts_with(&format!("| `{scope}` |")))
                .unwrap();
            let documented: Vec<&str> = row.split('`').skip(3).step_by(2).collect();
            let allowed: Vec<&str> = Rpc::ALL
                .iter()
                .filter(|rpc| rpc.access() == Access::Scope(scope))
                .filter_map(|rpc| rpc.path().rsplit('/').next())
                .collect();
            assert_eq!(documented, allowed, "{scope}");
        }
    }

    #[test]
    fn scopes_round_trip() {
        for scope in Scope::ALL {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        for bad in ["", "Verify", "read ", "all", "*", "read,follow"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
    }
}
