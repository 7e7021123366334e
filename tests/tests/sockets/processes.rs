//! Sockets where the parts are processes of their own, and one of them is killed.

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
const UNHEARD: &str = "the directory's notices are not heard of";

async fn follow(address: &str, user: &User) -> WebSocket {
    let mut socket = WebSocket::connect(address, &user.token).await;
    let from = user.init().await.success().0["cc.cursor"].clone();
    assert_eq!(
        socket.ask(&json!(["init", {"cc_cursor": from}])).await["result"]["sync"],
        json!([])
    );
    socket
}

async fn news(user: &User, from: i64) -> Vec<Value> {
    let news = user
        .call("/sync/get", &json!({"cc_cursor": from}))
        .await
        .success()
        .0["sync"]
        .clone();
    news.as_array().expect("a list").clone()
}

async fn sockets_survive_a_directory_restart_and_catch_up(backend: Backend) {
    let mut split = Services::start(backend).await;
    let (ann, ben) = (split.user("ann").await, split.user("ben").await);
    let herbarium = split.installation.create_project("ann", "Herbarium").await;
    let mut sockets = [
        follow(split.http.address(), &ann).await,
        follow(split.http.address(), &ben).await,
    ];
    let mut from = ann.init().await.success().0["cc.cursor"]
        .as_i64()
        .expect("a cursor");
    let unheard = |split: &Services| {
        split
            .process(Role::Gateway)
            .stderr()
            .matches(UNHEARD)
            .count()
    };
    // The gateway may have started before the directory.
    let at_start = unheard(&split);
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
        // The last, when all else was told.
        ben.call(
            "/api/account/update",
            &json!({"name": format!("Ben {round}")}),
        )
        .await
        .success();
        for (socket, user) in sockets.iter_mut().zip([&ann, &ben]) {
            let expected = news(user, from).await;
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
    // Each time is told once, however often it was tried.
    assert_eq!(unheard(&split) - at_start, 3);
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
        let told = timeout(SECOND, async {
            let [one, two] = &mut sockets;
            tokio::join!(one.rows(2), two.rows(2))
        });
        let (one, two) = told
            .await
            .unwrap_or_else(|_| panic!("nothing within a second, round {round}"));
        assert_eq!(one, two);
        let told: Vec<_> = one
            .iter()
            .map(|row| [&row["action"], &row["data_type"], &row["data_key"]])
            .collect();
        assert!(
            told.contains(&[&json!("INSERT"), &json!("cc.projects"), &json!(project)]),
            "{told:?}"
        );
    }
}
