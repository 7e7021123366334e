//! Tests permissions with a matrix that has a row for each authenticated call. Users and API users
//! without access to a project are rejected and receive none of its data. Example rows:
//!
//! - `/api/projects/delete`, `Owner`: callers other than the owner get a 403.
//! - `/api/users/get`, `Visible("user_not_found")`: a caller who cannot see the user gets a 422.
//! - `/api/account/update`, `Own(200, 403)`: ids in the body are ignored; API users get a 403.

use std::collections::BTreeSet;

use doorward_tests::{
    ApiUser, Backend, MailApp, PASSWORD, Response, User,
    http::{BOUNDARY, form},
    on_both_databases,
    snapshots::assert_json_eq,
};
use image::{DynamicImage, ImageFormat};
use serde_json::{Value, json};

use crate::api_keys::calls::{UNKNOWN_GID, authorised_paths};

on_both_databases![
    every_call_rejects_non_members_without_leaking,
    owner_calls_reject_members_and_api_users,
    deleted_project_is_inaccessible,
    fields_of_the_server_are_ignored_in_every_body,
];

/// The condition under which a call succeeds, and its response otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AccessRule {
    /// The call concerns only the caller and ignores other ids. The values are the status for
    /// accounts and the status for API users.
    Own(u16, u16),
    /// The target must be visible to the caller. Other callers get a 422 with this reason.
    Visible(&'static str),
    /// The caller must be an active member. Other callers get a 403.
    Member,
    /// The caller must be the owner. Other callers get a 403.
    Owner,
    /// The call concerns the caller's own membership. Callers without one get a 422 with this
    /// reason.
    Membership(&'static str),
}

use AccessRule::{Member, Membership, Own, Owner, Visible};

/// The rule of each call that requires a token.
const MATRIX: &[(&str, AccessRule)] = &[
    ("/api/init", Own(200, 200)),
    ("/api/account/update", Own(200, 403)),
    ("/api/account/update_email_request", Own(400, 403)),
    ("/api/account/update_email", Own(422, 403)),
    ("/api/account/delete", Own(400, 403)),
    ("/api/account/accept_invite", Membership("not_invited")),
    ("/api/account/decline_invite", Membership("not_invited")),
    ("/api/account/leave_project", Membership("not_a_member")),
    ("/api/account/logout", Own(400, 400)),
    ("/api/account/upload_avatar", Own(415, 403)),
    ("/api/account/delete_avatar", Own(200, 403)),
    ("/api/users/get", Visible("user_not_found")),
    ("/api/members/get", Visible("member_not_found")),
    ("/api/projects/get", Visible("project_not_found")),
    ("/api/projects/create", Own(200, 403)),
    ("/api/projects/update", Member),
    ("/api/projects/upload_icon", Owner),
    ("/api/projects/delete_icon", Owner),
    ("/api/projects/delete", Owner),
    ("/api/projects/undelete", Owner),
    ("/api/projects/permanent_delete", Owner),
    ("/api/projects/transfer", Owner),
    ("/sync/get", Member),
    ("/sync/cursors", Member),
    ("/api/p/{project}/init", Member),
    ("/api/p/{project}/members/get", Member),
    ("/api/p/{project}/members/invite", Owner),
    ("/api/p/{project}/members/resend_invite", Owner),
    ("/api/p/{project}/members/remove", Owner),
    ("/api/p/{project}/members/deactivate", Owner),
    ("/api/p/{project}/members/activate", Owner),
    ("/api/p/{project}/members/update", Owner),
    ("/api/p/{project}/languages/add", Member),
    ("/api/p/{project}/languages/remove", Member),
    ("/api/p/{project}/channels/create", Member),
    ("/api/p/{project}/channels/update", Member),
    ("/api/p/{project}/channels/move", Member),
    ("/api/p/{project}/channels/delete", Member),
    ("/api/p/{project}/orderings/create", Member),
    ("/api/p/{project}/orderings/update", Member),
    ("/api/p/{project}/orderings/move", Member),
    ("/api/p/{project}/orderings/delete", Member),
    ("/api/p/{project}/fieldlists/create", Member),
    ("/api/p/{project}/fieldlists/update", Member),
    ("/api/p/{project}/fieldlists/move", Member),
    ("/api/p/{project}/fieldlists/delete", Member),
    ("/api/p/{project}/apikeys/create", Owner),
    ("/api/p/{project}/apikeys/get", Owner),
    ("/api/p/{project}/apikeys/update", Owner),
    ("/api/p/{project}/apikeys/deactivate", Owner),
    ("/api/p/{project}/apikeys/activate", Owner),
    ("/api/p/{project}/apikeys/rotate", Owner),
    ("/api/p/{project}/apikeys/delete", Owner),
];

/// The relation of a caller to the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NonMemberKind {
    Stranger,
    Former,
    Invited,
    Declined,
    Deactivated,
    Program,
}

