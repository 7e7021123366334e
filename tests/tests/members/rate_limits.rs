//! Tests that `rate_limit_per_second` limits the requests of one member in one project, separately
//! in each gateway.

use std::time::Duration;

use doorward_tests::{
    Backend, Http, PASSWORD, Response, Role, Services, User, eventually, on_both_databases,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::projects::fixture::Fixture;

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

/// Maximum time until a gateway applies a change of a limit.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(1);
/// Slightly more than the second in which requests are counted.
const WINDOW: Duration = Duration::from_millis(1010);

/// Sets the limit of a member.
async fn limit(owner: &User, project: &str, user: &User, limit: Value) {
    let body = json!({"user": user.gid, "options": {"rate_limit_per_second": limit}});
    owner
        .call(&format!("/api/p/{project}/members/update"), &body)
        .await
        .success();
}

/// Sends a request that counts and does not change anything.
async fn send_request(user: &User, project: &str) -> Response {
    user.call(
        &format!("/api/p/{project}/members/get"),
        &json!({"member": user.gid}),
    )
    .await
}

/// Sends `count` concurrent requests and returns the number of successes. The others must have been
/// rejected with a wait of one second.
async fn burst(user: &User, project: &str, count: usize) -> usize {
    let begin = Instant::now();
    let answers =
        futures_util::future::join_all((0..count).map(|_| send_request(user, project))).await;
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "the requests took longer than the second in which they are counted"
    );
    let (passed, rejected): (Vec<Response>, Vec<Response>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    for answer in rejected {
        assert_eq!(answer.assert_throttled(), 1);
    }
    passed.len()
}

/// Waits until earlier requests do not count any more, and asserts how many of a burst pass.
async fn assert_passes(user: &User, project: &str, count: usize, expected: usize) {
    tokio::time::sleep(WINDOW).await;
    assert_eq!(burst(user, project, count).await, expected);
}

/// Sets a limit and waits until the gateway applies it.
async fn limited(fixture: &Fixture, user: &User, at: u32) {
    limit(&fixture.ann, &fixture.project, user, json!(at)).await;
    eventually("limited", CHANGE_TIMEOUT, async || {
        is_limited(user, &fixture.project, at).await.then_some(())
    })
    .await;
}

/// Returns whether the limit applies: sends one request more than the limit concurrently, and one
/// must be rejected.
async fn is_limited(user: &User, project: &str, at: u32) -> bool {
    let answers =
        futures_util::future::join_all((0..=at).map(|_| send_request(user, project))).await;
    answers.iter().any(|answer| answer.status == 429)
}

async fn limit_passes_in_a_burst_and_others_wait(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    assert_eq!(burst(&fixture.ben, &fixture.project, 30).await, 30);
    for at in [1, 5, 17] {
        limited(&fixture, &fixture.ben, at).await;
        assert_passes(&fixture.ben, &fixture.project, 30, at as usize).await;
        assert_eq!(burst(&fixture.ben, &fixture.project, 5).await, 0);
    }
    // Rejected requests are not counted, so a client that waits for the `Retry-After` succeeds.
    let begin = Instant::now();
    eventually("a success", WINDOW + CHANGE_TIMEOUT, async || {
        (send_request(&fixture.ben, &fixture.project).await.status == 200).then_some(())
    })
    .await;
    assert!(
        begin.elapsed() < WINDOW + Duration::from_millis(300),
        "{:?}",
        begin.elapsed()
    );
}

async fn sustained_load_passes_at_the_limit(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    const LIMIT: u32 = 20;
    const SECONDS: u32 = 5;
    limited(&fixture, &fixture.ben, LIMIT).await;
    tokio::time::sleep(WINDOW).await;
    let end = Instant::now() + Duration::from_secs(SECONDS.into()) - Duration::from_millis(50);
    let senders = (0..4).map(|_| async {
        let mut passed = 0_u32;
        let mut rejected = 0_u32;
        while Instant::now() < end {
            match send_request(&fixture.ben, &fixture.project).await.status {
                200 => passed += 1,
                429 => rejected += 1,
                other => panic!("{other}"),
            }
        }
        (passed, rejected)
    });
    let counts = futures_util::future::join_all(senders).await;
    let passed: u32 = counts.iter().map(|(passed, _)| passed).sum();
    let rejected: u32 = counts.iter().map(|(_, rejected)| rejected).sum();
    let configured = LIMIT * SECONDS;
    assert!(
        passed * 10 >= configured * 9 && passed * 10 <= configured * 11,
        "{passed} passed, {rejected} were rejected"
    );
    assert!(
        rejected > passed,
        "too little load: {passed} passed, {rejected} were rejected"
    );
}

async fn change_counts_within_a_second(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    assert_eq!(burst(&fixture.ben, &fixture.project, 10).await, 10);
    limited(&fixture, &fixture.ben, 1).await;
    limit(&fixture.ann, &fixture.project, &fixture.ben, Value::Null).await;
    eventually("lifted", CHANGE_TIMEOUT, async || {
        (burst(&fixture.ben, &fixture.project, 5).await == 5).then_some(())
    })
    .await;
    // The limit stays after deactivation and activation of the member.
    limited(&fixture, &fixture.ben, 2).await;
    for call in ["deactivate", "activate"] {
        let path = format!("/api/p/{}/members/{call}", fixture.project);
        fixture
            .ann
            .call(&path, &json!({"user": fixture.ben.gid}))
            .await
            .success();
    }
    eventually("back", CHANGE_TIMEOUT, async || {
        (send_request(&fixture.ben, &fixture.project).await.status != 403).then_some(())
    })
    .await;
    tokio::time::sleep(CHANGE_TIMEOUT).await;
    assert_passes(&fixture.ben, &fixture.project, 10, 2).await;
}

async fn limit_applies_to_one_member_and_project(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let atlas = fixture
        .app
        .installation
        .create_project("cas", "Atlas")
        .await;
    for user in ["ann", "ben"] {
        fixture.app.installation.add_member(&atlas, user).await;
    }
    limited(&fixture, &fixture.ben, 2).await;
    assert_passes(&fixture.ben, &fixture.project, 10, 2).await;
    assert_eq!(burst(&fixture.ann, &fixture.project, 10).await, 10);
    assert_eq!(burst(&fixture.program, &fixture.project, 10).await, 10);
    assert_eq!(burst(&fixture.ben, &atlas, 10).await, 10);
    // All calls under the project's path count, also those that fail. Other calls do not count.
    fixture
        .app
        .http
        .project_init(&fixture.project, &fixture.ben.token)
        .await
        .assert_throttled();
    for (call, body) in [
        ("languages/add", json!({})),
        ("nothing/there", json!({})),
        ("apikeys/get", json!({})),
    ] {
        let path = format!("/api/p/{}/{call}", fixture.project);
        fixture.ben.call(&path, &body).await.assert_throttled();
    }
    for _ in 0..5 {
        fixture.ben.init().await.success();
        fixture
            .ben
            .call("/api/projects/get", &json!({"project": fixture.project}))
            .await
            .success();
    }
    // Upper case in the path and another token of the same user do not evade the limit.
    let token = fixture.app.http.login("ben", PASSWORD).await.token();
    let again = User {
        token,
        gid: fixture.ben.gid.clone(),
        username: String::new(),
        http: fixture.app.http.clone(),
    };
    assert_passes(&again, &fixture.project.to_uppercase(), 10, 2).await;
    send_request(&fixture.ben, &fixture.project)
        .await
        .assert_throttled();
}

async fn api_user_is_rate_limited(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    limited(&fixture, &fixture.program, 3).await;
    assert_passes(&fixture.program, &fixture.project, 10, 3).await;
    // All tokens of one API user are counted together, and those of another one separately.
    let token = fixture.robot.auth().await.token();
    let again = User {
        token,
        gid: fixture.robot.gid.clone(),
        username: String::new(),
        http: fixture.app.http.clone(),
    };
    assert_eq!(burst(&again, &fixture.project, 5).await, 0);
    let other = fixture.ann.create_api_user(&fixture.project, "Other").await;
    let token = other.auth().await.token();
    let other = User {
        token,
        gid: other.gid.clone(),
        username: String::new(),
        http: fixture.app.http.clone(),
    };
    assert_eq!(burst(&other, &fixture.project, 10).await, 10);
}

async fn owner_can_limit_themselves(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    limited(&fixture, &fixture.ann, 4).await;
    assert_passes(&fixture.ann, &fixture.project, 10, 4).await;
    // The call that removes the limit is counted, too.
    tokio::time::sleep(WINDOW).await;
    limit(&fixture.ann, &fixture.project, &fixture.ann, Value::Null).await;
    eventually("lifted", CHANGE_TIMEOUT, async || {
        (burst(&fixture.ann, &fixture.project, 8).await == 8).then_some(())
    })
    .await;
}

async fn unauthenticated_requests_are_not_counted(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    limited(&fixture, &fixture.ben, 2).await;
    let path = format!("/api/p/{}/members/get", fixture.project);
    for _ in 0..5 {
        fixture
            .app
            .http
            .post(&path)
            .json(&json!({}))
            .send()
            .await
            .assert_unauthenticated();
        fixture
            .app
            .http
            .post(&path)
            .bearer("garbage")
            .json(&json!({}))
            .send()
            .await
            .assert_unauthenticated();
        fixture
            .cas
            .call(&path, &json!({"member": fixture.ben.gid}))
            .await
            .assert_forbidden();
        fixture
            .app
            .http
            .project_login(&fixture.project, "ben", PASSWORD)
            .await
            .success();
    }
    assert_passes(&fixture.ben, &fixture.project, 5, 2).await;
    fixture
        .ben
        .call("/api/account/logout", &json!({}))
        .await
        .success();
    fixture.ben.assert_denied_eventually().await;
    for _ in 0..5 {
        send_request(&fixture.ben, &fixture.project)
            .await
            .assert_unauthenticated();
    }
}

async fn each_gateway_counts_for_itself(backend: Backend) {
    let split = Services::start(backend).await;
    let ann = split.user("ann").await;
    let ben = split.user("ben").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    split.installation.add_member(&project, "ben").await;
    let second = split.start_replica(Role::Gateway, &[]).await;
    let at = |http: Http| User {
        gid: ben.gid.clone(),
        username: String::new(),
        token: ben.token.clone(),
        http,
    };
    let here = at(split.http.clone());
    let there = at(second.http());
    limit(&ann, &project, &ben, json!(3)).await;
    for user in [&here, &there] {
        eventually("limited", CHANGE_TIMEOUT, async || {
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
