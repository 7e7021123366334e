//! Tests the contract of `proto/` as other services use it.

use doorward_rpc::{
    auth::v1::{
        RenewTokenRequest, VerifyPasswordRequest, VerifyTokenRequest, WatchTrustRequest,
        auth_client::AuthClient, watch_trust_response::Event,
    },
    directory::v1::{
        Change, FindLoginRequest, FindLoginResponse, GetInitRequest, GetInitResponse,
        WatchChangesRequest, directory_client::DirectoryClient, find_login_request::Identifier,
    },
};
use doorward_tests::{Backend, PASSWORD, Services, installation::SERVICE_TOKEN, on_both_databases};
use futures_util::StreamExt;
use tonic::{Code, Request, Response, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

on_both_databases![
    call_without_the_service_token_is_unauthenticated,
    other_services_log_in_by_the_contract,
    other_services_read_and_watch_by_the_contract,
    malformed_id_is_an_invalid_argument,
    health_and_reflection_need_no_token,
];

/// Clients of both services.
pub(crate) struct GrpcClients {
    pub(crate) auth: AuthClient<Channel>,
    pub(crate) directory: DirectoryClient<Channel>,
}

impl GrpcClients {
    pub(crate) async fn connect(split: &Services) -> Self {
        let auth = AuthClient::new(channel(&split.auth).await);
        Self {
            auth,
            directory: DirectoryClient::new(channel(&split.directory).await),
        }
    }

    async fn find(&mut self, username: &str) -> FindLoginResponse {
        let request = login_of(username);
        self.directory
            .find_login(with_service_token(request))
            .await
            .expect("an answer")
            .into_inner()
    }

    async fn init(&mut self, gid: &str) -> Result<GetInitResponse, Code> {
        let request = GetInitRequest {
            user_gid: gid.to_owned(),
            known_cursor: None,
        };
        self.directory
            .get_init(with_service_token(request))
            .await
            .map(Response::into_inner)
            .map_err(|status| status.code())
    }

    async fn verify(
        &mut self,
        gid: Option<&str>,
        password: &str,
        checked_at: i64,
    ) -> Result<String, Code> {
        let answer = self
            .auth
            .verify_password(with_service_token(verification(gid, password, checked_at)))
            .await;
        answer
            .map(|answer| answer.into_inner().token)
            .map_err(|status| status.code())
    }

    async fn renew(&mut self, token: &str) -> Result<String, Code> {
        let answer = self
            .auth
            .renew_token(with_service_token(RenewTokenRequest {
                token: token.to_owned(),
            }))
            .await;
        answer
            .map(|answer| answer.into_inner().token)
            .map_err(|status| status.code())
    }
}

/// Returns whether auth rejects a token. Auth does not know the status of users, so only a
/// revocation can be the reason.
pub(crate) async fn is_revoked(auth: &str, token: &str) -> bool {
    let request = with_service_token(VerifyTokenRequest {
        token: token.to_owned(),
    });
    match AuthClient::new(channel(auth).await)
        .verify_token(request)
        .await
    {
        Ok(_) => false,
        Err(status) if status.code() == Code::Unauthenticated => true,
        Err(status) => panic!("{status}"),
    }
}

pub(crate) async fn channel(address: &str) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("a URL");
    endpoint.connect().await.expect("a connection")
}

pub(crate) fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("x-service-token", token.parse().expect("ASCII"));
    request
}

pub(crate) fn with_service_token<T>(message: T) -> Request<T> {
    with_token(message, SERVICE_TOKEN)
}

fn verification(gid: Option<&str>, password: &str, checked_at: i64) -> VerifyPasswordRequest {
    VerifyPasswordRequest {
        user_gid: gid.map(str::to_owned),
        password: password.to_owned(),
        client_address: "192.0.2.1".to_owned(),
        user_checked_at: checked_at,
        username: gid.unwrap_or_default().to_owned(),
        project_gid: None,
        is_login_allowed: gid.is_some(),
    }
}

