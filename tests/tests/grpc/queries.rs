//! Tests the gRPC queries of other services about tokens, users, projects and members.

use std::time::Duration;

use doorward_domain::ErrorCode;
use doorward_rpc::{
    RpcError,
    auth::v1::{
        Actor, FindApiKeyRequest, GetApiKeyRequest, GetPublicKeysRequest, RevokeTokenRequest,
        RotateApiKeyRequest, TokenKind, VerifyApiKeyRequest, VerifyTokenRequest,
        VerifyTokenResponse,
    },
    directory::v1::{
        CheckMembershipRequest, CheckMembershipResponse, CreateApiUserRequest,
        DeleteApiUserRequest, GetApiUserRequest, GetProjectInitRequest, GetProjectRequest,
        GetUserRequest, ListMembersRequest, ListProjectsRequest, Membership, MembershipOptions,
        MembershipStatus, Project, ProjectOptions, ProjectStatus, Role as MemberRole,
        SetApiUserStatusRequest, UpdateApiUserRequest, User as UserEntry, UserDetails, UserStatus,
    },
};
use doorward_tests::{
    Backend, PASSWORD, Services, User, eventually, installation::SERVICE_TOKEN, on_both_databases,
    sql::execute,
};
use serde_json::json;
use tonic::{Code, Request, Response, Status};

use crate::{
    api_keys::calls::UNKNOWN_GID,
    grpc::contract::{GrpcClients, code, with_service_token, with_token},
    tokens::verify::{part, published_keys},
};

on_both_databases![
    query_without_the_service_token_is_unauthenticated,
    verify_token_returns_the_claims,
    revoke_token_ends_one_login_or_all,
    get_keys_has_the_published_keys,
    get_user_shows_a_user_complete_in_every_state,
    get_project_shows_a_project_in_full,
    list_projects_pages_through_all,
    list_members_pages_through_all,
    check_membership_requires_active_member_and_project,
    malformed_parameter_is_named,
];

async fn scene(backend: Backend) -> (Services, GrpcClients, User, String) {
    let split = Services::start(backend).await;
    let ann = split.user("ann").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    let peers = GrpcClients::connect(&split).await;
    (split, peers, ann, project)
}

fn rpc_error<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> RpcError {
    answer.expect_err("an error").into()
}

fn unprocessable(reason: &str) -> RpcError {
    RpcError::new(ErrorCode::Unprocessable).with_info("reason", reason)
}

impl GrpcClients {
    async fn verify_token(&mut self, token: &str) -> Result<VerifyTokenResponse, RpcError> {
        let answer = self
            .auth
            .verify_token(with_service_token(VerifyTokenRequest {
                token: token.to_owned(),
            }))
            .await;
        answer.map(Response::into_inner).map_err(RpcError::from)
    }

    async fn revoke_token(&mut self, token: &str, everywhere: bool) -> Result<(), RpcError> {
        let client_address = "192.0.2.1".to_owned();
        let request = RevokeTokenRequest {
            token: token.to_owned(),
            all_logins: everywhere,
            client_address,
        };
        self.auth
            .revoke_token(with_service_token(request))
            .await
            .map(drop)
            .map_err(RpcError::from)
    }

    async fn user(&mut self, gid: &str) -> Result<UserEntry, RpcError> {
        let answer = self
            .directory
            .get_user(with_service_token(GetUserRequest {
                user_gid: gid.to_owned(),
            }))
            .await;
        answer
            .map(|answer| answer.into_inner().user.expect("a user"))
            .map_err(RpcError::from)
    }

    async fn project(&mut self, gid: &str) -> Result<Project, RpcError> {
        let answer = self
            .directory
            .get_project(with_service_token(GetProjectRequest {
                project_gid: gid.to_owned(),
            }))
            .await;
        answer
            .map(|answer| answer.into_inner().project.expect("a project"))
            .map_err(RpcError::from)
    }

    async fn page(
        &mut self,
        project: &str,
        after: Option<&str>,
        page_size: u32,
    ) -> Result<Vec<Membership>, RpcError> {
        let request = ListMembersRequest {
            project_gid: project.to_owned(),
            after_user_gid: after.map(str::to_owned),
            page_size,
        };
        let answer = self
            .directory
            .list_members(with_service_token(request))
            .await;
        answer
            .map(|answer| answer.into_inner().memberships)
            .map_err(RpcError::from)
    }

