//! Tests that failed logins are counted by username and client network, and that attempts are
//! rejected during the waits of the throttle, also across processes.

use std::time::{Duration, Instant};

use doorward_tests::{
    App, Backend, Http, PASSWORD, Response, Services, eventually, on_both_databases, services::Role,
};
use futures_util::future::join_all;
use serde_json::json;

on_both_databases![
    after_too_many_failures_the_right_password_is_rejected_too,
    attempts_during_a_wait_are_not_hashed_or_counted,
    wait_doubles_up_to_the_longest,
    success_clears_the_username_count,
    spellings_of_one_name_share_a_count_and_other_cases_do_not,
    network_allows_ten_times_the_failures_and_is_not_cleared_by_success,
    failures_of_others_do_not_block_a_known_network,
    ipv6_addresses_count_by_64_prefix,
    forged_forwarded_addresses_do_not_evade_the_throttle,
    rightmost_untrusted_address_counts,
    failures_elsewhere_do_not_lock_out_a_known_network,
    project_login_shares_the_count,
    many_concurrent_guesses_are_hashed_up_to_the_limit,
    many_concurrent_usernames_are_hashed_up_to_the_network_limit,
    many_concurrent_correct_logins_succeed,
    many_concurrent_wrong_api_keys_start_one_wait,
    wrong_api_keys_count_by_network_only,
    wait_survives_a_restart,
];

const WRONG: &str = "a wrong password";
/// Settings with waits longer than a test.
const LONG_BACKOFF: [(&str, &str); 2] = [
    ("DOORWARD_LOGIN_BACKOFF", "10m"),
    ("DOORWARD_LOGIN_BACKOFF_MAX", "1h"),
];
/// Setting that trusts the `X-Forwarded-For` of the tests, which connect from this network.
const PROXY: (&str, &str) = ("DOORWARD_TRUSTED_PROXIES", "127.0.0.0/8");

async fn start(backend: Backend, failures: &str, others: &[(&str, &str)]) -> App {
    App::with_settings(
        backend,
        &[
            &LONG_BACKOFF[..],
            &[("DOORWARD_LOGIN_FAILURES", failures)],
            others,
        ]
        .concat(),
    )
    .await
}

/// Logs in with this `X-Forwarded-For`.
async fn login_from(http: &Http, forwarded: &str, username: &str, password: &str) -> Response {
    http.login_call(username, password)
        .header("x-forwarded-for", forwarded)
        .send()
        .await
}

async fn project_login(http: &Http, project: &str, username: &str, password: &str) -> Response {
    let body = json!({"username": username, "password": password});
    http.post(&format!("/api/p/{project}/login"))
        .json(&body)
        .send()
        .await
}

/// Returns the number of hashes that a process has computed.
async fn hashes(ops: &Http) -> f64 {
    ops.metric("doorward_hash_duration_seconds_count").await
}

async fn after_too_many_failures_the_right_password_is_rejected_too(backend: Backend) {
    let app = start(backend, "5", &[]).await;
    for user in ["ann", "ben"] {
        app.installation.create_user(user).await;
    }
    // Unknown and invalid usernames are treated like that of ann.
    for username in ["ann", "nobody", "no name", ""] {
        for _ in 0..5 {
            app.http.login(username, WRONG).await.assert_unknown_user();
        }
        for password in [WRONG, PASSWORD] {
            let wait = app.http.login(username, password).await.assert_throttled();
            assert!((540..=600).contains(&wait), "{username:?}: {wait}");
        }
    }
    assert_eq!(app.http.login("ben", PASSWORD).await.status, 200);
}

