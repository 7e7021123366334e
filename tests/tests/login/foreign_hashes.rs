//! Tests that imported users log in with their foreign hashes, which are then replaced by argon2id.
//! The hashes were computed with Python's hashlib and argon2-cffi, and with libxcrypt.

use doorward_tests::{App, Backend, Installation, Output, on_both_databases, sql::texts};
use futures_util::future::join_all;
use serde_json::{Value, json};

on_both_databases![
    every_kind_of_foreign_hash_logs_in_and_is_replaced_by_argon2id,
    logins_at_once_with_a_foreign_hash_all_succeed,
    import_accepts_valid_lines_and_reports_others,
    line_that_is_too_long_is_reported_and_the_next_ones_are_imported,
    hashes_that_cost_too_much_are_refused,
];

pub(crate) const FOREIGN_PASSWORD: &str = "Tr0ub4dor & drie, \u{e9}lan";
pub(crate) const DJANGO: &str =
    "pbkdf2_sha256$2000$djangosalt$D6Q9b82B6Dn/ucRWmgVt6n+p4Nt1gctUcNFVFSxTbKI=";
const HASHES: [(&str, &str); 10] = [
    (
        "argon2id",
        "$argon2id$v=19$m=64,t=3,p=2$c2FsdCBvZiBzaXh0ZWVuIQ$GyIu8eAsvE2ReLANzevrR7x0sVZXpGGnqkFpoM/h1AU",
    ),
    (
        "argon2i",
        "$argon2i$v=19$m=64,t=3,p=2$c2FsdCBvZiBzaXh0ZWVuIQ$RghbUVg8vp3i1R2WQnlCNwC9HhpJIpx/V7nkA+GZ18k",
    ),
    (
        "argon2d",
        "$argon2d$v=19$m=64,t=3,p=2$c2FsdCBvZiBzaXh0ZWVuIQ$ilndQxAh7VVv/g117HA55nYGemaqv5ha/707rlCRSfs",
    ),
    (
        "scrypt",
        "$scrypt$ln=10,r=8,p=1$c2FsdCBvZiBzaXh0ZWVuIQ$2y9IgoDRnvahU06YZCjgIeRl8N6ZxqN+oJ/0r5BCYvM",
    ),
    (
        "pbkdf2-sha256",
        "$pbkdf2-sha256$i=2000,l=32$c2FsdCBvZiBzaXh0ZWVuIQ$v78G+6mkQ3m7k/gmsRDqDyvcFtjumpReycDApMCTcjE",
    ),
    (
        "pbkdf2-sha512",
        "$pbkdf2-sha512$i=2000,l=64$c2FsdCBvZiBzaXh0ZWVuIQ$\
         yURsoHDICyWwUrxkct+524I1xy8E9Bi2f3j6I7RcLgIHmpcKsR5qdkQ6B/yRA9GbygfyIjP09t2eOXtXE4PHag",
    ),
    (
        "bcrypt-2a",
        "$2a$04$abcdefghijklmnopqrstuuKBd35sRbafNVpQzEoJOvNL1uAoC9zW6",
    ),
    (
        "bcrypt-2b",
        "$2b$04$abcdefghijklmnopqrstuuKBd35sRbafNVpQzEoJOvNL1uAoC9zW6",
    ),
    (
        "bcrypt-2y",
        "$2y$04$abcdefghijklmnopqrstuuKBd35sRbafNVpQzEoJOvNL1uAoC9zW6",
    ),
    ("django", DJANGO),
];
/// Beginning of Doorward's own hashes with the cheap parameters of these tests.
pub(crate) const OURS: &str = "$argon2id$v=19$m=256,t=1,p=1$";

/// Imports users. A line that is a JSON string is written without quotes, so it need not be JSON.
pub(crate) async fn import(installation: &Installation, lines: &[Value]) -> Output {
    let text: Vec<String> = lines
        .iter()
        .map(|line| {
            line.as_str()
                .map_or_else(|| line.to_string(), str::to_owned)
        })
        .collect();
    let file = installation.path().join("users.jsonl");
    std::fs::write(&file, text.join("\n") + "\n").expect("a file");
    installation
        .cli(&["user", "import", &file.display().to_string()], "")
        .await
}

pub(crate) fn user(username: &str, hash: &str) -> Value {
    json!({"username": username, "email": format!("{username}@example.org"), "name": username, "password_hash": hash})
}

