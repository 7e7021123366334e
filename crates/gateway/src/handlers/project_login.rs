//! `POST /api/p/{project}/login` and `/auth`: the logins at a project's door, of people and of programs.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use doorward_domain::Gid;
use doorward_rpc::{
    RpcError,
    auth::v1::{FindApiKeyRequest, VerifyApiKeyRequest},
    directory::v1::find_login_request::Identifier,
};

use crate::{
    Gateway,
    handlers::{
        login::{LoginUser, find_login_user, issue_with_init, verify_password},
        project_init::fetch,
    },
    http::{body::Body, client_address, envelope::ApiError, project_path::ProjectGid},
    peers::Peers,
};

/// With username and password.
pub(crate) async fn login(
    request: HttpRequest,
    ProjectGid(project): ProjectGid,
    body: Body,
    peers: Data<Peers>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let (username, password) = (
        body.required_string("username")?,
        body.required_string("password")?,
    );
    let found = find_login_user(
        &peers,
        Identifier::Username(username.to_owned()),
        Some(project),
    )
    .await?;
    let init = fetch(&gateway, &peers, project, found.allowed_user_or_dummy());
    let client_address = client_address::from_request(&request, &gateway).to_string();
    issue_with_init(
        init,
        verify_password(&peers, found, password, client_address),
    )
    .await
}

/// With an API key.
pub(crate) async fn auth(
    request: HttpRequest,
    ProjectGid(project): ProjectGid,
    body: Body,
    peers: Data<Peers>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let api_key = body.required_string("api_key")?.to_owned();
    let client_address = client_address::from_request(&request, &gateway).to_string();
    let holder = FindApiKeyRequest {
        api_key: api_key.clone(),
        client_address: client_address.clone(),
    };
    let holder = peers
        .auth()
        .find_api_key(holder)
        .await?
        .into_inner()
        .user_gid;
    // Nobody is asked for too: the time tells nothing.
    let holder = holder.unwrap_or_else(|| Gid::NIL.to_string());
    let found = find_login_user(&peers, Identifier::UserGid(holder), Some(project)).await?;
    let init = fetch(&gateway, &peers, project, found.allowed_user_or_dummy());
    issue_with_init(
        init,
        verify_api_key(&peers, found, project, api_key, client_address),
    )
    .await
}

async fn verify_api_key(
    peers: &Peers,
    found: LoginUser,
    project: Gid,
    api_key: String,
    client_address: String,
) -> Result<String, RpcError> {
    let request = VerifyApiKeyRequest {
        api_key,
        project_gid: project.to_string(),
        user_gid: found.allowed_user().map(|user| user.to_string()),
        user_checked_at: found.checked_at,
        client_address,
    };
    Ok(peers
        .auth()
        .verify_api_key(request)
        .await?
        .into_inner()
        .token)
}