async fn attempts_during_a_wait_are_not_hashed_or_counted(backend: Backend) {
    let settings = [
        ("DOORWARD_LOGIN_FAILURES", "3"),
        ("DOORWARD_LOGIN_BACKOFF", "2s"),
        ("DOORWARD_LOGIN_BACKOFF_MAX", "1h"),
    ];
    let app = App::with_settings(backend, &settings).await;
    app.installation.create_user("ann").await;
    let before = hashes(&app.ops).await;
    for _ in 0..3 {
        app.http.login("ann", WRONG).await.assert_unknown_user();
    }
    let mut rejected = 0;
    eventually("the end of the wait", Duration::from_secs(10), async || {
        let answer = app.http.login("ann", WRONG).await;
        if answer.status == 429 {
            rejected += 1;
            assert!(answer.assert_throttled() <= 2, "{answer:?}");
            return None;
        }
        answer.assert_unknown_user();
        Some(())
    })
    .await;
    assert!(rejected > 1, "the wait ended before the second attempt");
    // If the rejected attempts had been counted, the next wait would be much longer.
    let wait = app.http.login("ann", PASSWORD).await.assert_throttled();
    assert!(wait <= 4, "{wait} after {rejected}");
    assert!(
        (hashes(&app.ops).await - before - 4.0).abs() < 0.5,
        "{} hashes",
        hashes(&app.ops).await - before
    );
}

async fn wait_doubles_up_to_the_longest(backend: Backend) {
    let settings = [
        ("DOORWARD_LOGIN_FAILURES", "1"),
        ("DOORWARD_LOGIN_BACKOFF", "1s"),
        ("DOORWARD_LOGIN_BACKOFF_MAX", "2s"),
    ];
    let app = App::with_settings(backend, &settings).await;
    app.installation.create_user("ann").await;
    // A wait starts when the failure is counted, which is later than the request was sent.
    let mut counted_since = Instant::now();
    app.http.login("ann", WRONG).await.assert_unknown_user();
    for wait in [1, 2, 2] {
        let mut last = counted_since;
        eventually("the end of the wait", Duration::from_secs(20), async || {
            last = Instant::now();
            let answer = app.http.login("ann", WRONG).await;
            if answer.status == 429 {
                let retry_after = answer.assert_throttled();
                assert!(retry_after <= wait, "Retry-After {retry_after} of {wait}");
                return None;
            }
            answer.assert_unknown_user();
            Some(())
        })
        .await;
        // The attempt that was admitted was counted later than it was sent.
        let elapsed = counted_since.elapsed();
        assert!(
            elapsed > Duration::from_secs(wait.into()).mul_f64(0.95),
            "a wait of {wait} s ended after {elapsed:?}"
        );
        counted_since = last;
    }
}

async fn success_clears_the_username_count(backend: Backend) {
    let app = start(backend, "5", &[]).await;
    app.installation.create_user("ann").await;
    // The network is unknown in the first round and known in the others.
    for _ in 0..3 {
        for _ in 0..4 {
            app.http.login("ann", WRONG).await.assert_unknown_user();
        }
        assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
    }
}

/// Regression test for variants of a username (Authelia CVE-2026-47203).
async fn spellings_of_one_name_share_a_count_and_other_cases_do_not(backend: Backend) {
    let app = start(backend, "3", &[]).await;
    app.installation.create_user("ann").await;
    let spellings = ["ann", "\u{ff41}\u{ff4e}\u{ff4e}", "a\u{ff4e}n"];
    for spelling in spellings {
        app.http.login(spelling, WRONG).await.assert_unknown_user();
    }
    for spelling in spellings {
        app.http.login(spelling, PASSWORD).await.assert_throttled();
    }
    for other in ["Ann", "ANN", "\u{ff21}nn"] {
        app.http.login(other, WRONG).await.assert_unknown_user();
    }
}

/// Regression test for a login that clears the count of its network (allauth 65.8).
async fn network_allows_ten_times_the_failures_and_is_not_cleared_by_success(backend: Backend) {
    let app = start(backend, "2", &[PROXY]).await;
    app.installation.create_user("ann").await;
    let from = async |address, username: &str, password| {
        login_from(&app.http, address, username, password).await
    };
    for number in 0..20 {
        if number % 5 == 0 {
            from("203.0.113.1", "ann", WRONG)
                .await
                .assert_unknown_user();
            assert_eq!(from("203.0.113.1", "ann", PASSWORD).await.status, 200);
        } else {
            from("203.0.113.1", &format!("nobody-{number}"), WRONG)
                .await
                .assert_unknown_user();
        }
    }
    app.installation.create_user("ben").await;
    from("203.0.113.1", "nobody-else", WRONG)
        .await
        .assert_throttled();
    from("203.0.113.1", "ben", PASSWORD)
        .await
        .assert_throttled();
    assert_eq!(from("203.0.113.2", "ben", PASSWORD).await.status, 200);
    from("203.0.113.2", "nobody-1", WRONG)
        .await
        .assert_unknown_user();
}

