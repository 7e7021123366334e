//! Calls of the invitee: `POST /api/account/accept_invite`, `/decline_invite` and `/leave_project`
//! with an account; `POST /api/init_invite` and `/api/decline_invite` with the emailed link.

use std::net::IpAddr;

use actix_web::{HttpRequest, HttpResponse, web::Data};
use doorward_rpc::{
    auth::v1::{Actor, ReportInvitationDeclinedRequest},
    directory::v1::{
        AcceptInvitationRequest, DeclineInvitationRequest, LeaveProjectRequest,
        ViewInvitationRequest, ViewInvitationResponse, decline_invitation_request::Invitee,
    },
};
use serde::Serialize;
use serde_json::json;

use crate::{
    handlers::{
        current_user::require_account,
        entries::{Memberships, Projects, Users},
        init::with_token,
        projects::ProjectData,
    },
    http::{
        body::Body,
        client_address::TrustedProxies,
        envelope::{self, ApiError, Empty},
    },
    peers::Peers,
    session::{caller::Caller, sessions::Sessions},
};

pub(crate) async fn accept(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
    sessions: Data<Sessions>,
) -> Result<HttpResponse, ApiError> {
    require_account(&caller)?;
    let caller_gid = caller.claims.sub.to_string();
    let project_gid = body.required_gid("project")?.to_string();
    let accept = AcceptInvitationRequest {
        caller_gid,
        project_gid: project_gid.clone(),
    };
    // Renewed before the change, so that a failed renewal leaves nothing changed.
    let token = sessions.renew(&peers, caller.token).await?;
    let accepted = peers
        .directory()
        .accept_invitation(accept)
        .await?
        .into_inner();
    let data = ProjectData::new(
        accepted.project.as_slice(),
        Some(accepted.membership.as_slice()),
    );
    with_token(
        envelope::success_response(&json!({"project": project_gid}), &data)?,
        &token,
    )
}

pub(crate) async fn decline(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    require_account(&caller)?;
    let project_gid = body.required_gid("project")?.to_string();
    decline_and_report(
        &peers,
        Invitee::UserGid(caller.claims.sub.to_string()),
        project_gid,
        caller.address,
    )
    .await
}

/// Declines with only the emailed link, without an account.
pub(crate) async fn decline_by_link(
    request: HttpRequest,
    body: Body,
    peers: Data<Peers>,
    trusted_proxies: Data<TrustedProxies>,
) -> Result<HttpResponse, ApiError> {
    let invitation_id = body.required_gid("invitee")?.to_string();
    let project_gid = body.required_gid("project")?.to_string();
    let address = trusted_proxies.find_client(&request);
    decline_and_report(
        &peers,
        Invitee::InvitationId(invitation_id),
        project_gid,
        address,
    )
    .await
}

pub(crate) async fn leave(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
    sessions: Data<Sessions>,
) -> Result<HttpResponse, ApiError> {
    require_account(&caller)?;
    let caller_gid = caller.claims.sub.to_string();
    let project_gid = body.required_gid("project")?.to_string();
    let token = sessions.renew(&peers, caller.token).await?;
    peers
        .directory()
        .leave_project(LeaveProjectRequest {
            caller_gid,
            project_gid,
        })
        .await?;
    with_token(envelope::success_response(&Empty {}, &Empty {})?, &token)
}

/// Returns the invitation that the emailed link names.
pub(crate) async fn view(body: Body, peers: Data<Peers>) -> Result<HttpResponse, ApiError> {
    let invitation_id = body.required_gid("invitee")?.to_string();
    let project_gid = body.required_gid("project")?.to_string();
    let view = ViewInvitationRequest {
        project_gid: project_gid.clone(),
        invitation_id,
    };
    let invitation: ViewInvitationResponse =
        peers.directory().view_invitation(view).await?.into_inner();
    let user_gid = invitation
        .user
        .as_ref()
        .map(|user| user.gid.as_str())
        .ok_or_else(ApiError::internal)?;
    let result =
        json!({"user": user_gid, "project": project_gid, "has_account": invitation.has_account});
    let data = InvitationData {
        users: Users {
            caller: None,
            others: invitation.user.as_slice(),
        },
        projects: Projects(invitation.project.as_slice()),
        memberships: Memberships(invitation.membership.as_slice()),
    };
    envelope::success_response(&result, &data)
}

#[derive(Serialize)]
struct InvitationData<'a> {
    #[serde(rename = "cc.users")]
    users: Users<'a>,
    #[serde(rename = "cc.projects")]
    projects: Projects<'a>,
    #[serde(rename = "cc.projects_members")]
    memberships: Memberships<'a>,
}

#[derive(Serialize)]
struct MembershipData<'a> {
    #[serde(rename = "cc.projects_members")]
    memberships: Memberships<'a>,
}

/// Declines an invitation, and reports it to auth for the audit trail. If auth cannot be called,
/// the invitation stays declined, and the log has the facts of the missing record.
async fn decline_and_report(
    peers: &Peers,
    invitee: Invitee,
    project_gid: String,
    address: IpAddr,
) -> Result<HttpResponse, ApiError> {
    let caller_gid = match &invitee {
        Invitee::UserGid(user_gid) => Some(user_gid.clone()),
        Invitee::InvitationId(_) => None,
    };
    let decline = DeclineInvitationRequest {
        project_gid: project_gid.clone(),
        invitee: Some(invitee),
    };
    let declined = peers
        .directory()
        .decline_invitation(decline)
        .await?
        .into_inner();
    let user_gid = declined
        .memberships
        .first()
        .map(|declined| declined.user_gid.clone())
        .unwrap_or_default();
    let actor = Some(Actor {
        user_gid: caller_gid,
        client_address: address.to_string(),
    });
    let report = ReportInvitationDeclinedRequest {
        user_gid: user_gid.clone(),
        project_gid: project_gid.clone(),
        actor,
    };
    if let Err(status) = peers.auth().report_invitation_declined(report).await {
        let code = status.code();
        tracing::error!(
            ?code,
            user_gid,
            project_gid,
            %address,
            "could not report a declined invitation to auth; the audit trail has no record of it"
        );
    }
    let data = MembershipData {
        memberships: Memberships(&declined.memberships),
    };
    envelope::success_response(&json!({"project": project_gid}), &data)
}
