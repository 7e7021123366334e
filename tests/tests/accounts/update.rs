//! Tests that `POST /api/account/update` changes the profile of the caller. Usernames are in
//! `usernames.rs`, passwords in `password_change.rs`.

use doorward_tests::{
    App, Backend, Response, User,
    assertions::{assert_requires_account, assert_requires_object, non_string_values},
    on_both_databases,
    snapshots::{assert_json_eq, with_names},
};
use serde_json::{Value, json};

on_both_databases![
    fields_can_be_changed_separately,
    several_fields_change_at_once,
    invalid_field_changes_nothing,
    empty_update_is_rejected,
    parameter_of_the_wrong_type_is_named,
    names_are_trimmed_and_without_control_characters,
    unusual_characters_in_names_are_kept,
    languages_and_time_zones_are_those_of_the_lists,
    fields_of_the_server_in_a_body_are_ignored,
    others_see_the_change_and_never_the_address,
    call_requires_an_account,
    deactivated_user_cannot_update,
];

const PATH: &str = "/api/account/update";

fn entry(username: &str, name: &str, language: &str, timezone: &str) -> Value {
    json!({
        "gid": "<ann>", "username": username, "email": "ann@example.org", "name": name, "avatar": null, "status": "active",
        "options": {"language": language, "timezone": timezone}
    })
}

/// Asserts the complete response, and that init returns the same user.
async fn assert_updated(ann: &User, answer: &Response, expected: Value) {
    answer.success();
    let expected = json!({"success": true, "result": {"user": "<ann>"}, "data": {"cc.users": {"<ann>": expected}}});
    assert_json_eq(
        &with_names(&answer.json(), &[(&ann.gid, "<ann>")]),
        &expected,
    );
    let (_, data) = ann.init().await.success();
    assert_eq!(data["cc.users"], answer.json()["data"]["cc.users"]);
}

async fn fields_can_be_changed_separately(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let steps = [
        (
            json!({"username": "anna"}),
            entry("anna", "Ann", "en", "Europe/Amsterdam"),
        ),
        (
            json!({"name": "Anna B."}),
            entry("anna", "Anna B.", "en", "Europe/Amsterdam"),
        ),
        (
            json!({"language": "nl-be"}),
            entry("anna", "Anna B.", "nl-be", "Europe/Amsterdam"),
        ),
        (
            json!({"timezone": "UTC"}),
            entry("anna", "Anna B.", "nl-be", "UTC"),
        ),
        // Setting the present value is a success, too.
        (
            json!({"timezone": "UTC"}),
            entry("anna", "Anna B.", "nl-be", "UTC"),
        ),
    ];
    let mut token = ann.token.clone();
    for (body, expected) in steps {
        let answer = app.http.post(PATH).bearer(&token).json(&body).send().await;
        assert_updated(&ann, &answer, expected).await;
        assert_ne!(answer.token(), token, "the response must have a new token");
        token = answer.token();
        assert_eq!(app.http.init(&token).await.status, 200);
    }
    assert_eq!(
        app.http
            .login("anna", doorward_tests::PASSWORD)
            .await
            .success()
            .0["user"],
        json!(ann.gid)
    );
    app.http
        .login("ann", doorward_tests::PASSWORD)
        .await
        .assert_unknown_user();
    // Another user can take the old username.
    app.user("ann").await;
}

async fn several_fields_change_at_once(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let password = "another battery staple 7";
    let body = json!({"username": "anna", "password": password, "name": "Anna", "language": "de", "timezone": "Asia/Tokyo"});
    let answer = ann.call(PATH, &body).await;
    let ann = User {
        token: answer.token(),
        ..ann
    };
    assert_updated(&ann, &answer, entry("anna", "Anna", "de", "Asia/Tokyo")).await;
    assert_eq!(app.http.login("anna", password).await.status, 200);
}

