//! Several processes over one database: what one of them changes, the others tell at once.

use std::time::Duration;

use doorward_proto::directory::v1::{WatchNoticesRequest, WatchNoticesResponse, directory_client::DirectoryClient};
use doorward_tests::{Backend, Http, Split, User, on_both_databases};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tonic::Streaming;

use super::grpc::{channel, trusted};

on_both_databases![notices_of_what_the_command_line_changes_come_within_a_second];

/// Rows for a user, through one door.
async fn rows(http: &Http, user: &User, cursor: &mut i64) -> Vec<Value> {
    let body = json!({"cc_cursor": *cursor});
    let (result, _) = http.post("/sync/get").bearer(&user.token).json(&body).send().await.success();
    let rows = result["sync"].as_array().expect("rows").clone();
    if let Some(last) = rows.last() {
        *cursor = last["cursor"].as_i64().expect("a cursor");
    }
    rows.iter().map(|row| json!([row["action"], row["data_type"], row["data_key"]])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_has_answered_the_other_tells_at_once() {
    let split = Split::start(Backend::Postgres).await;
    let (_directory, gateway) = split.second_directory_and_gateway().await;
    let (ann, ben) = (split.user("ann").await, split.user("ben").await);
    let project = split.installation.create_project("ann", "Herbarium").await;
    split.installation.add_member(&project, "ben").await;
    let doors = [split.http.clone(), gateway.http()];
    let (now, _) = ben.init().await.success();
    let mut cursor = now["cc.cursor"].as_i64().expect("a cursor");
    for round in 0..20 {
        let (here, there) = (&doors[round % 2], &doors[(round + 1) % 2]);
        let body = json!({"project": project, "name": format!("Herbarium {round}")});
        here.post("/api/projects/update").bearer(&ann.token).json(&body).send().await.success();
        assert_eq!(rows(there, &ben, &mut cursor).await, [json!(["UPDATE", "cc.projects", project])], "{round}");
        let (_, data) = there.init(&ben.token).await.success();
        assert_eq!(data["cc.projects"][&project]["name"], body["name"]);
        assert_eq!(rows(here, &ben, &mut cursor).await, [] as [Value; 0], "{round}");
    }
    split.installation.cli(&["member", "remove", "--project", &project, "--user", "ben"], "").await.succeeded();
    for door in &doors {
        let told = rows(door, &ben, &mut cursor.clone()).await;
        assert!(told.contains(&json!(["DELETE", "cc.projects", project])), "{told:?}");
    }
}

/// From the present on.
async fn watch(address: &str) -> Streaming<WatchNoticesResponse> {
    let mut directory = DirectoryClient::new(channel(address).await);
    let mut notices =
        directory.watch_notices(trusted(WatchNoticesRequest { cursor: None })).await.expect("a stream").into_inner();
    let first = notices.next().await.expect("a message").expect("a message");
    assert_eq!(first.notices, []);
    notices
}

/// Within a second.
async fn hears(notices: &mut Streaming<WatchNoticesResponse>, data_type: &str, data_key: &str) {
    let heard = async {
        loop {
            let page = notices.next().await.expect("a message").expect("a message").notices;
            assert!(page.is_sorted_by_key(|notice| notice.cursor), "{page:?}");
            if page.iter().any(|notice| (&*notice.data_type, &*notice.data_key) == (data_type, data_key)) {
                return;
            }
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(1), heard).await;
    assert!(in_time.is_ok(), "not told of {data_type} {data_key}");
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_of_what_another_replica_changes_come_within_a_second() {
    let split = Split::start(Backend::Postgres).await;
    let (directory, gateway) = split.second_directory_and_gateway().await;
    let ann = split.user("ann").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    let mut streams = [watch(&split.directory).await, watch(&directory.address).await];
    for (round, door) in [&split.http, &gateway.http(), &split.http, &gateway.http()].into_iter().enumerate() {
        let body = json!({"project": project, "name": format!("Herbarium {round}")});
        door.post("/api/projects/update").bearer(&ann.token).json(&body).send().await.success();
        for stream in &mut streams {
            hears(stream, "cc.projects", &project).await;
        }
    }
}

async fn notices_of_what_the_command_line_changes_come_within_a_second(backend: Backend) {
    let split = Split::start(backend).await;
    split.installation.create_user("ann").await;
    let ben = split.installation.create_user("ben").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    let mut notices = watch(&split.directory).await;
    for command in ["add", "remove", "add"] {
        let words = ["member", command, "--project", &project, "--user", "ben"];
        split.installation.cli(&words, "").await.succeeded();
        hears(&mut notices, "cc.projects_members", &format!("{project}/{ben}")).await;
    }
}
