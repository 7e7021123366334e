//! Tests the responses, errors and permissions of the calls `/api/projects/...`, from the creation
//! of a project to its purge. Icons are in `icons.rs`, project items and languages in `options.rs`.

use std::time::Duration;

use doorward_tests::{
    App, Backend, Installation, PASSWORD, User, eventually, on_both_databases,
    snapshots::{assert_json_eq, with_names},
    sql::execute,
};
use serde_json::{Value, json};

use crate::{
    api_keys::calls::UNKNOWN_GID,
    projects::{
        fixture::{Fixture, about, cursor, herbarium, items},
        icons,
    },
};

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

/// Counts the changes in the feed for services.
fn changes(installation: &Installation) -> usize {
    doorward_tests::sql::texts(
        &installation.databases.directory,
        "SELECT data_key AS text FROM feed_changes",
    )
    .len()
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
        let created = ann.call("/api/projects/create", &body).await;
        let (result, data) = created.success();
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
            &with_names(&created.json(), &ids),
            &json!({
                "success": true,
                "result": {"project": "<project>", "project_members": ["<ann>"]},
                "data": {
                    "cc.projects": {"<project>": expected},
                    "cc.projects_members": [membership("ann", "owner", Some(own_options("ann")))]
                }
            }),
        );
        // The response has a new, valid token.
        assert_ne!(created.token(), ann.token);
        let (init, _) = app.http.init(&created.token()).await.success();
        assert_eq!(init["user_projects"][&project], json!(["owner"]));
        assert_eq!(changes(&app.installation), before + 2);
    }
}

async fn get_returns_visible_projects_only(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    for user in [&fixture.ann, &fixture.ben, &fixture.program] {
        fixture.assert_project(&about(user, "get", &fixture.project).await, |_| ());
    }
    let upper = about(&fixture.ann, "get", &fixture.project.to_uppercase()).await;
    fixture.assert_project(&upper, |_| ());
    about(&fixture.ann, "get", UNKNOWN_GID)
        .await
        .assert_unprocessable("project_not_found");
    about(&fixture.cas, "get", &fixture.project)
        .await
        .assert_unprocessable("project_not_found");
    for status in ["declined", "inactive"] {
        fixture.set_membership(&fixture.cas, status);
        about(&fixture.cas, "get", &fixture.project)
            .await
            .assert_unprocessable("project_not_found");
    }
    // An invited user sees only the summary of the project.
    fixture.set_membership(&fixture.cas, "invited");
    let summary = json!({"gid": "<project>", "name": "Herbarium", "icon": null, "owner": "<ann>", "status": "active"});
    let data = json!({"cc.projects": {"<project>": summary}});
    fixture.assert_answer(
        &about(&fixture.cas, "get", &fixture.project).await,
        false,
        json!({"project": "<project>"}),
        data,
    );
}

async fn update_changes_given_fields_only(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let update = async |user: &User, body: Value| {
        let mut whole =
            json!({"project": fixture.project, "owner": fixture.cas.gid, "status": "deleted"});
        whole
            .as_object_mut()
            .expect("an object")
            .extend(body.as_object().expect("an object").clone());
        user.call("/api/projects/update", &whole).await
    };
    fixture.assert_project(&update(&fixture.ann, json!({})).await, |_| ());
    fixture.assert_project(
        &update(&fixture.ben, json!({"name": " Flora "})).await,
        |project| {
            project["name"] = json!("Flora");
        },
    );
    let both = |project: &mut Value| {
        project["name"] = json!("Flora");
        project["options"]["timezone"] = json!("Asia/Tokyo");
    };
    fixture.assert_project(
        &update(&fixture.program, json!({"timezone": "Asia/Tokyo"})).await,
        both,
    );
    fixture.assert_project(&about(&fixture.ann, "get", &fixture.project).await, both);
    for timezone in ["", "Europe/Nowhere", "europe", " Asia/Tokyo", "+02:00"] {
        update(&fixture.ann, json!({"timezone": timezone, "name": "Lost"}))
            .await
            .assert_validation_error("timezone", "invalid");
        let create = fixture
            .cas
            .call("/api/projects/create", &json!({"timezone": timezone}))
            .await;
        create.assert_validation_error("timezone", "invalid");
    }
    fixture.assert_project(&about(&fixture.ann, "get", &fixture.project).await, both);
}