async fn invalid_field_changes_nothing(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let _ben = app.user("ben").await;
    let before = ann.init().await.success().1["cc.users"].clone();
    let valid = json!({
        "username": "anna", "password": "another battery staple 7", "name": "Anna", "language": "de", "timezone": "UTC"
    });
    let bad = [
        ("username", "ben", "unavailable"),
        ("username", "no name", "invalid"),
        ("password", &"x".repeat(257), "too_long"),
        ("password", "", "invalid"),
        ("name", "a\nb", "invalid"),
        ("name", &"x".repeat(201), "too_long"),
        ("language", "tlh", "invalid"),
        ("timezone", "Mars/Olympus", "invalid"),
        ("current_password", "wrong", "incorrect"),
    ];
    for (name, value, reason) in bad {
        let mut body = valid.clone();
        body[name] = json!(value);
        let answer = ann.call(PATH, &body).await;
        answer.assert_validation_error(name, reason);
        body["current_password"] = json!(null);
        ann.call(PATH, &body)
            .await
            .assert_bad_parameter("Invalid parameter", "current_password");
    }
    let mut weak = valid.clone();
    weak["password"] = json!("password");
    ann.call(PATH, &weak).await.assert_weak("password");
    assert_eq!(ann.init().await.success().1["cc.users"], before);
    assert_eq!(
        app.http.login("ann", doorward_tests::PASSWORD).await.status,
        200
    );
    // If several fields are invalid, the first in the order of the parameters is reported.
    let all = json!({"timezone": "x", "language": "x", "name": "", "password": "password", "username": "ben"});
    let mut all = all.as_object().expect("an object").clone();
    ann.call(PATH, &json!(all))
        .await
        .assert_validation_error("username", "unavailable");
    all.remove("username");
    ann.call(PATH, &json!(all)).await.assert_weak("password");
    all.remove("password");
    for field in ["name", "language", "timezone"] {
        ann.call(PATH, &json!(all))
            .await
            .assert_validation_error(field, "invalid");
        all.remove(field);
    }
}

async fn empty_update_is_rejected(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    for body in [
        json!({}),
        json!({"email": "x@example.org"}),
        json!({"current_password": "x"}),
        json!({"Name": "x"}),
    ] {
        ann.call(PATH, &body)
            .await
            .assert_bad_parameter("Missing parameter", "username");
    }
    assert_requires_object(|| app.http.post(PATH).bearer(&ann.token)).await;
}

async fn parameter_of_the_wrong_type_is_named(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let names = ["username", "password", "name", "language", "timezone"];
    for (position, name) in names.into_iter().enumerate() {
        for wrong in non_string_values() {
            let mut body = json!({name: wrong});
            ann.call(PATH, &body)
                .await
                .assert_bad_parameter("Invalid parameter", name);
            // A wrong type is reported before wrong types of later parameters and before invalid
            // values of any parameter.
            body["username"] = if position == 0 {
                wrong.clone()
            } else {
                json!("no name")
            };
            names[position + 1..]
                .iter()
                .for_each(|later| body[later] = json!(null));
            ann.call(PATH, &body)
                .await
                .assert_bad_parameter("Invalid parameter", name);
        }
    }
}

async fn names_are_trimmed_and_without_control_characters(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let long = "é".repeat(200);
    for (typed, stored) in [
        ("  Anna\u{a0} ", "Anna"),
        ("\tAnna\n", "Anna"),
        (long.as_str(), long.as_str()),
    ] {
        let answer = ann.call(PATH, &json!({"name": typed})).await;
        assert_updated(
            &ann,
            &answer,
            entry("ann", stored, "en", "Europe/Amsterdam"),
        )
        .await;
    }
    for bad in [
        "",
        " ",
        "\u{3000}",
        "a\nb",
        "a\r\nBcc: x",
        "a\u{0}b",
        "\u{0}",
        "a\u{1b}[31m",
        "a\u{7f}b",
        "a\u{85}b",
    ] {
        ann.call(PATH, &json!({"name": bad}))
            .await
            .assert_validation_error("name", "invalid");
    }
    for long in ["x".repeat(201), "é".repeat(201), "x".repeat(500_000)] {
        ann.call(PATH, &json!({"name": long}))
            .await
            .assert_validation_error("name", "too_long");
    }
}

