//! RPCs about invitations. They parse, call the directory and convert; the rules are in
//! `members/invitations.rs`.

use doorward_rpc::{
    RpcError,
    directory::v1::{self as pb, decline_invitation_request::Invitee},
};
use tonic::{Request, Response};

use crate::{
    VisibleMembers,
    service::{
        convert,
        members::{changed_member, members_response},
        request::{RpcResult, parse_caller, parse_gid},
        state::Service,
    },
};

pub(super) async fn invite_member(
    service: &Service,
    request: Request<pb::InviteMemberRequest>,
) -> RpcResult<pb::MembersResponse> {
    let request = request.into_inner();
    let caller = parse_caller(&request.caller_gid)?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    changed_member(
        service,
        service
            .directory
            .invite_member(caller, project, request.username_or_email)
            .await,
        caller,
    )
    .await
}

pub(super) async fn resend_invitation(
    service: &Service,
    request: Request<pb::ResendInvitationRequest>,
) -> RpcResult<pb::MembersResponse> {
    let request = request.into_inner();
    let caller = parse_caller(&request.caller_gid)?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let user = parse_gid(&request.user_gid, "user_gid")?;
    changed_member(
        service,
        service
            .directory
            .resend_invitation(caller, project, user)
            .await,
        caller,
    )
    .await
}

pub(super) async fn accept_invitation(
    service: &Service,
    request: Request<pb::AcceptInvitationRequest>,
) -> RpcResult<pb::AcceptInvitationResponse> {
    let request = request.into_inner();
    let caller = parse_caller(&request.caller_gid)?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let (project, member) = service
        .directory
        .accept_invitation(caller, project)
        .await
        .map_err(RpcError::from)?;
    let view = VisibleMembers {
        caller: member.user.gid,
        members: vec![member],
        is_owner: false,
    };
    let membership = convert::members(view).memberships.pop();
    Ok(Response::new(pb::AcceptInvitationResponse {
        project: Some(convert::full_project(project)),
        membership,
    }))
}

pub(super) async fn decline_invitation(
    service: &Service,
    request: Request<pb::DeclineInvitationRequest>,
) -> RpcResult<pb::MembersResponse> {
    let request = request.into_inner();
    let project = parse_gid(&request.project_gid, "project_gid")?;
    match request
        .invitee
        .ok_or_else(|| RpcError::invalid_parameter("invitee"))?
    {
        Invitee::UserGid(user) => {
            let caller = parse_gid(&user, "user_gid")?;
            let member = service
                .directory
                .decline_invitation(caller.into(), project)
                .await
                .map_err(RpcError::from)?;
            members_response(Ok(VisibleMembers {
                caller,
                members: vec![member],
                is_owner: false,
            }))
        }
        Invitee::InvitationId(invitation) => {
            let invitation = parse_gid(&invitation, "invitation_id")?;
            let member = service
                .directory
                .decline_invitation_by_link(invitation, project)
                .await
                .map_err(RpcError::from)?;
            let (user, membership) = convert::member_without_options(member);
            Ok(Response::new(pb::MembersResponse {
                users: vec![user],
                memberships: vec![membership],
            }))
        }
    }
}

pub(super) async fn view_invitation(
    service: &Service,
    request: Request<pb::ViewInvitationRequest>,
) -> RpcResult<pb::ViewInvitationResponse> {
    let request = request.into_inner();
    let invitation = parse_gid(&request.invitation_id, "invitation_id")?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let (project, member) = service
        .directory
        .view_invitation(invitation, project)
        .await
        .map_err(RpcError::from)?;
    let has_account = member.user.username.is_some();
    let (user, membership) = convert::member_without_options(member);
    let project = Some(convert::project(project));
    Ok(Response::new(pb::ViewInvitationResponse {
        user: Some(user),
        project,
        membership: Some(membership),
        has_account,
    }))
}
