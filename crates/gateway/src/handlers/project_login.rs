//! Project logins: `POST /api/p/{project}/login` with a password, and `/auth` with an API key. The
//! `login` module explains the order of their steps.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use doorward_domain::Gid;
use doorward_rpc::{
    RpcError,
    auth::v1::{FindApiKeyRequest, VerifyApiKeyRequest},
    directory::v1::find_login_request::Identifier,
};

use crate::{
    handlers::{
        init_source::InitSource,
        login::{LoginUser, find_login_user, issue_with_init, verify_password},
        project_init::fetch,
    },
    http::{
        body::Body, client_address::TrustedProxies, envelope::ApiError, project_path::ProjectGid,
    },
    peers::Peers,
};

/// Logs a user in to a project with a username and password.
pub(crate) async fn login(
    request: HttpRequest,
    ProjectGid(project): ProjectGid,
    body: Body,
    trusted_proxies: Data<TrustedProxies>,
    init_source: InitSource,
) -> Result<HttpResponse, ApiError> {
    let peers = &init_source.peers;
    let username = body.required_string("username")?;
    let password = body.required_string("password")?;
    let identifier = Identifier::Username(username.to_owned());
    let login_user = find_login_user(peers, identifier, Some(project)).await?;
    let init = fetch(&init_source, project, login_user.allowed_user_or_dummy());
    let client_address = trusted_proxies.find_client(&request).to_string();
    issue_with_init(
        init,
        verify_password(peers, login_user, password, client_address),
    )
    .await
}

/// Logs an API user in with an API key.
pub(crate) async fn auth(
    request: HttpRequest,
    ProjectGid(project): ProjectGid,
    body: Body,
    trusted_proxies: Data<TrustedProxies>,
    init_source: InitSource,
) -> Result<HttpResponse, ApiError> {
    let peers = &init_source.peers;
    let api_key = body.required_string("api_key")?.to_owned();
    let client_address = trusted_proxies.find_client(&request).to_string();
    let find = FindApiKeyRequest {
        api_key: api_key.clone(),
        client_address: client_address.clone(),
    };
    let user_gid = peers.auth().find_api_key(find).await?.into_inner().user_gid;
    // For an unknown key the same calls are made with a dummy user, so that the response time does
    // not reveal whether a key exists.
    let user_gid = user_gid.unwrap_or_else(|| Gid::NIL.to_string());
    let login_user = find_login_user(peers, Identifier::UserGid(user_gid), Some(project)).await?;
    let init = fetch(&init_source, project, login_user.allowed_user_or_dummy());
    issue_with_init(
        init,
        verify_api_key(peers, login_user, project, api_key, client_address),
    )
    .await
}

/// Verifies an API key in auth. Returns the token of the new login.
async fn verify_api_key(
    peers: &Peers,
    login_user: LoginUser,
    project: Gid,
    api_key: String,
    client_address: String,
) -> Result<String, RpcError> {
    let request = VerifyApiKeyRequest {
        api_key,
        project_gid: project.to_string(),
        user_gid: login_user.allowed_user().map(|user| user.to_string()),
        user_checked_at: login_user.checked_at,
        client_address,
    };
    Ok(peers
        .auth()
        .verify_api_key(request)
        .await?
        .into_inner()
        .token)
}