    async fn projects(
        &mut self,
        after: Option<&str>,
        page_size: u32,
    ) -> Result<Vec<Project>, RpcError> {
        let request = ListProjectsRequest {
            after_project_gid: after.map(str::to_owned),
            page_size,
        };
        let answer = self
            .directory
            .list_projects(with_service_token(request))
            .await;
        answer
            .map(|answer| answer.into_inner().projects)
            .map_err(RpcError::from)
    }

    async fn check(&mut self, project: &str, user: &str) -> CheckMembershipResponse {
        let request = CheckMembershipRequest {
            project_gid: project.to_owned(),
            user_gid: user.to_owned(),
        };
        self.directory
            .check_membership(with_service_token(request))
            .await
            .expect("an answer")
            .into_inner()
    }
}

async fn query_without_the_service_token_is_unauthenticated(backend: Backend) {
    let (
        split,
        GrpcClients {
            mut auth,
            mut directory,
        },
        ann,
        project,
    ) = scene(backend).await;
    let token = ann.token.clone();
    let user_gid = ann.gid.clone();
    let caller_gid = ann.gid.clone();
    let project_gid = project;
    let client_address = "192.0.2.1".to_owned();
    let api_key = "dw_x".to_owned();
    let actor = Some(Actor {
        user_gid: Some(ann.gid.clone()),
        client_address: client_address.clone(),
    });
    macro_rules! codes {
        ($shown:expr, $($client:ident.$call:ident($request:ident { $($field:ident $(: $value:expr)?),* }),)+) => {
            [$({
                let message = $request { $($field: codes!(@ $field $($value)?)),* };
                let request = match $shown {
                    Some(shown) => with_token(message, shown),
                    None => Request::new(message),
                };
                (stringify!($call), code($client.$call(request).await))
            }),+]
        };
        (@ $field:ident $value:expr) => { $value };
        (@ $field:ident) => { $field.clone() };
    }
    for shown in [
        None,
        Some(""),
        Some("wrong"),
        Some(&SERVICE_TOKEN[1..]),
        Some(token.as_str()),
    ] {
        let codes = codes![
            shown,
            auth.verify_token(VerifyTokenRequest { token }),
            auth.revoke_token(RevokeTokenRequest {
                token,
                all_logins: true,
                client_address
            }),
            auth.get_public_keys(GetPublicKeysRequest {}),
            auth.find_api_key(FindApiKeyRequest {
                api_key,
                client_address
            }),
            auth.verify_api_key(VerifyApiKeyRequest {
                api_key,
                project_gid,
                user_gid: Some(user_gid.clone()),
                user_checked_at: 0,
                client_address
            }),
            auth.get_api_key(GetApiKeyRequest {
                user_gid,
                project_gid,
                actor
            }),
            auth.rotate_api_key(RotateApiKeyRequest {
                user_gid,
                project_gid,
                actor
            }),
            directory.get_project_init(GetProjectInitRequest {
                project_gid,
                user_gid,
                known_cursor: None
            }),
            directory.get_user(GetUserRequest { user_gid }),
            directory.get_project(GetProjectRequest { project_gid }),
            directory.list_projects(ListProjectsRequest {
                after_project_gid: None,
                page_size: 0
            }),
            directory.list_members(ListMembersRequest {
                project_gid,
                after_user_gid: None,
                page_size: 0
            }),
            directory.check_membership(CheckMembershipRequest {
                project_gid,
                user_gid
            }),
            directory.create_api_user(CreateApiUserRequest {
                project_gid,
                caller_gid,
                name: "x".to_owned()
            }),
            directory.get_api_user(GetApiUserRequest {
                project_gid,
                caller_gid,
                user_gid
            }),
            directory.update_api_user(UpdateApiUserRequest {
                project_gid,
                caller_gid,
                user_gid,
                name: "x".to_owned()
            }),
            directory.set_api_user_status(SetApiUserStatusRequest {
                project_gid,
                caller_gid,
                user_gid,
                is_active: true
            }),
            directory.delete_api_user(DeleteApiUserRequest {
                project_gid,
                caller_gid,
                user_gid
            }),
        ];
        assert!(
            codes.iter().all(|(_, code)| *code == Code::Unauthenticated),
            "{shown:?}: {codes:?}"
        );
    }
    // No token was revoked and no member was created.
    let (_, data) = split.http.init(&ann.token).await.success();
    assert_eq!(
        data["cc.projects_members"].as_array().map(Vec::len),
        Some(1)
    );
}

