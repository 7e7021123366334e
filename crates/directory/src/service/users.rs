//! RPCs about users and accounts. They parse, call the directory and convert; the rules are in
//! `users/`.

use doorward_domain::{Email, UserStatus};
use doorward_rpc::{
    RpcError,
    directory::v1::{
        self as pb, find_accounts_request::Lookup as PbLookup,
        find_login_request::Identifier as PbIdentifier,
    },
};
use tonic::{Request, Response};

use crate::{
    AccountQuery, Error, LoginIdentifier, NewAccount, UserChange,
    model::User,
    service::{
        convert,
        request::{RpcResult, parse_gid},
        state::Service,
    },
    users::find::parse_username,
};

pub(super) async fn find_login(
    service: &Service,
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
    let checked_at = service.directory.clock.now().as_micros();
    let found = service
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

pub(super) async fn get_user(
    service: &Service,
    request: Request<pb::GetUserRequest>,
) -> RpcResult<pb::GetUserResponse> {
    let request = request.into_inner();
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let user = service
        .directory
        .get_user_by_gid(user)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::GetUserResponse {
        user: Some(convert::user(user)),
    }))
}

pub(super) async fn check_username(
    service: &Service,
    request: Request<pb::CheckUsernameRequest>,
) -> RpcResult<pb::CheckUsernameResponse> {
    let request = request.into_inner();
    let checked = service
        .directory
        .check_username(&request.username, request.email.as_deref())
        .await;
    let (username, is_available) = checked.map_err(RpcError::from)?;
    Ok(Response::new(pb::CheckUsernameResponse {
        username: username.to_string(),
        is_available,
    }))
}

pub(super) async fn find_accounts(
    service: &Service,
    request: Request<pb::FindAccountsRequest>,
) -> RpcResult<pb::FindAccountsResponse> {
    let request = request.into_inner();
    let query = match request
        .lookup
        .ok_or_else(|| RpcError::invalid_parameter("lookup"))?
    {
        PbLookup::Username(text) => AccountQuery::Username(text),
        PbLookup::Email(text) => AccountQuery::Email(text),
        PbLookup::UsernameOrEmail(text) => AccountQuery::Either(text),
    };
    let statuses: &[UserStatus] = if request.include_inactive {
        &[UserStatus::Active, UserStatus::Inactive]
    } else {
        &[UserStatus::Active]
    };
    let found = service
        .directory
        .find_accounts(query, statuses)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::FindAccountsResponse {
        users: found.into_iter().map(convert::user).collect(),
    }))
}

pub(super) async fn create_account(
    service: &Service,
    request: Request<pb::CreateAccountRequest>,
) -> RpcResult<pb::UserResponse> {
    let request = request.into_inner();
    let new = NewAccount {
        signup: parse_gid(&request.signup_gid, "signup_gid")?,
        username: parse_username(&request.username).map_err(RpcError::from)?,
        email: parse_email(&request.email)?,
    };
    user_response(service.directory.create_account(new).await)
}

pub(super) async fn update_user(
    service: &Service,
    request: Request<pb::UpdateUserRequest>,
) -> RpcResult<pb::UserResponse> {
    let request = request.into_inner();
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let change = UserChange {
        username: request.username,
        name: request.name,
        language: request.language,
        timezone: request.timezone,
    };
    if request.validate_only {
        user_response(
            service
                .directory
                .validate_user_update(user.into(), change)
                .await,
        )
    } else {
        user_response(service.directory.update_user(user.into(), change).await)
    }
}

pub(super) async fn set_email(
    service: &Service,
    request: Request<pb::SetEmailRequest>,
) -> RpcResult<pb::UserResponse> {
    let request = request.into_inner();
    let user = parse_gid(&request.user_gid, "user_gid")?;
    user_response(
        service
            .directory
            .set_email(user.into(), request.old_email, parse_email(&request.email)?)
            .await,
    )
}

pub(super) async fn delete_account(
    service: &Service,
    request: Request<pb::DeleteAccountRequest>,
) -> RpcResult<pb::DeleteAccountResponse> {
    let request = request.into_inner();
    service
        .directory
        .delete_account(parse_gid(&request.user_gid, "user_gid")?.into())
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::DeleteAccountResponse {}))
}

fn user_response(changed: Result<User, Error>) -> RpcResult<pb::UserResponse> {
    let user = Some(convert::user(changed.map_err(RpcError::from)?));
    Ok(Response::new(pb::UserResponse { user }))
}

fn parse_email(text: &str) -> Result<Email, RpcError> {
    Email::parse(text).map_err(|malformed| Error::Malformed("email", malformed).into())
}
