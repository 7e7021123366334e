//! Signup: `POST /api/username`, `POST /api/signup_request`, `POST /api/signup`. Each step can be
//! repeated: if a crash interrupts it, the same call completes it.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use doorward_domain::{Gid, Username};
use doorward_rpc::{
    auth::v1::{CompleteSignupRequest, RequestSignupRequest, VerifySignupRequest},
    directory::v1::{
        CheckUsernameRequest, CreateAccountRequest, FindAccountsRequest,
        find_accounts_request::Lookup,
    },
};
use serde_json::json;

use crate::{
    handlers::{
        current_user::{self, to_user_info},
        init,
        init_source::InitSource,
    },
    http::{
        accept_language,
        body::Body,
        client_address::TrustedProxies,
        envelope::{self, ApiError, Empty},
    },
    peers::Peers,
};

/// Returns whether a username is free.
pub(crate) async fn username(
    request: HttpRequest,
    body: Body,
    peers: Data<Peers>,
    trusted_proxies: Data<TrustedProxies>,
) -> Result<HttpResponse, ApiError> {
    let username = body.required_string("username")?.to_owned();
    current_user::count_anonymous_call(&request, &peers, &trusted_proxies).await?;
    let check = CheckUsernameRequest {
        username,
        email: None,
    };
    let checked = peers.directory().check_username(check).await?.into_inner();
    envelope::success_response(
        &json!({"username": checked.username, "available": checked.is_available}),
        &Empty {},
    )
}

/// Mails a code to the address. If the address has an account already, the response is the same,
/// and the mail names the account.
pub(crate) async fn request(
    request: HttpRequest,
    body: Body,
    peers: Data<Peers>,
    trusted_proxies: Data<TrustedProxies>,
) -> Result<HttpResponse, ApiError> {
    let username = body.required_string("username")?.to_owned();
    let password = body.required_string("password")?.to_owned();
    let email = body.required_string("email")?.to_owned();
    let check = CheckUsernameRequest {
        username,
        email: Some(email.clone()),
    };
    let checked = peers.directory().check_username(check).await?.into_inner();
    if !checked.is_available {
        // The error reveals as much as `/api/username` does, so it is limited in the same way.
        current_user::count_anonymous_call(&request, &peers, &trusted_proxies).await?;
        return Err(ApiError::validation("username", "unavailable"));
    }
    let find = FindAccountsRequest {
        lookup: Some(Lookup::Email(email.clone())),
        include_inactive: true,
    };
    let existing_accounts = peers
        .directory()
        .find_accounts(find)
        .await?
        .into_inner()
        .users;
    let request = RequestSignupRequest {
        username: checked.username,
        password,
        email,
        existing_accounts: existing_accounts.iter().map(to_user_info).collect(),
        language: accept_language::preferred_language(&request),
        client_address: trusted_proxies.find_client(&request).to_string(),
    };
    let validation_code = peers
        .auth()
        .request_signup(request)
        .await?
        .into_inner()
        .validation_code;
    envelope::success_response(&json!({"validation_code": validation_code}), &Empty {})
}

/// Creates the account in three steps: auth verifies the codes, the directory creates the account,
/// and auth stores the password and marks the codes as used.
pub(crate) async fn signup(
    request: HttpRequest,
    body: Body,
    trusted_proxies: Data<TrustedProxies>,
    init_source: InitSource,
) -> Result<HttpResponse, ApiError> {
    let peers = &init_source.peers;
    let username = body.required_string("username")?.to_owned();
    let password = body.required_string("password")?.to_owned();
    let email = body.required_string("email")?.to_owned();
    let validation_code = body.required_string("validation_code")?.to_owned();
    let verification_code = body.required_string("verification_code")?.to_owned();
    let client_address = trusted_proxies.find_client(&request).to_string();
    // A malformed username was rejected in the first step, so here it only fails to match the
    // codes.
    let username = Username::normalize_for_lookup(&username);
    let check = VerifySignupRequest {
        username: username.clone(),
        password,
        email: email.clone(),
        validation_code: validation_code.clone(),
        verification_code,
        client_address: client_address.clone(),
    };
    let signup_gid = peers
        .auth()
        .verify_signup(check)
        .await?
        .into_inner()
        .signup_gid;
    let create = CreateAccountRequest {
        signup_gid,
        username,
        email,
    };
    let user = peers
        .directory()
        .create_account(create)
        .await?
        .into_inner()
        .user
        .unwrap_or_default();
    let gid: Gid = user.gid.parse().map_err(|_| ApiError::internal())?;
    let complete = CompleteSignupRequest {
        validation_code,
        user_gid: user.gid,
        client_address,
    };
    let token = peers
        .auth()
        .complete_signup(complete)
        .await?
        .into_inner()
        .token;
    init::token_response(init::fetch_init(&init_source, gid).await?, &token)
}
