//! How every call refuses bodies, parameters and callers that are not as they should be.

use serde_json::{Map, Value, json};

use crate::{App, Http, http::Call};

/// Of a call that takes these strings, all of them required, and reports them in this order.
pub async fn assert_requires_strings(call: impl Fn() -> Call, names: &[&str]) {
    assert_requires_object(&call).await;
    let mut good = Map::new();
    for (position, name) in names.iter().enumerate() {
        call()
            .json(&json!(good))
            .send()
            .await
            .assert_bad_parameter("Missing parameter", name);
        // Whatever is wrong with those after it.
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

/// Of a call that takes a JSON object.
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

/// What is no string, null included.
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

/// Of a call that is for people with a token: whatever the body, nobody else gets further.
pub async fn assert_requires_account(app: &App, path: &str, good: &Value) {
    for body in [good, &json!({})] {
        app.http.open(path, body).await.assert_unauthenticated();
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

/// Of a call that answers to POST alone.
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
