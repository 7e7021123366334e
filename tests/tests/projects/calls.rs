//! `/api/projects/...`: what each call answers, and to whom; and how a project ends. (Icons: `icons.rs`; what is inside:
//! `project_options.rs`.)

use std::time::Duration;

use doorward_tests::{
    Answer, ApiUser, App, Backend, Installation, MANY_WRITES, PASSWORD, User,
    backend::execute,
    eventually, on_both_databases,
    snapshots::{assert_json_eq, with_names},
};
use serde_json::{Value, json};

use crate::{api_keys::calls::UNKNOWN_GID, projects::icons};

on_both_databases![
    create_answers_the_project_and_the_membership,
    get_returns_visible_projects_only,
    update_changes_given_fields_only,
    names_are_trimmed_and_required,
    first_bad_parameter_is_reported,
    calls_require_permission_regardless_of_existence,
    deleted_project_is_visible_to_its_owner_only,
    undelete_restores_everything,
    permanent_delete_removes_everything,
    placeholder_is_deleted_with_its_last_project,
    transfer_makes_a_member_the_owner,
    wrong_project_status_is_unprocessable,
    every_change_moves_the_feed_and_nothing_else_does,
    project_of_eleven_thousand_members_can_be_purged,
];

/// Herbarium is ann's, with ben and an API user; cas is a stranger.
pub(crate) struct Fixture {
    pub(crate) app: App,
    pub(crate) ann: User,
    pub(crate) ben: User,
    pub(crate) cas: User,
    pub(crate) robot: ApiUser,
    /// The API user with its token.
    pub(crate) program: User,
    pub(crate) project: String,
    names: Vec<(String, &'static str)>,
}

impl Fixture {
    pub(crate) async fn new(backend: Backend) -> Self {
        let app = App::with_settings(backend, &[MANY_WRITES]).await;
        let (ann, ben, cas) = (
            app.user("ann").await,
            app.user("ben").await,
            app.user("cas").await,
        );
        let project = app.installation.create_project("ann", "Herbarium").await;
        app.installation.add_member(&project, "ben").await;
        let robot = ann.create_api_user(&project, "Robot").await;
        let token = robot.auth().await.token();
        let program = User {
            gid: robot.gid.clone(),
            username: String::new(),
            token,
            http: app.http.clone(),
        };
        let mut names = vec![
            (ann.gid.clone(), "<ann>"),
            (ben.gid.clone(), "<ben>"),
            (robot.gid.clone(), "<robot>"),
        ];
        names.push((project.clone(), "<project>"));
        names.extend(items(&options(&ann, &project).await));
        Self {
            app,
            ann,
            ben,
            cas,
            robot,
            program,
            project,
            names,
        }
    }

    pub(crate) fn named(&self, answer: &Answer) -> Value {
        let names: Vec<(&str, &str)> = self
            .names
            .iter()
            .map(|(id, name)| (id.as_str(), *name))
            .collect();
        with_names(&answer.json(), &names)
    }

    /// A success with this result and data, and with a token or without.
    pub(crate) fn assert_answer(&self, answer: &Answer, renews: bool, result: Value, data: Value) {
        answer.success();
        let mut expected = json!({"success": true});
        expected["result"] = result;
        expected["data"] = data;
        assert_json_eq(&self.named(answer), &expected);
        if renews {
            answer.token();
        } else {
            assert_eq!(answer.header("authorization"), None);
        }
    }

    /// Ann's project in full, changed so.
    pub(crate) fn assert_project(&self, answer: &Answer, change: impl FnOnce(&mut Value)) {
        let mut project = herbarium();
        change(&mut project);
        let data = json!({"cc.projects": {"<project>": project}});
        self.assert_answer(answer, false, json!({"project": "<project>"}), data);
    }

    /// A call about the project, by its owner.
    async fn own(&self, call: &str) -> Answer {
        about(&self.ann, call, &self.project).await
    }