fn login_of(username: &str) -> FindLoginRequest {
    FindLoginRequest {
        identifier: Some(Identifier::Username(username.to_owned())),
        project_gid: None,
    }
}

pub(crate) fn code<T>(result: Result<T, Status>) -> Code {
    result.err().map_or(Code::Ok, |status| status.code())
}

async fn call_without_the_service_token_is_unauthenticated(backend: Backend) {
    let split = Services::start(backend).await;
    let gid = split.installation.create_user("ann").await;
    let GrpcClients {
        mut auth,
        mut directory,
    } = GrpcClients::connect(&split).await;
    let checked_at = GrpcClients::connect(&split)
        .await
        .find("ann")
        .await
        .checked_at;
    let upper_case = SERVICE_TOKEN.to_uppercase();
    for token in [
        None,
        Some(""),
        Some("wrong"),
        Some(&SERVICE_TOKEN[1..]),
        Some(&upper_case),
    ] {
        fn request<T>(message: T, token: Option<&str>) -> Request<T> {
            match token {
                Some(token) => with_token(message, token),
                None => Request::new(message),
            }
        }
        let verify = verification(Some(&gid), PASSWORD, checked_at);
        let renew = RenewTokenRequest {
            token: "x".to_owned(),
        };
        let login = login_of("ann");
        let init = GetInitRequest {
            user_gid: gid.clone(),
            known_cursor: None,
        };
        let codes = [
            code(auth.verify_password(request(verify, token)).await),
            code(auth.renew_token(request(renew, token)).await),
            code(auth.watch_trust(request(WatchTrustRequest {}, token)).await),
            code(directory.find_login(request(login, token)).await),
            code(directory.get_init(request(init, token)).await),
            code(
                directory
                    .watch_changes(request(WatchChangesRequest { cursor: None }, token))
                    .await,
            ),
        ];
        assert!(
            codes.iter().all(|code| *code == Code::Unauthenticated),
            "{token:?}: {codes:?}"
        );
    }
}

async fn other_services_log_in_by_the_contract(backend: Backend) {
    let split = Services::start(backend).await;
    let gid = split.installation.create_user("ann").await;
    let mut peers = GrpcClients::connect(&split).await;

    let found = peers.find("ann").await;
    assert_eq!(
        (found.user_gid.as_deref(), found.username.as_str()),
        (Some(&*gid), "ann")
    );
    // An unknown username is normalized too.
    let unknown = peers.find("ｎｏｂｏｄｙ").await;
    assert_eq!(
        (unknown.user_gid, unknown.username.as_str()),
        (None, "nobody")
    );

    let token = peers
        .verify(Some(&gid), PASSWORD, found.checked_at)
        .await
        .expect("a token");
    assert_eq!(split.http.init(&token).await.status, 200);
    let renewed = peers.renew(&token).await.expect("a token");
    assert_ne!(renewed, token);
    assert_eq!(split.http.init(&renewed).await.status, 200);

    let wrong = peers
        .verify(Some(&gid), "a wrong password", found.checked_at)
        .await;
    let unknown = peers.verify(None, PASSWORD, found.checked_at).await;
    assert_eq!(
        [wrong, unknown],
        [Err(Code::PermissionDenied), Err(Code::PermissionDenied)]
    );
    assert_eq!(peers.renew("garbage").await, Err(Code::Unauthenticated));
}

