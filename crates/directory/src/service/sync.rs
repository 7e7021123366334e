//! RPCs about the change feed, except the streams. They parse, call the directory and convert; the
//! rules are in `feed/`.

use doorward_rpc::{RpcError, directory::v1 as pb};
use doorward_service_tokens::check_project;
use tonic::{Request, Response};

use crate::{
    SyncCursors,
    feed::publish::PublishedRow,
    service::{
        convert,
        request::{RpcResult, parse_gid},
        state::Service,
    },
};

pub(super) async fn sync(
    service: &Service,
    request: Request<pb::SyncRequest>,
) -> RpcResult<pb::SyncResponse> {
    let request = request.into_inner();
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let project = request
        .project_gid
        .as_deref()
        .map(|project| parse_gid(project, "project_gid"))
        .transpose()?;
    let since = SyncCursors {
        cc_cursor: request.cc_cursor,
        project,
        cursor: request.cursor,
    };
    let page = service
        .directory
        .sync(user.into(), since, request.include_audiences)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(convert::sync_page(page)))
}

pub(super) async fn get_cursor(
    service: &Service,
    request: Request<pb::GetCursorRequest>,
) -> RpcResult<pb::GetCursorResponse> {
    let request = request.into_inner();
    let project = request
        .project_gid
        .as_deref()
        .map(|project| parse_gid(project, "project_gid"))
        .transpose()?;
    // Another service asks without a user: it follows the changes, not the events of a user.
    let cursor = if request.user_gid.is_empty() && project.is_none() {
        service.directory.newest_change_cursor().await
    } else {
        service
            .directory
            .get_cursor(parse_gid(&request.user_gid, "user_gid")?.into(), project)
            .await
    };
    let cursor = cursor.map_err(RpcError::from)?;
    Ok(Response::new(pb::GetCursorResponse { cursor }))
}

pub(super) async fn publish(
    service: &Service,
    request: Request<pb::PublishRequest>,
) -> RpcResult<pb::PublishResponse> {
    let project = parse_gid(&request.get_ref().project_gid, "project_gid")?;
    // A named service token allows writes only in its list of projects.
    check_project(&request, project)?;
    let request = request.into_inner();
    let row = |row: pb::PublishedRow| {
        let action = convert::parse_action(row.action())
            .ok_or_else(|| RpcError::invalid_parameter("rows"))?;
        Ok::<_, RpcError>(PublishedRow {
            action,
            data_type: row.data_type,
            data_key: row.data_key,
        })
    };
    let rows = request
        .rows
        .into_iter()
        .map(row)
        .collect::<Result<_, _>>()?;
    let cursor = service
        .directory
        .publish(project, rows)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::PublishResponse { cursor }))
}
