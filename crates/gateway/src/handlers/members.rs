//! `POST /api/p/{project}/members/...`: the members of a project.

use std::collections::HashSet;

use actix_web::{HttpResponse, web::Data};
use doorward_domain::{Email, Gid};
use doorward_rpc::auth::v1::CountInvitationRequest;
use doorward_rpc::directory::v1::{
    EventList, InviteMemberRequest, NotificationsChange, RateLimitChange, RemoveMemberRequest,
    ResendInvitationRequest, SetMemberStatusRequest, UpdateMemberRequest, ViewMembersRequest,
};
use serde_json::{Map, Value, json};

use crate::{
    handlers::users::{member_response, members_response, membership_response},
    http::{
        body::Body,
        envelope::{self, ApiError, Empty},
        project_path::ProjectGid,
    },
    peers::Peers,
    session::caller::Caller,
};

/// Maximum number of members in one call.
const MAX_MEMBERS: usize = 1000;
/// Maximum number of events for which a member wants notifications.
const MAX_EVENTS: usize = 100;
/// Maximum length of an event or a frequency.
const MAX_WORD_CHARS: usize = 100;

pub(crate) async fn get(
    caller: Caller,
    ProjectGid(project): ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let one = body
        .optional_gid("member")?
        .map(|member| member.to_string());
    let user_gids = match &one {
        Some(one) => vec![one.clone()],
        None => match body.optional_gids("members")? {
            Some(several) if several.len() <= MAX_MEMBERS => deduplicate(&several),
            Some(_) => return Err(ApiError::invalid_parameter("members")),
            None => return Err(ApiError::missing_parameter("member")),
        },
    };
    let view = ViewMembersRequest {
        caller_gid: caller.claims.sub.to_string(),
        project_gid: project.to_string(),
        user_gids: user_gids.clone(),
    };
    let members = peers.directory().view_members(view).await?.into_inner();
    match one {
        Some(_) => member_response(&members),
        None => members_response(&json!({"users": user_gids}), &members),
    }
}

pub(crate) async fn invite(
    caller: Caller,
    ProjectGid(project): ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let invite = InviteMemberRequest {
        caller_gid: caller.claims.sub.to_string(),
        project_gid: project.to_string(),
        username_or_email: body.required_string("username_or_email")?.to_owned(),
    };
    count_invitation(&peers, &invite.caller_gid).await?;
    member_response(&peers.directory().invite_member(invite).await?.into_inner())
}

pub(crate) async fn resend_invitation(
    caller: Caller,
    ProjectGid(project): ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let resend = ResendInvitationRequest {
        caller_gid: caller.claims.sub.to_string(),
        project_gid: project.to_string(),
        user_gid: body.required_gid("user")?.to_string(),
    };
    count_invitation(&peers, &resend.caller_gid).await?;
    member_response(
        &peers
            .directory()
            .resend_invitation(resend)
            .await?
            .into_inner(),
    )
}

/// Counts an invitation against the limit of the inviter, because it sends a mail. It is counted
/// before the directory is called, so rejected invitations count too.
async fn count_invitation(peers: &Peers, inviter: &str) -> Result<(), ApiError> {
    let count = CountInvitationRequest {
        inviter_gid: inviter.to_owned(),
    };
    peers.auth().count_invitation(count).await?;
    Ok(())
}

pub(crate) async fn remove(
    caller: Caller,
    ProjectGid(project): ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let remove = RemoveMemberRequest {
        caller_gid: caller.claims.sub.to_string(),
        project_gid: project.to_string(),
        user_gid: body.required_gid("user")?.to_string(),
    };
    peers.directory().remove_member(remove).await?;
    envelope::success_response(&Empty {}, &Empty {})
}

pub(crate) async fn deactivate(
    caller: Caller,
    project: ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    set_status(&caller, &project, &body, &peers, false).await
}

pub(crate) async fn activate(
    caller: Caller,
    project: ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    set_status(&caller, &project, &body, &peers, true).await
}

pub(crate) async fn update(
    caller: Caller,
    ProjectGid(project): ProjectGid,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let user_gid = body.required_gid("user")?.to_string();
    let options = body.required_object("options")?;
    let update = UpdateMemberRequest {
        caller_gid: caller.claims.sub.to_string(),
        project_gid: project.to_string(),
        user_gid,
        rate_limit: options
            .get("rate_limit_per_second")
            .map(parse_rate_limit)
            .transpose()?,
        notifications: options
            .get("notifications")
            .map(parse_notifications)
            .transpose()?,
    };
    membership_response(&peers.directory().update_member(update).await?.into_inner())
}

/// Returns the gids in their order, without duplicates.
fn deduplicate(gids: &[Gid]) -> Vec<String> {
    let mut seen = HashSet::new();
    gids.iter()
        .filter(|gid| seen.insert(**gid))
        .map(ToString::to_string)
        .collect()
}

async fn set_status(
    caller: &Caller,
    ProjectGid(project): &ProjectGid,
    body: &Body,
    peers: &Peers,
    is_active: bool,
) -> Result<HttpResponse, ApiError> {
    let set = SetMemberStatusRequest {
        caller_gid: caller.claims.sub.to_string(),
        project_gid: project.to_string(),
        user_gid: body.required_gid("user")?.to_string(),
        is_active,
    };
    member_response(&peers.directory().set_member_status(set).await?.into_inner())
}

/// Parses a rate limit: null, or a whole number from 1.
fn parse_rate_limit(value: &Value) -> Result<RateLimitChange, ApiError> {
    let number = value
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| *number > 0);
    if value.is_null() || number.is_some() {
        return Ok(RateLimitChange {
            rate_limit_per_second: number,
        });
    }
    Err(ApiError::invalid_parameter("options"))
}

/// Parses the settings for notifications. The words in them have no meaning for this server; only
/// their form is checked.
fn parse_notifications(value: &Value) -> Result<NotificationsChange, ApiError> {
    let invalid = || ApiError::invalid_parameter("options");
    let notifications: &Map<String, Value> = value.as_object().ok_or_else(invalid)?;
    let word = |value: &Value| {
        let text = value
            .as_str()
            .map(str::trim)
            .filter(|text| !text.is_empty() && !text.contains(char::is_control));
        text.filter(|text| text.chars().count() <= MAX_WORD_CHARS)
            .map(str::to_owned)
            .ok_or_else(invalid)
    };
    let email = |value: &Value| {
        let email = value.as_str().ok_or_else(invalid)?;
        Email::parse(email)
            .map(|email| email.to_string())
            .map_err(|_| ApiError::validation("email", "invalid"))
    };
    let events = |value: &Value| {
        let events = value
            .as_array()
            .filter(|events| events.len() <= MAX_EVENTS)
            .ok_or_else(invalid)?;
        Ok::<_, ApiError>(EventList {
            events: events.iter().map(word).collect::<Result<_, _>>()?,
        })
    };
    Ok(NotificationsChange {
        email: notifications.get("email").map(email).transpose()?,
        events: notifications.get("events").map(events).transpose()?,
        frequency: notifications.get("frequency").map(word).transpose()?,
    })
}
