//! Who is told what of a change by `/sync/get`, row by row; and whoever does what they are told has what an init gives.

pub(crate) mod api_users;
pub(crate) mod concurrent;
pub(crate) mod invitations;
pub(crate) mod members;
pub(crate) mod projects;
pub(crate) mod users;

use doorward_tests::{Answer, ApiUser, Audience, Backend, MANY_WRITES, MailApp, User};
use serde_json::{Value, json};

/// Herbarium is ann's, with ben, cas and an API user, and fay is invited. Garden is ben's, with cas. dan has nothing to do with
/// either. All of them follow the feed.
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
        let (ann, ben) = (app.user("ann").await, app.user("ben").await);
        let (cas, dan, fay) = (
            app.user("cas").await,
            app.user("dan").await,
            app.user("fay").await,
        );
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

    /// A call of ann's inside Herbarium.
    async fn owner(&self, call: &str, body: &Value) -> Answer {
        self.ann
            .call(&format!("/api/p/{}/{call}", self.herbarium), body)
            .await
    }

    /// One that must succeed, about one member.
    async fn on_member(&self, call: &str, user: &str) {
        self.owner(&format!("members/{call}"), &json!({"user": user}))
            .await
            .success();
    }

    /// A call on a project that must succeed.
    async fn on_project(&self, caller: &User, path: &str, project: &str) {
        caller
            .call(path, &json!({"project": project}))
            .await
            .success();
    }
}
