//! Tests imports of many users: invalid lines, a killed import, and an endless line.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::Command,
};

use doorward_tests::{
    App, Backend, Installation, Process, eventually, installation::COMMAND, on_both_databases,
    sql::texts,
};
use serde_json::{Value, json};

use crate::login::foreign_hashes::{DJANGO, FOREIGN_PASSWORD, user};

on_both_databases![
    import_reports_every_invalid_line_and_imports_the_rest,
    import_that_was_killed_can_be_repeated,
    endless_line_uses_bounded_memory,
];

const LINES: usize = 5_000;
const MIB: u64 = 1024 * 1024;

fn spawn(installation: &Installation, file: &Path) -> Process {
    installation.spawn(&["user", "import", &file.display().to_string()], &[])
}

fn write_lines(installation: &Installation, lines: impl Iterator<Item = Vec<u8>>) -> PathBuf {
    let path = installation.path().join("users.jsonl");
    let mut file = BufWriter::new(File::create(&path).expect("a file"));
    for line in lines {
        file.write_all(&line)
            .and_then(|()| file.write_all(b"\n"))
            .expect("a line");
    }
    file.into_inner().expect("a file");
    path
}

fn name(number: usize) -> String {
    format!("user-{number}")
}

fn good_line(number: usize) -> Vec<u8> {
    user(&name(number), DJANGO).to_string().into_bytes()
}

/// Returns an invalid line of each kind, with a part of the error in the report.
fn bad_lines() -> Vec<(Vec<u8>, &'static str)> {
    let with = |name: &str, value: Value| {
        let mut line = user("bad", DJANGO);
        line[name] = value;
        line.to_string().into_bytes()
    };
    let without = |name: &str| {
        let mut line = user("bad", DJANGO);
        line.as_object_mut().expect("an object").remove(name);
        line.to_string().into_bytes()
    };
    let not_utf_8 = [b"{\"username\": \"".as_slice(), &[0xff], b"\"}"].concat();
    vec![
        (b"{".to_vec(), "not the expected JSON object"),
        (b"null".to_vec(), "not the expected JSON object"),
        (b"\"text\"".to_vec(), "not the expected JSON object"),
        (not_utf_8, "not the expected JSON object"),
        (
            [good_line(0), b" {}".to_vec()].concat(),
            "not the expected JSON object",
        ),
        (vec![b'['; 60_000], "not the expected JSON object"),
        (vec![b' '; 70_000], "has more than 65536 bytes"),
        (with("password", json!("plain")), "unknown field `password`"),
        (without("username"), "missing field `username`"),
        (with("username", json!(7)), "invalid type"),
        (with("username", json!("no name")), "username: "),
        (with("username", json!("somebody@example.org")), "email"),
        (with("email", json!("nowhere")), "email: "),
        (with("name", json!("x".repeat(10_000))), "name: "),
        (with("gid", json!("no gid")), "gid: "),
        (with("status", json!("deleted")), "status: "),
        (with("language", json!("xx-yy")), "language: "),
        (with("timezone", json!("Mars/Olympus")), "timezone: "),
        (
            with("password_hash", json!("$1$salt$hash")),
            "password_hash: ",
        ),
        (
            with(
                "password_hash",
                json!("$2b$31$abcdefghijklmnopqrstuuKBd35sRbafNVpQzEoJOvNL1uAoC9zW6"),
            ),
            "too much",
        ),
    ]
}

async fn import_reports_every_invalid_line_and_imports_the_rest(backend: Backend) {
    let app = App::start(backend).await;
    let bad = bad_lines();
    // Expected errors by line number, from 1.
    let mut expected = BTreeMap::new();
    let lines = (1..=LINES).map(|number| {
        let (line, why) = match number {
            number if number % 37 == 0 => bad[number / 37 % bad.len()].clone(),
            // The username of the first line again, both before and after that line was written to
            // the database.
            number if number % 101 == 0 => (good_line(1), "username"),
            number if number % 503 == 0 => return b" \t\r".to_vec(),
            number => return good_line(number),
        };
        expected.insert(number, why);
        line
    });
    let file = write_lines(&app.installation, lines);

    let output = spawn(&app.installation, &file)
        .wait_for_exit(COMMAND)
        .await
        .assert_failure(1);

    let report = output.json();
    let failed = report["failed"].as_array().expect("a list");
    let reported: Vec<usize> = failed
        .iter()
        .map(|failed| failed["line"].as_u64().expect("a number") as usize)
        .collect();
    assert_eq!(reported, expected.keys().copied().collect::<Vec<_>>());
    for (failed, why) in failed.iter().zip(expected.values()) {
        assert!(
            failed["error"]
                .as_str()
                .is_some_and(|error| error.contains(why)),
            "{failed} is not {why}"
        );
    }
    let blank = (1..=LINES)
        .filter(|number| number % 503 == 0 && !expected.contains_key(number))
        .count();
    let good = LINES - blank - expected.len();
    assert_eq!(report["imported"], json!(good));
    assert_eq!(count(&app.installation), (good, good));
    for number in [1, 250, LINES - 1] {
        assert_eq!(
            app.http.login(&name(number), FOREIGN_PASSWORD).await.status,
            200,
            "{number}"
        );
    }
}

