//! Tests that after `doorward keys reseal`, the new master key unseals everything that is stored
//! and the old one nothing.

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use doorward_tests::{
    App, Backend, Installation, Output, PASSWORD, Response, User,
    installation::{COMMAND, MASTER_KEY},
    on_both_databases,
    sql::texts,
};
use serde_json::json;

on_both_databases![
    with_a_given_key_the_new_one_opens_everything_and_the_old_one_nothing,
    server_with_the_old_master_key_seals_nothing,
    reseal_that_fails_changes_nothing,
];

const NEW_KEY: &str = "YW5vdGhlciBtYXN0ZXIga2V5IG9mIHRoZSB0ZXN0cyE=";
const THIRD_KEY: &str = "YSB0aGlyZCBtYXN0ZXIga2V5LCBvZiBubyB1c2UgISE=";
const NEW: &str = "DOORWARD_NEW_MASTER_KEY";

/// A server with sealed values of each kind: signing keys, secrets and an API key.
struct SealedInstallation {
    app: App,
    ann: User,
    project: String,
    /// Gid of the API user.
    user: String,
    api_key: String,
    api_token: String,
}

impl SealedInstallation {
    async fn start(installation: Installation) -> Self {
        let app = App::on_installation(installation).await;
        let ann = app.user("ann").await;
        let project = app.installation.create_project("ann", "Herbarium").await;
        let words = [
            "apikey",
            "create",
            "--project",
            &project,
            "--name",
            "Export",
        ];
        let created = app
            .installation
            .cli(&words, "")
            .await
            .assert_success()
            .json();
        let text = |name: &str| created[name].as_str().expect("a text").to_owned();
        let user = text("user");
        let api_key = text("apikey");
        // After a rotation there is also a previous key, which has no private part any more.
        app.installation
            .cli(&["keys", "rotate"], "")
            .await
            .assert_success();
        let mut fixture = Self {
            app,
            ann,
            project,
            user,
            api_key,
            api_token: String::new(),
        };
        fixture.api_token = fixture.auth().await;
        fixture
    }

    /// Logs in with the API key and returns the token.
    async fn auth(&self) -> String {
        let call = self.app.http.post(&format!("/api/p/{}/auth", self.project));
        call.json(&json!({"api_key": self.api_key}))
            .send()
            .await
            .token()
    }

    async fn read_api_key(&self) -> Response {
        let call = self
            .app
            .http
            .post(&format!("/api/p/{}/apikeys/get", self.project))
            .bearer(&self.ann.token);
        call.json(&json!({"user": self.user})).send().await
    }

    async fn everything_works(&self) {
        for token in [&self.ann.token, &self.api_token, &self.auth().await] {
            assert_eq!(self.app.http.init(token).await.status, 200);
        }
        assert_eq!(
            self.read_api_key().await.success().0,
            json!({"apikey": self.api_key})
        );
        assert_eq!(self.app.http.login("ann", PASSWORD).await.status, 200);
    }

    async fn reseal(&self, variables: &[(&str, &str)]) -> Output {
        self.app
            .installation
            .spawn(&["keys", "reseal"], variables)
            .wait_for_exit(COMMAND)
            .await
    }

    /// Restarts the server, with this master key unless it is generated.
    async fn restart(&mut self, master_key: Option<&str>) {
        if let Some(key) = master_key {
            self.app.installation.set(&[("DOORWARD_MASTER_KEY", key)]);
        }
        self.app.restart().await;
    }

    /// Asserts that the server fails to start with the present master key.
    async fn assert_start_fails(&mut self) {
        self.app.process.kill();
        let ended = self
            .app
            .installation
            .spawn(&["serve"], &[])
            .wait_for_exit(COMMAND)
            .await
            .assert_failure(1);
        assert!(ended.stderr.contains("master key"), "{ended}");
    }

    /// Returns the sealed values with their associated data: two signing keys, two secrets and one
    /// API key.
    fn sealed(&self) -> Vec<(String, String)> {
        let queries = [
            "SELECT 'signing_key/' || kid || ' ' || sealed_private_key AS text FROM signing_keys \
             WHERE sealed_private_key <> ''",
            "SELECT 'secret/' || name || ' ' || sealed_secret AS text FROM secrets",
            "SELECT 'api_key/' || user_gid || ' ' || sealed_key AS text FROM api_keys",
        ];
        let rows = queries
            .into_iter()
            .map(|query| texts(&self.app.installation.databases.auth, query));
        let rows: Vec<Vec<String>> = rows.collect();
        assert!(rows.iter().map(Vec::len).eq([2, 2, 1]), "{rows:?}");
        let pair = |row: &String| {
            row.split_once(' ')
                .map(|(associated_data, sealed)| (associated_data.to_owned(), sealed.to_owned()))
        };
        rows.iter().flatten().filter_map(pair).collect()
    }

