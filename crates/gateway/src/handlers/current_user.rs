//! People about themselves: who calls, as a person, and what they get back.

use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use doorward_domain::ErrorCode;
use doorward_rpc::{
    RpcError,
    auth::v1::{CountAnonymousCallRequest, UserInfo},
    directory::v1::{GetUserRequest, User, UserStatus},
};
use doorward_token::TokenKind;
use serde::Serialize;
use serde_json::json;

use crate::{
    Gateway,
    handlers::{entries::Users, init::with_token},
    http::{
        client_address,
        envelope::{self, ApiError},
    },
    peers::Peers,
    session::caller::{Caller, RenewalDueToken},
};

/// A user as auth must know them for a moment.
pub(crate) fn to_user_info(user: &User) -> UserInfo {
    let complete = user.details.clone().unwrap_or_default();
    UserInfo {
        user_gid: user.gid.clone(),
        username: user.username.clone().unwrap_or_default(),
        email: complete.email,
        name: user.name.clone(),
        language: complete.language,
    }
}

/// API users have no account of their own.
pub(crate) fn require_account(caller: &Caller) -> Result<(), ApiError> {
    match caller.claims.kind {
        TokenKind::User => Ok(()),
        TokenKind::Api => Err(RpcError::new(ErrorCode::Forbidden).into()),
    }
}

/// The caller, as the directory has them now.
pub(crate) async fn get(peers: &Peers, caller: &Caller) -> Result<User, ApiError> {
    let get = GetUserRequest {
        user_gid: caller.claims.sub.to_string(),
    };
    match peers
        .directory()
        .get_user(get)
        .await
        .map_err(RpcError::from)
    {
        Ok(found) => {
            let active = found
                .into_inner()
                .user
                .filter(|user| user.status() == UserStatus::Active);
            active.ok_or_else(ApiError::unauthenticated)
        }
        // Deleted a moment ago.
        Err(RpcError {
            code: ErrorCode::Unprocessable,
            ..
        }) => Err(ApiError::unauthenticated()),
        Err(failure) => Err(failure.into()),
    }
}

/// Names can't be tried without end by somebody who has no token.
pub(crate) async fn count_anonymous_call(
    request: &HttpRequest,
    peers: &Peers,
    gateway: &Gateway,
) -> Result<(), ApiError> {
    let client_address = client_address::from_request(request, gateway).to_string();
    peers
        .auth()
        .count_anonymous_call(CountAnonymousCallRequest { client_address })
        .await?;
    Ok(())
}

/// With a token, when there is another one from now on.
pub(crate) fn user_response(user: &User, token: Option<&str>) -> Result<HttpResponse, ApiError> {
    #[derive(Serialize)]
    struct Data<'a> {
        #[serde(rename = "cc.users")]
        users: Users<'a>,
    }
    let data = Data {
        users: Users {
            caller: Some(user),
            others: &[],
        },
    };
    let response = envelope::success_response(&json!({"user": user.gid}), &data)?;
    match token {
        Some(token) => with_token(response, token),
        None => Ok(response),
    }
}

/// The caller's token has just ended: not even one that others got in exchange for it a moment ago.
pub(crate) fn drop_renewal(request: &HttpRequest) {
    request.extensions_mut().remove::<RenewalDueToken>();
}
