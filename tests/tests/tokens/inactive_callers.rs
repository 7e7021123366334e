//! Tests that the directory rejects callers who were deactivated or deleted in every call, while
//! auth does not receive the change feed and the tokens are still valid, and that all tokens become
//! invalid once the feed has been stale for `DOORWARD_TRUST_MAX_AGE`.

use std::time::Duration;

use doorward_tests::{
    ApiUser, Backend, Http, PASSWORD, Response, Services, User, eventually,
    http::{BOUNDARY, form},
    on_both_databases,
    services::{Replica, Role},
    snapshots::assert_json_eq,
};
use image::{DynamicImage, ImageFormat};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api_keys::calls::authorised_paths;

on_both_databases![
    every_call_of_an_inactive_caller_is_denied_without_the_feed,
    tokens_are_rejected_when_the_feed_is_stale_for_too_long,
    feed_without_changes_counts_as_followed,
];

/// The three services and a second directory, from which auth receives the change feed. Killing it
/// interrupts only the feed.
struct Fixture {
    split: Services,
    followed: Replica,
}

impl Fixture {
    async fn new(backend: Backend, trust_max_age: &str) -> Self {
        let mut split = Services::prepare(backend).await;
        let directory = split.installation.variable("DOORWARD_DIRECTORY_URL");
        split
            .installation
            .set(&[("DOORWARD_TRUST_MAX_AGE", trust_max_age)]);
        split.start_service(Role::Directory);
        let followed = split.start_replica(Role::Directory, &[]).await;
        split.installation.set(&[(
            "DOORWARD_DIRECTORY_URL",
            &format!("http://{}", followed.address),
        )]);
        split.start_service(Role::Auth);
        split
            .installation
            .set(&[("DOORWARD_DIRECTORY_URL", &directory)]);
        split.start_service(Role::Gateway);
        for role in Role::ALL {
            split.ready(role).await;
        }
        Self { split, followed }
    }

    async fn is_ready(&self, role: Role) -> bool {
        self.split.ops(role).status("/health/ready").await == Some(200)
    }
}

/// A project of ann with the members ben and kim and an API user.
struct Project {
    gid: String,
    people: [User; 3],
    robot: ApiUser,
    /// Valid parameters of every call.
    body: Value,
}

impl Project {
    async fn new(split: &Services) -> Self {
        let people = [
            split.user("ann").await,
            split.user("ben").await,
            split.user("kim").await,
        ];
        let [ann, ben, kim] = &people;
        let gid = split.installation.create_project("ann", "Herbarium").await;
        for name in ["ben", "kim"] {
            split.installation.add_member(&gid, name).await;
        }
        let robot = ann.create_api_user(&gid, "Robot").await;
        let (_, data) = split.http.project_init(&gid, &kim.token).await.success();
        let options = &data["cc.projects"][&gid]["options"];
        let body = json!({
            "project": gid, "user": ben.gid, "member": ben.gid, "members": [ben.gid],
            "name": "Taken over", "language": "de", "timezone": "Europe/Berlin", "username_or_email": "kim",
            "options": {"rate_limit_per_second": 1}, "email": "elsewhere@example.org", "confirm": true, "cc_cursor": 0,
            "validation_code": "x", "verification_code": "x",
            "channel": options["orderedchannels"][1], "ordering": options["orderedorderings"][0],
            "fieldlist": options["orderedfieldlists"][0],
        });
        Self {
            gid,
            people,
            robot,
            body,
        }
    }

    async fn call(&self, http: &Http, token: &str, path: &str) -> Response {
        let call = http
            .post(&path.replace("{project}", &self.gid))
            .bearer(token);
        if path.contains("/upload_") {
            let mut png = std::io::Cursor::new(Vec::new());
            DynamicImage::new_rgb8(8, 8)
                .write_to(&mut png, ImageFormat::Png)
                .expect("a picture");
            let parts = form(&[
                ("project", self.gid.as_bytes()),
                ("upload_file", png.get_ref()),
            ]);
            return call
                .header(
                    "content-type",
                    &format!("multipart/form-data; boundary={BOUNDARY}"),
                )
                .body(parts)
                .send()
                .await;
        }
        let mut body = self.body.clone();
        if path.contains("/apikeys/") {
            body["user"] = json!(self.robot.gid);
        }
        match path {
            // These calls get only their own parameters.
            "/api/account/update" => body = json!({"name": "Taken over"}),
            "/sync/cursors" => body = json!({}),
            _ => {}
        }
        call.json(&body).send().await
    }

    /// Returns the project as a member sees it.
    async fn snapshot(&self, http: &Http) -> Value {
        let (_, mut data) = http
            .project_init(&self.gid, &self.people[2].token)
            .await
            .success();
        data["cc.languages"] = json!("<languages>");
        // The test itself changes the status of users.
        data["cc.users"] = json!("<users>");
        data
    }
}

