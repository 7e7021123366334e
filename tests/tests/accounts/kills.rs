//! Tests that after `kill -9` at any moment of a call, an answered call is complete and an
//! unanswered one can be completed by repeating it.

use std::{collections::HashSet, time::Duration};

use doorward_tests::{
    Backend, PASSWORD, Services, SmtpServer, eventually, on_both_databases, services::Role,
    sql::execute,
};
use serde_json::Value;

use crate::accounts::steps::{
    AccountClient, NEW_PASSWORD, count, email_of, newcomer, refused, split,
};

on_both_databases![
    signups_survive_kills_at_any_moment,
    resets_survive_kills_at_any_moment,
    email_changes_survive_kills_at_any_moment,
];

const EVENTUALLY_TIMEOUT: Duration = Duration::from_secs(10);
/// Number of kills of each service in a test with all three.
const ROUNDS: u64 = 4;

/// Starts a call, kills a service after a short delay, and restarts it. Returns the status of the
/// call if there was a response.
async fn interrupt(
    split: &mut Services,
    token: Option<&str>,
    path: &str,
    body: &Value,
    round: u64,
) -> Option<u16> {
    let killed = Role::ALL[usize::try_from(round).expect("small") % Role::ALL.len()];
    let call = split.http.post(path).json(body);
    let call = match token {
        Some(token) => call.bearer(token),
        None => call,
    };
    let call = tokio::spawn(call.try_send());
    // A call takes about twenty milliseconds, so the rounds cover all its steps.
    tokio::time::sleep(Duration::from_millis(1 + round * 5 % 37)).await;
    split.kill(killed);
    let status = call
        .await
        .expect("no panic")
        .ok()
        .map(|answer| answer.status);
    split.start_service(killed);
    split.ready(killed).await;
    assert!([None, Some(200), Some(503)].contains(&status), "{status:?}");
    status
}

/// Repeats a call until its status is not 503, and returns the status.
async fn complete(split: &Services, token: Option<&str>, path: &str, body: &Value) -> u16 {
    eventually(path, EVENTUALLY_TIMEOUT, async || {
        let call = split.http.post(path).json(body);
        let call = match token {
            Some(token) => call.bearer(token),
            None => call,
        };
        let answer = call.send().await;
        if answer.status == 422 {
            refused(&answer);
        }
        (answer.status != 503).then_some(answer.status)
    })
    .await
}

async fn signups_survive_kills_at_any_moment(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let mut split = split(backend, &smtp, &[]).await;
    for round in 0..ROUNDS * 3 {
        let username = format!("ann-{round}");
        let body = eventually("a signup", EVENTUALLY_TIMEOUT, async || {
            let caller = AccountClient {
                http: &split.http,
                smtp: &smtp,
            };
            let is_up = caller
                .post("/api/username", &newcomer(&username))
                .await
                .status
                == 200;
            if is_up {
                Some(caller.begin_signup(&newcomer(&username)).await)
            } else {
                None
            }
        })
        .await;
        let status = interrupt(&mut split, None, "/api/signup", &body, round).await;
        let again = complete(&split, None, "/api/signup", &body).await;
        // A code works once. If it is rejected now, the first call has created the account.
        assert!(
            again == 422 || (again == 200 && status != Some(200)),
            "{status:?}, then {again}"
        );
        let login = eventually("a login", EVENTUALLY_TIMEOUT, async || {
            Some(split.http.login(&username, PASSWORD).await).filter(|answer| answer.status != 503)
        });
        assert_eq!(login.await.status, 200, "{username}");
    }
    let databases = &split.installation.databases;
    let accounts = usize::try_from(ROUNDS * 3).expect("small");
    assert_eq!(count(&databases.directory, "users", "1 = 1"), accounts);
    assert_eq!(count(&databases.auth, "credentials", "1 = 1"), accounts);
    assert_eq!(count(&databases.auth, "codes", "1 = 1"), 0);
}

async fn resets_survive_kills_at_any_moment(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let mut split = split(backend, &smtp, &[]).await;
    for round in 0..ROUNDS * 2 {
        let username = format!("ann-{round}");
        split.installation.create_user(&username).await;
        eventually("a login", EVENTUALLY_TIMEOUT, async || {
            (split.http.login(&username, PASSWORD).await.status == 200).then_some(())
        })
        .await;
        let body = AccountClient {
            http: &split.http,
            smtp: &smtp,
        }
        .begin_reset(&username)
        .await;
        let status = interrupt(&mut split, None, "/api/reset_password", &body, round).await;
        let again = complete(&split, None, "/api/reset_password", &body).await;
        assert!(
            again == 422 || (again == 200 && status != Some(200)),
            "{status:?}, then {again}"
        );
        assert_eq!(
            split.http.login(&username, NEW_PASSWORD).await.status,
            200,
            "{username}"
        );
        split
            .http
            .login(&username, PASSWORD)
            .await
            .assert_unknown_user();
    }
}

async fn email_changes_survive_kills_at_any_moment(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let mut split = split(backend, &smtp, &[]).await;
    for round in 0..ROUNDS * 2 {
        let username = format!("ann-{round}");
        let address = format!("new-{round}@example.org");
        split.installation.create_user(&username).await;
        let token = eventually("a login", EVENTUALLY_TIMEOUT, async || {
            Some(split.http.login(&username, PASSWORD).await).filter(|answer| answer.status == 200)
        })
        .await
        .token();
        let caller = AccountClient {
            http: &split.http,
            smtp: &smtp,
        };
        let body = caller.begin_email_change(&token, &address).await;
        let status = interrupt(
            &mut split,
            Some(&token),
            "/api/account/update_email",
            &body,
            round,
        )
        .await;
        let again = complete(&split, Some(&token), "/api/account/update_email", &body).await;
        assert!(
            again == 422 || (again == 200 && status != Some(200)),
            "{status:?}, then {again}"
        );
        assert_eq!(email_of(&split.http, &token).await, address);
        let old = format!("{username}@example.org");
        let outbox = &split.installation.databases.directory;
        // A mail that a killed process was sending waits until its lease expires.
        execute(
            outbox,
            "UPDATE outbox SET next_attempt_at = 0, leased_until = NULL",
        );
        smtp.mail_to(&old).await;
        eventually("an empty outbox", EVENTUALLY_TIMEOUT, async || {
            (count(outbox, "outbox", "1 = 1") == 0).then_some(())
        })
        .await;
        let mails = smtp.mails().into_iter().filter(|mail| mail.to == old);
        let ids: HashSet<String> = mails
            .map(|mail| mail.header("Message-ID").to_owned())
            .collect();
        assert_eq!(ids.len(), 1, "{username}");
    }
}
