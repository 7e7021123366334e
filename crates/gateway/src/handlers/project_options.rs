//! `POST /api/p/{project}/languages/...`, `/channels/...`, `/orderings/...`, `/fieldlists/...`: the
//! languages and items of a project.

use actix_web::{HttpResponse, web::Data};
use doorward_domain::Gid;
use doorward_rpc::directory::v1::{
    ChangeLanguagesRequest, CreateItemRequest, DeleteItemsRequest, ItemKind, MoveItemRequest,
    Project, ProjectResponse, RenameItemRequest, change_languages_request::Change,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    handlers::{entries::Projects, projects::ProjectData},
    http::{
        body::Body,
        envelope::{self, ApiError, Empty},
        project_path::ProjectGid,
    },
    peers::Peers,
    session::caller::Caller,
};

/// One of the lists of a project: its kind, and the names of its parameters.
pub(crate) trait ProjectList: 'static {
    const KIND: ItemKind;
    /// Parameter with one item.
    const NAME: &'static str;
    /// Item that every such list has and that cannot be changed. Calls treat it as an item that
    /// does not exist.
    const FIXED: Option<&'static str> = None;
    /// Parameter with several items.
    const PLURAL: &'static str;
    /// Parameter with the item before which another is moved.
    const BEFORE: &'static str;
}

pub(crate) struct Channels;
pub(crate) struct Orderings;
pub(crate) struct Fieldlists;

impl ProjectList for Channels {
    const KIND: ItemKind = ItemKind::Channel;
    const NAME: &'static str = "channel";
    const FIXED: Option<&'static str> = Some("__all__");
    const PLURAL: &'static str = "channels";
    const BEFORE: &'static str = "before_channel";
}

impl ProjectList for Orderings {
    const KIND: ItemKind = ItemKind::Ordering;
    const NAME: &'static str = "ordering";
    const PLURAL: &'static str = "orderings";
    const BEFORE: &'static str = "before_ordering";
}

impl ProjectList for Fieldlists {
    const KIND: ItemKind = ItemKind::Fieldlist;
    const NAME: &'static str = "fieldlist";
    const PLURAL: &'static str = "fieldlists";
    const BEFORE: &'static str = "before_fieldlist";
}

pub(crate) async fn create<L: ProjectList>(
    caller: Caller,
    ProjectGid(project): ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let create = CreateItemRequest {
        caller_gid: caller.claims.sub.to_string(),
        project_gid: project.to_string(),
        kind: L::KIND.into(),
        name: body.required_string("name")?.to_owned(),
    };
    let created = peers.directory().create_item(create).await?.into_inner();
    let mut result = Map::new();
    result.insert(L::NAME.to_owned(), created.item_gid.into());
    result.insert("project".to_owned(), project.to_string().into());
    envelope::success_response(
        &Value::Object(result),
        &ProjectData::new(created.project.as_slice(), None),
    )
}

pub(crate) async fn update<L: ProjectList>(
    caller: Caller,
    ProjectGid(project): ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let rename = RenameItemRequest {
        item_gid: parse_item::<L>(L::NAME, body.required_string(L::NAME)?)?,
        name: body.required_string("name")?.to_owned(),
        caller_gid: caller.claims.sub.to_string(),
        project_gid: project.to_string(),
        kind: L::KIND.into(),
    };
    project_response(
        &project,
        &peers.directory().rename_item(rename).await?.into_inner(),
    )
}

pub(crate) async fn reorder<L: ProjectList>(
    caller: Caller,
    ProjectGid(project): ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let moved = MoveItemRequest {
        item_gid: parse_item::<L>(L::NAME, body.required_string(L::NAME)?)?,
        before_gid: body
            .optional_string(L::BEFORE)?
            .map(|before| parse_item::<L>(L::BEFORE, before))
            .transpose()?,
        caller_gid: caller.claims.sub.to_string(),
        project_gid: project.to_string(),
        kind: L::KIND.into(),
    };
    project_response(
        &project,
        &peers.directory().move_item(moved).await?.into_inner(),
    )
}

pub(crate) async fn delete<L: ProjectList>(
    caller: Caller,
    ProjectGid(project): ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let item_gids = match body.optional_string(L::NAME)? {
        Some(one) => vec![parse_item::<L>(L::NAME, one)?],
        None => match body.optional_strings(L::PLURAL)? {
            Some(several) => several
                .into_iter()
                .map(|one| parse_item::<L>(L::PLURAL, one))
                .collect::<Result<_, _>>()?,
            None => return Err(ApiError::missing_parameter(L::NAME)),
        },
    };
    let delete = DeleteItemsRequest {
        caller_gid: caller.claims.sub.to_string(),
        project_gid: project.to_string(),
        kind: L::KIND.into(),
        item_gids,
    };
    project_response(
        &project,
        &peers.directory().delete_items(delete).await?.into_inner(),
    )
}

/// Parses the gid of an item.
fn parse_item<L: ProjectList>(parameter: &str, text: &str) -> Result<String, ApiError> {
    // No item has the nil gid, so the directory answers that the item does not exist.
    if L::FIXED == Some(text) {
        return Ok(Gid::NIL.to_string());
    }
    let gid: Gid = text
        .parse()
        .map_err(|_| ApiError::invalid_parameter(parameter))?;
    Ok(gid.to_string())
}

pub(crate) async fn add_language(
    caller: Caller,
    project: ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let change = Change::Add(body.required_string("language")?.to_owned());
    change_languages(&caller, &project, change, &peers).await
}

pub(crate) async fn remove_language(
    caller: Caller,
    project: ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let change = Change::Remove(body.required_string("language")?.to_owned());
    change_languages(&caller, &project, change, &peers).await
}

#[derive(Serialize)]
struct LanguagesData<'a> {
    #[serde(rename = "cc.projects")]
    projects: Projects<'a>,
    // Clients expect these objects. They stay empty, because this server stores no product data.
    definitions: Empty,
    classes: Empty,
    fields: Empty,
    layouts: Empty,
}

async fn change_languages(
    caller: &Caller,
    ProjectGid(project): &ProjectGid,
    change: Change,
    peers: &Peers,
) -> Result<HttpResponse, ApiError> {
    let change = ChangeLanguagesRequest {
        caller_gid: caller.claims.sub.to_string(),
        project_gid: project.to_string(),
        change: Some(change),
    };
    let changed: Option<Project> = peers
        .directory()
        .change_languages(change)
        .await?
        .into_inner()
        .project;
    let data = LanguagesData {
        projects: Projects(changed.as_slice()),
        definitions: Empty {},
        classes: Empty {},
        fields: Empty {},
        layouts: Empty {},
    };
    envelope::success_response(&json!({"project": project.to_string()}), &data)
}

fn project_response(project: &Gid, changed: &ProjectResponse) -> Result<HttpResponse, ApiError> {
    let data = ProjectData::new(changed.project.as_slice(), None);
    envelope::success_response(&json!({"project": project.to_string()}), &data)
}
