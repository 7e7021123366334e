//! Calls of all RPCs of the directory.

use doorward_domain::{IdGenerator, RandomIdGenerator};
use doorward_rpc::{
    Rpc,
    directory::v1::{
        AcceptInvitationRequest, Action, ChangeLanguagesRequest, CheckMembershipRequest,
        CheckUsernameRequest, ConfirmMediaDeletionRequest, CreateAccountRequest,
        CreateApiUserRequest, CreateItemRequest, CreateProjectRequest, DeclineInvitationRequest,
        DeleteAccountRequest, DeleteApiUserRequest, DeleteItemsRequest, FindAccountsRequest,
        FindIconRequest, FindLoginRequest, GetApiUserRequest, GetCursorRequest, GetInitRequest,
        GetProjectInitRequest, GetProjectRequest, GetUserRequest, InviteMemberRequest, ItemKind,
        LeaveProjectRequest, ListDiscardedMediaRequest, ListMembersRequest, ListProjectsRequest,
        MoveItemRequest, PrepareAvatarRequest, PrepareIconRequest, PublishRequest, PublishedRow,
        PurgeProjectRequest, RateLimitChange, RemoveMemberRequest, RenameItemRequest,
        ResendInvitationRequest, SetApiUserStatusRequest, SetAvatarRequest, SetEmailRequest,
        SetIconRequest, SetMemberStatusRequest, SetProjectStatusRequest, SyncRequest,
        TransferProjectRequest, UpdateApiUserRequest, UpdateMemberRequest, UpdateProjectRequest,
        UpdateUserRequest, ViewInvitationRequest, ViewMemberRequest, ViewMembersRequest,
        ViewProjectRequest, ViewUserRequest, WatchChangesRequest, WatchEventsRequest,
        change_languages_request::Change, decline_invitation_request,
        find_accounts_request::Lookup, find_login_request::Identifier,
    },
};

use crate::grpc::parallel::{
    row::{Row, row},
    scene::{Fixture, NEW_ADDRESS},
};

/// Returns a row whose calls are all equal.
fn same<T: prost::Message + Clone + 'static>(rpc: Rpc, message: T) -> Row {
    row(rpc, move |_| message.clone())
}

pub(super) fn users(scene: &Fixture) -> Vec<Row> {
    let ann = scene.ann.clone();
    let ben = scene.ben.clone();
    let user_gid = ben.clone();
    let rename = move |number: usize| UpdateUserRequest {
        user_gid: user_gid.clone(),
        name: Some(format!("Ben {number}")),
        ..UpdateUserRequest::default()
    };
    let user_gid = ben.clone();
    // Even calls change the address, odd calls change it back.
    let set_email = move |number: usize| {
        let (old, new) = if number.is_multiple_of(2) {
            ("ben@example.org", NEW_ADDRESS)
        } else {
            (NEW_ADDRESS, "ben@example.org")
        };
        SetEmailRequest {
            user_gid: user_gid.clone(),
            old_email: Some(old.to_owned()),
            email: new.to_owned(),
        }
    };
    let account = CreateAccountRequest {
        signup_gid: RandomIdGenerator.new_gid().to_string(),
        username: "eva".to_owned(),
        email: "eva@example.org".to_owned(),
    };
    let sync = SyncRequest {
        user_gid: ben.clone(),
        cc_cursor: Some(0),
        project_gid: Some(scene.project.clone()),
        cursor: Some(0),
        include_audiences: true,
    };
    vec![
        same(
            Rpc::DirectoryFindLogin,
            FindLoginRequest {
                identifier: Some(Identifier::Username("ben".to_owned())),
                ..FindLoginRequest::default()
            },
        ),
        same(
            Rpc::DirectoryGetInit,
            GetInitRequest {
                user_gid: ben.clone(),
                known_cursor: None,
            },
        ),
        same(
            Rpc::DirectoryCheckUsername,
            CheckUsernameRequest {
                username: "eva".to_owned(),
                email: None,
            },
        ),
        same(
            Rpc::DirectoryFindAccounts,
            FindAccountsRequest {
                lookup: Some(Lookup::Email("ben@example.org".to_owned())),
                include_inactive: true,
            },
        ),
        same(
            Rpc::DirectoryGetUser,
            GetUserRequest {
                user_gid: ben.clone(),
            },
        ),
        same(
            Rpc::DirectoryViewUser,
            ViewUserRequest {
                caller_gid: ann,
                user_gid: ben.clone(),
            },
        ),
        same(Rpc::DirectoryCreateAccount, account),
        row(Rpc::DirectoryUpdateUser, rename),
        row(Rpc::DirectorySetEmail, set_email),
        same(
            Rpc::DirectoryPrepareAvatar,
            PrepareAvatarRequest {
                user_gid: ben.clone(),
                extension: "png".to_owned(),
            },
        ),
        same(
            Rpc::DirectorySetAvatar,
            SetAvatarRequest {
                user_gid: ben.clone(),
                file_name: Some(scene.avatar.clone()),
            },
        ),
        same(
            Rpc::DirectoryListDiscardedMedia,
            ListDiscardedMediaRequest {},
        ),
        same(
            Rpc::DirectoryConfirmMediaDeletion,
            ConfirmMediaDeletionRequest {
                file_names: vec![scene.icon.clone()],
            },
        ),
        same(Rpc::DirectorySync, sync),
        same(
            Rpc::DirectoryGetCursor,
            GetCursorRequest {
                user_gid: ben,
                project_gid: None,
            },
        ),
        same(
            Rpc::DirectoryWatchChanges,
            WatchChangesRequest { cursor: Some(0) },
        ),
        same(
            Rpc::DirectoryWatchEvents,
            WatchEventsRequest { cursor: Some(0) },
        ),
    ]
}

