//! Tests that requests of other networks do not block the owner of an account or mailbox: six
//! networks send 40 requests of each kind, and afterwards the owner logs in, signs up and resets
//! the password.

use doorward_tests::{
    Backend, MailApp, PASSWORD, Response, User, eventually,
    mail_app::{with_codes, with_field},
    on_both_databases,
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::accounts::steps::count;

on_both_databases![
    requests_of_unknown_networks_do_not_affect_the_owner,
    request_from_a_known_network_is_not_displaced,
    requests_from_the_owners_network_do_not_block_a_reset,
    sixth_request_invalidates_the_first,
];

const NETWORKS: usize = 6;
const REQUESTS: usize = 40;
const NEW: &str = "another battery staple 7";
const HOME: &str = "203.0.113.1";
/// The default threshold, of which all limits are multiples. The fixtures set another one.
const FAILURES: (&str, &str) = ("DOORWARD_LOGIN_FAILURES", "5");
const PROXY: [(&str, &str); 2] = [("DOORWARD_TRUSTED_PROXIES", "127.0.0.0/8"), FAILURES];
/// Settings with waits longer than a test.
const LONG_BACKOFF: [(&str, &str); 3] = [
    ("DOORWARD_LOGIN_BACKOFF", "10m"),
    ("DOORWARD_LOGIN_BACKOFF_MAX", "1h"),
    FAILURES,
];
/// A mailbox without an account.
const MAILBOX: &str = "new@example.org";

/// A kind of request that needs no token.
#[derive(Debug, Clone, Copy)]
enum RequestKind {
    Login,
    ProjectLogin,
    Reset,
    ResetByAddress,
    Signup,
    SignupOfOwner,
    WrongCode,
    UsernameCheck,
}

const KINDS: [RequestKind; 8] = [
    RequestKind::Login,
    RequestKind::ProjectLogin,
    RequestKind::Reset,
    RequestKind::ResetByAddress,
    RequestKind::Signup,
    RequestKind::SignupOfOwner,
    RequestKind::WrongCode,
    RequestKind::UsernameCheck,
];

impl RequestKind {
    fn request(self, number: usize, validation_code: &str) -> (String, Value) {
        let signup = |email: &str| json!({"username": format!("stranger-{number}"), "password": NEW, "email": email});
        let (path, body) = match self {
            Self::Login => (
                "/api/login",
                json!({"username": "ann", "password": "a wrong password"}),
            ),
            Self::ProjectLogin => {
                let body = json!({"username": "ann", "password": "a wrong password"});
                ("/api/p/0f8fad5b-d9cb-469f-a165-70867728950e/login", body)
            }
            Self::Reset => (
                "/api/reset_password_request",
                json!({"username_or_email": "ann"}),
            ),
            Self::ResetByAddress => (
                "/api/reset_password_request",
                json!({"username_or_email": "ann@example.org"}),
            ),
            Self::Signup => ("/api/signup_request", signup(MAILBOX)),
            Self::SignupOfOwner => ("/api/signup_request", signup("ann@example.org")),
            Self::WrongCode => {
                let codes =
                    json!({"validation_code": validation_code, "verification_code": "AAAAAA"});
                let body = with_field(&with_field(&codes, "username", "ann"), "new_password", NEW);
                ("/api/reset_password", body)
            }
            Self::UsernameCheck => ("/api/username", json!({"username": "ann"})),
        };
        (path.to_owned(), body)
    }
}

async fn ask(app: &MailApp, from: &str, path: &str, body: &Value) -> Response {
    app.http
        .post(path)
        .header("x-forwarded-for", from)
        .json(body)
        .send()
        .await
}

/// Sends requests of each kind from six networks concurrently. Each kind has its own networks.
async fn send_from_other_networks(app: &MailApp) {
    for (index, kind) in KINDS.into_iter().enumerate() {
        let networks = (0..NETWORKS).map(async |network| {
            let from = format!("198.51.{index}.{network}");
            for number in 0..REQUESTS {
                let (path, body) =
                    kind.request(network * REQUESTS + number, "a code that was never issued");
                let status = ask(app, &from, &path, &body).await.status;
                assert!(
                    [200, 403, 422, 429, 503].contains(&status),
                    "{kind:?}: {status}"
                );
            }
        });
        join_all(networks).await;
    }
}

/// One step of a call in two steps.
struct Step<'a> {
    path: &'a str,
    body: Value,
}

/// Runs the first step of a call and then the second, with the code of the mail that the first step
/// has caused.
async fn both_steps(
    app: &MailApp,
    from: &str,
    to: &str,
    first: Step<'_>,
    second: Step<'_>,
) -> Response {
    // Mails that other networks have caused must be delivered before.
    let is_empty =
        async || (count(&app.installation.databases.auth, "outbox", "1 = 1") == 0).then_some(());
    eventually(
        "an empty outbox",
        std::time::Duration::from_secs(60),
        is_empty,
    )
    .await;
    let earlier = app.smtp.count_to(to);
    let response = ask(app, from, first.path, &first.body).await;
    let has_arrived = async || (app.smtp.count_to(to) > earlier).then_some(());
    eventually("the mail", std::time::Duration::from_secs(20), has_arrived).await;
    let mail = app
        .smtp
        .mails()
        .into_iter()
        .rfind(|mail| mail.to == to)
        .expect("a mail");
    ask(
        app,
        from,
        second.path,
        &with_codes(&second.body, &response, &mail.code()),
    )
    .await
}

