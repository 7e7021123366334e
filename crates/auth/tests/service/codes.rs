//! Tests of mailed codes: how long they are valid, and what is stored of them.

use std::time::Duration;

use diesel::RunQueryDsl;
use doorward_auth::{Config, MIGRATIONS};
use doorward_domain::{ErrorCode, Gid, IdGenerator, RandomIdGenerator};
use doorward_mail::{ContentSealer, Delivery, MailConfig};
use doorward_rpc::{
    RpcError,
    auth::v1::{
        CompleteEmailChangeRequest, CompleteSignupRequest, RequestEmailChangeRequest,
        RequestPasswordResetRequest, RequestSignupRequest, ResetPasswordRequest, UserInfo,
        VerifyEmailChangeRequest, VerifySignupRequest,
    },
};
use doorward_storage::{AnyConnection, testing::TestDatabase};

use crate::fixture::{CHEAP, Fixture, code, config, sealer, start_with_config};

const PASSWORD: &str = "correct horse battery staple 9";
const NEW: &str = "another battery staple 7";
const ADDRESS: &str = "192.0.2.1";
const MINUTE: Duration = Duration::from_secs(60);
const LIFETIME: Duration = Duration::from_secs(15 * 60);
const MICROSECOND: Duration = Duration::from_micros(1);

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = diesel::sql_types::Text)]
    id: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    text: String,
}

/// Starts auth with a mail server that does not exist, so that mails stay in the outbox.
pub(crate) async fn on_both_databases_with_mail() -> Vec<Fixture> {
    let delivery = Delivery::Smtp("smtp://127.0.0.1:1".to_owned().into());
    let mail = MailConfig {
        delivery,
        from: "no-reply@example.org".to_owned(),
        app_url: "https://app.example.org".to_owned(),
        ehlo_name: "app.example.org".to_owned(),
    };
    let mut fixtures = Vec::new();
    for test in TestDatabase::both(&MIGRATIONS) {
        fixtures.push(
            start_with_config(
                test,
                Config {
                    mail: Some(mail.clone()),
                    ..config(CHEAP)
                },
            )
            .await,
        );
    }
    fixtures
}

fn user_info(user: Gid, email: &str) -> UserInfo {
    UserInfo {
        user_gid: user.to_string(),
        username: "ann".to_owned(),
        email: Some(email.to_owned()),
        name: "Ann".to_owned(),
        language: "en".to_owned(),
    }
}

/// Validation code and verification code.
pub(crate) type CodePair = (String, String);

/// A call in two steps, and the user that it is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Signup,
    PasswordReset(Gid),
    EmailChange(Gid),
}

impl Fixture {
    async fn rows(&self, query: String) -> Vec<Row> {
        let read = self.test.database.read_snapshot(move |connection| {
            Ok::<_, doorward_storage::Error>(match connection {
                AnyConnection::Postgres(connection) => diesel::sql_query(query).load(connection)?,
                AnyConnection::Sqlite(connection) => diesel::sql_query(query).load(connection)?,
            })
        });
        read.await.unwrap()
    }

    pub(crate) async fn texts(&self, query: &str) -> Vec<String> {
        self.rows(query.to_owned())
            .await
            .into_iter()
            .map(|row| row.text)
            .collect()
    }

    /// Returns the ids of the mails in the outbox.
    pub(crate) async fn queued_mails(&self) -> Vec<String> {
        self.rows("SELECT id, '' AS text FROM outbox".to_owned())
            .await
            .into_iter()
            .map(|row| row.id)
            .collect()
    }

    /// Returns the code in the only mail that is not one of `earlier`.
    async fn code_mailed_after(&self, earlier: &[String]) -> String {
        let mut mails = self
            .rows("SELECT id, content AS text FROM outbox".to_owned())
            .await;
        mails.retain(|mail| !earlier.contains(&mail.id));
        let [mail] = mails.as_slice() else {
            panic!("{} mails", mails.len())
        };
        let content =
            ContentSealer::unseal(&*sealer(7), &format!("outbox/{}", mail.id), &mail.text).unwrap();
        let content: serde_json::Value = serde_json::from_str(&content).unwrap();
        content.get("code").unwrap().as_str().unwrap().to_owned()
    }

