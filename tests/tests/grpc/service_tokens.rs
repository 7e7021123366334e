//! Tests named service tokens: the RPCs that each scope allows, the projects in which a client can
//! publish, and revocation.

use std::time::Duration;

use doorward_rpc::{
    Rpc, RpcError,
    auth::v1::{GetPublicKeysRequest, WatchTrustRequest},
    directory::v1::{
        Action, GetUserRequest, PublishRequest, PublishedRow, WatchChangesRequest,
        WatchChangesResponse, WatchEventsRequest,
    },
};
use doorward_tests::{
    Backend, Role, Services, eventually,
    installation::{Installation, SERVICE_TOKEN},
    on_both_databases,
};
use tonic::{Code, Request, Status, Streaming, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

use crate::{
    api_keys::calls::UNKNOWN_GID,
    grpc::contract::{GrpcClients, channel, code, with_token},
};

on_both_databases![
    scope_allows_its_rpcs_only,
    missing_or_unknown_token_allows_nothing,
    client_publishes_in_its_projects_only,
    revoked_token_is_rejected_and_its_streams_end_within_a_second,
    token_works_as_soon_as_it_is_created,
];

/// The RPCs that the documentation names for each scope.
const SCOPES: [(&str, &[&str]); 4] = [
    ("verify", &["VerifyToken", "GetPublicKeys", "WatchTrust"]),
    (
        "read",
        &[
            "GetUser",
            "GetProject",
            "ListProjects",
            "ListMembers",
            "CheckMembership",
            "ViewUser",
            "ViewProject",
            "ViewMember",
            "ViewMembers",
        ],
    ),
    ("follow", &["WatchChanges", "WatchEvents"]),
    ("publish", &["Publish"]),
];

/// Creates a named token with the command line and returns it.
pub(crate) async fn create(installation: &Installation, name: &str, options: &[&str]) -> String {
    let words = [&["service-token", "create", "--name", name], options].concat();
    let created = installation.cli(&words, "").await.assert_success().json();
    created["token"].as_str().expect("a token").to_owned()
}

async fn revoke(installation: &Installation, name: &str) {
    installation
        .cli(&["service-token", "revoke", name], "")
        .await
        .assert_success();
}

/// Returns the code with which a call is rejected before its handler, or `None`. Such a status
/// lacks the details that errors of a handler have.
async fn refusal(split: &Services, rpc: Rpc, token: Option<&str>) -> Option<Code> {
    let address = if rpc.path().starts_with("/doorward.auth.") {
        &split.auth
    } else {
        &split.directory
    };
    let mut grpc = Grpc::new(channel(address).await);
    grpc.ready().await.expect("a connection");
    let request = token.map_or_else(|| Request::new(()), |token| with_token((), token));
    let path = PathAndQuery::from_static(rpc.path());
    // A unary answer is sent like a stream of one message.
    let status = match grpc
        .server_streaming(request, path, ProstCodec::<(), ()>::default())
        .await
    {
        Ok(answer) => answer.into_inner().message().await.err()?,
        Err(status) => status,
    };
    let is_refused = matches!(
        status.code(),
        Code::Unauthenticated | Code::PermissionDenied
    );
    (is_refused && RpcError::from_service_status(&status).is_none()).then(|| status.code())
}

fn method(rpc: Rpc) -> &'static str {
    rpc.path().rsplit('/').next().expect("a method")
}

async fn scope_allows_its_rpcs_only(backend: Backend) {
    let split = Services::start(backend).await;
    split.installation.create_user("ann").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    let mut named = 0;
    for (scope, methods) in SCOPES {
        let options = ["--scope", scope, "--project", &project];
        let options = if scope == "publish" {
            &options[..]
        } else {
            &options[..2]
        };
        let token = create(&split.installation, scope, options).await;
        for &rpc in Rpc::ALL {
            let expected = (!methods.contains(&method(rpc))).then_some(Code::PermissionDenied);
            assert_eq!(
                refusal(&split, rpc, Some(&token)).await,
                expected,
                "{scope}: {rpc:?}"
            );
            named += usize::from(expected.is_none());
        }
    }
    assert_eq!(
        named,
        SCOPES
            .iter()
            .map(|(_, methods)| methods.len())
            .sum::<usize>(),
        "an expected method does not exist"
    );

    let options = ["--scope", "read", "--scope", "verify", "--scope", "read"];
    let both = create(&split.installation, "both", &options).await;
    for &rpc in Rpc::ALL {
        let is_named = SCOPES[..2]
            .iter()
            .any(|(_, methods)| methods.contains(&method(rpc)));
        let expected = (!is_named).then_some(Code::PermissionDenied);
        assert_eq!(refusal(&split, rpc, Some(&both)).await, expected, "{rpc:?}");
        // The service token of the three services allows every RPC.
        assert_eq!(
            refusal(&split, rpc, Some(SERVICE_TOKEN)).await,
            None,
            "{rpc:?}"
        );
    }
}

