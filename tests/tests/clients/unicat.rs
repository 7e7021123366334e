//! Tests that the public Python client of the Unicat API works unmodified with the real binary.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use doorward_tests::{App, Backend, on_both_databases, process::clean_command};
use serde_json::{Value, json};

on_both_databases![public_python_client_works_unmodified];

const REQUIREMENTS: &str = include_str!("../../unicat/requirements.txt");

/// A running script of `tests/unicat/`. It waits for a line on stdin before each step.
pub(crate) struct Script {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Script {
    pub(crate) fn start(file: &str, variables: &[(&str, &str)]) -> Self {
        let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let python = tests.join("../.tools/venv/bin/python");
        let has_client = clean_command(&python)
            .args(["-c", "import unicat"])
            .stderr(Stdio::null())
            .status();
        assert!(
            has_client.is_ok_and(|status| status.success()),
            "no unicat client for {}: `./scripts/setup.sh test` installs it",
            python.display()
        );
        let mut command = clean_command(python);
        // A password in .netrc would replace the token, so no .netrc is read.
        command.env("NETRC", "/dev/null");
        command.envs(variables.iter().copied());
        command
            .arg(tests.join("unicat").join(file))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("python");
        let stdin = child.stdin.take().expect("stdin");
        let stdout = child.stdout.take().expect("stdout");
        Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
        }
    }

    /// Returns the results of the next step.
    pub(crate) fn says(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("stdout");
        serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{error}: {line:?}; see its stderr"))
    }

