//! What strangers may cost the owner of an account or of a mailbox: nothing. Six networks with 40 requests each, of every kind,
//! and afterwards the owner logs in, signs up and sets a new password.

use doorward_tests::{
    Answer, Backend, MailApp, PASSWORD, User, eventually,
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
/// The default, by which all limits are counted.
const FAILURES: (&str, &str) = ("DOORWARD_LOGIN_FAILURES", "5");
const PROXY: [(&str, &str); 2] = [("DOORWARD_TRUSTED_PROXIES", "127.0.0.0/8"), FAILURES];
/// Waits that last until the end of a test.
const LONG_BACKOFF: [(&str, &str); 3] = [
    ("DOORWARD_LOGIN_BACKOFF", "10m"),
    ("DOORWARD_LOGIN_BACKOFF_MAX", "1h"),
    FAILURES,
];
/// A mailbox without an account.
const MAILBOX: &str = "new@example.org";

/// What strangers may send.
#[derive(Debug, Clone, Copy)]
enum NonMemberKind {
    Login,
    ProjectLogin,
    Reset,
    ResetByAddress,
    Signup,
    SignupOfOwner,
    WrongCode,
    Question,
}

const KINDS: [NonMemberKind; 8] = [
    NonMemberKind::Login,
    NonMemberKind::ProjectLogin,
    NonMemberKind::Reset,
    NonMemberKind::ResetByAddress,
    NonMemberKind::Signup,
    NonMemberKind::SignupOfOwner,
    NonMemberKind::WrongCode,
    NonMemberKind::Question,
];

impl NonMemberKind {
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
            Self::Question => ("/api/username", json!({"username": "ann"})),
        };
        (path.to_owned(), body)
    }
}

async fn ask(app: &MailApp, from: &str, path: &str, body: &Value) -> Answer {
    app.http
        .post(path)
        .header("x-forwarded-for", from)
        .json(body)
        .send()
        .await
}

/// Each kind comes from six networks of its own, all at once.
async fn strangers(app: &MailApp) {
    for (place, kind) in KINDS.into_iter().enumerate() {
        let networks = (0..NETWORKS).map(async |network| {
            let from = format!("198.51.{place}.{network}");
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

/// Makes a first step, and the second with the code of the mail that comes after it.
async fn both_steps(
    app: &MailApp,
    from: &str,
    to: &str,
    (first, second): ((&str, Value), (&str, Value)),
) -> Answer {
    // All that strangers have asked for is delivered before.
    let is_empty =
        async || (count(&app.installation.databases.auth, "outbox", "1 = 1") == 0).then_some(());
    eventually(
        "an empty outbox",
        std::time::Duration::from_secs(60),
        is_empty,
    )
    .await;
    let earlier = app.smtp.count_to(to);
    let asked = ask(app, from, first.0, &first.1).await;
    let is_there = async || (app.smtp.count_to(to) > earlier).then_some(());
    eventually("the mail", std::time::Duration::from_secs(20), is_there).await;
    let mail = app
        .smtp
        .mails()
        .into_iter()
        .rfind(|mail| mail.to == to)
        .expect("a mail");
    ask(
        app,
        from,
        second.0,
        &with_codes(&second.1, &asked, &mail.code()),
    )
    .await
}

async fn reset(app: &MailApp, from: &str) -> Answer {
    let first = (
        "/api/reset_password_request",
        json!({"username_or_email": "ann"}),
    );
    let second = (
        "/api/reset_password",
        json!({"username": "ann", "new_password": NEW}),
    );
    both_steps(app, from, "ann@example.org", (first, second)).await
}

async fn sign_up(app: &MailApp, from: &str, username: &str, email: &str) -> Answer {
    let body = json!({"username": username, "password": PASSWORD, "email": email});
    both_steps(
        app,
        from,
        email,
        (("/api/signup_request", body.clone()), ("/api/signup", body)),
    )
    .await
}

async fn log_in(app: &MailApp, from: &str, password: &str) -> Answer {
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
    doorward_tests::backend::execute(
        &app.installation.databases.auth,
        "DELETE FROM known_networks",
    );
    (app, ann)
}

async fn requests_of_unknown_networks_do_not_affect_the_owner(backend: Backend) {
    let (app, _) = start(backend, &PROXY).await;
    log_in(&app, HOME, PASSWORD).await.token();
    strangers(&app).await;
    log_in(&app, HOME, PASSWORD).await.token();
    sign_up(&app, "192.0.2.1", "eva", "eva@example.org")
        .await
        .token();
    sign_up(&app, "192.0.2.2", "owner", MAILBOX).await.token();
    reset(&app, HOME).await.token();
    log_in(&app, HOME, NEW).await.token();
    // No mailbox was filled: three kinds at most send to each.
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
    let asked = ask(
        &app,
        HOME,
        "/api/reset_password_request",
        &json!({"username_or_email": "ann"}),
    )
    .await;
    let code = app.mailed_code("ann@example.org").await;
    strangers(&app).await;
    let second = with_codes(
        &json!({"username": "ann", "new_password": NEW}),
        &asked,
        &code,
    );
    ask(&app, HOME, "/api/reset_password", &second)
        .await
        .token();
    log_in(&app, HOME, NEW).await.token();
}

/// The situation behind a proxy that is not configured: all clients have one address.
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
        let (path, body) = NonMemberKind::WrongCode.request(number, "a code that was never issued");
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
    let mut begun = Vec::new();
    for number in 1..=6 {
        let body =
            json!({"username": format!("new-{number}"), "password": PASSWORD, "email": MAILBOX});
        let asked = ask(
            &app,
            &format!("192.0.2.{number}"),
            "/api/signup_request",
            &body,
        )
        .await;
        begun.push(with_codes(&body, &asked, &app.mailed_code(MAILBOX).await));
    }
    app.http
        .open("/api/signup", &begun[0])
        .await
        .assert_code_rejected();
    app.http.open("/api/signup", &begun[1]).await.token();
    for body in &begun {
        app.http
            .open("/api/signup", body)
            .await
            .assert_code_rejected();
    }
}