async fn every_kind_of_foreign_hash_logs_in_and_is_replaced_by_argon2id(backend: Backend) {
    let app = App::start(backend).await;
    let lines: Vec<Value> = HASHES.iter().map(|(kind, hash)| user(kind, hash)).collect();
    import(&app.installation, &lines).await.assert_success();
    assert_eq!(stored_hashes(&app).len(), HASHES.len());
    for (kind, hash) in HASHES {
        app.http
            .login(kind, "a wrong password")
            .await
            .assert_unknown_user();
        assert!(
            stored_hashes(&app).iter().any(|stored| stored == hash),
            "{kind}: a wrong password has replaced the hash"
        );
        for _ in 0..2 {
            let answer = app.http.login(kind, FOREIGN_PASSWORD).await;
            assert_eq!(answer.status, 200, "{kind}: {answer:?}");
        }
        app.http
            .login(kind, "a wrong password")
            .await
            .assert_unknown_user();
    }
    let stored = stored_hashes(&app);
    assert!(
        stored.iter().all(|hash| hash.starts_with(OURS)),
        "{stored:?}"
    );
}

// The first login replaces the hash that the others have already read.
async fn logins_at_once_with_a_foreign_hash_all_succeed(backend: Backend) {
    let app = App::start(backend).await;
    for round in 0..5 {
        let name = format!("user{round}");
        import(&app.installation, &[user(&name, DJANGO)])
            .await
            .assert_success();
        let logins = (0..5).map(|_| app.http.login(&name, FOREIGN_PASSWORD));
        for answer in join_all(logins).await {
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        // None of the logins was counted as a failure.
        for _ in 0..4 {
            app.http
                .login(&name, "a wrong password")
                .await
                .assert_unknown_user();
        }
        assert_eq!(app.http.login(&name, FOREIGN_PASSWORD).await.status, 200);
    }
}

pub(crate) fn stored_hashes(app: &App) -> Vec<String> {
    texts(
        &app.installation.databases.auth,
        "SELECT password_hash AS text FROM credentials",
    )
}

async fn import_accepts_valid_lines_and_reports_others(backend: Backend) {
    let app = App::start(backend).await;
    app.user("ann").await;
    let gid = "0f8fad5b-d9cb-469f-a165-70867728950e";
    let mut complete = user("ben", DJANGO);
    for (name, value) in [
        ("gid", gid),
        ("status", "inactive"),
        ("language", "nl"),
        ("timezone", "Europe/Brussels"),
    ] {
        complete[name] = json!(value);
    }
    let lines = [
        complete,
        user("ann", DJANGO),
        user("cas", DJANGO),
        user("cas", DJANGO),
        user("no good name", DJANGO),
        user("dee", "plain text"),
        user("eve", "$2b$04$short"),
        json!({"username": "fay", "password": "plain text"}),
        Value::String("{\"username\": \"gus\"".to_owned()),
        json!([]),
        json!({"username": "han", "email": "nowhere", "name": "Han", "password_hash": DJANGO}),
        user("ida", DJANGO),
    ];
    let output = import(&app.installation, &lines).await;
    let report = format!("{}{}", output.stdout, output.stderr);
    // The command fails if any line fails.
    output.assert_failure(1);
    for (number, name) in [
        (2, "ann"),
        (4, "cas"),
        (5, "no good name"),
        (6, "dee"),
        (7, "eve"),
        (8, "fay"),
        (9, "gus"),
        (11, "han"),
    ] {
        assert!(
            report.contains(name) || report.contains(&number.to_string()),
            "{name}, line {number}, is not in the report:\n{report}"
        );
    }
    let listed = app
        .installation
        .cli(&["user", "list"], "")
        .await
        .assert_success()
        .items();
    let mut names: Vec<&str> = listed
        .iter()
        .filter_map(|user| user["username"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["ann", "ben", "cas", "ida"]);
    for name in ["cas", "ida"] {
        assert_eq!(
            app.http.login(name, FOREIGN_PASSWORD).await.status,
            200,
            "{name}"
        );
    }
    app.http
        .login("ann", FOREIGN_PASSWORD)
        .await
        .assert_unknown_user();
    app.http
        .login("ben", FOREIGN_PASSWORD)
        .await
        .assert_unknown_user();
    app.installation.change_user("activate", gid).await;
    let (result, data) = app.http.login("ben", FOREIGN_PASSWORD).await.success();
    assert_eq!(result["user"], json!(gid));
    assert_eq!(
        data["cc.users"][gid]["options"],
        json!({"language": "nl", "timezone": "Europe/Brussels"})
    );
}

async fn line_that_is_too_long_is_reported_and_the_next_ones_are_imported(backend: Backend) {
    const MAX_BYTES: usize = 64 * 1024;
    // Returns a line of this length, without the line break, that is valid except for its length.
    let padded = |username: &str, length: usize| {
        let line = user(username, DJANGO).to_string();
        format!("{}{}", " ".repeat(length - line.len()), line)
    };
    let lines = [
        user("ann", DJANGO),
        json!(padded("too-long", MAX_BYTES)),
        user("ben", DJANGO),
        json!(padded("much-too-long", 5 * MAX_BYTES + 1)),
        json!(padded("cas", MAX_BYTES - 2)),
        // The part after the first 64 KiB looks like a valid line, but must not be imported.
        json!(format!(
            "{}{}",
            "x".repeat(MAX_BYTES),
            user("mallory", DJANGO)
        )),
        user("dee", DJANGO),
        json!("  "),
        json!(" ".repeat(3 * MAX_BYTES)),
        json!(padded("last", 2 * MAX_BYTES)),
    ];
    let app = App::start(backend).await;
    let output = import(&app.installation, &lines).await.assert_failure(1);
    let report = output.json();
    assert_eq!(report["imported"], json!(4), "{output}");
    let failed = report["failed"].as_array().expect("a list");
    assert_eq!(
        failed
            .iter()
            .map(|failed| &failed["line"])
            .collect::<Vec<_>>(),
        [2, 4, 6, 9, 10],
        "{output}"
    );
    assert!(
        failed
            .iter()
            .all(|failed| failed["error"] == json!("has more than 65536 bytes")),
        "{output}"
    );
    let mut names = texts(
        &app.installation.databases.directory,
        "SELECT username AS text FROM users",
    );
    names.sort_unstable();
    assert_eq!(names, ["ann", "ben", "cas", "dee"]);
    for name in names {
        assert_eq!(
            app.http.login(&name, FOREIGN_PASSWORD).await.status,
            200,
            "{name}"
        );
    }
}

// One login with such a hash would occupy a worker for minutes, or all memory.
async fn hashes_that_cost_too_much_are_refused(backend: Backend) {
    let app = App::start(backend).await;
    let costly = [
        "$argon2id$v=19$m=4194304,t=3,p=1$c2FsdCBvZiBzaXh0ZWVuIQ$GyIu8eAsvE2ReLANzevrR7x0sVZXpGGnqkFpoM/h1AU",
        "$argon2id$v=19$m=65536,t=4294967295,p=1$c2FsdCBvZiBzaXh0ZWVuIQ$GyIu8eAsvE2ReLANzevrR7x0sVZXpGGnqkFpoM/h1AU",
        "$2b$31$abcdefghijklmnopqrstuuKBd35sRbafNVpQzEoJOvNL1uAoC9zW6",
        "$scrypt$ln=31,r=8,p=1$c2FsdCBvZiBzaXh0ZWVuIQ$2y9IgoDRnvahU06YZCjgIeRl8N6ZxqN+oJ/0r5BCYvM",
        "$scrypt$ln=10,r=8388608,p=64$c2FsdCBvZiBzaXh0ZWVuIQ$2y9IgoDRnvahU06YZCjgIeRl8N6ZxqN+oJ/0r5BCYvM",
        "$pbkdf2-sha256$i=4294967295,l=32$c2FsdCBvZiBzaXh0ZWVuIQ$v78G+6mkQ3m7k/gmsRDqDyvcFtjumpReycDApMCTcjE",
        "$pbkdf2-sha256$5000001$c2FsdCBvZiBzaXh0ZWVuIQ$v78G.6mkQ3m7k/gmsRDqDyvcFtjumpReycDApMCTcjE",
        "pbkdf2_sha256$4294967295$djangosalt$D6Q9b82B6Dn/ucRWmgVt6n+p4Nt1gctUcNFVFSxTbKI=",
        "pbkdf2_sha256$5000001$djangosalt$D6Q9b82B6Dn/ucRWmgVt6n+p4Nt1gctUcNFVFSxTbKI=",
    ];
    for (number, hash) in costly.into_iter().enumerate() {
        let name = format!("user-{number}");
        import(&app.installation, &[user(&name, hash)])
            .await
            .assert_failure(1);
        let create = [
            "user",
            "create",
            "--username",
            &name,
            "--password-hash",
            hash,
        ];
        app.installation.cli(&create, "").await.assert_failure(1);
    }
    assert_eq!(
        app.installation
            .cli(&["user", "list"], "")
            .await
            .assert_success()
            .items(),
        [] as [Value; 0]
    );
}