async fn verify_token_returns_the_claims(backend: Backend) {
    let (split, mut peers, ann, project) = scene(backend).await;
    let robot = ann.create_api_user(&project, "Robot").await;
    let key_token = robot.auth().await.token();
    let renewed = split.http.init(&ann.token).await.token();
    for (token, subject, kind, project) in [
        (&ann.token, &ann.gid, TokenKind::User, None),
        (&renewed, &ann.gid, TokenKind::User, None),
        (
            &key_token,
            &robot.gid,
            TokenKind::Api,
            Some(project.clone()),
        ),
    ] {
        let claims = part(token, 1);
        let text = |name: &str| claims[name].as_str().expect("text").to_owned();
        let time = |name: &str| claims[name].as_i64().expect("a time");
        let expected = VerifyTokenResponse {
            subject: subject.clone(),
            kind: kind.into(),
            project_gid: project,
            sid: text("sid"),
            jti: text("jti"),
            auth_time: time("auth_time"),
            issued_at: time("iat"),
            expires_at: time("exp"),
        };
        assert_eq!(peers.verify_token(token).await, Ok(expected));
    }
    let refused = Err(RpcError::new(ErrorCode::Unauthenticated));
    let (head, tail) = ann.token.rsplit_once('.').expect("three parts");
    let bearer = format!("Bearer {}", ann.token);
    for bad in ["", "garbage", "a.b.c", head, tail, &bearer, &robot.key] {
        assert_eq!(peers.verify_token(bad).await, refused, "{bad}");
    }
    split.installation.change_user("deactivate", "ann").await;
    let verified = async || peers.verify_token(&ann.token).await.err();
    let failed = eventually("a rejection", Duration::from_secs(10), verified).await;
    assert_eq!(failed, RpcError::new(ErrorCode::Unauthenticated));
    assert_eq!(peers.verify_token(&renewed).await, refused);
}

async fn revoke_token_ends_one_login_or_all(backend: Backend) {
    let (split, mut peers, ann, _) = scene(backend).await;
    let ben = split.user("ben").await;
    let refused = RpcError::new(ErrorCode::Unauthenticated);
    let login = async || split.http.login("ann", PASSWORD).await.token();
    let one = login().await;
    let two = login().await;
    let three = login().await;
    let renewed = split.http.init(&one).await.token();

    assert_eq!(peers.revoke_token(&renewed, false).await, Ok(()));
    for dead in [&one, &renewed] {
        // The process that was called rejects the token immediately, the others within a second.
        assert_eq!(peers.verify_token(dead).await, Err(refused.clone()));
        assert_eq!(peers.revoke_token(dead, true).await, Err(refused.clone()));
        split.http.denied_soon(dead).await;
    }
    assert!(peers.verify_token(&two).await.is_ok() && split.http.init(&two).await.status == 200);

    assert_eq!(peers.revoke_token(&two, true).await, Ok(()));
    for dead in [&two, &three, &ann.token] {
        assert_eq!(peers.verify_token(dead).await, Err(refused.clone()));
        split.http.denied_soon(dead).await;
    }
    assert_eq!(split.http.init(&login().await).await.status, 200);
    assert_eq!(split.http.init(&ben.token).await.status, 200);
    assert_eq!(peers.revoke_token("garbage", true).await, Err(refused));
}

async fn get_keys_has_the_published_keys(backend: Backend) {
    let (split, mut peers, ann, _) = scene(backend).await;
    let mut named = async || {
        let keys = peers
            .auth
            .get_public_keys(with_service_token(GetPublicKeysRequest {}))
            .await
            .expect("an answer")
            .into_inner()
            .keys;
        let keys = keys.expect("keys").keys;
        assert!(keys.iter().all(|key| key.x.len() == 32), "{keys:?}");
        let mut kids: Vec<String> = keys.into_iter().map(|key| key.kid).collect();
        kids.sort();
        kids
    };
    let before = named().await;
    let mut published: Vec<String> = published_keys(&split.http)
        .await
        .iter()
        .map(|key| key["kid"].to_string())
        .collect();
    published.sort();
    assert_eq!(
        before
            .iter()
            .map(|kid| json!(kid).to_string())
            .collect::<Vec<_>>(),
        published
    );
    assert!(
        before
            .iter()
            .any(|kid| crate::tokens::verify::header_of(&ann.token)["kid"] == **kid)
    );
    split
        .installation
        .cli(&["keys", "rotate"], "")
        .await
        .assert_success();
    eventually("another key", Duration::from_secs(10), async || {
        (named().await != before).then_some(())
    })
    .await;
}

