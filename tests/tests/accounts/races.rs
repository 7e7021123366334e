//! Tests that exactly one of many concurrent calls with the same code, address, username or
//! password succeeds (compare Spring Security CVE-2026-22751, Devise CVE-2026-32700).

use std::{slice, time::Duration};

use doorward_tests::{
    App, Backend, Http, PASSWORD, Response, Services, SmtpServer, eventually, on_both_databases,
    services::Role,
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::accounts::steps::{
    AccountClient, NEW_PASSWORD, app, count, email_of, newcomer, refused, split, with, wrong,
};

on_both_databases![
    one_of_64_signups_with_one_code_succeeds,
    one_of_64_resets_with_one_code_succeeds,
    one_of_64_email_changes_with_one_code_succeeds,
    one_of_two_concurrent_email_changes_succeeds,
    one_of_concurrent_signups_of_an_address_succeeds,
    one_of_two_signups_with_one_username_succeeds,
    concurrent_wrong_codes_are_limited_to_five,
    two_changes_of_one_password_at_once_leave_one_that_works,
];

const EVENTUALLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends `times` equal calls concurrently, distributed over the gateways.
async fn send_concurrently(
    gateways: &[Http],
    times: usize,
    token: Option<&str>,
    path: &str,
    body: &Value,
) -> Vec<Response> {
    let calls = gateways.iter().cycle().take(times).map(|http| {
        let call = http.post(path).json(body);
        match token {
            Some(token) => call.bearer(token),
            None => call,
        }
        .send_until_served()
    });
    join_all(calls).await
}

/// Returns the only success. All other calls must have been rejected.
fn one_succeeds(answers: &[Response]) -> &Response {
    let (succeeded, others): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 200);
    others.iter().for_each(|answer| refused(answer));
    let [one] = succeeded.as_slice() else {
        panic!("{} succeeded", succeeded.len())
    };
    one
}

async fn start(backend: Backend, smtp: &SmtpServer) -> App {
    // The queue is long enough for all hashes, so that none is rejected.
    app(backend, smtp, &[("DOORWARD_HASH_QUEUE", "200")]).await
}

async fn one_of_64_signups_with_one_code_succeeds(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = start(backend, &smtp).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    for (times, username) in [(64, "ann"), (20, "ben")] {
        let body = caller.begin_signup(&newcomer(username)).await;
        let answers = send_concurrently(
            slice::from_ref(&app.http),
            times,
            None,
            "/api/signup",
            &body,
        )
        .await;
        one_succeeds(&answers).token();
        let directory = &app.installation.databases.directory;
        assert_eq!(
            count(directory, "users", &format!("username = '{username}'")),
            1
        );
        assert_eq!(app.http.login(username, PASSWORD).await.status, 200);
    }
    assert_eq!(
        count(&app.installation.databases.directory, "users", "1 = 1"),
        2
    );
}

async fn one_of_64_resets_with_one_code_succeeds(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = start(backend, &smtp).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    for (times, username) in [(64, "ann"), (20, "ben")] {
        let user = app.user(username).await;
        let body = caller.begin_reset(username).await;
        let answers = send_concurrently(
            slice::from_ref(&app.http),
            times,
            None,
            "/api/reset_password",
            &body,
        )
        .await;
        let token = one_succeeds(&answers).token();
        assert_eq!(app.http.init(&token).await.status, 200);
        user.assert_denied_eventually().await;
    }
}

async fn one_of_64_email_changes_with_one_code_succeeds(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = start(backend, &smtp).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    for (times, username) in [(64, "ann"), (20, "ben")] {
        let user = app.user(username).await;
        let body = caller
            .begin_email_change(&user.token, &format!("new-{username}@example.org"))
            .await;
        let answers = send_concurrently(
            slice::from_ref(&app.http),
            times,
            Some(&user.token),
            "/api/account/update_email",
            &body,
        )
        .await;
        one_succeeds(&answers).success();
        let old = format!("{username}@example.org");
        smtp.mail_to(&old).await;
        let directory = &app.installation.databases.directory;
        eventually("an empty outbox", EVENTUALLY_TIMEOUT, async || {
            (count(directory, "outbox", "1 = 1") == 0).then_some(())
        })
        .await;
        assert_eq!(smtp.count_to(&old), 1);
    }
}

/// Repeats the tests with two gateways, each with its own auth.
#[tokio::test(flavor = "multi_thread")]
async fn one_succeeds_over_two_auths() {
    let smtp = SmtpServer::start().await;
    let split: Services = split(Backend::Postgres, &smtp, &[("DOORWARD_HASH_QUEUE", "200")]).await;
    let (_auth, gateway) = split.start_second_auth_and_gateway().await;
    let gateways = [split.http.clone(), gateway.http()];
    let caller = AccountClient {
        http: &split.http,
        smtp: &smtp,
    };

    let body = caller.begin_signup(&newcomer("ann")).await;
    one_succeeds(&send_concurrently(&gateways, 64, None, "/api/signup", &body).await).token();
    let body = caller.begin_reset("ann").await;
    let token =
        one_succeeds(&send_concurrently(&gateways, 64, None, "/api/reset_password", &body).await)
            .token();
    let body = caller.begin_email_change(&token, "new@example.org").await;
    one_succeeds(
        &send_concurrently(
            &gateways,
            64,
            Some(&token),
            "/api/account/update_email",
            &body,
        )
        .await,
    )
    .success();

    assert_eq!(
        count(&split.installation.databases.directory, "users", "1 = 1"),
        1
    );
    let body = caller.begin_signup(&newcomer("ben")).await;
    assert_five_attempts_at_most(&gateways, &body).await;
    assert_eq!(
        split.ops(Role::Directory).status("/health/ready").await,
        Some(200)
    );
}

