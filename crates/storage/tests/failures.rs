//! Tests of failures with real databases: errors are classified in any language, connections that
//! cannot write are dropped, and the write check reports failures.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests stop at the first failure"
)]

use std::{
    sync::{Arc, Barrier},
    time::{Duration, Instant},
};

use diesel::connection::SimpleConnection;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use doorward_storage::{
    AnyConnection, Database, DatabaseOptions, DatabaseUrl, Error, IncompleteImport, Migrations,
    check, migrate,
    testing::{TestDatabase, create_postgres_database},
};

const SET: EmbeddedMigrations = embed_migrations!("tests/migrations");
const MIGRATIONS: Migrations = Migrations {
    postgres: SET,
    sqlite: SET,
    owner_table: "counter",
    data_migrations: &[],
};

async fn run(database: &Database, sql: impl Into<String>) -> Result<(), Error> {
    let sql = sql.into();
    database
        .write(move |connection| Ok::<_, Error>(connection.batch_execute(&sql)?))
        .await
}

/// Runs SQL in each of `count` sessions of the pool.
async fn run_in_all(
    database: &Database,
    count: usize,
    sql: &'static str,
) -> Vec<Result<(), Error>> {
    let barrier = Arc::new(Barrier::new(count));
    let sessions = (0..count).map(|_| {
        let database = database.clone();
        let barrier = barrier.clone();
        tokio::spawn(async move {
            let work = move |connection: &mut AnyConnection| {
                barrier.wait();
                Ok::<_, Error>(connection.batch_execute(sql)?)
            };
            database.write(work).await
        })
    });
    let sessions: Vec<_> = sessions.collect();
    futures_util::future::join_all(sessions)
        .await
        .into_iter()
        .map(|ended| ended.unwrap())
        .collect()
}

