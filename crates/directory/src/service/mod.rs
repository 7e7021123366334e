//! The directory over gRPC: parse, call, convert.

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

const PAGE: u32 = 100;
const MAX_PAGE: u32 = 1000;

type ResultSize<T> = Result<Response<T>, Status>;

pub(crate) struct Service {
    pub(crate) directory: Directory,
    pub(crate) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl directory_server::Directory for Service {
    async fn find_login(
        &self,
        request: Request<pb::FindLoginRequest>,
    ) -> ResultSize<pb::FindLoginResponse> {
        let request = request.into_inner();
        let who = match request
            .identifier
            .ok_or_else(|| RpcError::invalid_parameter("who"))?
        {
            PbIdentifier::Username(text) => LoginIdentifier::Username(text),
            PbIdentifier::UserGid(text) => LoginIdentifier::Gid(parse_gid(&text, "user_gid")?),
        };
        let project = request
            .project_gid
            .as_deref()
            .map(|project| parse_gid(project, "project_gid"))
            .transpose()?;
        let username = who.normalized();
        let checked_at = self.directory.clock.now().as_micros();
        let found = self
            .directory
            .find_login(who, project)
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
    ) -> ResultSize<pb::GetInitResponse> {
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
    ) -> ResultSize<pb::GetProjectInitResponse> {
        let request = request.into_inner();
        let (project, user) = (
            parse_gid(&request.project_gid, "project_gid")?,
            parse_gid(&request.user_gid, "user_gid")?,
        );
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

    // Of people, about their own account: accounts.rs.

    async fn check_username(
        &self,
        request: Request<pb::CheckUsernameRequest>,
    ) -> ResultSize<pb::CheckUsernameResponse> {
        accounts::check_username(&self.directory, request.into_inner()).await
    }

    async fn find_accounts(
        &self,
        request: Request<pb::FindAccountsRequest>,
    ) -> ResultSize<pb::FindAccountsResponse> {
        accounts::find_accounts(&self.directory, request.into_inner()).await
    }

    async fn create_account(
        &self,
        request: Request<pb::CreateAccountRequest>,
    ) -> ResultSize<pb::UserResponse> {
        accounts::create_account(&self.directory, request.into_inner()).await
    }

    async fn update_user(
        &self,
        request: Request<pb::UpdateUserRequest>,
    ) -> ResultSize<pb::UserResponse> {
        accounts::update_user(&self.directory, request.into_inner()).await
    }

    async fn set_email(
        &self,
        request: Request<pb::SetEmailRequest>,
    ) -> ResultSize<pb::UserResponse> {
        accounts::set_email(&self.directory, request.into_inner()).await
    }

    async fn delete_account(
        &self,
        request: Request<pb::DeleteAccountRequest>,
    ) -> ResultSize<pb::DeleteAccountResponse> {
        accounts::delete_account(&self.directory, request.into_inner()).await
    }

    async fn get_user(
        &self,
        request: Request<pb::GetUserRequest>,
    ) -> ResultSize<pb::GetUserResponse> {
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
    ) -> ResultSize<pb::GetProjectResponse> {
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
    ) -> ResultSize<pb::ListProjectsResponse> {
        projects::list_projects(&self.directory, request.into_inner()).await
    }

    async fn list_members(
        &self,
        request: Request<pb::ListMembersRequest>,
    ) -> ResultSize<pb::ListMembersResponse> {
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
    ) -> ResultSize<pb::CheckMembershipResponse> {
        let request = request.into_inner();
        let (project, user) = (
            parse_gid(&request.project_gid, "project_gid")?,
            parse_gid(&request.user_gid, "user_gid")?,
        );
        let standing = self
            .directory
            .find_active_membership(project, user)
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(pb::CheckMembershipResponse {
            is_active: standing.is_some(),
            roles: standing
                .iter()
                .map(|own| pb::Role::from(own.role).into())
                .collect(),
            rate_limit_per_second: standing.and_then(|own| own.rate_limit_per_second),
        }))
    }

    async fn create_api_user(
        &self,
        request: Request<pb::CreateApiUserRequest>,
    ) -> ResultSize<pb::ApiUserResponse> {
        let request = request.into_inner();
        let (project, caller) = (
            parse_gid(&request.project_gid, "project_gid")?,
            parse_caller(&request.caller_gid)?,
        );
        let made = self
            .directory
            .create_api_user(Actor::User(caller), project, request.name)
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(convert::api_user(made)))
    }

