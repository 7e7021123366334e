//! RPCs about inits. They parse, call the directory and convert; the rules are in `users/init.rs`
//! and `projects/init.rs`.

use doorward_rpc::{RpcError, directory::v1 as pb};
use tonic::{Request, Response};

use crate::service::{
    convert,
    request::{RpcResult, parse_gid},
    state::Service,
};

pub(super) async fn get_init(
    service: &Service,
    request: Request<pb::GetInitRequest>,
) -> RpcResult<pb::GetInitResponse> {
    let request = request.into_inner();
    let user = parse_gid(&request.user_gid, "user_gid")?;
    if let Some(cursor) = unchanged_cursor(service, request.known_cursor).await? {
        return Ok(Response::new(pb::GetInitResponse {
            cursor,
            is_unchanged: true,
            ..Default::default()
        }));
    }
    let init = service
        .directory
        .get_init(user.into())
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(convert::init(init)))
}

pub(super) async fn get_project_init(
    service: &Service,
    request: Request<pb::GetProjectInitRequest>,
) -> RpcResult<pb::GetProjectInitResponse> {
    let request = request.into_inner();
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let user = parse_gid(&request.user_gid, "user_gid")?;
    if let Some(cursor) = unchanged_cursor(service, request.known_cursor).await? {
        return Ok(Response::new(pb::GetProjectInitResponse {
            cursor,
            is_unchanged: true,
            ..Default::default()
        }));
    }
    let init = service
        .directory
        .get_project_init(project, user.into())
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(convert::project_init(init)))
}

/// Returns the cursor that the client knows if nothing has changed since, so that the response
/// can be short. `docs/adr/0012-unchanged-inits.md` has the reasons.
async fn unchanged_cursor(service: &Service, known: Option<i64>) -> Result<Option<i64>, RpcError> {
    let Some(known) = known else { return Ok(None) };
    let head = service
        .directory
        .feed_head()
        .await
        .map_err(RpcError::from)?;
    Ok((head == known).then_some(known))
}
