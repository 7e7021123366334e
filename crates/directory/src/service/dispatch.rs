//! The methods of the gRPC contract: each passes its request to the function of its area. This is
//! one file, because the contract is one trait.

use doorward_rpc::directory::v1::{self as pb, directory_server};
use tonic::Request;

use crate::service::{
    api_users, init, invitations, media, members, projects,
    request::RpcResult,
    state::Service,
    sync, users,
    watch::{self, MessageStream},
};

#[tonic::async_trait]
impl directory_server::Directory for Service {
    // Users and accounts: users.rs.

    async fn find_login(
        &self,
        request: Request<pb::FindLoginRequest>,
    ) -> RpcResult<pb::FindLoginResponse> {
        users::find_login(self, request).await
    }

    async fn check_username(
        &self,
        request: Request<pb::CheckUsernameRequest>,
    ) -> RpcResult<pb::CheckUsernameResponse> {
        users::check_username(self, request).await
    }

    async fn find_accounts(
        &self,
        request: Request<pb::FindAccountsRequest>,
    ) -> RpcResult<pb::FindAccountsResponse> {
        users::find_accounts(self, request).await
    }

    async fn create_account(
        &self,
        request: Request<pb::CreateAccountRequest>,
    ) -> RpcResult<pb::UserResponse> {
        users::create_account(self, request).await
    }

    async fn update_user(
        &self,
        request: Request<pb::UpdateUserRequest>,
    ) -> RpcResult<pb::UserResponse> {
        users::update_user(self, request).await
    }

    async fn set_email(
        &self,
        request: Request<pb::SetEmailRequest>,
    ) -> RpcResult<pb::UserResponse> {
        users::set_email(self, request).await
    }

    async fn delete_account(
        &self,
        request: Request<pb::DeleteAccountRequest>,
    ) -> RpcResult<pb::DeleteAccountResponse> {
        users::delete_account(self, request).await
    }

    async fn get_user(
        &self,
        request: Request<pb::GetUserRequest>,
    ) -> RpcResult<pb::GetUserResponse> {
        users::get_user(self, request).await
    }

    // Inits: init.rs.

    async fn get_init(
        &self,
        request: Request<pb::GetInitRequest>,
    ) -> RpcResult<pb::GetInitResponse> {
        init::get_init(self, request).await
    }

    async fn get_project_init(
        &self,
        request: Request<pb::GetProjectInitRequest>,
    ) -> RpcResult<pb::GetProjectInitResponse> {
        init::get_project_init(self, request).await
    }

    // API users: api_users.rs.

    async fn create_api_user(
        &self,
        request: Request<pb::CreateApiUserRequest>,
    ) -> RpcResult<pb::ApiUserResponse> {
        api_users::create_api_user(self, request).await
    }

    async fn get_api_user(
        &self,
        request: Request<pb::GetApiUserRequest>,
    ) -> RpcResult<pb::ApiUserResponse> {
        api_users::get_api_user(self, request).await
    }

    async fn update_api_user(
        &self,
        request: Request<pb::UpdateApiUserRequest>,
    ) -> RpcResult<pb::ApiUserResponse> {
        api_users::update_api_user(self, request).await
    }

    async fn set_api_user_status(
        &self,
        request: Request<pb::SetApiUserStatusRequest>,
    ) -> RpcResult<pb::ApiUserResponse> {
        api_users::set_api_user_status(self, request).await
    }

    async fn delete_api_user(
        &self,
        request: Request<pb::DeleteApiUserRequest>,
    ) -> RpcResult<pb::DeleteApiUserResponse> {
        api_users::delete_api_user(self, request).await
    }

    // Projects: projects.rs.

    async fn get_project(
        &self,
        request: Request<pb::GetProjectRequest>,
    ) -> RpcResult<pb::GetProjectResponse> {
        projects::get_project(self, request).await
    }

    async fn list_projects(
        &self,
        request: Request<pb::ListProjectsRequest>,
    ) -> RpcResult<pb::ListProjectsResponse> {
        projects::list_projects(self, request).await
    }

    async fn view_project(
        &self,
        request: Request<pb::ViewProjectRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::view_project(self, request).await
    }

    async fn create_project(
        &self,
        request: Request<pb::CreateProjectRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::create_project(self, request).await
    }

    async fn update_project(
        &self,
        request: Request<pb::UpdateProjectRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::update_project(self, request).await
    }

    async fn set_project_status(
        &self,
        request: Request<pb::SetProjectStatusRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::set_project_status(self, request).await
    }

    async fn purge_project(
        &self,
        request: Request<pb::PurgeProjectRequest>,
    ) -> RpcResult<pb::PurgeProjectResponse> {
        projects::purge_project(self, request).await
    }

    async fn transfer_project(
        &self,
        request: Request<pb::TransferProjectRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::transfer_project(self, request).await
    }

    async fn change_languages(
        &self,
        request: Request<pb::ChangeLanguagesRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::change_languages(self, request).await
    }

    async fn create_item(
        &self,
        request: Request<pb::CreateItemRequest>,
    ) -> RpcResult<pb::CreateItemResponse> {
        projects::create_item(self, request).await
    }

    async fn rename_item(
        &self,
        request: Request<pb::RenameItemRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::rename_item(self, request).await
    }

    async fn move_item(
        &self,
        request: Request<pb::MoveItemRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::move_item(self, request).await
    }

    async fn delete_items(
        &self,
        request: Request<pb::DeleteItemsRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        projects::delete_items(self, request).await
    }

    // Members: members.rs.