/// Returns a database whose server reports errors in German.
async fn german() -> TestDatabase {
    let mut test = TestDatabase::postgres(&MIGRATIONS);
    let set = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lc_messages = ''de_DE.UTF-8''', current_database()); END $$";
    run(&test.database, set)
        .await
        .expect("the locale de_DE.UTF-8: scripts/setup.sh test installs it");
    test.database = test.reopen();
    test
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_errors_are_classified_in_any_language() {
    let test = german().await;
    let unavailable = [
        "SET LOCAL statement_timeout = '50ms'; SELECT pg_sleep(5)",
        "DO $$ BEGIN RAISE EXCEPTION 'voll' USING ERRCODE = '53100'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION 'voll' USING ERRCODE = '53200'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION 'voll' USING ERRCODE = '53300'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION 'kaputt' USING ERRCODE = '58030'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION 'gesperrt' USING ERRCODE = '55P03'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION 'verklemmt' USING ERRCODE = '40P01'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION 'noch einmal' USING ERRCODE = '40001'; END $$",
    ];
    for sql in unavailable {
        let error = run(&test.database, sql).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{sql}: {error:?}");
    }
    let error = run(
        &test.database,
        "SELECT pg_terminate_backend(pg_backend_pid())",
    )
    .await
    .unwrap_err();
    assert!(matches!(error, Error::Disconnected(_)), "{error:?}");
    let read_only = "SET LOCAL transaction_read_only = on; UPDATE counter SET value = 1";
    let error = run(&test.database, read_only).await.unwrap_err();
    assert!(
        matches!(&error, Error::ReadOnly(text) if !text.contains("read-only")),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lock_timeout_and_deadlock_are_unavailable_in_any_language() {
    let test = german().await;
    run(
        &test.database,
        "CREATE TABLE other (value BIGINT); INSERT INTO other VALUES (0)",
    )
    .await
    .unwrap();
    let barrier = Arc::new(Barrier::new(2));
    let update = |first: &'static str, second: &'static str| {
        let database = test.database.clone();
        let barrier = barrier.clone();
        tokio::spawn(async move {
            let work = move |connection: &mut AnyConnection| {
                connection.batch_execute(&format!("UPDATE {first} SET value = 1"))?;
                barrier.wait();
                Ok::<_, Error>(connection.batch_execute(&format!("UPDATE {second} SET value = 1"))?)
            };
            database.write(work).await
        })
    };
    let one = update("counter", "other");
    let two = update("other", "counter");
    let ended = [one.await.unwrap(), two.await.unwrap()];
    let [victim] = ended
        .into_iter()
        .filter_map(Result::err)
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert!(matches!(victim, Error::Unavailable(_)), "{victim:?}");

    let (locked, is_locked) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let database = test.database.clone();
    let holder = tokio::spawn(async move {
        let work = move |connection: &mut AnyConnection| {
            connection.batch_execute("LOCK TABLE counter")?;
            locked.send(()).unwrap();
            released.recv().unwrap();
            Ok::<_, Error>(())
        };
        database.write(work).await
    });
    tokio::task::spawn_blocking(move || is_locked.recv().unwrap())
        .await
        .unwrap();
    let error = run(
        &test.database,
        "SET LOCAL lock_timeout = '50ms'; SELECT * FROM counter",
    )
    .await
    .unwrap_err();
    assert!(
        matches!(&error, Error::Unavailable(text) if text.contains("Sperr")),
        "{error:?}"
    );
    release.send(()).unwrap();
    holder.await.unwrap().unwrap();
}

/// Compares the messages in the classification with those that the library reports.
#[tokio::test(flavor = "multi_thread")]
async fn sqlite_errors_are_classified() {
    let test = TestDatabase::sqlite(&MIGRATIONS);
    let full = "CREATE TABLE filler (bytes BLOB); PRAGMA max_page_count = 20; \
                INSERT INTO filler VALUES (zeroblob(1000000))";
    let error = run(&test.database, full).await.unwrap_err();
    assert!(matches!(error, Error::DiskFull(_)), "{error:?}");
    let error = run_on(
        &test,
        "PRAGMA query_only = ON; UPDATE counter SET value = 1",
    )
    .await;
    assert!(matches!(error, Error::ReadOnly(_)), "{error:?}");
    let error = run_on(&test, "SELECT * FROM nowhere").await;
    assert!(matches!(error, Error::Other(_)), "{error:?}");

    let (locked, is_locked) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let database = test.database.clone();
    let holder = tokio::spawn(async move {
        let work = move |_: &mut AnyConnection| {
            locked.send(()).unwrap();
            released.recv().unwrap();
            Ok::<_, Error>(())
        };
        database.write(work).await
    });
    tokio::task::spawn_blocking(move || is_locked.recv().unwrap())
        .await
        .unwrap();
    let started = Instant::now();
    let error = run(&test.database, "UPDATE counter SET value = 1")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert!(
        started.elapsed() < Duration::from_secs(9),
        "it waited for the lock more than once: {:?}",
        started.elapsed()
    );
    test.database
        .check_writable()
        .await
        .expect("another connection is writing, so writes succeed");
    release.send(()).unwrap();
    holder.await.unwrap().unwrap();
    run(&test.database, "UPDATE counter SET value = 1")
        .await
        .unwrap();
}

/// Runs SQL on a connection that is not used again.
async fn run_on(test: &TestDatabase, sql: &'static str) -> Error {
    run(&test.reopen(), sql).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_sessions_are_replaced_immediately() {
    let test = TestDatabase::postgres(&MIGRATIONS);
    let all_set = run_in_all(&test.database, 4, "SET default_transaction_read_only = on").await;
    assert!(all_set.iter().all(Result::is_ok), "{all_set:?}");
    let error = run(&test.database, "UPDATE counter SET value = 1")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ReadOnly(_)), "{error:?}");
    // One connection failed, and all others were dropped with it.
    let written = run_in_all(&test.database, 4, "UPDATE counter SET value = 1").await;
    assert!(written.iter().all(Result::is_ok), "{written:?}");
    run(&test.database, "UPDATE counter SET value = 1")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn write_check_finds_read_only_sessions() {
    let test = TestDatabase::postgres(&MIGRATIONS);
    test.database.check_writable().await.unwrap();
    run_in_all(&test.database, 4, "SET default_transaction_read_only = on").await;
    let error = test.database.check_writable().await.unwrap_err();
    assert!(
        matches!(error, Error::ReadOnly(_)) && error.to_string().contains("read-only"),
        "{error:?}"
    );
    // The connection of the check was dropped with all others, so the next write succeeds.
    run(&test.database, "UPDATE counter SET value = 1")
        .await
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while test.database.check_writable().await.is_err() {
        assert!(Instant::now() < deadline, "still not ready");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn write_check_writes() {
    for test in TestDatabase::both(&MIGRATIONS) {
        test.database.check_writable().await.unwrap();
        // A trigger reports SQLSTATE 53100 in place of a full disk, or an I/O error of SQLite.
        let refuse = match test.database.url() {
            DatabaseUrl::Postgres(_) => {
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION 'voll' USING ERRCODE = '53100'; END $$; \
                 CREATE TRIGGER refuse BEFORE UPDATE ON __diesel_schema_migrations \
                 FOR EACH ROW EXECUTE FUNCTION refuse()"
            }
            DatabaseUrl::Sqlite(_) => {
                "CREATE TRIGGER refuse BEFORE UPDATE ON __diesel_schema_migrations \
                 BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
            }
        };
        run(&test.database, refuse).await.unwrap();
        let database = test.reopen();
        let error = database.check_writable().await.unwrap_err();
        let is_named = match test.database.url() {
            DatabaseUrl::Postgres(_) => {
                matches!(error, Error::DiskFull(_)) && error.to_string().contains("full")
            }
            DatabaseUrl::Sqlite(_) => error.is_unavailable(),
        };
        assert!(is_named, "{error:?}");
        assert!(
            database.check_writable().await.is_err(),
            "the failure was not cached"
        );
    }
}

#[test]
fn database_without_utf_8_is_rejected_and_unchanged() {
    let (server, _, name) = create_postgres_database();
    let other = format!("{name}_latin");
    let create = format!("CREATE DATABASE {other} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let admin = Database::new(DatabaseOptions {
        name: "admin",
        url: server.clone(),
        pool_size: 1,
    });
    runtime
        .block_on(admin.query(move |connection| Ok::<_, Error>(connection.batch_execute(&create)?)))
        .unwrap();
    let DatabaseUrl::Postgres(text) = &server else {
        panic!("{server}")
    };
    let postgres: DatabaseUrl = format!("{}/{other}", text.rsplit_once('/').unwrap().0)
        .parse()
        .unwrap();

    let file = std::env::temp_dir().join(format!("doorward-utf16-{}.db", std::process::id()));
    drop(std::fs::remove_file(&file));
    let sqlite = DatabaseUrl::Sqlite(file);
    let utf_16 = Database::new(DatabaseOptions {
        name: "utf16",
        url: sqlite.clone(),
        pool_size: 1,
    });
    runtime
        .block_on(utf_16.query(|connection| {
            Ok::<_, Error>(
                connection
                    .batch_execute("PRAGMA encoding = 'UTF-16le'; CREATE TABLE some (text TEXT)")?,
            )
        }))
        .unwrap();

    for (url, encoding) in [(postgres, "LATIN1"), (sqlite, "UTF-16le")] {
        for refused in [
            migrate(&url, &MIGRATIONS, IncompleteImport::Accept).map(drop),
            check(&url, &MIGRATIONS, IncompleteImport::Accept),
        ] {
            let error = refused.unwrap_err();
            assert!(
                matches!(&error, Error::Incompatible(text) if text.contains(encoding)),
                "{error:?}"
            );
        }
    }
}
