//! RPCs about projects and their options. They parse, call the directory and convert; the rules are
//! in `projects/`.

use doorward_domain::{DisplayName, ProjectStatus, Timezone};
use doorward_rpc::{
    RpcError,
    directory::v1::{self as pb, change_languages_request::Change},
};
use tonic::{Request, Response};

use crate::{
    Actor, Error, FullProject, LanguageChange, ListRef, Member, ProjectChange, VisibleMembers,
    model::ItemKind,
    service::{
        convert,
        request::{RpcResult, parse_caller, parse_gid, parse_page_size},
        state::Service,
    },
};

/// Name of a new project if the request has no name. Part of the published API.
const DEFAULT_PROJECT_NAME: &str = "untitled project";

pub(super) async fn get_project(
    service: &Service,
    request: Request<pb::GetProjectRequest>,
) -> RpcResult<pb::GetProjectResponse> {
    let request = request.into_inner();
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let project = service
        .directory
        .get_full_project(project)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::GetProjectResponse {
        project: Some(convert::full_project(project)),
    }))
}

pub(super) async fn list_projects(
    service: &Service,
    request: Request<pb::ListProjectsRequest>,
) -> RpcResult<pb::ListProjectsResponse> {
    let request = request.into_inner();
    let after = request
        .after_project_gid
        .as_deref()
        .map(|after| parse_gid(after, "after_project_gid"))
        .transpose()?;
    let page = service
        .directory
        .list_projects(after, parse_page_size(request.page_size)?)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::ListProjectsResponse {
        projects: page.into_iter().map(convert::project).collect(),
    }))
}

pub(super) async fn view_project(
    service: &Service,
    request: Request<pb::ViewProjectRequest>,
) -> RpcResult<pb::ProjectResponse> {
    let request = request.into_inner();
    let caller = parse_caller(&request.caller_gid)?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let (project, options) = service
        .directory
        .view_project(caller, project)
        .await
        .map_err(RpcError::from)?;
    let project = Some(convert::visible_project(project, options));
    Ok(Response::new(pb::ProjectResponse {
        project,
        memberships: Vec::new(),
    }))
}

pub(super) async fn create_project(
    service: &Service,
    request: Request<pb::CreateProjectRequest>,
) -> RpcResult<pb::ProjectResponse> {
    let request = request.into_inner();
    let caller = parse_gid(&request.caller_gid, "caller_gid")?;
    let malformed = |field| move |malformed| RpcError::from(Error::Malformed(field, malformed));
    let name = DisplayName::parse(request.name.as_deref().unwrap_or(DEFAULT_PROJECT_NAME))
        .map_err(malformed("name"))?;
    let timezone = request
        .timezone
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(malformed("timezone"))?;
    let created = service
        .directory
        .create_project(
            caller.into(),
            name,
            timezone.unwrap_or_else(Timezone::default),
        )
        .await;
    let created = created.map_err(RpcError::from)?;
    let project = service
        .directory
        .get_full_project(created.gid)
        .await
        .map_err(RpcError::from)?;
    let view = service
        .directory
        .view_member(caller.into(), created.gid, caller)
        .await
        .map_err(RpcError::from)?;
    let memberships = convert::members(view).memberships;
    Ok(Response::new(pb::ProjectResponse {
        project: Some(convert::full_project(project)),
        memberships,
    }))
}

pub(super) async fn update_project(
    service: &Service,
    request: Request<pb::UpdateProjectRequest>,
) -> RpcResult<pb::ProjectResponse> {
    let request = request.into_inner();
    let caller = parse_caller(&request.caller_gid)?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let change = ProjectChange {
        name: request.name,
        timezone: request.timezone,
    };
    project_response(
        service
            .directory
            .update_project(caller, project, change)
            .await,
    )
}

pub(super) async fn set_project_status(
    service: &Service,
    request: Request<pb::SetProjectStatusRequest>,
) -> RpcResult<pb::ProjectResponse> {
    let request = request.into_inner();
    let caller = parse_caller(&request.caller_gid)?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let status = if request.is_deleted {
        ProjectStatus::Deleted
    } else {
        ProjectStatus::Active
    };
    project_response(
        service
            .directory
            .set_project_status(Actor::User(caller), project, status)
            .await,
    )
}

pub(super) async fn purge_project(
    service: &Service,
    request: Request<pb::PurgeProjectRequest>,
) -> RpcResult<pb::PurgeProjectResponse> {
    let request = request.into_inner();
    let caller = parse_caller(&request.caller_gid)?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    service
        .directory
        .purge_project(Actor::User(caller), project)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::PurgeProjectResponse {}))
}

