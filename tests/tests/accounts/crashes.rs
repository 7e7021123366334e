//! Tests that a call that changes two services has no effect after `kill -9` at a certain step, or
//! is completed by repeating it with the same codes.

use std::time::Duration;

use doorward_tests::{
    Backend, PASSWORD, Response, Services, SmtpServer, eventually, on_both_databases,
    services::Role::{self, Auth, Directory, Gateway},
    sql::{LockedTable, block_writes},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::accounts::steps::{
    AccountClient, NEW_PASSWORD, count, email_of, newcomer, refused, split, with,
};

on_both_databases![
    signup_without_auth_has_no_effect,
    signup_without_directory_is_completed_by_repetition,
    signup_killed_during_account_creation_is_completed_by_repetition,
    signup_killed_during_completion_is_completed_by_repetition,
    started_signup_is_not_replaced,
    email_change_without_directory_is_completed_by_repetition,
    interrupted_email_change_is_completed_and_notifies_once,
    auth_deletes_data_of_accounts_deleted_while_it_was_down,
    interrupted_reset_has_no_effect,
];

const EVENTUALLY_TIMEOUT: Duration = Duration::from_secs(10);

struct CrashFixture {
    split: Services,
    smtp: SmtpServer,
}

impl CrashFixture {
    async fn start(backend: Backend) -> Self {
        let smtp = SmtpServer::start().await;
        Self {
            split: split(backend, &smtp, &[]).await,
            smtp,
        }
    }

    fn caller(&self) -> AccountClient<'_> {
        AccountClient {
            http: &self.split.http,
            smtp: &self.smtp,
        }
    }

    async fn start_again(&mut self, role: Role) {
        self.split.start_service(role);
        self.split.ready(role).await;
    }

    /// Blocks all changes of the directory, because each one appends to the change feed.
    fn hold_directory(&self) -> LockedTable {
        block_writes(&self.split.installation.databases.directory, "feed_head")
    }

    /// Blocks changes of passwords in auth.
    fn hold_auth(&self) -> LockedTable {
        block_writes(&self.split.installation.databases.auth, "credentials")
    }

    /// Starts a call without waiting for its response. The call can fail if its gateway is killed.
    fn begin(
        &self,
        token: Option<&str>,
        path: &str,
        body: &Value,
    ) -> JoinHandle<Result<Response, String>> {
        let call = self.split.http.post(path).json(body);
        let call = match token {
            Some(token) => call.bearer(token),
            None => call,
        };
        tokio::spawn(call.try_send())
    }

    /// Waits until auth has answered an RPC of this method for the first time.
    async fn answered(&self, method: &str) {
        let metric = format!(
            "doorward_grpc_request_duration_seconds_count{{method=\"doorward.auth.v1.Auth/{method}\"}}"
        );
        let ops = self.split.ops(Auth);
        eventually(method, EVENTUALLY_TIMEOUT, async || {
            (ops.metric(&metric).await >= 1.0).then_some(())
        })
        .await;
    }

    fn users(&self, condition: &str) -> usize {
        count(
            &self.split.installation.databases.directory,
            "users",
            condition,
        )
    }

    /// Repeats a call until its status is not 503. A peer that has just restarted is not reachable
    /// at once.
    async fn again(&self, token: Option<&str>, path: &str, body: &Value) -> Response {
        eventually(path, EVENTUALLY_TIMEOUT, async || {
            let answer = self
                .begin(token, path, body)
                .await
                .expect("no panic")
                .expect("an answer");
            (answer.status != 503).then_some(answer)
        })
        .await
    }

    /// Asserts that there is one account, with the password of the signup, and no code.
    async fn has_one_account(&self, username: &str) {
        assert_eq!(self.users(&format!("username = '{username}'")), 1);
        assert_eq!(self.users("1 = 1"), 1);
        assert_eq!(self.split.http.login(username, PASSWORD).await.status, 200);
        let auth = &self.split.installation.databases.auth;
        assert_eq!(
            (
                count(auth, "credentials", "1 = 1"),
                count(auth, "codes", "1 = 1")
            ),
            (1, 0)
        );
    }
}

/// Asserts a 503 from a gateway whose peer was killed, or no response from a killed gateway. A call
/// that was complete before the kill fails the test.
fn assert_cut_off(killed: Role, answer: Result<Response, String>) {
    match answer {
        Ok(answer) => answer.assert_unavailable(),
        Err(_) => assert_eq!(killed, Gateway),
    }
}