async fn every_call_of_an_inactive_caller_is_denied_without_the_feed(backend: Backend) {
    let mut fixture = Fixture::new(backend, "1h").await;
    let project = Project::new(&fixture.split).await;
    let dan = fixture.split.user("dan").await;
    let http = &fixture.split.http;
    let installation = &fixture.split.installation;
    let before = project.snapshot(http).await;
    let [ann, ben, _] = &project.people;
    fixture.followed.kill();
    for name in ["ann", "ben"] {
        installation.change_user("deactivate", name).await;
    }
    installation.change_user("delete", "dan").await;

    let paths = authorised_paths();
    assert!(paths.len() > 50, "{paths:?}");
    for path in paths.iter().filter(|path| *path != "/api/account/logout") {
        for user in [ann, ben, &dan] {
            let answer = project.call(http, &user.token, path).await;
            println!(
                "{} {path}: {} {}",
                user.username,
                answer.status,
                answer.text()
            );
            answer.assert_unauthenticated();
        }
    }
    // The calls are also rejected with the present cursor.
    let (result, _) = project.people[2]
        .call("/sync/cursors", &json!({}))
        .await
        .success();
    let sync = json!({"cc_cursor": result["cc.cursor"]});
    for user in [ann, ben, &dan] {
        user.call("/sync/get", &sync).await.assert_unauthenticated();
        user.call("/sync/get", &json!({}))
            .await
            .assert_unauthenticated();
    }
    assert_json_eq(&project.snapshot(http).await, &before);
    for name in ["ann", "ben", "dan"] {
        http.login(name, PASSWORD).await.assert_unknown_user();
    }
    // Logout does not use the directory. It succeeds, so the token itself is still valid.
    ann.call("/api/account/logout", &json!({})).await.success();
    installation.change_user("activate", "ben").await;
    ben.init().await.success();
    ben.call(
        "/api/projects/update",
        &json!({"project": project.gid, "name": "Flora"}),
    )
    .await
    .success();
}

async fn tokens_are_rejected_when_the_feed_is_stale_for_too_long(backend: Backend) {
    let mut fixture = Fixture::new(backend, "3s").await;
    let ann = fixture.split.user("ann").await;
    let ben = fixture.split.user("ben").await;
    let timeout = Duration::from_secs(20);
    ann.init().await.success();
    fixture.followed.kill();
    let interrupted_at = Instant::now();
    fixture
        .split
        .installation
        .change_user("deactivate", "ben")
        .await;
    eventually("no calls with a token", timeout, async || {
        let answer = ann.call("/api/projects/create", &json!({})).await;
        if answer.status == 200 {
            return None;
        }
        answer.assert_unavailable();
        Some(())
    })
    .await;
    assert!(
        interrupted_at.elapsed() >= Duration::from_secs(1),
        "{:?}",
        interrupted_at.elapsed()
    );
    for role in [Role::Auth, Role::Gateway] {
        eventually("not ready", timeout, async || {
            (!fixture.is_ready(role).await).then_some(())
        })
        .await;
    }
    // Both services stay unready until the feed is back.
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        assert!(!fixture.is_ready(Role::Auth).await);
        ann.init().await.assert_unavailable();
        ben.init().await.assert_unavailable();
    }
    fixture.split.http.login("ann", PASSWORD).await.success();
    fixture
        .split
        .http
        .login("ben", PASSWORD)
        .await
        .assert_unknown_user();

    fixture.split.restart(&mut fixture.followed).await;
    eventually("calls with a token", timeout, async || {
        let answer = ann.init().await;
        if answer.status == 200 {
            Some(())
        } else {
            answer.assert_unavailable();
            None
        }
    })
    .await;
    ben.call("/api/account/logout", &json!({}))
        .await
        .assert_unauthenticated();
    for role in Role::ALL {
        eventually("ready", timeout, async || {
            fixture.is_ready(role).await.then_some(())
        })
        .await;
    }
}

async fn feed_without_changes_counts_as_followed(backend: Backend) {
    let fixture = Fixture::new(backend, "3s").await;
    let ann = fixture.split.user("ann").await;
    // The last cursors of the feed belong to feed events, not to changes that auth receives.
    let project = fixture
        .split
        .installation
        .create_project("ann", "Herbarium")
        .await;
    ann.create_api_user(&project, "Robot").await;
    let end = Instant::now() + Duration::from_secs(7);
    while Instant::now() < end {
        ann.init().await.success();
        assert!(fixture.is_ready(Role::Auth).await && fixture.is_ready(Role::Gateway).await);
    }
}