/// Returns the number of users and of passwords.
fn count(installation: &Installation) -> (usize, usize) {
    let count = |url, table: &str| {
        texts(
            url,
            &format!("SELECT CAST(COUNT(*) AS TEXT) AS text FROM {table}"),
        )
    };
    let [users, passwords] = [
        count(&installation.databases.directory, "users"),
        count(&installation.databases.auth, "credentials"),
    ]
    .map(|counts| counts[0].parse().expect("a number"));
    (users, passwords)
}

async fn import_that_was_killed_can_be_repeated(backend: Backend) {
    let app = App::start(backend).await;
    let pipe = app.installation.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .expect("mkfifo")
            .success()
    );
    let mut first = spawn(&app.installation, &pipe);
    // The pipe stays open until the thread is joined, so the import waits for more lines.
    let writer = std::thread::spawn(move || {
        let mut pipe = File::options().write(true).open(pipe)?;
        let lines = (1..=LINES / 2).flat_map(|number| [good_line(number), b"\n".to_vec()].concat());
        pipe.write_all(&lines.collect::<Vec<_>>()).map(|()| pipe)
    });
    eventually("some users", COMMAND, async || {
        (count(&app.installation).0 > 0).then_some(())
    })
    .await;
    assert!(first.is_running(), "it was done before it was killed");
    first.kill();
    drop(writer);
    let (imported, passwords) = count(&app.installation);
    assert!(
        passwords >= imported && imported <= LINES / 2,
        "{imported} users, {passwords} passwords"
    );
    let file = write_lines(&app.installation, (1..=LINES).map(good_line));

    let report = spawn(&app.installation, &file)
        .wait_for_exit(COMMAND)
        .await
        .assert_failure(1)
        .json();

    assert_eq!(report["imported"], json!(LINES - imported));
    let failed = report["failed"].as_array().expect("a list");
    assert_eq!(failed.len(), imported);
    let reasons: BTreeSet<&str> = failed
        .iter()
        .filter_map(|failed| failed["error"].as_str())
        .collect();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert_eq!(count(&app.installation).0, LINES);
    // The first and last users, and those around the point at which the import was killed.
    for number in [1, imported, imported + 1, imported + 500, LINES] {
        assert_eq!(
            app.http.login(&name(number), FOREIGN_PASSWORD).await.status,
            200,
            "{number}"
        );
    }
}

async fn endless_line_uses_bounded_memory(backend: Backend) {
    let installation = Installation::new(backend);
    installation
        .cli(&["user", "list"], "")
        .await
        .assert_success();
    let path = write_lines(&installation, [good_line(1)].into_iter());
    let mut file = File::options().write(true).open(&path).expect("the file");
    // A hole of 512 MiB in the file, which takes no space on the disk.
    file.seek(SeekFrom::End(i64::try_from(512 * MIB).expect("a number")))
        .expect("a position");
    file.write_all(&[b"\n".to_vec(), good_line(3), b"\n".to_vec()].concat())
        .expect("a line");
    let mut process = spawn(&installation, &path);

    let mut most = 0;
    while process.is_running() {
        most = most.max(process.peak_bytes().unwrap_or_default());
        tokio::task::yield_now().await;
    }

    let report = process
        .wait_for_exit(COMMAND)
        .await
        .assert_failure(1)
        .json();
    let expected =
        json!({"imported": 2, "failed": [{"line": 2, "error": "has more than 65536 bytes"}]});
    assert_eq!(report, expected);
    assert!(most > 0 && most < 256 * MIB, "{most} bytes");
}