    /// Counts the sealed values that a master key unseals.
    fn unsealed_by(&self, master_key: &str) -> usize {
        let bytes = STANDARD.decode(master_key.trim()).expect("base64");
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes).expect("32 bytes");
        let unseals = |(associated_data, sealed): &(String, String)| {
            let mut sealed = STANDARD.decode(sealed).expect("base64");
            let mut rest = sealed.split_off(12);
            let nonce = Nonce::try_assume_unique_for_key(&sealed).expect("a nonce");
            key.open_in_place(nonce, Aad::from(associated_data.as_str()), &mut rest)
                .is_ok()
        };
        self.sealed().iter().filter(|row| unseals(row)).count()
    }
}

async fn with_a_given_key_the_new_one_opens_everything_and_the_old_one_nothing(backend: Backend) {
    let mut fixture = SealedInstallation::start(Installation::new(backend)).await;
    assert_eq!(
        (
            fixture.unsealed_by(MASTER_KEY),
            fixture.unsealed_by(NEW_KEY)
        ),
        (5, 0)
    );
    let kids = |items: Vec<serde_json::Value>| {
        items
            .iter()
            .map(|key| key["kid"].clone())
            .collect::<Vec<_>>()
    };
    let listed = kids(
        fixture
            .app
            .installation
            .cli(&["keys", "list"], "")
            .await
            .assert_success()
            .items(),
    );

    let resealed = fixture.reseal(&[(NEW, NEW_KEY)]).await.assert_success();

    assert_eq!(kids(resealed.items()), listed);
    for key in [MASTER_KEY, NEW_KEY] {
        assert!(!resealed.to_string().contains(key), "{resealed}");
    }
    assert_eq!(
        (
            fixture.unsealed_by(MASTER_KEY),
            fixture.unsealed_by(NEW_KEY)
        ),
        (0, 5)
    );
    fixture.assert_start_fails().await;
    fixture
        .app
        .installation
        .cli(&["keys", "rotate"], "")
        .await
        .assert_failure(1);
    for kid in &listed {
        let words = ["keys", "retire", kid.as_str().expect("a kid")];
        fixture
            .app
            .installation
            .cli(&words, "")
            .await
            .assert_failure(1);
    }
    assert_eq!(
        (
            fixture.unsealed_by(MASTER_KEY),
            fixture.unsealed_by(NEW_KEY)
        ),
        (0, 5),
        "nothing must be sealed with the old key"
    );
    fixture.restart(Some(NEW_KEY)).await;
    fixture.everything_works().await;
    let records = fixture
        .app
        .installation
        .cli(&["audit", "--action", "master_key_replaced"], "")
        .await
        .assert_success();
    assert_eq!(records.items().len(), 1);
    assert_eq!(records.items()[0]["by"], json!("command line"));

    // The new key can also be read from a file.
    let file = fixture.app.installation.path().join("new.key");
    std::fs::write(&file, format!("{THIRD_KEY}\n")).expect("a file");
    fixture
        .app
        .installation
        .cli(&["keys", "rotate"], "")
        .await
        .assert_success();
    fixture
        .reseal(&[("DOORWARD_NEW_MASTER_KEY_FILE", &file.display().to_string())])
        .await
        .assert_success();
    fixture.assert_start_fails().await;
    fixture.restart(Some(THIRD_KEY)).await;
    fixture.everything_works().await;
}

