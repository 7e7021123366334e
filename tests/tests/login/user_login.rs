//! Tests that `POST /api/login` returns the init data of the user, and that all failed logins have
//! the same response.

use std::collections::BTreeSet;

use doorward_tests::{
    App, Backend, PASSWORD, on_both_databases,
    snapshots::{assert_json_eq, redact},
};
use http::HeaderMap;
use serde_json::json;

on_both_databases![
    login_returns_the_init_data,
    login_without_projects_shows_no_other_user,
    member_cannot_see_options_of_others,
    every_failed_login_looks_the_same,
    username_is_compared_after_normalization_and_with_case,
    password_is_not_trimmed,
    long_password_is_a_wrong_one,
];

async fn login_returns_the_init_data(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let cas = app.user("cas").await;
    let herbarium = app.installation.create_project("ann", "Herbarium").await;
    let atlas = app.installation.create_project("ben", "Atlas").await;
    let hidden = app.installation.create_project("cas", "Hidden").await;
    app.installation.add_member(&herbarium, "ben").await;
    app.installation.add_member(&atlas, &ann.gid).await;

    let answer = app.http.login("ann", PASSWORD).await;

    let names = [
        (ann.gid.as_str(), "1-ann"),
        (&ben.gid, "2-ben"),
        (&cas.gid, "3-cas"),
        (&herbarium, "1-herbarium"),
        (&atlas, "2-atlas"),
        (&hidden, "3-hidden"),
    ];
    assert_json_eq(
        &redact(&answer.json(), &names),
        &json!({
            "success": true,
            "result": {
                "user": "1-ann",
                "user_projects": {"1-herbarium": ["owner"], "2-atlas": ["member"]},
                "cc.version": "<version>",
                "cc.cursor": "<cursor>"
            },
            "data": {
                "cc.users": {
                    "1-ann": {
                        "gid": "1-ann", "username": "ann", "email": "ann@example.org", "name": "Ann", "avatar": null, "status": "active",
                        "options": {"language": "en", "timezone": "Europe/Amsterdam"}
                    },
                    "2-ben": {"gid": "2-ben", "username": "ben", "name": "Ben", "avatar": null, "status": "active"}
                },
                "cc.projects": {
                    "1-herbarium": {"gid": "1-herbarium", "name": "Herbarium", "icon": null, "owner": "1-ann", "status": "active"},
                    "2-atlas": {"gid": "2-atlas", "name": "Atlas", "icon": null, "owner": "2-ben", "status": "active"}
                },
                "cc.projects_members": [
                    {
                        "project_gid": "1-herbarium", "user_gid": "1-ann", "status": "active", "roles": ["owner"],
                        "options": {
                            "notifications": {"email": "ann@example.org", "events": ["all"], "frequency": "immediate"},
                            "rate_limit_per_second": null
                        }
                    },
                    {
                        "project_gid": "1-herbarium", "user_gid": "2-ben", "status": "active", "roles": ["member"],
                        "options": {"rate_limit_per_second": null}
                    },
                    {
                        "project_gid": "2-atlas", "user_gid": "1-ann", "status": "active", "roles": ["member"],
                        "options": {
                            "notifications": {"email": "ann@example.org", "events": ["all"], "frequency": "immediate"},
                            "rate_limit_per_second": null
                        }
                    },
                    {"project_gid": "2-atlas", "user_gid": "2-ben", "status": "active", "roles": ["owner"]}
                ],
                "cc.languages": "<languages>"
            }
        }),
    );
    answer.success();
    answer.token();
}

async fn login_without_projects_shows_no_other_user(backend: Backend) {
    let app = App::start(backend).await;
    app.user("ann").await;
    let created = app
        .installation
        .cli(
            &["user", "create", "--username", "ben", "--password-stdin"],
            PASSWORD,
        )
        .await
        .assert_success();
    let gid = doorward_tests::installation::gid(&created);

    let answer = app.http.login("ben", PASSWORD).await;

    assert_json_eq(
        &redact(&answer.json(), &[(&gid, "1-ben")]),
        &json!({
            "success": true,
            "result": {"user": "1-ben", "user_projects": {}, "cc.version": "<version>", "cc.cursor": "<cursor>"},
            "data": {
                "cc.users": {
                    "1-ben": {
                        "gid": "1-ben", "username": "ben", "email": null, "name": "", "avatar": null, "status": "active",
                        "options": {"language": "en", "timezone": "Europe/Amsterdam"}
                    }
                },
                "cc.projects": {},
                "cc.projects_members": [],
                "cc.languages": "<languages>"
            }
        }),
    );
}

