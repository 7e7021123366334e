//! RPCs about members. They parse, call the directory and convert; the rules are in `members/`.

use doorward_rpc::{RpcError, directory::v1 as pb};
use tonic::{Request, Response};

use crate::{
    Actor, Caller, Error, Member, MemberChange, NotificationsChange, VisibleMembers,
    service::{
        convert,
        request::{RpcResult, parse_caller, parse_gid, parse_page_size},
        state::Service,
    },
};

/// Maximum number of members in one request.
const MAX_MEMBERS: usize = 1000;

pub(super) async fn list_members(
    service: &Service,
    request: Request<pb::ListMembersRequest>,
) -> RpcResult<pb::ListMembersResponse> {
    let request = request.into_inner();
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let after = request
        .after_user_gid
        .as_deref()
        .map(|after| parse_gid(after, "after_user_gid"))
        .transpose()?;
    let limit = parse_page_size(request.page_size)?;
    let members = service
        .directory
        .list_members(project, after, limit)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::ListMembersResponse {
        memberships: members.iter().map(convert::membership).collect(),
    }))
}

pub(super) async fn check_membership(
    service: &Service,
    request: Request<pb::CheckMembershipRequest>,
) -> RpcResult<pb::CheckMembershipResponse> {
    let request = request.into_inner();
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let membership = service
        .directory
        .find_active_membership(project, user)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::CheckMembershipResponse {
        is_active: membership.is_some(),
        roles: membership
            .iter()
            .map(|own| pb::Role::from(own.role).into())
            .collect(),
        rate_limit_per_second: membership.and_then(|own| own.rate_limit_per_second),
    }))
}

pub(super) async fn view_user(
    service: &Service,
    request: Request<pb::ViewUserRequest>,
) -> RpcResult<pb::UserResponse> {
    let request = request.into_inner();
    let caller = parse_gid(&request.caller_gid, "caller_gid")?;
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let viewed = service
        .directory
        .view_user(caller.into(), user)
        .await
        .map_err(RpcError::from)?;
    // Only the user sees the details of their account.
    let user = if viewed.gid == caller {
        convert::user(viewed)
    } else {
        convert::user_summary(viewed)
    };
    Ok(Response::new(pb::UserResponse { user: Some(user) }))
}

pub(super) async fn view_member(
    service: &Service,
    request: Request<pb::ViewMemberRequest>,
) -> RpcResult<pb::MembersResponse> {
    let request = request.into_inner();
    let caller = parse_caller(&request.caller_gid)?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    members_response(
        service
            .directory
            .view_member(caller, project, parse_gid(&request.user_gid, "user_gid")?)
            .await,
    )
}

pub(super) async fn view_members(
    service: &Service,
    request: Request<pb::ViewMembersRequest>,
) -> RpcResult<pb::MembersResponse> {
    let request = request.into_inner();
    let caller = parse_caller(&request.caller_gid)?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    if request.user_gids.len() > MAX_MEMBERS {
        return Err(RpcError::invalid_parameter("user_gids").into());
    }
    let users = request
        .user_gids
        .iter()
        .map(|user| parse_gid(user, "user_gids"))
        .collect::<Result<_, _>>()?;
    members_response(service.directory.view_members(caller, project, users).await)
}

pub(super) async fn remove_member(
    service: &Service,
    request: Request<pb::RemoveMemberRequest>,
) -> RpcResult<pb::RemoveMemberResponse> {
    let request = request.into_inner();
    let caller = parse_caller(&request.caller_gid)?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let user = parse_gid(&request.user_gid, "user_gid")?;
    service
        .directory
        .remove_member(Actor::User(caller), project, user)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::RemoveMemberResponse {}))
}

pub(super) async fn set_member_status(
    service: &Service,
    request: Request<pb::SetMemberStatusRequest>,
) -> RpcResult<pb::MembersResponse> {
    let request = request.into_inner();
    let caller = parse_caller(&request.caller_gid)?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let user = parse_gid(&request.user_gid, "user_gid")?;
    changed_member(
        service,
        service
            .directory
            .set_member_status(caller, project, user, request.is_active)
            .await,
        caller,
    )
    .await
}

pub(super) async fn update_member(
    service: &Service,
    request: Request<pb::UpdateMemberRequest>,
) -> RpcResult<pb::MembersResponse> {
    let request = request.into_inner();
    let caller = parse_caller(&request.caller_gid)?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let user = parse_gid(&request.user_gid, "user_gid")?;
    // 0 would block the member; removing the limit is an empty `rate_limit_per_second`.
    if request
        .rate_limit
        .is_some_and(|limit| limit.rate_limit_per_second == Some(0))
    {
        return Err(RpcError::invalid_parameter("rate_limit").into());
    }
    let change = MemberChange {
        limit: request.rate_limit.map(|limit| limit.rate_limit_per_second),
        notifications: request.notifications.map(|change| NotificationsChange {
            email: change.email,
            events: change.events.map(|list| list.events),
            frequency: change.frequency,
        }),
    };
    members_response(
        service
            .directory
            .update_member(caller, project, user, change)
            .await,
    )
}

