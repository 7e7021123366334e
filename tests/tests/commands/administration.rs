//! Tests the administration of users, projects and members with the command line.

use doorward_tests::{
    App, Backend, Installation, PASSWORD, eventually, installation::gid, on_both_databases,
};
use serde_json::{Value, json};
use std::time::Duration;

on_both_databases![
    users_are_created_listed_and_shown_as_json,
    user_is_named_by_username_or_gid,
    password_from_stdin_ends_before_its_line_break,
    new_password_replaces_the_old_one,
    invalid_creation_changes_nothing,
    projects_are_created_listed_and_shown_as_json,
    members_are_added_and_listed_as_json,
    project_owner_cannot_be_deleted,
    administration_needs_no_server,
];

fn described(user: &Value) -> [&Value; 5] {
    ["gid", "username", "email", "name", "status"].map(|name| &user[name])
}

async fn users_are_created_listed_and_shown_as_json(backend: Backend) {
    let app = App::start(backend).await;
    let words = [
        "user",
        "create",
        "--username",
        "ann",
        "--email",
        "Ann@example.org",
        "--name",
        "Ann of Green Gables",
        "--password-stdin",
    ];
    let created = app
        .installation
        .cli(&words, PASSWORD)
        .await
        .assert_success();
    let gid = json!(gid(&created));
    let expected = [
        &gid,
        &json!("ann"),
        &json!("Ann@example.org"),
        &json!("Ann of Green Gables"),
        &json!("active"),
    ];
    assert_eq!(described(&created.json()), expected);
    app.user("ben").await;

    let shown = app
        .installation
        .cli(&["user", "show", "ann"], "")
        .await
        .assert_success()
        .json();
    assert_eq!(described(&shown), expected);
    let listed = app
        .installation
        .cli(&["user", "list"], "")
        .await
        .assert_success()
        .items();
    assert_eq!(listed.len(), 2);
    assert_eq!(
        listed
            .iter()
            .find(|user| user["username"] == json!("ann"))
            .map(described),
        Some(expected)
    );
    let all = format!("{created} {shown} {listed:?}");
    assert!(!all.contains("argon2") && !all.contains(PASSWORD), "{all}");
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
}

async fn user_is_named_by_username_or_gid(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    for name in ["ann", &ann.gid] {
        for (change, status) in [("deactivate", "inactive"), ("activate", "active")] {
            app.installation.change_user(change, name).await;
            // Repeating the command is not an error.
            app.installation.change_user(change, name).await;
            let named: &[&str] = if name == "ann" {
                &["ann"]
            } else {
                &["--gid", name]
            };
            let shown = app
                .installation
                .cli(&[&["user", "show"], named].concat(), "")
                .await
                .assert_success()
                .json();
            assert_eq!(
                (&shown["gid"], &shown["status"]),
                (&json!(ann.gid), &json!(status))
            );
        }
    }
    app.installation.change_user("delete", &ann.gid).await;
    app.installation
        .cli(&["user", "show", "ann"], "")
        .await
        .assert_failure(1);
}

async fn password_from_stdin_ends_before_its_line_break(backend: Backend) {
    let app = App::start(backend).await;
    app.user("ann").await;
    for end in ["\n", "\r\n", ""] {
        let password = format!("ends with {end:?} ");
        app.installation
            .cli(
                &["user", "set-password", "ann", "--password-stdin"],
                &format!("{password}{end}"),
            )
            .await
            .assert_success();
        assert_eq!(
            app.http.login("ann", &password).await.status,
            200,
            "{end:?}"
        );
    }
}

async fn new_password_replaces_the_old_one(backend: Backend) {
    let app = App::start(backend).await;
    app.user("ann").await;
    app.installation
        .cli(
            &["user", "set-password", "ann", "--password-stdin"],
            "another good password",
        )
        .await
        .assert_success();
    app.http.login("ann", PASSWORD).await.assert_unknown_user();
    assert_eq!(
        app.http.login("ann", "another good password").await.status,
        200
    );
    app.installation
        .cli(
            &["user", "set-password", "nobody", "--password-stdin"],
            PASSWORD,
        )
        .await
        .assert_failure(1);
}

