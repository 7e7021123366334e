//! gRPC methods for calls of users about their own access. The rules are in `crate::accounts`.

use doorward_domain::{Email, Username};
use doorward_rpc::{RpcError, auth::v1 as pb, server::request_ids};
use tonic::{Request, Response};

use crate::{
    accounts::{
        ClientContext, NewPassword, SignupConfirmation, SignupRequest, UserInfo, codes::CodePair,
    },
    service::{
        request::{RpcResult, anonymous_origin, parse_gid},
        state::Service,
    },
};

pub(super) async fn count_anonymous_call(
    service: &Service,
    request: Request<pb::CountAnonymousCallRequest>,
) -> RpcResult<pb::CountAnonymousCallResponse> {
    let from = client_context(&request, &request.get_ref().client_address)?;
    service
        .accounts
        .count_anonymous_call(&from)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::CountAnonymousCallResponse {}))
}

pub(super) async fn count_invitation(
    service: &Service,
    request: Request<pb::CountInvitationRequest>,
) -> RpcResult<pb::CountInvitationResponse> {
    let inviter = parse_gid(&request.get_ref().inviter_gid, "inviter_gid")?;
    service
        .accounts
        .count_invitation(inviter)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::CountInvitationResponse {}))
}

pub(super) async fn request_signup(
    service: &Service,
    request: Request<pb::RequestSignupRequest>,
) -> RpcResult<pb::RequestSignupResponse> {
    let from = client_context(&request, &request.get_ref().client_address)?;
    let request = request.into_inner();
    let signup = SignupRequest {
        username: Username::normalize_for_lookup(&request.username),
        password: request.password,
        email: request.email,
        existing_accounts: request
            .existing_accounts
            .into_iter()
            .map(user_info)
            .collect::<Result<_, _>>()?,
        language: request.language,
    };
    let validation_code = service
        .accounts
        .request_signup(signup, &from)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::RequestSignupResponse { validation_code }))
}

pub(super) async fn verify_signup(
    service: &Service,
    request: Request<pb::VerifySignupRequest>,
) -> RpcResult<pb::VerifySignupResponse> {
    let from = client_context(&request, &request.get_ref().client_address)?;
    let request = request.into_inner();
    let signup = SignupConfirmation {
        username: Username::normalize_for_lookup(&request.username),
        password: request.password,
        email: request.email,
        codes: CodePair {
            validation_code: request.validation_code,
            verification_code: request.verification_code,
        },
    };
    let signup_gid = service
        .accounts
        .verify_signup(signup, &from)
        .await
        .map_err(RpcError::from)?
        .to_string();
    Ok(Response::new(pb::VerifySignupResponse { signup_gid }))
}

pub(super) async fn complete_signup(
    service: &Service,
    request: Request<pb::CompleteSignupRequest>,
) -> RpcResult<pb::CompleteSignupResponse> {
    let from = client_context(&request, &request.get_ref().client_address)?;
    let request = request.into_inner();
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let token = service
        .accounts
        .complete_signup(request.validation_code, user, &from)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::CompleteSignupResponse { token }))
}

pub(super) async fn request_password_reset(
    service: &Service,
    request: Request<pb::RequestPasswordResetRequest>,
) -> RpcResult<pb::RequestPasswordResetResponse> {
    let from = client_context(&request, &request.get_ref().client_address)?;
    let users = request
        .into_inner()
        .users
        .into_iter()
        .map(user_info)
        .collect::<Result<_, _>>()?;
    let validation_code = service
        .accounts
        .request_password_reset(users, &from)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::RequestPasswordResetResponse {
        validation_code,
    }))
}