async fn server_with_the_old_master_key_seals_nothing(backend: Backend) {
    let mut fixture = SealedInstallation::start(Installation::new(backend)).await;
    fixture.reseal(&[(NEW, NEW_KEY)]).await.assert_success();

    for token in [
        &fixture.ann.token,
        &fixture.api_token,
        &fixture.auth().await,
    ] {
        assert_eq!(fixture.app.http.init(token).await.status, 200);
    }
    assert_eq!(fixture.app.http.login("ann", PASSWORD).await.status, 200);
    fixture
        .read_api_key()
        .await
        .assert_error(500, "Internal server error", &json!({}));
    let create = fixture
        .app
        .http
        .post(&format!("/api/p/{}/apikeys/create", fixture.project));
    let created = create
        .bearer(&fixture.ann.token)
        .json(&json!({"name": "Import"}))
        .send()
        .await
        .success()
        .0;
    assert_eq!(
        (
            fixture.unsealed_by(MASTER_KEY),
            fixture.unsealed_by(NEW_KEY)
        ),
        (0, 5)
    );

    fixture.restart(Some(NEW_KEY)).await;
    fixture.everything_works().await;
    // The API key that the server could not seal is created now.
    fixture.user = created["user"].as_str().expect("a gid").to_owned();
    let read = fixture.read_api_key().await.success().0;
    fixture.api_key = read["apikey"].as_str().expect("a key").to_owned();
    fixture.everything_works().await;
}

async fn reseal_that_fails_changes_nothing(backend: Backend) {
    let mut fixture = SealedInstallation::start(Installation::new(backend)).await;
    let sealed = fixture.sealed();
    let wrong = [
        (
            &[("DOORWARD_MASTER_KEY", THIRD_KEY), (NEW, NEW_KEY)][..],
            1,
            "master key",
        ),
        (
            &[("DOORWARD_MASTER_KEY", NEW_KEY), (NEW, NEW_KEY)],
            1,
            "master key",
        ),
        (&[(NEW, "c2hvcnQ=")], 2, NEW),
        (&[], 1, NEW),
    ];
    for (variables, code, named) in wrong {
        let ended = fixture.reseal(variables).await.assert_failure(code);
        assert!(ended.stderr.contains(named), "{ended}");
        assert_eq!(fixture.sealed(), sealed);
    }
    fixture.everything_works().await;
    fixture.restart(None).await;
    fixture.everything_works().await;
}

/// Tests the generated key file, which exists only with SQLite.
#[tokio::test(flavor = "multi_thread")]
async fn generated_key_file_is_replaced_in_place() {
    let mut fixture = SealedInstallation::start(
        Installation::new(Backend::Sqlite).without(&["DOORWARD_MASTER_KEY"]),
    )
    .await;
    let file =
        PathBuf::from(fixture.app.installation.variable("DOORWARD_DATA_DIR")).join("master.key");
    let read = || std::fs::read_to_string(&file).expect("the key");
    let old = read();
    assert_eq!(fixture.unsealed_by(&old), 5);

    fixture.reseal(&[]).await.assert_success();

    let new = read();
    assert_ne!(new, old);
    assert_eq!(
        (fixture.unsealed_by(&old), fixture.unsealed_by(&new)),
        (0, 5)
    );
    assert_eq!(
        std::fs::metadata(&file)
            .expect("the key")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    let entries = std::fs::read_dir(file.parent().expect("a directory")).expect("a directory");
    let names: Vec<String> = entries
        .map(|entry| entry.expect("a file").file_name().display().to_string())
        .collect();
    assert_eq!(
        names
            .iter()
            .filter(|name| name.contains("master.key"))
            .count(),
        1,
        "{names:?}"
    );
    fixture.restart(None).await;
    fixture.everything_works().await;

    std::fs::write(&file, &old).expect("a file");
    fixture.assert_start_fails().await;
    fixture.reseal(&[]).await.assert_failure(1);
    assert_eq!((read(), fixture.unsealed_by(&new)), (old.clone(), 5));
    std::fs::write(&file, &new).expect("a file");

    // A file that an earlier run left behind can be the only copy of a key, so it is not
    // overwritten.
    let left = file.with_extension("key.new");
    std::fs::write(&left, &old).expect("a file");
    let failed = fixture.reseal(&[]).await.assert_failure(1);
    assert!(failed.stderr.contains("master.key.new"), "{failed}");
    assert_eq!(
        (
            std::fs::read_to_string(&left).expect("the key"),
            fixture.unsealed_by(&new)
        ),
        (old, 5)
    );
    std::fs::remove_file(&left).expect("the key");

    // A key in the settings is used instead of a generated one.
    fixture.reseal(&[(NEW, NEW_KEY)]).await.assert_success();
    assert_eq!(read().trim(), NEW_KEY);
    fixture.restart(None).await;
    fixture.everything_works().await;
}
