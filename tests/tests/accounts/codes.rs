//! Tests that a code pair is valid only for its purpose, its user and its data, and only until an
//! event that invalidates it.

use doorward_tests::{Backend, PASSWORD, SmtpServer, on_both_databases};
use serde_json::{Value, json};

use crate::accounts::steps::{
    AccountClient, NEW_PASSWORD, app, count, email_of, newcomer, refused, validation_code, with,
};

on_both_databases![
    code_is_valid_for_its_purpose_only,
    code_is_valid_for_its_user_only,
    success_invalidates_other_requests,
    new_password_invalidates_pending_email_change,
    new_address_invalidates_codes_of_the_old_one,
    codes_end_with_the_account,
    unverified_signup_does_not_hijack_an_address,
    reused_username_and_address_inherit_nothing,
];

async fn code_is_valid_for_its_purpose_only(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let ann = app.user("ann").await;
    let signup = caller.begin_signup(&newcomer("new")).await;
    let reset = caller.begin_reset("ann").await;
    let email = caller
        .begin_email_change(&ann.token, "other@example.org")
        .await;
    let codes = [&signup, &reset, &email];
    let with_codes_of = |body: &Value, other: &Value| {
        let body = with(body, "validation_code", other["validation_code"].clone());
        with(
            &body,
            "verification_code",
            other["verification_code"].clone(),
        )
    };
    for (index, other) in codes.iter().enumerate() {
        if index != 0 {
            refused(&caller.signup(&with_codes_of(&signup, other)).await);
        }
        if index != 1 {
            refused(&caller.reset(&with_codes_of(&reset, other)).await);
        }
        if index != 2 {
            refused(
                &caller
                    .change_email(&ann.token, &with_codes_of(&email, other))
                    .await,
            );
        }
    }
    // Half of the code pair of another call is rejected, too.
    refused(
        &caller
            .reset(&with(
                &reset,
                "verification_code",
                email["verification_code"].clone(),
            ))
            .await,
    );
    refused(
        &caller
            .reset(&with(
                &reset,
                "validation_code",
                email["validation_code"].clone(),
            ))
            .await,
    );
    caller.change_email(&ann.token, &email).await.success();
    caller.signup(&signup).await.token();
}

async fn code_is_valid_for_its_user_only(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let reset = caller.begin_reset("ann").await;
    refused(&caller.reset(&with(&reset, "username", "ben")).await);
    let email = caller
        .begin_email_change(&ann.token, "other@example.org")
        .await;
    refused(&caller.change_email(&ben.token, &email).await);
    refused(
        &caller
            .change_email(&ann.token, &with(&email, "email", "third@example.org"))
            .await,
    );
    let signup = caller.begin_signup(&newcomer("new")).await;
    for (name, other) in [
        ("username", "newer"),
        ("email", "newer@example.org"),
        ("password", NEW_PASSWORD),
    ] {
        refused(&caller.signup(&with(&signup, name, other)).await);
    }
    assert_eq!(
        count(&app.installation.databases.directory, "users", "1 = 1"),
        2
    );
    // The failed attempts have not invalidated the codes.
    let upper_case = with(&email, "email", "Other@Example.ORG");
    caller.change_email(&ann.token, &upper_case).await.success();
    caller
        .signup(&with(&signup, "email", "NEW@example.org"))
        .await
        .token();
}

async fn success_invalidates_other_requests(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let ann = app.user("ann").await;
    let signup = caller.begin_signup(&newcomer("new")).await;
    let again = caller.begin_signup(&newcomer("new")).await;
    caller.signup(&signup).await.token();
    refused(&caller.signup(&again).await);
    let first = caller
        .begin_email_change(&ann.token, "first@example.org")
        .await;
    let second = caller
        .begin_email_change(&ann.token, "second@example.org")
        .await;
    caller.change_email(&ann.token, &first).await.success();
    refused(&caller.change_email(&ann.token, &second).await);
    assert_eq!(email_of(&app.http, &ann.token).await, "first@example.org");
}

async fn new_password_invalidates_pending_email_change(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let ann = app.user("ann").await;
    // An attacker with ann's token tries to replace her address.
    let theirs = caller
        .begin_email_change(&ann.token, "thief@example.org")
        .await;
    let reset = caller.begin_reset("ann").await;
    let changed = caller
        .post_as(
            &ann.token,
            "/api/account/update",
            &json!({"password": NEW_PASSWORD}),
        )
        .await;
    let token = changed.token();
    app.http.denied_soon(&ann.token).await;
    caller
        .change_email(&ann.token, &theirs)
        .await
        .assert_unauthenticated();
    refused(&caller.change_email(&token, &theirs).await);
    refused(&caller.reset(&reset).await);
    // This mail says that the password was changed. The next one has the code of a reset.
    smtp.mail_to("ann@example.org").await;

    let theirs = caller.begin_email_change(&token, "thief@example.org").await;
    let reset = with(&caller.begin_reset("ann").await, "new_password", PASSWORD);
    let token = caller.reset(&reset).await.token();
    refused(&caller.change_email(&token, &theirs).await);
    assert_eq!(email_of(&app.http, &token).await, "ann@example.org");
}

