//! `rate_limit_per_second`: how many requests a second a member may make in a project, and of whom that is true.

use std::time::Duration;

use doorward_tests::{
    Answer, Backend, Http, PASSWORD, Role, Services, User, eventually, on_both_databases,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::projects::calls::Fixture;

on_both_databases![
    limit_passes_in_a_burst_and_others_wait,
    sustained_load_passes_at_the_limit,
    change_counts_within_a_second,
    limit_applies_to_one_member_and_project,
    api_user_is_rate_limited,
    owner_can_limit_themselves,
    unauthenticated_requests_are_not_counted,
    each_gateway_counts_for_itself,
];

/// Until a change of a limit is known.
const KNOWN: Duration = Duration::from_secs(1);
/// The span that is counted, and a little.
const WINDOW: Duration = Duration::from_millis(1010);

async fn limit(owner: &User, project: &str, user: &User, limit: Value) {
    let body = json!({"user": user.gid, "options": {"rate_limit_per_second": limit}});
    owner
        .call(&format!("/api/p/{project}/members/update"), &body)
        .await
        .success();
}

async fn one(user: &User, project: &str) -> Answer {
    user.call(
        &format!("/api/p/{project}/members/get"),
        &json!({"member": user.gid}),
    )
    .await
}

/// So many requests at once: how many passed, when the others were refused as they must be.
async fn burst(user: &User, project: &str, count: usize) -> usize {
    let begin = Instant::now();
    let answers = futures_util::future::join_all((0..count).map(|_| one(user, project))).await;
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "too slow to be at once"
    );
    let (passed, refused): (Vec<Answer>, Vec<Answer>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    for answer in refused {
        assert_eq!(answer.assert_throttled(), 1);
    }
    passed.len()
}

/// Waits until nothing that was sent before counts any more, and as many pass as expected.
async fn passes(user: &User, project: &str, count: usize, expected: usize) {
    tokio::time::sleep(WINDOW).await;
    assert_eq!(burst(user, project, count).await, expected);
}

/// Sets a limit, and waits until it is known.
async fn limited(scene: &Fixture, user: &User, at: u32) {
    limit(&scene.ann, &scene.project, user, json!(at)).await;
    eventually("limited", KNOWN, async || {
        is_limited(user, &scene.project, at).await.then_some(())
    })
    .await;
}

/// Of one request more than the limit, all at once, one is refused.
async fn is_limited(user: &User, project: &str, at: u32) -> bool {
    let answers = futures_util::future::join_all((0..=at).map(|_| one(user, project))).await;
    answers.iter().any(|answer| answer.status == 429)
}

async fn limit_passes_in_a_burst_and_others_wait(backend: Backend) {
    let scene = Fixture::new(backend).await;
    assert_eq!(burst(&scene.ben, &scene.project, 30).await, 30);
    for at in [1, 5, 17] {
        limited(&scene, &scene.ben, at).await;
        passes(&scene.ben, &scene.project, 30, at as usize).await;
        assert_eq!(burst(&scene.ben, &scene.project, 5).await, 0);
    }
    // A refused request is not counted: whoever waits as long as they are told gets on.
    let begin = Instant::now();
    eventually("let through", WINDOW + KNOWN, async || {
        (one(&scene.ben, &scene.project).await.status == 200).then_some(())
    })
    .await;
    assert!(
        begin.elapsed() < WINDOW + Duration::from_millis(300),
        "{:?}",
        begin.elapsed()
    );
}

async fn sustained_load_passes_at_the_limit(backend: Backend) {
    let scene = Fixture::new(backend).await;
    const LIMIT: u32 = 20;
    const SECONDS: u32 = 5;
    limited(&scene, &scene.ben, LIMIT).await;
    tokio::time::sleep(WINDOW).await;
    let end = Instant::now() + Duration::from_secs(SECONDS.into()) - Duration::from_millis(50);
    let senders = (0..4).map(|_| async {
        let (mut passed, mut refused) = (0_u32, 0_u32);
        while Instant::now() < end {
            match one(&scene.ben, &scene.project).await.status {
                200 => passed += 1,
                429 => refused += 1,
                other => panic!("{other}"),
            }
        }
        (passed, refused)
    });
    let counts = futures_util::future::join_all(senders).await;
    let passed: u32 = counts.iter().map(|(passed, _)| passed).sum();
    let refused: u32 = counts.iter().map(|(_, refused)| refused).sum();
    let configured = LIMIT * SECONDS;
    assert!(
        passed * 10 >= configured * 9 && passed * 10 <= configured * 11,
        "{passed} passed, {refused} were refused"
    );
    assert!(
        refused > passed,
        "no pressure: {passed} passed, {refused} were refused"
    );
}

async fn change_counts_within_a_second(backend: Backend) {
    let scene = Fixture::new(backend).await;
    assert_eq!(burst(&scene.ben, &scene.project, 10).await, 10);
    limited(&scene, &scene.ben, 1).await;
    limit(&scene.ann, &scene.project, &scene.ben, Value::Null).await;
    eventually("lifted", KNOWN, async || {
        (burst(&scene.ben, &scene.project, 5).await == 5).then_some(())
    })
    .await;
    // A member who comes back is no other.
    limited(&scene, &scene.ben, 2).await;
    for call in ["deactivate", "activate"] {
        let path = format!("/api/p/{}/members/{call}", scene.project);
        scene
            .ann
            .call(&path, &json!({"user": scene.ben.gid}))
            .await
            .success();
    }
    eventually("back", KNOWN, async || {
        (one(&scene.ben, &scene.project).await.status != 403).then_some(())
    })
    .await;
    tokio::time::sleep(KNOWN).await;
    passes(&scene.ben, &scene.project, 10, 2).await;
}

async fn limit_applies_to_one_member_and_project(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let atlas = scene.app.installation.create_project("cas", "Atlas").await;
    for user in ["ann", "ben"] {
        scene.app.installation.add_member(&atlas, user).await;
    }
    limited(&scene, &scene.ben, 2).await;
    passes(&scene.ben, &scene.project, 10, 2).await;
    assert_eq!(burst(&scene.ann, &scene.project, 10).await, 10);
    assert_eq!(burst(&scene.program, &scene.project, 10).await, 10);
    assert_eq!(burst(&scene.ben, &atlas, 10).await, 10);
    // All that is in the project counts, whatever comes of it; nothing else does.
    scene
        .app
        .http
        .project_init(&scene.project, &scene.ben.token)
        .await
        .assert_throttled();
    for (call, body) in [
        ("languages/add", json!({})),
        ("nothing/there", json!({})),
        ("apikeys/get", json!({})),
    ] {
        let path = format!("/api/p/{}/{call}", scene.project);
        scene.ben.call(&path, &body).await.assert_throttled();
    }
    for _ in 0..5 {
        scene.ben.init().await.success();
        scene
            .ben
            .call("/api/projects/get", &json!({"project": scene.project}))
            .await
            .success();
    }
    // Upper case is no other project, nor is another token another member.
    let token = scene.app.http.login("ben", PASSWORD).await.token();
    let again = User {
        token,
        gid: scene.ben.gid.clone(),
        username: String::new(),
        http: scene.app.http.clone(),
    };
    passes(&again, &scene.project.to_uppercase(), 10, 2).await;
    one(&scene.ben, &scene.project).await.assert_throttled();
}

async fn api_user_is_rate_limited(backend: Backend) {
    let scene = Fixture::new(backend).await;
    limited(&scene, &scene.program, 3).await;
    passes(&scene.program, &scene.project, 10, 3).await;
    // Another token of the same key is the same program; another key's is another one.
    let token = scene.robot.auth().await.token();
    let again = User {
        token,
        gid: scene.robot.gid.clone(),
        username: String::new(),
        http: scene.app.http.clone(),
    };
    assert_eq!(burst(&again, &scene.project, 5).await, 0);
    let other = scene.ann.create_api_user(&scene.project, "Other").await;
    let token = other.auth().await.token();
    let other = User {
        token,
        gid: other.gid.clone(),
        username: String::new(),
        http: scene.app.http.clone(),
    };
    assert_eq!(burst(&other, &scene.project, 10).await, 10);
}

async fn owner_can_limit_themselves(backend: Backend) {
    let scene = Fixture::new(backend).await;
    limited(&scene, &scene.ann, 4).await;
    passes(&scene.ann, &scene.project, 10, 4).await;
    // The way out counts too.
    tokio::time::sleep(WINDOW).await;
    limit(&scene.ann, &scene.project, &scene.ann, Value::Null).await;
    eventually("lifted", KNOWN, async || {
        (burst(&scene.ann, &scene.project, 8).await == 8).then_some(())
    })
    .await;
}

async fn unauthenticated_requests_are_not_counted(backend: Backend) {
    let scene = Fixture::new(backend).await;
    limited(&scene, &scene.ben, 2).await;
    let path = format!("/api/p/{}/members/get", scene.project);
    for _ in 0..5 {
        scene
            .app
            .http
            .post(&path)
            .json(&json!({}))
            .send()
            .await
            .assert_unauthenticated();
        scene
            .app
            .http
            .post(&path)
            .bearer("garbage")
            .json(&json!({}))
            .send()
            .await
            .assert_unauthenticated();
        scene
            .cas
            .call(&path, &json!({"member": scene.ben.gid}))
            .await
            .assert_forbidden();
        scene
            .app
            .http
            .project_login(&scene.project, "ben", PASSWORD)
            .await
            .success();
    }
    passes(&scene.ben, &scene.project, 5, 2).await;
    scene
        .ben
        .call("/api/account/logout", &json!({}))
        .await
        .success();
    scene.ben.assert_denied_eventually().await;
    for _ in 0..5 {
        one(&scene.ben, &scene.project)
            .await
            .assert_unauthenticated();
    }
}

async fn each_gateway_counts_for_itself(backend: Backend) {
    let split = Services::start(backend).await;
    let (ann, ben) = (split.user("ann").await, split.user("ben").await);
    let project = split.installation.create_project("ann", "Herbarium").await;
    split.installation.add_member(&project, "ben").await;
    let second = split.start_replica(Role::Gateway, &[]).await;
    let at = |http: Http| User {
        gid: ben.gid.clone(),
        username: String::new(),
        token: ben.token.clone(),
        http,
    };
    let (here, there) = (at(split.http.clone()), at(second.http()));
    limit(&ann, &project, &ben, json!(3)).await;
    for user in [&here, &there] {
        eventually("limited", KNOWN, async || {
            is_limited(user, &project, 3).await.then_some(())
        })
        .await;
    }
    tokio::time::sleep(WINDOW).await;
    assert_eq!(
        (
            burst(&here, &project, 10).await,
            burst(&there, &project, 10).await
        ),
        (3, 3)
    );
}
