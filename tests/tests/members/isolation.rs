//! Who may what, as a matrix: a row for every call, and who has nothing to do with a project gets nothing of it.

use std::collections::BTreeSet;

use doorward_tests::{
    Answer, ApiUser, Backend, MailApp, PASSWORD, User,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AccessRule {
    /// About the caller alone, whatever ids come along: the status of people, and of API users.
    Own(u16, u16),
    /// For those who see what is named: 422 with this reason to others.
    Seen(&'static str),
    /// For active members: 403 to others.
    Member,
    /// For the owner: 403 to others.
    Owner,
    /// About the caller's own membership: the reason for those who have none.
    Membership(&'static str),
}

use AccessRule::{Member, Membership, Own, Owner, Seen};

/// A row for each call that takes a token.
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
    ("/api/users/get", Seen("user_not_found")),
    ("/api/members/get", Seen("member_not_found")),
    ("/api/projects/get", Seen("project_not_found")),
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NonMemberKind {
    Stranger,
    Former,
    Invited,
    Declined,
    Deactivated,
    Program,
}

/// Somebody outside, with a token.
struct NonMember {
    kind: NonMemberKind,
    token: String,
}

/// Herbarium is ann's, with ben and an API user, and others who are something to it, but no members.
struct Fixture {
    app: MailApp,
    ann: User,
    ben: User,
    robot: ApiUser,
    project: String,
    body: Value,
    outsiders: Vec<NonMember>,
}

impl Fixture {
    async fn new(backend: Backend) -> Self {
        let app = MailApp::start(backend).await;
        let (ann, ben) = (app.user("ann").await, app.user("ben").await);
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
        let mut scene = Self {
            app,
            ann,
            ben,
            robot,
            project,
            body,
            outsiders: Vec::new(),
        };
        for (kind, name) in [
            (NonMemberKind::Stranger, "dan"),
            (NonMemberKind::Former, "eve"),
            (NonMemberKind::Invited, "fay"),
            (NonMemberKind::Declined, "gus"),
            (NonMemberKind::Deactivated, "hal"),
        ] {
            let token = scene.outsider(kind, name).await;
            scene.outsiders.push(NonMember { kind, token });
        }
        let dan = scene.app.user("kim").await;
        let other = scene.app.installation.create_project("kim", "Depot").await;
        let token = dan
            .create_api_user(&other, "Crane")
            .await
            .auth()
            .await
            .token();
        scene.outsiders.push(NonMember {
            kind: NonMemberKind::Program,
            token,
        });
        scene
    }

    async fn outsider(&self, kind: NonMemberKind, name: &str) -> String {
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

    async fn owner(&self, call: &str, body: &Value) -> Answer {
        self.ann
            .call(&format!("/api/p/{}/{call}", self.project), body)
            .await
    }

    /// A call with all ids of the project; with a picture, where one is wanted.
    async fn call(&self, token: &str, path: &str) -> Answer {
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
            // An address is not asked for the project's sake.
            body["email"] = json!(1);
        }
        if path.contains("/apikeys/") {
            body["user"] = json!(self.robot.gid);
        }
        body
    }

    /// All that is the project's, and none of it an outsider's.
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

    fn assert_tells_nothing(&self, answer: &Answer, kind: NonMemberKind, what: &str) {
        let text = format!("{:?} {}", answer.headers, answer.text());
        let mut secrets = self.secrets();
        // Who is invited sees the project in short.
        if kind != NonMemberKind::Invited {
            secrets.extend([self.project.as_str(), "Herbarium", &self.ann.gid]);
        }
        for secret in secrets {
            assert!(
                !text.contains(secret),
                "{what} tells {kind:?} {secret}: {text}"
            );
        }
    }

    /// All that the owner sees of the project, and the key.
    async fn picture(&self) -> Value {
        let (_, mut data) = self
            .app
            .http
            .project_init(&self.project, &self.ann.token)
            .await
            .success();
        data["cc.languages"] = json!("<languages>");
        // People may change their own.
        data["cc.users"] = json!("<users>");
        let (key, _) = self
            .owner("apikeys/get", &json!({"user": self.robot.gid}))
            .await
            .success();
        json!({"data": data, "key": key["apikey"]})
    }
}

fn assert_row(path: &str, rule: AccessRule, kind: NonMemberKind, answer: &Answer) {
    match rule {
        Own(people, programs) => {
            let status = if kind == NonMemberKind::Program {
                programs
            } else {
                people
            };
            assert_eq!(answer.status, status, "{answer:?}");
        }
        Seen(reason) => answer.assert_unprocessable(reason),
        Member | Owner => answer.assert_forbidden(),
        Membership(reason) => match kind {
            NonMemberKind::Program => answer.assert_forbidden(),
            NonMemberKind::Declined | NonMemberKind::Deactivated
                if path.ends_with("accept_invite") =>
            {
                answer.assert_invite_invalid()
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

/// What somebody who is invited may do all the same.
fn is_for_invited(path: &str) -> bool {
    [
        "/api/account/accept_invite",
        "/api/account/decline_invite",
        "/api/projects/get",
    ]
    .contains(&path)
}

/// SECURITY-CASES: half-accepted members (Vaultwarden CVE-2026-43913), another project's objects (CVE-2026-27898).
async fn every_call_rejects_non_members_without_leaking(backend: Backend) {
    let paths: BTreeSet<String> = authorised_paths().into_iter().collect();
    let rows: BTreeSet<String> = MATRIX.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(paths, rows, "each call has a row, and each row a call");
    assert_eq!(rows.len(), MATRIX.len());

    let scene = Fixture::new(backend).await;
    let before = scene.picture().await;
    for (path, rule) in MATRIX {
        for NonMember { kind, token } in &scene.outsiders {
            if *kind == NonMemberKind::Invited && is_for_invited(path) {
                continue;
            }
            let answer = scene.call(token, path).await;
            println!("{kind:?} {path}: {} {}", answer.status, answer.text());
            assert_row(path, *rule, *kind, &answer);
            scene.assert_tells_nothing(&answer, *kind, path);
        }
    }
    assert_json_eq(&scene.picture().await, &before);

    let invited = scene
        .outsiders
        .iter()
        .find(|outsider| outsider.kind == NonMemberKind::Invited)
        .expect("somebody");
    let answer = scene.call(&invited.token, "/api/projects/get").await;
    let short = json!({"gid": scene.project, "name": "Herbarium", "icon": null, "owner": scene.ann.gid, "status": "active"});
    assert_json_eq(
        &answer.success().1,
        &json!({"cc.projects": {&scene.project: short}}),
    );
}

async fn owner_calls_reject_members_and_api_users(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let program = scene.robot.auth().await.token();
    // The limits of others, and of oneself, are the owner's alone. To remove oneself is not to be tried here.
    let other = scene.app.installation.create_user("leo").await;
    scene
        .app
        .installation
        .add_member(&scene.project, "leo")
        .await;
    let before = scene.picture().await;
    for (path, _) in MATRIX.iter().filter(|(_, rule)| *rule == Owner) {
        for token in [&scene.ben.token, &program] {
            let answer = if path.ends_with("members/remove") {
                let path = path.replace("{project}", &scene.project);
                scene
                    .app
                    .http
                    .post(&path)
                    .bearer(token)
                    .json(&json!({"user": other}))
                    .send()
                    .await
            } else {
                scene.call(token, path).await
            };
            println!("{path}: {}", answer.text());
            answer.assert_forbidden();
        }
    }
    for (path, _) in MATRIX
        .iter()
        .filter(|(path, _)| path.starts_with("/api/account/") && !path.ends_with("logout"))
    {
        scene.call(&program, path).await.assert_forbidden();
    }
    assert_json_eq(&scene.picture().await, &before);
}

async fn deleted_project_is_inaccessible(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let program = scene.robot.auth().await.token();
    let leo = scene.app.user("leo").await;
    scene
        .app
        .installation
        .add_member(&scene.project, "leo")
        .await;
    scene
        .ann
        .call("/api/projects/delete", &json!({"project": scene.project}))
        .await
        .success();

    let inside = MATRIX
        .iter()
        .filter(|(path, _)| path.starts_with("/api/p/"));
    for (path, _) in inside {
        let all = [&scene.ann.token, &scene.ben.token, &program];
        for token in all
            .into_iter()
            .chain(scene.outsiders.iter().map(|outsider| &outsider.token))
        {
            let answer = scene.call(token, path).await;
            println!("{path}: {}", answer.text());
            answer.assert_forbidden();
        }
    }
    for (path, rule) in MATRIX
        .iter()
        .filter(|(path, _)| path.starts_with("/api/projects/"))
    {
        for token in [&scene.ben.token, &program] {
            match rule {
                Own(..) => {}
                Seen(reason) => scene.call(token, path).await.assert_unprocessable(reason),
                Member | Owner | Membership(_) => scene.call(token, path).await.assert_forbidden(),
            }
        }
    }
    for name in ["ann", "ben", "dan", "fay"] {
        scene
            .app
            .http
            .project_login(&scene.project, name, PASSWORD)
            .await
            .assert_unknown_user();
    }
    scene.robot.auth().await.assert_unknown_user();
    for outsider in scene
        .outsiders
        .iter()
        .filter(|outsider| outsider.kind != NonMemberKind::Program)
    {
        for call in ["accept_invite", "decline_invite"] {
            let answer = scene
                .call(&outsider.token, &format!("/api/account/{call}"))
                .await;
            answer.assert_unprocessable("not_invited");
            scene.assert_tells_nothing(&answer, NonMemberKind::Stranger, call);
        }
        let answer = scene.app.http.init(&outsider.token).await;
        scene.assert_tells_nothing(&answer, NonMemberKind::Stranger, "init");
    }
    // To leave it is possible.
    let own = json!({"project": scene.project});
    leo.call("/api/account/leave_project", &own).await.success();
    leo.call("/api/account/leave_project", &own)
        .await
        .assert_unprocessable("not_a_member");
    scene
        .ann
        .call("/api/account/leave_project", &own)
        .await
        .assert_unprocessable("owner");
    // Its owner has it still, and nobody else of it.
    let body = json!({"project": scene.project, "member": scene.ben.gid, "user": scene.ben.gid});
    scene
        .ann
        .call("/api/members/get", &body)
        .await
        .assert_unprocessable("member_not_found");
    scene
        .ann
        .call("/api/users/get", &body)
        .await
        .assert_unprocessable("user_not_found");
    let (_, data) = scene.ann.call("/api/projects/get", &body).await.success();
    assert_eq!(
        data["cc.projects"][&scene.project]["status"],
        json!("deleted")
    );
    // And all is there again.
    scene
        .ann
        .call("/api/projects/undelete", &body)
        .await
        .success();
    assert_eq!(
        scene
            .app
            .http
            .project_init(&scene.project, &scene.ben.token)
            .await
            .status,
        200
    );
    assert_eq!(scene.robot.auth().await.status, 200);
}

/// SECURITY-CASES: mass assignment (ZITADEL CVE-2026-27946).
async fn fields_of_the_server_are_ignored_in_every_body(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let (ann, ben, project) = (&scene.ann, &scene.ben, &scene.project);
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
    let robot = json!({"user": scene.robot.gid, "name": "Robot"});
    let named = |what: &str| json!({what: scene.body[what], "name": "Named", "channels": {}, "orderings": {}});
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
        &scene
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
        &scene
            .app
            .http
            .project_init(project, &ben.token)
            .await
            .success()
            .1,
    );
    assert_json_eq(&after, &before);
    // What is made has only what its maker gives it.
    let (_, data) = ben
        .call("/api/projects/create", &with(json!({"name": "Mine"})))
        .await
        .success();
    let made = data["cc.projects"]
        .as_object()
        .and_then(|made| made.values().next())
        .expect("a project")
        .clone();
    let kept = ["owner", "status", "build", "icon", "backups"].map(|name| made[name].clone());
    let backups = json!({"versions": [], "next_version": 1});
    assert_eq!(
        kept,
        [
            json!(ben.gid),
            json!("active"),
            json!(1),
            json!(null),
            backups
        ]
    );
    let (_, data) = scene
        .owner("members/invite", &with(json!({"username_or_email": "dan"})))
        .await
        .success();
    let membership = &data["cc.projects_members"][0];
    assert_eq!(
        (&membership["status"], &membership["roles"]),
        (&json!("invited"), &json!(["member"]))
    );
}