async fn get_user_shows_a_user_complete_in_every_state(backend: Backend) {
    let (split, mut peers, ann, project) = scene(backend).await;
    let robot = ann.create_api_user(&project, "Robot").await;
    let complete = |email: Option<&str>| UserDetails {
        email: email.map(str::to_owned),
        language: "en".to_owned(),
        timezone: "Europe/Amsterdam".to_owned(),
    };
    let expected = |status: UserStatus| UserEntry {
        gid: ann.gid.clone(),
        username: Some("ann".to_owned()),
        name: "Ann".to_owned(),
        avatar: None,
        status: status.into(),
        details: Some(complete(Some("ann@example.org"))),
    };
    assert_eq!(peers.user(&ann.gid).await, Ok(expected(UserStatus::Active)));
    assert_eq!(
        peers.user(&ann.gid.to_uppercase()).await,
        Ok(expected(UserStatus::Active))
    );
    split.installation.change_user("deactivate", "ann").await;
    assert_eq!(
        peers.user(&ann.gid).await,
        Ok(expected(UserStatus::Inactive))
    );
    let program = UserEntry {
        gid: robot.gid.clone(),
        username: None,
        name: "Robot".to_owned(),
        avatar: None,
        status: UserStatus::Active.into(),
        details: Some(complete(None)),
    };
    assert_eq!(peers.user(&robot.gid).await, Ok(program));
    for unknown in [UNKNOWN_GID, &project] {
        assert_eq!(
            peers.user(unknown).await,
            Err(unprocessable("user_not_found"))
        );
    }
}

async fn get_project_shows_a_project_in_full(backend: Backend) {
    let (split, mut peers, ann, project) = scene(backend).await;
    for status in [ProjectStatus::Active, ProjectStatus::Deleted] {
        let mut found = peers.project(&project).await.expect("a project");
        let ProjectOptions {
            channels,
            orderings,
            fieldlists,
            languages,
            timezone,
        } = found.options.take().expect("options");
        let names = [channels, orderings, fieldlists].map(|items| {
            items
                .into_iter()
                .map(|item| item.name)
                .collect::<Vec<_>>()
                .join(", ")
        });
        assert_eq!(names, ["Main channel", "Main ordering", "Main fieldlist"]);
        assert_eq!(
            (languages, timezone.as_str()),
            (vec!["en".to_owned(), "nl".to_owned()], "Europe/Amsterdam")
        );
        let expected = Project {
            gid: project.clone(),
            name: "Herbarium".to_owned(),
            icon: None,
            owner_gid: ann.gid.clone(),
            status: status.into(),
            options: None,
        };
        assert_eq!(found, expected);
        execute(
            &split.installation.databases.directory,
            "UPDATE projects SET status = 'deleted'",
        );
    }
    for nothing in [UNKNOWN_GID, &ann.gid] {
        assert_eq!(
            peers.project(nothing).await,
            Err(unprocessable("project_not_found"))
        );
    }
}