pub(super) async fn leave_project(
    service: &Service,
    request: Request<pb::LeaveProjectRequest>,
) -> RpcResult<pb::RemoveMemberResponse> {
    let request = request.into_inner();
    let caller = parse_caller(&request.caller_gid)?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    service
        .directory
        .leave_project(caller, project)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::RemoveMemberResponse {}))
}

/// Responds with a changed member, as the caller sees it.
pub(super) async fn changed_member(
    service: &Service,
    changed: Result<Member, Error>,
    caller: Caller,
) -> RpcResult<pb::MembersResponse> {
    let member = changed.map_err(RpcError::from)?;
    members_response(service.directory.view_changed_member(caller, member).await)
}

/// Responds with members, as the caller sees them.
pub(super) fn members_response(
    view: Result<VisibleMembers, Error>,
) -> RpcResult<pb::MembersResponse> {
    Ok(Response::new(convert::members(
        view.map_err(RpcError::from)?,
    )))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use doorward_domain::{
        DisplayName, Email, Gid, IdGenerator, RandomIdGenerator, SystemClock, Timezone, Username,
    };
    use doorward_storage::testing::TestDatabase;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{Directory, MIGRATIONS, NewUser};

    /// A project with its owner and a member.
    struct ProjectFixture {
        service: Service,
        owner: Gid,
        member: Gid,
        project: Gid,
    }

    impl ProjectFixture {
        async fn new(test: &TestDatabase) -> Self {
            let directory = Directory::new(
                test.database.clone(),
                Arc::new(SystemClock),
                Arc::new(RandomIdGenerator),
            );
            let mut users = [Gid::NIL; 2];
            for (user, name) in users.iter_mut().zip(["ann", "ben"]) {
                let username = Username::parse(name).unwrap();
                let name = DisplayName::parse(name).unwrap();
                let email = Email::parse(&format!("{username}@example.org")).unwrap();
                let new_user =
                    NewUser::new(RandomIdGenerator.new_gid(), username, Some(email), name);
                *user = directory.create_user(new_user).await.unwrap().gid;
            }
            let [owner, member] = users;
            let name = DisplayName::parse("Herbarium").unwrap();
            let project = directory
                .create_project_for(owner, name, Timezone::default())
                .await
                .unwrap()
                .gid;
            directory.add_member(project, member).await.unwrap();
            Self {
                service: Service {
                    directory,
                    shutdown: CancellationToken::new(),
                },
                owner,
                member,
                project,
            }
        }
    }

    #[tokio::test]
    async fn only_the_user_themself_sees_the_whole_account() {
        for test in TestDatabase::both(&MIGRATIONS) {
            let fixture = ProjectFixture::new(&test).await;
            for (caller, is_complete) in [(fixture.member, true), (fixture.owner, false)] {
                let request = pb::ViewUserRequest {
                    caller_gid: caller.to_string(),
                    user_gid: fixture.member.to_string(),
                };
                let response = view_user(&fixture.service, Request::new(request)).await;
                let user = response.unwrap().into_inner().user.unwrap();
                assert_eq!(
                    (user.name.as_str(), user.details.is_some()),
                    ("ben", is_complete)
                );
            }
        }
    }

    #[tokio::test]
    async fn at_most_a_thousand_members_are_viewed_in_one_request() {
        for test in TestDatabase::both(&MIGRATIONS) {
            let fixture = ProjectFixture::new(&test).await;
            let view = async |count| {
                let request = pb::ViewMembersRequest {
                    caller_gid: fixture.owner.to_string(),
                    project_gid: fixture.project.to_string(),
                    user_gids: vec![fixture.member.to_string(); count],
                };
                view_members(&fixture.service, Request::new(request))
                    .await
                    .map_err(RpcError::from)
            };
            for count in [0, 1, 1000] {
                assert_eq!(
                    view(count).await.unwrap().into_inner().memberships.len(),
                    count
                );
            }
            assert_eq!(
                view(1001).await.unwrap_err(),
                RpcError::invalid_parameter("user_gids")
            );
        }
    }

    #[tokio::test]
    async fn a_limit_is_at_least_one_request_per_second() {
        for test in TestDatabase::both(&MIGRATIONS) {
            let fixture = ProjectFixture::new(&test).await;
            let update = async |rate_limit_per_second| {
                let request = pb::UpdateMemberRequest {
                    caller_gid: fixture.owner.to_string(),
                    project_gid: fixture.project.to_string(),
                    user_gid: fixture.member.to_string(),
                    rate_limit: Some(pb::RateLimitChange {
                        rate_limit_per_second,
                    }),
                    notifications: None,
                };
                update_member(&fixture.service, Request::new(request))
                    .await
                    .map_err(RpcError::from)
            };
            for limit in [Some(1), None] {
                update(limit).await.unwrap();
                let membership = fixture
                    .service
                    .directory
                    .find_active_membership(fixture.project, fixture.member)
                    .await
                    .unwrap()
                    .unwrap();
                assert_eq!(membership.rate_limit_per_second, limit);
            }
            assert_eq!(
                update(Some(0)).await.unwrap_err(),
                RpcError::invalid_parameter("rate_limit")
            );
        }
    }
}
