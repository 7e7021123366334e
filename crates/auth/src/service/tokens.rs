//! gRPC methods for tokens: renewal, verification, logout, and the stream of trust data. The rules
//! are in `crate::tokens`.

use doorward_rpc::{RpcError, auth::v1 as pb, server::request_ids};
use doorward_token::{Claims, TokenKind};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::{
    audit,
    error::Error,
    model::{Action, Entry, Origin, RevocationTarget},
    service::{
        request::{RpcResult, anonymous_origin},
        state::Service,
    },
    tokens::{revocation, watch},
};

/// The stream of trust data to one verifier.
pub(super) type TrustStream = ReceiverStream<Result<pb::WatchTrustResponse, Status>>;

pub(super) async fn renew_token(
    service: &Service,
    request: Request<pb::RenewTokenRequest>,
) -> RpcResult<pb::RenewTokenResponse> {
    let token = service
        .tokens
        .renew(&request.get_ref().token)
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::RenewTokenResponse { token }))
}

pub(super) async fn verify_token(
    service: &Service,
    request: Request<pb::VerifyTokenRequest>,
) -> RpcResult<pb::VerifyTokenResponse> {
    let claims = service
        .tokens
        .verify(&request.get_ref().token)
        .map_err(RpcError::from)?;
    Ok(Response::new(to_pb(claims)))
}

pub(super) async fn revoke_token(
    service: &Service,
    request: Request<pb::RevokeTokenRequest>,
) -> RpcResult<pb::RevokeTokenResponse> {
    let request_id = request_ids(&request);
    let request = request.into_inner();
    let (_, origin) = anonymous_origin(&request.client_address, request_id)?;
    let claims = service
        .tokens
        .verify(&request.token)
        .map_err(RpcError::from)?;
    revoke(service, claims, request.all_logins, &origin)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::RevokeTokenResponse {}))
}

pub(super) async fn get_public_keys(
    service: &Service,
    _: Request<pb::GetPublicKeysRequest>,
) -> RpcResult<pb::GetPublicKeysResponse> {
    let keys = Some(watch::key_set_to_pb(
        service.trust.keys().public_keys().to_vec(),
    ));
    Ok(Response::new(pb::GetPublicKeysResponse { keys }))
}

pub(super) async fn watch_trust(
    service: &Service,
    _: Request<pb::WatchTrustRequest>,
) -> RpcResult<TrustStream> {
    if !service.trust.is_fresh() {
        return Err(RpcError::unavailable().into());
    }
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(watch::stream_trust(
        service.trust.clone(),
        sender,
        service.shutdown.clone(),
    ));
    Ok(Response::new(ReceiverStream::new(receiver)))
}

/// Revokes the login of a token, or all logins of its user, and records that.
///
/// # Errors
/// Database errors.
async fn revoke(
    service: &Service,
    claims: Claims,
    all_logins: bool,
    origin: &Origin,
) -> Result<(), Error> {
    let clock = service.clock.clone();
    let lifetime = service.config.token_lifetime;
    let action = if all_logins {
        Action::LogoutEverywhere
    } else {
        Action::Logout
    };
    let entry = Entry::new(action, Some(claims.sub), &origin.with_user(claims.sub))
        .with_project(claims.project);
    service
        .database
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
    service.trust.refresh().await
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