    async fn list_members(
        &self,
        request: Request<pb::ListMembersRequest>,
    ) -> RpcResult<pb::ListMembersResponse> {
        members::list_members(self, request).await
    }

    async fn check_membership(
        &self,
        request: Request<pb::CheckMembershipRequest>,
    ) -> RpcResult<pb::CheckMembershipResponse> {
        members::check_membership(self, request).await
    }

    async fn view_user(
        &self,
        request: Request<pb::ViewUserRequest>,
    ) -> RpcResult<pb::UserResponse> {
        members::view_user(self, request).await
    }

    async fn view_member(
        &self,
        request: Request<pb::ViewMemberRequest>,
    ) -> RpcResult<pb::MembersResponse> {
        members::view_member(self, request).await
    }

    async fn view_members(
        &self,
        request: Request<pb::ViewMembersRequest>,
    ) -> RpcResult<pb::MembersResponse> {
        members::view_members(self, request).await
    }

    async fn remove_member(
        &self,
        request: Request<pb::RemoveMemberRequest>,
    ) -> RpcResult<pb::RemoveMemberResponse> {
        members::remove_member(self, request).await
    }

    async fn set_member_status(
        &self,
        request: Request<pb::SetMemberStatusRequest>,
    ) -> RpcResult<pb::MembersResponse> {
        members::set_member_status(self, request).await
    }

    async fn update_member(
        &self,
        request: Request<pb::UpdateMemberRequest>,
    ) -> RpcResult<pb::MembersResponse> {
        members::update_member(self, request).await
    }

    async fn leave_project(
        &self,
        request: Request<pb::LeaveProjectRequest>,
    ) -> RpcResult<pb::RemoveMemberResponse> {
        members::leave_project(self, request).await
    }

    // Invitations: invitations.rs.

    async fn invite_member(
        &self,
        request: Request<pb::InviteMemberRequest>,
    ) -> RpcResult<pb::MembersResponse> {
        invitations::invite_member(self, request).await
    }

    async fn resend_invitation(
        &self,
        request: Request<pb::ResendInvitationRequest>,
    ) -> RpcResult<pb::MembersResponse> {
        invitations::resend_invitation(self, request).await
    }

    async fn accept_invitation(
        &self,
        request: Request<pb::AcceptInvitationRequest>,
    ) -> RpcResult<pb::AcceptInvitationResponse> {
        invitations::accept_invitation(self, request).await
    }

    async fn decline_invitation(
        &self,
        request: Request<pb::DeclineInvitationRequest>,
    ) -> RpcResult<pb::MembersResponse> {
        invitations::decline_invitation(self, request).await
    }

    async fn view_invitation(
        &self,
        request: Request<pb::ViewInvitationRequest>,
    ) -> RpcResult<pb::ViewInvitationResponse> {
        invitations::view_invitation(self, request).await
    }

    // Avatars and icons: media.rs.

    async fn prepare_avatar(
        &self,
        request: Request<pb::PrepareAvatarRequest>,
    ) -> RpcResult<pb::PrepareAvatarResponse> {
        media::prepare_avatar(self, request).await
    }

    async fn set_avatar(
        &self,
        request: Request<pb::SetAvatarRequest>,
    ) -> RpcResult<pb::SetAvatarResponse> {
        media::set_avatar(self, request).await
    }

    async fn prepare_icon(
        &self,
        request: Request<pb::PrepareIconRequest>,
    ) -> RpcResult<pb::PrepareIconResponse> {
        media::prepare_icon(self, request).await
    }

    async fn set_icon(
        &self,
        request: Request<pb::SetIconRequest>,
    ) -> RpcResult<pb::ProjectResponse> {
        media::set_icon(self, request).await
    }

    async fn find_icon(
        &self,
        request: Request<pb::FindIconRequest>,
    ) -> RpcResult<pb::FindIconResponse> {
        media::find_icon(self, request).await
    }

    async fn list_discarded_media(
        &self,
        request: Request<pb::ListDiscardedMediaRequest>,
    ) -> RpcResult<pb::ListDiscardedMediaResponse> {
        media::list_discarded_media(self, request).await
    }

    async fn confirm_media_deletion(
        &self,
        request: Request<pb::ConfirmMediaDeletionRequest>,
    ) -> RpcResult<pb::ConfirmMediaDeletionResponse> {
        media::confirm_media_deletion(self, request).await
    }

    // Streams of the change feed: watch.rs.

    type WatchChangesStream = MessageStream<pb::WatchChangesResponse>;

    async fn watch_changes(
        &self,
        request: Request<pb::WatchChangesRequest>,
    ) -> RpcResult<Self::WatchChangesStream> {
        watch::watch_changes(self, request).await
    }

    type WatchEventsStream = MessageStream<pb::WatchEventsResponse>;

    async fn watch_events(
        &self,
        request: Request<pb::WatchEventsRequest>,
    ) -> RpcResult<Self::WatchEventsStream> {
        watch::watch_events(self, request).await
    }

    // The change feed, except its streams: sync.rs.

    async fn sync(&self, request: Request<pb::SyncRequest>) -> RpcResult<pb::SyncResponse> {
        sync::sync(self, request).await
    }

    async fn get_cursor(
        &self,
        request: Request<pb::GetCursorRequest>,
    ) -> RpcResult<pb::GetCursorResponse> {
        sync::get_cursor(self, request).await
    }

    async fn publish(
        &self,
        request: Request<pb::PublishRequest>,
    ) -> RpcResult<pb::PublishResponse> {
        sync::publish(self, request).await
    }
}
