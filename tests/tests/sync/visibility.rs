//! Tests which rows of each change `/sync/get` delivers to each user, and that a client that
//! applies them has the same data as an init.
//!
//! Example: ann invites dan to Herbarium. Members receive `INSERT cc.projects_members
//! herbarium/dan` and `INSERT cc.users dan`. dan receives `INSERT cc.projects herbarium` and
//! `INSERT cc.projects_members herbarium/dan`, but not the other members: an invited user only sees
//! the project's summary.

pub(crate) mod api_users;
pub(crate) mod concurrent;
pub(crate) mod invitations;
pub(crate) mod members;
pub(crate) mod projects;
pub(crate) mod users;

use doorward_tests::{ApiUser, Audience, Backend, MANY_WRITES, MailApp, Response, User};
use serde_json::{Value, json};

/// Two projects. Herbarium is owned by ann and has the members ben and cas and an API user; fay is
/// invited. Garden is owned by ben and has the member cas. dan belongs to neither. All of them
/// follow the feed.
struct Fixture {
    app: MailApp,
    audience: Audience,
    ann: User,
    ben: User,
    cas: User,
    dan: User,
    fay: User,
    robot: ApiUser,
    herbarium: String,
    garden: String,
}

impl Fixture {
    async fn new(backend: Backend) -> Self {
        let app = MailApp::with(backend, &[MANY_WRITES]).await;
        let ann = app.user("ann").await;
        let ben = app.user("ben").await;
        let cas = app.user("cas").await;
        let dan = app.user("dan").await;
        let fay = app.user("fay").await;
        let herbarium = app.installation.create_project("ann", "Herbarium").await;
        app.installation.add_member(&herbarium, "ben").await;
        app.installation.add_member(&herbarium, "cas").await;
        let robot = ann.create_api_user(&herbarium, "Robot").await;
        let garden = app.installation.create_project("ben", "Garden").await;
        app.installation.add_member(&garden, "cas").await;
        let mut scene = Self {
            app,
            audience: Audience::default(),
            ann,
            ben,
            cas,
            dan,
            fay,
            robot,
            herbarium,
            garden,
        };
        scene
            .owner("members/invite", &json!({"username_or_email": "fay"}))
            .await
            .success();
        let audience = &mut scene.audience;
        audience.name(&scene.herbarium, "herbarium");
        audience.name(&scene.garden, "garden");
        for user in [&scene.ann, &scene.ben, &scene.cas, &scene.dan, &scene.fay] {
            audience.add_user(user).await;
        }
        audience.add_api_user(&scene.robot).await;
        scene
    }

    /// Makes a call as ann inside Herbarium.
    async fn owner(&self, call: &str, body: &Value) -> Response {
        self.ann
            .call(&format!("/api/p/{}/{call}", self.herbarium), body)
            .await
    }

    /// Makes a call as ann about one member, which must succeed.
    async fn on_member(&self, call: &str, user: &str) {
        self.owner(&format!("members/{call}"), &json!({"user": user}))
            .await
            .success();
    }

    /// Makes a call on a project, which must succeed.
    async fn on_project(&self, caller: &User, path: &str, project: &str) {
        caller
            .call(path, &json!({"project": project}))
            .await
            .success();
    }
}