    async fn get_api_user(
        &self,
        request: Request<pb::GetApiUserRequest>,
    ) -> ResultSize<pb::ApiUserResponse> {
        let request = request.into_inner();
        let (project, caller) = (
            parse_gid(&request.project_gid, "project_gid")?,
            parse_caller(&request.caller_gid)?,
        );
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
    ) -> ResultSize<pb::ApiUserResponse> {
        let request = request.into_inner();
        let (project, caller) = (
            parse_gid(&request.project_gid, "project_gid")?,
            parse_caller(&request.caller_gid)?,
        );
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
    ) -> ResultSize<pb::ApiUserResponse> {
        let request = request.into_inner();
        let (project, caller) = (
            parse_gid(&request.project_gid, "project_gid")?,
            parse_caller(&request.caller_gid)?,
        );
        let user = parse_gid(&request.user_gid, "user_gid")?;
        let set = self
            .directory
            .set_api_user_status(Actor::User(caller), project, user, request.is_active)
            .await;
        Ok(Response::new(convert::api_user(
            set.map_err(RpcError::from)?,
        )))
    }

    async fn delete_api_user(
        &self,
        request: Request<pb::DeleteApiUserRequest>,
    ) -> ResultSize<pb::DeleteApiUserResponse> {
        let request = request.into_inner();
        let (project, caller) = (
            parse_gid(&request.project_gid, "project_gid")?,
            parse_caller(&request.caller_gid)?,
        );
        let user = parse_gid(&request.user_gid, "user_gid")?;
        self.directory
            .delete_api_user(Actor::User(caller), project, user)
            .await
            .map_err(RpcError::from)?;
        Ok(Response::new(pb::DeleteApiUserResponse {}))
    }

    // Of projects: projects.rs.

    async fn view_project(
        &self,
        request: Request<pb::ViewProjectRequest>,
    ) -> ResultSize<pb::ProjectResponse> {
        projects::view_project(&self.directory, request.into_inner()).await
    }

    async fn create_project(
        &self,
        request: Request<pb::CreateProjectRequest>,
    ) -> ResultSize<pb::ProjectResponse> {
        projects::create_project(&self.directory, request.into_inner()).await
    }

    async fn update_project(
        &self,
        request: Request<pb::UpdateProjectRequest>,
    ) -> ResultSize<pb::ProjectResponse> {
        projects::update_project(&self.directory, request.into_inner()).await
    }

    async fn set_project_status(
        &self,
        request: Request<pb::SetProjectStatusRequest>,
    ) -> ResultSize<pb::ProjectResponse> {
        projects::set_project_status(&self.directory, request.into_inner()).await
    }

    async fn purge_project(
        &self,
        request: Request<pb::PurgeProjectRequest>,
    ) -> ResultSize<pb::PurgeProjectResponse> {
        projects::purge_project(&self.directory, request.into_inner()).await
    }

    async fn transfer_project(
        &self,
        request: Request<pb::TransferProjectRequest>,
    ) -> ResultSize<pb::ProjectResponse> {
        projects::transfer_project(&self.directory, request.into_inner()).await
    }

    async fn change_languages(
        &self,
        request: Request<pb::ChangeLanguagesRequest>,
    ) -> ResultSize<pb::ProjectResponse> {
        projects::change_languages(&self.directory, request.into_inner()).await
    }

    async fn create_item(
        &self,
        request: Request<pb::CreateItemRequest>,
    ) -> ResultSize<pb::CreateItemResponse> {
        projects::create_item(&self.directory, request.into_inner()).await
    }

