//! A project with members, and what tests of its calls expect of a new project.

use doorward_tests::{
    ApiUser, App, Backend, MANY_WRITES, Response, User,
    snapshots::{assert_json_eq, with_names},
    sql::execute,
};
use serde_json::{Value, json};

/// A project of ann with the member ben and an API user. The user cas is not a member.
pub(crate) struct Fixture {
    pub(crate) app: App,
    pub(crate) ann: User,
    pub(crate) ben: User,
    pub(crate) cas: User,
    pub(crate) robot: ApiUser,
    /// The API user in the form of a user with a token.
    pub(crate) program: User,
    pub(crate) project: String,
    names: Vec<(String, &'static str)>,
}

impl Fixture {
    pub(crate) async fn new(backend: Backend) -> Self {
        let app = App::with_settings(backend, &[MANY_WRITES]).await;
        let ann = app.user("ann").await;
        let ben = app.user("ben").await;
        let cas = app.user("cas").await;
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

    /// Returns the response with names in place of the fixture's ids.
    pub(crate) fn named(&self, answer: &Response) -> Value {
        let names: Vec<(&str, &str)> = self
            .names
            .iter()
            .map(|(id, name)| (id.as_str(), *name))
            .collect();
        with_names(&answer.json(), &names)
    }

    /// Asserts the complete response of a success, which has a token if it `renews` the caller's.
    pub(crate) fn assert_answer(
        &self,
        answer: &Response,
        renews: bool,
        result: Value,
        data: Value,
    ) {
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

    /// Asserts that a response has the full project, with a change from its initial state.
    pub(crate) fn assert_project(&self, answer: &Response, change: impl FnOnce(&mut Value)) {
        let mut project = herbarium();
        change(&mut project);
        let data = json!({"cc.projects": {"<project>": project}});
        self.assert_answer(answer, false, json!({"project": "<project>"}), data);
    }

    /// Calls an operation on the project as its owner.
    pub(crate) async fn own(&self, call: &str) -> Response {
        about(&self.ann, call, &self.project).await
    }

    pub(crate) fn set_membership(&self, user: &User, status: &str) {
        let project = &self.project;
        let user = &user.gid;
        let sql = format!(
            "DELETE FROM memberships WHERE project_gid = '{project}' AND user_gid = '{user}';
             INSERT INTO memberships (project_gid, user_gid, role, status, created_at, updated_at)
             VALUES ('{project}', '{user}', 'member', '{status}', 0, 0);"
        );
        execute(&self.app.installation.databases.directory, &sql);
    }
}

/// Calls an operation that has the project as its only parameter.
pub(crate) async fn about(user: &User, call: &str, project: &str) -> Response {
    user.call(
        &format!("/api/projects/{call}"),
        &json!({"project": project}),
    )
    .await
}

pub(crate) async fn options(user: &User, project: &str) -> Value {
    about(user, "get", project).await.success().1["cc.projects"][project]["options"].clone()
}

/// Returns the ids of the items of a new project with their names in expected responses.
pub(crate) fn items(options: &Value) -> [(String, &'static str); 3] {
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
