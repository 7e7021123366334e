//! The gRPC service of auth: each method parses the request, calls one rule and converts the
//! result. It decides nothing itself.

mod accounts;

use std::{net::IpAddr, sync::Arc};

use doorward_domain::{Clock, Gid, Timestamp, Username};
use doorward_rpc::{
    RpcError,
    auth::v1::{self as pb, auth_server},
    channel::RequestIds,
    server::request_ids,
};
use doorward_storage::Database;
use doorward_token::{Claims, TokenKind};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    ApiKeys, Config, Error,
    accounts::Accounts,
    audit::{self, Action, Actor, Entry, Origin},
    login::{
        api_key::ApiKeyAttempt,
        password::{Attempt, Logins},
    },
    tokens::{
        issue::Tokens,
        revocation::{self, RevocationTarget},
        trust_store::TrustStore,
        watch,
    },
};

type RpcResult<T> = Result<Response<T>, Status>;

/// The gRPC service.
pub(crate) struct Service {
    pub(crate) database: Database,
    pub(crate) config: Arc<Config>,
    pub(crate) logins: Arc<Logins>,
    pub(crate) api_keys: ApiKeys,
    pub(crate) accounts: Accounts,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl auth_server::Auth for Service {
    async fn verify_password(
        &self,
        request: Request<pb::VerifyPasswordRequest>,
    ) -> Result<Response<pb::VerifyPasswordResponse>, Status> {
        let request_id = request_ids(&request);
        let request = request.into_inner();
        let (address, origin) = anonymous_origin(&request.client_address, request_id)?;
        let attempt = Attempt {
            user: parse_optional_gid(request.user_gid.as_deref(), "user_gid")?,
            is_login_allowed: request.is_login_allowed,
            username: Username::normalize_for_lookup(&request.username),
            password: request.password,
            checked_at: self.cap_at_now(request.user_checked_at),
            project: parse_optional_gid(request.project_gid.as_deref(), "project_gid")?,
            address,
            origin,
        };
        let token = self
            .logins
            .clone()
            .log_in_with_password(attempt)
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(pb::VerifyPasswordResponse { token }))
    }

    // Calls of users about their own access are in accounts.rs.

    async fn count_anonymous_call(
        &self,
        request: Request<pb::CountAnonymousCallRequest>,
    ) -> RpcResult<pb::CountAnonymousCallResponse> {
        accounts::count_anonymous_call(self, request).await
    }

    async fn count_invitation(
        &self,
        request: Request<pb::CountInvitationRequest>,
    ) -> RpcResult<pb::CountInvitationResponse> {
        accounts::count_invitation(self, request).await
    }

    async fn request_signup(
        &self,
        request: Request<pb::RequestSignupRequest>,
    ) -> RpcResult<pb::RequestSignupResponse> {
        accounts::request_signup(self, request).await
    }

    async fn verify_signup(
        &self,
        request: Request<pb::VerifySignupRequest>,
    ) -> RpcResult<pb::VerifySignupResponse> {
        accounts::verify_signup(self, request).await
    }

    async fn complete_signup(
        &self,
        request: Request<pb::CompleteSignupRequest>,
    ) -> RpcResult<pb::CompleteSignupResponse> {
        accounts::complete_signup(self, request).await
    }

    async fn request_password_reset(
        &self,
        request: Request<pb::RequestPasswordResetRequest>,
    ) -> RpcResult<pb::RequestPasswordResetResponse> {
        accounts::request_password_reset(self, request).await
    }

    async fn reset_password(
        &self,
        request: Request<pb::ResetPasswordRequest>,
    ) -> RpcResult<pb::ResetPasswordResponse> {
        accounts::reset_password(self, request).await
    }

    async fn change_password(
        &self,
        request: Request<pb::ChangePasswordRequest>,
    ) -> RpcResult<pb::ChangePasswordResponse> {
        accounts::change_password(self, request).await
    }

    async fn request_email_change(
        &self,
        request: Request<pb::RequestEmailChangeRequest>,
    ) -> RpcResult<pb::RequestEmailChangeResponse> {
        accounts::request_email_change(self, request).await
    }

    async fn verify_email_change(
        &self,
        request: Request<pb::VerifyEmailChangeRequest>,
    ) -> RpcResult<pb::VerifyEmailChangeResponse> {
        accounts::verify_email_change(self, request).await
    }

    async fn complete_email_change(
        &self,
        request: Request<pb::CompleteEmailChangeRequest>,
    ) -> RpcResult<pb::CompleteEmailChangeResponse> {
        accounts::complete_email_change(self, request).await
    }

    async fn report_user_deleted(
        &self,
        request: Request<pb::ReportUserDeletedRequest>,
    ) -> RpcResult<pb::ReportUserDeletedResponse> {
        accounts::report_user_deleted(self, request).await
    }

