//! Tests the settings for the published API: the languages of new projects, and the API version
//! that clients see.

use std::time::Duration;

use doorward_tests::{
    App, Backend, Installation, Services, User, eventually, installation::COMMAND,
    on_both_databases, snapshots::assert_json_eq,
};
use serde_json::{Value, json};

on_both_databases![
    new_project_has_the_languages_of_the_setting,
    clients_see_the_api_version_of_the_setting,
    newer_api_version_is_announced_in_the_feed,
];

async fn languages(user: &User, project: &str) -> Value {
    let (_, data) = user
        .call("/api/projects/get", &json!({"project": project}))
        .await
        .success();
    data["cc.projects"][project]["options"]["languages"].clone()
}

async fn new_project_has_the_languages_of_the_setting(backend: Backend) {
    for (setting, expected) in [
        (None, json!(["en", "nl"])),
        (Some("nl-be"), json!(["nl-be"])),
        (Some("pt-br, en,de"), json!(["pt-br", "en", "de"])),
    ] {
        let variables: Vec<(&str, &str)> = setting
            .iter()
            .map(|languages| ("DOORWARD_PROJECT_LANGUAGES", *languages))
            .collect();
        let app = App::with_settings(backend, &variables).await;
        let ann = app.user("ann").await;
        let (result, data) = ann
            .call("/api/projects/create", &json!({"name": "Herbarium"}))
            .await
            .success();
        let project = result["project"].as_str().expect("a gid");
        assert_eq!(
            data["cc.projects"][project]["options"]["languages"], expected,
            "{setting:?}"
        );
        assert_eq!(languages(&ann, project).await, expected, "{setting:?}");
        let project = app.installation.create_project("ann", "Garden").await;
        assert_eq!(languages(&ann, &project).await, expected, "{setting:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_languages_and_versions_are_configuration_errors() {
    let installation = Installation::new(Backend::Sqlite);
    for (variable, value) in [
        ("DOORWARD_PROJECT_LANGUAGES", ","),
        ("DOORWARD_PROJECT_LANGUAGES", "en,xx"),
        ("DOORWARD_PROJECT_LANGUAGES", "en,en"),
        ("DOORWARD_PROJECT_LANGUAGES", "EN"),
        ("DOORWARD_API_VERSION", "2026"),
        ("DOORWARD_API_VERSION", "2026.1.1"),
        ("DOORWARD_API_VERSION", "2026.13.001"),
        ("DOORWARD_API_VERSION", "latest"),
    ] {
        let output = installation
            .spawn(&["serve"], &[(variable, value)])
            .wait_for_exit(COMMAND)
            .await
            .assert_failure(2);
        assert!(
            output.stderr.contains(variable),
            "{variable}={value}: {output}"
        );
    }
}

async fn clients_see_the_api_version_of_the_setting(backend: Backend) {
    let split = Services::with(backend, &[("DOORWARD_API_VERSION", "2031.02.003")]).await;
    let ann = split.user("ann").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    let version = json!("2031.02.003");
    let (ping, _) = split.http.get("/api/ping").send().await.success();
    assert_eq!(ping, json!({"cc.version": version}));
    let robot = ann.create_api_user(&project, "Robot").await;
    let answers = [
        split.http.login("ann", doorward_tests::PASSWORD).await,
        ann.init().await,
        split
            .http
            .project_login(&project, "ann", doorward_tests::PASSWORD)
            .await,
        split.http.project_init(&project, &ann.token).await,
        robot.auth().await,
    ];
    for answer in answers {
        assert_eq!(answer.success().0["cc.version"], version);
    }
    let release = split
        .installation
        .cli(&["--version"], "")
        .await
        .assert_success()
        .stdout;
    assert!(!release.contains("2031"), "{release}");
    let document = split.http.get("/api/openapi.json").send().await.json();
    assert!(
        release.contains(document["info"]["version"].as_str().expect("a release")),
        "{release}"
    );
}

async fn newer_api_version_is_announced_in_the_feed(backend: Backend) {
    let mut app = App::with_settings(backend, &[("DOORWARD_API_VERSION", "2030.01.001")]).await;
    let ann = app.user("ann").await;
    let since = ann.init().await.success().0["cc.cursor"].clone();
    let read = async || {
        ann.call("/sync/get", &json!({"cc_cursor": since}))
            .await
            .success()
            .0
    };
    app.installation
        .set(&[("DOORWARD_API_VERSION", "2030.02.001")]);
    app.restart().await;
    let changed = async || Some(read().await).filter(|result| result["sync"] != json!([]));
    let result = eventually("the version", Duration::from_secs(10), changed).await;
    let row = json!({
        "type": "cc", "cursor": since.as_i64().map(|cursor| cursor + 1), "action": "UPDATE", "data_type": "cc.version",
        "data_key": "2030.02.001"
    });
    assert_json_eq(&result, &json!({"sync": [row]}));
    // An older version, as of a server that is not yet replaced during an upgrade, is not
    // announced.
    app.installation
        .set(&[("DOORWARD_API_VERSION", "2030.01.001")]);
    app.restart().await;
    assert_json_eq(&read().await, &result);
    assert_eq!(
        ann.init().await.success().0["cc.version"],
        json!("2030.01.001")
    );
}