pub(super) async fn reset_password(
    service: &Service,
    request: Request<pb::ResetPasswordRequest>,
) -> RpcResult<pb::ResetPasswordResponse> {
    let from = client_context(&request, &request.get_ref().client_address)?;
    let request = request.into_inner();
    let user = required_user_info(request.user)?;
    let typed = CodePair {
        validation_code: request.validation_code,
        verification_code: request.verification_code,
    };
    let token = service
        .accounts
        .reset_password(user, &request.new_password, typed, &from)
        .await;
    // The parameter of this call is named `new_password`, and so must its error be.
    let token = token
        .map_err(|error| RpcError::from(error).with_renamed_key("password", "new_password"))?;
    Ok(Response::new(pb::ResetPasswordResponse { token }))
}

pub(super) async fn change_password(
    service: &Service,
    request: Request<pb::ChangePasswordRequest>,
) -> RpcResult<pb::ChangePasswordResponse> {
    let from = client_context(&request, &request.get_ref().client_address)?;
    let request = request.into_inner();
    let new = NewPassword {
        user: required_user_info(request.user)?,
        user_inputs: request.user_inputs,
        current: request.current_password,
        password: request.password,
        validate_only: request.validate_only,
    };
    let token = service
        .accounts
        .change_password(new, &from)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::ChangePasswordResponse { token }))
}

pub(super) async fn request_email_change(
    service: &Service,
    request: Request<pb::RequestEmailChangeRequest>,
) -> RpcResult<pb::RequestEmailChangeResponse> {
    let from = client_context(&request, &request.get_ref().client_address)?;
    let request = request.into_inner();
    let user = required_user_info(request.user)?;
    let validation_code = service
        .accounts
        .request_email_change(user, &request.email, &from)
        .await;
    Ok(Response::new(pb::RequestEmailChangeResponse {
        validation_code: validation_code.map_err(RpcError::from)?,
    }))
}

pub(super) async fn verify_email_change(
    service: &Service,
    request: Request<pb::VerifyEmailChangeRequest>,
) -> RpcResult<pb::VerifyEmailChangeResponse> {
    let from = client_context(&request, &request.get_ref().client_address)?;
    let request = request.into_inner();
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let typed = CodePair {
        validation_code: request.validation_code,
        verification_code: request.verification_code,
    };
    service
        .accounts
        .verify_email_change(user, &request.email, typed, &from)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::VerifyEmailChangeResponse {}))
}

pub(super) async fn complete_email_change(
    service: &Service,
    request: Request<pb::CompleteEmailChangeRequest>,
) -> RpcResult<pb::CompleteEmailChangeResponse> {
    let from = client_context(&request, &request.get_ref().client_address)?;
    let request = request.into_inner();
    let user = parse_gid(&request.user_gid, "user_gid")?;
    service
        .accounts
        .complete_email_change(user, request.validation_code, &from)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::CompleteEmailChangeResponse {}))
}

pub(super) async fn report_user_deleted(
    service: &Service,
    request: Request<pb::ReportUserDeletedRequest>,
) -> RpcResult<pb::ReportUserDeletedResponse> {
    let from = client_context(&request, &request.get_ref().client_address)?;
    let user = parse_gid(&request.get_ref().user_gid, "user_gid")?;
    service
        .accounts
        .delete_user(user, &from.origin)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::ReportUserDeletedResponse {}))
}

fn client_context<T>(
    request: &Request<T>,
    client_address: &str,
) -> Result<ClientContext, RpcError> {
    let (address, origin) = anonymous_origin(client_address, request_ids(request))?;
    Ok(ClientContext {
        client_address: address,
        origin,
    })
}

fn required_user_info(user: Option<pb::UserInfo>) -> Result<UserInfo, RpcError> {
    self::user_info(user.ok_or_else(|| RpcError::invalid_parameter("user"))?)
}

fn user_info(user: pb::UserInfo) -> Result<UserInfo, RpcError> {
    Ok(UserInfo {
        gid: parse_gid(&user.user_gid, "user.user_gid")?,
        username: user.username,
        // An address that an earlier release accepted and this one rejects receives no mails.
        email: user
            .email
            .as_deref()
            .and_then(|email| Email::parse(email).ok()),
        name: user.name,
        language: user.language,
    })
}
