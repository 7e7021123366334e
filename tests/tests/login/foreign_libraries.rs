//! Tests that hashes which other libraries compute during the test are imported, verified in the
//! way of that library, and replaced by argon2id.

use std::{io::Write, path::PathBuf, process::Stdio};

use doorward_tests::{App, Backend, on_both_databases, process::clean_command};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::login::foreign_hashes::{OURS, import, stored_hashes};

on_both_databases![
    library_hashes_of_any_password_log_in_and_are_replaced,
    library_default_hashes_log_in_and_are_replaced,
    bcrypt_hashes_cover_72_bytes_and_argon2_all,
];

const REQUIREMENTS: &str = include_str!("../../foreign/requirements.txt");
const BCRYPT_BYTES: usize = 72;
/// Number of concurrent logins, few enough for the hash queue.
const CONCURRENT_LOGINS: usize = 8;

/// A line of `tests/foreign/make.py`.
struct Sample {
    kind: String,
    password: String,
    /// The hash, or the reason why the library rejects the password.
    hash: Result<String, String>,
}

impl Sample {
    fn read(line: &str) -> Self {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let text = |name: &str| {
            line[name]
                .as_str()
                .unwrap_or_else(|| panic!("no {name} in {line}"))
                .to_owned()
        };
        let library = text("library");
        if let Some(version) = line["version"].as_str() {
            let installed = format!("{library}=={version}");
            assert!(
                REQUIREMENTS.lines().any(|line| line == installed),
                "{installed} is not the required version: `./scripts/setup.sh test` installs it"
            );
        }
        let hash = if line["refusal"].is_null() {
            Ok(text("password_hash"))
        } else {
            Err(text("refusal"))
        };
        Self {
            kind: format!("{} of {library}", text("kind")),
            password: text("password"),
            hash,
        }
    }

    fn is_from_bcrypt(&self) -> bool {
        self.kind.ends_with("of bcrypt")
    }
}

/// Hashes each password with each library, with low costs or with the defaults of the libraries.
fn hash_with_libraries(passwords: &[&str], costs: &[&str]) -> Vec<Sample> {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = tests.join("../.tools/venv/bin/python");
    let mut command = clean_command(&python);
    command
        .arg(tests.join("foreign/make.py"))
        .args(costs)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", python.display()));
    child
        .stdin
        .take()
        .expect("stdin")
        .write_all(json!(passwords).to_string().as_bytes())
        .expect("a reader");
    let output = child.wait_with_output().expect("the output of make.py");
    assert!(
        output.status.success(),
        "make.py failed: `./scripts/setup.sh test` installs the libraries"
    );
    String::from_utf8(output.stdout)
        .expect("text")
        .lines()
        .map(Sample::read)
        .collect()
}

/// Imports all hashes, for the users `user-<number>`.
async fn import_samples(app: &App, samples: &[Sample]) {
    let hashes = samples
        .iter()
        .enumerate()
        .filter_map(|(number, sample)| Some((number, sample.hash.as_ref().ok()?)));
    let lines: Vec<Value> = hashes
        .map(|(number, hash)| json!({"username": format!("user-{number}"), "name": "", "password_hash": hash}))
        .collect();
    import(&app.installation, &lines).await.assert_success();
    assert_eq!(stored_hashes(app).len(), lines.len());
}

async fn each_logs_in_and_is_replaced(app: &App, samples: &[Sample]) {
    import_samples(app, samples).await;
    let hashed = samples
        .iter()
        .enumerate()
        .filter(|(_, sample)| sample.hash.is_ok());
    stream::iter(hashed)
        .for_each_concurrent(
            CONCURRENT_LOGINS,
            async |(number, Sample { kind, password, .. })| {
                let name = format!("user-{number}");
                // The difference is at the beginning, because bcrypt ignores what follows 72 bytes.
                let wrong = format!("wrong {password}");
                app.http.login(&name, &wrong).await.assert_unknown_user();
                for _ in 0..2 {
                    let answer = app.http.login(&name, password).await;
                    assert_eq!(answer.status, 200, "{kind}, {password:?}: {answer:?}");
                }
                app.http.login(&name, &wrong).await.assert_unknown_user();
            },
        )
        .await;
    let stored = stored_hashes(app);
    assert!(
        stored.iter().all(|hash| hash.starts_with(OURS)),
        "{stored:?}"
    );
}

async fn library_hashes_of_any_password_log_in_and_are_replaced(backend: Backend) {
    let most = format!("{:72}", "72 bytes");
    let more = "r\u{e9}sum\u{e9} ".repeat(12);
    assert!(most.len() == BCRYPT_BYTES && more.len() > BCRYPT_BYTES);
    let passwords = [
        "correct horse",
        "\u{e9}lan \u{1f980} drie",
        "  spaces at both ends  ",
        &most,
        &more,
    ];
    let samples = hash_with_libraries(&passwords, &[]);
    let app = App::start(backend).await;
    each_logs_in_and_is_replaced(&app, &samples).await;
    // Only bcrypt rejects a password, and only this one.
    let rejected: Vec<&Sample> = samples
        .iter()
        .filter(|sample| sample.hash.is_err())
        .collect();
    assert_eq!(rejected.len(), 3);
    assert!(
        rejected
            .iter()
            .all(|sample| sample.is_from_bcrypt() && sample.password == more)
    );
}

async fn library_default_hashes_log_in_and_are_replaced(backend: Backend) {
    let samples = hash_with_libraries(&["correct horse"], &["default"]);
    let rounds = |sample: &Sample| -> Option<u32> {
        sample
            .hash
            .as_ref()
            .ok()?
            .strip_prefix("pbkdf2_sha256$")?
            .split('$')
            .next()?
            .parse()
            .ok()
    };
    assert!(
        samples
            .iter()
            .any(|sample| rounds(sample) >= Some(1_000_000)),
        "the default of Django has fewer than a million rounds"
    );
    let app = App::start(backend).await;
    each_logs_in_and_is_replaced(&app, &samples).await;
}

// Doorward verifies like the library that computed the hash. Passwords that the library rejects
// have no such hash.
async fn bcrypt_hashes_cover_72_bytes_and_argon2_all(backend: Backend) {
    // The 72nd byte is the first half of a letter.
    let whole = format!("p{}", "\u{e9}".repeat(40));
    let samples: Vec<Sample> = hash_with_libraries(&[&whole], &[])
        .into_iter()
        .filter(Sample::is_from_bcrypt)
        .collect();
    let refusals: Vec<&String> = samples
        .iter()
        .filter_map(|sample| sample.hash.as_ref().err())
        .collect();
    assert_eq!(refusals.len(), 3);
    assert!(
        refusals.iter().all(|refusal| refusal.contains("72 bytes")),
        "{refusals:?}"
    );
    let cut: Vec<Sample> = samples
        .into_iter()
        .filter(|sample| sample.hash.is_ok())
        .collect();
    assert_eq!(cut.len(), 1);
    let app = App::start(backend).await;
    import_samples(&app, &cut).await;
    let login = async |password: &str| app.http.login("user-0", password).await;

    login(&whole.chars().take(35).collect::<String>())
        .await
        .assert_unknown_user();
    login(&format!("P{}", &whole[1..]))
        .await
        .assert_unknown_user();
    // A password with another end is accepted, and is then stored as an argon2id hash in full.
    let typed = format!("{whole}!");
    assert_eq!(login(&typed).await.status, 200);
    assert!(stored_hashes(&app)[0].starts_with(OURS));
    login(&whole).await.assert_unknown_user();
    assert_eq!(login(&typed).await.status, 200);
}
