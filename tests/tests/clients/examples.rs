//! Tests the example services, started as in their READMEs: programs of other teams that verify
//! tokens themselves.

use std::{path::Path, time::Duration};

use doorward_tests::{
    App, Backend, Http, Output, PASSWORD, Process, Response,
    app::START_TIMEOUT,
    eventually,
    installation::COMMAND,
    ports,
    process::{built_binary, clean_command},
};
use serde_json::json;

/// `examples/verify` and the Doorward whose tokens it verifies.
struct VerifyService {
    app: App,
    _process: Process,
    http: Http,
}

impl VerifyService {
    async fn start() -> Self {
        let auth = ports::free_address();
        let app =
            App::with_settings(Backend::Sqlite, &[("DOORWARD_AUTH_LISTEN", auth.as_str())]).await;
        let token = crate::grpc::service_tokens::create(
            &app.installation,
            "whoami",
            &["--scope", "verify"],
        )
        .await;
        let address = ports::free_address();
        let mut command = clean_command(built_binary("doorward-example-verify"));
        command.env("LISTEN", &address);
        command
            .env("DOORWARD_AUTH_URL", format!("http://{auth}"))
            .env("DOORWARD_SERVICE_TOKEN", token);
        let mut process = Process::spawn(command, app.installation.path(), "");
        let http = Http::new(&address);
        // The service returns 503 until it has received the trust data of auth.
        eventually("a 401", START_TIMEOUT, async || {
            assert!(process.is_running(), "the service ended: {}", process.log());
            let answer = http.get("/whoami").bearer("x").try_send().await.ok()?;
            (answer.status == 401).then_some(())
        })
        .await;
        Self {
            app,
            _process: process,
            http,
        }
    }

    async fn whoami(&self, token: &str) -> Response {
        self.http.get("/whoami").bearer(token).send().await
    }