    /// Makes the call of the first step from an address.
    pub(crate) async fn request(
        &self,
        purpose: Purpose,
        address: &str,
    ) -> Result<CodePair, RpcError> {
        let earlier = self.queued_mails().await;
        let client_address = address.to_owned();
        let mut client = self.client.clone();
        let validation_code = match purpose {
            Purpose::Signup => {
                let request = RequestSignupRequest {
                    username: "ann".to_owned(),
                    password: PASSWORD.to_owned(),
                    email: "ann@example.org".to_owned(),
                    existing_accounts: Vec::new(),
                    language: "en".to_owned(),
                    client_address,
                };
                client
                    .request_signup(request)
                    .await?
                    .into_inner()
                    .validation_code
            }
            Purpose::PasswordReset(user) => {
                let users = vec![user_info(user, "ann@example.org")];
                let request = RequestPasswordResetRequest {
                    users,
                    client_address,
                };
                client
                    .request_password_reset(request)
                    .await?
                    .into_inner()
                    .validation_code
            }
            Purpose::EmailChange(user) => {
                let email = "ann@new.example".to_owned();
                let user = Some(user_info(user, "ann@example.org"));
                let request = RequestEmailChangeRequest {
                    user,
                    email,
                    client_address,
                };
                client
                    .request_email_change(request)
                    .await?
                    .into_inner()
                    .validation_code
            }
        };
        Ok((validation_code, self.code_mailed_after(&earlier).await))
    }

    /// Makes all calls of the second step.
    pub(crate) async fn confirm(&self, purpose: Purpose, codes: &CodePair) -> Result<(), RpcError> {
        match purpose {
            Purpose::Signup => {
                self.verify_signup(codes).await?;
                self.complete_signup(codes, RandomIdGenerator.new_gid())
                    .await
                    .map(drop)
            }
            Purpose::PasswordReset(user) => self.reset(user, codes).await.map(drop),
            Purpose::EmailChange(user) => {
                self.check_email(user, codes).await?;
                self.finish_email(user, codes).await
            }
        }
    }

    async fn request_signup(&self) -> CodePair {
        self.request(Purpose::Signup, ADDRESS).await.unwrap()
    }

    async fn verify_signup(&self, codes: &CodePair) -> Result<String, RpcError> {
        let request = VerifySignupRequest {
            username: "ann".to_owned(),
            password: PASSWORD.to_owned(),
            email: "ann@example.org".to_owned(),
            validation_code: codes.0.clone(),
            verification_code: codes.1.clone(),
            client_address: ADDRESS.to_owned(),
        };
        Ok(self
            .client
            .clone()
            .verify_signup(request)
            .await?
            .into_inner()
            .signup_gid)
    }

    async fn complete_signup(&self, codes: &CodePair, user: Gid) -> Result<String, RpcError> {
        let request = CompleteSignupRequest {
            validation_code: codes.0.clone(),
            user_gid: user.to_string(),
            client_address: ADDRESS.to_owned(),
        };
        Ok(self
            .client
            .clone()
            .complete_signup(request)
            .await?
            .into_inner()
            .token)
    }

    async fn request_reset(&self, user: Gid) -> CodePair {
        self.request(Purpose::PasswordReset(user), ADDRESS)
            .await
            .unwrap()
    }

    async fn reset(&self, user: Gid, codes: &CodePair) -> Result<String, RpcError> {
        let request = ResetPasswordRequest {
            user: Some(user_info(user, "ann@example.org")),
            new_password: NEW.to_owned(),
            validation_code: codes.0.clone(),
            verification_code: codes.1.clone(),
            client_address: ADDRESS.to_owned(),
        };
        Ok(self
            .client
            .clone()
            .reset_password(request)
            .await?
            .into_inner()
            .token)
    }

    async fn request_email(&self, user: Gid) -> CodePair {
        self.request(Purpose::EmailChange(user), ADDRESS)
            .await
            .unwrap()
    }

    async fn check_email(&self, user: Gid, codes: &CodePair) -> Result<(), RpcError> {
        let request = VerifyEmailChangeRequest {
            user_gid: user.to_string(),
            email: "ann@new.example".to_owned(),
            validation_code: codes.0.clone(),
            verification_code: codes.1.clone(),
            client_address: ADDRESS.to_owned(),
        };
        self.client.clone().verify_email_change(request).await?;
        Ok(())
    }

    async fn finish_email(&self, user: Gid, codes: &CodePair) -> Result<(), RpcError> {
        let request = CompleteEmailChangeRequest {
            user_gid: user.to_string(),
            validation_code: codes.0.clone(),
            client_address: ADDRESS.to_owned(),
        };
        self.client.clone().complete_email_change(request).await?;
        Ok(())
    }
}

/// Asserts that a call was rejected because of its code.
pub(crate) fn assert_wrong_code<T: std::fmt::Debug>(answer: Result<T, RpcError>) {
    let failure = answer.unwrap_err();
    assert_eq!(failure.code, ErrorCode::Validation);
    assert_eq!(
        failure.info.get("verification_code").map(String::as_str),
        Some("incorrect")
    );
}

