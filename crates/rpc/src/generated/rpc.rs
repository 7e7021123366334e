/// An RPC of the contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rpc {
    /// `/doorward.auth.v1.Auth/VerifyPassword`
    AuthVerifyPassword,
    /// `/doorward.auth.v1.Auth/CountAnonymousCall`
    AuthCountAnonymousCall,
    /// `/doorward.auth.v1.Auth/CountInvitation`
    AuthCountInvitation,
    /// `/doorward.auth.v1.Auth/RequestSignup`
    AuthRequestSignup,
    /// `/doorward.auth.v1.Auth/VerifySignup`
    AuthVerifySignup,
    /// `/doorward.auth.v1.Auth/CompleteSignup`
    AuthCompleteSignup,
    /// `/doorward.auth.v1.Auth/RequestPasswordReset`
    AuthRequestPasswordReset,
    /// `/doorward.auth.v1.Auth/ResetPassword`
    AuthResetPassword,
    /// `/doorward.auth.v1.Auth/ChangePassword`
    AuthChangePassword,
    /// `/doorward.auth.v1.Auth/RequestEmailChange`
    AuthRequestEmailChange,
    /// `/doorward.auth.v1.Auth/VerifyEmailChange`
    AuthVerifyEmailChange,
    /// `/doorward.auth.v1.Auth/CompleteEmailChange`
    AuthCompleteEmailChange,
    /// `/doorward.auth.v1.Auth/ReportUserDeleted`
    AuthReportUserDeleted,
    /// `/doorward.auth.v1.Auth/ReportInvitationDeclined`
    AuthReportInvitationDeclined,
    /// `/doorward.auth.v1.Auth/FindApiKey`
    AuthFindApiKey,
    /// `/doorward.auth.v1.Auth/VerifyApiKey`
    AuthVerifyApiKey,
    /// `/doorward.auth.v1.Auth/GetApiKey`
    AuthGetApiKey,
    /// `/doorward.auth.v1.Auth/RotateApiKey`
    AuthRotateApiKey,
    /// `/doorward.auth.v1.Auth/ReportApiUserChange`
    AuthReportApiUserChange,
    /// `/doorward.auth.v1.Auth/RenewToken`
    AuthRenewToken,
    /// `/doorward.auth.v1.Auth/VerifyToken`
    AuthVerifyToken,
    /// `/doorward.auth.v1.Auth/RevokeToken`
    AuthRevokeToken,
    /// `/doorward.auth.v1.Auth/GetPublicKeys`
    AuthGetPublicKeys,
    /// `/doorward.auth.v1.Auth/WatchTrust`
    AuthWatchTrust,
    /// `/doorward.directory.v1.Directory/FindLogin`
    DirectoryFindLogin,
    /// `/doorward.directory.v1.Directory/GetInit`
    DirectoryGetInit,
    /// `/doorward.directory.v1.Directory/GetProjectInit`
    DirectoryGetProjectInit,
    /// `/doorward.directory.v1.Directory/CheckUsername`
    DirectoryCheckUsername,
    /// `/doorward.directory.v1.Directory/FindAccounts`
    DirectoryFindAccounts,
    /// `/doorward.directory.v1.Directory/CreateAccount`
    DirectoryCreateAccount,
    /// `/doorward.directory.v1.Directory/UpdateUser`
    DirectoryUpdateUser,
    /// `/doorward.directory.v1.Directory/SetEmail`
    DirectorySetEmail,
    /// `/doorward.directory.v1.Directory/DeleteAccount`
    DirectoryDeleteAccount,
    /// `/doorward.directory.v1.Directory/GetUser`
    DirectoryGetUser,
    /// `/doorward.directory.v1.Directory/GetProject`
    DirectoryGetProject,
    /// `/doorward.directory.v1.Directory/ListProjects`
    DirectoryListProjects,
    /// `/doorward.directory.v1.Directory/ListMembers`
    DirectoryListMembers,
    /// `/doorward.directory.v1.Directory/CheckMembership`
    DirectoryCheckMembership,
    /// `/doorward.directory.v1.Directory/CreateApiUser`
    DirectoryCreateApiUser,
    /// `/doorward.directory.v1.Directory/GetApiUser`
    DirectoryGetApiUser,
    /// `/doorward.directory.v1.Directory/UpdateApiUser`
    DirectoryUpdateApiUser,
    /// `/doorward.directory.v1.Directory/SetApiUserStatus`
    DirectorySetApiUserStatus,
    /// `/doorward.directory.v1.Directory/DeleteApiUser`
    DirectoryDeleteApiUser,
    /// `/doorward.directory.v1.Directory/ViewUser`
    DirectoryViewUser,
    /// `/doorward.directory.v1.Directory/ViewProject`
    DirectoryViewProject,
    /// `/doorward.directory.v1.Directory/ViewMember`
    DirectoryViewMember,
    /// `/doorward.directory.v1.Directory/ViewMembers`
    DirectoryViewMembers,
    /// `/doorward.directory.v1.Directory/CreateProject`
    DirectoryCreateProject,
    /// `/doorward.directory.v1.Directory/UpdateProject`
    DirectoryUpdateProject,
    /// `/doorward.directory.v1.Directory/SetProjectStatus`
    DirectorySetProjectStatus,
    /// `/doorward.directory.v1.Directory/PurgeProject`
    DirectoryPurgeProject,
    /// `/doorward.directory.v1.Directory/TransferProject`
    DirectoryTransferProject,
    /// `/doorward.directory.v1.Directory/ChangeLanguages`
    DirectoryChangeLanguages,
    /// `/doorward.directory.v1.Directory/CreateItem`
    DirectoryCreateItem,
    /// `/doorward.directory.v1.Directory/RenameItem`
    DirectoryRenameItem,
    /// `/doorward.directory.v1.Directory/MoveItem`
    DirectoryMoveItem,
    /// `/doorward.directory.v1.Directory/DeleteItems`
    DirectoryDeleteItems,
    /// `/doorward.directory.v1.Directory/InviteMember`
    DirectoryInviteMember,
    /// `/doorward.directory.v1.Directory/ResendInvitation`
    DirectoryResendInvitation,
    /// `/doorward.directory.v1.Directory/RemoveMember`
    DirectoryRemoveMember,
    /// `/doorward.directory.v1.Directory/SetMemberStatus`
    DirectorySetMemberStatus,
    /// `/doorward.directory.v1.Directory/UpdateMember`
    DirectoryUpdateMember,
    /// `/doorward.directory.v1.Directory/AcceptInvitation`
    DirectoryAcceptInvitation,
    /// `/doorward.directory.v1.Directory/DeclineInvitation`
    DirectoryDeclineInvitation,
    /// `/doorward.directory.v1.Directory/ViewInvitation`
    DirectoryViewInvitation,
    /// `/doorward.directory.v1.Directory/LeaveProject`
    DirectoryLeaveProject,
    /// `/doorward.directory.v1.Directory/PrepareAvatar`
    DirectoryPrepareAvatar,
    /// `/doorward.directory.v1.Directory/SetAvatar`
    DirectorySetAvatar,
    /// `/doorward.directory.v1.Directory/PrepareIcon`
    DirectoryPrepareIcon,
    /// `/doorward.directory.v1.Directory/SetIcon`
    DirectorySetIcon,
    /// `/doorward.directory.v1.Directory/FindIcon`
    DirectoryFindIcon,
    /// `/doorward.directory.v1.Directory/ListDiscardedMedia`
    DirectoryListDiscardedMedia,
    /// `/doorward.directory.v1.Directory/ConfirmMediaDeletion`
    DirectoryConfirmMediaDeletion,
    /// `/doorward.directory.v1.Directory/Sync`
    DirectorySync,
    /// `/doorward.directory.v1.Directory/GetCursor`
    DirectoryGetCursor,
    /// `/doorward.directory.v1.Directory/Publish`
    DirectoryPublish,
    /// `/doorward.directory.v1.Directory/WatchChanges`
    DirectoryWatchChanges,
    /// `/doorward.directory.v1.Directory/WatchEvents`
    DirectoryWatchEvents,
}

