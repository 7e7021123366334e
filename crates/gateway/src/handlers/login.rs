//! `POST /api/login`, and the steps that it shares with project logins.
//!
//! A login verifies the credentials in auth and reads the init data in the directory concurrently,
//! so that it takes no longer than the slower of the two. Example, with times in milliseconds:
//!
//! 1. 0: `FindLogin` asks the directory for the user of the name. It must be first, because both
//!    other calls need the gid.
//! 2. 2: `VerifyPassword` (auth) and `GetInit` (directory) start concurrently.
//! 3. 8: `GetInit` is ready and waits for auth, which hashes the password.
//! 4. 60: the password is right. The response has the init data and the token.
//!
//! If the password is wrong, the response is sent as soon as auth returns the error; an init that
//! is still being read is cancelled.
//!
//! If the user does not exist or must not log in, the same calls are made: auth verifies the
//! password against a dummy hash, and the directory reads the init of a dummy user (the nil gid).
//! The response time therefore does not reveal whether a user exists.

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
    handlers::{
        init::{fetch_init, token_response},
        init_source::InitSource,
    },
    http::{body::Body, client_address::TrustedProxies, envelope::ApiError},
    peers::Peers,
};

pub(crate) async fn login(
    request: HttpRequest,
    body: Body,
    trusted_proxies: Data<TrustedProxies>,
    init_source: InitSource,
) -> Result<HttpResponse, ApiError> {
    let peers = &init_source.peers;
    let username = body.required_string("username")?;
    let password = body.required_string("password")?;
    let identifier = Identifier::Username(username.to_owned());
    let login_user = find_login_user(peers, identifier, None).await?;
    let init = fetch_init(&init_source, login_user.allowed_user_or_dummy());
    let client_address = trusted_proxies.find_client(&request).to_string();
    issue_with_init(
        init,
        verify_password(peers, login_user, password, client_address),
    )
    .await
}

/// Answer of the directory about the user of a login attempt.
pub(crate) struct LoginUser {
    /// User with this name or gid, whether or not the login is allowed.
    pub(crate) user: Option<Gid>,
    /// Whether the user is active and, for a project login, an active member.
    pub(crate) is_login_allowed: bool,
    /// Time of the check, by the directory's clock. The token counts from then, so that a
    /// deactivation after it revokes the token.
    pub(crate) checked_at: i64,
    /// Normalized username, by which auth counts failed attempts.
    pub(crate) username: String,
    /// Project of a project login.
    pub(crate) project: Option<Gid>,
}

impl LoginUser {
    /// Returns the user if the login is allowed.
    pub(crate) fn allowed_user(&self) -> Option<Gid> {
        self.user.filter(|_| self.is_login_allowed)
    }

    /// Returns the user if the login is allowed, otherwise the gid of a dummy user, whose init
    /// takes the same calls and thus a similar time.
    pub(crate) fn allowed_user_or_dummy(&self) -> Gid {
        self.allowed_user().unwrap_or(Gid::NIL)
    }
}

/// Asks the directory who tries to log in, and whether the login is allowed.
pub(crate) async fn find_login_user(
    peers: &Peers,
    identifier: Identifier,
    project: Option<Gid>,
) -> Result<LoginUser, ApiError> {
    let request = FindLoginRequest {
        identifier: Some(identifier),
        project_gid: project.map(|gid| gid.to_string()),
    };
    let found = peers.directory().find_login(request).await?.into_inner();
    let user = found
        .user_gid
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|_| ApiError::internal())?;
    Ok(LoginUser {
        user,
        is_login_allowed: found.is_login_allowed,
        checked_at: found.checked_at,
        username: found.username,
        project,
    })
}

/// Verifies a password in auth. Returns the token of the new login.
pub(crate) async fn verify_password(
    peers: &Peers,
    login_user: LoginUser,
    password: &str,
    client_address: String,
) -> Result<String, RpcError> {
    let request = VerifyPasswordRequest {
        user_gid: login_user.user.map(|user| user.to_string()),
        password: password.to_owned(),
        client_address,
        user_checked_at: login_user.checked_at,
        username: login_user.username,
        project_gid: login_user.project.map(|project| project.to_string()),
        is_login_allowed: login_user.is_login_allowed,
    };
    Ok(peers
        .auth()
        .verify_password(request)
        .await?
        .into_inner()
        .token)
}

/// Reads the init data while the credentials are verified, and returns both in one response.
///
/// # Errors
/// Wrong credentials are returned at once, without waiting for `init`.
pub(crate) async fn issue_with_init(
    init: impl Future<Output = Result<Bytes, RpcError>>,
    verified: impl Future<Output = Result<String, RpcError>>,
) -> Result<HttpResponse, ApiError> {
    let mut init = pin!(init.fuse());
    let mut verified = pin!(verified);
    // Result of `init`, if it is ready before the credentials are verified. It must not be returned
    // before: an error of `init` would reveal that the user exists.
    let mut early_init = None;
    let token = loop {
        tokio::select! {
            verified = &mut verified => break verified?,
            init = &mut init, if early_init.is_none() => early_init = Some(init),
        }
    };
    let init = match early_init {
        Some(init) => init,
        None => init.await,
    };
    match init {
        Ok(body) => token_response(body, &token),
        // The user was deactivated or deleted, or removed from the project, after `FindLogin`.
        Err(RpcError {
            code: ErrorCode::Unauthenticated | ErrorCode::Forbidden,
            ..
        }) => Err(RpcError::new(ErrorCode::UnknownUser).into()),
        Err(error) => Err(error.into()),
    }
}
