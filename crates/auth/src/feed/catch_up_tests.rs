//! Tests of catching up, with a directory that has the users of each test.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use doorward_domain::{ErrorCode, IdGenerator, RandomIdGenerator, SystemClock, Timestamp};
use doorward_rpc::{
    Peer, ServiceToken,
    directory::v1::{GetCursorResponse, GetUserResponse, User},
    server::{self, Listeners},
};
use doorward_storage::testing::TestDatabase;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService},
    service::Routes,
};
use tonic_prost::ProstCodec;

use super::*;
use crate::{
    audit,
    migrations::MIGRATIONS,
    model::{ApiKey, RevocationTarget},
    sealing::Sealer,
    tokens::trust_store::TrustStore,
};

/// Time at which the secrets were created.
const AT: Timestamp = Timestamp::from_seconds(1_700_000_000);
/// The head of the feed.
const CURSOR: i64 = 7;

/// A directory with these users and no others.
#[derive(Clone)]
struct Directory(Arc<HashMap<String, UserStatus>>);

impl Directory {
    fn get_user(&self, gid: &str) -> Result<Response<GetUserResponse>, Status> {
        let Some(status) = self.0.get(gid) else {
            return Err(unprocessable("user_not_found").into());
        };
        let user = User {
            gid: gid.to_owned(),
            status: (*status).into(),
            ..User::default()
        };
        Ok(Response::new(GetUserResponse { user: Some(user) }))
    }
}

impl NamedService for Directory {
    const NAME: &'static str = "doorward.directory.v1.Directory";
}

impl tower::Service<http::Request<Body>> for Directory {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let directory = self.clone();
        Box::pin(async move {
            let get_cursor = tower::service_fn(|_: Request<GetCursorRequest>| async {
                Ok::<_, Status>(Response::new(GetCursorResponse { cursor: CURSOR }))
            });
            let get_user = tower::service_fn(|request: Request<GetUserRequest>| {
                std::future::ready(directory.get_user(&request.get_ref().user_gid))
            });
            Ok(if request.uri().path().ends_with("/GetCursor") {
                Grpc::new(ProstCodec::default())
                    .unary(get_cursor, request)
                    .await
            } else {
                Grpc::new(ProstCodec::default())
                    .unary(get_user, request)
                    .await
            })
        })
    }
}

fn unprocessable(reason: &str) -> RpcError {
    RpcError::new(ErrorCode::Unprocessable).with_info("reason", reason)
}

fn follower(test: &TestDatabase, directory: Directory) -> Follower {
    let (peer, incoming) = Peer::in_memory_pair();
    let (_, is_ready) = watch::channel(true);
    let listeners = Listeners {
        tcp: None,
        in_memory: Some(incoming),
    };
    let routes = Routes::new(directory);
    tokio::spawn(server::serve(
        Directory::NAME,
        routes,
        listeners,
        is_ready,
        CancellationToken::new(),
    ));
    let database = test.database.clone();
    let clock = Arc::new(SystemClock);
    let max_age = Duration::from_secs(10);
    let sealer = Arc::new(Sealer::new(&vec![7; 32].into()).unwrap());
    Follower {
        database: database.clone(),
        directory: peer.connect(&ServiceToken::new(None)).unwrap(),
        trust: Arc::new(TrustStore::new(database, clock.clone(), sealer, max_age)),
        clock,
        applied_cursor: watch::Sender::new(0),
        lifetime: Duration::from_secs(60),
    }
}

#[tokio::test]
async fn users_who_were_deactivated_or_deleted_meanwhile_lose_their_tokens() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let [active, inactive, deleted, robot] = [(); 4].map(|()| RandomIdGenerator.new_gid());
        let insert = move |connection: &mut AnyConnection| {
            for user in [active, inactive, deleted] {
                store::credential::upsert(connection, user, "hash".to_owned(), AT)?;
            }
            let project = RandomIdGenerator.new_gid();
            let key = ApiKey {
                user: robot,
                project,
                lookup_hmac: "lookup".to_owned(),
                sealed_key: "sealed".to_owned(),
                created_at: AT,
                last_used_at: None,
            };
            store::api_key::upsert(connection, &key)
        };
        test.database.write(insert).await.unwrap();
        let known = [
            (active, UserStatus::Active),
            (inactive, UserStatus::Inactive),
        ];
        let known = known
            .map(|(user, status)| (user.to_string(), status))
            .into();
        let follower = follower(&test, Directory(Arc::new(known)));
        let mut client = Client::new(follower.directory.clone());
        follower.catch_up(&mut client).await.unwrap();

        let (_, _, revocations) = follower.trust.subscribe();
        let revoked: HashSet<RevocationTarget> = revocations
            .into_iter()
            .map(|revocation| revocation.target)
            .collect();
        assert_eq!(
            revoked,
            [inactive, deleted, robot]
                .map(RevocationTarget::Subject)
                .into()
        );
        let find = |connection: &mut AnyConnection| {
            let mut users = store::credential::list_users(connection, None, 10)?;
            users.extend(store::api_key::list_users(connection, None, 10)?);
            Ok::<_, Error>((users, store::feed_position::get(connection)?))
        };
        let (with_secrets, position) = test.database.read_snapshot(find).await.unwrap();
        assert_eq!(
            HashSet::from_iter(with_secrets),
            HashSet::from([active, inactive])
        );
        assert_eq!(position, CURSOR);
        let records = audit::list(
            &test.database,
            &audit::Filter::default(),
            audit::RecordPosition::default(),
            10,
        )
        .await;
        let mut details: Vec<String> = records
            .unwrap()
            .into_iter()
            .filter_map(|record| record.detail)
            .collect();
        details.sort_unstable();
        assert_eq!(details, ["user deleted", "user deleted", "user inactive"]);
    }
}

#[test]
fn only_an_expired_cursor_requires_catching_up() {
    assert!(is_cursor_expired(&unprocessable("cursor_expired")));
    for other in [
        unprocessable("user_not_found"),
        RpcError::new(ErrorCode::Unprocessable),
        RpcError::unavailable(),
    ] {
        assert!(!is_cursor_expired(&other), "{other:?}");
    }
}