    pub(crate) fn go_on(&mut self) {
        writeln!(self.stdin).expect("stdin");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn visible_entries(facts: &Value) -> Vec<Value> {
    let names = [
        "project",
        "languages",
        "ordering",
        "fieldlist",
        "backups",
        "members",
        "counts",
        "dutch",
    ];
    names.map(|name| facts[name].clone()).to_vec()
}

async fn public_python_client_works_unmodified(backend: Backend) {
    let settings = [
        ("DOORWARD_TOKEN_LIFETIME", "6s"),
        ("DOORWARD_TOKEN_RENEW_AFTER", "1s"),
    ];
    let app = App::with_settings(backend, &settings).await;
    app.user("ann").await;
    app.user("ben").await;
    app.user("cas").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    app.installation.add_member(&project, "ben").await;
    let words = ["apikey", "create", "--project", &project, "--name", "Robot"];
    let created = app
        .installation
        .cli(&words, "")
        .await
        .assert_success()
        .json();
    let robot = json!({"user": created["user"]});
    let change = async |call: &str| {
        let path = format!("/api/p/{project}/apikeys/{call}");
        let token = app
            .http
            .login("ann", doorward_tests::PASSWORD)
            .await
            .token();
        app.http
            .post(&path)
            .bearer(&token)
            .json(&robot)
            .send()
            .await
            .success();
    };
    let url = format!("http://{}", app.http.address());
    let key = created["apikey"].as_str().expect("a key");
    let variables = [
        ("UNICAT_URL", url.as_str()),
        ("UNICAT_PROJECT", &project),
        ("UNICAT_KEY", key),
    ];
    let mut script = Script::start("drive.py", &variables);

    let connected = script.says();
    let expected = [
        json!([project, "Herbarium", "active", null, "Ann"]),
        json!([["en", "nl"], "en"]),
        json!([["Main ordering"], "Main ordering"]),
        json!([["Main fieldlist"], "Main fieldlist"]),
        json!([]),
        json!([
            ["Ann", "ann", null, "active", ["owner"]],
            ["Ben", "ben", null, "active", ["member"]],
            ["Robot", null, null, "active", ["api"]]
        ]),
        json!([3, 1, 3]),
        json!("Dutch"),
    ];
    assert_eq!(visible_entries(&connected), expected);
    assert_eq!(connected["connected"], json!(true));
    let client = connected["client"].as_str().expect("a version");
    assert!(
        REQUIREMENTS
            .lines()
            .any(|line| line == format!("unicat=={client}")),
        "unicat {client}"
    );
    assert_eq!(connected["pinged"], json!([true, connected["version"]]));
    assert!(
        doorward_tests::snapshots::is_release(&connected["version"]),
        "{connected}"
    );
    assert_eq!(connected["has_feature"], json!(true));
    assert_eq!(connected["channels"][1], json!("Main channel"));
    assert_eq!(connected["channels"][0]["[all records]"], json!("__all__"));
    let (now, _) = app
        .http
        .init(connected["token"].as_str().expect("a token"))
        .await
        .success();
    assert_eq!(
        connected["cursors"],
        json!([now["cc.cursor"], now["cc.cursor"]])
    );

    script.go_on();
    let inited = script.says();
    assert_eq!(visible_entries(&inited), expected);
    let fields = ["done", "user", "is_fresh", "again"].map(|name| &inited[name]);
    assert_eq!(
        fields,
        [&json!(true), &created["user"], &json!(true), &json!(true)]
    );

    script.go_on();
    let worked = script.says();
    assert_eq!(
        (&worked["codes"], &worked["has_lost_it"], &worked["done"]),
        (&json!([403]), &json!(false), &json!(true))
    );
    assert!(worked["tokens"].as_u64() >= Some(3), "{worked}");
    app.http
        .init(worked["first"].as_str().expect("a token"))
        .await
        .assert_unauthenticated();

    change("deactivate").await;
    script.go_on();
    let refused = script.says();
    let unknown_user = json!({"code": 403, "message": "Unknown user", "info": {}});
    assert_eq!(
        refused,
        json!({
            "code": 401, "token": null, "init": [false, 401], "connected": false, "refusal": unknown_user, "users": 0
        })
    );

    change("activate").await;
    script.go_on();
    let again = script.says();
    assert_eq!(
        (&again["connected"], visible_entries(&again)),
        (&json!(true), expected.to_vec())
    );

    let expected = change_the_project(&mut script, expected.to_vec());
    assert_changes_of_others_are_seen(&mut script, &app, &project, expected).await;
    script.go_on();
    assert!(script.child.wait().expect("an exit status").success());
}

/// Changes languages, channels, orderings and fieldlists, including changes that are rejected.
/// Returns the data that must be visible afterwards.
fn change_the_project(script: &mut Script, mut expected: Vec<Value>) -> Vec<Value> {
    script.go_on();
    let changed = script.says();
    assert_eq!(
        (&changed["done"], &changed["ids"]),
        (
            &json!([true, true, true, true, true]),
            &json!([true, true, true])
        )
    );
    let refusal =
        |call: &str, code: u16, message: &str, info: Value| json!([call, code, message, info]);
    let unprocessable = |call: &str, reason: &str| {
        refusal(call, 422, "Unprocessable entity", json!({"reason": reason}))
    };
    assert_eq!(
        changed["refusals"],
        json!([
            unprocessable("add_language", "already_there"),
            unprocessable("add_language", "unknown_language"),
            unprocessable("remove_language", "not_there"),
            refusal(
                "create_channel",
                1001,
                "Validation error",
                json!({"name": "invalid"})
            ),
            unprocessable("delete_channel", "not_there"),
            unprocessable("delete_ordering", "not_there"),
        ])
    );
    assert_eq!(
        changed["channel_names"],
        json!(["[all records]", "Main channel", "Shop"])
    );
    expected[1] = json!([["nl", "fr", "de"], "nl"]);
    expected[2] = json!([["By name", "Main ordering"], "By name"]);
    expected[3] = json!([["Main fieldlist", "Prices"], "Main fieldlist"]);
    assert_eq!(visible_entries(&changed), expected);

    script.go_on();
    let deleted = script.says();
    assert_eq!(deleted["done"], json!([true, true, true]));
    assert_eq!(
        deleted["refusals"],
        json!([
            unprocessable("delete_ordering", "last_one"),
            unprocessable("delete_fieldlist", "last_one")
        ])
    );
    assert_eq!(
        deleted["channel_names"],
        json!(["[all records]", "Main channel"])
    );
    expected[2] = json!([["By name"], "By name"]);
    expected[3] = json!([["Prices"], "Prices"]);
    assert_eq!(visible_entries(&deleted), expected);
    expected
}

/// Changes the project's name, owner and members as other users, and checks that the client sees
/// the changes.
async fn assert_changes_of_others_are_seen(
    script: &mut Script,
    app: &App,
    project: &str,
    mut expected: Vec<Value>,
) {
    let ann = app
        .http
        .login("ann", doorward_tests::PASSWORD)
        .await
        .token();
    let post = async |path: &str, body: Value| {
        app.http
            .post(path)
            .bearer(&ann)
            .json(&body)
            .send()
            .await
            .success()
    };
    let ben = app
        .http
        .login("ben", doorward_tests::PASSWORD)
        .await
        .success()
        .0["user"]
        .clone();
    post(
        "/api/projects/update",
        json!({"project": project, "name": "Flora"}),
    )
    .await;
    post(
        "/api/projects/transfer",
        json!({"project": project, "user": ben}),
    )
    .await;
    app.installation.add_member(project, "cas").await;
    app.installation
        .cli(
            &["member", "remove", "--project", project, "--user", "ann"],
            "",
        )
        .await
        .assert_success();
    script.go_on();
    let facts = script.says();
    assert_eq!(
        (&facts["done"], &facts["asked"]),
        (&json!(true), &json!([true, "Flora", "Ben"]))
    );
    expected[0] = json!([project, "Flora", "active", null, "Ben"]);
    expected[5] = json!([
        ["Ben", "ben", null, "active", ["owner"]],
        ["Cas", "cas", null, "active", ["member"]],
        ["Robot", null, null, "active", ["api"]]
    ]);
    assert_eq!(visible_entries(&facts), expected);
}
