//! `kill -9` at a certain step of a call that touches two services: nothing has happened yet, or the same call with the same
//! codes completes it.

use std::time::Duration;

use doorward_tests::{
    Answer, Backend, PASSWORD, Services, SmtpServer,
    backend::{LockedTable, block_writes},
    eventually, on_both_databases,
    services::Role::{self, Auth, Directory, Gateway},
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

    /// Nobody can write what the directory tells others of.
    fn hold_directory(&self) -> LockedTable {
        block_writes(&self.split.installation.databases.directory, "feed_head")
    }

    fn hold_auth(&self) -> LockedTable {
        block_writes(&self.split.installation.databases.auth, "credentials")
    }

    /// A call that isn't waited for; it may find nobody who answers.
    fn begin(
        &self,
        token: Option<&str>,
        path: &str,
        body: &Value,
    ) -> JoinHandle<Result<Answer, String>> {
        let call = self.split.http.post(path).json(body);
        let call = match token {
            Some(token) => call.bearer(token),
            None => call,
        };
        tokio::spawn(call.try_send())
    }

    /// Waits until auth has answered a call for the first time.
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

    /// The same call again, as often as a peer that has just started is not found yet.
    async fn again(&self, token: Option<&str>, path: &str, body: &Value) -> Answer {
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

    /// There is one account, and its password is the one of the signup.
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

/// 503 from a gateway that lost its peer, and nothing from one that was killed.
fn assert_cut_off(killed: Role, answer: Result<Answer, String>) {
    match answer {
        Ok(answer) => answer.assert_unavailable(),
        Err(_) => assert_eq!(killed, Gateway),
    }
}

async fn signup_without_auth_has_no_effect(backend: Backend) {
    let mut crashing = CrashFixture::start(backend).await;
    let body = crashing.caller().begin_signup(&newcomer("ann")).await;
    crashing.split.kill(Auth);

    crashing.caller().signup(&body).await.assert_unavailable();
    crashing
        .caller()
        .post("/api/signup_request", &newcomer("ben"))
        .await
        .assert_unavailable();

    assert_eq!(crashing.users("1 = 1"), 0);
    crashing.start_again(Auth).await;
    crashing.again(None, "/api/signup", &body).await.token();
    crashing.has_one_account("ann").await;
}

async fn signup_without_directory_is_completed_by_repetition(backend: Backend) {
    let mut crashing = CrashFixture::start(backend).await;
    let body = crashing.caller().begin_signup(&newcomer("ann")).await;
    crashing.split.kill(Directory);

    // More often than a code may be tried: these are no tries.
    for _ in 0..6 {
        crashing.caller().signup(&body).await.assert_unavailable();
    }

    crashing.start_again(Directory).await;
    crashing.again(None, "/api/signup", &body).await.token();
    crashing.has_one_account("ann").await;
    refused(&crashing.caller().signup(&body).await);
}

async fn signup_killed_during_account_creation_is_completed_by_repetition(backend: Backend) {
    for killed in Role::ALL {
        let mut crashing = CrashFixture::start(backend).await;
        let body = crashing.caller().begin_signup(&newcomer("ann")).await;
        let held = crashing.hold_directory();
        let call = crashing.begin(None, "/api/signup", &body);
        crashing.answered("VerifySignup").await;
        crashing.split.kill(killed);
        drop(held);
        assert_cut_off(killed, call.await.expect("no panic"));
        if killed == Auth {
            eventually("an account", EVENTUALLY_TIMEOUT, async || {
                (crashing.users("1 = 1") == 1).then_some(())
            })
            .await;
        }
        crashing.start_again(killed).await;

        crashing.again(None, "/api/signup", &body).await.token();
        crashing.has_one_account("ann").await;
    }
}

async fn signup_killed_during_completion_is_completed_by_repetition(backend: Backend) {
    for killed in Role::ALL {
        let mut crashing = CrashFixture::start(backend).await;
        let body = crashing.caller().begin_signup(&newcomer("ann")).await;
        let directory = crashing.hold_directory();
        let call = crashing.begin(None, "/api/signup", &body);
        crashing.answered("VerifySignup").await;
        let auth = crashing.hold_auth();
        drop(directory);
        eventually("an account", EVENTUALLY_TIMEOUT, async || {
            (crashing.users("1 = 1") == 1).then_some(())
        })
        .await;
        assert_eq!(
            count(
                &crashing.split.installation.databases.auth,
                "credentials",
                "1 = 1"
            ),
            0
        );
        crashing.split.kill(killed);
        drop(auth);
        // Auth goes on, and then the directory's part of the answer is missing.
        assert_cut_off(killed, call.await.expect("no panic"));
        crashing.start_again(killed).await;

        let answer = crashing.again(None, "/api/signup", &body).await;
        if answer.status == 200 {
            answer.token();
        } else {
            refused(&answer);
            assert_ne!(killed, Auth, "nothing was finished");
        }
        crashing.has_one_account("ann").await;
    }
}

/// Or whoever knows the address could leave its owner with an account without a password.
async fn started_signup_is_not_replaced(backend: Backend) {
    let crashing = CrashFixture::start(backend).await;
    let body = crashing.caller().begin_signup(&newcomer("ann")).await;
    let held = crashing.hold_directory();
    let call = crashing.begin(None, "/api/signup", &body);
    crashing.answered("VerifySignup").await;
    let other = with(&newcomer("other"), "email", "ann@example.org");
    crashing
        .caller()
        .post("/api/signup_request", &other)
        .await
        .success();
    drop(held);
    call.await.expect("no panic").expect("an answer").token();
    assert_eq!(crashing.users("1 = 1"), 1);
    assert_eq!(crashing.split.http.login("ann", PASSWORD).await.status, 200);
}

async fn email_change_without_directory_is_completed_by_repetition(backend: Backend) {
    let mut crashing = CrashFixture::start(backend).await;
    let ann = crashing.split.user("ann").await;
    let body = crashing
        .caller()
        .begin_email_change(&ann.token, "new@example.org")
        .await;
    crashing.split.kill(Directory);
    for _ in 0..6 {
        crashing
            .caller()
            .change_email(&ann.token, &body)
            .await
            .assert_unavailable();
    }
    crashing.start_again(Directory).await;
    crashing
        .again(Some(&ann.token), "/api/account/update_email", &body)
        .await
        .success();
    assert_eq!(
        email_of(&crashing.split.http, &ann.token).await,
        "new@example.org"
    );
    crashing.smtp.mail_to("ann@example.org").await;
    refused(&crashing.caller().change_email(&ann.token, &body).await);
}

async fn interrupted_email_change_is_completed_and_notifies_once(backend: Backend) {
    for killed in Role::ALL {
        let mut crashing = CrashFixture::start(backend).await;
        let ann = crashing.split.user("ann").await;
        let body = crashing
            .caller()
            .begin_email_change(&ann.token, "new@example.org")
            .await;
        let held = crashing.hold_directory();
        let call = crashing.begin(Some(&ann.token), "/api/account/update_email", &body);
        crashing.answered("VerifyEmailChange").await;
        crashing.split.kill(killed);
        drop(held);
        assert_cut_off(killed, call.await.expect("no panic"));
        if killed == Auth {
            let condition = "email = 'new@example.org'";
            eventually("the address", EVENTUALLY_TIMEOUT, async || {
                (crashing.users(condition) == 1).then_some(())
            })
            .await;
        }
        crashing.start_again(killed).await;

        let answer = crashing
            .again(Some(&ann.token), "/api/account/update_email", &body)
            .await;
        answer.success();
        assert_eq!(
            email_of(&crashing.split.http, &ann.token).await,
            "new@example.org"
        );
        let told = crashing.smtp.mail_to("ann@example.org").await;
        assert!(!told.text.contains("new@example.org"), "{}", told.text);
        let outbox = &crashing.split.installation.databases.directory;
        eventually("an empty outbox", EVENTUALLY_TIMEOUT, async || {
            (count(outbox, "outbox", "1 = 1") == 0).then_some(())
        })
        .await;
        assert_eq!(crashing.smtp.count_to("ann@example.org"), 1, "{killed:?}");
    }
}

async fn auth_deletes_data_of_accounts_deleted_while_it_was_down(backend: Backend) {
    let mut crashing = CrashFixture::start(backend).await;
    let ann = crashing.split.user("ann").await;
    crashing
        .caller()
        .begin_email_change(&ann.token, "new@example.org")
        .await;
    crashing.caller().begin_reset("ann").await;
    let auth = crashing.split.installation.databases.auth.clone();
    assert_eq!(
        (
            count(&auth, "codes", "1 = 1"),
            count(&auth, "credentials", "1 = 1")
        ),
        (2, 1)
    );
    crashing.split.kill(Auth);

    let deleted = crashing
        .caller()
        .post_as(&ann.token, "/api/account/delete", &json!({"confirm": true}))
        .await;
    assert_eq!(deleted.success(), (json!({}), json!({})));

    assert_eq!(crashing.users("1 = 1"), 0);
    crashing.start_again(Auth).await;
    let tables = ["codes", "credentials", "known_networks"];
    eventually("nothing left", EVENTUALLY_TIMEOUT, async || {
        tables
            .iter()
            .all(|table| count(&auth, table, "1 = 1") == 0)
            .then_some(())
    })
    .await;
    ann.assert_denied_eventually().await;
    crashing
        .split
        .http
        .login("ann", PASSWORD)
        .await
        .assert_unknown_user();
}

async fn interrupted_reset_has_no_effect(backend: Backend) {
    for killed in [Auth, Directory] {
        let mut crashing = CrashFixture::start(backend).await;
        let ann = crashing.split.user("ann").await;
        let body = crashing.caller().begin_reset("ann").await;
        let held = crashing.hold_auth();
        let call = crashing.begin(None, "/api/reset_password", &body);
        if backend == Backend::Postgres {
            let auth = &crashing.split.installation.databases.auth;
            eventually("a write", EVENTUALLY_TIMEOUT, async || {
                (doorward_tests::backend::count_lock_waiters(auth) > 0).then_some(())
            })
            .await;
        }
        crashing.split.kill(killed);
        if killed == Auth {
            // PostgreSQL goes on with what the dead one had sent, up to its commit.
            drop(held);
            assert_cut_off(killed, call.await.expect("no panic"));
            crashing.start_again(killed).await;
            eventually("an init", EVENTUALLY_TIMEOUT, async || {
                (ann.init().await.status == 200).then_some(())
            })
            .await;
            assert_eq!(crashing.split.http.login("ann", PASSWORD).await.status, 200);
            crashing
                .again(None, "/api/reset_password", &body)
                .await
                .token();
        } else {
            drop(held);
            assert_cut_off(killed, call.await.expect("no panic"));
            crashing.start_again(killed).await;
            let again = crashing.again(None, "/api/reset_password", &body).await;
            assert!(again.status == 200 || again.status == 422, "{again:?}");
        }
        crashing
            .split
            .http
            .login("ann", PASSWORD)
            .await
            .assert_unknown_user();
        assert_eq!(
            crashing.split.http.login("ann", NEW_PASSWORD).await.status,
            200
        );
    }
}