pub(super) async fn transfer_project(
    service: &Service,
    request: Request<pb::TransferProjectRequest>,
) -> RpcResult<pb::ProjectResponse> {
    let request = request.into_inner();
    let caller = parse_gid(&request.caller_gid, "caller_gid")?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let new_owner = parse_gid(&request.new_owner_gid, "user_gid")?;
    let (project, memberships) = service
        .directory
        .transfer_project(Actor::User(caller.into()), project, new_owner)
        .await
        .map_err(RpcError::from)?;
    let user = service
        .directory
        .get_user_by_gid(caller)
        .await
        .map_err(RpcError::from)?;
    // The response has no users, so the other member needs only the right gid.
    let members = memberships.map(|membership| Member {
        user: crate::model::User {
            gid: membership.user,
            ..user.clone()
        },
        membership,
    });
    let view = VisibleMembers {
        caller,
        members: members.into(),
        is_owner: false,
    };
    let memberships = convert::members(view).memberships;
    Ok(Response::new(pb::ProjectResponse {
        project: Some(convert::full_project(project)),
        memberships,
    }))
}

pub(super) async fn change_languages(
    service: &Service,
    request: Request<pb::ChangeLanguagesRequest>,
) -> RpcResult<pb::ProjectResponse> {
    let request = request.into_inner();
    let caller = parse_caller(&request.caller_gid)?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let change = match request
        .change
        .ok_or_else(|| RpcError::invalid_parameter("change"))?
    {
        Change::Add(language) => LanguageChange::Add(language),
        Change::Remove(language) => LanguageChange::Remove(language),
    };
    project_response(
        service
            .directory
            .change_languages(caller, project, change)
            .await,
    )
}

pub(super) async fn create_item(
    service: &Service,
    request: Request<pb::CreateItemRequest>,
) -> RpcResult<pb::CreateItemResponse> {
    let request = request.into_inner();
    let list = list(&request.caller_gid, &request.project_gid, request.kind())?;
    let (item, project) = service
        .directory
        .create_item(list, request.name)
        .await
        .map_err(RpcError::from)?;
    let project = Some(convert::full_project(project));
    Ok(Response::new(pb::CreateItemResponse {
        item_gid: item.to_string(),
        project,
    }))
}

pub(super) async fn rename_item(
    service: &Service,
    request: Request<pb::RenameItemRequest>,
) -> RpcResult<pb::ProjectResponse> {
    let request = request.into_inner();
    let list = list(&request.caller_gid, &request.project_gid, request.kind())?;
    let item = parse_gid(&request.item_gid, "item_gid")?;
    project_response(
        service
            .directory
            .rename_item(list, item, request.name)
            .await,
    )
}

pub(super) async fn move_item(
    service: &Service,
    request: Request<pb::MoveItemRequest>,
) -> RpcResult<pb::ProjectResponse> {
    let request = request.into_inner();
    let list = list(&request.caller_gid, &request.project_gid, request.kind())?;
    let item = parse_gid(&request.item_gid, "item_gid")?;
    let before = request
        .before_gid
        .as_deref()
        .map(|before| parse_gid(before, "before_gid"))
        .transpose()?;
    project_response(service.directory.move_item(list, item, before).await)
}

pub(super) async fn delete_items(
    service: &Service,
    request: Request<pb::DeleteItemsRequest>,
) -> RpcResult<pb::ProjectResponse> {
    let request = request.into_inner();
    let list = list(&request.caller_gid, &request.project_gid, request.kind())?;
    let items = request
        .item_gids
        .iter()
        .map(|item| parse_gid(item, "item_gids"))
        .collect::<Result<_, _>>()?;
    project_response(service.directory.delete_items(list, items).await)
}

/// Parses the reference to a list of items.
fn list(caller_gid: &str, project: &str, kind: pb::ItemKind) -> Result<ListRef, RpcError> {
    let kind = match kind {
        pb::ItemKind::Channel => ItemKind::Channel,
        pb::ItemKind::Ordering => ItemKind::Ordering,
        pb::ItemKind::Fieldlist => ItemKind::Fieldlist,
        pb::ItemKind::Unspecified => return Err(RpcError::invalid_parameter("kind")),
    };
    Ok(ListRef {
        caller: parse_caller(caller_gid)?,
        project: parse_gid(project, "project_gid")?,
        kind,
    })
}

fn project_response(changed: Result<FullProject, Error>) -> RpcResult<pb::ProjectResponse> {
    let project = changed.map_err(RpcError::from)?;
    let project = Some(convert::full_project(project));
    Ok(Response::new(pb::ProjectResponse {
        project,
        memberships: Vec::new(),
    }))
}
