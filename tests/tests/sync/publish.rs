//! Tests rows that other services publish in a project over gRPC: they are delivered to members who
//! request the project's feed, and to services that watch. `visibility.rs` tests the rows of the
//! directory itself.

pub(crate) mod watch;

use doorward_domain::ErrorCode;
use doorward_rpc::{
    RpcError,
    directory::v1::{
        Action, GetCursorRequest, PublishRequest, PublishedRow, SyncRequest, WatchChangesRequest,
        WatchEventsRequest,
    },
};
use doorward_tests::{Backend, Services, User, on_both_databases, snapshots::assert_json_eq};
use serde_json::{Value, json};
use tonic::{Code, Request};

use crate::{
    api_keys::calls::UNKNOWN_GID,
    grpc::contract::{GrpcClients, code, with_service_token, with_token},
};

on_both_databases![
    published_rows_reach_subscribed_members,
    both_feeds_are_merged_by_cursor,
    thousand_rows_are_one_page,
    invalid_publication_is_rejected_as_a_whole,
    publishing_requires_the_service_token,
];

/// A project of ann with the member ben; dan is not a member.
struct Fixture {
    split: Services,
    peers: GrpcClients,
    ann: User,
    ben: User,
    dan: User,
    project: String,
}

fn row(action: Action, data_type: &str, data_key: &str) -> PublishedRow {
    PublishedRow {
        action: action.into(),
        data_type: data_type.to_owned(),
        data_key: data_key.to_owned(),
    }
}

fn records(count: usize) -> Vec<PublishedRow> {
    (0..count)
        .map(|number| row(Action::Insert, "records", &format!("r{number}")))
        .collect()
}

fn delivered(cursor: i64, action: &str, data_type: &str, data_key: &str) -> Value {
    json!({"type": "project", "cursor": cursor, "action": action, "data_type": data_type, "data_key": data_key})
}

impl Fixture {
    async fn new(backend: Backend) -> Self {
        let split = Services::start(backend).await;
        let ann = split.user("ann").await;
        let ben = split.user("ben").await;
        let dan = split.user("dan").await;
        let project = split.installation.create_project("ann", "Herbarium").await;
        split.installation.add_member(&project, "ben").await;
        let peers = GrpcClients::connect(&split).await;
        Self {
            split,
            peers,
            ann,
            ben,
            dan,
            project,
        }
    }

    async fn publish_in(
        &mut self,
        project: &str,
        rows: Vec<PublishedRow>,
    ) -> Result<i64, RpcError> {
        let request = PublishRequest {
            project_gid: project.to_owned(),
            rows,
        };
        let answer = self
            .peers
            .directory
            .publish(with_service_token(request))
            .await;
        answer
            .map(|answer| answer.into_inner().cursor)
            .map_err(RpcError::from)
    }

    /// Publishes rows and returns the cursor of the last one.
    async fn publish(&mut self, rows: Vec<PublishedRow>) -> i64 {
        let project = self.project.clone();
        self.publish_in(&project, rows).await.expect("a cursor")
    }

    async fn position(&self) -> i64 {
        self.ann.call("/sync/cursors", &json!({})).await.success().0["cc.cursor"]
            .as_i64()
            .expect("a cursor")
    }

    /// Returns the result of `/sync/get` with both feeds from the same cursor.
    async fn read(&self, user: &User, after: i64) -> Value {
        let body = json!({"cc_cursor": after, "project": self.project, "cursor": after});
        user.call("/sync/get", &body).await.success().0
    }
}