/// A caller who is not an active member of the project.
struct NonMember {
    kind: NonMemberKind,
    token: String,
}

/// A project of ann with the member ben and an API user, and callers of each kind of non-member.
struct Fixture {
    app: MailApp,
    ann: User,
    ben: User,
    robot: ApiUser,
    project: String,
    body: Value,
    non_members: Vec<NonMember>,
}

impl Fixture {
    async fn new(backend: Backend) -> Self {
        let app = MailApp::start(backend).await;
        let ann = app.user("ann").await;
        let ben = app.user("ben").await;
        let project = app.installation.create_project("ann", "Herbarium").await;
        app.installation.add_member(&project, "ben").await;
        let robot = ann.create_api_user(&project, "Robot").await;
        let (_, data) = app.http.project_init(&project, &ann.token).await.success();
        let options = &data["cc.projects"][&project]["options"];
        let body = json!({
            "project": project, "user": ben.gid, "member": ben.gid, "members": [ben.gid],
            "name": "Taken over", "language": "de", "timezone": "Europe/Berlin", "username_or_email": "kim",
            "options": {"rate_limit_per_second": 1}, "email": "elsewhere@example.org", "everywhere": "x", "confirm": 1,
            "validation_code": "x", "verification_code": "x",
            "channel": options["orderedchannels"][1], "ordering": options["orderedorderings"][0],
            "fieldlist": options["orderedfieldlists"][0],
        });
        let mut fixture = Self {
            app,
            ann,
            ben,
            robot,
            project,
            body,
            non_members: Vec::new(),
        };
        for (kind, name) in [
            (NonMemberKind::Stranger, "dan"),
            (NonMemberKind::Former, "eve"),
            (NonMemberKind::Invited, "fay"),
            (NonMemberKind::Declined, "gus"),
            (NonMemberKind::Deactivated, "hal"),
        ] {
            let token = fixture.create_non_member(kind, name).await;
            fixture.non_members.push(NonMember { kind, token });
        }
        let kim = fixture.app.user("kim").await;
        let other = fixture
            .app
            .installation
            .create_project("kim", "Depot")
            .await;
        let token = kim
            .create_api_user(&other, "Crane")
            .await
            .auth()
            .await
            .token();
        fixture.non_members.push(NonMember {
            kind: NonMemberKind::Program,
            token,
        });
        fixture
    }

    /// Creates a user, brings their membership into the state of the kind, and returns the token.
    async fn create_non_member(&self, kind: NonMemberKind, name: &str) -> String {
        let user = self.app.user(name).await;
        let named = json!({"user": user.gid, "username_or_email": name});
        let own = json!({"project": self.project});
        if kind != NonMemberKind::Stranger {
            self.owner("members/invite", &named).await.success();
        }
        match kind {
            NonMemberKind::Former => {
                user.call("/api/account/accept_invite", &own)
                    .await
                    .success();
                self.owner("members/remove", &named).await.success();
            }
            NonMemberKind::Deactivated => {
                user.call("/api/account/accept_invite", &own)
                    .await
                    .success();
                self.owner("members/deactivate", &named).await.success();
            }
            NonMemberKind::Declined => drop(
                user.call("/api/account/decline_invite", &own)
                    .await
                    .success(),
            ),
            NonMemberKind::Stranger | NonMemberKind::Invited | NonMemberKind::Program => {}
        }
        user.token
    }

    /// Calls an operation of the project as its owner.
    async fn owner(&self, call: &str, body: &Value) -> Response {
        self.ann
            .call(&format!("/api/p/{}/{call}", self.project), body)
            .await
    }