// Behind a proxy that is not configured as trusted, all clients have the same address.
async fn failures_of_others_do_not_block_a_known_network(backend: Backend) {
    let app = start(backend, "3", &[]).await;
    for user in ["ann", "ben"] {
        app.installation.create_user(user).await;
    }
    let project = app.installation.create_project("ann", "Herbarium").await;
    let token = app.http.login("ann", PASSWORD).await.token();
    for number in 0..30 {
        app.http
            .login(&format!("nobody-{number}"), WRONG)
            .await
            .assert_unknown_user();
    }
    app.http
        .login("nobody-else", WRONG)
        .await
        .assert_throttled();
    app.http.login("ben", PASSWORD).await.assert_throttled();
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
    assert_eq!(
        project_login(&app.http, &project, "ann", PASSWORD)
            .await
            .status,
        200
    );
    // The network is also known in calls that check the current password.
    let change = json!({"name": "Ann", "current_password": PASSWORD});
    let changed = app
        .http
        .post("/api/account/update")
        .bearer(&token)
        .json(&change)
        .send()
        .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    // Failures with her username are counted for both login calls together.
    app.http.login("ann", WRONG).await.assert_unknown_user();
    project_login(&app.http, &project, "ann", WRONG)
        .await
        .assert_unknown_user();
    app.http.login("ann", WRONG).await.assert_unknown_user();
    app.http.login("ann", PASSWORD).await.assert_throttled();
    project_login(&app.http, &project, "ann", PASSWORD)
        .await
        .assert_throttled();
}

async fn ipv6_addresses_count_by_64_prefix(backend: Backend) {
    let app = start(backend, "1", &[PROXY]).await;
    app.installation.create_user("ann").await;
    for number in 1..=10 {
        let address = format!("2001:db8:1:2:{number}::{number}");
        login_from(&app.http, &address, &format!("nobody-{number}"), WRONG)
            .await
            .assert_unknown_user();
    }
    for address in [
        "2001:db8:1:2::1",
        "2001:db8:1:2:ffff::ffff",
        "[2001:DB8:1:2::7]:4711",
    ] {
        login_from(&app.http, address, "ann", PASSWORD)
            .await
            .assert_throttled();
    }
    for address in ["2001:db8:1:3::1", "2001:db8:2:2::1"] {
        assert_eq!(
            login_from(&app.http, address, "ann", PASSWORD).await.status,
            200,
            "{address}"
        );
    }
}

/// Regression test for trusted headers (allauth 65.14, oauth2-proxy CVE-2026-40575).
async fn forged_forwarded_addresses_do_not_evade_the_throttle(backend: Backend) {
    let app = start(backend, "2", &[]).await;
    app.installation.create_user("ann").await;
    let mut numbers = 0..;
    let mut attempt = async |username: &str, password| {
        let address = format!("203.0.113.{}", numbers.next().expect("a number"));
        login_from(&app.http, &address, username, password).await
    };
    for _ in 0..2 {
        attempt("ann", WRONG).await.assert_unknown_user();
    }
    attempt("ann", PASSWORD).await.assert_throttled();
    for number in 0..18 {
        attempt(&format!("nobody-{number}"), WRONG)
            .await
            .assert_unknown_user();
    }
    attempt("nobody-else", WRONG).await.assert_throttled();
}

async fn rightmost_untrusted_address_counts(backend: Backend) {
    let app = start(backend, "1", &[PROXY]).await;
    app.installation.create_user("ann").await;
    // The header has an address that the client forged, the client, and an inner proxy.
    for number in 1..=10 {
        let hops = format!("198.51.100.{number}, 203.0.113.9, 127.0.0.5");
        login_from(&app.http, &hops, &format!("nobody-{number}"), WRONG)
            .await
            .assert_unknown_user();
    }
    login_from(&app.http, "198.51.100.77, 203.0.113.9", "ann", PASSWORD)
        .await
        .assert_throttled();
    let repeated = app.http.login_call("ann", PASSWORD);
    let repeated = repeated
        .header("x-forwarded-for", "198.51.100.1")
        .header("x-forwarded-for", "203.0.113.9");
    repeated.send().await.assert_throttled();
    for address in ["198.51.100.1", "203.0.113.9, 203.0.113.10"] {
        assert_eq!(
            login_from(&app.http, address, "ann", PASSWORD).await.status,
            200,
            "{address}"
        );
    }
    assert_eq!(
        app.http.login("ann", PASSWORD).await.status,
        200,
        "the address of the proxy is not throttled"
    );
}