async fn missing_or_unknown_token_allows_nothing(backend: Backend) {
    let split = Services::start(backend).await;
    let good = create(&split.installation, "reader", &["--scope", "read"]).await;
    let revoked = create(
        &split.installation,
        "former",
        &["--scope", "read", "--scope", "verify"],
    )
    .await;
    revoke(&split.installation, "former").await;
    let reader = Some(good.as_str());
    eventually(
        "a rejection of the revoked token",
        Duration::from_secs(5),
        async || refusal(&split, Rpc::DirectoryGetUser, Some(&revoked)).await,
    )
    .await;
    eventually(
        "a rejection of the revoked token by auth",
        Duration::from_secs(5),
        async || refusal(&split, Rpc::AuthGetPublicKeys, Some(&revoked)).await,
    )
    .await;
    // A well-formed token of another installation.
    let other = Installation::new(backend);
    let foreign = create(
        &other,
        "reader",
        &["--scope", "read", "--scope", "verify", "--scope", "follow"],
    )
    .await;
    let upper_case = good.to_uppercase();
    let longer = format!("{good}1");
    let shorter = &good[..good.len() - 1];
    let wrong = [
        None,
        Some(""),
        Some("reader"),
        Some(&*upper_case),
        Some(&longer),
        Some(shorter),
        Some(&revoked),
    ];
    for token in wrong.into_iter().chain([Some(&*foreign)]) {
        for &rpc in &[
            Rpc::AuthVerifyToken,
            Rpc::AuthGetPublicKeys,
            Rpc::AuthWatchTrust,
            Rpc::AuthChangePassword,
            Rpc::DirectoryGetUser,
            Rpc::DirectoryFindLogin,
            Rpc::DirectoryWatchChanges,
            Rpc::DirectoryPublish,
        ] {
            assert_eq!(
                refusal(&split, rpc, token).await,
                Some(Code::Unauthenticated),
                "{token:?}: {rpc:?}"
            );
        }
    }
    // A call with two tokens is rejected.
    let mut directory = GrpcClients::connect(&split).await.directory;
    let mut twice = with_token(
        GetUserRequest {
            user_gid: UNKNOWN_GID.to_owned(),
        },
        &good,
    );
    twice
        .metadata_mut()
        .append("x-service-token", SERVICE_TOKEN.parse().expect("ASCII"));
    assert_eq!(code(directory.get_user(twice).await), Code::Unauthenticated);
    assert_eq!(refusal(&split, Rpc::DirectoryGetUser, reader).await, None);
    // An unknown method is also checked.
    for (path, token, expected) in [
        (
            "/doorward.directory.v1.Directory/Nothing",
            None,
            Code::Unauthenticated,
        ),
        (
            "/doorward.directory.v1.Directory/Nothing",
            reader,
            Code::PermissionDenied,
        ),
        (
            "/doorward.directory.v1.Directory/getUser",
            reader,
            Code::PermissionDenied,
        ),
        (
            "/doorward.directory.v1.Directory/Nothing",
            Some(SERVICE_TOKEN),
            Code::Unimplemented,
        ),
    ] {
        let mut grpc = Grpc::new(channel(&split.directory).await);
        grpc.ready().await.expect("a connection");
        let request = token.map_or_else(|| Request::new(()), |token| with_token((), token));
        let answer = grpc
            .unary(
                request,
                PathAndQuery::from_static(path),
                ProstCodec::<(), ()>::default(),
            )
            .await;
        assert_eq!(code(answer), expected, "{path} {token:?}");
    }
}

