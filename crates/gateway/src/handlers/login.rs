//! `POST /api/login`, and what it shares with the logins at a project's door.

use std::{future::Future, pin::pin};

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Data},
};
use doorward_domain::{ErrorCode, Gid};
use doorward_rpc::{
    RpcError,
    auth::v1::VerifyPasswordRequest,
    directory::v1::{FindLoginRequest, find_login_request::Identifier},
};
use futures_util::FutureExt;

use crate::{
    Gateway,
    handlers::init::{fetch_init, token_response},
    http::{body::Body, client_address, envelope::ApiError},
    peers::Peers,
};

pub(crate) async fn login(
    request: HttpRequest,
    body: Body,
    peers: Data<Peers>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let (username, password) = (
        body.required_string("username")?,
        body.required_string("password")?,
    );
    let found = find_login_user(&peers, Identifier::Username(username.to_owned()), None).await?;
    let init = fetch_init(&gateway, &peers, found.allowed_user_or_dummy());
    let client_address = client_address::from_request(&request, &gateway).to_string();
    issue_with_init(
        init,
        verify_password(&peers, found, password, client_address),
    )
    .await
}

/// What the directory says of whoever wants to log in.
pub(crate) struct LoginUser {
    /// Identifier has the name.
    pub(crate) user: Option<Gid>,
    pub(crate) is_login_allowed: bool,
    pub(crate) checked_at: i64,
    /// As normalised.
    pub(crate) username: String,
    pub(crate) project: Option<Gid>,
}

impl LoginUser {
    /// Identifier may log in.
    pub(crate) fn allowed_user(&self) -> Option<Gid> {
        self.user.filter(|_| self.is_login_allowed)
    }

    /// Nobody's init is asked for too: the time tells nothing.
    pub(crate) fn allowed_user_or_dummy(&self) -> Gid {
        self.allowed_user().unwrap_or(Gid::NIL)
    }
}

pub(crate) async fn find_login_user(
    peers: &Peers,
    who: Identifier,
    project: Option<Gid>,
) -> Result<LoginUser, ApiError> {
    let request = FindLoginRequest {
        identifier: Some(who),
        project_gid: project.map(|gid| gid.to_string()),
    };
    let found = peers.directory().find_login(request).await?.into_inner();
    let user = found
        .user_gid
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|_| ApiError::internal())?;
    let (is_login_allowed, checked_at) = (found.is_login_allowed, found.checked_at);
    Ok(LoginUser {
        user,
        is_login_allowed,
        checked_at,
        username: found.username,
        project,
    })
}

/// The token of a new login.
pub(crate) async fn verify_password(
    peers: &Peers,
    found: LoginUser,
    password: &str,
    client_address: String,
) -> Result<String, RpcError> {
    let request = VerifyPasswordRequest {
        user_gid: found.user.map(|user| user.to_string()),
        password: password.to_owned(),
        client_address,
        user_checked_at: found.checked_at,
        username: found.username,
        project_gid: found.project.map(|project| project.to_string()),
        is_login_allowed: found.is_login_allowed,
    };
    Ok(peers
        .auth()
        .verify_password(request)
        .await?
        .into_inner()
        .token)
}

/// Reads the data while the credentials are checked, and doesn't wait for it when these are wrong.
pub(crate) async fn issue_with_init(
    init: impl Future<Output = Result<Bytes, RpcError>>,
    verified: impl Future<Output = Result<String, RpcError>>,
) -> Result<HttpResponse, ApiError> {
    let (mut init, mut verified) = (pin!(init.fuse()), pin!(verified));
    let mut early = None;
    let token = loop {
        tokio::select! {
            verified = &mut verified => break verified?,
            init = &mut init, if early.is_none() => early = Some(init),
        }
    };
    let init = match early {
        Some(init) => init,
        None => init.await,
    };
    match init {
        Ok(body) => token_response(body, &token),
        // Deactivated, deleted or removed since we looked.
        Err(RpcError {
            code: ErrorCode::Unauthenticated | ErrorCode::Forbidden,
            ..
        }) => Err(RpcError::new(ErrorCode::UnknownUser).into()),
        Err(failure) => Err(failure.into()),
    }
}
