//! Tests the write budget of a user: which calls count, that each user has a separate budget, and
//! that it refills.

use std::{collections::BTreeSet, time::Duration};

use doorward_tests::{App, Backend, User, eventually, on_both_databases};
use serde_json::json;

use crate::api_keys::calls::authorised_paths;

on_both_databases![
    only_write_calls_count,
    budget_is_per_user_and_refills,
    rejected_calls_count_and_change_nothing,
];

const ROUTES: &str = include_str!("../../../crates/gateway/src/app.rs");
/// Calls that change no data, or only end a session.
const UNCOUNTED: [&str; 10] = [
    "/api/init",
    "/api/users/get",
    "/api/members/get",
    "/api/projects/get",
    "/api/account/logout",
    "/sync/get",
    "/sync/cursors",
    "/api/p/{project}/init",
    "/api/p/{project}/members/get",
    "/api/p/{project}/apikeys/get",
];

/// Starts a server with a budget of three calls, refilled by one call per second.
async fn start(backend: Backend) -> App {
    App::with_settings(
        backend,
        &[("DOORWARD_WRITE_RATE", "1"), ("DOORWARD_WRITE_BURST", "3")],
    )
    .await
}

/// Uses up the budget.
async fn drain(user: &User) {
    eventually("a drained budget", Duration::from_secs(20), async || {
        let answer = user
            .call("/api/account/update", &json!({"timezone": "UTC"}))
            .await;
        if answer.status == 200 {
            None
        } else {
            Some(answer.assert_throttled())
        }
    })
    .await;
}

async fn only_write_calls_count(backend: Backend) {
    let app = start(backend).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let paths = authorised_paths();
    let known: BTreeSet<&str> = UNCOUNTED.into_iter().collect();
    assert!(
        ROUTES.contains(".service(change("),
        "routes that change data are declared with `change`"
    );
    for path in paths.iter().filter(|path| *path != "/api/account/logout") {
        let call = async || {
            drain(&ann).await;
            ann.call(&path.replace("{project}", &project), &json!({}))
                .await
        };
        if known.contains(path.as_str()) {
            assert_ne!(call().await.status, 429, "{path}");
            continue;
        }
        // On a slow machine the budget can have grown by one call in the meantime.
        let seconds = eventually(path, Duration::from_secs(20), async || {
            let answer = call().await;
            (answer.status == 429).then(|| answer.assert_throttled())
        })
        .await;
        assert_eq!(seconds, 1, "{path}");
    }
    // A user with an empty budget can still log out.
    drain(&ann).await;
    ann.call("/api/account/logout", &json!({})).await.success();
    ann.assert_denied_eventually().await;
    // Without a valid token nothing is counted.
    for _ in 0..10 {
        ann.call("/api/account/update", &json!({"timezone": "UTC"}))
            .await
            .assert_unauthenticated();
    }
}

async fn budget_is_per_user_and_refills(backend: Backend) {
    let app = start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let robot = ann.create_api_user(&project, "Robot").await;
    let program = robot.auth().await.token();
    let create = format!("/api/p/{project}/channels/create");
    let by_program = async || {
        app.http
            .post(&create)
            .bearer(&program)
            .json(&json!({"name": "One"}))
            .send()
            .await
    };
    by_program().await.success();
    drain(&ann).await;
    // Another session of the same user has the same budget.
    let again = app
        .http
        .login("ann", doorward_tests::PASSWORD)
        .await
        .token();
    let body = json!({"timezone": "UTC"});
    app.http
        .post("/api/account/update")
        .bearer(&again)
        .json(&body)
        .send()
        .await
        .assert_throttled();
    ben.call("/api/account/update", &body).await.success();
    eventually(
        "a drained budget of a program",
        Duration::from_secs(20),
        async || {
            let answer = by_program().await;
            if answer.status == 200 {
                None
            } else {
                Some(answer.assert_throttled())
            }
        },
    )
    .await;
    ben.call("/api/account/update", &body).await.success();
    for user in [&ann, &ben] {
        eventually(
            "a budget that fills up",
            Duration::from_secs(10),
            async || (user.call("/api/account/update", &body).await.status == 200).then_some(()),
        )
        .await;
    }
}

async fn rejected_calls_count_and_change_nothing(backend: Backend) {
    let app = start(backend).await;
    let ann = app.user("ann").await;
    eventually("a drained budget", Duration::from_secs(20), async || {
        let answer = ann
            .call("/api/projects/update", &json!({"project": "x"}))
            .await;
        if answer.status == 429 {
            return Some(());
        }
        answer.assert_bad_parameter("Invalid parameter", "project");
        None
    })
    .await;
    let mut name = "Ann".to_owned();
    let mut refused = 0;
    for number in 0..20 {
        let wanted = format!("Ann {number}");
        let answer = ann
            .call("/api/account/update", &json!({"name": wanted}))
            .await;
        if answer.status == 200 {
            name = wanted;
        } else {
            answer.assert_throttled();
            refused += 1;
        }
    }
    assert!(refused > 0);
    let (_, data) = ann.init().await.success();
    assert_eq!(data["cc.users"][&ann.gid]["name"], json!(name));
}