impl Rpc {
    pub const ALL: &'static [Self] = &[
        Self::AuthVerifyPassword,
        Self::AuthCountAnonymousCall,
        Self::AuthCountInvitation,
        Self::AuthRequestSignup,
        Self::AuthVerifySignup,
        Self::AuthCompleteSignup,
        Self::AuthRequestPasswordReset,
        Self::AuthResetPassword,
        Self::AuthChangePassword,
        Self::AuthRequestEmailChange,
        Self::AuthVerifyEmailChange,
        Self::AuthCompleteEmailChange,
        Self::AuthReportUserDeleted,
        Self::AuthReportInvitationDeclined,
        Self::AuthFindApiKey,
        Self::AuthVerifyApiKey,
        Self::AuthGetApiKey,
        Self::AuthRotateApiKey,
        Self::AuthReportApiUserChange,
        Self::AuthRenewToken,
        Self::AuthVerifyToken,
        Self::AuthRevokeToken,
        Self::AuthGetPublicKeys,
        Self::AuthWatchTrust,
        Self::DirectoryFindLogin,
        Self::DirectoryGetInit,
        Self::DirectoryGetProjectInit,
        Self::DirectoryCheckUsername,
        Self::DirectoryFindAccounts,
        Self::DirectoryCreateAccount,
        Self::DirectoryUpdateUser,
        Self::DirectorySetEmail,
        Self::DirectoryDeleteAccount,
        Self::DirectoryGetUser,
        Self::DirectoryGetProject,
        Self::DirectoryListProjects,
        Self::DirectoryListMembers,
        Self::DirectoryCheckMembership,
        Self::DirectoryCreateApiUser,
        Self::DirectoryGetApiUser,
        Self::DirectoryUpdateApiUser,
        Self::DirectorySetApiUserStatus,
        Self::DirectoryDeleteApiUser,
        Self::DirectoryViewUser,
        Self::DirectoryViewProject,
        Self::DirectoryViewMember,
        Self::DirectoryViewMembers,
        Self::DirectoryCreateProject,
        Self::DirectoryUpdateProject,
        Self::DirectorySetProjectStatus,
        Self::DirectoryPurgeProject,
        Self::DirectoryTransferProject,
        Self::DirectoryChangeLanguages,
        Self::DirectoryCreateItem,
        Self::DirectoryRenameItem,
        Self::DirectoryMoveItem,
        Self::DirectoryDeleteItems,
        Self::DirectoryInviteMember,
        Self::DirectoryResendInvitation,
        Self::DirectoryRemoveMember,
        Self::DirectorySetMemberStatus,
        Self::DirectoryUpdateMember,
        Self::DirectoryAcceptInvitation,
        Self::DirectoryDeclineInvitation,
        Self::DirectoryViewInvitation,
        Self::DirectoryLeaveProject,
        Self::DirectoryPrepareAvatar,
        Self::DirectorySetAvatar,
        Self::DirectoryPrepareIcon,
        Self::DirectorySetIcon,
        Self::DirectoryFindIcon,
        Self::DirectoryListDiscardedMedia,
        Self::DirectoryConfirmMediaDeletion,
        Self::DirectorySync,
        Self::DirectoryGetCursor,
        Self::DirectoryPublish,
        Self::DirectoryWatchChanges,
        Self::DirectoryWatchEvents,
    ];

    /// Returns the RPC with this path, such as `/doorward.auth.v1.Auth/GetPublicKeys`.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        match path {
            "/doorward.auth.v1.Auth/VerifyPassword" => Some(Self::AuthVerifyPassword),
            "/doorward.auth.v1.Auth/CountAnonymousCall" => Some(Self::AuthCountAnonymousCall),
            "/doorward.auth.v1.Auth/CountInvitation" => Some(Self::AuthCountInvitation),
            "/doorward.auth.v1.Auth/RequestSignup" => Some(Self::AuthRequestSignup),
            "/doorward.auth.v1.Auth/VerifySignup" => Some(Self::AuthVerifySignup),
            "/doorward.auth.v1.Auth/CompleteSignup" => Some(Self::AuthCompleteSignup),
            "/doorward.auth.v1.Auth/RequestPasswordReset" => Some(Self::AuthRequestPasswordReset),
            "/doorward.auth.v1.Auth/ResetPassword" => Some(Self::AuthResetPassword),
            "/doorward.auth.v1.Auth/ChangePassword" => Some(Self::AuthChangePassword),
            "/doorward.auth.v1.Auth/RequestEmailChange" => Some(Self::AuthRequestEmailChange),
            "/doorward.auth.v1.Auth/VerifyEmailChange" => Some(Self::AuthVerifyEmailChange),
            "/doorward.auth.v1.Auth/CompleteEmailChange" => Some(Self::AuthCompleteEmailChange),
            "/doorward.auth.v1.Auth/ReportUserDeleted" => Some(Self::AuthReportUserDeleted),
            "/doorward.auth.v1.Auth/ReportInvitationDeclined" => Some(Self::AuthReportInvitationDeclined),
            "/doorward.auth.v1.Auth/FindApiKey" => Some(Self::AuthFindApiKey),
            "/doorward.auth.v1.Auth/VerifyApiKey" => Some(Self::AuthVerifyApiKey),
            "/doorward.auth.v1.Auth/GetApiKey" => Some(Self::AuthGetApiKey),
            "/doorward.auth.v1.Auth/RotateApiKey" => Some(Self::AuthRotateApiKey),
            "/doorward.auth.v1.Auth/ReportApiUserChange" => Some(Self::AuthReportApiUserChange),
            "/doorward.auth.v1.Auth/RenewToken" => Some(Self::AuthRenewToken),
            "/doorward.auth.v1.Auth/VerifyToken" => Some(Self::AuthVerifyToken),
            "/doorward.auth.v1.Auth/RevokeToken" => Some(Self::AuthRevokeToken),
            "/doorward.auth.v1.Auth/GetPublicKeys" => Some(Self::AuthGetPublicKeys),
            "/doorward.auth.v1.Auth/WatchTrust" => Some(Self::AuthWatchTrust),
            "/doorward.directory.v1.Directory/FindLogin" => Some(Self::DirectoryFindLogin),
            "/doorward.directory.v1.Directory/GetInit" => Some(Self::DirectoryGetInit),
            "/doorward.directory.v1.Directory/GetProjectInit" => Some(Self::DirectoryGetProjectInit),
            "/doorward.directory.v1.Directory/CheckUsername" => Some(Self::DirectoryCheckUsername),
            "/doorward.directory.v1.Directory/FindAccounts" => Some(Self::DirectoryFindAccounts),
            "/doorward.directory.v1.Directory/CreateAccount" => Some(Self::DirectoryCreateAccount),
            "/doorward.directory.v1.Directory/UpdateUser" => Some(Self::DirectoryUpdateUser),
            "/doorward.directory.v1.Directory/SetEmail" => Some(Self::DirectorySetEmail),
            "/doorward.directory.v1.Directory/DeleteAccount" => Some(Self::DirectoryDeleteAccount),
            "/doorward.directory.v1.Directory/GetUser" => Some(Self::DirectoryGetUser),
            "/doorward.directory.v1.Directory/GetProject" => Some(Self::DirectoryGetProject),
            "/doorward.directory.v1.Directory/ListProjects" => Some(Self::DirectoryListProjects),
            "/doorward.directory.v1.Directory/ListMembers" => Some(Self::DirectoryListMembers),
            "/doorward.directory.v1.Directory/CheckMembership" => Some(Self::DirectoryCheckMembership),
            "/doorward.directory.v1.Directory/CreateApiUser" => Some(Self::DirectoryCreateApiUser),
            "/doorward.directory.v1.Directory/GetApiUser" => Some(Self::DirectoryGetApiUser),
            "/doorward.directory.v1.Directory/UpdateApiUser" => Some(Self::DirectoryUpdateApiUser),
            "/doorward.directory.v1.Directory/SetApiUserStatus" => Some(Self::DirectorySetApiUserStatus),
            "/doorward.directory.v1.Directory/DeleteApiUser" => Some(Self::DirectoryDeleteApiUser),
            "/doorward.directory.v1.Directory/ViewUser" => Some(Self::DirectoryViewUser),
            "/doorward.directory.v1.Directory/ViewProject" => Some(Self::DirectoryViewProject),
            "/doorward.directory.v1.Directory/ViewMember" => Some(Self::DirectoryViewMember),
            "/doorward.directory.v1.Directory/ViewMembers" => Some(Self::DirectoryViewMembers),
            "/doorward.directory.v1.Directory/CreateProject" => Some(Self::DirectoryCreateProject),
            "/doorward.directory.v1.Directory/UpdateProject" => Some(Self::DirectoryUpdateProject),
            "/doorward.directory.v1.Directory/SetProjectStatus" => Some(Self::DirectorySetProjectStatus),
            "/doorward.directory.v1.Directory/PurgeProject" => Some(Self::DirectoryPurgeProject),
            "/doorward.directory.v1.Directory/TransferProject" => Some(Self::DirectoryTransferProject),
            "/doorward.directory.v1.Directory/ChangeLanguages" => Some(Self::DirectoryChangeLanguages),
            "/doorward.directory.v1.Directory/CreateItem" => Some(Self::DirectoryCreateItem),
            "/doorward.directory.v1.Directory/RenameItem" => Some(Self::DirectoryRenameItem),
            "/doorward.directory.v1.Directory/MoveItem" => Some(Self::DirectoryMoveItem),
            "/doorward.directory.v1.Directory/DeleteItems" => Some(Self::DirectoryDeleteItems),
            "/doorward.directory.v1.Directory/InviteMember" => Some(Self::DirectoryInviteMember),
            "/doorward.directory.v1.Directory/ResendInvitation" => Some(Self::DirectoryResendInvitation),
            "/doorward.directory.v1.Directory/RemoveMember" => Some(Self::DirectoryRemoveMember),
            "/doorward.directory.v1.Directory/SetMemberStatus" => Some(Self::DirectorySetMemberStatus),
            "/doorward.directory.v1.Directory/UpdateMember" => Some(Self::DirectoryUpdateMember),
            "/doorward.directory.v1.Directory/AcceptInvitation" => Some(Self::DirectoryAcceptInvitation),
            "/doorward.directory.v1.Directory/DeclineInvitation" => Some(Self::DirectoryDeclineInvitation),
            "/doorward.directory.v1.Directory/ViewInvitation" => Some(Self::DirectoryViewInvitation),
            "/doorward.directory.v1.Directory/LeaveProject" => Some(Self::DirectoryLeaveProject),
            "/doorward.directory.v1.Directory/PrepareAvatar" => Some(Self::DirectoryPrepareAvatar),
            "/doorward.directory.v1.Directory/SetAvatar" => Some(Self::DirectorySetAvatar),
            "/doorward.directory.v1.Directory/PrepareIcon" => Some(Self::DirectoryPrepareIcon),
            "/doorward.directory.v1.Directory/SetIcon" => Some(Self::DirectorySetIcon),
            "/doorward.directory.v1.Directory/FindIcon" => Some(Self::DirectoryFindIcon),
            "/doorward.directory.v1.Directory/ListDiscardedMedia" => Some(Self::DirectoryListDiscardedMedia),
            "/doorward.directory.v1.Directory/ConfirmMediaDeletion" => Some(Self::DirectoryConfirmMediaDeletion),
            "/doorward.directory.v1.Directory/Sync" => Some(Self::DirectorySync),
            "/doorward.directory.v1.Directory/GetCursor" => Some(Self::DirectoryGetCursor),
            "/doorward.directory.v1.Directory/Publish" => Some(Self::DirectoryPublish),
            "/doorward.directory.v1.Directory/WatchChanges" => Some(Self::DirectoryWatchChanges),
            "/doorward.directory.v1.Directory/WatchEvents" => Some(Self::DirectoryWatchEvents),
            _ => None,
        }
    }

    /// Returns the path of an HTTP/2 request for this RPC.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::AuthVerifyPassword => "/doorward.auth.v1.Auth/VerifyPassword",
            Self::AuthCountAnonymousCall => "/doorward.auth.v1.Auth/CountAnonymousCall",
            Self::AuthCountInvitation => "/doorward.auth.v1.Auth/CountInvitation",
            Self::AuthRequestSignup => "/doorward.auth.v1.Auth/RequestSignup",
            Self::AuthVerifySignup => "/doorward.auth.v1.Auth/VerifySignup",
            Self::AuthCompleteSignup => "/doorward.auth.v1.Auth/CompleteSignup",
            Self::AuthRequestPasswordReset => "/doorward.auth.v1.Auth/RequestPasswordReset",
            Self::AuthResetPassword => "/doorward.auth.v1.Auth/ResetPassword",
            Self::AuthChangePassword => "/doorward.auth.v1.Auth/ChangePassword",
            Self::AuthRequestEmailChange => "/doorward.auth.v1.Auth/RequestEmailChange",
            Self::AuthVerifyEmailChange => "/doorward.auth.v1.Auth/VerifyEmailChange",
            Self::AuthCompleteEmailChange => "/doorward.auth.v1.Auth/CompleteEmailChange",
            Self::AuthReportUserDeleted => "/doorward.auth.v1.Auth/ReportUserDeleted",
            Self::AuthReportInvitationDeclined => "/doorward.auth.v1.Auth/ReportInvitationDeclined",
            Self::AuthFindApiKey => "/doorward.auth.v1.Auth/FindApiKey",
            Self::AuthVerifyApiKey => "/doorward.auth.v1.Auth/VerifyApiKey",
            Self::AuthGetApiKey => "/doorward.auth.v1.Auth/GetApiKey",
            Self::AuthRotateApiKey => "/doorward.auth.v1.Auth/RotateApiKey",
            Self::AuthReportApiUserChange => "/doorward.auth.v1.Auth/ReportApiUserChange",
            Self::AuthRenewToken => "/doorward.auth.v1.Auth/RenewToken",
            Self::AuthVerifyToken => "/doorward.auth.v1.Auth/VerifyToken",
            Self::AuthRevokeToken => "/doorward.auth.v1.Auth/RevokeToken",
            Self::AuthGetPublicKeys => "/doorward.auth.v1.Auth/GetPublicKeys",
            Self::AuthWatchTrust => "/doorward.auth.v1.Auth/WatchTrust",
            Self::DirectoryFindLogin => "/doorward.directory.v1.Directory/FindLogin",
            Self::DirectoryGetInit => "/doorward.directory.v1.Directory/GetInit",
            Self::DirectoryGetProjectInit => "/doorward.directory.v1.Directory/GetProjectInit",
            Self::DirectoryCheckUsername => "/doorward.directory.v1.Directory/CheckUsername",
            Self::DirectoryFindAccounts => "/doorward.directory.v1.Directory/FindAccounts",
            Self::DirectoryCreateAccount => "/doorward.directory.v1.Directory/CreateAccount",
            Self::DirectoryUpdateUser => "/doorward.directory.v1.Directory/UpdateUser",
            Self::DirectorySetEmail => "/doorward.directory.v1.Directory/SetEmail",
            Self::DirectoryDeleteAccount => "/doorward.directory.v1.Directory/DeleteAccount",
            Self::DirectoryGetUser => "/doorward.directory.v1.Directory/GetUser",
            Self::DirectoryGetProject => "/doorward.directory.v1.Directory/GetProject",
            Self::DirectoryListProjects => "/doorward.directory.v1.Directory/ListProjects",
            Self::DirectoryListMembers => "/doorward.directory.v1.Directory/ListMembers",
            Self::DirectoryCheckMembership => "/doorward.directory.v1.Directory/CheckMembership",
            Self::DirectoryCreateApiUser => "/doorward.directory.v1.Directory/CreateApiUser",
            Self::DirectoryGetApiUser => "/doorward.directory.v1.Directory/GetApiUser",
            Self::DirectoryUpdateApiUser => "/doorward.directory.v1.Directory/UpdateApiUser",
            Self::DirectorySetApiUserStatus => "/doorward.directory.v1.Directory/SetApiUserStatus",
            Self::DirectoryDeleteApiUser => "/doorward.directory.v1.Directory/DeleteApiUser",
            Self::DirectoryViewUser => "/doorward.directory.v1.Directory/ViewUser",
            Self::DirectoryViewProject => "/doorward.directory.v1.Directory/ViewProject",
            Self::DirectoryViewMember => "/doorward.directory.v1.Directory/ViewMember",
            Self::DirectoryViewMembers => "/doorward.directory.v1.Directory/ViewMembers",
            Self::DirectoryCreateProject => "/doorward.directory.v1.Directory/CreateProject",
            Self::DirectoryUpdateProject => "/doorward.directory.v1.Directory/UpdateProject",
            Self::DirectorySetProjectStatus => "/doorward.directory.v1.Directory/SetProjectStatus",
            Self::DirectoryPurgeProject => "/doorward.directory.v1.Directory/PurgeProject",
            Self::DirectoryTransferProject => "/doorward.directory.v1.Directory/TransferProject",
            Self::DirectoryChangeLanguages => "/doorward.directory.v1.Directory/ChangeLanguages",
            Self::DirectoryCreateItem => "/doorward.directory.v1.Directory/CreateItem",
            Self::DirectoryRenameItem => "/doorward.directory.v1.Directory/RenameItem",
            Self::DirectoryMoveItem => "/doorward.directory.v1.Directory/MoveItem",
            Self::DirectoryDeleteItems => "/doorward.directory.v1.Directory/DeleteItems",
            Self::DirectoryInviteMember => "/doorward.directory.v1.Directory/InviteMember",
            Self::DirectoryResendInvitation => "/doorward.directory.v1.Directory/ResendInvitation",
            Self::DirectoryRemoveMember => "/doorward.directory.v1.Directory/RemoveMember",
            Self::DirectorySetMemberStatus => "/doorward.directory.v1.Directory/SetMemberStatus",
            Self::DirectoryUpdateMember => "/doorward.directory.v1.Directory/UpdateMember",
            Self::DirectoryAcceptInvitation => "/doorward.directory.v1.Directory/AcceptInvitation",
            Self::DirectoryDeclineInvitation => "/doorward.directory.v1.Directory/DeclineInvitation",
            Self::DirectoryViewInvitation => "/doorward.directory.v1.Directory/ViewInvitation",
            Self::DirectoryLeaveProject => "/doorward.directory.v1.Directory/LeaveProject",
            Self::DirectoryPrepareAvatar => "/doorward.directory.v1.Directory/PrepareAvatar",
            Self::DirectorySetAvatar => "/doorward.directory.v1.Directory/SetAvatar",
            Self::DirectoryPrepareIcon => "/doorward.directory.v1.Directory/PrepareIcon",
            Self::DirectorySetIcon => "/doorward.directory.v1.Directory/SetIcon",
            Self::DirectoryFindIcon => "/doorward.directory.v1.Directory/FindIcon",
            Self::DirectoryListDiscardedMedia => "/doorward.directory.v1.Directory/ListDiscardedMedia",
            Self::DirectoryConfirmMediaDeletion => "/doorward.directory.v1.Directory/ConfirmMediaDeletion",
            Self::DirectorySync => "/doorward.directory.v1.Directory/Sync",
            Self::DirectoryGetCursor => "/doorward.directory.v1.Directory/GetCursor",
            Self::DirectoryPublish => "/doorward.directory.v1.Directory/Publish",
            Self::DirectoryWatchChanges => "/doorward.directory.v1.Directory/WatchChanges",
            Self::DirectoryWatchEvents => "/doorward.directory.v1.Directory/WatchEvents",
        }
    }
}
