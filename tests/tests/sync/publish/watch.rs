//! Tests the delivery of published rows to watching services and gateways, and that the rows
//! survive a kill.

use std::time::Duration;

use doorward_rpc::directory::v1::{
    Action, Change, FeedEvent, FeedKind, SyncRequest, WatchChangesRequest, WatchEventsRequest,
};
use doorward_tests::{
    Backend, eventually, on_both_databases, services::Role, snapshots::assert_json_eq,
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tonic::Response;

use crate::grpc::contract::with_service_token;
use crate::sync::publish::{Fixture, delivered, records, row};

const RECOVERY_TIMEOUT: Duration = Duration::from_secs(10);

on_both_databases![
    watching_services_receive_the_project,
    gateways_receive_the_audience_of_a_row,
    published_rows_survive_a_kill,
];

async fn watching_services_receive_the_project(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let before = scene.position().await;
    let watched = scene
        .peers
        .directory
        .watch_changes(with_service_token(WatchChangesRequest {
            cursor: Some(before),
        }))
        .await;
    let mut stream = watched.expect("a stream").into_inner();
    let rows = vec![
        row(Action::Insert, "records", "r1"),
        row(Action::Delete, "fields", "f"),
    ];
    scene.publish(rows).await;
    scene
        .ben
        .call("/api/account/update", &json!({"name": "Benjamin"}))
        .await
        .success();
    let mut changes: Vec<Change> = Vec::new();
    while changes.len() < 3 {
        let message = stream.next().await.expect("a message").expect("a message");
        changes.extend(message.changes);
        assert!(
            changes
                .last()
                .is_none_or(|last| last.cursor == message.cursor),
            "{changes:?}"
        );
    }
    assert!(
        changes.iter().all(|change| change.changed_at > 0),
        "{changes:?}"
    );
    let change = |number: i64, action: Action, data_type: &str, data_key: &str| Change {
        cursor: before + number,
        action: action.into(),
        data_type: data_type.to_owned(),
        data_key: data_key.to_owned(),
        status: String::new(),
        changed_at: changes.first().expect("a change").changed_at,
        project_gid: Some(scene.project.clone()),
    };
    let published = [
        change(1, Action::Insert, "records", "r1"),
        change(2, Action::Delete, "fields", "f"),
    ];
    assert_eq!(changes[..2], published);
    let user = Change {
        status: "active".to_owned(),
        changed_at: changes[2].changed_at,
        project_gid: None,
        ..change(3, Action::Update, "cc.users", &scene.ben.gid)
    };
    assert_eq!(changes[2..], [user]);
}

async fn gateways_receive_the_audience_of_a_row(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let before = scene.position().await;
    let cursor = scene.publish(records(1)).await;
    let watched = scene
        .peers
        .directory
        .watch_events(with_service_token(WatchEventsRequest {
            cursor: Some(before),
        }))
        .await;
    let message = watched
        .expect("a stream")
        .into_inner()
        .next()
        .await
        .expect("a message")
        .expect("a message");
    assert_eq!(message.cursor, cursor);
    let [event]: [FeedEvent; 1] = message.events.try_into().expect("one event");
    let expected = FeedEvent {
        cursor,
        audience: event.audience.clone(),
        feed: FeedKind::Project.into(),
        requires_sync: false,
        action: Action::Insert.into(),
        data_type: "records".to_owned(),
        data_key: "r0".to_owned(),
    };
    assert_eq!(event, expected);
    for (user, follows, concerns) in [
        (&scene.ann, Some(scene.project.clone()), true),
        (&scene.ben, Some(scene.project.clone()), true),
        (&scene.ben, None, false),
        (&scene.dan, None, false),
    ] {
        let request = SyncRequest {
            user_gid: user.gid.clone(),
            cc_cursor: Some(cursor),
            cursor: follows.as_ref().map(|_| cursor),
            project_gid: follows,
            include_audiences: true,
        };
        let answer = scene
            .peers
            .directory
            .sync(with_service_token(request))
            .await
            .map(Response::into_inner)
            .expect("an answer");
        assert_eq!(
            answer.audiences.contains(&event.audience),
            concerns,
            "{} {answer:?}",
            user.username
        );
    }
}

async fn published_rows_survive_a_kill(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let before = scene.position().await;
    scene.publish(records(3)).await;

    scene.split.kill(Role::Directory);

    scene.split.start_service(Role::Directory);
    scene.split.ready(Role::Directory).await;
    let body = json!({"cc_cursor": before, "project": scene.project, "cursor": before});
    let answer = eventually("an answer", RECOVERY_TIMEOUT, async || {
        Some(scene.ben.call("/sync/get", &body).await).filter(|answer| answer.status == 200)
    })
    .await;
    let rows: Vec<Value> = ["r0", "r1", "r2"]
        .into_iter()
        .zip(before + 1..)
        .map(|(key, cursor)| delivered(cursor, "INSERT", "records", key))
        .collect();
    assert_json_eq(&answer.success().0, &json!({"sync": rows}));
}
