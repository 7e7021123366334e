//! Tests that export and import of a large installation need no more memory than those of a small
//! one.

use std::time::Duration;

use doorward_tests::on_both_databases;
use doorward_tests::{
    Backend, Installation, Process, eventually, installation::MASTER_KEY, sql::execute,
};

use crate::operations::transfer::{other, target};

on_both_databases![sixty_thousand_users_need_no_more_memory_than_ten_thousand];

/// Enough to fill every buffer and cache.
const FEW: u32 = 10_000;
const MANY: u32 = 60_000;
/// Allowed growth of the memory: 167 bytes for each additional user, less than the user's rows
/// take.
const ALLOWED_BYTES: u64 = 8 * 1024 * 1024;
/// Maximum memory of a command for any number of users.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(200);

/// Waits for the end of a command and returns its peak memory in bytes.
async fn peak(mut process: Process) -> u64 {
    let mut peak = 0;
    eventually("the end of the command", TIMEOUT, async || {
        peak = process.peak_bytes().map_or(peak, |bytes| bytes.max(peak));
        (!process.is_running()).then_some(())
    })
    .await;
    process.wait_for_exit(TIMEOUT).await.assert_success();
    assert!(peak > 0);
    peak
}

/// Adds users with credentials and an audit trail.
fn fill(installation: &Installation, users: u32) {
    let numbers = format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {users})"
    );
    let gid = "'00000000-0000-4000-8000-' || CAST(100000000000 + n AS TEXT)";
    for (url, insert) in [
        (
            &installation.databases.directory,
            format!(
                "INSERT INTO users (gid, username, email, email_canonical, name, status, language, timezone, created_at, updated_at) \
                 SELECT {gid}, 'user' || n, 'user' || n || '@example.org', 'user' || n || '@example.org', 'User ' || n, \
                 'active', 'en', 'Europe/Amsterdam', n, n FROM numbers"
            ),
        ),
        (
            &installation.databases.auth,
            format!(
                "INSERT INTO credentials (user_gid, password_hash, updated_at) SELECT {gid}, '$2b$x', n FROM numbers"
            ),
        ),
        (
            &installation.databases.auth,
            format!(
                "INSERT INTO audit (at, action, user_gid) SELECT n, 'user_created', {gid} FROM numbers"
            ),
        ),
    ] {
        execute(url, &format!("{numbers} {insert}"));
    }
}

async fn sixty_thousand_users_need_no_more_memory_than_ten_thousand(backend: Backend) {
    let mut peaks = Vec::new();
    for users in [FEW, MANY] {
        let source = Installation::new(other(backend));
        source.cli(&["migrate"], "").await.assert_success();
        fill(&source, users);
        let target = target(backend, MASTER_KEY);
        let file = target.path().join("state.jsonl").display().to_string();
        let exported = peak(source.spawn(&["export", &file], &[])).await;
        let imported = peak(target.spawn(&["import", &file], &[])).await;
        peaks.push([exported, imported]);
        let again = target.path().join("again.jsonl").display().to_string();
        peak(target.spawn(&["export", &again], &[])).await;
        assert!(
            std::fs::read(file).expect("the export") == std::fs::read(again).expect("the export"),
            "{users} users"
        );
    }
    let [few, many] = [peaks[0], peaks[1]];
    for (few, many) in few.into_iter().zip(many) {
        assert!(
            many < few + ALLOWED_BYTES && many < MAX_BYTES,
            "{few} bytes for {FEW}, {many} for {MANY} users: {peaks:?}"
        );
    }
    println!("peaks of export and import, with {FEW} and {MANY} users: {peaks:?}");
}