async fn member_cannot_see_options_of_others(backend: Backend) {
    let app = App::start(backend).await;
    app.user("ann").await;
    app.user("ben").await;
    app.user("cas").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    app.installation.add_member(&project, "ben").await;
    app.installation.add_member(&project, "cas").await;

    let ben = app.http.login("ben", PASSWORD).await;
    let (result, data) = ben.success();

    let memberships = data["cc.projects_members"].as_array().expect("a list");
    assert_eq!(memberships.len(), 3);
    for membership in memberships {
        let is_own = membership["user_gid"] == result["user"];
        assert_eq!(
            membership.get("options").is_some(),
            is_own,
            "{membership:#}"
        );
    }
    assert_eq!(
        data["cc.users"].as_object().map(serde_json::Map::len),
        Some(3)
    );
    assert!(
        !ben.text().contains("ann@example.org") && !ben.text().contains("cas@example.org"),
        "{}",
        ben.text()
    );
}

// Neither the body nor the headers may differ. Response times are tested in `timing.rs`.
async fn every_failed_login_looks_the_same(backend: Backend) {
    let app = App::start(backend).await;
    app.user("ann").await;
    app.user("ben").await;
    app.user("deleted").await;
    app.installation.change_user("deactivate", "ben").await;
    app.installation.change_user("delete", "deleted").await;
    let foreign = crate::login::foreign_hashes::DJANGO;
    app.installation
        .cli(
            &[
                "user",
                "create",
                "--username",
                "foreign",
                "--password-hash",
                foreign,
            ],
            "",
        )
        .await
        .assert_success();

    let too_long = "x".repeat(4_000);
    let attempts = [
        ("nobody", PASSWORD),
        ("ann", "a wrong password"),
        ("ann", ""),
        ("ben", PASSWORD),
        ("ben", "a wrong password"),
        ("deleted", PASSWORD),
        ("foreign", "a wrong password"),
        ("", PASSWORD),
        ("an n", PASSWORD),
        ("ann\u{0}", PASSWORD),
        ("ann@example.org", PASSWORD),
        (&too_long, PASSWORD),
        ("' OR 1=1 --", PASSWORD),
    ];
    let first = app.http.login("nobody", PASSWORD).await;
    for (username, password) in attempts {
        let answer = app.http.login(username, password).await;
        answer.assert_unknown_user();
        assert_eq!(answer.text(), first.text(), "{username:?}");
        assert_eq!(
            comparable_headers(&answer.headers),
            comparable_headers(&first.headers),
            "{username:?}"
        );
    }
}

/// Returns the names and values of the headers, except those that differ in every response. They
/// are sorted, because their order is random.
pub(crate) fn comparable_headers(headers: &HeaderMap) -> BTreeSet<(&str, &[u8])> {
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    pairs
        .filter(|(name, _)| !["date", "x-request-id"].contains(name))
        .collect()
}

async fn username_is_compared_after_normalization_and_with_case(backend: Backend) {
    let app = App::start(backend).await;
    app.user("ann").await;
    app.installation
        .cli(
            &[
                "user",
                "create",
                "--username",
                "zo\u{eb}",
                "--password-stdin",
            ],
            PASSWORD,
        )
        .await
        .assert_success();
    for variant in ["ann", "\u{ff41}\u{ff4e}\u{ff4e}", "zo\u{eb}", "zoe\u{308}"] {
        assert_eq!(
            app.http.login(variant, PASSWORD).await.status,
            200,
            "{variant:?}"
        );
    }
    for other in ["Ann", "ANN", "a nn", "zoe"] {
        app.http.login(other, PASSWORD).await.assert_unknown_user();
    }
}

async fn password_is_not_trimmed(backend: Backend) {
    let app = App::start(backend).await;
    app.user("ann").await;
    let password = "  spaces, \u{e9}lan, e\u{301}lan, \u{1f511} and \"quotes\"  ";
    app.installation
        .cli(
            &["user", "set-password", "ann", "--password-stdin"],
            password,
        )
        .await
        .assert_success();
    assert_eq!(app.http.login("ann", password).await.status, 200);
    for other in [
        password.trim(),
        password.trim_start(),
        password.trim_end(),
        &password.to_uppercase(),
        PASSWORD,
    ] {
        app.http.login("ann", other).await.assert_unknown_user();
    }
}

async fn long_password_is_a_wrong_one(backend: Backend) {
    let app = App::start(backend).await;
    app.user("ann").await;
    let longest = "long-".repeat(51) + "!";
    app.installation
        .cli(
            &["user", "set-password", "ann", "--password-stdin"],
            &longest,
        )
        .await
        .assert_success();
    assert_eq!(app.http.login("ann", &longest).await.status, 200);
    app.http
        .login("ann", &"x".repeat(300))
        .await
        .assert_unknown_user();
    app.http
        .login("ann", &longest.repeat(2))
        .await
        .assert_unknown_user();
    let too_long = longest + "!";
    app.installation
        .cli(
            &["user", "set-password", "ann", "--password-stdin"],
            &too_long,
        )
        .await
        .assert_failure(1);
}
