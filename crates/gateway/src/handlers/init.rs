//! `GET|POST /api/init`, and the response that it shares with logins.

use actix_web::{
    HttpResponse,
    http::header::{AUTHORIZATION, HeaderValue},
    web::{Bytes, Data},
};
use doorward_domain::Gid;
use doorward_rpc::{
    RpcError,
    directory::v1::{GetInitRequest, GetInitResponse},
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    handlers::{
        entries::{Memberships, Projects, UserProjects, Users},
        init_cache::CachedInit,
        init_source::InitSource,
    },
    http::{
        body::OptionalBody,
        envelope::{self, ApiError},
    },
    session::{caller::Caller, sessions::Sessions},
};

pub(crate) async fn init(
    caller: Caller,
    _: OptionalBody,
    sessions: Data<Sessions>,
    init_source: InitSource,
) -> Result<HttpResponse, ApiError> {
    let (init, token) = tokio::join!(
        fetch_init(&init_source, caller.claims.sub),
        sessions.renew(&init_source.peers, caller.token)
    );
    token_response(init?, &token?)
}

/// Returns the body of the response with everything that an app of this user needs at its start,
/// from the cache if it is still current.
///
/// # Errors
/// The errors of `GetInit`; [`Unauthenticated`](doorward_domain::ErrorCode::Unauthenticated) if the
/// user is not active.
pub(crate) async fn fetch_init(source: &InitSource, user: Gid) -> Result<Bytes, RpcError> {
    let cached = source.cache.find(user, None);
    let request = GetInitRequest {
        user_gid: user.to_string(),
        known_cursor: cached.as_ref().map(|cached| cached.cursor),
    };
    let init = source
        .peers
        .directory()
        .get_init(request)
        .await?
        .into_inner();
    if let Some(cached) = cached.filter(|cached| init.is_unchanged && init.cursor == cached.cursor)
    {
        return Ok(cached.body);
    }
    let body = serialize_init(source, &init)?;
    source.cache.insert(
        user,
        None,
        CachedInit {
            cursor: init.cursor,
            body: body.clone(),
        },
    );
    Ok(body)
}

/// Returns the response of a login or an init: the body and a token.
pub(crate) fn token_response(body: Bytes, token: &str) -> Result<HttpResponse, ApiError> {
    with_token(envelope::json_response(body), token)
}

/// Adds the token that the client should use from now on.
pub(crate) fn with_token(
    mut response: HttpResponse,
    token: &str,
) -> Result<HttpResponse, ApiError> {
    let token = HeaderValue::from_str(token).map_err(|_| ApiError::internal())?;
    response.headers_mut().insert(AUTHORIZATION, token);
    Ok(response)
}

#[derive(Serialize)]
struct InitResult<'a> {
    user: &'a str,
    user_projects: UserProjects<'a>,
    #[serde(rename = "cc.version")]
    version: &'a str,
    #[serde(rename = "cc.cursor")]
    cursor: i64,
}

#[derive(Serialize)]
struct InitData<'a> {
    #[serde(rename = "cc.users")]
    users: Users<'a>,
    #[serde(rename = "cc.projects")]
    projects: Projects<'a>,
    #[serde(rename = "cc.projects_members")]
    memberships: Memberships<'a>,
    #[serde(rename = "cc.languages")]
    languages: &'a RawValue,
}

fn serialize_init(source: &InitSource, init: &GetInitResponse) -> Result<Bytes, RpcError> {
    let result = InitResult {
        user: init.user.as_ref().map_or("", |user| &user.gid),
        user_projects: UserProjects(&init.user_projects),
        version: source.api_version.as_str(),
        cursor: init.cursor,
    };
    let data = InitData {
        users: Users {
            caller: init.user.as_ref(),
            others: &init.users,
        },
        projects: Projects(&init.projects),
        memberships: Memberships(&init.memberships),
        languages: &source.languages.names,
    };
    envelope::serialize_success(&result, &data)
}
