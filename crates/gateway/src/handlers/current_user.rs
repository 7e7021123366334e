//! Steps that the calls about the caller's own account share.

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
    handlers::{entries::Users, init::with_token},
    http::{
        client_address::TrustedProxies,
        envelope::{self, ApiError},
    },
    peers::Peers,
    session::caller::{Caller, RenewalDueToken},
};

/// Converts a user to the profile that auth needs for one call, for mails and for the strength of
/// passwords. Auth does not store it.
pub(crate) fn to_user_info(user: &User) -> UserInfo {
    let details = user.details.clone().unwrap_or_default();
    UserInfo {
        user_gid: user.gid.clone(),
        username: user.username.clone().unwrap_or_default(),
        email: details.email,
        name: user.name.clone(),
        language: details.language,
    }
}

/// Rejects API users, which have no account.
pub(crate) fn require_account(caller: &Caller) -> Result<(), ApiError> {
    match caller.claims.kind {
        TokenKind::User => Ok(()),
        TokenKind::Api => Err(RpcError::new(ErrorCode::Forbidden).into()),
    }
}

/// Returns the caller as the directory has them now.
///
/// # Errors
/// [`ErrorCode::Unauthenticated`] if the caller is deleted or not active: the token is still valid
/// until auth has read the change.
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
        // The user was deleted, and the token is not revoked yet.
        Err(RpcError {
            code: ErrorCode::Unprocessable,
            ..
        }) => Err(ApiError::unauthenticated()),
        Err(error) => Err(error.into()),
    }
}

/// Counts a call without a token against the limit of its client network, so that usernames cannot
/// be tried without limit.
pub(crate) async fn count_anonymous_call(
    request: &HttpRequest,
    peers: &Peers,
    trusted_proxies: &TrustedProxies,
) -> Result<(), ApiError> {
    let client_address = trusted_proxies.find_client(request).to_string();
    peers
        .auth()
        .count_anonymous_call(CountAnonymousCallRequest { client_address })
        .await?;
    Ok(())
}

/// Returns the response with the complete caller, and with a token if the caller should use a new
/// one.
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

/// Prevents the renewal of the caller's token, which the call revokes. Without this, the middleware
/// could add a token to the response that another request got for it a moment ago.
pub(crate) fn drop_renewal(request: &HttpRequest) {
    request.extensions_mut().remove::<RenewalDueToken>();
}
