//! Tests `doorward project` and `doorward member` except the creation of projects
//! (`administration.rs`), and the tables that lists print on a terminal.

use std::time::Duration;

use doorward_tests::{
    App, Backend, Installation, Output, PASSWORD, User, eventually, on_both_databases,
    process::{binary, clean_command},
    snapshots::assert_json_eq,
};
use serde_json::{Value, json};

use crate::api_keys::calls::UNKNOWN_GID;

on_both_databases![
    project_is_deleted_and_undeleted,
    project_is_transferred_to_a_member,
    member_is_removed_in_every_status,
    lists_are_tables_on_a_terminal_and_json_elsewhere,
];

async fn cli(app: &App, words: &[&str]) -> Output {
    app.installation.cli(words, "").await
}

/// Starts an app with a project of ann that has the member ben.
async fn scene(backend: Backend) -> (App, User, User, String) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    app.installation.add_member(&project, "ben").await;
    (app, ann, ben, project)
}

fn entry(project: &str, owner: &User, status: &str) -> Value {
    json!({"gid": project, "name": "Herbarium", "icon": null, "owner": owner.gid, "status": status})
}

/// Waits until init returns the expected projects of a user: the gateway receives changes of
/// commands with a delay.
async fn user_projects(user: &User, expected: &Value) {
    eventually(
        "the expected projects",
        Duration::from_secs(10),
        async || (user.init().await.success().0["user_projects"] == *expected).then_some(()),
    )
    .await;
}

async fn project_is_deleted_and_undeleted(backend: Backend) {
    let (app, ann, ben, project) = scene(backend).await;
    let deleted = cli(&app, &["project", "delete", &project])
        .await
        .assert_success();
    assert_json_eq(&deleted.json(), &entry(&project, &ann, "deleted"));
    user_projects(&ben, &json!({})).await;
    assert_eq!(
        ann.init().await.success().1["cc.projects"][&project]["status"],
        json!("deleted")
    );
    assert!(
        cli(&app, &["project", "delete", &project])
            .await
            .assert_failure(1)
            .stderr
            .contains("the project is deleted")
    );
    cli(
        &app,
        &["member", "add", "--project", &project, "--user", "ann"],
    )
    .await
    .assert_failure(1);
    cli(&app, &["project", "transfer", &project, "--to", "ben"])
        .await
        .assert_failure(1);

    let back = cli(&app, &["project", "undelete", &project])
        .await
        .assert_success();
    assert_json_eq(&back.json(), &entry(&project, &ann, "active"));
    user_projects(&ben, &json!({&project: ["member"]})).await;
    cli(&app, &["project", "undelete", &project])
        .await
        .assert_failure(1);
    for call in ["delete", "undelete"] {
        assert!(
            cli(&app, &["project", call, UNKNOWN_GID])
                .await
                .assert_failure(1)
                .stderr
                .contains("no such project")
        );
        cli(&app, &["project", call]).await.assert_failure(2);
        cli(&app, &["project", call, "Herbarium"])
            .await
            .assert_failure(2);
    }
}

async fn project_is_transferred_to_a_member(backend: Backend) {
    let (app, ann, ben, project) = scene(backend).await;
    let cas = app.user("cas").await;
    let robot = ann.create_api_user(&project, "Robot").await;
    for invalid in ["cas", "nobody", "ann", UNKNOWN_GID, &robot.gid] {
        cli(&app, &["project", "transfer", &project, "--to", invalid])
            .await
            .assert_failure(1);
    }
    cli(&app, &["project", "transfer", UNKNOWN_GID, "--to", "ben"])
        .await
        .assert_failure(1);
    cli(&app, &["project", "transfer", &project])
        .await
        .assert_failure(2);
    let given = cli(
        &app,
        &["project", "transfer", &project, "--to-gid", &ben.gid],
    )
    .await
    .assert_success();
    assert_json_eq(&given.json(), &entry(&project, &ben, "active"));
    user_projects(&ann, &json!({&project: ["member"]})).await;
    user_projects(&ben, &json!({&project: ["owner"]})).await;
    user_projects(&cas, &json!({})).await;
    // Only a user who owns no project can be deleted.
    cli(&app, &["user", "delete", "ann"]).await.assert_success();
    cli(&app, &["user", "delete", "ben"])
        .await
        .assert_failure(1);
}

