//! Tests of transactions, snapshots, the pool, migrations and wake-ups on both databases.

use std::{sync::Arc, time::Duration};

use diesel::{RunQueryDsl, connection::SimpleConnection, sql_query, sql_types::BigInt};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use doorward_storage::{
    AnyConnection, Database, DatabaseOptions, DatabaseUrl, Error, IncompleteImport, Migrations,
    check, listen, migrate,
    testing::{TestDatabase, create_postgres_database},
};

const SET: EmbeddedMigrations = embed_migrations!("tests/migrations");
const MIGRATIONS: Migrations = Migrations {
    postgres: SET,
    sqlite: SET,
    owner_table: "counter",
    data_migrations: &[],
};

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn count(connection: &mut AnyConnection) -> Result<i64, Error> {
    let row: Count = match connection {
        AnyConnection::Postgres(connection) => {
            sql_query("SELECT value AS count FROM counter").get_result(connection)?
        }
        AnyConnection::Sqlite(connection) => {
            sql_query("SELECT value AS count FROM counter").get_result(connection)?
        }
    };
    Ok(row.count)
}

fn add(connection: &mut AnyConnection) -> Result<(), Error> {
    let next = count(connection)? + 1;
    Ok(connection.batch_execute(&format!("UPDATE counter SET value = {next}"))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_read_then_write_loses_no_update() {
    let test = TestDatabase::sqlite(&MIGRATIONS);
    let writers = (0..400).map(|_| {
        let database = test.database.clone();
        tokio::spawn(async move { database.write(add).await })
    });
    let done = futures_util::future::join_all(writers).await;
    assert!(done.into_iter().all(|done| done.unwrap().is_ok()));
    assert_eq!(test.database.read_snapshot(count).await.unwrap(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_or_panicked_transaction_is_rolled_back() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let failed = test
            .database
            .write(|connection| {
                add(connection)?;
                Err::<(), _>(Error::Other("no".to_owned()))
            })
            .await;
        assert!(failed.is_err());
        let panicked = test
            .database
            .write(|connection| {
                add(connection)?;
                panic!("on purpose");
                #[expect(unreachable_code, reason = "gives the type")]
                Ok::<(), Error>(())
            })
            .await;
        assert!(panicked.is_err());
        assert_eq!(test.database.read_snapshot(count).await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_uses_one_snapshot() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let database = test.database.clone();
        let (first_read, has_read) = std::sync::mpsc::channel();
        let (written, has_written) = std::sync::mpsc::channel::<()>();
        let reader = tokio::spawn(async move {
            database
                .read_snapshot(move |connection| {
                    let before = count(connection)?;
                    first_read.send(()).unwrap();
                    has_written.recv().unwrap();
                    Ok::<_, Error>((before, count(connection)?))
                })
                .await
        });
        tokio::task::spawn_blocking(move || has_read.recv().unwrap())
            .await
            .unwrap();
        test.database.write(add).await.unwrap();
        written.send(()).unwrap();
        assert_eq!(reader.await.unwrap().unwrap(), (0, 0));
        assert_eq!(test.database.read_snapshot(count).await.unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exhausted_pool_fails_as_unavailable() {
    let test = TestDatabase::sqlite(&MIGRATIONS);
    let database = Database::new(DatabaseOptions {
        name: "small",
        url: test.database.url().clone(),
        pool_size: 1,
    });
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (took, taken) = tokio::sync::oneshot::channel();
    let holder = tokio::spawn({
        let database = database.clone();
        async move {
            database
                .read_snapshot(move |_| {
                    took.send(()).unwrap();
                    released.recv().unwrap();
                    Ok::<_, Error>(())
                })
                .await
        }
    });
    taken.await.unwrap();
    assert!(matches!(database.ping().await, Err(Error::Unavailable(_))));
    release.send(()).unwrap();
    holder.await.unwrap().unwrap();
    database.ping().await.unwrap();
}

#[tokio::test]
async fn unreachable_database_is_unavailable() {
    let url: DatabaseUrl = "postgres://nobody@127.0.0.1:1/none".parse().unwrap();
    let database = Database::new(DatabaseOptions {
        name: "away",
        url,
        pool_size: 2,
    });
    assert!(database.ping().await.unwrap_err().is_unavailable());
    assert!(
        database
            .check_writable()
            .await
            .unwrap_err()
            .is_unavailable()
    );
}

fn empty_databases() -> Vec<DatabaseUrl> {
    let file = std::env::temp_dir().join(format!("doorward-migrate-{}.db", std::process::id()));
    drop(std::fs::remove_file(&file));
    let (_, postgres, _) = create_postgres_database();
    vec![DatabaseUrl::Sqlite(file), postgres]
}

#[test]
fn concurrent_migrations_run_once_and_newer_databases_are_rejected() {
    for url in empty_databases() {
        assert!(matches!(
            check(&url, &MIGRATIONS, IncompleteImport::Accept),
            Err(Error::SchemaOutdated(_))
        ));
        let url = Arc::new(url);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let url = url.clone();
                std::thread::spawn(move || {
                    migrate(&url, &MIGRATIONS, IncompleteImport::Accept)
                        .unwrap()
                        .len()
                })
            })
            .collect();
        let ran: usize = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        assert_eq!(ran, 1);
        check(&url, &MIGRATIONS, IncompleteImport::Accept).unwrap();
        let database = Database::new(DatabaseOptions {
            name: "test",
            url: (*url).clone(),
            pool_size: 1,
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime
            .block_on(database.write(|connection| {
                Ok::<_, Error>(connection.batch_execute(
                    "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')",
                )?)
            }))
            .unwrap();
        assert!(
            matches!(check(&url, &MIGRATIONS, IncompleteImport::Accept), Err(Error::SchemaTooNew(unknown)) if unknown == "9999")
        );
        assert!(matches!(
            migrate(&url, &MIGRATIONS, IncompleteImport::Accept),
            Err(Error::SchemaTooNew(_))
        ));
    }
}

/// Returns whether a wake-up arrives. There are no other wake-ups in this test.
async fn receives_wake_up(wakes: &mut tokio::sync::mpsc::UnboundedReceiver<()>) -> bool {
    tokio::time::timeout(Duration::from_secs(20), wakes.recv())
        .await
        .is_ok_and(|woken| woken.is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn listener_is_woken_by_other_processes_and_after_reconnecting() {
    const END_LISTENER: &str =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN news'";
    let TestDatabase { database, .. } = &TestDatabase::postgres(&MIGRATIONS);
    let execute = |sql: &'static str| {
        database.write(move |connection| Ok::<(), Error>(connection.batch_execute(sql)?))
    };
    let (sender, mut wakes) = tokio::sync::mpsc::unbounded_channel();
    let shutdown = tokio_util::sync::CancellationToken::new();
    listen(
        database.url(),
        "news",
        move || {
            let _ = sender.send(());
        },
        shutdown.clone(),
    );
    assert!(
        receives_wake_up(&mut wakes).await,
        "no wake-up at the start"
    );
    execute("NOTIFY news").await.unwrap();
    assert!(
        receives_wake_up(&mut wakes).await,
        "no wake-up after NOTIFY"
    );

    execute("NOTIFY other_news").await.unwrap();
    execute("NOTIFY news; SELECT 1 / 0").await.unwrap_err();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(
        wakes.try_recv().is_err(),
        "a wake-up by another channel or by a transaction that was rolled back"
    );

    execute(END_LISTENER).await.unwrap();
    assert!(
        receives_wake_up(&mut wakes).await,
        "no wake-up after reconnecting, although notifications may have been missed"
    );
    execute("NOTIFY news").await.unwrap();
    assert!(
        receives_wake_up(&mut wakes).await,
        "no wake-up after NOTIFY"
    );
    shutdown.cancel();
    assert!(!receives_wake_up(&mut wakes).await);
}
