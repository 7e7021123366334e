//! The gRPC method that records an event of the directory in the audit trail.

use doorward_rpc::{RpcError, auth::v1 as pb, server::request_ids};
use tonic::{Request, Response};

use crate::{
    audit,
    model::{Action, Entry},
    service::{
        request::{RpcResult, actor_origin, parse_gid},
        state::Service,
    },
};

pub(super) async fn report_invitation_declined(
    service: &Service,
    request: Request<pb::ReportInvitationDeclinedRequest>,
) -> RpcResult<pb::ReportInvitationDeclinedResponse> {
    let request_id = request_ids(&request);
    let request = request.into_inner();
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let origin = actor_origin(request.actor, request_id)?;
    let entry =
        Entry::new(Action::InvitationDeclined, Some(user), &origin).with_project(Some(project));
    let clock = service.clock.clone();
    let recorded = service
        .database
        .write(move |connection| audit::record(connection, entry, clock.now()))
        .await;
    recorded.map_err(RpcError::from)?;
    Ok(Response::new(pb::ReportInvitationDeclinedResponse {}))
}
