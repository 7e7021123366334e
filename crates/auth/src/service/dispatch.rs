//! The methods of the gRPC contract: each passes its request to the function of its area. This is
//! one file, because the contract is one trait.

use doorward_rpc::auth::v1::{self as pb, auth_server};
use tonic::Request;

use crate::service::{
    accounts, api_keys, audit, login,
    request::RpcResult,
    state::Service,
    tokens::{self, TrustStream},
};

#[tonic::async_trait]
impl auth_server::Auth for Service {
    async fn verify_password(
        &self,
        request: Request<pb::VerifyPasswordRequest>,
    ) -> RpcResult<pb::VerifyPasswordResponse> {
        login::verify_password(self, request).await
    }

    async fn count_anonymous_call(
        &self,
        request: Request<pb::CountAnonymousCallRequest>,
    ) -> RpcResult<pb::CountAnonymousCallResponse> {
        accounts::count_anonymous_call(self, request).await
    }

    async fn count_invitation(
        &self,
        request: Request<pb::CountInvitationRequest>,
    ) -> RpcResult<pb::CountInvitationResponse> {
        accounts::count_invitation(self, request).await
    }

    async fn request_signup(
        &self,
        request: Request<pb::RequestSignupRequest>,
    ) -> RpcResult<pb::RequestSignupResponse> {
        accounts::request_signup(self, request).await
    }

    async fn verify_signup(
        &self,
        request: Request<pb::VerifySignupRequest>,
    ) -> RpcResult<pb::VerifySignupResponse> {
        accounts::verify_signup(self, request).await
    }

    async fn complete_signup(
        &self,
        request: Request<pb::CompleteSignupRequest>,
    ) -> RpcResult<pb::CompleteSignupResponse> {
        accounts::complete_signup(self, request).await
    }

    async fn request_password_reset(
        &self,
        request: Request<pb::RequestPasswordResetRequest>,
    ) -> RpcResult<pb::RequestPasswordResetResponse> {
        accounts::request_password_reset(self, request).await
    }

    async fn reset_password(
        &self,
        request: Request<pb::ResetPasswordRequest>,
    ) -> RpcResult<pb::ResetPasswordResponse> {
        accounts::reset_password(self, request).await
    }

    async fn change_password(
        &self,
        request: Request<pb::ChangePasswordRequest>,
    ) -> RpcResult<pb::ChangePasswordResponse> {
        accounts::change_password(self, request).await
    }

    async fn request_email_change(
        &self,
        request: Request<pb::RequestEmailChangeRequest>,
    ) -> RpcResult<pb::RequestEmailChangeResponse> {
        accounts::request_email_change(self, request).await
    }

    async fn verify_email_change(
        &self,
        request: Request<pb::VerifyEmailChangeRequest>,
    ) -> RpcResult<pb::VerifyEmailChangeResponse> {
        accounts::verify_email_change(self, request).await
    }

    async fn complete_email_change(
        &self,
        request: Request<pb::CompleteEmailChangeRequest>,
    ) -> RpcResult<pb::CompleteEmailChangeResponse> {
        accounts::complete_email_change(self, request).await
    }

    async fn report_user_deleted(
        &self,
        request: Request<pb::ReportUserDeletedRequest>,
    ) -> RpcResult<pb::ReportUserDeletedResponse> {
        accounts::report_user_deleted(self, request).await
    }

    async fn report_invitation_declined(
        &self,
        request: Request<pb::ReportInvitationDeclinedRequest>,
    ) -> RpcResult<pb::ReportInvitationDeclinedResponse> {
        audit::report_invitation_declined(self, request).await
    }

    async fn find_api_key(
        &self,
        request: Request<pb::FindApiKeyRequest>,
    ) -> RpcResult<pb::FindApiKeyResponse> {
        login::find_api_key(self, request).await
    }

    async fn verify_api_key(
        &self,
        request: Request<pb::VerifyApiKeyRequest>,
    ) -> RpcResult<pb::VerifyApiKeyResponse> {
        login::verify_api_key(self, request).await
    }

    async fn get_api_key(
        &self,
        request: Request<pb::GetApiKeyRequest>,
    ) -> RpcResult<pb::GetApiKeyResponse> {
        api_keys::get_api_key(self, request).await
    }

    async fn rotate_api_key(
        &self,
        request: Request<pb::RotateApiKeyRequest>,
    ) -> RpcResult<pb::RotateApiKeyResponse> {
        api_keys::rotate_api_key(self, request).await
    }

    async fn report_api_user_change(
        &self,
        request: Request<pb::ReportApiUserChangeRequest>,
    ) -> RpcResult<pb::ReportApiUserChangeResponse> {
        api_keys::report_api_user_change(self, request).await
    }

    async fn renew_token(
        &self,
        request: Request<pb::RenewTokenRequest>,
    ) -> RpcResult<pb::RenewTokenResponse> {
        tokens::renew_token(self, request).await
    }

    async fn verify_token(
        &self,
        request: Request<pb::VerifyTokenRequest>,
    ) -> RpcResult<pb::VerifyTokenResponse> {
        tokens::verify_token(self, request).await
    }

    async fn revoke_token(
        &self,
        request: Request<pb::RevokeTokenRequest>,
    ) -> RpcResult<pb::RevokeTokenResponse> {
        tokens::revoke_token(self, request).await
    }

    async fn get_public_keys(
        &self,
        request: Request<pb::GetPublicKeysRequest>,
    ) -> RpcResult<pb::GetPublicKeysResponse> {
        tokens::get_public_keys(self, request).await
    }

    type WatchTrustStream = TrustStream;

    async fn watch_trust(
        &self,
        request: Request<pb::WatchTrustRequest>,
    ) -> RpcResult<Self::WatchTrustStream> {
        tokens::watch_trust(self, request).await
    }
}