async fn signup_without_auth_has_no_effect(backend: Backend) {
    let mut fixture = CrashFixture::start(backend).await;
    let body = fixture.caller().begin_signup(&newcomer("ann")).await;
    fixture.split.kill(Auth);

    fixture.caller().signup(&body).await.assert_unavailable();
    fixture
        .caller()
        .post("/api/signup_request", &newcomer("ben"))
        .await
        .assert_unavailable();

    assert_eq!(fixture.users("1 = 1"), 0);
    fixture.start_again(Auth).await;
    fixture.again(None, "/api/signup", &body).await.token();
    fixture.has_one_account("ann").await;
}

async fn signup_without_directory_is_completed_by_repetition(backend: Backend) {
    let mut fixture = CrashFixture::start(backend).await;
    let body = fixture.caller().begin_signup(&newcomer("ann")).await;
    fixture.split.kill(Directory);

    // Six calls are more than the attempts of a code: calls that fail this way are not counted.
    for _ in 0..6 {
        fixture.caller().signup(&body).await.assert_unavailable();
    }

    fixture.start_again(Directory).await;
    fixture.again(None, "/api/signup", &body).await.token();
    fixture.has_one_account("ann").await;
    refused(&fixture.caller().signup(&body).await);
}

async fn signup_killed_during_account_creation_is_completed_by_repetition(backend: Backend) {
    for killed in Role::ALL {
        let mut fixture = CrashFixture::start(backend).await;
        let body = fixture.caller().begin_signup(&newcomer("ann")).await;
        let lock = fixture.hold_directory();
        let call = fixture.begin(None, "/api/signup", &body);
        fixture.answered("VerifySignup").await;
        fixture.split.kill(killed);
        drop(lock);
        assert_cut_off(killed, call.await.expect("no panic"));
        if killed == Auth {
            eventually("an account", EVENTUALLY_TIMEOUT, async || {
                (fixture.users("1 = 1") == 1).then_some(())
            })
            .await;
        }
        fixture.start_again(killed).await;

        fixture.again(None, "/api/signup", &body).await.token();
        fixture.has_one_account("ann").await;
    }
}

async fn signup_killed_during_completion_is_completed_by_repetition(backend: Backend) {
    for killed in Role::ALL {
        let mut fixture = CrashFixture::start(backend).await;
        let body = fixture.caller().begin_signup(&newcomer("ann")).await;
        let directory = fixture.hold_directory();
        let call = fixture.begin(None, "/api/signup", &body);
        fixture.answered("VerifySignup").await;
        let auth = fixture.hold_auth();
        drop(directory);
        eventually("an account", EVENTUALLY_TIMEOUT, async || {
            (fixture.users("1 = 1") == 1).then_some(())
        })
        .await;
        assert_eq!(
            count(
                &fixture.split.installation.databases.auth,
                "credentials",
                "1 = 1"
            ),
            0
        );
        fixture.split.kill(killed);
        drop(auth);
        // If directory was killed, auth completes its part, but the gateway cannot read the user.
        assert_cut_off(killed, call.await.expect("no panic"));
        fixture.start_again(killed).await;

        let answer = fixture.again(None, "/api/signup", &body).await;
        if answer.status == 200 {
            answer.token();
        } else {
            refused(&answer);
            assert_ne!(killed, Auth, "auth had not completed the signup");
        }
        fixture.has_one_account("ann").await;
    }
}

// Otherwise another person who knows the address could cause an account without a password.
async fn started_signup_is_not_replaced(backend: Backend) {
    let fixture = CrashFixture::start(backend).await;
    let body = fixture.caller().begin_signup(&newcomer("ann")).await;
    let lock = fixture.hold_directory();
    let call = fixture.begin(None, "/api/signup", &body);
    fixture.answered("VerifySignup").await;
    let other = with(&newcomer("other"), "email", "ann@example.org");
    fixture
        .caller()
        .post("/api/signup_request", &other)
        .await
        .success();
    drop(lock);
    call.await.expect("no panic").expect("an answer").token();
    assert_eq!(fixture.users("1 = 1"), 1);
    assert_eq!(fixture.split.http.login("ann", PASSWORD).await.status, 200);
}

async fn email_change_without_directory_is_completed_by_repetition(backend: Backend) {
    let mut fixture = CrashFixture::start(backend).await;
    let ann = fixture.split.user("ann").await;
    let body = fixture
        .caller()
        .begin_email_change(&ann.token, "new@example.org")
        .await;
    fixture.split.kill(Directory);
    for _ in 0..6 {
        fixture
            .caller()
            .change_email(&ann.token, &body)
            .await
            .assert_unavailable();
    }
    fixture.start_again(Directory).await;
    fixture
        .again(Some(&ann.token), "/api/account/update_email", &body)
        .await
        .success();
    assert_eq!(
        email_of(&fixture.split.http, &ann.token).await,
        "new@example.org"
    );
    fixture.smtp.mail_to("ann@example.org").await;
    refused(&fixture.caller().change_email(&ann.token, &body).await);
}