async fn list_projects_pages_through_all(backend: Backend) {
    let (split, mut peers, ann, first) = scene(backend).await;
    let second = split.installation.create_project("ann", "Atlas").await;
    let third = split.installation.create_project("ann", "Bestiary").await;
    split
        .installation
        .cli(&["project", "delete", &third], "")
        .await
        .assert_success();
    let project = |gid: &str, name: &str, status: ProjectStatus| Project {
        gid: gid.to_owned(),
        name: name.to_owned(),
        icon: None,
        owner_gid: ann.gid.clone(),
        status: status.into(),
        options: None,
    };
    let mut expected = vec![
        project(&first, "Herbarium", ProjectStatus::Active),
        project(&second, "Atlas", ProjectStatus::Active),
        project(&third, "Bestiary", ProjectStatus::Deleted),
    ];
    expected.sort_by(|one, other| one.gid.cmp(&other.gid));
    for (page_size, sizes) in [(1, vec![1, 1, 1, 0]), (2, vec![2, 1]), (3, vec![3, 0])] {
        let mut listed = Vec::<Project>::new();
        let mut pages = Vec::new();
        while pages.last().is_none_or(|last| *last == page_size as usize) {
            let after = listed.last().map(|last| last.gid.clone());
            let page = peers
                .projects(after.as_deref(), page_size)
                .await
                .expect("a page");
            pages.push(page.len());
            assert!(pages.len() < 10, "no end: {pages:?}");
            listed.extend(page);
        }
        assert_eq!(
            (listed, pages),
            (expected.clone(), sizes),
            "pages of {page_size}"
        );
    }
    for page_size in [0, 1000] {
        assert_eq!(peers.projects(None, page_size).await, Ok(expected.clone()));
    }
    // The gid of the previous page need not exist: a page begins after it in the order of gids.
    assert_eq!(
        peers
            .projects(Some("00000000-0000-4000-8000-000000000000"), 0)
            .await,
        Ok(expected)
    );
    assert_eq!(
        peers.projects(None, 1001).await,
        Err(RpcError::invalid_parameter("page_size"))
    );
    assert_eq!(
        peers.projects(Some("x"), 1).await,
        Err(RpcError::invalid_parameter("after_project_gid"))
    );
}

async fn list_members_pages_through_all(backend: Backend) {
    let (split, mut peers, ann, project) = scene(backend).await;
    let ben = split.user("ben").await;
    let cas = split.user("cas").await;
    for member in [&ben, &cas] {
        split.installation.add_member(&project, &member.gid).await;
    }
    let robot = ann.create_api_user(&project, "Robot").await;
    // A project whose members must not be listed.
    split.installation.create_project("ben", "Atlas").await;
    let inactive = format!(
        "UPDATE memberships SET status = 'inactive', rate_limit_per_second = 7 WHERE user_gid = '{}'",
        cas.gid
    );
    execute(&split.installation.databases.directory, &inactive);
    let member =
        |user: &str, status: MembershipStatus, role: MemberRole, limit: Option<u32>| Membership {
            project_gid: project.clone(),
            user_gid: user.to_owned(),
            status: status.into(),
            roles: vec![role.into()],
            options: Some(MembershipOptions {
                notifications: None,
                rate_limit_per_second: limit,
            }),
        };
    let mut expected = vec![
        member(&ann.gid, MembershipStatus::Active, MemberRole::Owner, None),
        member(&ben.gid, MembershipStatus::Active, MemberRole::Member, None),
        member(
            &cas.gid,
            MembershipStatus::Inactive,
            MemberRole::Member,
            Some(7),
        ),
        member(&robot.gid, MembershipStatus::Active, MemberRole::Api, None),
    ];
    expected.sort_by(|one, other| one.user_gid.cmp(&other.user_gid));

    for (page_size, sizes) in [
        (1, vec![1, 1, 1, 1, 0]),
        (2, vec![2, 2, 0]),
        (3, vec![3, 1]),
        (4, vec![4, 0]),
    ] {
        let mut listed = Vec::<Membership>::new();
        let mut pages = Vec::new();
        while pages.last().is_none_or(|last| *last == page_size as usize) {
            let after = listed.last().map(|last| last.user_gid.clone());
            let page = peers
                .page(&project, after.as_deref(), page_size)
                .await
                .expect("a page");
            pages.push(page.len());
            assert!(pages.len() < 10, "no end: {pages:?}");
            listed.extend(page);
        }
        assert_eq!(
            (listed, pages),
            (expected.clone(), sizes),
            "pages of {page_size}"
        );
    }
    for page_size in [0, 5, 1000] {
        assert_eq!(
            peers.page(&project, None, page_size).await,
            Ok(expected.clone())
        );
    }
    // The last member of a page can be deleted in the meantime: the next page starts after its gid.
    let gone = expected[1].user_gid.clone();
    execute(
        &split.installation.databases.directory,
        &format!("DELETE FROM memberships WHERE user_gid = '{gone}'"),
    );
    assert_eq!(
        peers.page(&project, Some(&gone), 2).await,
        Ok(expected[2..].to_vec())
    );
    assert_eq!(
        peers.page(&project, None, 2).await,
        Ok(vec![expected[0].clone(), expected[2].clone()])
    );

    for page_size in [1001, u32::MAX] {
        assert_eq!(
            peers.page(&project, None, page_size).await,
            Err(RpcError::invalid_parameter("page_size"))
        );
    }
    assert_eq!(
        peers.page(UNKNOWN_GID, None, 2).await,
        Err(unprocessable("project_not_found"))
    );
}

