//! Tests that a new password revokes earlier tokens, also renewed ones and those of logins in
//! progress, and no later ones.

use std::time::Duration;

use doorward_tests::{
    Backend, Http, Installation, PASSWORD, Response, Services, eventually, on_both_databases,
    services::Role::Auth,
};
use futures_util::future::join_all;

use crate::login::foreign_hashes::{DJANGO, FOREIGN_PASSWORD};

on_both_databases![
    new_password_ends_renewed_tokens_too,
    login_works_at_once_also_after_many_new_passwords_in_a_second,
    login_with_a_new_password_works_at_once_also_after_several_in_a_second,
    login_in_progress_with_the_old_password_gets_no_valid_token,
];

/// Maximum time until a revocation reaches the gateway.
const EVENTUALLY_TIMEOUT: Duration = Duration::from_secs(10);

async fn set_password(installation: &Installation, password: &str) {
    installation
        .cli(
            &["user", "set-password", "ann", "--password-stdin"],
            password,
        )
        .await
        .assert_success();
}

async fn new_password_ends_renewed_tokens_too(backend: Backend) {
    let split = Services::start(backend).await;
    split.installation.create_user("ann").await;
    let mut tokens = vec![split.http.login("ann", PASSWORD).await.token()];
    for _ in 0..3 {
        let renewed = split.http.init(&tokens[0]).await.token();
        assert!(!tokens.contains(&renewed), "not renewed");
        tokens.insert(0, renewed);
    }

    let renewing = tokio::spawn(renew_until_refused(split.http.clone(), tokens[0].clone()));

    set_password(&split.installation, "another good password").await;

    let rejected = tokio::time::timeout(EVENTUALLY_TIMEOUT, renewing)
        .await
        .expect("a rejected renewal in time");
    rejected.expect("an answer").assert_unauthenticated();
    for token in &tokens {
        split.http.denied_soon(token).await;
    }
    let token = split
        .http
        .login("ann", "another good password")
        .await
        .token();
    let renewed = split.http.init(&token).await.token();
    assert_eq!(split.http.init(&renewed).await.status, 200);
    for token in &tokens {
        split.http.init(token).await.assert_unauthenticated();
    }
}

/// Renews a token, then the renewed one, and so on, until a renewal is rejected.
async fn renew_until_refused(http: Http, mut token: String) -> Response {
    loop {
        let answer = http.init(&token).await;
        if answer.status != 200 {
            return answer;
        }
        token = answer.token();
    }
}

async fn login_with_a_new_password_works_at_once_also_after_several_in_a_second(backend: Backend) {
    let split = Services::start(backend).await;
    split.installation.create_user("ann").await;
    let mut earlier: Vec<String> = Vec::new();
    for number in 0..4 {
        let password = format!("good password number {number}");
        set_password(&split.installation, &password).await;
        let token = split.http.login("ann", &password).await.token();
        let renewed = split.http.init(&token).await.token();
        assert_eq!(split.http.init(&renewed).await.status, 200);
        for token in &earlier {
            split.http.denied_soon(token).await;
        }
        earlier = vec![token, renewed];
    }
    for token in &earlier {
        assert_eq!(split.http.init(token).await.status, 200);
    }
}

async fn login_in_progress_with_the_old_password_gets_no_valid_token(backend: Backend) {
    let mut split = Services::prepare(backend).await;
    // Logins are hashed one after the other, each for a third of a second.
    split.installation = split.installation.with(&[
        ("DOORWARD_HASH_WORKERS", "1"),
        ("DOORWARD_ARGON2_MEMORY_KIB", "65536"),
        ("DOORWARD_ARGON2_PASSES", "8"),
    ]);
    split.start_all().await;
    split.installation.create_user("ann").await;
    let logins: Vec<_> = (0..4)
        .map(|_| tokio::spawn(split.http.login_call("ann", PASSWORD).send()))
        .collect();
    // The logins in the queue have already read the old hash.
    let ops = split.ops(Auth);
    eventually("a queue", Duration::from_secs(5), async || {
        Some(ops.metric("doorward_hash_queue_length").await).filter(|length| *length >= 2.0)
    })
    .await;

    // Setting a hash takes no time, unlike setting a password.
    let words = ["user", "set-password", "ann", "--password-hash", DJANGO];
    split.installation.cli(&words, "").await.assert_success();

    assert!(
        logins.iter().any(|login| !login.is_finished()),
        "all logins ended before the password was changed"
    );
    for login in logins {
        let answer: Response = login.await.expect("an answer");
        if answer.status == 200 {
            split.http.denied_soon(&answer.token()).await;
        } else {
            answer.assert_unknown_user();
        }
    }
    split
        .http
        .login("ann", PASSWORD)
        .await
        .assert_unknown_user();
    let token = split.http.login("ann", FOREIGN_PASSWORD).await.token();
    assert_eq!(split.http.init(&token).await.status, 200);
}

async fn login_works_at_once_also_after_many_new_passwords_in_a_second(backend: Backend) {
    let split = Services::start(backend).await;
    split.installation.create_user("ann").await;
    let words = ["user", "set-password", "ann", "--password-hash", DJANGO];
    let changes = (0..12).map(|_| split.installation.cli(&words, ""));
    join_all(changes)
        .await
        .into_iter()
        .for_each(|output| drop(output.assert_success()));
    let token = split.http.login("ann", FOREIGN_PASSWORD).await.token();
    let renewed = split.http.init(&token).await.token();
    assert_eq!(split.http.init(&renewed).await.status, 200);
}
