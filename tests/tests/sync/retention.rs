//! Tests how long cursors are valid: until the rows after them are deleted. After that
//! `cursor_expired` is returned; a reader never misses rows silently.

use std::time::{Duration, Instant};

use doorward_domain::ErrorCode;
use doorward_rpc::{
    RpcError,
    directory::v1::{Action, PublishRequest, PublishedRow, WatchChangesRequest},
};
use doorward_tests::{
    Backend, MANY_WRITES, Services, User, eventually, on_both_databases, snapshots::assert_json_eq,
    websocket::cursors,
};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::grpc::contract::{GrpcClients, with_service_token};

on_both_databases![
    expired_cursor_is_rejected_and_init_gives_a_valid_one,
    reader_never_misses_rows_silently,
];

const RETENTION: Duration = Duration::from_secs(1);
const SHORT_RETENTION: [(&str, &str); 2] = [("DOORWARD_FEED_RETENTION", "1s"), MANY_WRITES];
/// Maximum time until expired rows are deleted on a busy machine.
const EVENTUALLY_TIMEOUT: Duration = Duration::from_secs(20);

struct Fixture {
    split: Services,
    peers: GrpcClients,
    ann: User,
    ben: User,
    project: String,
}

impl Fixture {
    async fn new(backend: Backend) -> Self {
        let split = Services::with(backend, &SHORT_RETENTION).await;
        let ann = split.user("ann").await;
        let ben = split.user("ben").await;
        let project = split.installation.create_project("ann", "Herbarium").await;
        split.installation.add_member(&project, "ben").await;
        let peers = GrpcClients::connect(&split).await;
        Self {
            split,
            peers,
            ann,
            ben,
            project,
        }
    }

    /// Appends one row to each feed.
    async fn change(&mut self, number: usize) {
        self.ben
            .call(
                "/api/account/update",
                &json!({"name": format!("Ben {number}")}),
            )
            .await
            .success();
        let row = PublishedRow {
            action: Action::Update.into(),
            data_type: "records".to_owned(),
            data_key: format!("r{number}"),
        };
        let request = PublishRequest {
            project_gid: self.project.clone(),
            rows: vec![row],
        };
        self.peers
            .directory
            .publish(with_service_token(request))
            .await
            .expect("a cursor");
    }

    /// Makes a change and returns the rows after `after`, which was the head of the feed. Returns
    /// `None` if a busy machine took longer than the retention.
    async fn change_and_read(&mut self, number: usize, after: i64) -> Option<Vec<Value>> {
        let begun = Instant::now();
        self.change(number).await;
        let rows = self.read(after).await;
        assert!(
            rows.is_some() || begun.elapsed() > RETENTION.mul_f64(0.9),
            "the cursor {after} expired too early"
        );
        rows
    }

    /// Returns the cursor of an init of the project, which is the same for both feeds.
    async fn init(&self) -> i64 {
        let (init, _) = self
            .split
            .http
            .project_init(&self.project, &self.ann.token)
            .await
            .success();
        assert_eq!(init["cc.cursor"], init["cursor"]);
        init["cursor"].as_i64().expect("a cursor")
    }

    /// Returns the rows of both feeds after a cursor, or `None` if it has expired.
    async fn read(&self, after: i64) -> Option<Vec<Value>> {
        let body = json!({"cc_cursor": after, "project": self.project, "cursor": after});
        let answer = self.ann.call("/sync/get", &body).await;
        if answer.status == 422 {
            answer.assert_unprocessable("cursor_expired");
            return None;
        }
        let (result, _) = answer.success();
        assert_eq!(result.get("warning"), None);
        Some(result["sync"].as_array().expect("a list").clone())
    }
}

async fn expired_cursor_is_rejected_and_init_gives_a_valid_one(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let old = scene.init().await;
    scene.change(0).await;
    let now = scene.init().await;
    // The later of the two rows is deleted with the other row or after it.
    eventually("422", EVENTUALLY_TIMEOUT, async || {
        scene.read(now - 1).await.is_none().then_some(())
    })
    .await;
    let project = &scene.project;
    for expired in [
        json!({"cc_cursor": old}),
        json!({"cc_cursor": 0}),
        json!({"cc_cursor": now - 1}),
        json!({"cc_cursor": old, "project": project}),
        json!({"project": project, "cursor": old}),
        json!({"cc_cursor": now, "project": project, "cursor": old}),
        json!({"cc_cursor": old, "project": project, "cursor": now}),
    ] {
        scene
            .ann
            .call("/sync/get", &expired)
            .await
            .assert_unprocessable("cursor_expired");
    }
    let strange = json!({"cc_cursor": old, "project": crate::api_keys::calls::UNKNOWN_GID});
    scene
        .ann
        .call("/sync/get", &strange)
        .await
        .assert_forbidden();
    let global = json!({"sync": [], "cc.cursor": now});
    for good in [
        json!({}),
        json!({"cc_cursor": now}),
        json!({"cc_cursor": now, "cursor": old}),
    ] {
        assert_json_eq(
            &scene.ann.call("/sync/get", &good).await.success().0,
            &global,
        );
    }
    assert_eq!(scene.read(now).await, Some(Vec::new()));
    assert_eq!(
        scene
            .ann
            .call("/sync/cursors", &json!({}))
            .await
            .success()
            .0,
        json!({"cc.cursor": now})
    );

    // Services that watch receive the same error.
    for cursor in [0, old] {
        let watched = scene
            .peers
            .directory
            .watch_changes(with_service_token(WatchChangesRequest {
                cursor: Some(cursor),
            }))
            .await;
        let failed = match watched {
            Ok(stream) => stream
                .into_inner()
                .next()
                .await
                .expect("a message")
                .expect_err("an expired cursor"),
            Err(failed) => failed,
        };
        let expired = RpcError::new(ErrorCode::Unprocessable).with_info("reason", "cursor_expired");
        assert_eq!(RpcError::from(failed), expired);
    }
    let rows = eventually("in time", EVENTUALLY_TIMEOUT, async || {
        let now = scene.init().await;
        scene.change_and_read(1, now).await
    })
    .await;
    assert_eq!(rows.len(), 2, "{rows:?}");
}

/// Every cursor belongs to a row that is delivered to ann, so a gap would be noticed.
async fn reader_never_misses_rows_silently(backend: Backend) {
    const ROUNDS: usize = 3;
    let mut scene = Fixture::new(backend).await;
    let mut old = scene.init().await;
    let mut current = old;
    let mut expired = 0;
    let mut number = 0;
    while expired < ROUNDS {
        number += 1;
        // A reader that keeps up is never rejected.
        let Some(rows) = scene.change_and_read(number, current).await else {
            current = scene.init().await;
            continue;
        };
        assert_eq!(cursors(&rows), [current + 1, current + 2]);
        current += 2;
        match scene.read(old).await {
            Some(rows) => assert_eq!(cursors(&rows), (old + 1..=current).collect::<Vec<_>>()),
            None => (old, expired) = (scene.init().await, expired + 1),
        }
    }
    assert!(number > ROUNDS, "nothing was read in between");
}