async fn check_membership_requires_active_member_and_project(backend: Backend) {
    let (split, mut peers, ann, project) = scene(backend).await;
    let ben = split.user("ben").await;
    let cas = split.user("cas").await;
    split.installation.add_member(&project, "ben").await;
    let robot = ann.create_api_user(&project, "Robot").await;
    let active = |role: MemberRole, limit: Option<u32>| CheckMembershipResponse {
        is_active: true,
        roles: vec![role.into()],
        rate_limit_per_second: limit,
    };
    let none = CheckMembershipResponse {
        is_active: false,
        roles: Vec::new(),
        rate_limit_per_second: None,
    };
    let directory = &split.installation.databases.directory;
    execute(
        directory,
        &format!(
            "UPDATE memberships SET rate_limit_per_second = 5 WHERE user_gid = '{}'",
            ben.gid
        ),
    );
    assert_eq!(
        peers.check(&project, &ann.gid).await,
        active(MemberRole::Owner, None)
    );
    assert_eq!(
        peers.check(&project, &ben.gid).await,
        active(MemberRole::Member, Some(5))
    );
    assert_eq!(
        peers.check(&project, &robot.gid).await,
        active(MemberRole::Api, None)
    );
    for (project, user) in [
        (&*project, &*cas.gid),
        (&project, UNKNOWN_GID),
        (UNKNOWN_GID, &ann.gid),
        (UNKNOWN_GID, UNKNOWN_GID),
        (&ann.gid, &project),
    ] {
        assert_eq!(peers.check(project, user).await, none, "{project} {user}");
    }
    for status in ["invited", "declined", "inactive"] {
        execute(
            directory,
            &format!(
                "UPDATE memberships SET status = '{status}' WHERE user_gid = '{}'",
                ben.gid
            ),
        );
        assert_eq!(peers.check(&project, &ben.gid).await, none, "{status}");
    }
    execute(directory, "UPDATE memberships SET status = 'active'");
    split.installation.change_user("deactivate", "ben").await;
    assert_eq!(peers.check(&project, &ben.gid).await, none);
    ann.api_keys(&project, "deactivate", &json!({"user": robot.gid}))
        .await
        .success();
    assert_eq!(peers.check(&project, &robot.gid).await, none);
    split.installation.change_user("activate", "ben").await;
    assert_eq!(
        peers.check(&project, &ben.gid).await,
        active(MemberRole::Member, Some(5))
    );
    execute(directory, "UPDATE projects SET status = 'deleted'");
    assert_eq!(peers.check(&project, &ann.gid).await, none);
}

async fn malformed_parameter_is_named(backend: Backend) {
    let (_split, mut peers, ann, project) = scene(backend).await;
    for bad in ["", "x", "0f8fad5bd9cb469fa16570867728950e", "' OR 1=1"] {
        assert_eq!(
            peers.user(bad).await,
            Err(RpcError::invalid_parameter("user_gid")),
            "{bad}"
        );
        assert_eq!(
            peers.project(bad).await,
            Err(RpcError::invalid_parameter("project_gid")),
            "{bad}"
        );
        assert_eq!(
            peers.page(bad, None, 1001).await,
            Err(RpcError::invalid_parameter("project_gid")),
            "{bad}"
        );
        assert_eq!(
            peers.page(&project, Some(bad), 2).await,
            Err(RpcError::invalid_parameter("after_user_gid")),
            "{bad}"
        );
        for (project, user, name) in [(bad, &*ann.gid, "project_gid"), (&project, bad, "user_gid")]
        {
            let request = CheckMembershipRequest {
                project_gid: project.to_owned(),
                user_gid: user.to_owned(),
            };
            let failed = rpc_error(
                peers
                    .directory
                    .check_membership(with_service_token(request))
                    .await,
            );
            assert_eq!(failed, RpcError::invalid_parameter(name));
        }
        let request = RevokeTokenRequest {
            token: ann.token.clone(),
            all_logins: true,
            client_address: bad.to_owned(),
        };
        assert_eq!(
            rpc_error(peers.auth.revoke_token(with_service_token(request)).await),
            RpcError::invalid_parameter("client_address")
        );
    }
    assert!(peers.verify_token(&ann.token).await.is_ok());
}
