//! Tests several processes over one database: a change by one of them is delivered by the others
//! immediately.

use std::time::Duration;

use doorward_rpc::directory::v1::{
    FeedEvent, WatchEventsRequest, WatchEventsResponse, directory_client::DirectoryClient,
};
use doorward_tests::{Backend, Http, Role, Services, User, on_both_databases};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tonic::Streaming;

use crate::grpc::contract::{channel, with_service_token};

on_both_databases![events_of_the_command_line_arrive_within_a_second];

/// Returns the new rows of a user through one gateway, and advances the cursor.
async fn rows(http: &Http, user: &User, cursor: &mut i64) -> Vec<Value> {
    let body = json!({"cc_cursor": *cursor});
    let (result, _) = http
        .post("/sync/get")
        .bearer(&user.token)
        .json(&body)
        .send()
        .await
        .success();
    let rows = result["sync"].as_array().expect("rows").clone();
    if let Some(last) = rows.last() {
        *cursor = last["cursor"].as_i64().expect("a cursor");
    }
    rows.iter()
        .map(|row| json!([row["action"], row["data_type"], row["data_key"]]))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_changes_are_visible_on_other_replicas_immediately() {
    let split = Services::start(Backend::Postgres).await;
    let (_directory, gateway) = split.start_second_directory_and_gateway().await;
    let ann = split.user("ann").await;
    let ben = split.user("ben").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    split.installation.add_member(&project, "ben").await;
    let gateways = [split.http.clone(), gateway.http()];
    let (now, _) = ben.init().await.success();
    let mut cursor = now["cc.cursor"].as_i64().expect("a cursor");
    for round in 0..20 {
        let here = &gateways[round % 2];
        let there = &gateways[(round + 1) % 2];
        let body = json!({"project": project, "name": format!("Herbarium {round}")});
        here.post("/api/projects/update")
            .bearer(&ann.token)
            .json(&body)
            .send()
            .await
            .success();
        assert_eq!(
            rows(there, &ben, &mut cursor).await,
            [json!(["UPDATE", "cc.projects", project])],
            "{round}"
        );
        let (_, data) = there.init(&ben.token).await.success();
        assert_eq!(data["cc.projects"][&project]["name"], body["name"]);
        assert_eq!(
            rows(here, &ben, &mut cursor).await,
            [] as [Value; 0],
            "{round}"
        );
    }
    split
        .installation
        .cli(
            &["member", "remove", "--project", &project, "--user", "ben"],
            "",
        )
        .await
        .assert_success();
    for gateway in &gateways {
        let received = rows(gateway, &ben, &mut cursor.clone()).await;
        assert!(
            received.contains(&json!(["DELETE", "cc.projects", project])),
            "{received:?}"
        );
    }
}

/// Watches events from the current head of the feed.
async fn watch_changes(address: &str) -> Streaming<WatchEventsResponse> {
    let mut events = watch_from(address, None).await;
    let first = events.next().await.expect("a message").expect("a message");
    assert_eq!(first.events, []);
    events
}

async fn watch_from(address: &str, cursor: Option<i64>) -> Streaming<WatchEventsResponse> {
    let mut directory = DirectoryClient::new(channel(address).await);
    directory
        .watch_events(with_service_token(WatchEventsRequest { cursor }))
        .await
        .expect("a stream")
        .into_inner()
}

/// Returns all events until a cursor.
async fn events_until(
    events: &mut Streaming<WatchEventsResponse>,
    position: i64,
) -> Vec<FeedEvent> {
    let mut all = Vec::new();
    let read = async {
        loop {
            let page = events.next().await.expect("a message").expect("a message");
            all.extend(page.events);
            if page.cursor >= position {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .expect("the events in time");
    all
}

/// Waits for an event about an entry, which must arrive within a second.
async fn assert_event(
    events: &mut Streaming<WatchEventsResponse>,
    data_type: &str,
    data_key: &str,
) {
    let received = async {
        loop {
            let page = events
                .next()
                .await
                .expect("a message")
                .expect("a message")
                .events;
            assert!(page.is_sorted_by_key(|event| event.cursor), "{page:?}");
            if page
                .iter()
                .any(|event| (&*event.data_type, &*event.data_key) == (data_type, data_key))
            {
                return;
            }
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(1), received).await;
    assert!(in_time.is_ok(), "no event of {data_type} {data_key}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_another_replica_arrive_within_a_second() {
    let split = Services::start(Backend::Postgres).await;
    let (directory, gateway) = split.start_second_directory_and_gateway().await;
    let ann = split.user("ann").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    let mut streams = [
        watch_changes(&split.directory).await,
        watch_changes(&directory.address).await,
    ];
    for (round, gateway) in [&split.http, &gateway.http(), &split.http, &gateway.http()]
        .into_iter()
        .enumerate()
    {
        let body = json!({"project": project, "name": format!("Herbarium {round}")});
        gateway
            .post("/api/projects/update")
            .bearer(&ann.token)
            .json(&body)
            .send()
            .await
            .success();
        for stream in &mut streams {
            assert_event(stream, "cc.projects", &project).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_resumes_on_another_replica() {
    let split = Services::start(Backend::Postgres).await;
    let mut directory = split.start_replica(Role::Directory, &[]).await;
    let ann = split.user("ann").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    let change = async |name: &str| {
        for number in 0..10 {
            let body = json!({"project": project, "name": format!("{name} {number}")});
            ann.call("/api/projects/update", &body).await.success();
        }
        ann.init().await.success().0["cc.cursor"]
            .as_i64()
            .expect("a cursor")
    };
    let beginning = change("Before").await;
    let mut whole = watch_from(&split.directory, Some(beginning)).await;
    let mut cut_off = watch_from(&directory.address, Some(beginning)).await;

    let middle = change("Herbarium").await;
    let mut all = events_until(&mut whole, middle).await;
    let mut resumed = events_until(&mut cut_off, middle).await;
    directory.kill();
    let end = change("Flora").await;
    all.extend(events_until(&mut whole, end).await);
    resumed.extend(events_until(&mut watch_from(&split.directory, Some(middle)).await, end).await);
    assert_eq!(resumed, all);
    assert!(
        all.iter().filter(|event| event.data_key == project).count() >= 20,
        "{all:?}"
    );
    split.restart(&mut directory).await;
    assert_eq!(
        events_until(
            &mut watch_from(&directory.address, Some(beginning)).await,
            end
        )
        .await,
        all
    );
}

async fn events_of_the_command_line_arrive_within_a_second(backend: Backend) {
    let split = Services::start(backend).await;
    split.installation.create_user("ann").await;
    let ben = split.installation.create_user("ben").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    let mut events = watch_changes(&split.directory).await;
    for command in ["add", "remove", "add"] {
        let words = ["member", command, "--project", &project, "--user", "ben"];
        split.installation.cli(&words, "").await.assert_success();
        assert_event(
            &mut events,
            "cc.projects_members",
            &format!("{project}/{ben}"),
        )
        .await;
    }
}
