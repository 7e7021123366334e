//! `POST /api/users/get` and `/api/members/get`: single entries, as far as they are visible to the
//! caller.

use actix_web::{HttpResponse, web::Data};
use doorward_rpc::directory::v1::{MembersResponse, User, ViewMemberRequest, ViewUserRequest};
use serde::Serialize;
use serde_json::json;

use crate::{
    handlers::entries::{Memberships, Users},
    http::{
        body::Body,
        envelope::{self, ApiError},
    },
    peers::Peers,
    session::caller::Caller,
};

pub(crate) async fn user(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let user_gid = body.required_gid("user")?.to_string();
    let view = ViewUserRequest {
        caller_gid: caller.claims.sub.to_string(),
        user_gid,
    };
    let user = peers
        .directory()
        .view_user(view)
        .await?
        .into_inner()
        .user
        .unwrap_or_default();
    users_response(std::slice::from_ref(&user), &user.gid)
}

pub(crate) async fn member(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let project_gid = body.required_gid("project")?.to_string();
    let user_gid = body.required_gid("member")?.to_string();
    let view = ViewMemberRequest {
        caller_gid: caller.claims.sub.to_string(),
        project_gid,
        user_gid,
    };
    member_response(&peers.directory().view_member(view).await?.into_inner())
}

fn users_response(users: &[User], gid: &str) -> Result<HttpResponse, ApiError> {
    #[derive(Serialize)]
    struct Data<'a> {
        #[serde(rename = "cc.users")]
        users: Users<'a>,
    }
    envelope::success_response(
        &json!({"user": gid}),
        &Data {
            users: Users {
                caller: None,
                others: users,
            },
        },
    )
}

#[derive(Serialize)]
struct MembersData<'a> {
    #[serde(rename = "cc.users")]
    users: Users<'a>,
    #[serde(rename = "cc.projects_members")]
    memberships: Memberships<'a>,
}

/// Returns one user with the membership.
pub(crate) fn member_response(members: &MembersResponse) -> Result<HttpResponse, ApiError> {
    let user = members.users.first().map_or("", |user| &user.gid);
    members_response(&json!({"user": user}), members)
}

/// Returns a membership without its user.
pub(crate) fn membership_response(members: &MembersResponse) -> Result<HttpResponse, ApiError> {
    #[derive(Serialize)]
    struct Data<'a> {
        #[serde(rename = "cc.projects_members")]
        memberships: Memberships<'a>,
    }
    let user = members.users.first().map_or("", |user| &user.gid);
    envelope::success_response(
        &json!({"user": user}),
        &Data {
            memberships: Memberships(&members.memberships),
        },
    )
}

/// Returns users with their memberships.
pub(crate) fn members_response<R: Serialize>(
    result: &R,
    members: &MembersResponse,
) -> Result<HttpResponse, ApiError> {
    let users = Users {
        caller: None,
        others: &members.users,
    };
    envelope::success_response(
        result,
        &MembersData {
            users,
            memberships: Memberships(&members.memberships),
        },
    )
}