    fn set_membership(&self, user: &User, status: &str) {
        let (project, user) = (&self.project, &user.gid);
        let sql = format!(
            "DELETE FROM memberships WHERE project_gid = '{project}' AND user_gid = '{user}';
             INSERT INTO memberships (project_gid, user_gid, role, status, created_at, updated_at)
             VALUES ('{project}', '{user}', 'member', '{status}', 0, 0);"
        );
        execute(&self.app.installation.databases.directory, &sql);
    }
}

pub(crate) async fn about(user: &User, call: &str, project: &str) -> Answer {
    user.call(
        &format!("/api/projects/{call}"),
        &json!({"project": project}),
    )
    .await
}

pub(crate) async fn options(user: &User, project: &str) -> Value {
    about(user, "get", project).await.success().1["cc.projects"][project]["options"].clone()
}

/// The ids of what a new project has, and their names.
fn items(options: &Value) -> [(String, &'static str); 3] {
    let id =
        |list: &str, position: usize| options[list][position].as_str().expect("an id").to_owned();
    [
        (id("orderedchannels", 1), "<channel>"),
        (id("orderedorderings", 0), "<ordering>"),
        (id("orderedfieldlists", 0), "<fieldlist>"),
    ]
}

pub(crate) async fn cursor(user: &User) -> i64 {
    user.init().await.success().0["cc.cursor"]
        .as_i64()
        .expect("a cursor")
}

/// How many the feed tells other services of.
fn changes(installation: &Installation) -> usize {
    doorward_tests::backend::texts(
        &installation.databases.directory,
        "SELECT data_key AS text FROM feed_changes",
    )
    .len()
}

pub(crate) fn herbarium() -> Value {
    json!({
        "gid": "<project>", "name": "Herbarium", "icon": null, "owner": "<ann>", "status": "active",
        "options": {
            "channels": {"__all__": "[all records]", "<channel>": "Main channel"},
            "orderedchannels": ["__all__", "<channel>"],
            "orderings": {"<ordering>": "Main ordering"},
            "orderedorderings": ["<ordering>"],
            "fieldlists": {"<fieldlist>": "Main fieldlist"},
            "orderedfieldlists": ["<fieldlist>"],
            "languages": ["en", "nl"],
            "timezone": "Europe/Amsterdam",
            "imageserver": {"type": "ccdam", "options": {}}
        },
        "build": 1,
        "backups": {"versions": [], "next_version": 1}
    })
}

fn membership(user: &str, role: &str, options: Option<Value>) -> Value {
    let mut membership = json!({"project_gid": "<project>", "user_gid": format!("<{user}>"), "status": "active", "roles": [role]});
    if let Some(options) = options {
        membership["options"] = options;
    }
    membership
}

fn own_options(user: &str) -> Value {
    json!({
        "notifications": {"email": format!("{user}@example.org"), "events": ["all"], "frequency": "immediate"},
        "rate_limit_per_second": null
    })
}

async fn create_answers_the_project_and_the_membership(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    for (body, name, timezone) in [
        (json!({}), "untitled project", "Europe/Amsterdam"),
        (
            json!({"name": "  Atlas\t", "gid": UNKNOWN_GID, "owner": UNKNOWN_GID, "status": "deleted"}),
            "Atlas",
            "Europe/Amsterdam",
        ),
        (
            json!({"timezone": "America/New_York"}),
            "untitled project",
            "America/New_York",
        ),
    ] {
        let before = changes(&app.installation);
        let made = ann.call("/api/projects/create", &body).await;
        let (result, data) = made.success();
        let project = result["project"].as_str().expect("a gid").to_owned();
        assert!(project.parse::<doorward_domain::Gid>().is_ok() && project != UNKNOWN_GID);
        let [channel, ordering, fieldlist] = items(&data["cc.projects"][&project]["options"]);
        let ids = [
            (ann.gid.clone(), "<ann>"),
            (project.clone(), "<project>"),
            channel,
            ordering,
            fieldlist,
        ];
        let ids: Vec<(&str, &str)> = ids.iter().map(|(id, name)| (id.as_str(), *name)).collect();
        let mut expected = herbarium();
        expected["name"] = json!(name);
        expected["options"]["timezone"] = json!(timezone);
        assert_json_eq(
            &with_names(&made.json(), &ids),
            &json!({
                "success": true,
                "result": {"project": "<project>", "project_members": ["<ann>"]},
                "data": {
                    "cc.projects": {"<project>": expected},
                    "cc.projects_members": [membership("ann", "owner", Some(own_options("ann")))]
                }
            }),
        );
        // The token is another one, and good.
        assert_ne!(made.token(), ann.token);
        let (init, _) = app.http.init(&made.token()).await.success();
        assert_eq!(init["user_projects"][&project], json!(["owner"]));
        assert_eq!(changes(&app.installation), before + 2);
    }
}

async fn get_returns_visible_projects_only(backend: Backend) {
    let scene = Fixture::new(backend).await;
    for user in [&scene.ann, &scene.ben, &scene.program] {
        scene.assert_project(&about(user, "get", &scene.project).await, |_| ());
    }
    let upper = about(&scene.ann, "get", &scene.project.to_uppercase()).await;
    scene.assert_project(&upper, |_| ());
    about(&scene.ann, "get", UNKNOWN_GID)
        .await
        .assert_unprocessable("project_not_found");
    about(&scene.cas, "get", &scene.project)
        .await
        .assert_unprocessable("project_not_found");
    for status in ["declined", "inactive"] {
        scene.set_membership(&scene.cas, status);
        about(&scene.cas, "get", &scene.project)
            .await
            .assert_unprocessable("project_not_found");
    }
    // An invitation shows what one is invited to, and no more.
    scene.set_membership(&scene.cas, "invited");
    let short = json!({"gid": "<project>", "name": "Herbarium", "icon": null, "owner": "<ann>", "status": "active"});
    let data = json!({"cc.projects": {"<project>": short}});
    scene.assert_answer(
        &about(&scene.cas, "get", &scene.project).await,
        false,
        json!({"project": "<project>"}),
        data,
    );
}

async fn update_changes_given_fields_only(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let update = async |user: &User, body: Value| {
        let mut whole =
            json!({"project": scene.project, "owner": scene.cas.gid, "status": "deleted"});
        whole
            .as_object_mut()
            .expect("an object")
            .extend(body.as_object().expect("an object").clone());
        user.call("/api/projects/update", &whole).await
    };
    scene.assert_project(&update(&scene.ann, json!({})).await, |_| ());
    scene.assert_project(
        &update(&scene.ben, json!({"name": " Flora "})).await,
        |project| {
            project["name"] = json!("Flora");
        },
    );
    let both = |project: &mut Value| {
        project["name"] = json!("Flora");
        project["options"]["timezone"] = json!("Asia/Tokyo");
    };
    scene.assert_project(
        &update(&scene.program, json!({"timezone": "Asia/Tokyo"})).await,
        both,
    );
    scene.assert_project(&about(&scene.ann, "get", &scene.project).await, both);
    for timezone in ["", "Europe/Nowhere", "europe", " Asia/Tokyo", "+02:00"] {
        update(&scene.ann, json!({"timezone": timezone, "name": "Lost"}))
            .await
            .assert_validation_error("timezone", "invalid");
        let create = scene
            .cas
            .call("/api/projects/create", &json!({"timezone": timezone}))
            .await;
        create.assert_validation_error("timezone", "invalid");
    }
    scene.assert_project(&about(&scene.ann, "get", &scene.project).await, both);
}

async fn names_are_trimmed_and_required(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let longest = "\u{e9}".repeat(200);
    let bodies = |name: &str| {
        [
            ("create", json!({"name": name})),
            ("update", json!({"project": scene.project, "name": name})),
        ]
    };
    for (name, kept) in [
        (" \tFlora 2\n ", "Flora 2"),
        (&*longest, &*longest),
        (&*format!("  {longest} "), &longest),
    ] {
        for (call, body) in bodies(name) {
            let (result, data) = scene
                .ann
                .call(&format!("/api/projects/{call}"), &body)
                .await
                .success();
            let project = result["project"].as_str().expect("a gid");
            assert_eq!(data["cc.projects"][project]["name"], json!(kept), "{call}");
        }
    }
    let before = cursor(&scene.ann).await;
    let too_long = longest + "x";
    for (name, reason) in [
        ("", "invalid"),
        (" \t\n", "invalid"),
        ("Flo\u{0}ra", "invalid"),
        ("Flo\nra", "invalid"),
        ("Flo\u{7f}ra", "invalid"),
        ("Flo\u{9b}ra", "invalid"),
        (&*too_long, "too_long"),
    ] {
        for (call, body) in bodies(name) {
            let answer = scene
                .ann
                .call(&format!("/api/projects/{call}"), &body)
                .await;
            answer.assert_validation_error("name", reason);
        }
    }
    assert_eq!(cursor(&scene.ann).await, before);
}

async fn first_bad_parameter_is_reported(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let project = &scene.project;
    let (missing, invalid) = ("Missing parameter", "Invalid parameter");
    for call in [
        "get",
        "update",
        "delete_icon",
        "delete",
        "undelete",
        "permanent_delete",
        "transfer",
    ] {
        let path = format!("/api/projects/{call}");
        // Also to who may not.
        for user in [&scene.ann, &scene.cas, &scene.program] {
            user.call(&path, &json!({"name": 1, "user": 1}))
                .await
                .assert_bad_parameter(missing, "project");
            for bad in [
                json!(null),
                json!(1),
                json!(true),
                json!([project]),
                json!({}),
                json!(""),
                json!("Herbarium"),
            ] {
                let body = json!({"project": bad, "name": 1, "user": 1});
                user.call(&path, &body)
                    .await
                    .assert_bad_parameter(invalid, "project");
            }
        }
        for body in ["", "[]", "x", "null"] {
            let call = scene
                .ann
                .http
                .post(&path)
                .bearer(&scene.ann.token)
                .header("content-type", "application/json");
            call.body(body.to_owned())
                .send()
                .await
                .assert_invalid_body();
        }
        let get = scene
            .ann
            .http
            .get(&path)
            .bearer(&scene.ann.token)
            .send()
            .await;
        get.assert_error(405, "Method not allowed", &json!({}));
    }
    for bad in [json!(null), json!(1), json!(["x"]), json!({})] {
        for (call, body, name) in [
            ("create", json!({"name": bad, "timezone": bad}), "name"),
            ("create", json!({"timezone": bad}), "timezone"),
            (
                "update",
                json!({"project": project, "name": bad, "timezone": bad}),
                "name",
            ),
            (
                "update",
                json!({"project": project, "name": "", "timezone": bad}),
                "timezone",
            ),
            ("transfer", json!({"project": project, "user": bad}), "user"),
        ] {
            let answer = scene
                .ann
                .call(&format!("/api/projects/{call}"), &body)
                .await;
            answer.assert_bad_parameter(invalid, name);
        }
    }
    let transfer =
        |body: Value| async move { scene.ann.call("/api/projects/transfer", &body).await };
    transfer(json!({"project": project}))
        .await
        .assert_bad_parameter(missing, "user");
}

async fn calls_require_permission_regardless_of_existence(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let before = cursor(&scene.ann).await;
    let calls = [
        "update",
        "delete_icon",
        "delete",
        "undelete",
        "permanent_delete",
        "transfer",
    ];
    for call in calls.into_iter().chain(["get", "create"]) {
        let call = scene.app.http.post(&format!("/api/projects/{call}"));
        call.json(&json!({"project": scene.project}))
            .send()
            .await
            .assert_unauthenticated();
    }
    for call in calls {
        let path = format!("/api/projects/{call}");
        let with = |project: &str| json!({"project": project, "name": "", "user": scene.ben.gid});
        for project in [&scene.project, UNKNOWN_GID] {
            scene
                .cas
                .call(&path, &with(project))
                .await
                .assert_forbidden();
        }
        scene
            .ann
            .call(&path, &with(UNKNOWN_GID))
            .await
            .assert_forbidden();
        if call != "update" {
            scene
                .ben
                .call(&path, &with(&scene.project))
                .await
                .assert_forbidden();
            scene
                .program
                .call(&path, &with(&scene.project))
                .await
                .assert_forbidden();
        }
        for status in ["invited", "declined", "inactive"] {
            scene.set_membership(&scene.cas, status);
            scene
                .cas
                .call(&path, &with(&scene.project))
                .await
                .assert_forbidden();
        }
        execute(
            &scene.app.installation.databases.directory,
            &format!(
                "DELETE FROM memberships WHERE user_gid = '{}'",
                scene.cas.gid
            ),
        );
    }
    for body in [json!({}), json!({"name": ""}), json!({"timezone": "x"})] {
        scene
            .program
            .call("/api/projects/create", &body)
            .await
            .assert_forbidden();
    }
    assert_eq!(cursor(&scene.ann).await, before);
}

async fn deleted_project_is_visible_to_its_owner_only(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let project = &scene.project;
    let deleted = |entry: &mut Value| entry["status"] = json!("deleted");
    scene.assert_project(&scene.own("delete").await, deleted);

    let (result, data) = scene.ann.init().await.success();
    assert_eq!(result["user_projects"], json!({}));
    let short = json!({"gid": project, "name": "Herbarium", "icon": null, "owner": scene.ann.gid, "status": "deleted"});
    assert_json_eq(&data["cc.projects"], &json!({project: short}));
    let own = membership("ann", "owner", Some(own_options("ann")));
    let memberships = with_names(
        &data["cc.projects_members"],
        &[(&scene.ann.gid, "<ann>"), (project, "<project>")],
    );
    assert_json_eq(&memberships, &json!([own]));
    assert_eq!(
        data["cc.users"].as_object().map(serde_json::Map::len),
        Some(1)
    );
    scene.assert_project(&scene.own("get").await, deleted);
    let login = scene.app.http.login("ann", PASSWORD).await.success();
    assert_eq!(
        (
            &login.0["user_projects"],
            &login.1["cc.projects"][project]["status"]
        ),
        (&json!({}), &json!("deleted"))
    );

    for user in [&scene.ben, &scene.program] {
        let (result, data) = user.init().await.success();
        assert_eq!(result["user_projects"], json!({}));
        assert_eq!(
            (&data["cc.projects"], &data["cc.projects_members"]),
            (&json!({}), &json!([]))
        );
        about(user, "get", project)
            .await
            .assert_unprocessable("project_not_found");
        about(user, "update", project).await.assert_forbidden();
    }
    for user in [&scene.ann, &scene.ben, &scene.program] {
        scene
            .app
            .http
            .project_init(project, &user.token)
            .await
            .assert_forbidden();
        for (call, body) in [
            ("members/get", json!({"member": scene.ann.gid})),
            ("languages/add", json!({"language": "nl"})),
            ("channels/create", json!({"name": "x"})),
            ("orderings/create", json!({"name": "x"})),
            ("fieldlists/create", json!({"name": "x"})),
            ("apikeys/get", json!({"user": scene.robot.gid})),
            ("members/remove", json!({"user": scene.ben.gid})),
        ] {
            user.call(&format!("/api/p/{project}/{call}"), &body)
                .await
                .assert_forbidden();
        }
    }
    scene.robot.auth().await.assert_unknown_user();
    for username in ["ann", "ben"] {
        scene
            .app
            .http
            .project_login(project, username, PASSWORD)
            .await
            .assert_unknown_user();
    }
    // What is the owner's own goes on.
    let renamed = scene
        .ann
        .call(
            "/api/projects/update",
            &json!({"project": project, "name": "Flora"}),
        )
        .await;
    scene.assert_project(&renamed, |entry| {
        deleted(entry);
        entry["name"] = json!("Flora");
    });
}

async fn undelete_restores_everything(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let project = &scene.project;
    let add = format!("/api/p/{project}/languages/add");
    scene
        .ben
        .call(&add, &json!({"language": "de"}))
        .await
        .success();
    icons::uploaded(&scene.ann, project, &icons::png()).await;
    let picture = async |user: &User| {
        let (mut result, data) = user.init().await.success();
        result["cc.cursor"] = json!(null);
        let (inner, inner_data) = scene
            .app
            .http
            .project_init(project, &user.token)
            .await
            .success();
        (result, data, inner["project_members"].clone(), inner_data)
    };
    let mut before = Vec::new();
    for user in [&scene.ann, &scene.ben, &scene.program] {
        before.push(picture(user).await);
    }
    scene.own("delete").await.success();
    scene.assert_project(&scene.own("undelete").await, |entry| {
        entry["options"]["languages"] = json!(["en", "nl", "de"]);
        entry["icon"] = json!("<project>.png");
    });
    for (user, before) in [&scene.ann, &scene.ben, &scene.program]
        .into_iter()
        .zip(before)
    {
        let after = picture(user).await;
        assert!(after == before, "{after:?}\n{before:?}");
    }
    scene.robot.auth().await.success();
    assert_eq!(
        icons::get(&scene.app.http, &format!("{project}.png"))
            .await
            .status,
        200
    );
}

async fn permanent_delete_removes_everything(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let project = &scene.project;
    let other = scene.app.installation.create_project("ann", "Atlas").await;
    scene.app.installation.add_member(&other, "ben").await;
    icons::uploaded(&scene.ann, project, &icons::png()).await;
    scene
        .own("permanent_delete")
        .await
        .assert_unprocessable("not_deleted");
    scene.own("delete").await.success();
    let ended = scene.own("permanent_delete").await;
    scene.assert_answer(&ended, true, json!({}), json!({}));
    assert_eq!(scene.app.http.init(&ended.token()).await.status, 200);

    scene.app.http.denied_soon(&scene.program.token).await;
    scene.robot.auth().await.assert_unknown_user();
    eventually("404", Duration::from_secs(10), async || {
        (icons::get(&scene.app.http, &format!("{project}.png"))
            .await
            .status
            == 404)
            .then_some(())
    })
    .await;
    for user in [&scene.ann, &scene.ben] {
        let (result, data) = user.init().await.success();
        assert_eq!(
            result["user_projects"]
                .as_object()
                .map(|all| all.keys().collect::<Vec<_>>()),
            Some(vec![&other])
        );
        assert_eq!(
            data["cc.projects"].as_object().map(serde_json::Map::len),
            Some(1)
        );
        assert!(
            !data.to_string().contains(project) && !data.to_string().contains(&scene.robot.gid),
            "{data}"
        );
        for call in ["delete", "undelete", "permanent_delete", "update"] {
            about(user, call, project).await.assert_forbidden();
        }
        about(user, "get", project)
            .await
            .assert_unprocessable("project_not_found");
        user.call("/api/users/get", &json!({"user": scene.robot.gid}))
            .await
            .assert_unprocessable("user_not_found");
    }
    let databases = &scene.app.installation.databases;
    for (database, table, column) in [
        (&databases.directory, "projects", "gid"),
        (&databases.directory, "memberships", "project_gid"),
        (&databases.directory, "project_items", "project_gid"),
        (&databases.directory, "project_languages", "project_gid"),
    ] {
        let sql = format!("SELECT {column} AS text FROM {table} WHERE {column} = '{project}'");
        assert!(
            doorward_tests::backend::texts(database, &sql).is_empty(),
            "{table}"
        );
    }
    eventually("no key", Duration::from_secs(10), async || {
        let keys = format!(
            "SELECT user_gid AS text FROM api_keys WHERE user_gid = '{}'",
            scene.robot.gid
        );
        doorward_tests::backend::texts(&databases.auth, &keys)
            .is_empty()
            .then_some(())
    })
    .await;
    // An owner of nothing may go.
    scene
        .app
        .installation
        .cli(&["project", "transfer", &other, "--to", "ben"], "")
        .await
        .assert_success();
    scene
        .ann
        .call("/api/account/delete", &json!({"confirm": true}))
        .await
        .success();
}

async fn placeholder_is_deleted_with_its_last_project(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let other = scene.app.installation.create_project("ann", "Atlas").await;
    let [dan, eva] = [
        "11111111-1111-4111-8111-111111111111",
        "22222222-2222-4222-8222-222222222222",
    ];
    let directory = &scene.app.installation.databases.directory;
    for (gid, projects) in [
        (dan, vec![&scene.project]),
        (eva, vec![&scene.project, &other]),
    ] {
        execute(
            directory,
            &format!(
                "INSERT INTO users (gid, email, email_canonical, name, status, language, timezone, created_at, \
            updated_at) VALUES ('{gid}', 'x@example.org', 'x@example.org', '', 'invited', 'en', 'UTC', 0, 0)"
            ),
        );
        for project in projects {
            execute(
                directory,
                &format!(
                    "INSERT INTO memberships (project_gid, user_gid, role, status, created_at, updated_at) \
                VALUES ('{project}', '{gid}', 'member', 'invited', 0, 0)"
                ),
            );
        }
    }
    scene.own("delete").await.success();
    scene.own("permanent_delete").await.success();
    let left = doorward_tests::backend::texts(
        directory,
        "SELECT gid AS text FROM users WHERE username IS NULL",
    );
    assert_eq!(left, [eva]);
}

async fn transfer_makes_a_member_the_owner(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let body = json!({"project": scene.project, "user": scene.ben.gid});
    let given = scene.ann.call("/api/projects/transfer", &body).await;
    let mut project = herbarium();
    project["owner"] = json!("<ben>");
    let members = json!([
        membership("ann", "member", Some(own_options("ann"))),
        membership("ben", "owner", None)
    ]);
    let data = json!({"cc.projects": {"<project>": project}, "cc.projects_members": members});
    scene.assert_answer(&given, true, json!({"project": "<project>"}), data);
    assert_ne!(given.token(), scene.ann.token);

    for (user, role) in [(&scene.ann, "member"), (&scene.ben, "owner")] {
        let (result, data) = user.init().await.success();
        assert_eq!(result["user_projects"], json!({&scene.project: [role]}));
        assert_eq!(
            data["cc.projects"][&scene.project]["owner"],
            json!(scene.ben.gid)
        );
    }
    scene
        .ann
        .call("/api/projects/transfer", &body)
        .await
        .assert_forbidden();
    scene.own("delete").await.assert_forbidden();
    scene
        .ann
        .api_keys(&scene.project, "get", &json!({"user": scene.robot.gid}))
        .await
        .assert_forbidden();
    scene
        .ben
        .api_keys(&scene.project, "get", &json!({"user": scene.robot.gid}))
        .await
        .success();
    let back = json!({"project": scene.project, "user": scene.ann.gid});
    scene
        .ben
        .call("/api/projects/transfer", &back)
        .await
        .success();
    scene.own("delete").await.success();
}

async fn wrong_project_status_is_unprocessable(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let before = changes(&scene.app.installation);
    let transfer = async |user: &str| {
        scene
            .ann
            .call(
                "/api/projects/transfer",
                &json!({"project": scene.project, "user": user}),
            )
            .await
    };
    for (user, reason) in [
        (&*scene.cas.gid, "not_a_member"),
        (UNKNOWN_GID, "not_a_member"),
        (&scene.robot.gid, "api_user"),
        (&scene.ann.gid, "owner"),
    ] {
        transfer(user).await.assert_unprocessable(reason);
    }
    for status in ["invited", "declined", "inactive"] {
        scene.set_membership(&scene.cas, status);
        transfer(&scene.cas.gid)
            .await
            .assert_unprocessable("not_a_member");
    }
    scene
        .own("undelete")
        .await
        .assert_unprocessable("not_deleted");
    scene
        .own("permanent_delete")
        .await
        .assert_unprocessable("not_deleted");
    assert_eq!(changes(&scene.app.installation), before);
    scene.own("delete").await.success();
    scene
        .own("delete")
        .await
        .assert_unprocessable("already_deleted");
    transfer(&scene.ben.gid)
        .await
        .assert_unprocessable("already_deleted");
    assert_eq!(changes(&scene.app.installation), before + 1);
    // Somebody who can't log in owns nothing.
    scene.own("undelete").await.success();
    scene
        .app
        .installation
        .change_user("deactivate", "ben")
        .await;
    transfer(&scene.ben.gid)
        .await
        .assert_unprocessable("not_a_member");
}

async fn every_change_moves_the_feed_and_nothing_else_does(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let project = &scene.project;
    let mut now = changes(&scene.app.installation);
    for (call, body, rows) in [
        ("get", json!({"project": project}), 0),
        ("update", json!({"project": project}), 0),
        (
            "update",
            json!({"project": project, "name": " Herbarium", "timezone": "Europe/Amsterdam"}),
            0,
        ),
        ("update", json!({"project": project, "name": "Flora"}), 1),
        ("update", json!({"project": project, "timezone": "UTC"}), 1),
        (
            "update",
            json!({"project": project, "name": "Lost", "timezone": "x"}),
            0,
        ),
        ("delete_icon", json!({"project": project}), 0),
        ("delete", json!({"project": project}), 1),
        ("delete", json!({"project": project}), 0),
        ("undelete", json!({"project": project}), 1),
        ("undelete", json!({"project": project}), 0),
        ("create", json!({}), 2),
        ("create", json!({"name": ""}), 0),
        ("delete", json!({"project": project}), 1),
        // The project, three memberships and the API user.
        ("permanent_delete", json!({"project": project}), 5),
        ("permanent_delete", json!({"project": project}), 0),
    ] {
        scene
            .ann
            .call(&format!("/api/projects/{call}"), &body)
            .await;
        now += rows;
        assert_eq!(changes(&scene.app.installation), now, "{call} {body}");
    }
}

async fn project_of_eleven_thousand_members_can_be_purged(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let numbers = match backend {
        Backend::Postgres => {
            "SELECT lpad(n::text, 12, '0') AS n FROM generate_series(1, 11000) AS numbers(n)"
        }
        Backend::Sqlite => {
            "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 11000) \
             SELECT printf('%012d', i) AS n FROM c"
        }
    };
    let gid = "'00000000-0000-4000-8000-' || n";
    execute(
        &scene.app.installation.databases.directory,
        &format!(
            "INSERT INTO users (gid, username, name, status, language, timezone, created_at, updated_at)
                 SELECT {gid}, 'user' || n, 'User', 'active', 'en', 'UTC', 0, 0 FROM ({numbers}) AS numbers;
             INSERT INTO memberships (project_gid, user_gid, role, status, created_at, updated_at)
                 SELECT '{}', {gid}, 'member', 'active', 0, 0 FROM ({numbers}) AS numbers;",
            scene.project
        ),
    );
    scene.own("delete").await.success();
    let before = changes(&scene.app.installation);
    scene.own("permanent_delete").await.success();
    assert_eq!(changes(&scene.app.installation), before + 11_005);
}