async fn failures_elsewhere_do_not_lock_out_a_known_network(backend: Backend) {
    let app = start(backend, "5", &[PROXY]).await;
    app.installation.create_user("ann").await;
    let home = "203.0.113.1";
    let stranger = "198.51.100.66";
    let elsewhere = "192.0.2.1";
    let from = async |address, password| login_from(&app.http, address, "ann", password).await;
    assert_eq!(from(home, PASSWORD).await.status, 200);
    for _ in 0..5 {
        from(stranger, WRONG).await.assert_unknown_user();
    }
    for _ in 0..3 {
        from(stranger, PASSWORD).await.assert_throttled();
        assert_eq!(from(home, PASSWORD).await.status, 200);
    }
    // A login from a known network does not end the wait of other networks.
    from(stranger, PASSWORD).await.assert_throttled();
    from(elsewhere, PASSWORD).await.assert_throttled();
    // The known network has its own count.
    for _ in 0..5 {
        from(home, WRONG).await.assert_unknown_user();
    }
    from(home, PASSWORD).await.assert_throttled();
}

async fn project_login_shares_the_count(backend: Backend) {
    let app = start(backend, "5", &[]).await;
    app.installation.create_user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let unknown = "0f8fad5b-d9cb-469f-a165-70867728950e";
    for username in ["ann", "nobody"] {
        for _ in 0..2 {
            app.http.login(username, WRONG).await.assert_unknown_user();
            project_login(&app.http, &project, username, WRONG)
                .await
                .assert_unknown_user();
        }
        project_login(&app.http, unknown, username, PASSWORD)
            .await
            .assert_unknown_user();
        app.http.login(username, PASSWORD).await.assert_throttled();
        for project in [project.as_str(), unknown] {
            project_login(&app.http, project, username, PASSWORD)
                .await
                .assert_throttled();
        }
    }
}

/// Sends `count` concurrent calls.
async fn send_concurrently(count: usize, call: impl AsyncFn(usize) -> Response) -> Vec<Response> {
    join_all((0..count).map(|number| call(number))).await
}

/// Regression test for a bypass by concurrent attempts (Keycloak CVE-2024-4629).
async fn many_concurrent_guesses_are_hashed_up_to_the_limit(backend: Backend) {
    let app = start(backend, "5", &[]).await;
    app.installation.create_user("ann").await;
    for username in ["ann", "nobody"] {
        let before = hashes(&app.ops).await;
        let answers = send_concurrently(200, async |_| app.http.login(username, WRONG).await).await;
        for answer in &answers {
            if answer.status == 403 {
                answer.assert_unknown_user();
            } else {
                answer.assert_throttled();
            }
        }
        assert_eq!(
            answers.iter().filter(|answer| answer.status == 403).count(),
            5,
            "{username}"
        );
        let hashed = hashes(&app.ops).await - before;
        assert!((hashed - 5.0).abs() < 0.5, "{username}: {hashed} hashes");
    }
}

async fn many_concurrent_usernames_are_hashed_up_to_the_network_limit(backend: Backend) {
    let app = start(backend, "2", &[]).await;
    let before = hashes(&app.ops).await;
    let answers = send_concurrently(200, async |number| {
        app.http.login(&format!("nobody-{number}"), WRONG).await
    })
    .await;
    assert!(
        answers
            .iter()
            .all(|answer| [403, 429].contains(&answer.status))
    );
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 403).count(),
        20
    );
    let hashed = hashes(&app.ops).await - before;
    assert!((hashed - 20.0).abs() < 0.5, "{hashed} hashes");
}

