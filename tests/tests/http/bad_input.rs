//! Tests invalid parameters and bodies: every row of the table of 400 errors, and bodies that no
//! client sends on purpose.

use doorward_tests::{App, Backend, PASSWORD, on_both_databases};
use serde_json::{Value, json};

on_both_databases![
    first_missing_parameter_is_named,
    parameter_of_the_wrong_type_is_named,
    body_that_is_no_object_is_rejected_with_a_reason,
    members_that_the_call_does_not_know_are_ignored,
    body_of_another_content_type_is_rejected,
    body_above_one_mebibyte_is_rejected,
];

async fn first_missing_parameter_is_named(backend: Backend) {
    let app = App::start(backend).await;
    let cases = [
        (json!({}), "username"),
        (json!({"password": "x"}), "username"),
        (json!({"password": 1}), "username"),
        (json!({"username": "ann"}), "password"),
        (json!({"Username": "ann", "password": "x"}), "username"),
    ];
    for (body, name) in cases {
        let answer = app.http.post("/api/login").json(&body).send().await;
        answer.assert_error(400, "Bad request", &json!({"Missing parameter": name}));
    }
}

async fn parameter_of_the_wrong_type_is_named(backend: Backend) {
    let app = App::start(backend).await;
    let wrong: [Value; 8] = [
        json!(null),
        json!(1),
        json!(1.5),
        json!(true),
        json!([]),
        json!(["ann"]),
        json!({}),
        json!({"$ne": null}),
    ];
    for value in wrong {
        for (name, body) in [
            ("username", json!({"username": value, "password": PASSWORD})),
            ("username", json!({"username": value, "password": value})),
            ("username", json!({"username": value})),
            ("password", json!({"username": "ann", "password": value})),
        ] {
            let answer = app.http.post("/api/login").json(&body).send().await;
            answer.assert_error(400, "Bad request", &json!({"Invalid parameter": name}));
        }
    }
}

async fn body_that_is_no_object_is_rejected_with_a_reason(backend: Backend) {
    let app = App::start(backend).await;
    app.user("ann").await;
    let nested = "{\"username\":".repeat(50_000);
    let closed = format!("{nested}1{}", "}".repeat(50_000));
    let in_a_member = format!(
        "{{\"username\":\"ann\",\"password\":\"{PASSWORD}\",\"x\":{}{}}}",
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    let bodies: [&[u8]; 21] = [
        b"",
        b" ",
        b"[]",
        b"[\"ann\",\"password\"]",
        b"[{\"username\":\"ann\",\"password\":\"x\"}]",
        b"\"x\"",
        b"1",
        b"-1e400",
        b"null",
        b"true",
        b"{",
        b"{\"username\":\"ann\",\"password\":\"x\"",
        b"{\"username\":\"ann\",\"password\":\"x\"}}",
        b"{\"username\":\"ann\",\"password\":\"x\"} {}",
        b"{username:\"ann\"}",
        b"{\"username\":\"\xff\xfe\",\"password\":\"x\"}",
        b"{\"username\":\"\\ud800\",\"password\":\"x\"}",
        b"username=ann&password=x",
        nested.as_bytes(),
        closed.as_bytes(),
        in_a_member.as_bytes(),
    ];
    for body in bodies {
        let call = app
            .http
            .post("/api/login")
            .header("content-type", "application/json")
            .body(body.to_vec());
        let answer = call.send().await;
        let start = String::from_utf8_lossy(body)
            .chars()
            .take(60)
            .collect::<String>();
        assert_eq!(answer.status, 400, "{start}: {answer:?}");
        answer.assert_invalid_body();
    }
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
}

async fn members_that_the_call_does_not_know_are_ignored(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let herbarium = app.installation.create_project("ann", "Herbarium").await;
    let ben = app.user("ben").await;
    let body = json!({
        "username": "ann", "password": PASSWORD, "omit_extended_definitions": true, "": null, "user": ben.gid, "gid": ben.gid, "project": herbarium,
        "status": "inactive", "roles": ["owner"], "nested": {"deep": [1, {"username": "ben"}]}
    });
    let (result, _) = app
        .http
        .post("/api/login")
        .json(&body)
        .send()
        .await
        .success();
    assert_eq!(result["user"], json!(ann.gid));
    assert!(result.get("project").is_none());
}

async fn body_of_another_content_type_is_rejected(backend: Backend) {
    let app = App::start(backend).await;
    app.user("ann").await;
    let body = json!({"username": "ann", "password": PASSWORD}).to_string();
    let post = || app.http.post("/api/login").body(body.clone());
    post()
        .send()
        .await
        .assert_error(415, "Unsupported media type", &json!({}));
    for other in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "json",
        "x",
    ] {
        post()
            .header("content-type", other)
            .send()
            .await
            .assert_error(415, "Unsupported media type", &json!({}));
    }
    for json in [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
    ] {
        assert_eq!(
            post().header("content-type", json).send().await.status,
            200,
            "{json}"
        );
    }
}

async fn body_above_one_mebibyte_is_rejected(backend: Backend) {
    let app = App::start(backend).await;
    app.user("ann").await;
    let padded = |bytes: usize| {
        let body = json!({"username": "ann", "password": PASSWORD, "x": ""}).to_string();
        body.replace(
            "\"x\":\"\"",
            &format!("\"x\":\"{}\"", "y".repeat(bytes - body.len())),
        )
    };
    let post = |body: String| {
        app.http
            .post("/api/login")
            .header("content-type", "application/json")
            .body(body)
    };
    assert_eq!(post(padded(1024 * 1024)).send().await.status, 200);
    post(padded(1024 * 1024 + 1))
        .send()
        .await
        .assert_error(413, "Payload too large", &json!({}));
    app.http
        .login("ann", &"x".repeat(1_500_000))
        .await
        .assert_error(413, "Payload too large", &json!({}));
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
}