async fn published_rows_reach_subscribed_members(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let garden = scene
        .split
        .installation
        .create_project("ann", "Garden")
        .await;
    let robot = scene.ann.create_api_user(&scene.project, "Robot").await;
    let token = robot.auth().await.token();
    let program = User {
        gid: robot.gid,
        username: String::new(),
        token,
        http: scene.split.http.clone(),
    };
    let before = scene.position().await;
    let longest = ("d".repeat(100), "k".repeat(200));
    let rows = vec![
        row(Action::Insert, "records", "r1"),
        row(Action::Update, "records", "r1"),
        row(Action::Delete, "fields", "!\"'<~"),
        row(Action::Insert, &longest.0, &longest.1),
    ];
    assert_eq!(scene.publish(rows).await, before + 4);
    assert_eq!(scene.position().await, before + 4);
    let rows = [
        delivered(before + 1, "INSERT", "records", "r1"),
        delivered(before + 2, "UPDATE", "records", "r1"),
        delivered(before + 3, "DELETE", "fields", "!\"'<~"),
        delivered(before + 4, "INSERT", &longest.0, &longest.1),
    ];
    for member in [&scene.ann, &scene.ben, &program] {
        let get = async |body: Value| member.call("/sync/get", &body).await.success().0;
        let project = &scene.project;
        assert_json_eq(&scene.read(member, before).await, &json!({"sync": rows}));
        assert_json_eq(
            &get(json!({"project": project, "cursor": before})).await,
            &json!({"sync": rows}),
        );
        assert_json_eq(
            &get(json!({"project": project, "cursor": before + 2})).await,
            &json!({"sync": rows[2..]}),
        );
        // Requests without the project's feed get none of its rows.
        let now = before + 4;
        let both = json!({"sync": [], "cc.cursor": before + 4, "cursor": before + 4});
        let global = json!({"sync": [], "cc.cursor": now});
        assert_json_eq(&get(json!({"cc_cursor": before})).await, &global);
        assert_json_eq(
            &get(json!({"cc_cursor": before, "cursor": before})).await,
            &global,
        );
        assert_json_eq(
            &get(json!({"cc_cursor": before, "project": project})).await,
            &both,
        );
        assert_json_eq(
            &get(json!({"cc_cursor": before, "project": project, "cursor": now})).await,
            &both,
        );
    }
    let elsewhere = json!({"cc_cursor": before, "project": garden, "cursor": before});
    let nothing = json!({"sync": [], "cc.cursor": before + 4, "cursor": before + 4});
    assert_json_eq(
        &scene.ann.call("/sync/get", &elsewhere).await.success().0,
        &nothing,
    );
    let strange = json!({"project": scene.project, "cursor": before});
    scene
        .dan
        .call("/sync/get", &strange)
        .await
        .assert_forbidden();
    scene
        .ben
        .call("/sync/get", &elsewhere)
        .await
        .assert_forbidden();
    // A later member also receives rows that were published before.
    scene
        .split
        .installation
        .add_member(&scene.project, "dan")
        .await;
    assert_json_eq(
        &scene.dan.call("/sync/get", &strange).await.success().0,
        &json!({"sync": rows}),
    );
}

async fn both_feeds_are_merged_by_cursor(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let before = scene.position().await;
    let mut expected = Vec::new();
    for number in 0..3 {
        let cursor = scene
            .publish(vec![row(Action::Update, "records", &format!("r{number}"))])
            .await;
        expected.push(delivered(
            cursor,
            "UPDATE",
            "records",
            &format!("r{number}"),
        ));
        scene
            .ben
            .call(
                "/api/account/update",
                &json!({"name": format!("Ben {number}")}),
            )
            .await
            .success();
        let cursor = cursor + 1;
        let key = &scene.ben.gid;
        expected.push(
            json!({"type": "cc", "cursor": cursor, "action": "UPDATE", "data_type": "cc.users", "data_key": key}),
        );
    }
    assert_json_eq(
        &scene.read(&scene.ann, before).await,
        &json!({"sync": expected}),
    );
    // Each feed from a different cursor.
    let body = json!({"cc_cursor": before + 4, "project": scene.project, "cursor": before + 2});
    let (result, _) = scene.ann.call("/sync/get", &body).await.success();
    assert_json_eq(
        &result,
        &json!({"sync": [expected[2], expected[4], expected[5]]}),
    );
}

async fn thousand_rows_are_one_page(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let before = scene.position().await;
    assert_eq!(scene.publish(records(1000)).await, before + 1000);
    let mut rows = Vec::new();
    let mut cursor = before;
    for number in 0..1000 {
        cursor += 1;
        rows.push(delivered(
            cursor,
            "INSERT",
            "records",
            &format!("r{number}"),
        ));
    }
    assert_json_eq(
        &scene.read(&scene.ben, before).await,
        &json!({"sync": rows}),
    );
    // One more row, of the global feed.
    scene
        .ben
        .call("/api/account/update", &json!({"name": "Benjamin"}))
        .await
        .success();
    let more = json!({"sync": rows, "warning": "more data"});
    assert_json_eq(&scene.read(&scene.ben, before).await, &more);
    for number in 0..2 {
        scene.publish(records(1000)).await;
        assert_json_eq(&scene.read(&scene.ben, before).await, &more);
        let head = scene.position().await;
        assert_eq!(head, before + 1001 + 1000 * (number + 1));
    }
    let mut position = before;
    let mut seen = Vec::new();
    loop {
        let page = scene.read(&scene.ben, position).await;
        let rows = page["sync"].as_array().expect("a list");
        if rows.is_empty() {
            assert_json_eq(
                &page,
                &json!({"sync": [], "cc.cursor": position, "cursor": position}),
            );
            break;
        }
        seen.extend(
            rows.iter()
                .map(|row| row["cursor"].as_i64().expect("a cursor")),
        );
        position = *seen.last().expect("a row");
        let is_last = position == before + 3001;
        assert_eq!(
            page.get("warning"),
            (!is_last).then(|| json!("more data")).as_ref()
        );
        assert_eq!(rows.len(), if is_last { 1 } else { 1000 });
    }
    assert_eq!(seen, (before + 1..=before + 3001).collect::<Vec<_>>());
}

