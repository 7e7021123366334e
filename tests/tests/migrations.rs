//! `doorward migrate`, and what `serve` does with a database that is not of its release.

use doorward_domain::Gid;
use doorward_tests::{
    App, Backend, Installation, PASSWORD, Split, backend::execute, installation::COMMAND, on_both_databases, ports,
};
use serde_json::json;

on_both_databases![
    migrations_may_run_several_times_at_once,
    a_service_refuses_a_database_that_is_not_migrated,
    a_newer_database_is_refused,
    a_project_of_before_it_had_options_gets_what_new_ones_start_with,
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

async fn a_project_of_before_it_had_options_gets_what_new_ones_start_with(backend: Backend) {
    let installation = Installation::new(backend);
    installation.cli(&["migrate"], "").await.succeeded();
    installation.create_user("ann").await;
    let mut old = Vec::new();
    for number in 0..20 {
        old.push(installation.create_project("ann", &format!("Old {number}")).await);
    }
    // As the first release left it.
    let undo = "DROP TABLE project_items; DROP TABLE project_languages; \
                DELETE FROM __diesel_schema_migrations WHERE version = '0002'";
    execute(&installation.databases.directory, undo);

    let app = App::of(installation).await;

    let mut ids = Vec::new();
    for project in &old {
        let (_, data) = app.http.project_login(project, "ann", PASSWORD).await.success();
        let options = &data["cc.projects"][project]["options"];
        let id = |list: &str, position: usize| options[list][position].as_str().expect("an id");
        let own = [id("orderedchannels", 1), id("orderedorderings", 0), id("orderedfieldlists", 0)];
        let [channel, ordering, fieldlist] = own;
        let expected = json!({
            "channels": {"__all__": "[all records]", channel: "Main channel"},
            "orderedchannels": ["__all__", channel],
            "orderings": {ordering: "Main ordering"},
            "orderedorderings": [ordering],
            "fieldlists": {fieldlist: "Main fieldlist"},
            "orderedfieldlists": [fieldlist],
            "languages": ["en"],
            "timezone": "Europe/Amsterdam",
            "imageserver": {"type": "ccdam", "options": {}}
        });
        assert_eq!(options, &expected);
        ids.extend(own.map(str::to_owned));
    }
    for id in &ids {
        assert_eq!(id.parse::<Gid>().map(|gid| gid.to_string()).ok().as_ref(), Some(id));
        assert!(id[14..].starts_with('4') && "89ab".contains(&id[19..20]), "{id} is no UUID of version 4");
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3 * old.len(), "two have the same id");
}