#[tokio::test]
async fn codes_expire_after_fifteen_minutes() {
    for fixture in on_both_databases_with_mail().await {
        let user = fixture.user(PASSWORD).await;
        let signup = fixture.request_signup().await;
        let email = fixture.request_email(user).await;
        let reset = fixture.request_reset(user).await;
        fixture.clock.advance(LIFETIME - MICROSECOND);
        fixture.verify_signup(&signup).await.unwrap();
        fixture.check_email(user, &email).await.unwrap();
        fixture.clock.advance(MICROSECOND);
        assert_wrong_code(fixture.verify_signup(&signup).await);
        assert_wrong_code(fixture.check_email(user, &email).await);
        assert_wrong_code(fixture.reset(user, &reset).await);
        fixture.log_in(Some(user), PASSWORD).await.unwrap();
    }
}

#[tokio::test]
async fn password_reset_works_until_expiry() {
    for fixture in on_both_databases_with_mail().await {
        let user = fixture.user(PASSWORD).await;
        let codes = fixture.request_reset(user).await;
        fixture.clock.advance(LIFETIME - MICROSECOND);
        let token = fixture.reset(user, &codes).await.unwrap();
        assert_eq!(fixture.claims(&token).await.sub, user);
        assert_wrong_code(fixture.reset(user, &codes).await);
        fixture.clock.advance(MINUTE);
        fixture.log_in(Some(user), NEW).await.unwrap();
        assert_eq!(
            code(fixture.log_in(Some(user), PASSWORD).await),
            ErrorCode::UnknownUser
        );
    }
}

/// The directory creates the account, or changes the address, between the calls of the second step.
/// A code that expires in between still completes that step.
#[tokio::test]
async fn reserved_code_completes_once_after_expiry() {
    for fixture in on_both_databases_with_mail().await {
        let user = fixture.user(PASSWORD).await;
        let signup = fixture.request_signup().await;
        let email = fixture.request_email(user).await;
        fixture.clock.advance(LIFETIME - MICROSECOND);
        let first = fixture.verify_signup(&signup).await.unwrap();
        assert_eq!(
            fixture.verify_signup(&signup).await.unwrap(),
            first,
            "the same signup"
        );
        fixture.check_email(user, &email).await.unwrap();
        fixture.clock.advance(MINUTE);
        let new = RandomIdGenerator.new_gid();
        let token = fixture.complete_signup(&signup, new).await.unwrap();
        assert_eq!(fixture.claims(&token).await.sub, new);
        fixture.finish_email(user, &email).await.unwrap();
        assert_wrong_code(
            fixture
                .complete_signup(&signup, RandomIdGenerator.new_gid())
                .await,
        );
        assert_wrong_code(fixture.finish_email(user, &email).await);
        fixture.log_in(Some(new), PASSWORD).await.unwrap();
    }
}

/// A second request has new codes, with their own expiry and failed attempts.
#[tokio::test]
async fn new_codes_have_their_own_expiry() {
    for fixture in on_both_databases_with_mail().await {
        let user = fixture.user(PASSWORD).await;
        let first = fixture.request_reset(user).await;
        for _ in 0..5 {
            let wrong = (first.0.clone(), "AAAAAA".to_owned());
            assert_wrong_code(fixture.reset(user, &wrong).await);
        }
        fixture.clock.advance(LIFETIME - MINUTE);
        let second = fixture.request_reset(user).await;
        assert_ne!(first, second);
        fixture.clock.advance(LIFETIME - MICROSECOND);
        assert_wrong_code(fixture.reset(user, &first).await);
        fixture.reset(user, &second).await.unwrap();
    }
}

#[tokio::test]
async fn stored_codes_are_not_readable() {
    for fixture in on_both_databases_with_mail().await {
        let user = fixture.user(PASSWORD).await;
        let all = [
            fixture.request_signup().await,
            fixture.request_email(user).await,
            fixture.request_reset(user).await,
        ];
        let columns = "purpose || subject || codes_hmac || binding_hmacs || COALESCE(signup_gid || password_hash, '')";
        let mut stored = fixture
            .rows(format!(
                "SELECT validation_code_hash AS id, {columns} AS text FROM codes"
            ))
            .await;
        assert_eq!(stored.len(), 3);
        stored.extend(
            fixture
                .rows("SELECT topic AS id, content AS text FROM outbox".to_owned())
                .await,
        );
        for (row, codes) in stored
            .iter()
            .flat_map(|row| all.iter().map(move |codes| (row, codes)))
        {
            let row = format!("{} {}", row.id, row.text);
            for secret in [
                &codes.0,
                &codes.1,
                "ann@example.org",
                "ann@new.example",
                PASSWORD,
            ] {
                assert!(!row.contains(secret), "{secret} in {row}");
            }
        }
    }
}