    async fn refused_within_a_second(&self, token: &str) {
        let answer = eventually("a 401", Duration::from_secs(1), async || {
            Some(self.whoami(token).await).filter(|answer| answer.status != 200)
        })
        .await;
        assert_eq!(answer.status, 401, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn service_on_the_trust_stream_verifies_callers() {
    let verify = VerifyService::start().await;
    let ann = verify.app.user("ann").await;
    let answer = verify.whoami(&ann.token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.json(),
        json!({"user": ann.gid, "kind": "user", "project": null})
    );

    let anonymous = verify.http.get("/whoami").send().await;
    assert_eq!(
        (anonymous.status, anonymous.header("www-authenticate")),
        (401, Some("Bearer")),
        "{anonymous:?}"
    );
    let twice = verify
        .http
        .get("/whoami")
        .bearer(&ann.token)
        .bearer(&ann.token)
        .send()
        .await;
    assert_eq!(twice.status, 401);
    assert_eq!(verify.whoami(&format!("{}x", ann.token)).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn service_on_the_stream_of_auth_rejects_a_deactivated_user_within_a_second() {
    let mut verify = VerifyService::start().await;
    let ann = verify.app.user("ann").await;
    let ben = verify.app.user("ben").await;
    assert_eq!(verify.whoami(&ann.token).await.status, 200);
    verify
        .app
        .installation
        .change_user("deactivate", &ann.gid)
        .await;
    verify.refused_within_a_second(&ann.token).await;
    assert_eq!(verify.whoami(&ben.token).await.status, 200);

    // After a reconnection, the first message of the stream has all earlier revocations.
    verify
        .app
        .installation
        .change_user("deactivate", &ben.gid)
        .await;
    verify.app.restart().await;
    eventually("a 401 for ben", Duration::from_secs(5), async || {
        (verify.whoami(&ben.token).await.status == 401).then_some(())
    })
    .await;
    assert_eq!(verify.whoami(&ann.token).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn service_on_the_stream_of_auth_rejects_the_tokens_of_a_retired_key_within_a_second() {
    let verify = VerifyService::start().await;
    let ann = verify.app.user("ann").await;
    let kid_of = |token: &str| {
        crate::tokens::verify::header_of(token)["kid"]
            .as_str()
            .expect("a kid")
            .to_owned()
    };
    let old = kid_of(&ann.token);
    verify
        .app
        .installation
        .cli(&["keys", "rotate"], "")
        .await
        .assert_success();
    let fresh = eventually(
        "a token of another key",
        Duration::from_secs(1),
        async || {
            Some(verify.app.http.login("ann", PASSWORD).await.token())
                .filter(|token| kid_of(token) != old)
        },
    )
    .await;
    assert_eq!(verify.whoami(&ann.token).await.status, 200);
    verify
        .app
        .installation
        .cli(&["keys", "retire", &old], "")
        .await
        .assert_success();
    verify.refused_within_a_second(&ann.token).await;
    assert_eq!(verify.whoami(&fresh).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn service_without_auth_for_10_seconds_returns_503() {
    let mut verify = VerifyService::start().await;
    let ann = verify.app.user("ann").await;
    verify.app.process.kill();
    assert_eq!(verify.whoami(&ann.token).await.status, 200);
    let answer = eventually("503", Duration::from_secs(15), async || {
        Some(verify.whoami(&ann.token).await).filter(|answer| answer.status != 200)
    })
    .await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1")),
        "{answer:?}"
    );
    verify.app.restart().await;
    eventually("an answer", Duration::from_secs(5), async || {
        (verify.whoami(&ann.token).await.status == 200).then_some(())
    })
    .await;
}

/// Runs `examples/verify-python` on a token.
async fn verify_python(app: &App, words: &[&str], token: &str) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = root.join(".tools/venv/bin/python");
    assert!(
        python.exists(),
        "no {}: run `./scripts/setup.sh test` first",
        python.display()
    );
    let mut command = clean_command(python);
    command.arg(root.join("examples/verify-python/verify.py"));
    command
        .args(["--url", &format!("http://{}", app.http.address())])
        .args(words);
    Process::spawn(command, app.installation.path(), token)
        .wait_for_exit(COMMAND)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn python_service_with_the_published_keys_knows_its_callers() {
    let app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    let claims = verify_python(&app, &[], &format!("{}\n", ann.token))
        .await
        .assert_success()
        .json();
    assert_eq!(claims, crate::tokens::verify::part(&ann.token, 1));
    assert_eq!(claims["sub"], json!(ann.gid));

    let other = App::start(Backend::Sqlite).await.user("ann").await;
    for token in [
        "",
        "x",
        &ann.token[1..],
        &format!("{}x", ann.token),
        &other.token,
    ] {
        let refused = verify_python(&app, &[], token).await.assert_failure(1);
        assert!(
            refused.stderr.starts_with("refused: ") && refused.stdout.is_empty(),
            "{token}: {refused}"
        );
    }
    let refused = verify_python(&app, &["--issuer", "other"], &ann.token)
        .await
        .assert_failure(1);
    assert!(refused.stderr.contains("issuer"), "{refused}");
}

/// Program in the README's section "Rust, over gRPC". Cargo builds it with the tests.
const MEMBERS: &str = include_str!("../../../crates/rpc/examples/members.rs");

#[test]
fn readme_shows_the_program_that_is_tested() {
    let readme = include_str!("../../../README.md");
    let (_, program) = MEMBERS
        .split_once("\n\n")
        .expect("an empty line between the module header and the program");
    let indented: String = program
        .lines()
        .map(|line| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("    {line}\n")
            }
        })
        .collect();
    assert!(
        readme.contains(&indented),
        "the README does not show:\n{indented}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn service_with_a_token_of_its_own_reads_members_over_grpc() {
    let [auth, directory] = [ports::free_address(), ports::free_address()];
    let listeners = [
        ("DOORWARD_AUTH_LISTEN", auth.as_str()),
        ("DOORWARD_DIRECTORY_LISTEN", directory.as_str()),
    ];
    let app = App::with_settings(Backend::Sqlite, &listeners).await;
    let ann = app.user("ann").await;
    app.user("ben").await;
    app.installation.create_project("ann", "Herbarium").await;
    app.installation.create_project("ben", "Library").await;
    let scopes = ["--scope", "verify", "--scope", "read"];
    let token = crate::grpc::service_tokens::create(&app.installation, "search", &scopes).await;
    let run = async |token: &str| {
        let mut command = clean_command(built_binary("examples/members"));
        command.envs([
            ("AUTH_URL", format!("http://{auth}")),
            ("DIRECTORY_URL", format!("http://{directory}")),
        ]);
        command.env("SEARCH_TOKEN", token).env("TOKEN", &ann.token);
        Process::spawn(command, app.installation.path(), "")
            .wait_for_exit(COMMAND)
            .await
    };
    let mut lines: Vec<String> = run(&token)
        .await
        .assert_success()
        .stdout
        .lines()
        .map(str::to_owned)
        .collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        ["Ann calls", "Herbarium: a member", "Library: not a member"]
    );
    let refused = run("dws_wrong").await.assert_failure(1);
    assert!(refused.stderr.contains("Unauthenticated"), "{refused}");
}
