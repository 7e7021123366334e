//! The users, project, codes and files that all calls use.

use doorward_rpc::{
    Rpc,
    auth::v1::{
        RequestEmailChangeRequest, RequestPasswordResetRequest, RequestSignupRequest, UserInfo,
        auth_client::AuthClient,
    },
    directory::v1::{
        CreateItemRequest, ItemKind, PrepareAvatarRequest, PrepareIconRequest,
        directory_client::DirectoryClient,
    },
};
use doorward_tests::{
    Installation, PASSWORD, Role, Services, SmtpServer, mail_app::mail_settings, sql::execute,
};
use tonic::transport::Channel;

use crate::grpc::contract::{channel, with_service_token};

pub(crate) const ADDRESS: &str = "192.0.2.1";
pub(crate) const NEW_ADDRESS: &str = "ben@example.net";

/// Both halves of a code pair that was mailed.
#[derive(Clone)]
pub(crate) struct Codes {
    pub(crate) validation: String,
    pub(crate) verification: String,
}

/// A project of ann with the member ben and an API user; cas is invited, and dan will be deleted.
pub(crate) struct Fixture {
    pub(crate) split: Services,
    auth: Channel,
    directory: Channel,
    _smtp: SmtpServer,
    pub(crate) ann: String,
    pub(crate) ben: String,
    pub(crate) cas: String,
    pub(crate) dan: String,
    /// A token of ben.
    pub(crate) token: String,
    pub(crate) project: String,
    pub(crate) api_user: String,
    pub(crate) api_key: String,
    pub(crate) item: String,
    pub(crate) avatar: String,
    pub(crate) icon: String,
    pub(crate) signup: Codes,
    pub(crate) reset: Codes,
    pub(crate) email_change: Codes,
}

pub(crate) fn person(gid: &str, username: &str) -> UserInfo {
    UserInfo {
        user_gid: gid.to_owned(),
        username: username.to_owned(),
        email: Some(format!("{username}@example.org")),
        name: username.to_owned(),
        language: "en".to_owned(),
    }
}

pub(crate) fn signup_request() -> RequestSignupRequest {
    RequestSignupRequest {
        username: "eva".to_owned(),
        password: PASSWORD.to_owned(),
        email: "eva@example.org".to_owned(),
        language: "en".to_owned(),
        client_address: ADDRESS.to_owned(),
        ..RequestSignupRequest::default()
    }
}

pub(crate) fn reset_request(gid: &str, username: &str) -> RequestPasswordResetRequest {
    RequestPasswordResetRequest {
        users: vec![person(gid, username)],
        client_address: ADDRESS.to_owned(),
    }
}

pub(crate) fn email_change_request(gid: &str, username: &str) -> RequestEmailChangeRequest {
    RequestEmailChangeRequest {
        user: Some(person(gid, username)),
        email: NEW_ADDRESS.to_owned(),
        client_address: ADDRESS.to_owned(),
    }
}

impl Fixture {
    pub(crate) async fn on_installation(installation: Installation) -> Self {
        let smtp = SmtpServer::start().await;
        let settings = mail_settings(&smtp);
        let settings: Vec<(&str, &str)> = settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        // The limits must not reject the concurrent calls. The pool lets half of them use the
        // database at the same time.
        let limits = [
            ("DOORWARD_WRITE_RATE", "100000"),
            ("DOORWARD_WRITE_BURST", "1000000"),
            ("DOORWARD_DATABASE_POOL_SIZE", "16"),
        ];
        let mut split = Services::on_installation(installation.with(&settings).with(&limits)).await;
        split.start_all().await;
        let ann = split.user("ann").await;
        let ben = split.user("ben").await;
        let cas = split.user("cas").await.gid;
        let dan = split.user("dan").await.gid;
        let project = split.installation.create_project("ann", "Herbarium").await;
        split.installation.add_member(&project, "ben").await;
        let invited = serde_json::json!({"username_or_email": "cas"});
        ann.call(&format!("/api/p/{project}/members/invite"), &invited)
            .await
            .success();
        let robot = ann.create_api_user(&project, "Robot").await;
        let auth = channel(&split.auth).await;
        let directory = channel(&split.directory).await;

        let mut client = DirectoryClient::new(directory.clone());
        let create = CreateItemRequest {
            caller_gid: ann.gid.clone(),
            project_gid: project.clone(),
            kind: ItemKind::Channel.into(),
            name: "Print".to_owned(),
        };
        let item = client
            .create_item(with_service_token(create))
            .await
            .expect("an item")
            .into_inner()
            .item_gid;
        let prepare = PrepareAvatarRequest {
            user_gid: ben.gid.clone(),
            extension: "png".to_owned(),
        };
        let avatar = client
            .prepare_avatar(with_service_token(prepare))
            .await
            .expect("a name")
            .into_inner()
            .file_name;
        let prepare = PrepareIconRequest {
            caller_gid: ann.gid.clone(),
            project_gid: project.clone(),
            extension: "png".to_owned(),
        };
        let icon = client
            .prepare_icon(with_service_token(prepare))
            .await
            .expect("a name")
            .into_inner()
            .file_name;

        let mut client = AuthClient::new(auth.clone());
        let codes = async |address: &str, validation: String| Codes {
            validation,
            verification: smtp.mail_to(address).await.code(),
        };
        let asked = client
            .request_signup(with_service_token(signup_request()))
            .await
            .expect("a code")
            .into_inner();
        let signup = codes("eva@example.org", asked.validation_code).await;
        let asked = client
            .request_password_reset(with_service_token(reset_request(&ben.gid, "ben")))
            .await;
        let reset = codes(
            "ben@example.org",
            asked.expect("a code").into_inner().validation_code,
        )
        .await;
        let asked = client
            .request_email_change(with_service_token(email_change_request(&ben.gid, "ben")))
            .await;
        let email_change = codes(
            NEW_ADDRESS,
            asked.expect("a code").into_inner().validation_code,
        )
        .await;
        Self {
            split,
            auth,
            directory,
            _smtp: smtp,
            ann: ann.gid,
            ben: ben.gid,
            cas,
            dan,
            token: ben.token,
            project,
            api_user: robot.gid,
            api_key: robot.key,
            item,
            avatar,
            icon,
            signup,
            reset,
            email_change,
        }
    }

    pub(crate) fn channel_of(&self, rpc: Rpc) -> Channel {
        let is_auth = rpc.path().starts_with("/doorward.auth.");
        if is_auth {
            self.auth.clone()
        } else {
            self.directory.clone()
        }
    }

    /// Deletes values that are written only occasionally, such as the last use of an API key, so
    /// that the next call writes them.
    pub(crate) fn forget_uses(&self) {
        execute(
            &self.split.installation.databases.auth,
            "UPDATE api_keys SET last_used_at = NULL; DELETE FROM known_networks; DELETE FROM throttle",
        );
    }

    /// Checks that no call has timed out while waiting for a connection of the pool.
    pub(crate) async fn assert_no_pool_ran_dry(&self) {
        for role in [Role::Auth, Role::Directory] {
            let metrics = self.split.ops(role).get("/metrics").send().await;
            assert_eq!(metrics.status, 200);
            let text = metrics.text();
            let timeouts = text
                .lines()
                .find(|line| line.starts_with("doorward_database_pool_timeouts_total"));
            assert_eq!(timeouts, None);
        }
    }
}