    async fn report_invitation_declined(
        &self,
        request: Request<pb::ReportInvitationDeclinedRequest>,
    ) -> RpcResult<pb::ReportInvitationDeclinedResponse> {
        let request_id = request_ids(&request);
        let request = request.into_inner();
        let user = parse_gid(&request.user_gid, "user_gid")?;
        let project = parse_gid(&request.project_gid, "project_gid")?;
        let origin = actor_origin(request.actor, request_id)?;
        let entry =
            Entry::new(Action::InvitationDeclined, Some(user), &origin).with_project(Some(project));
        let clock = self.clock.clone();
        let recorded = self
            .database
            .write(move |connection| audit::record(connection, entry, clock.now()))
            .await;
        recorded.map_err(RpcError::from)?;
        Ok(Response::new(pb::ReportInvitationDeclinedResponse {}))
    }

    async fn find_api_key(
        &self,
        request: Request<pb::FindApiKeyRequest>,
    ) -> Result<Response<pb::FindApiKeyResponse>, Status> {
        let request_id = request_ids(&request);
        let request = request.into_inner();
        let (address, origin) = anonymous_origin(&request.client_address, request_id)?;
        let user = self
            .logins
            .find_api_key_user(request.api_key, address, &origin)
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(pb::FindApiKeyResponse {
            user_gid: user.map(|user| user.to_string()),
        }))
    }

    async fn verify_api_key(
        &self,
        request: Request<pb::VerifyApiKeyRequest>,
    ) -> Result<Response<pb::VerifyApiKeyResponse>, Status> {
        let request_id = request_ids(&request);
        let request = request.into_inner();
        let (address, origin) = anonymous_origin(&request.client_address, request_id)?;
        let attempt = ApiKeyAttempt {
            user: parse_optional_gid(request.user_gid.as_deref(), "user_gid")?,
            project: parse_gid(&request.project_gid, "project_gid")?,
            checked_at: self.cap_at_now(request.user_checked_at),
            api_key: request.api_key,
            address,
            origin,
        };
        let token = self
            .logins
            .log_in_with_api_key(attempt)
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(pb::VerifyApiKeyResponse { token }))
    }

    async fn get_api_key(
        &self,
        request: Request<pb::GetApiKeyRequest>,
    ) -> Result<Response<pb::GetApiKeyResponse>, Status> {
        let request_id = request_ids(&request);
        let request = request.into_inner();
        let user = parse_gid(&request.user_gid, "user_gid")?;
        let project = parse_gid(&request.project_gid, "project_gid")?;
        let origin = actor_origin(request.actor, request_id)?;
        let api_key = self
            .api_keys
            .get_or_create(user, project, origin)
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(pb::GetApiKeyResponse { api_key }))
    }

    async fn rotate_api_key(
        &self,
        request: Request<pb::RotateApiKeyRequest>,
    ) -> Result<Response<pb::RotateApiKeyResponse>, Status> {
        let request_id = request_ids(&request);
        let request = request.into_inner();
        let user = parse_gid(&request.user_gid, "user_gid")?;
        let project = parse_gid(&request.project_gid, "project_gid")?;
        let origin = actor_origin(request.actor, request_id)?;
        let api_key = self
            .api_keys
            .rotate(user, project, origin)
            .await
            .map_err(RpcError::from)?;
        self.trust.refresh().await.map_err(RpcError::from)?;
        Ok(Response::new(pb::RotateApiKeyResponse { api_key }))
    }

    async fn report_api_user_change(
        &self,
        request: Request<pb::ReportApiUserChangeRequest>,
    ) -> Result<Response<pb::ReportApiUserChangeResponse>, Status> {
        let request_id = request_ids(&request);
        let request = request.into_inner();
        let user = parse_gid(&request.user_gid, "user_gid")?;
        let project = parse_gid(&request.project_gid, "project_gid")?;
        let action = match request.change() {
            pb::ApiUserChange::Activated => Action::ApiKeyActivated,
            pb::ApiUserChange::Deactivated => Action::ApiKeyDeactivated,
            pb::ApiUserChange::Deleted => Action::ApiKeyDeleted,
            pb::ApiUserChange::Unspecified => {
                return Err(RpcError::invalid_parameter("change").into());
            }
        };
        let origin = actor_origin(request.actor, request_id)?;
        self.api_keys
            .record_change(user, project, action, origin)
            .await
            .map_err(RpcError::from)?;
        self.trust.refresh().await.map_err(RpcError::from)?;
        Ok(Response::new(pb::ReportApiUserChangeResponse {}))
    }

    async fn renew_token(
        &self,
        request: Request<pb::RenewTokenRequest>,
    ) -> Result<Response<pb::RenewTokenResponse>, Status> {
        let token = self
            .tokens
            .renew(&request.get_ref().token)
            .map_err(RpcError::from)?;
        Ok(Response::new(pb::RenewTokenResponse { token }))
    }

    async fn verify_token(
        &self,
        request: Request<pb::VerifyTokenRequest>,
    ) -> Result<Response<pb::VerifyTokenResponse>, Status> {
        let claims = self
            .tokens
            .verify(&request.get_ref().token)
            .map_err(RpcError::from)?;
        Ok(Response::new(to_pb(claims)))
    }

    async fn revoke_token(
        &self,
        request: Request<pb::RevokeTokenRequest>,
    ) -> Result<Response<pb::RevokeTokenResponse>, Status> {
        let request_id = request_ids(&request);
        let request = request.into_inner();
        let (_, origin) = anonymous_origin(&request.client_address, request_id)?;
        let claims = self.tokens.verify(&request.token).map_err(RpcError::from)?;
        self.revoke(claims, request.all_logins, &origin)
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(pb::RevokeTokenResponse {}))
    }

    async fn get_public_keys(
        &self,
        _: Request<pb::GetPublicKeysRequest>,
    ) -> Result<Response<pb::GetPublicKeysResponse>, Status> {
        let keys = Some(watch::key_set_to_pb(
            self.trust.keys().public_keys().to_vec(),
        ));
        Ok(Response::new(pb::GetPublicKeysResponse { keys }))
    }

    type WatchTrustStream = ReceiverStream<Result<pb::WatchTrustResponse, Status>>;

    async fn watch_trust(
        &self,
        _: Request<pb::WatchTrustRequest>,
    ) -> Result<Response<Self::WatchTrustStream>, Status> {
        if !self.trust.is_fresh() {
            return Err(RpcError::unavailable().into());
        }
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(watch::stream_trust(
            self.trust.clone(),
            sender,
            self.shutdown.clone(),
        ));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

impl Service {
    /// Returns the time of the directory's check, but not later than now: with a clock of the
    /// directory that is ahead, a login would otherwise be later than a revocation that follows it.
    fn cap_at_now(&self, micros: i64) -> Timestamp {
        self.clock.now().min(Timestamp::from_micros(micros))
    }

    /// Revokes the login of a token, or all logins of its user, and records that.
    ///
    /// # Errors
    /// Database errors.
    async fn revoke(&self, claims: Claims, all_logins: bool, origin: &Origin) -> Result<(), Error> {
        let clock = self.clock.clone();
        let lifetime = self.config.token_lifetime;
        let action = if all_logins {
            Action::LogoutEverywhere
        } else {
            Action::Logout
        };
        let entry = Entry::new(action, Some(claims.sub), &origin.with_user(claims.sub))
            .with_project(claims.project);
        self.database
            .write(move |connection| {
                let now = clock.now();
                if all_logins {
                    revocation::revoke(
                        connection,
                        vec![(RevocationTarget::Subject(claims.sub), now)],
                        lifetime,
                    )?;
                } else {
                    revocation::revoke_login(connection, &claims, now, lifetime)?;
                }
                audit::record(connection, entry, now)
            })
            .await?;
        // This process must reject the token before the caller receives the response.
        self.trust.refresh().await
    }
}

fn parse_gid(text: &str, parameter: &str) -> Result<Gid, RpcError> {
    text.parse()
        .map_err(|_| RpcError::invalid_parameter(parameter))
}

fn parse_optional_gid(text: Option<&str>, parameter: &str) -> Result<Option<Gid>, RpcError> {
    text.map(|text| parse_gid(text, parameter)).transpose()
}

/// Returns the address and the origin of a client that is not authenticated.
fn anonymous_origin(address: &str, request_id: RequestIds) -> Result<(IpAddr, Origin), RpcError> {
    let address: IpAddr = address
        .parse()
        .map_err(|_| RpcError::invalid_parameter("client_address"))?;
    let RequestIds {
        request_id,
        client_request_id,
    } = request_id;
    let origin = Origin {
        actor: Actor::Service,
        address: Some(address.to_string()),
        request_id,
        client_request_id,
    };
    Ok((address, origin))
}

/// Returns the origin of a call on behalf of a user; without a user, the client is not
/// authenticated.
fn actor_origin(actor: Option<pb::Actor>, request_id: RequestIds) -> Result<Origin, RpcError> {
    let actor = actor.ok_or_else(|| RpcError::invalid_parameter("actor"))?;
    let (_, origin) = anonymous_origin(&actor.client_address, request_id)?;
    let user = parse_optional_gid(actor.user_gid.as_deref(), "actor.user_gid")?;
    Ok(user.map_or_else(|| origin.clone(), |user| origin.with_user(user)))
}

fn to_pb(claims: Claims) -> pb::VerifyTokenResponse {
    let kind = match claims.kind {
        TokenKind::User => pb::TokenKind::User,
        TokenKind::Api => pb::TokenKind::Api,
    };
    pb::VerifyTokenResponse {
        subject: claims.sub.to_string(),
        kind: kind.into(),
        project_gid: claims.project.map(|project| project.to_string()),
        sid: claims.sid,
        jti: claims.jti,
        auth_time: claims.auth_time,
        issued_at: claims.iat,
        expires_at: claims.exp,
    }
}
