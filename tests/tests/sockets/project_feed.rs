//! Tests the delivery of a project's feed to sockets: order, more rows than fit in one page,
//! removed members, and expired or future cursors.

use std::time::Duration;

use doorward_rpc::directory::v1::{Action, PublishRequest, PublishedRow};
use doorward_tests::{
    App, Backend, Services, User, WebSocket, eventually, on_both_databases, websocket::cursors,
};
use serde_json::{Value, json};

use crate::grpc::contract::{GrpcClients, with_service_token};

on_both_databases![
    published_rows_are_delivered_in_order,
    rows_after_the_init_arrive_as_events,
    removed_member_receives_the_removal_only,
    expired_cursor_is_rejected_and_a_valid_one_works_on_the_same_socket,
    future_cursor_starts_at_the_present,
    undeleted_project_is_delivered_as_in_sync,
];

/// A project of ann with the member ben, and gRPC clients that publish rows to it.
pub(crate) struct Fixture {
    pub(crate) split: Services,
    pub(crate) ann: User,
    pub(crate) ben: User,
    pub(crate) project: String,
    peers: GrpcClients,
}

impl Fixture {
    pub(crate) async fn new(backend: Backend) -> Self {
        let split = Services::start(backend).await;
        let ann = split.user("ann").await;
        let ben = split.user("ben").await;
        let project = split.installation.create_project("ann", "Herbarium").await;
        split.installation.add_member(&project, "ben").await;
        let peers = GrpcClients::connect(&split).await;
        Self {
            split,
            ann,
            ben,
            project,
            peers,
        }
    }

    /// Publishes rows and returns the cursor of the last one.
    pub(crate) async fn publish(&mut self, count: usize, key: &str) -> i64 {
        let row = |number| PublishedRow {
            action: Action::Insert.into(),
            data_type: "records".to_owned(),
            data_key: format!("{key}{number}"),
        };
        let request = PublishRequest {
            project_gid: self.project.clone(),
            rows: (0..count).map(row).collect(),
        };
        self.peers
            .directory
            .publish(with_service_token(request))
            .await
            .expect("a cursor")
            .into_inner()
            .cursor
    }

    pub(crate) async fn position(&self) -> i64 {
        self.ann.call("/sync/cursors", &json!({})).await.success().0["cc.cursor"]
            .as_i64()
            .expect("a cursor")
    }

    /// Returns parameters that follow the global feed and the project's feed from the same cursor.
    pub(crate) fn both_from(&self, cursor: i64) -> Value {
        json!({"cc_cursor": cursor, "project": self.project, "cursor": cursor})
    }

    /// Opens a socket that follows both feeds from the current cursor.
    pub(crate) async fn follow(&self, user: &User) -> WebSocket {
        let mut socket = WebSocket::connect(user.http.address(), &user.token).await;
        let answer = socket
            .ask(&json!(["init", self.both_from(self.position().await)]))
            .await;
        assert_eq!(answer["result"]["sync"], json!([]), "{answer}");
        socket
    }

    async fn rename(&self, user: &User, name: &str) {
        user.call("/api/account/update", &json!({"name": name}))
            .await
            .success();
    }
}

/// Returns all rows after the cursors, page by page.
async fn pages(user: &User, mut body: Value) -> Vec<Value> {
    let mut rows = Vec::new();
    loop {
        let page = user.call("/sync/get", &body).await.success().0["sync"].clone();
        let page = page.as_array().expect("a list");
        let Some(last) = page.last() else { return rows };
        for name in ["cc_cursor", "cursor"] {
            if body.get(name).is_some() {
                body[name] = last["cursor"].clone();
            }
        }
        rows.extend(page.iter().cloned());
    }
}

