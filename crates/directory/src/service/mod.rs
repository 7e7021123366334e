//! The gRPC service of the directory: each method parses, calls the directory and converts. It does
//! not know rules or tables.

mod accounts;
pub(crate) mod convert;
mod media;
mod members;
mod projects;
mod sync;

use doorward_rpc::{
    RpcError,
    directory::v1::{self as pb, directory_server, find_login_request::Identifier as PbIdentifier},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    Actor, Directory, LoginIdentifier,
    feed::watch,
    service::convert::{parse_caller, parse_gid},
};

/// Default number of entries in a page.
const PAGE: u32 = 100;
/// Maximum number of entries that a client can ask for.
const MAX_PAGE: u32 = 1000;

type RpcResult<T> = Result<Response<T>, Status>;

pub(crate) struct Service {
    pub(crate) directory: Directory,
    pub(crate) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl directory_server::Directory for Service {
    async fn find_login(
        &self,
        request: Request<pb::FindLoginRequest>,
    ) -> RpcResult<pb::FindLoginResponse> {
        let request = request.into_inner();
        let identifier = match request
            .identifier
            .ok_or_else(|| RpcError::invalid_parameter("identifier"))?
        {
            PbIdentifier::Username(text) => LoginIdentifier::Username(text),
            PbIdentifier::UserGid(text) => LoginIdentifier::Gid(parse_gid(&text, "user_gid")?),
        };
        let project = request
            .project_gid
            .as_deref()
            .map(|project| parse_gid(project, "project_gid"))
            .transpose()?;
        let username = identifier.normalized();
        // The time is taken before the query, so that a deactivation after the query is later than
        // the check.
        let checked_at = self.directory.clock.now().as_micros();
        let found = self
            .directory
            .find_login(identifier, project)
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(pb::FindLoginResponse {
            user_gid: found.map(|(user, _)| user.to_string()),
            is_login_allowed: found.is_some_and(|(_, is_login_allowed)| is_login_allowed),
            checked_at,
            username,
        }))
    }