    async fn rename_item(
        &self,
        request: Request<pb::RenameItemRequest>,
    ) -> ResultSize<pb::ProjectResponse> {
        projects::rename_item(&self.directory, request.into_inner()).await
    }

    async fn move_item(
        &self,
        request: Request<pb::MoveItemRequest>,
    ) -> ResultSize<pb::ProjectResponse> {
        projects::move_item(&self.directory, request.into_inner()).await
    }

    async fn delete_items(
        &self,
        request: Request<pb::DeleteItemsRequest>,
    ) -> ResultSize<pb::ProjectResponse> {
        projects::delete_items(&self.directory, request.into_inner()).await
    }

    // Of members: members.rs.

    async fn view_user(
        &self,
        request: Request<pb::ViewUserRequest>,
    ) -> ResultSize<pb::UserResponse> {
        members::view_user(&self.directory, request.into_inner()).await
    }

    async fn view_member(
        &self,
        request: Request<pb::ViewMemberRequest>,
    ) -> ResultSize<pb::MembersResponse> {
        members::view_member(&self.directory, request.into_inner()).await
    }

    async fn view_members(
        &self,
        request: Request<pb::ViewMembersRequest>,
    ) -> ResultSize<pb::MembersResponse> {
        members::view_members(&self.directory, request.into_inner()).await
    }

    async fn invite_member(
        &self,
        request: Request<pb::InviteMemberRequest>,
    ) -> ResultSize<pb::MembersResponse> {
        members::invite_member(&self.directory, request.into_inner()).await
    }

    async fn resend_invitation(
        &self,
        request: Request<pb::ResendInvitationRequest>,
    ) -> ResultSize<pb::MembersResponse> {
        members::resend_invitation(&self.directory, request.into_inner()).await
    }

    async fn remove_member(
        &self,
        request: Request<pb::RemoveMemberRequest>,
    ) -> ResultSize<pb::RemoveMemberResponse> {
        members::remove_member(&self.directory, request.into_inner()).await
    }

    async fn set_member_status(
        &self,
        request: Request<pb::SetMemberStatusRequest>,
    ) -> ResultSize<pb::MembersResponse> {
        members::set_member_status(&self.directory, request.into_inner()).await
    }

    async fn update_member(
        &self,
        request: Request<pb::UpdateMemberRequest>,
    ) -> ResultSize<pb::MembersResponse> {
        members::update_member(&self.directory, request.into_inner()).await
    }

    async fn accept_invitation(
        &self,
        request: Request<pb::AcceptInvitationRequest>,
    ) -> ResultSize<pb::AcceptInvitationResponse> {
        members::accept_invitation(&self.directory, request.into_inner()).await
    }

    async fn decline_invitation(
        &self,
        request: Request<pb::DeclineInvitationRequest>,
    ) -> ResultSize<pb::MembersResponse> {
        members::decline_invitation(&self.directory, request.into_inner()).await
    }

    async fn view_invitation(
        &self,
        request: Request<pb::ViewInvitationRequest>,
    ) -> ResultSize<pb::ViewInvitationResponse> {
        members::view_invitation(&self.directory, request.into_inner()).await
    }

    async fn leave_project(
        &self,
        request: Request<pb::LeaveProjectRequest>,
    ) -> ResultSize<pb::RemoveMemberResponse> {
        members::leave_project(&self.directory, request.into_inner()).await
    }

    // Of pictures: media.rs.

    async fn prepare_avatar(
        &self,
        request: Request<pb::PrepareAvatarRequest>,
    ) -> ResultSize<pb::PrepareAvatarResponse> {
        media::prepare_avatar(&self.directory, request.into_inner()).await
    }

    async fn set_avatar(
        &self,
        request: Request<pb::SetAvatarRequest>,
    ) -> ResultSize<pb::SetAvatarResponse> {
        media::set_avatar(&self.directory, request.into_inner()).await
    }

