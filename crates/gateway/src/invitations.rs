//! Invitations, by who is invited: `POST /api/account/accept_invite`, `/decline_invite`, `/leave_project` with an account, and
//! `POST /api/init_invite`, `/api/decline_invite` with the link that was mailed.

use actix_web::{HttpResponse, web::Data};
use doorward_proto::directory::v1::{
    AcceptInviteRequest, DeclineInviteRequest, LeaveProjectRequest, ViewInviteRequest, ViewInviteResponse,
};
use serde::Serialize;
use serde_json::json;

use crate::{
    Gateway,
    body::Body,
    caller::Caller,
    entries::{Memberships, Projects, Users},
    envelope::{self, Empty, Problem},
    init::with_token,
    peers::Peers,
    people::refuse_api_users,
    projects::ProjectData,
};

pub(crate) async fn accept(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    refuse_api_users(&caller)?;
    let (caller_gid, project_gid) = (caller.claims.sub.to_string(), body.gid("project")?.to_string());
    let accept = AcceptInviteRequest { caller_gid, project_gid: project_gid.clone() };
    let token = gateway.renewals.renew(&peers, caller.token, gateway.trust.keys_generation()).await?;
    let accepted = peers.directory().accept_invite(accept).await?.into_inner();
    let data = ProjectData::new(accepted.project.as_slice(), Some(accepted.membership.as_slice()));
    with_token(envelope::success(&json!({"project": project_gid}), &data)?, &token)
}

pub(crate) async fn decline(caller: Caller, body: Body, peers: Data<Peers>) -> Result<HttpResponse, Problem> {
    refuse_api_users(&caller)?;
    let project_gid = body.gid("project")?.to_string();
    decline_of(&peers, caller.claims.sub.to_string(), project_gid, true).await
}

/// By whoever has the link.
pub(crate) async fn decline_by_link(body: Body, peers: Data<Peers>) -> Result<HttpResponse, Problem> {
    let (invitee, project) = (body.gid("invitee")?.to_string(), body.gid("project")?.to_string());
    decline_of(&peers, invitee, project, false).await
}

pub(crate) async fn leave(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    refuse_api_users(&caller)?;
    let (caller_gid, project_gid) = (caller.claims.sub.to_string(), body.gid("project")?.to_string());
    let token = gateway.renewals.renew(&peers, caller.token, gateway.trust.keys_generation()).await?;
    peers.directory().leave_project(LeaveProjectRequest { caller_gid, project_gid }).await?;
    with_token(envelope::success(&Empty {}, &Empty {})?, &token)
}

/// What the link leads to.
pub(crate) async fn init(body: Body, peers: Data<Peers>) -> Result<HttpResponse, Problem> {
    let (user_gid, project_gid) = (body.gid("invitee")?.to_string(), body.gid("project")?.to_string());
    let view = ViewInviteRequest { project_gid: project_gid.clone(), user_gid: user_gid.clone() };
    let invite: ViewInviteResponse = peers.directory().view_invite(view).await?.into_inner();
    let result = json!({"user": user_gid, "project": project_gid, "has_account": invite.has_account});
    let data = InviteData {
        users: Users { caller: None, others: invite.user.as_slice() },
        projects: Projects(invite.project.as_slice()),
        memberships: Memberships(invite.membership.as_slice()),
    };
    envelope::success(&result, &data)
}

#[derive(Serialize)]
struct InviteData<'a> {
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

async fn decline_of(
    peers: &Peers,
    user_gid: String,
    project_gid: String,
    is_own: bool,
) -> Result<HttpResponse, Problem> {
    let decline = DeclineInviteRequest { project_gid: project_gid.clone(), user_gid, is_own };
    let declined = peers.directory().decline_invite(decline).await?.into_inner();
    let data = MembershipData { memberships: Memberships(&declined.memberships) };
    envelope::success(&json!({"project": project_gid}), &data)
}
