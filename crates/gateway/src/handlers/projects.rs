//! `POST /api/projects/...`: projects as a whole. Icons have a file of their own.

use actix_web::{HttpResponse, web::Data};
use doorward_rpc::directory::v1::{
    CreateProjectRequest, Membership, Project, ProjectResponse, PurgeProjectRequest,
    SetProjectStatusRequest, TransferProjectRequest, UpdateProjectRequest, ViewProjectRequest,
};
use serde::Serialize;
use serde_json::json;

use crate::{
    Gateway,
    handlers::{
        current_user::require_account,
        entries::{Memberships, Projects},
        init::with_token,
    },
    http::{
        body::Body,
        envelope::{self, ApiError, Empty},
    },
    peers::Peers,
    session::caller::Caller,
};

pub(crate) async fn get(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let (caller_gid, project_gid) = (
        caller.claims.sub.to_string(),
        body.required_gid("project")?.to_string(),
    );
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
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let create = CreateProjectRequest {
        caller_gid: caller.claims.sub.to_string(),
        name: body.optional_string("name")?.map(str::to_owned),
        timezone: body.optional_string("timezone")?.map(str::to_owned),
    };
    // Before what they ask for is looked at.
    require_account(&caller)?;
    let user = create.caller_gid.clone();
    // First: an answer that gets lost because there is no token would leave the deed done.
    let token = gateway
        .renewals
        .renew(&peers, caller.token, gateway.trust.keys_generation())
        .await?;
    let made = peers.directory().create_project(create).await?.into_inner();
    let project = made.project.as_ref().map_or("", |project| &project.gid);
    let result = json!({"project": project, "project_members": [user]});
    with_token(
        envelope::success_response(&result, &ProjectData::with_memberships(&made))?,
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
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let (caller_gid, project_gid) = (
        caller.claims.sub.to_string(),
        body.required_gid("project")?.to_string(),
    );
    let token = gateway
        .renewals
        .renew(&peers, caller.token, gateway.trust.keys_generation())
        .await?;
    peers
        .directory()
        .purge_project(PurgeProjectRequest {
            caller_gid,
            project_gid,
        })
        .await?;
    // The icon goes too.
    gateway.media_discarded.notify_one();
    with_token(envelope::success_response(&Empty {}, &Empty {})?, &token)
}

pub(crate) async fn transfer(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let transfer = TransferProjectRequest {
        caller_gid: caller.claims.sub.to_string(),
        project_gid: body.required_gid("project")?.to_string(),
        new_owner_gid: body.required_gid("user")?.to_string(),
    };
    let token = gateway
        .renewals
        .renew(&peers, caller.token, gateway.trust.keys_generation())
        .await?;
    let done = peers
        .directory()
        .transfer_project(transfer)
        .await?
        .into_inner();
    let project = done.project.as_ref().map_or("", |project| &project.gid);
    let answer = envelope::success_response(
        &json!({"project": project}),
        &ProjectData::with_memberships(&done),
    )?;
    with_token(answer, &token)
}

async fn set_status(
    caller: &Caller,
    body: &Body,
    peers: &Peers,
    is_deleted: bool,
) -> Result<HttpResponse, ApiError> {
    let (caller_gid, project_gid) = (
        caller.claims.sub.to_string(),
        body.required_gid("project")?.to_string(),
    );
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

    fn with_memberships(answer: &'a ProjectResponse) -> Self {
        Self::new(answer.project.as_slice(), Some(&answer.memberships))
    }
}

pub(crate) fn project_response(answer: &ProjectResponse) -> Result<HttpResponse, ApiError> {
    let project = answer.project.as_ref().map_or("", |project| &project.gid);
    envelope::success_response(
        &json!({"project": project}),
        &ProjectData::new(answer.project.as_slice(), None),
    )
}
