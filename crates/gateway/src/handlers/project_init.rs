//! `GET|POST /api/p/{project}/init`, and the response that it shares with project logins.

use actix_web::{
    HttpResponse,
    web::{Bytes, Data},
};
use doorward_domain::Gid;
use doorward_rpc::{
    RpcError,
    directory::v1::{GetProjectInitRequest, GetProjectInitResponse},
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    handlers::{
        entries::{Memberships, Projects, UserProjects, Users},
        init::token_response,
        init_cache::CachedInit,
        init_source::InitSource,
    },
    http::{
        body::OptionalBody,
        envelope::{self, ApiError, Empty},
        project_path::ProjectGid,
    },
    session::{caller::Caller, sessions::Sessions},
};

pub(crate) async fn init(
    caller: Caller,
    ProjectGid(project): ProjectGid,
    _: OptionalBody,
    sessions: Data<Sessions>,
    init_source: InitSource,
) -> Result<HttpResponse, ApiError> {
    let (init, token) = tokio::join!(
        fetch(&init_source, project, caller.claims.sub),
        sessions.renew(&init_source.peers, caller.token)
    );
    token_response(init?, &token?)
}

/// Returns the body of the response with everything that an app needs to work in the project, from
/// the cache if it is still current.
///
/// # Errors
/// The errors of `GetProjectInit`; [`Forbidden`](doorward_domain::ErrorCode::Forbidden) if the user
/// is not an active member of an active project.
pub(crate) async fn fetch(source: &InitSource, project: Gid, user: Gid) -> Result<Bytes, RpcError> {
    let cached = source.cache.find(user, Some(project));
    let request = GetProjectInitRequest {
        project_gid: project.to_string(),
        user_gid: user.to_string(),
        known_cursor: cached.as_ref().map(|cached| cached.cursor),
    };
    let init = source
        .peers
        .directory()
        .get_project_init(request)
        .await?
        .into_inner();
    if let Some(cached) = cached.filter(|cached| init.is_unchanged && init.cursor == cached.cursor)
    {
        return Ok(cached.body);
    }
    let body = serialize(source, &project.to_string(), &init)?;
    source.cache.insert(
        user,
        Some(project),
        CachedInit {
            cursor: init.cursor,
            body: body.clone(),
        },
    );
    Ok(body)
}

#[derive(Serialize)]
struct ProjectResult<'a> {
    user: &'a str,
    user_projects: UserProjects<'a>,
    #[serde(rename = "cc.version")]
    version: &'a str,
    #[serde(rename = "cc.cursor")]
    cc_cursor: i64,
    project: &'a str,
    project_members: &'a [String],
    last_backed_up: Option<&'a str>,
    /// Position in the project's own feed, which uses the same numbers as the global feed.
    cursor: i64,
}

#[derive(Serialize)]
struct ProjectData<'a> {
    #[serde(rename = "cc.users")]
    users: Users<'a>,
    #[serde(rename = "cc.projects")]
    projects: Projects<'a>,
    #[serde(rename = "cc.projects_members")]
    memberships: Memberships<'a>,
    #[serde(rename = "cc.languages")]
    languages: &'a RawValue,
    // Clients expect these objects. They stay empty, because this server stores no product data.
    definitions: Empty,
    classes: Empty,
    fields: Empty,
    layouts: Empty,
    queries: Empty,
}

fn serialize(
    source: &InitSource,
    project: &str,
    init: &GetProjectInitResponse,
) -> Result<Bytes, RpcError> {
    let result = ProjectResult {
        user: init.user.as_ref().map_or("", |user| &user.gid),
        user_projects: UserProjects(&init.user_projects),
        version: source.api_version.as_str(),
        cc_cursor: init.cursor,
        project,
        project_members: &init.active_member_gids,
        last_backed_up: None,
        cursor: init.cursor,
    };
    let data = ProjectData {
        users: Users {
            caller: init.user.as_ref(),
            others: &init.users,
        },
        projects: Projects(&init.projects),
        memberships: Memberships(&init.memberships),
        languages: &source.languages.names,
        definitions: Empty {},
        classes: Empty {},
        fields: Empty {},
        layouts: Empty {},
        queries: Empty {},
    };
    envelope::serialize_success(&result, &data)
}
