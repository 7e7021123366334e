//! Tests that `doorward keys rotate` leaves all tokens valid, and that only `doorward keys retire`
//! revokes the tokens of a key.

use std::time::Duration;

use doorward_tests::{
    App, Backend, Installation, PASSWORD, eventually, on_both_databases,
    sql::{execute, texts},
};
use serde_json::{Value, json};

use crate::tokens::verify::{header_of, published_keys};

on_both_databases![
    key_rotation_keeps_tokens_valid,
    tokens_of_a_retired_key_are_rejected_within_a_second,
    no_command_shows_a_private_key,
    inactive_key_has_no_private_part,
    keys_survive_a_restart,
    without_a_server_there_are_no_keys_yet,
];

async fn key_rotation_keeps_tokens_valid(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let old = header_of(&ann.token)["kid"].clone();
    app.installation
        .cli(&["keys", "rotate"], "")
        .await
        .assert_success();

    // Every token that is issued meanwhile must be valid immediately.
    eventually(
        "a token of another key",
        Duration::from_secs(10),
        async || {
            let token = app.http.login("ann", PASSWORD).await.token();
            assert_eq!(app.http.init(&token).await.status, 200);
            assert_eq!(ann.init().await.status, 200);
            (header_of(&token)["kid"] != old).then_some(())
        },
    )
    .await;

    let renewed = ann.init().await;
    assert_ne!(header_of(&renewed.token())["kid"], old);
    let published = published_keys(&app.http).await;
    for kid in [&old, &header_of(&renewed.token())["kid"]] {
        assert!(
            published.iter().any(|key| key["kid"] == *kid),
            "{kid} is not published"
        );
    }
}

async fn tokens_of_a_retired_key_are_rejected_within_a_second(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let old = header_of(&ann.token)["kid"]
        .as_str()
        .expect("a kid")
        .to_owned();
    app.installation
        .cli(&["keys", "rotate"], "")
        .await
        .assert_success();
    let fresh = eventually(
        "a token of another key",
        Duration::from_secs(1),
        async || {
            Some(app.http.login("ann", PASSWORD).await.token())
                .filter(|token| header_of(token)["kid"] != *old)
        },
    )
    .await;

    // The second call has no effect.
    for _ in 0..2 {
        app.installation
            .cli(&["keys", "retire", &old], "")
            .await
            .assert_success();
    }
    let records = app
        .installation
        .cli(&["audit", "--action", "signing_key_retired"], "")
        .await
        .assert_success()
        .items();
    assert_eq!(records.len(), 1);

    ann.assert_denied_within_a_second().await;
    assert_eq!(app.http.init(&fresh).await.status, 200);
    assert!(
        published_keys(&app.http)
            .await
            .iter()
            .all(|key| key["kid"] != *old)
    );
    let again = app.http.login("ann", PASSWORD).await.token();
    assert_ne!(header_of(&again)["kid"], *old);
    app.installation
        .cli(&["keys", "retire", "no-such-key"], "")
        .await
        .assert_failure(1);
}

async fn no_command_shows_a_private_key(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let listed = app
        .installation
        .cli(&["keys", "list"], "")
        .await
        .assert_success()
        .items();
    assert!(
        listed
            .iter()
            .any(|key| key["kid"] == header_of(&ann.token)["kid"]),
        "{listed:?}"
    );
    let is_secret = |name: &str| ["d", "private", "seed", "sealed", "secret"].contains(&name);
    for key in &listed {
        let secret = key
            .as_object()
            .expect("an object")
            .keys()
            .find(|name| is_secret(name));
        assert_eq!(secret, None);
    }
    let published: Vec<Value> = published_keys(&app.http)
        .await
        .into_iter()
        .map(|key| key["kid"].clone())
        .collect();
    assert!(
        published
            .iter()
            .all(|kid| listed.iter().any(|key| key["kid"] == *kid))
    );
}

async fn inactive_key_has_no_private_part(backend: Backend) {
    let mut app = App::start(backend).await;
    let ann = app.user("ann").await;
    let private = |state: &str| {
        let sql =
            format!("SELECT sealed_private_key AS text FROM signing_keys WHERE state = '{state}'");
        texts(&app.installation.databases.auth, &sql)
    };
    for rotations in 1..=2 {
        app.installation
            .cli(&["keys", "rotate"], "")
            .await
            .assert_success();
        assert_eq!(private("previous"), vec![String::new(); rotations]);
        assert!(!private("active")[0].is_empty() && !private("next")[0].is_empty());
    }
    assert_eq!(
        ann.init().await.status,
        200,
        "the previous key must still verify tokens"
    );

    // Earlier releases kept the private part of previous keys.
    let left = "UPDATE signing_keys SET sealed_private_key = 'sealed' WHERE state = 'previous'";
    execute(&app.installation.databases.auth, left);
    app.restart().await;
    let sql = "SELECT sealed_private_key AS text FROM signing_keys WHERE state = 'previous'";
    assert_eq!(texts(&app.installation.databases.auth, sql), ["", ""]);
    assert_eq!(ann.init().await.status, 200);
    execute(&app.installation.databases.auth, left);
    app.installation
        .cli(&["keys", "rotate"], "")
        .await
        .assert_success();
    assert_eq!(texts(&app.installation.databases.auth, sql), ["", "", ""]);
}

async fn keys_survive_a_restart(backend: Backend) {
    let mut app = App::start(backend).await;
    let ann = app.user("ann").await;
    app.restart().await;
    assert_eq!(ann.init().await.status, 200);
}

async fn without_a_server_there_are_no_keys_yet(backend: Backend) {
    let installation = Installation::new(backend);
    assert_eq!(
        installation
            .cli(&["keys", "list"], "")
            .await
            .assert_success()
            .json(),
        json!([])
    );
}