pub(super) fn projects(scene: &Fixture) -> Vec<Row> {
    let caller_gid = scene.ann.clone();
    let project_gid = scene.project.clone();
    let project = || project_gid.clone();
    let caller = || caller_gid.clone();
    let kind: i32 = ItemKind::Channel.into();
    let languages_of = project();
    let languages_by = caller();
    let languages = move |number: usize| {
        let change = if number.is_multiple_of(2) {
            Change::Add("de".to_owned())
        } else {
            Change::Remove("de".to_owned())
        };
        ChangeLanguagesRequest {
            caller_gid: languages_by.clone(),
            project_gid: languages_of.clone(),
            change: Some(change),
        }
    };
    let create = CreateProjectRequest {
        caller_gid: caller(),
        name: Some("Garden".to_owned()),
        ..CreateProjectRequest::default()
    };
    let update = UpdateProjectRequest {
        caller_gid: caller(),
        project_gid: project(),
        name: Some("Herbarium".to_owned()),
        ..UpdateProjectRequest::default()
    };
    let create_item = CreateItemRequest {
        caller_gid: caller(),
        project_gid: project(),
        kind,
        name: "Web".to_owned(),
    };
    let rename_item = RenameItemRequest {
        caller_gid: caller(),
        project_gid: project(),
        kind,
        item_gid: scene.item.clone(),
        name: "Paper".to_owned(),
    };
    let move_item = MoveItemRequest {
        caller_gid: caller(),
        project_gid: project(),
        kind,
        item_gid: scene.item.clone(),
        before_gid: None,
    };
    let prepare_icon = PrepareIconRequest {
        caller_gid: caller(),
        project_gid: project(),
        extension: "png".to_owned(),
    };
    let set_icon = SetIconRequest {
        caller_gid: caller(),
        project_gid: project(),
        file_name: Some(scene.icon.clone()),
    };
    let published = PublishedRow {
        action: Action::Update.into(),
        data_type: "records".to_owned(),
        data_key: "r1".to_owned(),
    };
    vec![
        same(
            Rpc::DirectoryGetProject,
            GetProjectRequest {
                project_gid: project(),
            },
        ),
        same(
            Rpc::DirectoryGetProjectInit,
            GetProjectInitRequest {
                project_gid: project(),
                user_gid: scene.ben.clone(),
                known_cursor: None,
            },
        ),
        same(
            Rpc::DirectoryListProjects,
            ListProjectsRequest {
                after_project_gid: None,
                page_size: 100,
            },
        ),
        same(
            Rpc::DirectoryViewProject,
            ViewProjectRequest {
                caller_gid: caller(),
                project_gid: project(),
            },
        ),
        same(Rpc::DirectoryCreateProject, create),
        same(Rpc::DirectoryUpdateProject, update),
        row(Rpc::DirectoryChangeLanguages, languages),
        same(Rpc::DirectoryCreateItem, create_item),
        same(Rpc::DirectoryRenameItem, rename_item),
        same(Rpc::DirectoryMoveItem, move_item),
        same(Rpc::DirectoryPrepareIcon, prepare_icon),
        same(Rpc::DirectorySetIcon, set_icon),
        same(
            Rpc::DirectoryFindIcon,
            FindIconRequest {
                icon: format!("{}.png", scene.project),
            },
        ),
        same(
            Rpc::DirectoryPublish,
            PublishRequest {
                project_gid: project(),
                rows: vec![published; 3],
            },
        ),
    ]
}