async fn unusual_characters_in_names_are_kept(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let odd = [
        "<script>alert(1)</script>",
        "'; DROP TABLE users; --",
        "\u{202e}nna",
        "a\u{200b}b",
        "אבג",
        "🦀",
        "{{7*7}}",
        "null",
    ];
    for name in odd {
        let answer = ann.call(PATH, &json!({"name": name})).await;
        assert_updated(&ann, &answer, entry("ann", name, "en", "Europe/Amsterdam")).await;
    }
}

async fn languages_and_time_zones_are_those_of_the_lists(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    for language in ["", "EN", "en ", "english", "nl_BE", "xx-xx", "../en"] {
        ann.call(PATH, &json!({"language": language}))
            .await
            .assert_validation_error("language", "invalid");
    }
    for timezone in [
        "",
        "europe/amsterdam",
        "Europe/Amsterdam ",
        "CET+1",
        "+01:00",
        "../etc/passwd",
        "Mars/Olympus",
    ] {
        ann.call(PATH, &json!({"timezone": timezone}))
            .await
            .assert_validation_error("timezone", "invalid");
    }
    for (language, timezone) in [
        ("da", "America/Argentina/Buenos_Aires"),
        ("nl-be", "Etc/GMT+5"),
    ] {
        let answer = ann
            .call(PATH, &json!({"language": language, "timezone": timezone}))
            .await;
        assert_updated(&ann, &answer, entry("ann", "Ann", language, timezone)).await;
    }
}

async fn fields_of_the_server_in_a_body_are_ignored(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ben", "Atlas").await;
    let body = json!({
        "name": "Anna", "gid": ben.gid, "user": ben.gid, "user_gid": ben.gid, "status": "inactive", "roles": ["owner"],
        "email": "ben@example.org", "avatar": "x.png", "owner": ben.gid, "project": project, "validate_only": true,
        "options": {"language": "nl"}, "cc.users": {ben.gid.as_str(): {"name": "Hacked"}}, "new_password": "x", "kind": "api"
    });
    let answer = ann.call(PATH, &body).await;
    assert_updated(
        &ann,
        &answer,
        entry("ann", "Anna", "en", "Europe/Amsterdam"),
    )
    .await;
    let (result, data) = ben.init().await.success();
    assert_eq!(data["cc.users"][&ben.gid]["name"], json!("Ben"));
    assert_eq!(
        result["user_projects"],
        json!({project.as_str(): ["owner"]})
    );
}

async fn others_see_the_change_and_never_the_address(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ben", "Atlas").await;
    app.installation.add_member(&project, "ann").await;
    ann.call(
        PATH,
        &json!({"username": "anna", "name": "Anna", "language": "nl"}),
    )
    .await
    .success();
    let (_, data) = ben.init().await.success();
    let expected = json!({"gid": ann.gid, "username": "anna", "name": "Anna", "avatar": null, "status": "active"});
    assert_eq!(data["cc.users"][&ann.gid], expected);
}

async fn call_requires_an_account(backend: Backend) {
    let app = App::start(backend).await;
    assert_requires_account(&app, PATH, &json!({"name": "Root"})).await;
}

async fn deactivated_user_cannot_update(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    app.installation.change_user("deactivate", "ann").await;
    for body in [
        json!({"name": "Anna"}),
        json!({"password": "another battery staple 7"}),
    ] {
        ann.call(PATH, &body).await.assert_unauthenticated();
    }
    app.installation.change_user("activate", "ann").await;
    let (_, data) = app
        .http
        .login("ann", doorward_tests::PASSWORD)
        .await
        .success();
    assert_eq!(data["cc.users"][&ann.gid]["name"], json!("Ann"));
}