    async fn get_init(
        &self,
        request: Request<pb::GetInitRequest>,
    ) -> RpcResult<pb::GetInitResponse> {
        let request = request.into_inner();
        let user = parse_gid(&request.user_gid, "user_gid")?;
        if let Some(cursor) = self.unchanged_cursor(request.known_cursor).await? {
            return Ok(Response::new(pb::GetInitResponse {
                cursor,
                is_unchanged: true,
                ..Default::default()
            }));
        }
        let init = self
            .directory
            .get_init(user.into())
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(convert::init(init)))
    }

    async fn get_project_init(
        &self,
        request: Request<pb::GetProjectInitRequest>,
    ) -> RpcResult<pb::GetProjectInitResponse> {
        let request = request.into_inner();
        let project = parse_gid(&request.project_gid, "project_gid")?;
        let user = parse_gid(&request.user_gid, "user_gid")?;
        if let Some(cursor) = self.unchanged_cursor(request.known_cursor).await? {
            return Ok(Response::new(pb::GetProjectInitResponse {
                cursor,
                is_unchanged: true,
                ..Default::default()
            }));
        }
        let init = self
            .directory
            .get_project_init(project, user.into())
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(convert::project_init(init)))
    }

    // Accounts: accounts.rs.

    async fn check_username(
        &self,
        request: Request<pb::CheckUsernameRequest>,
    ) -> RpcResult<pb::CheckUsernameResponse> {
        accounts::check_username(&self.directory, request.into_inner()).await
    }

    async fn find_accounts(
        &self,
        request: Request<pb::FindAccountsRequest>,
    ) -> RpcResult<pb::FindAccountsResponse> {
        accounts::find_accounts(&self.directory, request.into_inner()).await
    }

    async fn create_account(
        &self,
        request: Request<pb::CreateAccountRequest>,
    ) -> RpcResult<pb::UserResponse> {
        accounts::create_account(&self.directory, request.into_inner()).await
    }

    async fn update_user(
        &self,
        request: Request<pb::UpdateUserRequest>,
    ) -> RpcResult<pb::UserResponse> {
        accounts::update_user(&self.directory, request.into_inner()).await
    }

    async fn set_email(
        &self,
        request: Request<pb::SetEmailRequest>,
    ) -> RpcResult<pb::UserResponse> {
        accounts::set_email(&self.directory, request.into_inner()).await
    }

    async fn delete_account(
        &self,
        request: Request<pb::DeleteAccountRequest>,
    ) -> RpcResult<pb::DeleteAccountResponse> {
        accounts::delete_account(&self.directory, request.into_inner()).await
    }

    async fn get_user(
        &self,
        request: Request<pb::GetUserRequest>,
    ) -> RpcResult<pb::GetUserResponse> {
        let user = parse_gid(&request.get_ref().user_gid, "user_gid")?;
        let user = self
            .directory
            .get_user_by_gid(user)
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(pb::GetUserResponse {
            user: Some(convert::user(user)),
        }))
    }

    async fn get_project(
        &self,
        request: Request<pb::GetProjectRequest>,
    ) -> RpcResult<pb::GetProjectResponse> {
        let project = parse_gid(&request.get_ref().project_gid, "project_gid")?;
        let project = self
            .directory
            .get_full_project(project)
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(pb::GetProjectResponse {
            project: Some(convert::full_project(project)),
        }))
    }

    async fn list_projects(
        &self,
        request: Request<pb::ListProjectsRequest>,
    ) -> RpcResult<pb::ListProjectsResponse> {
        projects::list_projects(&self.directory, request.into_inner()).await
    }

    async fn list_members(
        &self,
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
        let members = self
            .directory
            .list_members(project, after, limit)
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(pb::ListMembersResponse {
            memberships: members.iter().map(convert::membership).collect(),
        }))
    }

    async fn check_membership(
        &self,
        request: Request<pb::CheckMembershipRequest>,
    ) -> RpcResult<pb::CheckMembershipResponse> {
        let request = request.into_inner();
        let project = parse_gid(&request.project_gid, "project_gid")?;
        let user = parse_gid(&request.user_gid, "user_gid")?;
        let membership = self
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

    async fn create_api_user(
        &self,
        request: Request<pb::CreateApiUserRequest>,
    ) -> RpcResult<pb::ApiUserResponse> {
        let request = request.into_inner();
        let project = parse_gid(&request.project_gid, "project_gid")?;
        let caller = parse_caller(&request.caller_gid)?;
        let created = self
            .directory
            .create_api_user(Actor::User(caller), project, request.name)
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(convert::api_user(created)))
    }

    async fn get_api_user(
        &self,
        request: Request<pb::GetApiUserRequest>,
    ) -> RpcResult<pb::ApiUserResponse> {
        let request = request.into_inner();
        let project = parse_gid(&request.project_gid, "project_gid")?;
        let caller = parse_caller(&request.caller_gid)?;
        let user = parse_gid(&request.user_gid, "user_gid")?;
        let found = self
            .directory
            .get_api_user(Actor::User(caller), project, user)
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(convert::api_user(found)))
    }

    async fn update_api_user(
        &self,
        request: Request<pb::UpdateApiUserRequest>,
    ) -> RpcResult<pb::ApiUserResponse> {
        let request = request.into_inner();
        let project = parse_gid(&request.project_gid, "project_gid")?;
        let caller = parse_caller(&request.caller_gid)?;
        let user = parse_gid(&request.user_gid, "user_gid")?;
        let changed = self
            .directory
            .rename_api_user(Actor::User(caller), project, user, request.name)
            .await;
        Ok(Response::new(convert::api_user(
            changed.map_err(RpcError::from)?,
        )))
    }

    async fn set_api_user_status(
        &self,
        request: Request<pb::SetApiUserStatusRequest>,
    ) -> RpcResult<pb::ApiUserResponse> {
        let request = request.into_inner();
        let project = parse_gid(&request.project_gid, "project_gid")?;
        let caller = parse_caller(&request.caller_gid)?;
        let user = parse_gid(&request.user_gid, "user_gid")?;
        let changed = self
            .directory
            .set_api_user_status(Actor::User(caller), project, user, request.is_active)
            .await;
        Ok(Response::new(convert::api_user(
            changed.map_err(RpcError::from)?,
        )))
    }

    async fn delete_api_user(
        &self,
        request: Request<pb::DeleteApiUserRequest>,
    ) -> RpcResult<pb::DeleteApiUserResponse> {
        let request = request.into_inner();
        let project = parse_gid(&request.project_gid, "project_gid")?;
        let caller = parse_caller(&request.caller_gid)?;
        let user = parse_gid(&request.user_gid, "user_gid")?;
        self.directory
            .delete_api_user(Actor::User(caller), project, user)
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(pb::DeleteApiUserResponse {}))
    }

    // Projects: projects.rs.

    async fn view_project(
        &self,
        request: Request<pb::ViewProjectRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::view_project(&self.directory, request.into_inner()).await
    }

    async fn create_project(
        &self,
        request: Request<pb::CreateProjectRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::create_project(&self.directory, request.into_inner()).await
    }

    async fn update_project(
        &self,
        request: Request<pb::UpdateProjectRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::update_project(&self.directory, request.into_inner()).await
    }

    async fn set_project_status(
        &self,
        request: Request<pb::SetProjectStatusRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::set_project_status(&self.directory, request.into_inner()).await
    }

    async fn purge_project(
        &self,
        request: Request<pb::PurgeProjectRequest>,
    ) -> RpcResult<pb::PurgeProjectResponse> {
        projects::purge_project(&self.directory, request.into_inner()).await
    }

    async fn transfer_project(
        &self,
        request: Request<pb::TransferProjectRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::transfer_project(&self.directory, request.into_inner()).await
    }

    async fn change_languages(
        &self,
        request: Request<pb::ChangeLanguagesRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::change_languages(&self.directory, request.into_inner()).await
    }

    async fn create_item(
        &self,
        request: Request<pb::CreateItemRequest>,
    ) -> RpcResult<pb::CreateItemResponse> {
        projects::create_item(&self.directory, request.into_inner()).await
    }

    async fn rename_item(
        &self,
        request: Request<pb::RenameItemRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::rename_item(&self.directory, request.into_inner()).await
    }

    async fn move_item(
        &self,
        request: Request<pb::MoveItemRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::move_item(&self.directory, request.into_inner()).await
    }

    async fn delete_items(
        &self,
        request: Request<pb::DeleteItemsRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::delete_items(&self.directory, request.into_inner()).await
    }

    // Members and invitations: members.rs.

    async fn view_user(
        &self,
        request: Request<pb::ViewUserRequest>,
    ) -> RpcResult<pb::UserResponse> {
        members::view_user(&self.directory, request.into_inner()).await
    }

    async fn view_member(
        &self,
        request: Request<pb::ViewMemberRequest>,
    ) -> RpcResult<pb::MembersResponse> {
        members::view_member(&self.directory, request.into_inner()).await
    }

    async fn view_members(
        &self,
        request: Request<pb::ViewMembersRequest>,
    ) -> RpcResult<pb::MembersResponse> {
        members::view_members(&self.directory, request.into_inner()).await
    }

    async fn invite_member(
        &self,
        request: Request<pb::InviteMemberRequest>,
    ) -> RpcResult<pb::MembersResponse> {
        members::invite_member(&self.directory, request.into_inner()).await
    }

    async fn resend_invitation(
        &self,
        request: Request<pb::ResendInvitationRequest>,
    ) -> RpcResult<pb::MembersResponse> {
        members::resend_invitation(&self.directory, request.into_inner()).await
    }

    async fn remove_member(
        &self,
        request: Request<pb::RemoveMemberRequest>,
    ) -> RpcResult<pb::RemoveMemberResponse> {
        members::remove_member(&self.directory, request.into_inner()).await
    }

    async fn set_member_status(
        &self,
        request: Request<pb::SetMemberStatusRequest>,
    ) -> RpcResult<pb::MembersResponse> {
        members::set_member_status(&self.directory, request.into_inner()).await
    }

    async fn update_member(
        &self,
        request: Request<pb::UpdateMemberRequest>,
    ) -> RpcResult<pb::MembersResponse> {
        members::update_member(&self.directory, request.into_inner()).await
    }

    async fn accept_invitation(
        &self,
        request: Request<pb::AcceptInvitationRequest>,
    ) -> RpcResult<pb::AcceptInvitationResponse> {
        members::accept_invitation(&self.directory, request.into_inner()).await
    }

    async fn decline_invitation(
        &self,
        request: Request<pb::DeclineInvitationRequest>,
    ) -> RpcResult<pb::MembersResponse> {
        members::decline_invitation(&self.directory, request.into_inner()).await
    }

    async fn view_invitation(
        &self,
        request: Request<pb::ViewInvitationRequest>,
    ) -> RpcResult<pb::ViewInvitationResponse> {
        members::view_invitation(&self.directory, request.into_inner()).await
    }

    async fn leave_project(
        &self,
        request: Request<pb::LeaveProjectRequest>,
    ) -> RpcResult<pb::RemoveMemberResponse> {
        members::leave_project(&self.directory, request.into_inner()).await
    }

    // Avatars and icons: media.rs.

    async fn prepare_avatar(
        &self,
        request: Request<pb::PrepareAvatarRequest>,
    ) -> RpcResult<pb::PrepareAvatarResponse> {
        media::prepare_avatar(&self.directory, request.into_inner()).await
    }

    async fn set_avatar(
        &self,
        request: Request<pb::SetAvatarRequest>,
    ) -> RpcResult<pb::SetAvatarResponse> {
        media::set_avatar(&self.directory, request.into_inner()).await
    }

    async fn prepare_icon(
        &self,
        request: Request<pb::PrepareIconRequest>,
    ) -> RpcResult<pb::PrepareIconResponse> {
        media::prepare_icon(&self.directory, request.into_inner()).await
    }

    async fn set_icon(
        &self,
        request: Request<pb::SetIconRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        media::set_icon(&self.directory, request.into_inner()).await
    }

    async fn find_icon(
        &self,
        request: Request<pb::FindIconRequest>,
    ) -> RpcResult<pb::FindIconResponse> {
        media::find_icon(&self.directory, request.into_inner()).await
    }

    async fn list_discarded_media(
        &self,
        request: Request<pb::ListDiscardedMediaRequest>,
    ) -> RpcResult<pb::ListDiscardedMediaResponse> {
        media::list_discarded_media(&self.directory, request.into_inner()).await
    }

    async fn confirm_media_deletion(
        &self,
        request: Request<pb::ConfirmMediaDeletionRequest>,
    ) -> RpcResult<pb::ConfirmMediaDeletionResponse> {
        media::confirm_media_deletion(&self.directory, request.into_inner()).await
    }

    type WatchChangesStream = ReceiverStream<Result<pb::WatchChangesResponse, Status>>;

    async fn watch_changes(
        &self,
        request: Request<pb::WatchChangesRequest>,
    ) -> RpcResult<Self::WatchChangesStream> {
        let cursor = self.stream_start(request.get_ref().cursor).await?;
        // Few pages are buffered: a slow client delays its own stream only.
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(watch::stream_pages(
            self.directory.clone(),
            cursor,
            watch::change_page,
            sender,
            self.shutdown.clone(),
        ));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    type WatchEventsStream = ReceiverStream<Result<pb::WatchEventsResponse, Status>>;

    async fn watch_events(
        &self,
        request: Request<pb::WatchEventsRequest>,
    ) -> RpcResult<Self::WatchEventsStream> {
        let cursor = self.stream_start(request.get_ref().cursor).await?;
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(watch::stream_pages(
            self.directory.clone(),
            cursor,
            watch::event_page,
            sender,
            self.shutdown.clone(),
        ));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    // Change feed: sync.rs.

    async fn sync(&self, request: Request<pb::SyncRequest>) -> RpcResult<pb::SyncResponse> {
        sync::sync(&self.directory, request.into_inner()).await
    }

    async fn get_cursor(
        &self,
        request: Request<pb::GetCursorRequest>,
    ) -> RpcResult<pb::GetCursorResponse> {
        sync::get_cursor(&self.directory, request.into_inner()).await
    }

    async fn publish(
        &self,
        request: Request<pb::PublishRequest>,
    ) -> RpcResult<pb::PublishResponse> {
        sync::publish(&self.directory, request).await
    }
}

/// Parses the number of entries in a page; 0 is the default.
fn parse_page_size(requested: u32) -> Result<i64, RpcError> {
    match requested {
        0 => Ok(PAGE.into()),
        1..=MAX_PAGE => Ok(requested.into()),
        _ => Err(RpcError::invalid_parameter("page_size")),
    }
}

impl Service {
    /// Returns the cursor after which a stream starts: the requested one, or the head of the feed.
    async fn stream_start(&self, requested: Option<i64>) -> Result<i64, RpcError> {
        match requested {
            Some(cursor) if cursor < 0 => Err(RpcError::invalid_parameter("cursor")),
            Some(cursor) => Ok(cursor),
            None => Ok(self.directory.feed_head().await?),
        }
    }

    /// Returns the cursor that the client knows if nothing has changed since, so that the response
    /// can be short. `docs/adr/0012-unchanged-inits.md` has the reasons.
    async fn unchanged_cursor(&self, known: Option<i64>) -> Result<Option<i64>, RpcError> {
        let Some(known) = known else { return Ok(None) };
        let head = self.directory.feed_head().await.map_err(RpcError::from)?;
        Ok((head == known).then_some(known))
    }
}