async fn invalid_publication_is_rejected_as_a_whole(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let deleted = scene
        .split
        .installation
        .create_project("ann", "Garden")
        .await;
    scene
        .ann
        .call("/api/projects/delete", &json!({"project": deleted}))
        .await
        .success();
    let before = scene.position().await;
    let project = scene.project.clone();
    let good = row(Action::Insert, "records", "r1");
    let mut refused = vec![Vec::new(), records(1001)];
    for data_type in [
        "cc.users",
        "cc.projects",
        "cc.projects_members",
        "cc.version",
        "",
        "a b",
        "é",
        "\n",
    ] {
        refused.push(vec![
            good.clone(),
            row(Action::Insert, data_type, "r1"),
            good.clone(),
        ]);
    }
    for data_key in ["", " ", "a b", "é", "a\u{7f}"] {
        refused.push(vec![good.clone(), row(Action::Insert, "records", data_key)]);
    }
    refused.push(vec![
        good.clone(),
        row(Action::Insert, &"d".repeat(101), "r1"),
    ]);
    refused.push(vec![
        good.clone(),
        row(Action::Insert, "records", &"k".repeat(201)),
    ]);
    let not_valid = RpcError::new(ErrorCode::Validation).with_info("rows", "invalid");
    for rows in refused {
        let what = format!("{:?}", rows.get(1));
        assert_eq!(
            scene.publish_in(&project, rows).await,
            Err(not_valid.clone()),
            "{what}"
        );
    }
    let unspecified = vec![good.clone(), row(Action::Unspecified, "records", "r1")];
    assert_eq!(
        scene.publish_in(&project, unspecified).await,
        Err(RpcError::invalid_parameter("rows"))
    );
    let unprocessable =
        RpcError::new(ErrorCode::Unprocessable).with_info("reason", "project_not_found");
    for nothing in [UNKNOWN_GID, &deleted, &scene.ann.gid.clone()] {
        assert_eq!(
            scene.publish_in(nothing, vec![good.clone()]).await,
            Err(unprocessable.clone())
        );
    }
    for malformed in ["", "x"] {
        let failed = scene.publish_in(malformed, vec![good.clone()]).await;
        assert_eq!(failed, Err(RpcError::invalid_parameter("project_gid")));
    }
    assert_eq!(scene.position().await, before);
    let nothing = json!({"sync": [], "cc.cursor": before, "cursor": before});
    assert_json_eq(&scene.read(&scene.ann, before).await, &nothing);
}

async fn publishing_requires_the_service_token(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let before = scene.position().await;
    let directory = &mut scene.peers.directory;
    for token in [
        None,
        Some(""),
        Some("wrong"),
        Some(scene.ann.token.as_str()),
    ] {
        fn request<T>(message: T, token: Option<&str>) -> Request<T> {
            match token {
                Some(token) => with_token(message, token),
                None => Request::new(message),
            }
        }
        let publish = PublishRequest {
            project_gid: scene.project.clone(),
            rows: records(1),
        };
        let user_gid = scene.ann.gid.clone();
        let sync = SyncRequest {
            user_gid: user_gid.clone(),
            cc_cursor: Some(0),
            ..SyncRequest::default()
        };
        let cursors = GetCursorRequest {
            user_gid,
            project_gid: None,
        };
        let codes = [
            code(directory.publish(request(publish, token)).await),
            code(directory.sync(request(sync, token)).await),
            code(directory.get_cursor(request(cursors, token)).await),
            code(
                directory
                    .watch_changes(request(WatchChangesRequest { cursor: None }, token))
                    .await,
            ),
            code(
                directory
                    .watch_events(request(WatchEventsRequest { cursor: None }, token))
                    .await,
            ),
        ];
        assert_eq!(codes, [Code::Unauthenticated; 5], "{token:?}");
    }
    assert_eq!(scene.position().await, before);
}
