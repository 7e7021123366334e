//! Assertions that a call rejects malformed bodies, wrong parameters and callers without access.
//! They hold for every call, so they know nothing about what a call does.

use serde_json::{Map, Value, json};

use crate::{
    app::App,
    http::{Call, Http},
};

/// Asserts that a call requires these string parameters and reports errors in this order.
pub async fn assert_requires_strings(call: impl Fn() -> Call, names: &[&str]) {
    assert_requires_object(&call).await;
    let mut good = Map::new();
    for (position, name) in names.iter().enumerate() {
        call()
            .json(&json!(good))
            .send()
            .await
            .assert_bad_parameter("Missing parameter", name);
        // The first wrong parameter is reported even if the ones after it are wrong, too.
        let mut others = good.clone();
        others.extend(
            names[position + 1..]
                .iter()
                .map(|name| ((*name).to_owned(), json!(null))),
        );
        call()
            .json(&json!(others))
            .send()
            .await
            .assert_bad_parameter("Missing parameter", name);
        for wrong in non_string_values() {
            others.insert((*name).to_owned(), wrong);
            call()
                .json(&json!(others))
                .send()
                .await
                .assert_bad_parameter("Invalid parameter", name);
        }
        good.insert((*name).to_owned(), json!("x"));
    }
}

/// Asserts that a call accepts only a JSON object, with the content type of JSON.
pub async fn assert_requires_object(call: impl Fn() -> Call) {
    for body in [
        "",
        "[]",
        "null",
        "\"x\"",
        "1",
        "{",
        "{}{}",
        "[{}]",
        "username=ann",
    ] {
        call()
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .assert_invalid_body();
    }
    call()
        .body("{}")
        .send()
        .await
        .assert_error(415, "Unsupported media type", &json!({}));
}

/// Returns JSON values that are not strings, including null.
#[must_use]
pub fn non_string_values() -> [Value; 7] {
    [
        json!(null),
        json!(1),
        json!(1.5),
        json!(true),
        json!([]),
        json!(["x"]),
        json!({"x": "y"}),
    ]
}

/// Asserts that a call requires the token of an account: a missing or malformed token is rejected
/// before the body is checked, and an API user is forbidden.
pub async fn assert_requires_account(app: &App, path: &str, good: &Value) {
    for body in [good, &json!({})] {
        app.http
            .post_anonymous(path, body)
            .await
            .assert_unauthenticated();
        app.http
            .post(path)
            .bearer("garbage")
            .json(body)
            .send()
            .await
            .assert_unauthenticated();
    }
    let token = api_user_token(app).await;
    app.http
        .post(path)
        .bearer(&token)
        .json(good)
        .send()
        .await
        .assert_forbidden();
    assert_method(&app.http, path).await;
}

/// Asserts that a path accepts only POST.
pub async fn assert_method(http: &Http, path: &str) {
    let answer = http.get(path).send().await;
    answer.assert_error(405, "Method not allowed", &json!({}));
    assert_eq!(answer.header("allow"), Some("POST"));
}

async fn api_user_token(app: &App) -> String {
    let owner = app.user("keeper").await;
    let project = app.installation.create_project("keeper", "Depot").await;
    owner
        .create_api_user(&project, "Robot")
        .await
        .auth()
        .await
        .token()
}
