//! `POST /api/projects/upload_icon`, `.../delete_icon`: the icons of projects.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use doorward_media::Format;
use doorward_proto::directory::v1::{PrepareIconRequest, SetIconRequest};

use crate::{
    Gateway,
    body::Body,
    caller::Caller,
    envelope::Problem,
    media,
    peers::Peers,
    people::refuse_api_users,
    projects,
    upload::{self, Form},
};

/// As with avatars: the file is registered to be deleted before it is there, and there before anybody is told of it.
pub(crate) async fn upload(
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
    peers: Data<Peers>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    // They own no project.
    refuse_api_users(&caller)?;
    let form: Form = upload::read(&request, payload, &gateway.uploads).await?;
    let (caller_gid, project_gid) = (caller.claims.sub.to_string(), form.project()?.to_string());
    let file = form.into_file()?;
    // Whether they may comes before whether it is a picture. Of what is none, nothing is left but the name.
    let extension = Format::of(file.as_ref()).unwrap_or(Format::Png).extension().to_owned();
    let prepare = PrepareIconRequest { caller_gid: caller_gid.clone(), project_gid: project_gid.clone(), extension };
    let name = peers.directory().prepare_icon(prepare).await?.into_inner().name;
    let picture = gateway.pictures.read(file).await?;
    let put = gateway.store.put(&media::icon_file(&name), picture.bytes).await;
    put.map_err(|error| media::away(&error))?;
    set(&peers, &gateway, SetIconRequest { caller_gid, project_gid, name: Some(name) }).await
}

pub(crate) async fn delete(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    let (caller_gid, project_gid) = (caller.claims.sub.to_string(), body.gid("project")?.to_string());
    set(&peers, &gateway, SetIconRequest { caller_gid, project_gid, name: None }).await
}

async fn set(peers: &Peers, gateway: &Gateway, set: SetIconRequest) -> Result<HttpResponse, Problem> {
    let changed = peers.directory().set_icon(set).await?.into_inner();
    gateway.discarded.notify_one();
    projects::answer(&changed)
}