async fn member_is_removed_in_every_status(backend: Backend) {
    let (app, ann, ben, project) = scene(backend).await;
    let robot = ann.create_api_user(&project, "Robot").await;
    let remove = async |project: &str, user: &str| {
        cli(
            &app,
            &["member", "remove", "--project", project, "--user", user],
        )
        .await
    };
    for (project, user) in [
        (UNKNOWN_GID, "ben"),
        (&project, "nobody"),
        (&project, "ann"),
        (&project, &robot.gid),
    ] {
        remove(project, user).await.assert_failure(1);
    }
    for state in ["active", "inactive"] {
        if state == "inactive" {
            app.installation.add_member(&project, "ben").await;
            let path = format!("/api/p/{project}/members/deactivate");
            ann.call(&path, &json!({"user": ben.gid})).await.success();
        }
        let removed = remove(&project, "ben").await.assert_success();
        assert_json_eq(
            &removed.json(),
            &json!({"project_gid": project, "user_gid": ben.gid}),
        );
        user_projects(&ben, &json!({})).await;
        assert!(
            remove(&project, "ben")
                .await
                .assert_failure(1)
                .stderr
                .contains("is not a member")
        );
    }
    let listed = cli(&app, &["member", "list", "--project", &project])
        .await
        .assert_success()
        .items();
    assert_eq!(listed.len(), 2);
    cli(&app, &["member", "remove", "--project", &project])
        .await
        .assert_failure(2);
}

/// Returns the lines that a command writes to a terminal, which script(1) simulates.
fn on_a_terminal(installation: &Installation, words: &str) -> Vec<String> {
    let mut command = clean_command("script");
    let line = format!("{} {words}", binary().display());
    command
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .current_dir(installation.path());
    for name in [
        "DATA_DIR",
        "AUTH_DATABASE_URL",
        "DIRECTORY_DATABASE_URL",
        "MASTER_KEY",
    ] {
        let name = format!("DOORWARD_{name}");
        command.env(&name, installation.variable(&name));
    }
    let output = command
        .stdin(std::process::Stdio::null())
        .output()
        .expect("script, of util-linux");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

async fn lists_are_tables_on_a_terminal_and_json_elsewhere(backend: Backend) {
    let (app, ann, ben, project) = scene(backend).await;
    let seen = |words: &str| on_a_terminal(&app.installation, words);
    let mut users = vec![
        format!("{}  ann       Ann   ann@example.org  active", ann.gid),
        format!("{}  ben       Ben   ben@example.org  active", ben.gid),
    ];
    users.sort();
    users.insert(
        0,
        format!("{:36}  USERNAME  NAME  EMAIL            STATUS", "GID"),
    );
    assert_eq!(seen("user list"), users);
    assert_eq!(
        seen("project list"),
        [
            format!("{:36}  NAME       {:36}  STATUS", "GID", "OWNER"),
            format!("{project}  Herbarium  {}  active", ann.gid)
        ]
    );
    let path = format!("/api/p/{project}/members/update");
    ann.call(
        &path,
        &json!({"user": ben.gid, "options": {"rate_limit_per_second": 250}}),
    )
    .await
    .success();
    let mut members = vec![
        format!("{}  owner   active  -", ann.gid),
        format!("{}  member  active  250", ben.gid),
    ];
    members.sort();
    members.insert(0, format!("{:36}  ROLES   STATUS  LIMIT", "USER"));
    assert_eq!(seen(&format!("member list --project {project}")), members);
    let keys = seen("keys list");
    assert!(
        keys.len() == 3 && keys[0].starts_with("KID ") && keys[0].ends_with("VERIFIES UNTIL"),
        "{keys:?}"
    );
    assert!(
        keys[1..].iter().any(|line| line.contains("  active  ")) && !keys[1].contains('{'),
        "{keys:?}"
    );

    let list = format!("member list --project {project}");
    for words in ["user list", "project list", &list, "keys list"] {
        let piped: Vec<&str> = words.split(' ').collect();
        let json = cli(&app, &piped).await.assert_success();
        let forced: Value =
            serde_json::from_str(&seen(&format!("{words} --json")).join("\n")).expect("JSON");
        assert_json_eq(&forced, &json.json());
        assert_json_eq(
            &cli(&app, &[&piped[..], &["--json"]].concat())
                .await
                .assert_success()
                .json(),
            &forced,
        );
        assert!(forced.as_array().is_some_and(|list| !list.is_empty()));
    }
    assert_eq!(app.http.login("ben", PASSWORD).await.status, 200);
}
