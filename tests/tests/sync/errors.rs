//! Tests the callers and parameters that `/sync/get` and `/sync/cursors` reject.

use doorward_tests::{
    Backend, User,
    assertions::{assert_method, assert_requires_object},
    on_both_databases,
    sql::execute,
};
use serde_json::{Value, json};

use crate::api_keys::calls::UNKNOWN_GID;
use crate::sync::calls::{CURSORS, Fixture, GET};

on_both_databases![
    first_bad_parameter_is_reported,
    cursor_must_be_a_64_bit_integer,
    project_feed_requires_active_membership,
    sync_requires_a_token,
];

async fn first_bad_parameter_is_reported(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let bad = async |path: &str, body: Value, name: &str| {
        scene
            .ann
            .call(path, &body)
            .await
            .assert_bad_parameter("Invalid parameter", name);
    };
    bad(
        GET,
        json!({"cursor": -1, "project": 1, "cc_cursor": "0"}),
        "cc_cursor",
    )
    .await;
    bad(
        GET,
        json!({"cursor": -1, "project": 1, "cc_cursor": 0}),
        "project",
    )
    .await;
    bad(GET, json!({"cursor": -1, "project": 1}), "project").await;
    bad(
        GET,
        json!({"cursor": -1, "project": UNKNOWN_GID, "cc_cursor": 0}),
        "cursor",
    )
    .await;
    let no_gids = [
        json!(null),
        json!(1),
        json!("x"),
        json!(""),
        json!([scene.project]),
        json!({}),
        json!(true),
    ];
    for value in &no_gids {
        for path in [GET, CURSORS] {
            bad(
                path,
                json!({"project": value, "cc_cursor": 0, "cursor": 0}),
                "project",
            )
            .await;
        }
    }
    for path in [GET, CURSORS] {
        assert_requires_object(|| scene.app.http.post(path).bearer(&scene.ann.token)).await;
    }
}

async fn cursor_must_be_a_64_bit_integer(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let call = |body: String| {
        let call = scene
            .app
            .http
            .post(GET)
            .bearer(&scene.ann.token)
            .header("content-type", "application/json");
        call.body(body).send()
    };
    for (name, rest) in [
        ("cc_cursor", String::new()),
        ("cursor", format!(r#", "project": "{}""#, scene.project)),
    ] {
        for wrong in [
            "null",
            "-1",
            "-9223372036854775808",
            "9223372036854775808",
            "18446744073709551615",
            "1e400",
            "0.0",
            "1.5",
            "1e3",
            "\"0\"",
            "\"\"",
            "true",
            "false",
            "[]",
            "[0]",
            "{}",
            "{\"cursor\": 0}",
        ] {
            let answer = call(format!(r#"{{"{name}": {wrong}{rest}}}"#)).await;
            // This number is out of the range of the JSON parser, so the body itself is invalid.
            if wrong == "1e400" {
                answer.assert_invalid_body();
            } else {
                answer.assert_bad_parameter("Invalid parameter", name);
            }
        }
        for good in ["0", "1", "9223372036854775807"] {
            call(format!(r#"{{"{name}": {good}{rest}}}"#))
                .await
                .success();
        }
    }
}

async fn project_feed_requires_active_membership(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let inside = async |user: &User| {
        for body in [
            json!({"project": scene.project}),
            json!({"project": scene.project, "cursor": 0, "cc_cursor": 0}),
        ] {
            for path in [GET, CURSORS] {
                let answer = user.call(path, &body).await;
                if answer.status != 200 {
                    answer.assert_forbidden();
                    // Calls without the project still work.
                    user.call(path, &json!({"cc_cursor": i64::MAX}))
                        .await
                        .success();
                    return false;
                }
                answer.success();
            }
        }
        true
    };
    assert!(inside(&scene.ann).await && inside(&scene.ben).await && !inside(&scene.dan).await);
    for path in [GET, CURSORS] {
        scene
            .ann
            .call(path, &json!({"project": UNKNOWN_GID}))
            .await
            .assert_forbidden();
        scene
            .ann
            .call(path, &json!({"project": scene.ann.gid}))
            .await
            .assert_forbidden();
    }
    let directory = &scene.app.installation.databases.directory;
    for (status, is_inside) in [
        ("invited", false),
        ("declined", false),
        ("inactive", false),
        ("active", true),
    ] {
        let sql = format!(
            "UPDATE memberships SET status = '{status}' WHERE user_gid = '{}'",
            scene.ben.gid
        );
        execute(directory, &sql);
        assert_eq!(inside(&scene.ben).await, is_inside, "{status}");
    }
    for (call, is_inside) in [("delete", false), ("undelete", true)] {
        scene
            .ann
            .call(
                &format!("/api/projects/{call}"),
                &json!({"project": scene.project}),
            )
            .await
            .success();
        assert_eq!(
            (inside(&scene.ann).await, inside(&scene.ben).await),
            (is_inside, is_inside),
            "{call}"
        );
    }
    let remove = format!("/api/p/{}/members/remove", scene.project);
    scene
        .ann
        .call(&remove, &json!({"user": scene.ben.gid}))
        .await
        .success();
    assert!(!inside(&scene.ben).await);
}

async fn sync_requires_a_token(backend: Backend) {
    let scene = Fixture::new(backend).await;
    for path in [GET, CURSORS] {
        for body in [
            json!({}),
            json!({"cc_cursor": "x"}),
            json!({"project": scene.project, "cc_cursor": 0}),
        ] {
            scene
                .app
                .http
                .post_anonymous(path, &body)
                .await
                .assert_unauthenticated();
            scene
                .app
                .http
                .post(path)
                .bearer("garbage")
                .json(&body)
                .send()
                .await
                .assert_unauthenticated();
        }
        assert_method(&scene.app.http, path).await;
    }
    scene
        .app
        .installation
        .change_user("deactivate", "ben")
        .await;
    scene.ben.assert_denied_eventually().await;
    scene
        .ben
        .call(GET, &json!({"cc_cursor": 0}))
        .await
        .assert_unauthenticated();
}