// A person with access to the old mailbox must not be able to use codes from it.
async fn new_address_invalidates_codes_of_the_old_one(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let ann = app.user("ann").await;
    let reset = caller.begin_reset("ann").await;
    let email = caller
        .begin_email_change(&ann.token, "new@example.org")
        .await;
    caller.change_email(&ann.token, &email).await.success();
    smtp.mail_to("ann@example.org").await;
    refused(&caller.reset(&reset).await);
    let begun = caller
        .post(
            "/api/reset_password_request",
            &json!({"username_or_email": "ann"}),
        )
        .await;
    let code = smtp.mail_to("new@example.org").await.code();
    let reset = with(
        &with(&reset, "validation_code", validation_code(&begun)),
        "verification_code",
        code,
    );
    caller.reset(&reset).await.token();
    assert_eq!(smtp.count_to("ann@example.org"), 2);
}

async fn codes_end_with_the_account(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let ann = app.user("ann").await;
    let reset = caller.begin_reset("ann").await;
    let email = caller
        .begin_email_change(&ann.token, "other@example.org")
        .await;
    caller
        .post_as(&ann.token, "/api/account/delete", &json!({"confirm": true}))
        .await
        .success();
    caller
        .reset(&reset)
        .await
        .assert_unprocessable("user_not_found");
    caller
        .change_email(&ann.token, &email)
        .await
        .assert_unauthenticated();
    assert_eq!(count(&app.installation.databases.auth, "codes", "1 = 1"), 0);
    assert_eq!(
        count(&app.installation.databases.auth, "credentials", "1 = 1"),
        0
    );
}

/// Regression test for account pre-hijacking (PocketBase CVE-2024-38351, CVE-2026-44166;
/// Vaultwarden CVE-2026-47164).
async fn unverified_signup_does_not_hijack_an_address(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let thief = app.user("thief").await;
    let address = "owner@example.org";
    let theirs = with(
        &with(&newcomer("claimed"), "email", address),
        "password",
        NEW_PASSWORD,
    );
    let begun = caller.post("/api/signup_request", &theirs).await;
    let theirs = with(&theirs, "validation_code", validation_code(&begun));
    let change = caller
        .post_as(
            &thief.token,
            "/api/account/update_email_request",
            &json!({"email": address}),
        )
        .await;
    let change = json!({"email": address, "validation_code": validation_code(&change)});
    for _ in 0..2 {
        smtp.mail_to(address).await;
    }

    let owners = caller.begin_signup(&newcomer("owner")).await;
    // Even the owner's verification code does not help without the owner's validation code.
    let code = owners["verification_code"].clone();
    refused(
        &caller
            .signup(&with(&theirs, "verification_code", code.clone()))
            .await,
    );
    refused(
        &caller
            .change_email(&thief.token, &with(&change, "verification_code", code))
            .await,
    );
    let token = caller.signup(&owners).await.token();

    let (result, data) = app.http.init(&token).await.success();
    let gid = result["user"].as_str().expect("a gid");
    assert_eq!(
        data["cc.users"].as_object().map(serde_json::Map::len),
        Some(1)
    );
    assert_eq!(data["cc.users"][gid]["username"], json!("owner"));
    app.http
        .login("owner", NEW_PASSWORD)
        .await
        .assert_unknown_user();
    app.http
        .login("claimed", NEW_PASSWORD)
        .await
        .assert_unknown_user();
    let body = json!({"username_or_email": address});
    let (result, _) = caller
        .post("/api/reset_password_request", &body)
        .await
        .success();
    assert_eq!(result["usernames"], json!(["owner"]));
}

/// Regression test for reused usernames (ZITADEL CVE-2026-55670).
async fn reused_username_and_address_inherit_nothing(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let ben = app.user("ben").await;
    let first = caller
        .signup(&caller.begin_signup(&newcomer("ann")).await)
        .await;
    let token = first.token();
    let gid = first.success().0["user"].clone();
    let project = app.installation.create_project("ben", "Herbarium").await;
    app.installation.add_member(&project, "ann").await;
    let reset = caller.begin_reset("ann").await;
    let email = caller.begin_email_change(&token, "other@example.org").await;
    caller
        .post_as(&token, "/api/account/delete", &json!({"confirm": true}))
        .await
        .success();

    let again = with(&newcomer("ann"), "password", "violet Xylophone 77 tundra");
    let second = caller.signup(&caller.begin_signup(&again).await).await;
    let (result, data) = second.success();
    assert_ne!(result["user"], gid);
    assert_eq!(result["user_projects"], json!({}));
    assert_eq!(data["cc.projects_members"], json!([]));
    app.http.init(&token).await.assert_unauthenticated();
    app.http.login("ann", PASSWORD).await.assert_unknown_user();
    refused(&caller.reset(&reset).await);
    refused(&caller.change_email(&second.token(), &email).await);
    let member = json!({"project": project, "member": result["user"]});
    assert_ne!(ben.call("/api/members/get", &member).await.status, 200);
}
