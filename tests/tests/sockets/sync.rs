//! Tests that sockets receive the rows in the answer of `init` and every later change, once and in
//! order.

use doorward_tests::{App, Backend, Library, SocketClient, User, on_both_databases};
use serde_json::{Value, json};

on_both_databases![
    changes_are_delivered_once_in_order,
    leaving_member_receives_the_removal_only
];

async fn connected(app: &App, library: Library, transports: &[&str], user: &User) -> SocketClient {
    let address = app.installation.variable("DOORWARD_LISTEN");
    let mut client =
        SocketClient::connect(library, &address, transports, &json!({"JWT": user.token}));
    assert_eq!(client.next_event().await[0], "connect");
    client
}

/// Receives events until they have at least `count` rows, and returns these rows.
async fn rows(client: &mut SocketClient, count: usize) -> Vec<Value> {
    let mut rows = Vec::new();
    while rows.len() < count {
        let said = client.next_event().await;
        assert_eq!(said[0], "sync", "{said}");
        rows.extend(said[1].as_array().expect("a list").iter().cloned());
    }
    let cursors: Vec<i64> = rows
        .iter()
        .map(|row| row["cursor"].as_i64().expect("a cursor"))
        .collect();
    assert!(
        cursors.is_sorted_by(|one, other| one < other),
        "{cursors:?}"
    );
    rows
}

async fn cursor(user: &User) -> Value {
    user.init().await.success().0["cc.cursor"].clone()
}

async fn changes_are_delivered_once_in_order(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Fauna").await;
    let from = cursor(&ann).await;
    let mut clients = Vec::new();
    for library in Library::IN_ORDER {
        for transports in [&["polling"][..], &["websocket"], &["polling", "websocket"]] {
            let mut client = connected(&app, library, transports, &ann).await;
            let answer = client
                .request(&json!(["init", {"cc_cursor": from, "project": project}]))
                .await;
            assert_eq!(answer["success"], true, "{answer}");
            clients.push(client);
        }
    }
    for number in 0..5 {
        let changed = json!({"project": project, "name": format!("Fauna {number}")});
        ann.call("/api/projects/update", &changed).await.success();
    }
    let expected = ann
        .call("/sync/get", &json!({"cc_cursor": from}))
        .await
        .success()
        .0["sync"]
        .clone();
    let expected = expected.as_array().expect("rows");
    for client in &mut clients {
        assert_eq!(&rows(client, expected.len()).await, expected);
    }
}

async fn leaving_member_receives_the_removal_only(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Fauna").await;
    let from = cursor(&ben).await;
    let mut client = connected(&app, Library::JavaScript, &["websocket"], &ben).await;
    let answer = client.request(&json!(["init", {"cc_cursor": from}])).await;
    assert_eq!(answer["success"], true, "{answer}");
    app.installation.add_member(&project, "ben").await;
    let sync = async |from: &Value| {
        let page = ben
            .call("/sync/get", &json!({"cc_cursor": from}))
            .await
            .success()
            .0["sync"]
            .clone();
        page.as_array().expect("rows").clone()
    };
    let gained = sync(&from).await;
    assert_eq!(rows(&mut client, gained.len()).await, gained);
    let from = cursor(&ben).await;
    ben.call("/api/account/leave_project", &json!({"project": project}))
        .await
        .success();
    ann.call(
        "/api/projects/update",
        &json!({"project": project, "name": "Flora"}),
    )
    .await
    .success();
    ben.call("/api/account/update", &json!({"name": "Benjamin"}))
        .await
        .success();
    let lost = sync(&from).await;
    assert_eq!(rows(&mut client, lost.len()).await, lost);
    assert_eq!(lost.last().expect("a row")["data_key"], ben.gid.as_str());
}
