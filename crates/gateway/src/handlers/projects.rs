//! `POST /api/projects/...`: reads, creates, changes, deletes and transfers projects. Icons have a
//! file of their own.

use actix_web::{HttpResponse, web::Data};
use doorward_rpc::directory::v1::{
    CreateProjectRequest, Membership, Project, ProjectResponse, PurgeProjectRequest,
    SetProjectStatusRequest, TransferProjectRequest, UpdateProjectRequest, ViewProjectRequest,
};
use serde::Serialize;
use serde_json::json;

use crate::{
    handlers::{
        current_user::require_account,
        entries::{Memberships, Projects},
        init::with_token,
    },
    http::{
        body::Body,
        envelope::{self, ApiError, Empty},
    },
    media::Media,
    peers::Peers,
    session::{caller::Caller, sessions::Sessions},
};

pub(crate) async fn get(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let caller_gid = caller.claims.sub.to_string();
    let project_gid = body.required_gid("project")?.to_string();
    let view = ViewProjectRequest {
        caller_gid,
        project_gid,
    };
    project_response(&peers.directory().view_project(view).await?.into_inner())
}

pub(crate) async fn create(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
    sessions: Data<Sessions>,
) -> Result<HttpResponse, ApiError> {
    let create = CreateProjectRequest {
        caller_gid: caller.claims.sub.to_string(),
        name: body.optional_string("name")?.map(str::to_owned),
        timezone: body.optional_string("timezone")?.map(str::to_owned),
    };
    // API users are rejected before the directory checks the values.
    require_account(&caller)?;
    let user = create.caller_gid.clone();
    // Renewed before the project is created: if the renewal failed after it, the response would be
    // an error although the project exists.
    let token = sessions.renew(&peers, caller.token).await?;
    let created = peers.directory().create_project(create).await?.into_inner();
    let project = created.project.as_ref().map_or("", |project| &project.gid);
    let result = json!({"project": project, "project_members": [user]});
    with_token(
        envelope::success_response(&result, &ProjectData::with_memberships(&created))?,
        &token,
    )
}

pub(crate) async fn update(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let update = UpdateProjectRequest {
        caller_gid: caller.claims.sub.to_string(),
        project_gid: body.required_gid("project")?.to_string(),
        name: body.optional_string("name")?.map(str::to_owned),
        timezone: body.optional_string("timezone")?.map(str::to_owned),
    };
    project_response(&peers.directory().update_project(update).await?.into_inner())
}

pub(crate) async fn delete(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    set_status(&caller, &body, &peers, true).await
}

pub(crate) async fn undelete(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    set_status(&caller, &body, &peers, false).await
}

pub(crate) async fn permanent_delete(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
    sessions: Data<Sessions>,
    media: Data<Media>,
) -> Result<HttpResponse, ApiError> {
    let caller_gid = caller.claims.sub.to_string();
    let project_gid = body.required_gid("project")?.to_string();
    let token = sessions.renew(&peers, caller.token).await?;
    peers
        .directory()
        .purge_project(PurgeProjectRequest {
            caller_gid,
            project_gid,
        })
        .await?;
    // The icon was discarded too.
    media.discarded.notify_one();
    with_token(envelope::success_response(&Empty {}, &Empty {})?, &token)
}

pub(crate) async fn transfer(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
    sessions: Data<Sessions>,
) -> Result<HttpResponse, ApiError> {
    let transfer = TransferProjectRequest {
        caller_gid: caller.claims.sub.to_string(),
        project_gid: body.required_gid("project")?.to_string(),
        new_owner_gid: body.required_gid("user")?.to_string(),
    };
    let token = sessions.renew(&peers, caller.token).await?;
    let transferred = peers
        .directory()
        .transfer_project(transfer)
        .await?
        .into_inner();
    let project = transferred
        .project
        .as_ref()
        .map_or("", |project| &project.gid);
    let response = envelope::success_response(
        &json!({"project": project}),
        &ProjectData::with_memberships(&transferred),
    )?;
    with_token(response, &token)
}

async fn set_status(
    caller: &Caller,
    body: &Body,
    peers: &Peers,
    is_deleted: bool,
) -> Result<HttpResponse, ApiError> {
    let caller_gid = caller.claims.sub.to_string();
    let project_gid = body.required_gid("project")?.to_string();
    let set = SetProjectStatusRequest {
        caller_gid,
        project_gid,
        is_deleted,
    };
    project_response(
        &peers
            .directory()
            .set_project_status(set)
            .await?
            .into_inner(),
    )
}

/// Data of a response with a project, and memberships if the call returns them.
#[derive(Serialize)]
pub(crate) struct ProjectData<'a> {
    #[serde(rename = "cc.projects")]
    projects: Projects<'a>,
    #[serde(
        rename = "cc.projects_members",
        skip_serializing_if = "Option::is_none"
    )]
    memberships: Option<Memberships<'a>>,
}

impl<'a> ProjectData<'a> {
    pub(crate) fn new(project: &'a [Project], memberships: Option<&'a [Membership]>) -> Self {
        Self {
            projects: Projects(project),
            memberships: memberships.map(Memberships),
        }
    }

    fn with_memberships(response: &'a ProjectResponse) -> Self {
        Self::new(response.project.as_slice(), Some(&response.memberships))
    }
}

/// Returns the response with one project.
pub(crate) fn project_response(response: &ProjectResponse) -> Result<HttpResponse, ApiError> {
    let project = response.project.as_ref().map_or("", |project| &project.gid);
    envelope::success_response(
        &json!({"project": project}),
        &ProjectData::new(response.project.as_slice(), None),
    )
}