async fn reset(app: &MailApp, from: &str) -> Response {
    let first = Step {
        path: "/api/reset_password_request",
        body: json!({"username_or_email": "ann"}),
    };
    let second = Step {
        path: "/api/reset_password",
        body: json!({"username": "ann", "new_password": NEW}),
    };
    both_steps(app, from, "ann@example.org", first, second).await
}

async fn sign_up(app: &MailApp, from: &str, username: &str, email: &str) -> Response {
    let body = json!({"username": username, "password": PASSWORD, "email": email});
    let first = Step {
        path: "/api/signup_request",
        body: body.clone(),
    };
    let second = Step {
        path: "/api/signup",
        body,
    };
    both_steps(app, from, email, first, second).await
}

async fn log_in(app: &MailApp, from: &str, password: &str) -> Response {
    ask(
        app,
        from,
        "/api/login",
        &json!({"username": "ann", "password": password}),
    )
    .await
}

async fn start(backend: Backend, settings: &[(&str, &str)]) -> (MailApp, User) {
    let app = MailApp::with(backend, settings).await;
    let ann = app.user("ann").await;
    doorward_tests::sql::execute(
        &app.installation.databases.auth,
        "DELETE FROM known_networks",
    );
    (app, ann)
}

async fn requests_of_unknown_networks_do_not_affect_the_owner(backend: Backend) {
    let (app, _) = start(backend, &PROXY).await;
    log_in(&app, HOME, PASSWORD).await.token();
    send_from_other_networks(&app).await;
    log_in(&app, HOME, PASSWORD).await.token();
    sign_up(&app, "192.0.2.1", "eva", "eva@example.org")
        .await
        .token();
    sign_up(&app, "192.0.2.2", "owner", MAILBOX).await.token();
    reset(&app, HOME).await.token();
    log_in(&app, HOME, NEW).await.token();
    // The number of mails to each mailbox is limited. At most three kinds of requests send to each.
    for mailbox in ["ann@example.org", MAILBOX] {
        let mut subjects = std::collections::BTreeMap::new();
        for mail in app
            .smtp
            .mails()
            .into_iter()
            .filter(|mail| mail.to == mailbox)
        {
            *subjects.entry(mail.subject).or_insert(0) += 1;
        }
        assert!(
            subjects.values().sum::<usize>() < 150,
            "to {mailbox}: {subjects:?}"
        );
    }
}

async fn request_from_a_known_network_is_not_displaced(backend: Backend) {
    let (app, _) = start(backend, &PROXY).await;
    log_in(&app, HOME, PASSWORD).await.token();
    let response = ask(
        &app,
        HOME,
        "/api/reset_password_request",
        &json!({"username_or_email": "ann"}),
    )
    .await;
    let code = app.mailed_code("ann@example.org").await;
    send_from_other_networks(&app).await;
    let second = with_codes(
        &json!({"username": "ann", "new_password": NEW}),
        &response,
        &code,
    );
    ask(&app, HOME, "/api/reset_password", &second)
        .await
        .token();
    log_in(&app, HOME, NEW).await.token();
}

// Behind a proxy that is not configured as trusted, all clients have the same address.
async fn requests_from_the_owners_network_do_not_block_a_reset(backend: Backend) {
    let (app, _) = start(backend, &LONG_BACKOFF).await;
    log_in(&app, HOME, PASSWORD).await.token();
    for (path, body) in [
        ("/api/username", json!({"username": "ann"})),
        (
            "/api/reset_password_request",
            json!({"username_or_email": "nobody"}),
        ),
    ] {
        for _ in 0..60 {
            ask(&app, HOME, path, &body).await;
        }
        ask(&app, HOME, path, &body).await.assert_throttled();
    }
    for number in 0..210 {
        let (path, body) = RequestKind::WrongCode.request(number, "a code that was never issued");
        ask(&app, HOME, &path, &body).await;
    }
    for number in 0..60 {
        ask(
            &app,
            HOME,
            "/api/login",
            &json!({"username": format!("nobody-{number}"), "password": NEW}),
        )
        .await;
    }
    log_in(&app, HOME, PASSWORD).await.token();
    reset(&app, HOME).await.token();
    log_in(&app, HOME, NEW).await.token();
}

async fn sixth_request_invalidates_the_first(backend: Backend) {
    let app = MailApp::with(backend, &PROXY).await;
    let mut bodies = Vec::new();
    for number in 1..=6 {
        let body =
            json!({"username": format!("new-{number}"), "password": PASSWORD, "email": MAILBOX});
        let response = ask(
            &app,
            &format!("192.0.2.{number}"),
            "/api/signup_request",
            &body,
        )
        .await;
        bodies.push(with_codes(
            &body,
            &response,
            &app.mailed_code(MAILBOX).await,
        ));
    }
    app.http
        .post_anonymous("/api/signup", &bodies[0])
        .await
        .assert_code_rejected();
    app.http
        .post_anonymous("/api/signup", &bodies[1])
        .await
        .token();
    for body in &bodies {
        app.http
            .post_anonymous("/api/signup", body)
            .await
            .assert_code_rejected();
    }
}
