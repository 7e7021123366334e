//! Tests `doorward service-token`: output, rejected options, and tokens that were created or
//! revoked in only one database.

use doorward_tests::{
    Backend, Installation, on_both_databases,
    sql::{execute, texts},
};
use serde_json::{Value, json};

use crate::{api_keys::calls::UNKNOWN_GID, grpc::service_tokens::create};

on_both_databases![
    token_is_shown_once_and_listed_without_its_secret,
    invalid_token_creation_changes_nothing,
    revoked_name_is_free_again,
    half_created_token_is_listed_and_revocable,
    partially_failed_revocation_can_be_repeated,
    creations_at_once_of_one_name_give_one_token,
];

async fn list(installation: &Installation) -> Vec<Value> {
    installation
        .cli(&["service-token", "list"], "")
        .await
        .assert_success()
        .items()
}

async fn names(installation: &Installation) -> Vec<String> {
    let listed = list(installation).await;
    listed
        .iter()
        .map(|token| token["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// Returns the rows of both databases as text.
fn rows(installation: &Installation) -> [Vec<String>; 2] {
    let query = "SELECT name || ' ' || hash || ' ' || scopes || ' ' || projects AS text FROM service_tokens ORDER BY 1";
    [
        texts(&installation.databases.auth, query),
        texts(&installation.databases.directory, query),
    ]
}

async fn trail(installation: &Installation, action: &str) -> Vec<Value> {
    installation
        .cli(&["audit", "--action", action], "")
        .await
        .assert_success()
        .items()
}

async fn token_is_shown_once_and_listed_without_its_secret(backend: Backend) {
    let installation = Installation::new(backend);
    assert_eq!(list(&installation).await, Vec::<Value>::new());
    installation.create_user("ann").await;
    let project = installation.create_project("ann", "Herbarium").await;
    let words = [
        ["service-token", "create"],
        ["--name", "records"],
        ["--scope", "verify"],
        ["--scope", "publish"],
        ["--project", &project],
        ["--scope", "verify"],
        ["--project", &project],
    ]
    .concat();
    let created = installation.cli(&words, "").await.assert_success();
    let shown = created.json();
    let keys: Vec<&String> = shown.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["name", "scopes", "projects", "token"]);
    assert_eq!(
        (&shown["name"], &shown["scopes"]),
        (&json!("records"), &json!(["verify", "publish"]))
    );
    assert_eq!(shown["projects"], json!([project]));
    let token = shown["token"].as_str().expect("a token");
    assert!(token.starts_with("dws_") && token.len() > 40, "{token}");
    assert!(!created.stderr.contains(token), "{}", created.stderr);

    create(&installation, "audit", &["--scope", "follow"]).await;
    let listed = list(&installation).await;
    let [audit, records] = &listed[..] else {
        panic!("{listed:?}")
    };
    assert_eq!(
        (&audit["name"], &audit["scopes"], &audit["projects"]),
        (&json!("audit"), &json!(["follow"]), &json!([]))
    );
    assert_eq!(
        (&records["scopes"], &records["projects"]),
        (&json!(["verify", "publish"]), &json!([project]))
    );
    assert!(records["created_at"].is_string(), "{records}");

    let secret = token.strip_prefix("dws_").expect("a prefix");
    let [auth, directory] = rows(&installation);
    assert_eq!((auth.len(), &auth), (2, &directory));
    let trail = trail(&installation, "service_token_created").await;
    assert_eq!(trail.len(), 2, "{trail:?}");
    assert_eq!(
        (&trail[0]["by"], &trail[0]["user"]),
        (&json!("command line"), &Value::Null)
    );
    assert_eq!(
        trail[0]["detail"],
        json!(format!("records: verify, publish in {project}"))
    );
    assert_eq!(trail[1]["detail"], json!("audit: follow"));
    let stored = format!("{listed:?} {auth:?} {trail:?}");
    assert!(!stored.contains(secret), "{stored}");
}

async fn invalid_token_creation_changes_nothing(backend: Backend) {
    let installation = Installation::new(backend);
    installation.create_user("ann").await;
    let project = installation.create_project("ann", "Herbarium").await;
    create(&installation, "taken", &["--scope", "read"]).await;
    let before = rows(&installation);
    let long = "x".repeat(65);
    let wrong_usage: &[&[&str]] = &[
        &[],
        &["--name", "a"],
        &["--scope", "read"],
        &["--name", "", "--scope", "read"],
        &["--name", "a b", "--scope", "read"],
        &["--name", "Upper", "--scope", "read"],
        &["--name", "-a", "--scope", "read"],
        &["--name", "*", "--scope", "read"],
        &["--name", "a/b", "--scope", "read"],
        &["--name", "é", "--scope", "read"],
        &["--name", &long, "--scope", "read"],
        &["--name", "a", "--scope", ""],
        &["--name", "a", "--scope", "admin"],
        &["--name", "a", "--scope", "READ"],
        &["--name", "a", "--scope", "read,follow"],
        &["--name", "a", "--scope", "publish"],
        &["--name", "a", "--scope", "read", "--project", &project],
        &["--name", "a", "--scope", "publish", "--project", "x"],
        &["--name", "a", "--name", "b", "--scope", "read"],
    ];
    for options in wrong_usage {
        let refused = installation
            .cli(&[&["service-token", "create"], *options].concat(), "")
            .await
            .assert_failure(2);
        assert!(refused.stdout.is_empty(), "{options:?}: {refused}");
    }
    for (options, reason) in [
        (&["--name", "taken", "--scope", "read"][..], "taken"),
        (
            &[
                "--name",
                "a",
                "--scope",
                "publish",
                "--project",
                UNKNOWN_GID,
            ],
            UNKNOWN_GID,
        ),
        (
            &[
                "--name",
                "a",
                "--scope",
                "publish",
                "--project",
                &project,
                "--project",
                UNKNOWN_GID,
            ],
            UNKNOWN_GID,
        ),
    ] {
        let refused = installation
            .cli(&[&["service-token", "create"], options].concat(), "")
            .await
            .assert_failure(1);
        assert!(
            refused.stdout.is_empty() && refused.stderr.contains(reason),
            "{options:?}: {refused}"
        );
    }
    for (name, exit) in [("a", 1), ("Taken", 2), ("", 2), ("taken.", 2)] {
        installation
            .cli(&["service-token", "revoke", name], "")
            .await
            .assert_failure(exit);
    }
    assert_eq!(rows(&installation), before);
    assert!(
        trail(&installation, "service_token_revoked")
            .await
            .is_empty()
    );
}

async fn revoked_name_is_free_again(backend: Backend) {
    let installation = Installation::new(backend);
    let first = create(&installation, "search", &["--scope", "read"]).await;
    let revoked = installation
        .cli(&["service-token", "revoke", "search"], "")
        .await
        .assert_success()
        .json();
    assert_eq!(revoked["name"], json!("search"));
    assert_eq!(rows(&installation), [Vec::<String>::new(), Vec::new()]);
    let trail = trail(&installation, "service_token_revoked").await;
    assert_eq!(
        (trail.len(), &trail[0]["detail"], &trail[0]["by"]),
        (1, &json!("search"), &json!("command line"))
    );
    assert_ne!(
        create(&installation, "search", &["--scope", "verify"]).await,
        first
    );
    assert_eq!(list(&installation).await[0]["scopes"], json!(["verify"]));
}

async fn half_created_token_is_listed_and_revocable(backend: Backend) {
    let installation = Installation::new(backend);
    let auth = &installation.databases.auth;
    let directory = &installation.databases.directory;
    for lost in [auth, directory] {
        create(&installation, "half", &["--scope", "read"]).await;
        execute(lost, "DELETE FROM service_tokens");
        assert_eq!(names(&installation).await, ["half"]);
        let words = [
            "service-token",
            "create",
            "--name",
            "half",
            "--scope",
            "read",
        ];
        let refused = installation.cli(&words, "").await.assert_failure(1);
        assert!(
            refused.stderr.contains("revoke") && refused.stdout.is_empty(),
            "{refused}"
        );
        installation
            .cli(&["service-token", "revoke", "half"], "")
            .await
            .assert_success();
        assert_eq!(rows(&installation), [Vec::<String>::new(), Vec::new()]);
        installation
            .cli(&["service-token", "revoke", "half"], "")
            .await
            .assert_failure(1);
    }
}

/// Returns SQL that makes the table of tokens read-only, and SQL that undoes this.
const fn refusing_changes(backend: Backend) -> [&'static str; 2] {
    match backend {
        Backend::Sqlite => [
            "CREATE TRIGGER refuse_insert BEFORE INSERT ON service_tokens BEGIN SELECT RAISE(ABORT, 'refused'); END; \
             CREATE TRIGGER refuse_delete BEFORE DELETE ON service_tokens BEGIN SELECT RAISE(ABORT, 'refused'); END",
            "DROP TRIGGER refuse_insert; DROP TRIGGER refuse_delete",
        ],
        Backend::Postgres => [
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$; \
             CREATE TRIGGER refuse BEFORE INSERT OR DELETE ON service_tokens FOR EACH ROW EXECUTE FUNCTION refuse()",
            "DROP TRIGGER refuse ON service_tokens; DROP FUNCTION refuse",
        ],
    }
}

async fn partially_failed_revocation_can_be_repeated(backend: Backend) {
    let installation = Installation::new(backend);
    create(&installation, "search", &["--scope", "read"]).await;
    let directory = &installation.databases.directory;
    let [refuse, accept] = refusing_changes(backend);
    execute(directory, refuse);
    let failed = installation
        .cli(&["service-token", "revoke", "search"], "")
        .await
        .assert_failure(1);
    assert!(
        failed.stderr.contains("again") && failed.stdout.is_empty(),
        "{failed}"
    );
    let words = [
        "service-token",
        "create",
        "--name",
        "other",
        "--scope",
        "read",
    ];
    let failed = installation.cli(&words, "").await.assert_failure(1);
    assert!(
        failed.stderr.contains("revoke other") && failed.stdout.is_empty(),
        "{failed}"
    );
    execute(directory, accept);
    assert_eq!(names(&installation).await, ["other", "search"]);
    for name in ["search", "other"] {
        installation
            .cli(&["service-token", "revoke", name], "")
            .await
            .assert_success();
    }
    assert_eq!(rows(&installation), [Vec::<String>::new(), Vec::new()]);
}

async fn creations_at_once_of_one_name_give_one_token(backend: Backend) {
    let installation = Installation::new(backend);
    installation.cli(&["migrate"], "").await.assert_success();
    let words = [
        "service-token",
        "create",
        "--name",
        "search",
        "--scope",
        "read",
    ];
    let outputs =
        futures_util::future::join_all((0..4).map(|_| installation.cli(&words, ""))).await;
    let created = outputs
        .iter()
        .filter(|output| output.code == Some(0))
        .count();
    assert_eq!(created, 1, "{outputs:?}");
    assert!(
        outputs
            .iter()
            .all(|output| matches!(output.code, Some(0 | 1))),
        "{outputs:?}"
    );
    let [auth, directory] = rows(&installation);
    assert_eq!((auth.len(), &auth), (1, &directory));
}
