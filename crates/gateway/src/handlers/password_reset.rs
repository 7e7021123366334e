//! Resets a forgotten password in two steps: `POST /api/reset_password_request`, `POST
//! /api/reset_password`.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use doorward_domain::Gid;
use doorward_rpc::{
    auth::v1::{RequestPasswordResetRequest, ResetPasswordRequest},
    directory::v1::{FindAccountsRequest, User, find_accounts_request::Lookup},
};
use serde_json::json;

use crate::{
    handlers::{
        current_user::{self, to_user_info},
        init,
        init_source::InitSource,
    },
    http::{
        body::Body,
        client_address::TrustedProxies,
        envelope::{self, ApiError, Empty},
    },
    peers::Peers,
};

/// Mails a code to the address of the accounts with this username or email address.
pub(crate) async fn request(
    request: HttpRequest,
    body: Body,
    peers: Data<Peers>,
    trusted_proxies: Data<TrustedProxies>,
) -> Result<HttpResponse, ApiError> {
    let name = body.required_string("username_or_email")?.to_owned();
    let users = find(&peers, Lookup::UsernameOrEmail(name)).await?;
    let reset_request = RequestPasswordResetRequest {
        users: users.iter().map(to_user_info).collect(),
        client_address: trusted_proxies.find_client(&request).to_string(),
    };
    let validation_code = peers
        .auth()
        .request_password_reset(reset_request)
        .await?
        .into_inner()
        .validation_code;
    let usernames: Vec<&str> = users
        .iter()
        .filter_map(|user| user.username.as_deref())
        .collect();
    envelope::success_response(
        &json!({"validation_code": validation_code, "usernames": usernames}),
        &Empty {},
    )
}

/// Sets the new password and logs the user in.
pub(crate) async fn reset(
    request: HttpRequest,
    body: Body,
    trusted_proxies: Data<TrustedProxies>,
    init_source: InitSource,
) -> Result<HttpResponse, ApiError> {
    let peers = &init_source.peers;
    let username = body.required_string("username")?.to_owned();
    let new_password = body.required_string("new_password")?.to_owned();
    let validation_code = body.required_string("validation_code")?.to_owned();
    let verification_code = body.required_string("verification_code")?.to_owned();
    let found = find(peers, Lookup::Username(username)).await?;
    let Some(user) = found.first() else {
        // The error reveals that no active account has this name, so it is limited like
        // `/api/username`.
        current_user::count_anonymous_call(&request, peers, &trusted_proxies).await?;
        return Err(ApiError::unprocessable("user_not_found"));
    };
    let gid: Gid = user.gid.parse().map_err(|_| ApiError::internal())?;
    let reset = ResetPasswordRequest {
        user: Some(to_user_info(user)),
        new_password,
        validation_code,
        verification_code,
        client_address: trusted_proxies.find_client(&request).to_string(),
    };
    let token = peers.auth().reset_password(reset).await?.into_inner().token;
    // After the reset: a user who was deactivated in the meantime gets an error here, and no token.
    init::token_response(init::fetch_init(&init_source, gid).await?, &token)
}

/// Returns the active accounts that match.
async fn find(peers: &Peers, lookup: Lookup) -> Result<Vec<User>, ApiError> {
    Ok(peers
        .directory()
        .find_accounts(FindAccountsRequest {
            lookup: Some(lookup),
            include_inactive: false,
        })
        .await?
        .into_inner()
        .users)
}
