//! An installation with rows in almost every table, and the checks of what must still work after it
//! has moved.

use doorward_tests::{
    ApiUser, App, Backend, Installation, PASSWORD, SmtpServer, User, eventually,
    installation::COMMAND,
    mail_app::{mail_settings, validation_code, with_codes},
    ports,
    sql::{execute, texts},
};
use serde_json::{Value, json};

use crate::operations::transfer::stream::Export;
use crate::{
    media::avatars::{png, upload},
    projects::icons,
};

pub(crate) struct Source {
    /// The app whose server was stopped.
    pub(crate) app: App,
    ann: User,
    /// A user who was deactivated.
    ben: User,
    pub(crate) robot: ApiUser,
    robot_token: String,
    project: String,
    /// Cursor before the last changes.
    cursor: i64,
    /// Response of `/sync/get` from this cursor.
    page: Value,
    avatar: Vec<u8>,
    avatar_path: String,
    reset: Value,
    keys: Value,
}

impl Source {
    pub(crate) async fn new(backend: Backend) -> Self {
        // No mail server listens on this address, so mails stay in the outbox.
        let smtp = format!("smtp://{}", ports::free_address());
        let mail = [
            ("DOORWARD_SMTP_URL", smtp.as_str()),
            ("DOORWARD_MAIL_FROM", "no-reply@example.org"),
        ];
        let mut app = App::with_settings(backend, &mail).await;
        let ann = app.user("ann").await;
        let ben = app.user("ben").await;
        let project = app
            .installation
            .create_project("ann", "Herbarium \u{1f33f} \"x\"\\")
            .await;
        app.installation.add_member(&project, "ben").await;
        let robot = ann.create_api_user(&project, "Robot").await;
        let robot_token = robot.auth().await.token();
        app.installation
            .cli(&["keys", "rotate"], "")
            .await
            .assert_success();
        let token = [
            "service-token",
            "create",
            "--name",
            "search",
            "--scope",
            "read",
        ];
        app.installation.cli(&token, "").await.assert_success();
        let asked = app
            .http
            .post("/api/reset_password_request")
            .json(&json!({"username_or_email": "ann"}))
            .send()
            .await;
        let second = json!({"username": "ann", "new_password": NEW_PASSWORD});
        let reset = with_codes(&second, &asked, "");
        assert_eq!(validation_code(&asked).len(), 32);
        let invite = json!({"username_or_email": "zoe@example.org"});
        ann.call(&format!("/api/p/{project}/members/invite"), &invite)
            .await
            .success();
        app.http
            .login("ann", "a wrong password")
            .await
            .assert_unknown_user();
        let cursor = ann.call("/sync/cursors", &json!({})).await.success().0["cc.cursor"]
            .as_i64()
            .expect("a cursor");
        let (_, data) = upload(&ann, &png()).await.success();
        let avatar_path = format!(
            "/media/avatars/{}",
            data["cc.users"][&ann.gid]["avatar"]
                .as_str()
                .expect("a name")
        );
        let avatar = app.http.get(&avatar_path).send().await.body.to_vec();
        icons::uploaded(&ann, &project, &png()).await;
        app.installation.change_user("deactivate", "ben").await;
        ben.assert_denied_eventually().await;
        // The directory rejects ben immediately, possibly before auth has revoked his tokens.
        let revocations = "SELECT id AS text FROM revocations";
        let is_revoked = async || {
            (!texts(&app.installation.databases.auth, revocations).is_empty()).then_some(())
        };
        eventually("a revocation", COMMAND, is_revoked).await;
        let page = ann
            .call("/sync/get", &json!({"cc_cursor": cursor}))
            .await
            .json();
        let keys = app
            .installation
            .cli(&["keys", "list"], "")
            .await
            .assert_success()
            .json();
        app.process.kill();
        // The waiting mails become due immediately.
        let databases = &app.installation.databases;
        execute(
            &databases.auth,
            "UPDATE outbox SET next_attempt_at = 0, leased_until = NULL",
        );
        execute(
            &databases.directory,
            "UPDATE outbox SET next_attempt_at = 0, leased_until = NULL",
        );
        let source = Self {
            app,
            ann,
            ben,
            robot,
            robot_token,
            project,
            cursor,
            page,
            avatar,
            avatar_path,
            reset,
            keys,
        };
        source.has_all_kinds_of_rows().await;
        source
    }

    pub(crate) async fn export(&self) -> Export {
        Export::of(&self.app.installation).await
    }

    /// Makes sure that the test covers all tables.
    async fn has_all_kinds_of_rows(&self) {
        let header = self.export().await.header();
        let counts = header["counts"].as_object().expect("counts");
        let empty: Vec<&String> = counts
            .iter()
            .filter(|(_, count)| **count == 0)
            .map(|(name, _)| name)
            .collect();
        assert_eq!(empty, EMPTY, "tables without rows");
    }

    /// Starts a server on the imported installation and checks tokens, passwords, keys, cursors,
    /// pictures, mails and codes.
    pub(crate) async fn works_on(&self, target: Installation) {
        let smtp = SmtpServer::start().await;
        let settings = mail_settings(&smtp);
        let settings: Vec<(&str, &str)> = settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let app = App::on_installation(target.with(&settings)).await;

        // Tokens, including those that were signed with a previous key.
        assert_eq!(app.http.init(&self.ann.token).await.status, 200);
        assert_eq!(app.http.init(&self.robot_token).await.status, 200);
        app.http
            .init(&self.ben.token)
            .await
            .assert_unauthenticated();
        assert_eq!(
            app.installation
                .cli(&["keys", "list"], "")
                .await
                .assert_success()
                .json(),
            self.keys
        );
        // Passwords and API keys.
        assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
        app.http.login("ben", PASSWORD).await.assert_unknown_user();
        assert_eq!(
            app.http.auth(&self.project, &self.robot.key).await.status,
            200
        );
        let ann = User {
            gid: self.ann.gid.clone(),
            username: "ann".to_owned(),
            token: self.ann.token.clone(),
            http: app.http.clone(),
        };
        let shown = ann
            .api_keys(&self.project, "get", &json!({"user": self.robot.gid}))
            .await
            .success()
            .0;
        assert_eq!(shown, json!({"apikey": self.robot.key}));
        // Cursors.
        let page = ann
            .call("/sync/get", &json!({"cc_cursor": self.cursor}))
            .await
            .json();
        assert_eq!(page, self.page);
        // Pictures.
        assert_eq!(
            app.http.get(&self.avatar_path).send().await.body,
            self.avatar
        );
        // Mails that were waiting, and the codes in them.
        let code = smtp.mail_to("ann@example.org").await.code();
        let mut reset = self.reset.clone();
        reset["verification_code"] = code.into();
        app.http
            .post("/api/reset_password")
            .json(&reset)
            .send()
            .await
            .success();
        assert_eq!(app.http.login("ann", NEW_PASSWORD).await.status, 200);
        drop(smtp.mail_to("zoe@example.org").await);
        // New rows are numbered after the old ones.
        let audit = app
            .installation
            .cli(&["audit", "--user", "ann"], "")
            .await
            .assert_success()
            .items();
        assert!(audit.len() > 3, "{audit:?}");
        app.user("carl").await;
    }
}

const NEW_PASSWORD: &str = "another horse battery staple 7";
/// Tables that have no rows in this installation.
const EMPTY: [&str; 1] = ["directory.discarded_media"];
