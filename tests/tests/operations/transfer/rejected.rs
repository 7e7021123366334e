//! Tests streams that an import rejects. Afterwards the installation does not start until a valid
//! stream is imported.

use doorward_tests::{
    Backend, Installation,
    installation::{COMMAND, MASTER_KEY},
    on_both_databases,
};
use serde_json::{Value, json};

use crate::operations::transfer::{
    NEW_KEY, OLD, import, other, source::Source, stream::Export, target,
};

on_both_databases![
    truncated_stream_is_rejected,
    unknown_rows_are_rejected,
    undecryptable_secrets_are_rejected,
];

/// Checks that every command except an import is rejected.
pub(crate) async fn does_not_start(installation: &Installation) {
    for words in [
        &["serve"][..],
        &["user", "list"],
        &["keys", "list"],
        &["export"],
    ] {
        let refused = installation.cli(words, "").await.assert_failure(1);
        assert!(
            refused.stderr.contains("import") && refused.stderr.contains("was not completed"),
            "{words:?}: {refused}"
        );
    }
}

/// Checks that an import of this stream fails with an error that contains `named`.
async fn assert_rejected(installation: &Installation, stream: &str, named: &str) {
    let refused = installation
        .cli(&["import"], stream)
        .await
        .assert_failure(1);
    assert!(
        refused.stderr.contains(named) && !refused.stderr.contains("panicked"),
        "expected {named:?}: {refused}"
    );
    assert!(refused.stdout.is_empty(), "{refused}");
}

/// Checks that a valid stream can still be imported.
async fn recovers(installation: Installation, export: &Export) {
    does_not_start(&installation).await;
    installation.cli(&["migrate"], "").await.assert_success();
    import(&installation, export).await;
    assert_eq!(Export::of(&installation).await.0, export.0);
    doorward_tests::App::on_installation(installation).await;
}

async fn truncated_stream_is_rejected(backend: Backend) {
    let export = Source::new(other(backend)).await.export().await;
    let installation = target(backend, MASTER_KEY);
    let text = &export.0;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let all_but_last = lines[..lines.len() - 1].concat();
    for (stream, named) in [
        ("", "truncated"),
        (&lines[0][..40], "truncated"),
        (lines[0], "truncated"),
        (&lines[..lines.len() / 2].concat(), "truncated"),
        (&all_but_last, "truncated"),
        (&text[..text.len() - 1], "truncated"),
        (&text[..text.len() - 30], "truncated"),
        (
            &format!("{all_but_last}{{\"sha256\":\"{}\"}}\n", "0".repeat(64)),
            "checksum",
        ),
        (&text.replacen("Herbarium", "Herbarien", 1), "checksum"),
        (
            &text.replacen("\"release\":\"2", "\"release\":\"3", 1),
            "checksum",
        ),
        (
            &[lines[..5].concat(), lines[6..].concat()].concat(),
            "checksum",
        ),
        (&format!("{text}{}", lines[1]), "follows the last line"),
        (&format!("{text}\n"), "follows the last line"),
        ("{}\n", "not an export"),
        ("nothing of the kind\n", "not an export"),
        (
            &text.replacen("\"version\":1", "\"version\":2", 1),
            "version 2",
        ),
        (
            &text.replacen("\"version\":1", "\"version\":\"1\"", 1),
            "version",
        ),
        (&text.replacen(lines[7], "{}\n", 1), "line 8"),
        (&text.replacen(lines[7], "\n", 1), "line 8"),
    ] {
        assert_rejected(&installation, stream, named).await;
    }
    recovers(installation, &export).await;
}

fn find<'a>(lines: &'a mut [Value], table: &str) -> &'a mut Value {
    lines
        .iter_mut()
        .find(|line| line["table"] == table)
        .expect("a row")
}