pub(super) fn members(scene: &Fixture) -> Vec<Row> {
    let ann = scene.ann.clone();
    let ben = scene.ben.clone();
    let cas = scene.cas.clone();
    let caller_gid = scene.ann.clone();
    let project_gid = scene.project.clone();
    let project = || project_gid.clone();
    let caller = || caller_gid.clone();
    let update = UpdateMemberRequest {
        caller_gid: caller(),
        project_gid: project(),
        user_gid: ben.clone(),
        rate_limit: Some(RateLimitChange {
            rate_limit_per_second: Some(7),
        }),
        notifications: None,
    };
    let status_of = project();
    let status_by = caller();
    let user_gid = ben.clone();
    let set_status = move |number: usize| SetMemberStatusRequest {
        caller_gid: status_by.clone(),
        project_gid: status_of.clone(),
        user_gid: user_gid.clone(),
        is_active: !number.is_multiple_of(2),
    };
    let invite = InviteMemberRequest {
        caller_gid: caller(),
        project_gid: project(),
        username_or_email: "fay@example.org".to_owned(),
    };
    let api_user = || scene.api_user.clone();
    let view = |user_gid: String| ViewMemberRequest {
        caller_gid: caller(),
        project_gid: project(),
        user_gid,
    };
    let resend = ResendInvitationRequest {
        caller_gid: caller(),
        project_gid: project(),
        user_gid: cas.clone(),
    };
    let name = || "Robot".to_owned();
    vec![
        same(
            Rpc::DirectoryListMembers,
            ListMembersRequest {
                project_gid: project(),
                after_user_gid: None,
                page_size: 100,
            },
        ),
        same(
            Rpc::DirectoryCheckMembership,
            CheckMembershipRequest {
                project_gid: project(),
                user_gid: ben.clone(),
            },
        ),
        same(Rpc::DirectoryViewMember, view(ben.clone())),
        same(
            Rpc::DirectoryViewMembers,
            ViewMembersRequest {
                caller_gid: caller(),
                project_gid: project(),
                user_gids: vec![ann, ben],
            },
        ),
        same(Rpc::DirectoryInviteMember, invite),
        same(Rpc::DirectoryResendInvitation, resend),
        same(
            Rpc::DirectoryViewInvitation,
            ViewInvitationRequest {
                project_gid: project(),
                invitation_id: cas.clone(),
            },
        ),
        same(
            Rpc::DirectoryAcceptInvitation,
            AcceptInvitationRequest {
                caller_gid: cas.clone(),
                project_gid: project(),
            },
        ),
        same(
            Rpc::DirectoryDeclineInvitation,
            DeclineInvitationRequest {
                project_gid: project(),
                invitee: Some(decline_invitation_request::Invitee::UserGid(cas)),
            },
        ),
        same(Rpc::DirectoryUpdateMember, update),
        row(Rpc::DirectorySetMemberStatus, set_status),
        same(
            Rpc::DirectoryCreateApiUser,
            CreateApiUserRequest {
                project_gid: project(),
                caller_gid: caller(),
                name: name(),
            },
        ),
        same(
            Rpc::DirectoryGetApiUser,
            GetApiUserRequest {
                project_gid: project(),
                caller_gid: caller(),
                user_gid: api_user(),
            },
        ),
        same(
            Rpc::DirectoryUpdateApiUser,
            UpdateApiUserRequest {
                project_gid: project(),
                caller_gid: caller(),
                user_gid: api_user(),
                name: name(),
            },
        ),
    ]
}

pub(super) fn removals(scene: &Fixture) -> Vec<Row> {
    let caller_gid = scene.ann.clone();
    let project_gid = scene.project.clone();
    let project = || project_gid.clone();
    let caller = || caller_gid.clone();
    let api_of = project();
    let api_by = caller();
    let api_user = scene.api_user.clone();
    let set_api_user = move |number: usize| SetApiUserStatusRequest {
        project_gid: api_of.clone(),
        caller_gid: api_by.clone(),
        user_gid: api_user.clone(),
        is_active: !number.is_multiple_of(2),
    };
    let status_of = project();
    let status_by = caller();
    let set_project = move |number: usize| SetProjectStatusRequest {
        caller_gid: status_by.clone(),
        project_gid: status_of.clone(),
        is_deleted: number.is_multiple_of(2),
    };
    let delete_items = DeleteItemsRequest {
        caller_gid: caller(),
        project_gid: project(),
        kind: ItemKind::Channel.into(),
        item_gids: vec![scene.item.clone()],
    };
    let delete_api_user = DeleteApiUserRequest {
        project_gid: project(),
        caller_gid: caller(),
        user_gid: scene.api_user.clone(),
    };
    let remove = RemoveMemberRequest {
        caller_gid: caller(),
        project_gid: project(),
        user_gid: scene.cas.clone(),
    };
    let transfer = TransferProjectRequest {
        caller_gid: caller(),
        project_gid: project(),
        new_owner_gid: scene.ben.clone(),
    };
    let leave = LeaveProjectRequest {
        caller_gid: scene.ben.clone(),
        project_gid: project(),
    };
    let purge = PurgeProjectRequest {
        caller_gid: caller(),
        project_gid: project(),
    };
    vec![
        row(Rpc::DirectorySetApiUserStatus, set_api_user),
        same(Rpc::DirectoryDeleteApiUser, delete_api_user),
        same(Rpc::DirectoryDeleteItems, delete_items),
        same(Rpc::DirectoryRemoveMember, remove),
        same(Rpc::DirectoryLeaveProject, leave),
        same(Rpc::DirectoryTransferProject, transfer),
        row(Rpc::DirectorySetProjectStatus, set_project),
        same(Rpc::DirectoryPurgeProject, purge),
        same(
            Rpc::DirectoryDeleteAccount,
            DeleteAccountRequest {
                user_gid: scene.dan.clone(),
            },
        ),
    ]
}
