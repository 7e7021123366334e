//! `POST /api/p/{project}/apikeys/...`: the API users of a project and their keys. The directory
//! has the API users and decides whether the caller is allowed to manage them; auth has the keys.
//! So each handler calls the directory first.

use actix_web::{HttpResponse, web::Data};
use doorward_domain::Gid;
use doorward_rpc::{
    RpcError,
    auth::v1::{
        Actor, ApiUserChange, GetApiKeyRequest, ReportApiUserChangeRequest, RotateApiKeyRequest,
    },
    directory::v1::{
        ApiUserResponse, CreateApiUserRequest, DeleteApiUserRequest, GetApiUserRequest, Membership,
        SetApiUserStatusRequest, UpdateApiUserRequest, User,
    },
};
use serde::Serialize;
use serde_json::json;

use crate::{
    handlers::entries::{Memberships, Users},
    http::{
        body::Body,
        envelope::{self, ApiError, Empty},
        project_path::ProjectGid,
    },
    peers::Peers,
    session::caller::Caller,
};

pub(crate) async fn create(
    caller: Caller,
    ProjectGid(project): ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let create = CreateApiUserRequest {
        project_gid: project.to_string(),
        caller_gid: caller.claims.sub.to_string(),
        name: body.required_string("name")?.to_owned(),
    };
    let created = peers
        .directory()
        .create_api_user(create)
        .await?
        .into_inner();
    // Auth creates the key at its first reading. If this fails now, a later `get` creates it, so
    // the API user is complete.
    if let Some(user) = &created.user
        && let Err(error) = get_api_key(&peers, &user.gid, project, to_actor(&caller)).await
    {
        tracing::warn!(
            code = %error.code,
            "could not create the key of a new API user; it is created when it is read"
        );
    }
    api_user_response(&created, None)
}

pub(crate) async fn get(
    caller: Caller,
    ProjectGid(project): ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let user = body.required_gid("user")?;
    get_api_user(&peers, &caller, project, user).await?;
    let api_key = get_api_key(&peers, &user.to_string(), project, to_actor(&caller)).await?;
    envelope::success_response(&json!({"apikey": api_key}), &Empty {})
}

pub(crate) async fn update(
    caller: Caller,
    ProjectGid(project): ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let update = UpdateApiUserRequest {
        project_gid: project.to_string(),
        caller_gid: caller.claims.sub.to_string(),
        user_gid: body.required_gid("user")?.to_string(),
        name: body.required_string("name")?.to_owned(),
    };
    api_user_response(
        &peers
            .directory()
            .update_api_user(update)
            .await?
            .into_inner(),
        None,
    )
}

pub(crate) async fn deactivate(
    caller: Caller,
    project: ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    set_status(&caller, project, &body, &peers, false).await
}

pub(crate) async fn activate(
    caller: Caller,
    project: ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    set_status(&caller, project, &body, &peers, true).await
}

pub(crate) async fn rotate(
    caller: Caller,
    ProjectGid(project): ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let user = body.required_gid("user")?;
    let found = get_api_user(&peers, &caller, project, user).await?;
    let rotate = RotateApiKeyRequest {
        user_gid: user.to_string(),
        project_gid: project.to_string(),
        actor: Some(to_actor(&caller)),
    };
    let api_key = peers
        .auth()
        .rotate_api_key(rotate)
        .await?
        .into_inner()
        .api_key;
    api_user_response(&found, Some(&api_key))
}

pub(crate) async fn delete(
    caller: Caller,
    ProjectGid(project): ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let delete = DeleteApiUserRequest {
        project_gid: project.to_string(),
        caller_gid: caller.claims.sub.to_string(),
        user_gid: body.required_gid("user")?.to_string(),
    };
    let user = delete.user_gid.clone();
    peers.directory().delete_api_user(delete).await?;
    report_change(&peers, &caller, project, user, ApiUserChange::Deleted).await;
    envelope::success_response(&Empty {}, &Empty {})
}

async fn set_status(
    caller: &Caller,
    ProjectGid(project): ProjectGid,
    body: &Body,
    peers: &Peers,
    is_active: bool,
) -> Result<HttpResponse, ApiError> {
    let set = SetApiUserStatusRequest {
        project_gid: project.to_string(),
        caller_gid: caller.claims.sub.to_string(),
        user_gid: body.required_gid("user")?.to_string(),
        is_active,
    };
    let user = set.user_gid.clone();
    let changed = peers
        .directory()
        .set_api_user_status(set)
        .await?
        .into_inner();
    let change = if is_active {
        ApiUserChange::Activated
    } else {
        ApiUserChange::Deactivated
    };
    report_change(peers, caller, project, user, change).await;
    api_user_response(&changed, None)
}

/// Reports a change to auth, which revokes the tokens and writes it to the audit trail. If auth
/// cannot be called, the change stands, and auth revokes the tokens when it reads the change feed.
async fn report_change(
    peers: &Peers,
    caller: &Caller,
    project: Gid,
    user_gid: String,
    change: ApiUserChange,
) {
    let report = ReportApiUserChangeRequest {
        user_gid,
        project_gid: project.to_string(),
        actor: Some(to_actor(caller)),
        change: change.into(),
    };
    if let Err(status) = peers.auth().report_api_user_change(report).await {
        tracing::warn!(
            code = ?status.code(),
            ?change,
            "could not report a change of an API user to auth; its tokens are revoked when auth \
             reads the change feed"
        );
    }
}

/// Returns the API user, if the caller is allowed to manage it.
async fn get_api_user(
    peers: &Peers,
    caller: &Caller,
    project: Gid,
    user: Gid,
) -> Result<ApiUserResponse, ApiError> {
    let get = GetApiUserRequest {
        project_gid: project.to_string(),
        caller_gid: caller.claims.sub.to_string(),
        user_gid: user.to_string(),
    };
    Ok(peers.directory().get_api_user(get).await?.into_inner())
}

/// Reads the key from auth, which creates it if there is no key yet and records the reading in the
/// audit trail.
async fn get_api_key(
    peers: &Peers,
    user: &str,
    project: Gid,
    actor: Actor,
) -> Result<String, RpcError> {
    let get = GetApiKeyRequest {
        user_gid: user.to_owned(),
        project_gid: project.to_string(),
        actor: Some(actor),
    };
    Ok(peers.auth().get_api_key(get).await?.into_inner().api_key)
}

/// Returns the caller as auth records it in the audit trail.
fn to_actor(caller: &Caller) -> Actor {
    Actor {
        user_gid: Some(caller.claims.sub.to_string()),
        client_address: caller.address.to_string(),
    }
}

#[derive(Serialize)]
struct ApiUserResult<'a> {
    user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    apikey: Option<&'a str>,
}

#[derive(Serialize)]
struct ApiUserData<'a> {
    #[serde(rename = "cc.users")]
    users: Users<'a>,
    #[serde(rename = "cc.projects_members")]
    memberships: Memberships<'a>,
}

fn api_user_response(
    api_user: &ApiUserResponse,
    apikey: Option<&str>,
) -> Result<HttpResponse, ApiError> {
    let others: &[User] = api_user.user.as_slice();
    let memberships: &[Membership] = api_user.membership.as_slice();
    let user = api_user.user.as_ref().map_or("", |user| &user.gid);
    let data = ApiUserData {
        users: Users {
            caller: None,
            others,
        },
        memberships: Memberships(memberships),
    };
    envelope::success_response(&ApiUserResult { user, apikey }, &data)
}