async fn names_are_trimmed_and_required(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let longest = "\u{e9}".repeat(200);
    let bodies = |name: &str| {
        [
            ("create", json!({"name": name})),
            ("update", json!({"project": fixture.project, "name": name})),
        ]
    };
    for (name, stored) in [
        (" \tFlora 2\n ", "Flora 2"),
        (&*longest, &*longest),
        (&*format!("  {longest} "), &longest),
    ] {
        for (call, body) in bodies(name) {
            let (result, data) = fixture
                .ann
                .call(&format!("/api/projects/{call}"), &body)
                .await
                .success();
            let project = result["project"].as_str().expect("a gid");
            assert_eq!(
                data["cc.projects"][project]["name"],
                json!(stored),
                "{call}"
            );
        }
    }
    let before = cursor(&fixture.ann).await;
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
            let answer = fixture
                .ann
                .call(&format!("/api/projects/{call}"), &body)
                .await;
            answer.assert_validation_error("name", reason);
        }
    }
    assert_eq!(cursor(&fixture.ann).await, before);
}

async fn first_bad_parameter_is_reported(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let project = &fixture.project;
    let missing = "Missing parameter";
    let invalid = "Invalid parameter";
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
        // Parameters are checked before permissions, so callers without access get the same errors.
        for user in [&fixture.ann, &fixture.cas, &fixture.program] {
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
            let call = fixture
                .ann
                .http
                .post(&path)
                .bearer(&fixture.ann.token)
                .header("content-type", "application/json");
            call.body(body.to_owned())
                .send()
                .await
                .assert_invalid_body();
        }
        let get = fixture
            .ann
            .http
            .get(&path)
            .bearer(&fixture.ann.token)
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
            let answer = fixture
                .ann
                .call(&format!("/api/projects/{call}"), &body)
                .await;
            answer.assert_bad_parameter(invalid, name);
        }
    }
    let transfer =
        |body: Value| async move { fixture.ann.call("/api/projects/transfer", &body).await };
    transfer(json!({"project": project}))
        .await
        .assert_bad_parameter(missing, "user");
}

async fn calls_require_permission_regardless_of_existence(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let before = cursor(&fixture.ann).await;
    let calls = [
        "update",
        "delete_icon",
        "delete",
        "undelete",
        "permanent_delete",
        "transfer",
    ];
    for call in calls.into_iter().chain(["get", "create"]) {
        let call = fixture.app.http.post(&format!("/api/projects/{call}"));
        call.json(&json!({"project": fixture.project}))
            .send()
            .await
            .assert_unauthenticated();
    }
    for call in calls {
        let path = format!("/api/projects/{call}");
        let with = |project: &str| json!({"project": project, "name": "", "user": fixture.ben.gid});
        for project in [&fixture.project, UNKNOWN_GID] {
            fixture
                .cas
                .call(&path, &with(project))
                .await
                .assert_forbidden();
        }
        fixture
            .ann
            .call(&path, &with(UNKNOWN_GID))
            .await
            .assert_forbidden();
        if call != "update" {
            fixture
                .ben
                .call(&path, &with(&fixture.project))
                .await
                .assert_forbidden();
            fixture
                .program
                .call(&path, &with(&fixture.project))
                .await
                .assert_forbidden();
        }
        for status in ["invited", "declined", "inactive"] {
            fixture.set_membership(&fixture.cas, status);
            fixture
                .cas
                .call(&path, &with(&fixture.project))
                .await
                .assert_forbidden();
        }
        execute(
            &fixture.app.installation.databases.directory,
            &format!(
                "DELETE FROM memberships WHERE user_gid = '{}'",
                fixture.cas.gid
            ),
        );
    }
    for body in [json!({}), json!({"name": ""}), json!({"timezone": "x"})] {
        fixture
            .program
            .call("/api/projects/create", &body)
            .await
            .assert_forbidden();
    }
    assert_eq!(cursor(&fixture.ann).await, before);
}