    async fn prepare_icon(
        &self,
        request: Request<pb::PrepareIconRequest>,
    ) -> ResultSize<pb::PrepareIconResponse> {
        media::prepare_icon(&self.directory, request.into_inner()).await
    }

    async fn set_icon(
        &self,
        request: Request<pb::SetIconRequest>,
    ) -> ResultSize<pb::ProjectResponse> {
        media::set_icon(&self.directory, request.into_inner()).await
    }

    async fn find_icon(
        &self,
        request: Request<pb::FindIconRequest>,
    ) -> ResultSize<pb::FindIconResponse> {
        media::find_icon(&self.directory, request.into_inner()).await
    }

    async fn list_discarded_media(
        &self,
        request: Request<pb::ListDiscardedMediaRequest>,
    ) -> ResultSize<pb::ListDiscardedMediaResponse> {
        media::list_discarded_media(&self.directory, request.into_inner()).await
    }

    async fn confirm_media_deletion(
        &self,
        request: Request<pb::ConfirmMediaDeletionRequest>,
    ) -> ResultSize<pb::ConfirmMediaDeletionResponse> {
        media::confirm_media_deletion(&self.directory, request.into_inner()).await
    }

    type WatchChangesStream = ReceiverStream<Result<pb::WatchChangesResponse, Status>>;

    async fn watch_changes(
        &self,
        request: Request<pb::WatchChangesRequest>,
    ) -> ResultSize<Self::WatchChangesStream> {
        let cursor = self.stream_start(request.get_ref().cursor).await?;
        let (sender, receiver) = mpsc::channel(4);
        let (directory, shutdown) = (self.directory.clone(), self.shutdown.clone());
        tokio::spawn(watch::stream_pages(
            directory,
            cursor,
            watch::change_page,
            sender,
            shutdown,
        ));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    type WatchEventsStream = ReceiverStream<Result<pb::WatchEventsResponse, Status>>;

    async fn watch_events(
        &self,
        request: Request<pb::WatchEventsRequest>,
    ) -> ResultSize<Self::WatchEventsStream> {
        let cursor = self.stream_start(request.get_ref().cursor).await?;
        let (sender, receiver) = mpsc::channel(4);
        let (directory, shutdown) = (self.directory.clone(), self.shutdown.clone());
        tokio::spawn(watch::stream_pages(
            directory,
            cursor,
            watch::event_page,
            sender,
            shutdown,
        ));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    // Of what has changed: sync.rs.

    async fn sync(&self, request: Request<pb::SyncRequest>) -> ResultSize<pb::SyncResponse> {
        sync::sync(&self.directory, request.into_inner()).await
    }

    async fn get_cursor(
        &self,
        request: Request<pb::GetCursorRequest>,
    ) -> ResultSize<pb::GetCursorResponse> {
        sync::get_cursor(&self.directory, request.into_inner()).await
    }

    async fn publish(
        &self,
        request: Request<pb::PublishRequest>,
    ) -> ResultSize<pb::PublishResponse> {
        sync::publish(&self.directory, request).await
    }
}

fn parse_page_size(asked: u32) -> Result<i64, RpcError> {
    match asked {
        0 => Ok(PAGE.into()),
        1..=MAX_PAGE => Ok(asked.into()),
        _ => Err(RpcError::invalid_parameter("page_size")),
    }
}

impl Service {
    /// Where who watches begins: at the present, unless they say.
    async fn stream_start(&self, asked: Option<i64>) -> Result<i64, RpcError> {
        match asked {
            Some(cursor) if cursor < 0 => Err(RpcError::invalid_parameter("cursor")),
            Some(cursor) => Ok(cursor),
            None => Ok(self.directory.feed_head().await?),
        }
    }

    /// The cursor that the caller knows, when nothing has changed since.
    async fn unchanged_cursor(&self, known: Option<i64>) -> Result<Option<i64>, RpcError> {
        let Some(known) = known else { return Ok(None) };
        let head = self.directory.feed_head().await.map_err(RpcError::from)?;
        Ok((head == known).then_some(known))
    }
}