async fn other_services_read_and_watch_by_the_contract(backend: Backend) {
    let split = Services::start(backend).await;
    let gid = split.installation.create_user("ann").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    let mut peers = GrpcClients::connect(&split).await;

    let init = peers.init(&gid).await.expect("an init");
    let projects: Vec<&String> = init
        .user_projects
        .iter()
        .map(|owned| &owned.project_gid)
        .collect();
    assert_eq!(projects, [&project]);

    let watched = peers
        .directory
        .watch_changes(with_service_token(WatchChangesRequest { cursor: Some(0) }))
        .await;
    let first = watched.expect("a stream").into_inner().next().await;
    let changes = first.expect("a message").expect("a message").changes;
    let is_ann = |change: &Change| change.data_type == "cc.users" && change.data_key == gid;
    assert!(changes.iter().any(is_ann), "{changes:?}");
    assert!(
        changes.is_sorted_by(|one, next| one.cursor < next.cursor),
        "{changes:?}"
    );
    // Rows that become visible to a user also take cursors but are no changes, so the head can be
    // after the last change.
    assert!(
        changes
            .last()
            .is_some_and(|last| last.cursor <= init.cursor),
        "{changes:?} until {}",
        init.cursor
    );

    let token = split.http.login("ann", PASSWORD).await.token();
    let watched = peers
        .auth
        .watch_trust(with_service_token(WatchTrustRequest {}))
        .await;
    let first = watched.expect("a stream").into_inner().next().await;
    let event = first.expect("a message").expect("a message").event;
    let Some(Event::Snapshot(snapshot)) = event else {
        panic!("no snapshot first: {event:?}")
    };
    let keys = snapshot.keys.expect("keys").keys;
    let kid = crate::tokens::verify::header_of(&token)["kid"].clone();
    assert!(
        keys.iter().any(|key| kid == *key.kid && key.x.len() == 32),
        "{keys:?}"
    );
}

async fn malformed_id_is_an_invalid_argument(backend: Backend) {
    let split = Services::start(backend).await;
    let mut peers = GrpcClients::connect(&split).await;
    for gid in ["", "x", "' OR 1=1", "0f8fad5bd9cb469fa16570867728950e"] {
        assert_eq!(
            peers.verify(Some(gid), PASSWORD, 0).await,
            Err(Code::InvalidArgument),
            "{gid}"
        );
        assert_eq!(
            peers.init(gid).await.err(),
            Some(Code::InvalidArgument),
            "{gid}"
        );
    }
    let unknown = peers.init("0f8fad5b-d9cb-469f-a165-70867728950e").await;
    assert_eq!(unknown.err(), Some(Code::Unauthenticated));
}

async fn health_and_reflection_need_no_token(backend: Backend) {
    let split = Services::start(backend).await;
    let auth = "doorward.auth.v1.Auth";
    let directory = "doorward.directory.v1.Directory";
    for (address, service, calls) in [
        (
            &split.auth,
            auth,
            [
                "VerifyPassword",
                "VerifyToken",
                "RevokeToken",
                "GetPublicKeys",
                "WatchTrust",
            ],
        ),
        (
            &split.directory,
            directory,
            [
                "GetUser",
                "GetProject",
                "ListMembers",
                "CheckMembership",
                "WatchChanges",
            ],
        ),
    ] {
        for name in ["", service] {
            let request = HealthCheckRequest {
                service: name.to_owned(),
            };
            let answer = HealthClient::new(channel(address).await)
                .check(request)
                .await
                .expect("an answer")
                .into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving, "{name}");
        }
        let listed = reflect(address, MessageRequest::ListServices(String::new())).await;
        let MessageResponse::ListServicesResponse(listed) = listed else {
            panic!("{listed:?}")
        };
        assert!(
            listed.service.iter().any(|listed| listed.name == service),
            "{listed:?}"
        );
        let described = reflect(
            address,
            MessageRequest::FileContainingSymbol(service.to_owned()),
        )
        .await;
        let MessageResponse::FileDescriptorResponse(described) = described else {
            panic!("{described:?}")
        };
        let described = described.file_descriptor_proto.concat();
        for call in calls {
            assert!(
                described
                    .windows(call.len())
                    .any(|window| window == call.as_bytes()),
                "{service} has no {call}"
            );
        }
    }
}

async fn reflect(address: &str, question: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    };
    let mut client = ServerReflectionClient::new(channel(address).await);
    let mut answers = client
        .server_reflection_info(futures_util::stream::iter([request]))
        .await
        .expect("a stream")
        .into_inner();
    answers
        .next()
        .await
        .expect("an answer")
        .expect("an answer")
        .message_response
        .expect("a message")
}