async fn one_of_two_concurrent_email_changes_succeeds(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = start(backend, &smtp).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let ann = app.user("ann").await;
    let first = caller
        .begin_email_change(&ann.token, "first@example.org")
        .await;
    let second = caller
        .begin_email_change(&ann.token, "second@example.org")
        .await;
    let bodies = [&first, &second, &first, &second];
    let answers = join_all(bodies.map(|body| caller.change_email(&ann.token, body))).await;
    let (_, data) = one_succeeds(&answers).success();
    assert_eq!(
        data["cc.users"][&ann.gid]["email"].as_str(),
        Some(email_of(&app.http, &ann.token).await.as_str())
    );
    smtp.mail_to("ann@example.org").await;
    assert_eq!(smtp.count_to("ann@example.org"), 1);
    for body in [&first, &second] {
        refused(&caller.change_email(&ann.token, body).await);
    }
}

async fn one_of_concurrent_signups_of_an_address_succeeds(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = start(backend, &smtp).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let mut begun = Vec::new();
    for username in ["ann", "ben", "cas", "dan", "eve"] {
        begun.push(
            caller
                .begin_signup(&with(&newcomer(username), "email", "shared@example.org"))
                .await,
        );
    }
    let calls = begun
        .iter()
        .cycle()
        .take(64)
        .map(|body| app.http.post("/api/signup").json(body).send_until_served());
    one_succeeds(&join_all(calls).await).token();
    assert_eq!(
        count(&app.installation.databases.directory, "users", "1 = 1"),
        1
    );
    assert_eq!(count(&app.installation.databases.auth, "codes", "1 = 1"), 0);
}

async fn one_of_two_signups_with_one_username_succeeds(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = start(backend, &smtp).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let mut bodies = Vec::new();
    for number in 0..8 {
        let account = with(
            &newcomer("ann"),
            "email",
            format!("ann-{number}@example.org"),
        );
        bodies.push(caller.begin_signup(&account).await);
    }
    let answers = join_all(bodies.iter().map(|body| caller.signup(body))).await;
    let (succeeded, others): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(succeeded.len(), 1);
    others
        .iter()
        .for_each(|answer| answer.assert_validation_error("username", "unavailable"));
    // The rejected calls have not created an account under another name.
    assert_eq!(
        count(&app.installation.databases.directory, "users", "1 = 1"),
        1
    );
    assert_eq!(
        count(&app.installation.databases.auth, "credentials", "1 = 1"),
        1
    );
}

async fn concurrent_wrong_codes_are_limited_to_five(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = start(backend, &smtp).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    for round in 0..4 {
        let body = caller
            .begin_signup(&newcomer(&format!("ann-{round}")))
            .await;
        assert_five_attempts_at_most(slice::from_ref(&app.http), &body).await;
    }
}

/// Asserts that the right code is rejected after ten concurrent attempts with a wrong one.
async fn assert_five_attempts_at_most(gateways: &[Http], body: &Value) {
    for answer in send_concurrently(gateways, 10, None, "/api/signup", &wrong(body)).await {
        refused(&answer);
    }
    for answer in send_concurrently(gateways, 4, None, "/api/signup", body).await {
        refused(&answer);
    }
}

async fn two_changes_of_one_password_at_once_leave_one_that_works(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = start(backend, &smtp).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let ann = app.user("ann").await;
    let reset = caller.begin_reset("ann").await;
    let other = "violet Xylophone 77 tundra";
    let change = json!({"password": other, "current_password": PASSWORD});
    let (changed, reset) = tokio::join!(
        caller.post_as(&ann.token, "/api/account/update", &change),
        caller.reset(&reset)
    );
    ann.assert_denied_eventually().await;
    app.http.login("ann", PASSWORD).await.assert_unknown_user();
    let mut logins = 0;
    for (password, answer) in [(other, &changed), (NEW_PASSWORD, &reset)] {
        let login = app.http.login("ann", password).await;
        logins += usize::from(login.status == 200);
        assert!(login.status == 403 || answer.status == 200, "{answer:?}");
    }
    assert_eq!(logins, 1, "{changed:?} {reset:?}");
    let mut tokens = 0;
    for answer in [&changed, &reset]
        .into_iter()
        .filter(|answer| answer.status == 200)
    {
        tokens += usize::from(app.http.init(&answer.token()).await.status == 200);
    }
    assert_eq!(tokens, 1, "{changed:?} {reset:?}");
}