async fn invalid_creation_changes_nothing(backend: Backend) {
    let app = App::start(backend).await;
    app.user("ann").await;
    let long = "x".repeat(65);
    let cases: [(&[&str], &str); 9] = [
        (&["--username", "ann"], PASSWORD),
        (&["--username", "\u{ff41}\u{ff4e}\u{ff4e}"], PASSWORD),
        (&["--username", "b n"], PASSWORD),
        (&["--username", ""], PASSWORD),
        (&["--username", &long], PASSWORD),
        (&["--username", "ann@example.org"], PASSWORD),
        (&["--username", "ben", "--email", "nowhere"], PASSWORD),
        (&["--username", "ben"], "short"),
        (&["--username", "ben"], ""),
    ];
    for (words, password) in cases {
        let words = [&["user", "create", "--password-stdin"], words].concat();
        let output = app.installation.cli(&words, password).await;
        assert!(
            [Some(1), Some(2)].contains(&output.code),
            "{words:?}: {output}"
        );
        assert!(
            !output.stderr.trim().is_empty() && !output.stderr.contains("panicked"),
            "{words:?}: {output}"
        );
        assert_eq!(output.stdout, "");
    }
    assert_eq!(
        app.installation
            .cli(&["user", "list"], "")
            .await
            .assert_success()
            .items()
            .len(),
        1
    );
}

const UNKNOWN_GID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

async fn projects_are_created_listed_and_shown_as_json(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let cli = async |words: &[&str]| app.installation.cli(words, "").await;
    let created = cli(&[
        "project",
        "create",
        "--owner-gid",
        &ann.gid,
        "--name",
        " Herbarium ",
    ])
    .await
    .assert_success();
    let project = gid(&created);
    let shown = cli(&["project", "show", &project]).await.assert_success();
    for project_shown in [created.json(), shown.json()] {
        let described = ["gid", "name", "owner", "status"].map(|name| &project_shown[name]);
        assert_eq!(
            described,
            [
                &json!(project),
                &json!("Herbarium"),
                &json!(ann.gid),
                &json!("active")
            ]
        );
    }
    let listed = cli(&["project", "list"]).await.assert_success().items();
    assert_eq!(
        listed
            .iter()
            .map(|listed| &listed["gid"])
            .collect::<Vec<_>>(),
        [&json!(project)]
    );
    assert_eq!(
        ann.init().await.success().0["user_projects"],
        json!({&project: ["owner"]})
    );

    cli(&["project", "create", "--owner", "nobody", "--name", "x"])
        .await
        .assert_failure(1);
    cli(&["project", "show", UNKNOWN_GID])
        .await
        .assert_failure(1);
    let nameless = cli(&["project", "create", "--owner", "ann", "--name", "  "]).await;
    assert!([Some(1), Some(2)].contains(&nameless.code), "{nameless}");
    assert_eq!(
        cli(&["project", "list"])
            .await
            .assert_success()
            .items()
            .len(),
        1
    );
}

async fn members_are_added_and_listed_as_json(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let add = async |project: &str, user: &str| {
        let words = [
            "member",
            "add",
            "--project",
            project,
            "--user",
            user,
            "--role",
            "member",
        ];
        app.installation.cli(&words, "").await
    };
    add(&project, "ben").await.assert_success().json();
    assert_eq!(
        ben.init().await.success().0["user_projects"],
        json!({&project: ["member"]})
    );
    add(&project, "nobody").await.assert_failure(1);
    add(UNKNOWN_GID, "ben").await.assert_failure(1);
    // Existing members keep their role; the command can succeed or fail, but must not be rejected
    // as wrong usage.
    for there_already in ["ben", "ann"] {
        let output = add(&project, there_already).await;
        assert!(output.code.is_some_and(|code| code < 2), "{output}");
    }

    let words = ["member", "list", "--project", &project];
    let mut members = app
        .installation
        .cli(&words, "")
        .await
        .assert_success()
        .items();
    members.sort_by_key(|member| member["roles"].to_string());
    let listed = members
        .iter()
        .map(|member| ["user_gid", "status", "roles"].map(|name| &member[name]));
    let expected = [
        [json!(ben.gid), json!("active"), json!(["member"])],
        [json!(ann.gid), json!("active"), json!(["owner"])],
    ];
    assert_eq!(
        listed
            .map(|member| member.map(Value::clone))
            .collect::<Vec<_>>(),
        expected
    );
    assert_eq!(
        ann.init().await.success().0["user_projects"],
        json!({&project: ["owner"]})
    );
}

async fn project_owner_cannot_be_deleted(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    app.installation.create_project("ann", "Herbarium").await;
    app.installation
        .cli(&["user", "delete", "ann"], "")
        .await
        .assert_failure(1);
    assert_eq!(ann.init().await.status, 200);
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
}

async fn administration_needs_no_server(backend: Backend) {
    let installation = Installation::new(backend);
    installation.cli(&["migrate"], "").await.assert_success();
    installation.create_user("ann").await;
    installation.create_user("ben").await;
    installation.change_user("deactivate", "ben").await;
    let app = App::on_installation(installation).await;
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
    app.http.login("ben", PASSWORD).await.assert_unknown_user();
    app.installation.change_user("activate", "ben").await;
    eventually("a login", Duration::from_secs(10), async || {
        (app.http.login("ben", PASSWORD).await.status == 200).then_some(())
    })
    .await;
}