async fn published_rows_are_delivered_in_order(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let before = scene.position().await;
    let mut both = scene.follow(&scene.ann).await;
    let mut project = WebSocket::connect(scene.ben.http.address(), &scene.ben.token).await;
    let asked = json!({"project": scene.project, "cursor": before});
    assert_eq!(project.ask(&json!(["init", asked])).await["success"], true);
    let mut global = WebSocket::connect(scene.ben.http.address(), &scene.ben.token).await;
    assert_eq!(
        global
            .ask(&json!(["init", {"cc_cursor": before, "project": scene.project}]))
            .await["success"],
        true
    );
    for number in 0..3 {
        scene.publish(2, &format!("r{number}-")).await;
        scene.rename(&scene.ben, &format!("Ben {number}")).await;
    }
    let expected = pages(&scene.ann, scene.both_from(before)).await;
    assert_eq!(
        cursors(&expected),
        (before + 1..=before + 9).collect::<Vec<_>>()
    );
    assert_eq!(both.rows(9).await, expected);
    let of = |kind: &str| {
        expected
            .iter()
            .filter(|row| row["type"] == kind)
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(project.rows(6).await, of("project"));
    assert_eq!(global.rows(3).await, of("cc"));
}

async fn rows_after_the_init_arrive_as_events(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let before = scene.position().await;
    for number in 0..4 {
        scene.publish(900, &format!("r{number}-")).await;
        scene.rename(&scene.ben, &format!("Ben {number}")).await;
    }
    let mut socket = WebSocket::connect(scene.ann.http.address(), &scene.ann.token).await;
    let answer = socket.ask(&json!(["init", scene.both_from(before)])).await;
    assert_eq!(answer["result"]["warning"], "more data");
    assert_eq!(
        (answer["success"].clone(), answer["data"].clone()),
        (json!(true), json!({}))
    );
    // These rows are published while the rest of the page is delivered.
    scene.publish(500, "late").await;
    scene.rename(&scene.ann, "Anna").await;
    let mut delivered = answer["result"]["sync"].as_array().expect("a list").clone();
    assert_eq!(delivered.len(), 1000);
    let expected = pages(&scene.ann, scene.both_from(before)).await;
    assert_eq!(expected.len(), 4 * 901 + 501);
    delivered.extend(socket.rows(expected.len() - 1000).await);
    assert_eq!(cursors(&delivered), cursors(&expected));
    assert_eq!(delivered, expected);
}

async fn removed_member_receives_the_removal_only(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let mut both = scene.follow(&scene.ben).await;
    let mut stays = scene.follow(&scene.ann).await;
    let mut project = WebSocket::connect(scene.ben.http.address(), &scene.ben.token).await;
    let asked = json!({"project": scene.project, "cursor": scene.position().await});
    assert_eq!(project.ask(&json!(["init", asked])).await["success"], true);
    let last = scene.publish(3, "r").await;
    for socket in [&mut both, &mut project] {
        assert_eq!(socket.rows(3).await.last().expect("a row")["cursor"], last);
    }
    let words = [
        "member",
        "remove",
        "--project",
        &scene.project,
        "--user",
        "ben",
    ];
    scene
        .split
        .installation
        .cli(&words, "")
        .await
        .assert_success();
    scene.publish(3, "s").await;
    // The last row that is delivered to ben; it is not delivered to ann.
    scene.rename(&scene.ben, "Benjamin").await;
    let expected = pages(&scene.ben, json!({"cc_cursor": last})).await;
    let delivered = both.rows(expected.len()).await;
    assert_eq!(delivered, expected);
    assert!(
        delivered[..delivered.len() - 1]
            .iter()
            .all(|row| row["action"] == "DELETE"),
        "{delivered:?}"
    );
    assert!(
        delivered
            .iter()
            .any(|row| row["data_key"] == scene.project.as_str()),
        "{delivered:?}"
    );
    assert_eq!(
        delivered.last().expect("a row")["data_key"],
        scene.ben.gid.as_str()
    );
    let expected = pages(&scene.ann, scene.both_from(last - 3)).await;
    assert_eq!(stays.rows(expected.len()).await, expected);
    // The socket without the global feed follows nothing any more: the next message is the answer
    // to its request.
    assert_eq!(
        project.ask(&json!(["init", asked])).await["result"]["code"],
        403
    );
}

async fn expired_cursor_is_rejected_and_a_valid_one_works_on_the_same_socket(backend: Backend) {
    let app = App::with_settings(backend, &[("DOORWARD_FEED_RETENTION", "1s")]).await;
    let ann = app.user("ann").await;
    let old = json!({"cc_cursor": ann.init().await.success().0["cc.cursor"]});
    let mut socket = WebSocket::connect(app.http.address(), &ann.token).await;
    ann.call("/api/account/update", &json!({"name": "Anna"}))
        .await
        .success();
    eventually("422", Duration::from_secs(20), async || {
        Some(ann.call("/sync/get", &old).await).filter(|answer| answer.status == 422)
    })
    .await;
    let info = json!({"reason": "cursor_expired"});
    let refused = json!({"success": false, "result": {"code": 422, "message": "Unprocessable entity", "info": info}, "data": {}});
    assert_eq!(socket.ask(&json!(["init", old])).await, refused);
    let from = ann.init().await.success().0["cc.cursor"].clone();
    let answer = socket.ask(&json!(["init", {"cc_cursor": from}])).await;
    assert_eq!(
        answer,
        json!({"success": true, "result": {"sync": [], "cc.cursor": from}, "data": {}})
    );
    ann.call("/api/account/update", &json!({"name": "Annabel"}))
        .await
        .success();
    assert_eq!(socket.rows(1).await[0]["data_key"], ann.gid.as_str());
}

async fn future_cursor_starts_at_the_present(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let present = scene.position().await;
    for future in [present + 1, i64::MAX] {
        let present = scene.position().await;
        let mut socket = WebSocket::connect(scene.ann.http.address(), &scene.ann.token).await;
        let answer = socket.ask(&json!(["init", {"cc_cursor": future}])).await;
        assert_eq!(answer["result"], json!({"sync": [], "cc.cursor": present}));
        scene.rename(&scene.ben, &format!("Ben {future}")).await;
        assert_eq!(cursors(&socket.rows(1).await), [present + 1]);
    }
}

/// A project that is deleted and undeleted must be delivered to the owner and to the member exactly
/// as `/sync/get` returns it.
async fn undeleted_project_is_delivered_as_in_sync(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let start = scene.position().await;
    let body = json!({"project": scene.project});
    let mut sockets = Vec::new();
    for user in [&scene.ann, &scene.ben] {
        let mut socket = WebSocket::connect(user.http.address(), &user.token).await;
        socket.ask(&json!(["init", {"cc_cursor": start}])).await;
        sockets.push((user, socket));
    }
    let mut cursor = start;
    for call in ["delete", "undelete", "delete", "undelete"] {
        scene
            .ann
            .call(&format!("/api/projects/{call}"), &body)
            .await
            .success();
        for (user, socket) in &mut sockets {
            let delivered = pages(user, json!({"cc_cursor": cursor})).await;
            assert!(
                delivered
                    .iter()
                    .any(|row| row["data_type"] == "cc.projects"),
                "{delivered:?}"
            );
            assert_eq!(socket.rows(delivered.len()).await, delivered);
        }
        cursor = scene.position().await;
    }
}
