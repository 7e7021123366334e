//! `doorward migrate`, and what `serve` does with a database that is not of its release.

use doorward_tests::{Backend, Installation, Split, backend::execute, installation::COMMAND, on_both_databases, ports};

on_both_databases![
    migrations_may_run_several_times_at_once,
    a_service_refuses_a_database_that_is_not_migrated,
    a_newer_database_is_refused,
];

async fn migrations_may_run_several_times_at_once(backend: Backend) {
    let installation = Installation::new(backend);
    let mut running: Vec<_> = (0..4).map(|_| installation.spawn(&["migrate"], &[])).collect();
    for process in &mut running {
        process.exit(COMMAND).await.succeeded();
    }
    installation.cli(&["migrate"], "").await.succeeded();
    installation.create_user("ann").await;
}

async fn a_service_refuses_a_database_that_is_not_migrated(backend: Backend) {
    let installation = Installation::new(backend).with(&[
        ("DOORWARD_AUTH_LISTEN", &ports::free_address()),
        ("DOORWARD_DIRECTORY_LISTEN", &ports::free_address()),
    ]);
    for service in ["auth", "directory"] {
        let output = installation.cli(&["serve", service], "").await.failed(1);
        assert!(output.stderr.contains("migrate") && !output.stderr.contains("panicked"), "{output}");
    }
    // With `--migrate` it helps itself.
    let mut process = installation.spawn(&["serve", "directory", "--migrate"], &[]);
    let ops = doorward_tests::Http::new(&installation.variable("DOORWARD_OPS_LISTEN"));
    doorward_tests::app::wait_until_ready(&mut process, &ops).await;
}

async fn a_newer_database_is_refused(backend: Backend) {
    let split = Split::prepare(backend).await;
    let databases = &split.installation.databases;
    for (service, url) in [("auth", &databases.auth), ("directory", &databases.directory)] {
        execute(url, "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')");
        for words in [&["serve", service] as &[&str], &["serve", service, "--migrate"], &["migrate"], &["serve", "all"]]
        {
            let output = split.installation.cli(words, "").await.failed(1);
            assert!(output.stderr.contains("newer") && !output.stderr.contains("panicked"), "{words:?}: {output}");
        }
        execute(url, "DELETE FROM __diesel_schema_migrations WHERE version = '9999'");
    }
}