async fn interrupted_email_change_is_completed_and_notifies_once(backend: Backend) {
    for killed in Role::ALL {
        let mut fixture = CrashFixture::start(backend).await;
        let ann = fixture.split.user("ann").await;
        let body = fixture
            .caller()
            .begin_email_change(&ann.token, "new@example.org")
            .await;
        let lock = fixture.hold_directory();
        let call = fixture.begin(Some(&ann.token), "/api/account/update_email", &body);
        fixture.answered("VerifyEmailChange").await;
        fixture.split.kill(killed);
        drop(lock);
        assert_cut_off(killed, call.await.expect("no panic"));
        if killed == Auth {
            let condition = "email = 'new@example.org'";
            eventually("the address", EVENTUALLY_TIMEOUT, async || {
                (fixture.users(condition) == 1).then_some(())
            })
            .await;
        }
        fixture.start_again(killed).await;

        let answer = fixture
            .again(Some(&ann.token), "/api/account/update_email", &body)
            .await;
        answer.success();
        assert_eq!(
            email_of(&fixture.split.http, &ann.token).await,
            "new@example.org"
        );
        let notification = fixture.smtp.mail_to("ann@example.org").await;
        assert!(
            !notification.text.contains("new@example.org"),
            "{}",
            notification.text
        );
        let outbox = &fixture.split.installation.databases.directory;
        eventually("an empty outbox", EVENTUALLY_TIMEOUT, async || {
            (count(outbox, "outbox", "1 = 1") == 0).then_some(())
        })
        .await;
        assert_eq!(fixture.smtp.count_to("ann@example.org"), 1, "{killed:?}");
    }
}

async fn auth_deletes_data_of_accounts_deleted_while_it_was_down(backend: Backend) {
    let mut fixture = CrashFixture::start(backend).await;
    let ann = fixture.split.user("ann").await;
    fixture
        .caller()
        .begin_email_change(&ann.token, "new@example.org")
        .await;
    fixture.caller().begin_reset("ann").await;
    let auth = fixture.split.installation.databases.auth.clone();
    assert_eq!(
        (
            count(&auth, "codes", "1 = 1"),
            count(&auth, "credentials", "1 = 1")
        ),
        (2, 1)
    );
    fixture.split.kill(Auth);

    let deleted = fixture
        .caller()
        .post_as(&ann.token, "/api/account/delete", &json!({"confirm": true}))
        .await;
    assert_eq!(deleted.success(), (json!({}), json!({})));

    assert_eq!(fixture.users("1 = 1"), 0);
    fixture.start_again(Auth).await;
    let tables = ["codes", "credentials", "known_networks"];
    eventually("empty tables", EVENTUALLY_TIMEOUT, async || {
        tables
            .iter()
            .all(|table| count(&auth, table, "1 = 1") == 0)
            .then_some(())
    })
    .await;
    ann.assert_denied_eventually().await;
    fixture
        .split
        .http
        .login("ann", PASSWORD)
        .await
        .assert_unknown_user();
}

async fn interrupted_reset_has_no_effect(backend: Backend) {
    for killed in [Auth, Directory] {
        let mut fixture = CrashFixture::start(backend).await;
        let ann = fixture.split.user("ann").await;
        let body = fixture.caller().begin_reset("ann").await;
        let lock = fixture.hold_auth();
        let call = fixture.begin(None, "/api/reset_password", &body);
        if backend == Backend::Postgres {
            let auth = &fixture.split.installation.databases.auth;
            eventually("a write", EVENTUALLY_TIMEOUT, async || {
                (doorward_tests::sql::count_lock_waiters(auth) > 0).then_some(())
            })
            .await;
        }
        fixture.split.kill(killed);
        if killed == Auth {
            // PostgreSQL still completes the statement of the killed process, but not its commit.
            drop(lock);
            assert_cut_off(killed, call.await.expect("no panic"));
            fixture.start_again(killed).await;
            eventually("an init", EVENTUALLY_TIMEOUT, async || {
                (ann.init().await.status == 200).then_some(())
            })
            .await;
            assert_eq!(fixture.split.http.login("ann", PASSWORD).await.status, 200);
            fixture
                .again(None, "/api/reset_password", &body)
                .await
                .token();
        } else {
            drop(lock);
            assert_cut_off(killed, call.await.expect("no panic"));
            fixture.start_again(killed).await;
            let again = fixture.again(None, "/api/reset_password", &body).await;
            assert!(again.status == 200 || again.status == 422, "{again:?}");
        }
        fixture
            .split
            .http
            .login("ann", PASSWORD)
            .await
            .assert_unknown_user();
        assert_eq!(
            fixture.split.http.login("ann", NEW_PASSWORD).await.status,
            200
        );
    }
}