async fn many_concurrent_correct_logins_succeed(backend: Backend) {
    let app = start(backend, "5", &[]).await;
    app.installation.create_user("ann").await;
    // After four failures, the attempts are admitted one after the other, because a fifth failure
    // would start a wait.
    for failures in [0, 4] {
        for _ in 0..failures {
            app.http.login("ann", WRONG).await.assert_unknown_user();
        }
        for answer in send_concurrently(60, async |_| app.http.login("ann", PASSWORD).await).await {
            answer.token();
        }
    }
}

async fn many_concurrent_wrong_api_keys_start_one_wait(backend: Backend) {
    let settings = [
        ("DOORWARD_LOGIN_FAILURES", "1"),
        ("DOORWARD_LOGIN_BACKOFF", "1m"),
        ("DOORWARD_LOGIN_BACKOFF_MAX", "1h"),
    ];
    let app = App::with_settings(backend, &settings).await;
    app.installation.create_user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let auth = async |number: usize| {
        let call = app.http.post(&format!("/api/p/{project}/auth"));
        call.json(&json!({"api_key": format!("dw_{number}")}))
            .send()
            .await
    };
    for answer in send_concurrently(100, auth).await {
        assert!([403, 429].contains(&answer.status), "{answer:?}");
    }
    let wait = auth(0).await.assert_throttled();
    assert!(wait <= 60, "{wait}");
}

async fn wrong_api_keys_count_by_network_only(backend: Backend) {
    let app = start(backend, "1", &[PROXY]).await;
    app.installation.create_user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let words = [
        "apikey",
        "create",
        "--project",
        &project,
        "--name",
        "Export",
    ];
    let created = app
        .installation
        .cli(&words, "")
        .await
        .assert_success()
        .json();
    let api_key = created["apikey"].as_str().expect("a key");
    let auth = async |address: &str, api_key: &str| {
        let call = app
            .http
            .post(&format!("/api/p/{project}/auth"))
            .header("x-forwarded-for", address);
        call.json(&json!({"api_key": api_key})).send().await
    };
    let other = app.installation.create_project("ann", "Atlas").await;
    let elsewhere = app
        .http
        .post(&format!("/api/p/{other}/auth"))
        .header("x-forwarded-for", "203.0.113.1");
    elsewhere
        .json(&json!({"api_key": api_key}))
        .send()
        .await
        .assert_unknown_user();
    for number in 1..10 {
        auth("203.0.113.1", &format!("dw_{number}"))
            .await
            .assert_unknown_user();
        if number == 5 {
            auth("203.0.113.1", api_key).await.token();
        }
    }
    let wait = auth("203.0.113.1", api_key).await.assert_throttled();
    assert!((540..=600).contains(&wait), "{wait}");
    auth("203.0.113.1", "dw_1").await.assert_throttled();
    login_from(&app.http, "203.0.113.1", "ann", PASSWORD)
        .await
        .assert_throttled();
    auth("203.0.113.2", api_key).await.token();
    login_from(&app.http, "203.0.113.2", "ann", PASSWORD)
        .await
        .token();
}

async fn wait_survives_a_restart(backend: Backend) {
    let mut app = start(backend, "3", &[]).await;
    app.installation.create_user("ann").await;
    app.http.login("nobody", WRONG).await.assert_unknown_user();
    for _ in 0..3 {
        app.http.login("ann", WRONG).await.assert_unknown_user();
    }
    app.restart().await;
    app.http.login("ann", PASSWORD).await.assert_throttled();
    for _ in 0..2 {
        app.http.login("nobody", WRONG).await.assert_unknown_user();
    }
    app.http.login("nobody", WRONG).await.assert_throttled();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_of_auth_share_the_counts() {
    let split = Services::with(
        Backend::Postgres,
        &[&LONG_BACKOFF[..], &[("DOORWARD_LOGIN_FAILURES", "5")]].concat(),
    )
    .await;
    split.installation.create_user("ann").await;
    let (second_auth, second_gateway) = split.start_second_auth_and_gateway().await;
    let gateways = [split.http.clone(), second_gateway.http()];
    for turn in 0..5 {
        gateways[turn % 2]
            .login("ann", WRONG)
            .await
            .assert_unknown_user();
    }
    for ops in [split.ops(Role::Auth), second_auth.ops.clone()] {
        assert!(hashes(&ops).await > 1.5, "both processes must have hashed");
    }
    for gateway in &gateways {
        gateway.login("ann", PASSWORD).await.assert_throttled();
    }
}