    /// Sends a call with all ids of the project, or with a picture to the upload of an icon.
    async fn call(&self, token: &str, path: &str) -> Response {
        let call = self
            .app
            .http
            .post(&path.replace("{project}", &self.project))
            .bearer(token);
        if path != "/api/projects/upload_icon" {
            return call.json(&self.body_of(path)).send().await;
        }
        let mut png = std::io::Cursor::new(Vec::new());
        DynamicImage::new_rgb8(8, 8)
            .write_to(&mut png, ImageFormat::Png)
            .expect("a picture");
        let parts = form(&[
            ("project", self.project.as_bytes()),
            ("upload_file", png.get_ref()),
        ]);
        call.header(
            "content-type",
            &format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .body(parts)
        .send()
        .await
    }

    fn body_of(&self, path: &str) -> Value {
        let mut body = self.body.clone();
        if path == "/api/account/update_email_request" {
            // A valid address would cause a mail. The type is wrong instead, as the matrix expects.
            body["email"] = json!(1);
        }
        if path.contains("/apikeys/") {
            body["user"] = json!(self.robot.gid);
        }
        body
    }

    /// Returns data of the project that a non-member must not see.
    fn secrets(&self) -> Vec<&str> {
        let ids = ["channel", "ordering", "fieldlist"]
            .map(|name| self.body[name].as_str().expect("an id"));
        let people = [
            self.ben.gid.as_str(),
            self.robot.gid.as_str(),
            &self.robot.key,
            "ben@example.org",
            "\"Ben\"",
            "Robot",
        ];
        [ids.as_slice(), &people].concat()
    }

    /// Asserts that a response has no data of the project.
    fn assert_reveals_nothing(&self, answer: &Response, kind: NonMemberKind, call: &str) {
        let text = format!("{:?} {}", answer.headers, answer.text());
        let mut secrets = self.secrets();
        // An invited user sees the summary of the project, so these are not secret.
        if kind != NonMemberKind::Invited {
            secrets.extend([self.project.as_str(), "Herbarium", &self.ann.gid]);
        }
        for secret in secrets {
            assert!(
                !text.contains(secret),
                "{call} reveals {secret} to {kind:?}: {text}"
            );
        }
    }

    /// Returns the project as the owner sees it, and the API key.
    async fn snapshot(&self) -> Value {
        let (_, mut data) = self
            .app
            .http
            .project_init(&self.project, &self.ann.token)
            .await
            .success();
        data["cc.languages"] = json!("<languages>");
        // Users can change their own profiles.
        data["cc.users"] = json!("<users>");
        let (key, _) = self
            .owner("apikeys/get", &json!({"user": self.robot.gid}))
            .await
            .success();
        json!({"data": data, "key": key["apikey"]})
    }
}

/// Asserts the response that a rule gives to a kind of non-member.
fn assert_row(path: &str, rule: AccessRule, kind: NonMemberKind, answer: &Response) {
    match rule {
        Own(people, programs) => {
            let status = if kind == NonMemberKind::Program {
                programs
            } else {
                people
            };
            assert_eq!(answer.status, status, "{answer:?}");
        }
        Visible(reason) => answer.assert_unprocessable(reason),
        Member | Owner => answer.assert_forbidden(),
        Membership(reason) => match kind {
            NonMemberKind::Program => answer.assert_forbidden(),
            NonMemberKind::Declined | NonMemberKind::Deactivated
                if path.ends_with("accept_invite") =>
            {
                answer.assert_invite_invalid();
            }
            NonMemberKind::Stranger
            | NonMemberKind::Former
            | NonMemberKind::Invited
            | NonMemberKind::Declined
            | NonMemberKind::Deactivated => {
                answer.assert_unprocessable(reason);
            }
        },
    }
}

/// Returns whether an invited user is allowed to make a call that other non-members are not.
fn is_for_invited(path: &str) -> bool {
    [
        "/api/account/accept_invite",
        "/api/account/decline_invite",
        "/api/projects/get",
    ]
    .contains(&path)
}

/// Regression test for members who have not accepted yet (Vaultwarden CVE-2026-43913) and for
/// objects of other projects (CVE-2026-27898).
async fn every_call_rejects_non_members_without_leaking(backend: Backend) {
    let paths: BTreeSet<String> = authorised_paths().into_iter().collect();
    let rows: BTreeSet<String> = MATRIX.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(
        paths, rows,
        "the matrix must have exactly one row for each authenticated call"
    );
    assert_eq!(rows.len(), MATRIX.len());

    let fixture = Fixture::new(backend).await;
    let before = fixture.snapshot().await;
    for (path, rule) in MATRIX {
        for NonMember { kind, token } in &fixture.non_members {
            if *kind == NonMemberKind::Invited && is_for_invited(path) {
                continue;
            }
            let answer = fixture.call(token, path).await;
            println!("{kind:?} {path}: {} {}", answer.status, answer.text());
            assert_row(path, *rule, *kind, &answer);
            fixture.assert_reveals_nothing(&answer, *kind, path);
        }
    }
    assert_json_eq(&fixture.snapshot().await, &before);

    let invited = fixture
        .non_members
        .iter()
        .find(|non_member| non_member.kind == NonMemberKind::Invited)
        .expect("an invited user");
    let answer = fixture.call(&invited.token, "/api/projects/get").await;
    let summary = json!({"gid": fixture.project, "name": "Herbarium", "icon": null, "owner": fixture.ann.gid, "status": "active"});
    assert_json_eq(
        &answer.success().1,
        &json!({"cc.projects": {&fixture.project: summary}}),
    );
}

async fn owner_calls_reject_members_and_api_users(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let program = fixture.robot.auth().await.token();
    // `members/remove` needs another target, because members are allowed to remove themselves.
    let other = fixture.app.installation.create_user("leo").await;
    fixture
        .app
        .installation
        .add_member(&fixture.project, "leo")
        .await;
    let before = fixture.snapshot().await;
    for (path, _) in MATRIX.iter().filter(|(_, rule)| *rule == Owner) {
        for token in [&fixture.ben.token, &program] {
            let answer = if path.ends_with("members/remove") {
                let path = path.replace("{project}", &fixture.project);
                fixture
                    .app
                    .http
                    .post(&path)
                    .bearer(token)
                    .json(&json!({"user": other}))
                    .send()
                    .await
            } else {
                fixture.call(token, path).await
            };
            println!("{path}: {}", answer.text());
            answer.assert_forbidden();
        }
    }
    for (path, _) in MATRIX
        .iter()
        .filter(|(path, _)| path.starts_with("/api/account/") && !path.ends_with("logout"))
    {
        fixture.call(&program, path).await.assert_forbidden();
    }
    assert_json_eq(&fixture.snapshot().await, &before);
}

async fn deleted_project_is_inaccessible(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let program = fixture.robot.auth().await.token();
    let leo = fixture.app.user("leo").await;
    fixture
        .app
        .installation
        .add_member(&fixture.project, "leo")
        .await;
    fixture
        .ann
        .call("/api/projects/delete", &json!({"project": fixture.project}))
        .await
        .success();

    let inside = MATRIX
        .iter()
        .filter(|(path, _)| path.starts_with("/api/p/"));
    for (path, _) in inside {
        let all = [&fixture.ann.token, &fixture.ben.token, &program];
        for token in all.into_iter().chain(
            fixture
                .non_members
                .iter()
                .map(|non_member| &non_member.token),
        ) {
            let answer = fixture.call(token, path).await;
            println!("{path}: {}", answer.text());
            answer.assert_forbidden();
        }
    }
    for (path, rule) in MATRIX
        .iter()
        .filter(|(path, _)| path.starts_with("/api/projects/"))
    {
        for token in [&fixture.ben.token, &program] {
            match rule {
                Own(..) => {}
                Visible(reason) => fixture.call(token, path).await.assert_unprocessable(reason),
                Member | Owner | Membership(_) => {
                    fixture.call(token, path).await.assert_forbidden();
                }
            }
        }
    }
    for name in ["ann", "ben", "dan", "fay"] {
        fixture
            .app
            .http
            .project_login(&fixture.project, name, PASSWORD)
            .await
            .assert_unknown_user();
    }
    fixture.robot.auth().await.assert_unknown_user();
    for non_member in fixture
        .non_members
        .iter()
        .filter(|non_member| non_member.kind != NonMemberKind::Program)
    {
        for call in ["accept_invite", "decline_invite"] {
            let answer = fixture
                .call(&non_member.token, &format!("/api/account/{call}"))
                .await;
            answer.assert_unprocessable("not_invited");
            fixture.assert_reveals_nothing(&answer, NonMemberKind::Stranger, call);
        }
        let answer = fixture.app.http.init(&non_member.token).await;
        fixture.assert_reveals_nothing(&answer, NonMemberKind::Stranger, "init");
    }
    // A member can leave a deleted project.
    let own = json!({"project": fixture.project});
    leo.call("/api/account/leave_project", &own).await.success();
    leo.call("/api/account/leave_project", &own)
        .await
        .assert_unprocessable("not_a_member");
    fixture
        .ann
        .call("/api/account/leave_project", &own)
        .await
        .assert_unprocessable("owner");
    // The owner still sees the project, but not its members.
    let body =
        json!({"project": fixture.project, "member": fixture.ben.gid, "user": fixture.ben.gid});
    fixture
        .ann
        .call("/api/members/get", &body)
        .await
        .assert_unprocessable("member_not_found");
    fixture
        .ann
        .call("/api/users/get", &body)
        .await
        .assert_unprocessable("user_not_found");
    let (_, data) = fixture.ann.call("/api/projects/get", &body).await.success();
    assert_eq!(
        data["cc.projects"][&fixture.project]["status"],
        json!("deleted")
    );
    // After `undelete`, the members have access again.
    fixture
        .ann
        .call("/api/projects/undelete", &body)
        .await
        .success();
    assert_eq!(
        fixture
            .app
            .http
            .project_init(&fixture.project, &fixture.ben.token)
            .await
            .status,
        200
    );
    assert_eq!(fixture.robot.auth().await.status, 200);
}

/// Regression test for mass assignment (ZITADEL CVE-2026-27946).
async fn fields_of_the_server_are_ignored_in_every_body(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ann = &fixture.ann;
    let ben = &fixture.ben;
    let project = &fixture.project;
    let with = |mut body: Value| {
        let hostile = json!({
            "status": "deleted", "roles": ["owner"], "role": "owner", "owner": UNKNOWN_GID, "gid": UNKNOWN_GID, "build": 7,
            "icon": "x.png", "avatar": "x.png", "user_gid": UNKNOWN_GID, "project_gid": UNKNOWN_GID, "caller": UNKNOWN_GID,
            "caller_gid": UNKNOWN_GID, "is_own": true, "kind": "api", "backups": {"next_version": 9}, "signup_gid": UNKNOWN_GID,
        });
        let known: BTreeSet<String> = body
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect();
        for (name, value) in hostile.as_object().expect("an object") {
            if !known.contains(name) {
                body[name] = value.clone();
            }
        }
        body
    };
    let at = |call: &str| format!("/api/p/{project}/{call}");
    let robot = json!({"user": fixture.robot.gid, "name": "Robot"});
    let named = |item: &str| json!({item: fixture.body[item], "name": "Named", "channels": {}, "orderings": {}});
    let bodies = [
        (
            ben,
            "/api/account/update".to_owned(),
            json!({"name": "Ben", "email": "other@example.org", "options": {}}),
        ),
        (
            ann,
            "/api/projects/update".to_owned(),
            json!({"project": project, "name": "Herbarium", "options": {"languages": []}}),
        ),
        (
            ann,
            at("members/update"),
            json!({"user": ben.gid, "options": with(json!({"rate_limit_per_second": null}))}),
        ),
        (
            ben,
            at("members/update"),
            json!({"user": ben.gid, "options": with(json!({"notifications": with(json!({}))}))}),
        ),
        (ann, at("apikeys/update"), robot.clone()),
        (ann, at("apikeys/deactivate"), robot.clone()),
        (ann, at("apikeys/activate"), robot),
        (ann, at("members/deactivate"), json!({"user": ben.gid})),
        (ann, at("members/activate"), json!({"user": ben.gid})),
        (ben, at("channels/update"), named("channel")),
        (ben, at("orderings/update"), named("ordering")),
        (ben, at("fieldlists/update"), named("fieldlist")),
    ];
    let server_side = |data: &Value| {
        let mut data = data.clone();
        data["cc.languages"] = json!("<languages>");
        for list in ["channels", "orderings", "fieldlists"] {
            data["cc.projects"][project]["options"][list] = json!("<names>");
        }
        data
    };
    let before = server_side(
        &fixture
            .app
            .http
            .project_init(project, &ben.token)
            .await
            .success()
            .1,
    );
    for (caller, path, body) in bodies {
        let answer = caller.call(&path, &with(body)).await;
        println!("{path}: {answer:?}");
        assert!(!answer.text().contains(UNKNOWN_GID), "{path}: {answer:?}");
        answer.success();
    }
    let after = server_side(
        &fixture
            .app
            .http
            .project_init(project, &ben.token)
            .await
            .success()
            .1,
    );
    assert_json_eq(&after, &before);
    // The fields are also ignored when a project is created.
    let (_, data) = ben
        .call("/api/projects/create", &with(json!({"name": "Mine"})))
        .await
        .success();
    let created = data["cc.projects"]
        .as_object()
        .and_then(|projects| projects.values().next())
        .expect("a project")
        .clone();
    let stored = ["owner", "status", "build", "icon", "backups"].map(|name| created[name].clone());
    let backups = json!({"versions": [], "next_version": 1});
    assert_eq!(
        stored,
        [
            json!(ben.gid),
            json!("active"),
            json!(1),
            json!(null),
            backups
        ]
    );
    let (_, data) = fixture
        .owner("members/invite", &with(json!({"username_or_email": "dan"})))
        .await
        .success();
    let membership = &data["cc.projects_members"][0];
    assert_eq!(
        (&membership["status"], &membership["roles"]),
        (&json!("invited"), &json!(["member"]))
    );
}
