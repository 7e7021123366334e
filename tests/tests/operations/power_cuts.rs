//! Tests that acknowledged changes survive a power cut, not only a kill: the server syncs its files
//! before it responds.

pub(crate) mod machine;
pub(crate) mod scenario;

use std::path::Path;

use doorward_tests::{
    Backend, MANY_WRITES, PASSWORD, Power, Response, SmtpServer, User,
    mail_app::mail_settings,
    on_both_databases,
    random::{self, Random},
};
use serde_json::json;

use crate::operations::power_cuts::{machine::TestMachine, scenario::Story};

on_both_databases![
    acknowledged_writes_survive_a_power_cut,
    random_actions_survive_power_cuts_or_have_no_effect
];

const NEW_PASSWORD: &str = "a kettle of 7 grey herons";

async fn acknowledged_writes_survive_a_power_cut(backend: Backend) {
    let mut machine = TestMachine::start(backend, &[]).await;
    let ann = machine.app.user("ann").await;
    let http = machine.app.http.clone();
    let acknowledged = async |answer: Response| assert_eq!(answer.status, 200, "{answer:?}");

    // A login with its token, a project and an API key. The power is cut directly after the last
    // answer.
    let (created, _) = ann
        .call("/api/projects/create", &json!({"name": "Herbarium"}))
        .await
        .success();
    let project = created["project"].as_str().expect("a gid").to_owned();
    let robot = ann.create_api_user(&project, "Robot").await;
    machine.lose_power().await;
    assert_eq!(
        ann.init().await.success().0["user_projects"],
        json!({&project: ["owner"]})
    );
    assert_eq!(robot.auth().await.status, 200);

    // Revocations of a login and of an API key.
    let other = User {
        token: http.login("ann", PASSWORD).await.token(),
        ..copy_of(&ann)
    };
    acknowledged(other.call("/api/account/logout", &json!({})).await).await;
    acknowledged(
        ann.api_keys(&project, "deactivate", &json!({"user": robot.gid}))
            .await,
    )
    .await;
    machine.lose_power().await;
    other.init().await.assert_unauthenticated();
    assert_eq!(ann.init().await.status, 200);
    robot.auth().await.assert_unknown_user();

    // A new password revokes all earlier tokens.
    let changed = ann
        .call(
            "/api/account/update",
            &json!({"name": "Ann Smit", "password": NEW_PASSWORD}),
        )
        .await;
    let token = changed.token();
    machine.lose_power().await;
    ann.init().await.assert_unauthenticated();
    http.login("ann", PASSWORD).await.assert_unknown_user();
    assert_eq!(
        http.init(&token).await.success().1["cc.users"][&ann.gid]["name"],
        json!("Ann Smit")
    );
    let ann = User {
        token: http.login("ann", NEW_PASSWORD).await.token(),
        ..copy_of(&ann)
    };

    // A picture, a deleted project, and a user created on the command line.
    let avatar = crate::media::avatars::upload(&ann, &crate::media::avatars::png())
        .await
        .success()
        .1;
    let avatar = avatar["cc.users"][&ann.gid]["avatar"]
        .as_str()
        .expect("a name")
        .to_owned();
    acknowledged(
        ann.call("/api/projects/delete", &json!({"project": project}))
            .await,
    )
    .await;
    machine.app.installation.create_user("ben").await;
    machine.lose_power().await;
    assert_eq!(
        http.get(&format!("/media/avatars/{avatar}"))
            .send()
            .await
            .status,
        200
    );
    assert_eq!(
        ann.init().await.success().1["cc.projects"][&project]["status"],
        json!("deleted")
    );
    assert_eq!(http.login("ben", PASSWORD).await.status, 200);
}

/// Number of stories in one test, each on a separate machine. `TEST_SEED` repeats the actions of
/// one story.
const STORIES: usize = 2;
/// Number of power cuts in one story.
const CUTS: usize = 4;

async fn random_actions_survive_power_cuts_or_have_no_effect(backend: Backend) {
    for seed in random::seeds(STORIES) {
        eprintln!("TEST_SEED={seed}");
        let smtp = SmtpServer::start().await;
        let settings = mail_settings(&smtp);
        let mut settings: Vec<(&str, &str)> = settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        settings.push(MANY_WRITES);
        let mut machine = TestMachine::start(backend, &settings).await;
        let mut story = Story::new(Random::new(seed, 0));
        for _ in 0..CUTS {
            story.run(&machine.app, &smtp).await;
            story.lose_power_in_an_action(&mut machine, &smtp).await;
            story.verify(&machine.app).await;
        }
    }
}

/// Returns a copy of a user without a token.
fn copy_of(user: &User) -> User {
    User {
        gid: user.gid.clone(),
        username: user.username.clone(),
        token: String::new(),
        http: user.http.clone(),
    }
}

/// The simulated disk of these tests must lose exactly the data that was not synced.
#[test]
fn power_cut_loses_unsynced_data() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = directory.path().join("disk");
    std::fs::create_dir(&disk).expect("a directory");
    std::fs::write(disk.join("before"), "old").expect("a file");
    let power = Power::at(&disk, directory.path());
    let dd = |name: &str, options: &[&str]| {
        let mut command = std::process::Command::new("dd");
        command.args([
            "if=/dev/zero",
            "bs=1000",
            "count=1",
            "status=none",
            &format!("of={}", disk.join(name).display()),
        ]);
        assert!(
            command
                .args(options)
                .envs(power.variables())
                .status()
                .expect("dd")
                .success()
        );
    };
    dd("synced", &["conv=fsync"]);
    dd("lost", &[]);
    dd("before", &[]);
    dd("half", &["conv=fdatasync"]);
    dd("half", &["seek=1"]);
    dd("temporary", &["conv=fsync"]);
    std::fs::rename(disk.join("temporary"), disk.join("renamed")).expect("a file");
    let mut sync = std::process::Command::new("sync");
    assert!(
        sync.arg(&disk)
            .envs(power.variables())
            .status()
            .expect("sync")
            .success()
    );
    power.cut();
    let size = |name: &str| {
        Path::new(&disk)
            .join(name)
            .metadata()
            .map(|file| file.len())
            .ok()
    };
    assert_eq!(
        ["synced", "lost", "before", "half"].map(size),
        [Some(1000), None, Some(3), Some(1000)]
    );
    assert_eq!(["temporary", "renamed"].map(size), [None, Some(1000)]);
}