/// The changed streams have a valid checksum, so the rows themselves must be checked.
async fn unknown_rows_are_rejected(backend: Backend) {
    let export = Source::new(other(backend)).await.export().await;
    let installation = target(backend, MASTER_KEY);
    type Change = fn(&mut Vec<Value>);
    let changes: [(Change, &str); 17] = [
        (
            |lines| find(lines, "auth.audit")["table"] = json!("auth.audits"),
            "unknown table auth.audits",
        ),
        (
            |lines| find(lines, "auth.audit")["table"] = json!("audit"),
            "unknown table audit",
        ),
        (
            |lines| find(lines, "directory.users")["table"] = json!("directory.import_state"),
            "unknown table",
        ),
        (
            |lines| find(lines, "directory.users")["row"]["shoe_size"] = json!(43),
            "unknown column shoe_size",
        ),
        (
            |lines| {
                drop(
                    find(lines, "directory.users")["row"]
                        .as_object_mut()
                        .expect("a row")
                        .remove("name"),
                );
            },
            "column name of table directory.users is missing",
        ),
        (
            |lines| find(lines, "directory.users")["row"]["name"] = json!(7),
            "wrong type",
        ),
        (
            |lines| find(lines, "directory.users")["row"]["name"] = json!(null),
            "wrong type",
        ),
        (
            |lines| find(lines, "directory.users")["row"]["name"] = json!("a\0b"),
            "wrong type",
        ),
        (
            |lines| find(lines, "directory.users")["row"]["created_at"] = json!("7"),
            "wrong type",
        ),
        (
            |lines| find(lines, "directory.users")["row"]["created_at"] = json!(0.5),
            "wrong type",
        ),
        (
            |lines| find(lines, "directory.users")["row"]["status"] = json!("asleep"),
            "directory.users",
        ),
        (
            |lines| {
                let user = find(lines, "directory.users").clone();
                let at = lines.iter().position(|line| *line == user).expect("a row");
                lines.insert(at, user);
            },
            "directory.users",
        ),
        (
            |lines| {
                find(lines, "directory.memberships")["row"]["user_gid"] =
                    json!("0f8fad5b-d9cb-469f-a165-70867728950e");
            },
            "directory.memberships",
        ),
        (
            |lines| {
                lines.retain(|line| line["table"] != "auth.trust_version");
                lines[0]["counts"]["auth.trust_version"] = json!(0);
            },
            "auth.trust_version must have exactly one row",
        ),
        (|lines| drop(lines.remove(5)), "header says"),
        (
            |lines| lines[0]["migrations"]["auth"] = json!(["0001"]),
            "release",
        ),
        (
            |lines| {
                let picture = lines
                    .iter_mut()
                    .find(|line| line["picture"].is_string())
                    .expect("a picture");
                picture["picture"] = json!("avatars/../../auth.db");
            },
            "not allowed",
        ),
    ];
    for (change, named) in changes {
        assert_rejected(&installation, &export.changed(change).0, named).await;
    }
    recovers(installation, &export).await;
}

async fn undecryptable_secrets_are_rejected(backend: Backend) {
    let export = Source::new(other(backend)).await.export().await;
    let mut installation = target(backend, NEW_KEY);
    assert_rejected(&installation, &export.0, OLD).await;
    installation.set(&[(OLD, NEW_KEY)]);
    assert_rejected(&installation, &export.0, OLD).await;
    let malformed = installation
        .spawn(&["import"], &[(OLD, "c2hvcnQ=")])
        .wait_for_exit(COMMAND)
        .await
        .assert_failure(2);
    assert!(malformed.stderr.contains(OLD), "{malformed}");
    installation.set(&[(OLD, MASTER_KEY)]);
    // A value in each sealed column that the old master key cannot unseal.
    for (table, column) in [
        ("auth.api_keys", "sealed_key"),
        ("auth.secrets", "sealed_secret"),
        ("auth.signing_keys", "sealed_private_key"),
        ("auth.outbox", "content"),
    ] {
        let changed = export.changed(|lines| {
            find(lines, table)["row"][column] =
                json!("bm90aGluZyBvZiB0aGUga2luZCwgYnV0IGxvbmcgZW5vdWdo");
        });
        assert_rejected(&installation, &changed.0, table).await;
    }
    does_not_start(&installation).await;
    import(&installation, &export).await;
    let again = Export::of(&installation).await;
    assert_eq!(again.unsealed(NEW_KEY), export.unsealed(MASTER_KEY));
}