async fn deleted_project_is_visible_to_its_owner_only(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let project = &fixture.project;
    let deleted = |entry: &mut Value| entry["status"] = json!("deleted");
    fixture.assert_project(&fixture.own("delete").await, deleted);

    let (result, data) = fixture.ann.init().await.success();
    assert_eq!(result["user_projects"], json!({}));
    let summary = json!({"gid": project, "name": "Herbarium", "icon": null, "owner": fixture.ann.gid, "status": "deleted"});
    assert_json_eq(&data["cc.projects"], &json!({project: summary}));
    let own = membership("ann", "owner", Some(own_options("ann")));
    let memberships = with_names(
        &data["cc.projects_members"],
        &[(&fixture.ann.gid, "<ann>"), (project, "<project>")],
    );
    assert_json_eq(&memberships, &json!([own]));
    assert_eq!(
        data["cc.users"].as_object().map(serde_json::Map::len),
        Some(1)
    );
    fixture.assert_project(&fixture.own("get").await, deleted);
    let login = fixture.app.http.login("ann", PASSWORD).await.success();
    assert_eq!(
        (
            &login.0["user_projects"],
            &login.1["cc.projects"][project]["status"]
        ),
        (&json!({}), &json!("deleted"))
    );

    for user in [&fixture.ben, &fixture.program] {
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
    for user in [&fixture.ann, &fixture.ben, &fixture.program] {
        fixture
            .app
            .http
            .project_init(project, &user.token)
            .await
            .assert_forbidden();
        for (call, body) in [
            ("members/get", json!({"member": fixture.ann.gid})),
            ("languages/add", json!({"language": "nl"})),
            ("channels/create", json!({"name": "x"})),
            ("orderings/create", json!({"name": "x"})),
            ("fieldlists/create", json!({"name": "x"})),
            ("apikeys/get", json!({"user": fixture.robot.gid})),
            ("members/remove", json!({"user": fixture.ben.gid})),
        ] {
            user.call(&format!("/api/p/{project}/{call}"), &body)
                .await
                .assert_forbidden();
        }
    }
    fixture.robot.auth().await.assert_unknown_user();
    for username in ["ann", "ben"] {
        fixture
            .app
            .http
            .project_login(project, username, PASSWORD)
            .await
            .assert_unknown_user();
    }
    // The owner can still update the project.
    let renamed = fixture
        .ann
        .call(
            "/api/projects/update",
            &json!({"project": project, "name": "Flora"}),
        )
        .await;
    fixture.assert_project(&renamed, |entry| {
        deleted(entry);
        entry["name"] = json!("Flora");
    });
}

async fn undelete_restores_everything(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let project = &fixture.project;
    let add = format!("/api/p/{project}/languages/add");
    fixture
        .ben
        .call(&add, &json!({"language": "de"}))
        .await
        .success();
    icons::uploaded(&fixture.ann, project, &icons::png()).await;
    let snapshot = async |user: &User| {
        let (mut result, data) = user.init().await.success();
        result["cc.cursor"] = json!(null);
        let (inner, inner_data) = fixture
            .app
            .http
            .project_init(project, &user.token)
            .await
            .success();
        (result, data, inner["project_members"].clone(), inner_data)
    };
    let mut before = Vec::new();
    for user in [&fixture.ann, &fixture.ben, &fixture.program] {
        before.push(snapshot(user).await);
    }
    fixture.own("delete").await.success();
    fixture.assert_project(&fixture.own("undelete").await, |entry| {
        entry["options"]["languages"] = json!(["en", "nl", "de"]);
        entry["icon"] = json!("<project>.png");
    });
    for (user, before) in [&fixture.ann, &fixture.ben, &fixture.program]
        .into_iter()
        .zip(before)
    {
        let after = snapshot(user).await;
        assert!(after == before, "{after:?}\n{before:?}");
    }
    fixture.robot.auth().await.success();
    assert_eq!(
        icons::get(&fixture.app.http, &format!("{project}.png"))
            .await
            .status,
        200
    );
}

async fn permanent_delete_removes_everything(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let project = &fixture.project;
    let other = fixture
        .app
        .installation
        .create_project("ann", "Atlas")
        .await;
    fixture.app.installation.add_member(&other, "ben").await;
    icons::uploaded(&fixture.ann, project, &icons::png()).await;
    fixture
        .own("permanent_delete")
        .await
        .assert_unprocessable("not_deleted");
    fixture.own("delete").await.success();
    let ended = fixture.own("permanent_delete").await;
    fixture.assert_answer(&ended, true, json!({}), json!({}));
    assert_eq!(fixture.app.http.init(&ended.token()).await.status, 200);

    fixture.app.http.denied_soon(&fixture.program.token).await;
    fixture.robot.auth().await.assert_unknown_user();
    eventually("404", Duration::from_secs(10), async || {
        (icons::get(&fixture.app.http, &format!("{project}.png"))
            .await
            .status
            == 404)
            .then_some(())
    })
    .await;
    for user in [&fixture.ann, &fixture.ben] {
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
            !data.to_string().contains(project) && !data.to_string().contains(&fixture.robot.gid),
            "{data}"
        );
        for call in ["delete", "undelete", "permanent_delete", "update"] {
            about(user, call, project).await.assert_forbidden();
        }
        about(user, "get", project)
            .await
            .assert_unprocessable("project_not_found");
        user.call("/api/users/get", &json!({"user": fixture.robot.gid}))
            .await
            .assert_unprocessable("user_not_found");
    }
    let databases = &fixture.app.installation.databases;
    for (database, table, column) in [
        (&databases.directory, "projects", "gid"),
        (&databases.directory, "memberships", "project_gid"),
        (&databases.directory, "project_items", "project_gid"),
        (&databases.directory, "project_languages", "project_gid"),
    ] {
        let sql = format!("SELECT {column} AS text FROM {table} WHERE {column} = '{project}'");
        assert!(
            doorward_tests::sql::texts(database, &sql).is_empty(),
            "{table}"
        );
    }
    eventually("no key", Duration::from_secs(10), async || {
        let keys = format!(
            "SELECT user_gid AS text FROM api_keys WHERE user_gid = '{}'",
            fixture.robot.gid
        );
        doorward_tests::sql::texts(&databases.auth, &keys)
            .is_empty()
            .then_some(())
    })
    .await;
    // A user without projects can delete the account.
    fixture
        .app
        .installation
        .cli(&["project", "transfer", &other, "--to", "ben"], "")
        .await
        .assert_success();
    fixture
        .ann
        .call("/api/account/delete", &json!({"confirm": true}))
        .await
        .success();
}

