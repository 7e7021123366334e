//! Tests the OpenAPI document: that it is valid and the same served and printed, and that the
//! server conforms to it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use doorward_tests::{
    App, Backend, Http, Installation, MANY_WRITES, PASSWORD, Response, User,
    http::{BOUNDARY, form},
    process::clean_command,
};
use serde_json::{Value, json};

use crate::media::avatars::png;

/// Operations that never succeed in this test: their codes are sent by mail, and a user who owns
/// projects cannot be deleted.
const ALWAYS_REFUSED: [&str; 4] = [
    "POST /api/account/delete",
    "POST /api/account/update_email",
    "POST /api/reset_password",
    "POST /api/signup",
];

/// Returns a command of the Python tools, without the environment of this process.
fn tool(name: &str) -> Command {
    let tool = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../.tools/venv/bin")
        .join(name);
    let is_there = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../.tools/venv/bin/schemathesis")
        .exists();
    assert!(
        is_there,
        "no schemathesis in the folder of {}: `./scripts/setup.sh test` installs it",
        tool.display()
    );
    let mut command = clean_command(tool);
    command.envs([
        ("PYTHONUTF8", "1"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("NETRC", "/dev/null"),
    ]);
    command
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis")
}

#[tokio::test(flavor = "multi_thread")]
async fn printed_document_equals_served_document() {
    let app = App::start(Backend::Sqlite).await;
    let served = app.http.get("/api/openapi.json").send().await;
    assert_eq!(
        (served.status, served.header("content-type")),
        (200, Some("application/json"))
    );
    assert_eq!(served.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(
        served.text(),
        app.installation
            .cli(&["openapi"], "")
            .await
            .assert_success()
            .stdout
    );
    let document: Value = serde_json::from_str(&served.text()).expect("JSON");
    assert!(
        doorward_tests::snapshots::is_release(&document["info"]["version"]),
        "{}",
        document["info"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn page_to_read_may_load_nothing() {
    let app = App::start(Backend::Sqlite).await;
    let page = app.http.get("/api/docs").send().await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    assert_eq!(page.header("cache-control"), Some("public, max-age=300"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'unsafe-inline';"),
        "{policy}"
    );
    assert!(
        page.text()
            .contains("<code>/api/p/{project}/members/invite</code>")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn document_is_valid_openapi_with_valid_examples() {
    let installation = Installation::new(Backend::Sqlite);
    let document = installation.path().join("openapi.json");
    std::fs::write(
        &document,
        installation
            .cli(&["openapi"], "")
            .await
            .assert_success()
            .stdout,
    )
    .expect("a file");
    let output = tool("python")
        .arg(scripts().join("check.py"))
        .arg(&document)
        .output()
        .expect("python");
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(said["mistakes"], json!([]));
    assert!(said["examples"].as_u64() >= Some(150), "{said}");
}

/// Creates the objects that the hooks put into requests, and returns their ids by name.
async fn scene(app: &App, ann: &User) -> Value {
    let mut members = Vec::new();
    for name in ["ben", "cas"] {
        members.push(app.installation.create_user(name).await);
    }
    let mut projects = Vec::new();
    for name in ["Herbarium", "Doomed", "Handed", "Deleted"] {
        let project = app.installation.create_project("ann", name).await;
        for member in ["ben", "cas"] {
            app.installation.add_member(&project, member).await;
        }
        projects.push(project);
    }
    ann.call("/api/projects/delete", &json!({"project": projects[3]}))
        .await
        .success();
    let robot = ann.create_api_user(&projects[0], "Robot").await;
    let doomed_robot = ann.create_api_user(&projects[0], "Doomed").await;
    let key = ann
        .create_api_user(&projects[0], "Whose key stays")
        .await
        .key;
    let mut scene = json!({
        "project": projects[0], "doomed_project": projects[1], "handed_project": projects[2], "deleted_project": projects[3],
        "user": members[0], "member": members[0], "doomed_member": members[1],
        "robot": robot.gid, "doomed_robot": doomed_robot.gid, "api_key": key, "login": ["ben", PASSWORD], "signup": ["newcomer", PASSWORD],
    });
    for list in ["channel", "ordering", "fieldlist"] {
        for item in [list.to_owned(), format!("doomed_{list}")] {
            let path = format!("/api/p/{}/{list}s/create", projects[0]);
            let (made, _) = ann.call(&path, &json!({"name": item})).await.success();
            scene[item] = made[list].clone();
        }
    }
    for (name, project) in [("invitee", &projects[0]), ("handed_invitee", &projects[2])] {
        scene["invited_user"] = invite(&app.http, &ann.token, project, "dora@example.org").await;
        let user = scene["invited_user"].as_str().expect("a gid");
        scene[name] = json!(app.installation.invitation(project, user));
    }
    let ben = app.http.login("ben", PASSWORD).await.token();
    for name in ["accepted_project", "declined_project", "left_project"] {
        let project = app.installation.create_project("ben", name).await;
        invite(&app.http, &ben, &project, "ann").await;
        scene[name] = json!(project);
    }
    ann.call(
        "/api/account/accept_invite",
        &json!({"project": scene["left_project"]}),
    )
    .await
    .success();
    let (result, data) = upload(
        app,
        &ben,
        "account/upload_avatar",
        &[("upload_file", &png())],
    )
    .await
    .success();
    scene["avatars"] = data["cc.users"][result["user"].as_str().expect("a gid")]["avatar"].clone();
    let parts: [(&str, &[u8]); 2] = [("project", projects[2].as_bytes()), ("upload_file", &png())];
    let (_, data) = upload(app, &ann.token, "projects/upload_icon", &parts)
        .await
        .success();
    scene["icons"] = data["cc.projects"][&projects[2]]["icon"].clone();
    scene
}

/// Invites a user and returns the gid of the user or placeholder.
async fn invite(http: &Http, token: &str, project: &str, invitee: &str) -> Value {
    let call = http
        .post(&format!("/api/p/{project}/members/invite"))
        .bearer(token);
    let (result, _) = call
        .json(&json!({"username_or_email": invitee}))
        .send()
        .await
        .success();
    result["user"].clone()
}

async fn upload(app: &App, token: &str, call: &str, parts: &[(&str, &[u8])]) -> Response {
    let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let upload = app
        .http
        .post(&format!("/api/{call}"))
        .bearer(token)
        .header("content-type", &media_type);
    upload.body(form(parts)).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_undocumented_response() {
    let settings = [
        ("DOORWARD_LOG_MAILS", "true"),
        ("DOORWARD_LOGIN_FAILURES", "1000000"),
        MANY_WRITES,
    ];
    let app = App::with_settings(Backend::Sqlite, &settings).await;
    let ann = app.user("ann").await;
    let scene = scene(&app, &ann).await;
    let mut schemathesis = tool("schemathesis");
    schemathesis
        .current_dir(app.installation.path())
        .env("PYTHONPATH", scripts())
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("DOORWARD_SCENE", scene.to_string())
        .arg("--config-file")
        .arg(scripts().join("schemathesis.toml"))
        .args(["run", "--no-color", "--seed", "1", "--continue-on-failure"])
        .args(["--header", &format!("Authorization: Bearer {}", ann.token)])
        .arg(format!("http://{}/api/openapi.json", app.http.address()));
    let run = tokio::task::spawn_blocking(move || schemathesis.output());
    let output = run.await.expect("no panic").expect("schemathesis");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        ann.init().await.status,
        200,
        "the token of all calls has ended"
    );
    let answers =
        std::fs::read(app.installation.path().join("answers.json")).expect("the hooks' answers");
    let answers: BTreeMap<String, BTreeMap<String, u64>> =
        serde_json::from_slice(&answers).expect("JSON");
    let refused: Vec<&str> = answers
        .iter()
        .filter(|(_, count)| !count.contains_key("200"))
        .map(|(operation, _)| &**operation)
        .collect();
    assert_eq!(refused, ALWAYS_REFUSED, "{answers:?}");
}