async fn client_publishes_in_its_projects_only(backend: Backend) {
    let split = Services::start(backend).await;
    let ann = split.user("ann").await;
    let [herbarium, garden, atlas] = [
        split.installation.create_project("ann", "Herbarium").await,
        split.installation.create_project("ann", "Garden").await,
        split.installation.create_project("ann", "Atlas").await,
    ];
    let options = [
        "--scope",
        "publish",
        "--project",
        &herbarium,
        "--project",
        &garden,
    ];
    let token = create(&split.installation, "records", &options).await;
    let mut directory = GrpcClients::connect(&split).await.directory;
    let mut publish = async |project: &str, token: &str| {
        let row = PublishedRow {
            action: Action::Insert.into(),
            data_type: "records".to_owned(),
            data_key: "r1".to_owned(),
        };
        let request = PublishRequest {
            project_gid: project.to_owned(),
            rows: vec![row],
        };
        code(directory.publish(with_token(request, token)).await)
    };
    let before = ann
        .call("/sync/cursors", &serde_json::json!({}))
        .await
        .success()
        .0["cc.cursor"]
        .as_i64();
    for project in [&*atlas, &atlas.to_uppercase(), UNKNOWN_GID, &ann.gid] {
        assert_eq!(
            publish(project, &token).await,
            Code::PermissionDenied,
            "{project}"
        );
    }
    for malformed in ["", "x", &herbarium[1..]] {
        assert_eq!(
            publish(malformed, &token).await,
            Code::InvalidArgument,
            "{malformed}"
        );
    }
    let after = ann
        .call("/sync/cursors", &serde_json::json!({}))
        .await
        .success()
        .0["cc.cursor"]
        .as_i64();
    assert_eq!(after, before);
    assert_eq!(publish(&herbarium, &token).await, Code::Ok);
    assert_eq!(publish(&garden, &token).await, Code::Ok);
    assert_eq!(publish(&atlas, SERVICE_TOKEN).await, Code::Ok);
}

/// Reads a stream to its end and returns the code that ends it.
async fn end<T>(mut stream: Streaming<T>) -> Code {
    loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return Code::Ok,
            Err(status) => return status.code(),
        }
    }
}

async fn revoked_token_is_rejected_and_its_streams_end_within_a_second(backend: Backend) {
    let split = Services::start(backend).await;
    let options = ["--scope", "verify", "--scope", "follow", "--scope", "read"];
    let token = create(&split.installation, "gone", &options).await;
    let kept = create(&split.installation, "kept", &options).await;
    let GrpcClients {
        mut auth,
        mut directory,
    } = GrpcClients::connect(&split).await;
    let trust = auth
        .watch_trust(with_token(WatchTrustRequest {}, &token))
        .await
        .expect("a stream")
        .into_inner();
    let watch = WatchChangesRequest { cursor: None };
    let changes = directory
        .watch_changes(with_token(watch, &token))
        .await
        .expect("a stream")
        .into_inner();
    let watch = WatchEventsRequest { cursor: None };
    let events = directory
        .watch_events(with_token(watch, &token))
        .await
        .expect("a stream")
        .into_inner();
    let watch = WatchChangesRequest { cursor: None };
    let mut others: Streaming<WatchChangesResponse> = directory
        .watch_changes(with_token(watch, &kept))
        .await
        .expect("a stream")
        .into_inner();
    let trust = tokio::spawn(end(trust));
    let changes = tokio::spawn(end(changes));
    let events = tokio::spawn(end(events));

    revoke(&split.installation, "gone").await;
    let within = Duration::from_secs(1);
    let ended = async { (trust.await, changes.await, events.await) };
    let ended = tokio::time::timeout(within, ended)
        .await
        .expect("the end of the streams");
    let codes = [ended.0, ended.1, ended.2].map(|code| code.expect("a code"));
    assert_eq!(codes, [Code::Unauthenticated; 3]);
    for rpc in [
        Rpc::AuthGetPublicKeys,
        Rpc::DirectoryGetUser,
        Rpc::DirectoryWatchChanges,
    ] {
        assert_eq!(
            refusal(&split, rpc, Some(&token)).await,
            Some(Code::Unauthenticated),
            "{rpc:?}"
        );
        assert_eq!(refusal(&split, rpc, Some(&kept)).await, None, "{rpc:?}");
    }
    for _ in 0..3 {
        others
            .message()
            .await
            .expect("the stream of another token must continue")
            .expect("a message");
    }
}

async fn token_works_as_soon_as_it_is_created(backend: Backend) {
    let mut split = Services::start(backend).await;
    let GrpcClients {
        mut auth,
        mut directory,
    } = GrpcClients::connect(&split).await;
    for round in 0..5 {
        let token = create(
            &split.installation,
            &format!("client-{round}"),
            &["--scope", "verify", "--scope", "follow"],
        )
        .await;
        assert_eq!(
            code(
                auth.get_public_keys(with_token(GetPublicKeysRequest {}, &token))
                    .await
            ),
            Code::Ok
        );
        assert_eq!(
            code(
                directory
                    .watch_changes(with_token(WatchChangesRequest { cursor: None }, &token))
                    .await
            ),
            Code::Ok
        );
    }
    // A restarted process accepts the existing tokens.
    let token = create(&split.installation, "kept", &["--scope", "verify"]).await;
    split.kill(Role::Auth);
    split.start_service(Role::Auth);
    split.ready(Role::Auth).await;
    let mut auth = GrpcClients::connect(&split).await.auth;
    let answer: Result<_, Status> = auth
        .get_public_keys(with_token(GetPublicKeysRequest {}, &token))
        .await;
    assert_eq!(code(answer), Code::Ok);
}
