//! Tests sockets when the services are separate processes: restarts of the directory, and several
//! gateways.

use std::time::Duration;

use doorward_tests::{
    Backend, Role, Services, User, WebSocket, on_both_databases, websocket::cursors,
};
use serde_json::{Value, json};
use tokio::time::timeout;

on_both_databases![
    sockets_survive_a_directory_restart_and_catch_up,
    command_line_changes_reach_every_gateway_within_a_second,
];

const SECOND: Duration = Duration::from_secs(1);
const STREAM_LOST: &str = "lost the stream of feed events";

async fn follow(address: &str, user: &User) -> WebSocket {
    let mut socket = WebSocket::connect(address, &user.token).await;
    let from = user.init().await.success().0["cc.cursor"].clone();
    assert_eq!(
        socket.ask(&json!(["init", {"cc_cursor": from}])).await["result"]["sync"],
        json!([])
    );
    socket
}

async fn missed_rows(user: &User, from: i64) -> Vec<Value> {
    let rows = user
        .call("/sync/get", &json!({"cc_cursor": from}))
        .await
        .success()
        .0["sync"]
        .clone();
    rows.as_array().expect("a list").clone()
}

async fn sockets_survive_a_directory_restart_and_catch_up(backend: Backend) {
    let mut split = Services::start(backend).await;
    let ann = split.user("ann").await;
    let ben = split.user("ben").await;
    let herbarium = split.installation.create_project("ann", "Herbarium").await;
    let mut sockets = [
        follow(split.http.address(), &ann).await,
        follow(split.http.address(), &ben).await,
    ];
    let mut from = ann.init().await.success().0["cc.cursor"]
        .as_i64()
        .expect("a cursor");
    let lost_streams = |split: &Services| {
        split
            .process(Role::Gateway)
            .stderr()
            .matches(STREAM_LOST)
            .count()
    };
    // The gateway also logs the lost stream if it started before the directory.
    let at_start = lost_streams(&split);
    for round in 0..3 {
        split.kill(Role::Directory);
        let mut third = WebSocket::connect(split.http.address(), &ann.token).await;
        assert_eq!(
            third.ask(&json!(["init", {"cc_cursor": from}])).await["result"]["code"],
            503
        );
        let project = split
            .installation
            .create_project("ann", &format!("Garden {round}"))
            .await;
        split.installation.add_member(&project, "ben").await;
        if round == 0 {
            split.installation.add_member(&herbarium, "ben").await;
        }
        split.start_service(Role::Directory);
        split.ready(Role::Directory).await;
        split.ready(Role::Gateway).await;
        // The last change: when it is delivered, all others were delivered before.
        ben.call(
            "/api/account/update",
            &json!({"name": format!("Ben {round}")}),
        )
        .await
        .success();
        for (socket, user) in sockets.iter_mut().zip([&ann, &ben]) {
            let expected = missed_rows(user, from).await;
            assert_eq!(
                cursors(&socket.rows(expected.len()).await),
                cursors(&expected),
                "{}",
                user.username
            );
        }
        from = ann.init().await.success().0["cc.cursor"]
            .as_i64()
            .expect("a cursor");
    }
    // Each loss is logged once, independent of the number of reconnection attempts.
    assert_eq!(lost_streams(&split) - at_start, 3);
}

async fn command_line_changes_reach_every_gateway_within_a_second(backend: Backend) {
    let split = Services::start(backend).await;
    let ann = split.user("ann").await;
    let other = split.start_replica(Role::Gateway, &[]).await;
    let mut sockets = [
        follow(split.http.address(), &ann).await,
        follow(&other.address, &ann).await,
    ];
    for round in 0..5 {
        let project = split
            .installation
            .create_project("ann", &format!("Garden {round}"))
            .await;
        let delivered = timeout(SECOND, async {
            let [one, two] = &mut sockets;
            tokio::join!(one.rows(2), two.rows(2))
        });
        let (one, two) = delivered
            .await
            .unwrap_or_else(|_| panic!("no rows within a second in round {round}"));
        assert_eq!(one, two);
        let delivered: Vec<_> = one
            .iter()
            .map(|row| [&row["action"], &row["data_type"], &row["data_key"]])
            .collect();
        assert!(
            delivered.contains(&[&json!("INSERT"), &json!("cc.projects"), &json!(project)]),
            "{delivered:?}"
        );
    }
}