async fn placeholder_is_deleted_with_its_last_project(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let other = fixture
        .app
        .installation
        .create_project("ann", "Atlas")
        .await;
    let [dan, eva] = [
        "11111111-1111-4111-8111-111111111111",
        "22222222-2222-4222-8222-222222222222",
    ];
    let directory = &fixture.app.installation.databases.directory;
    for (gid, projects) in [
        (dan, vec![&fixture.project]),
        (eva, vec![&fixture.project, &other]),
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
    fixture.own("delete").await.success();
    fixture.own("permanent_delete").await.success();
    let left = doorward_tests::sql::texts(
        directory,
        "SELECT gid AS text FROM users WHERE username IS NULL",
    );
    assert_eq!(left, [eva]);
}

async fn transfer_makes_a_member_the_owner(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let body = json!({"project": fixture.project, "user": fixture.ben.gid});
    let transferred = fixture.ann.call("/api/projects/transfer", &body).await;
    let mut project = herbarium();
    project["owner"] = json!("<ben>");
    let members = json!([
        membership("ann", "member", Some(own_options("ann"))),
        membership("ben", "owner", None)
    ]);
    let data = json!({"cc.projects": {"<project>": project}, "cc.projects_members": members});
    fixture.assert_answer(&transferred, true, json!({"project": "<project>"}), data);
    assert_ne!(transferred.token(), fixture.ann.token);

    for (user, role) in [(&fixture.ann, "member"), (&fixture.ben, "owner")] {
        let (result, data) = user.init().await.success();
        assert_eq!(result["user_projects"], json!({&fixture.project: [role]}));
        assert_eq!(
            data["cc.projects"][&fixture.project]["owner"],
            json!(fixture.ben.gid)
        );
    }
    fixture
        .ann
        .call("/api/projects/transfer", &body)
        .await
        .assert_forbidden();
    fixture.own("delete").await.assert_forbidden();
    fixture
        .ann
        .api_keys(&fixture.project, "get", &json!({"user": fixture.robot.gid}))
        .await
        .assert_forbidden();
    fixture
        .ben
        .api_keys(&fixture.project, "get", &json!({"user": fixture.robot.gid}))
        .await
        .success();
    let back = json!({"project": fixture.project, "user": fixture.ann.gid});
    fixture
        .ben
        .call("/api/projects/transfer", &back)
        .await
        .success();
    fixture.own("delete").await.success();
}

async fn wrong_project_status_is_unprocessable(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let before = changes(&fixture.app.installation);
    let transfer = async |user: &str| {
        fixture
            .ann
            .call(
                "/api/projects/transfer",
                &json!({"project": fixture.project, "user": user}),
            )
            .await
    };
    for (user, reason) in [
        (&*fixture.cas.gid, "not_a_member"),
        (UNKNOWN_GID, "not_a_member"),
        (&fixture.robot.gid, "api_user"),
        (&fixture.ann.gid, "owner"),
    ] {
        transfer(user).await.assert_unprocessable(reason);
    }
    for status in ["invited", "declined", "inactive"] {
        fixture.set_membership(&fixture.cas, status);
        transfer(&fixture.cas.gid)
            .await
            .assert_unprocessable("not_a_member");
    }
    fixture
        .own("undelete")
        .await
        .assert_unprocessable("not_deleted");
    fixture
        .own("permanent_delete")
        .await
        .assert_unprocessable("not_deleted");
    assert_eq!(changes(&fixture.app.installation), before);
    fixture.own("delete").await.success();
    fixture
        .own("delete")
        .await
        .assert_unprocessable("already_deleted");
    transfer(&fixture.ben.gid)
        .await
        .assert_unprocessable("already_deleted");
    assert_eq!(changes(&fixture.app.installation), before + 1);
    // An inactive user cannot become the owner.
    fixture.own("undelete").await.success();
    fixture
        .app
        .installation
        .change_user("deactivate", "ben")
        .await;
    transfer(&fixture.ben.gid)
        .await
        .assert_unprocessable("not_a_member");
}

async fn every_change_moves_the_feed_and_nothing_else_does(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let project = &fixture.project;
    let mut now = changes(&fixture.app.installation);
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
        fixture
            .ann
            .call(&format!("/api/projects/{call}"), &body)
            .await;
        now += rows;
        assert_eq!(changes(&fixture.app.installation), now, "{call} {body}");
    }
}

async fn project_of_eleven_thousand_members_can_be_purged(backend: Backend) {
    let fixture = Fixture::new(backend).await;
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
        &fixture.app.installation.databases.directory,
        &format!(
            "INSERT INTO users (gid, username, name, status, language, timezone, created_at, updated_at)
                 SELECT {gid}, 'user' || n, 'User', 'active', 'en', 'UTC', 0, 0 FROM ({numbers}) AS numbers;
             INSERT INTO memberships (project_gid, user_gid, role, status, created_at, updated_at)
                 SELECT '{}', {gid}, 'member', 'active', 0, 0 FROM ({numbers}) AS numbers;",
            fixture.project
        ),
    );
    fixture.own("delete").await.success();
    let before = changes(&fixture.app.installation);
    fixture.own("permanent_delete").await.success();
    assert_eq!(changes(&fixture.app.installation), before + 11_005);
}
