//! `POST /api/account/...`: what people do with their own account. Pictures, addresses and projects have files of their own.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use doorward_rpc::{
    RpcError,
    auth::v1::{ChangePasswordRequest, ReportUserDeletedRequest, RevokeTokenRequest},
    directory::v1::{DeleteAccountRequest, UpdateUserRequest, User},
};

use crate::{
    Gateway,
    handlers::current_user::{self, to_user_info},
    http::{
        body::Body,
        envelope::{self, ApiError, Empty},
    },
    peers::Peers,
    session::caller::Caller,
};

/// Changes what is given: all of it or, when something stands against it, nothing.
pub(crate) async fn update(
    caller: Caller,
    request: HttpRequest,
    body: Body,
    (peers, gateway): (Data<Peers>, Data<Gateway>),
) -> Result<HttpResponse, ApiError> {
    current_user::require_account(&caller)?;
    let (wanted, new_password) = parse_update(&caller, &body)?;
    let has_fields = has_fields(&wanted);
    let mut change = match new_password {
        Some(change) => Some(ChangePasswordRequest {
            user: Some(to_user_info(&current_user::get(&peers, &caller).await?)),
            user_inputs: wanted
                .username
                .iter()
                .chain(&wanted.name)
                .cloned()
                .collect(),
            ..change
        }),
        None => None,
    };
    if has_fields && let Some(change) = &mut change {
        validate_update(&peers, &wanted, change).await?;
    }
    let change = change.filter(|change| change.password.is_some());
    // First: an answer that gets lost because there is no token would leave the deed done.
    let renewed = match &change {
        Some(_) => None,
        None => Some(
            gateway
                .renewals
                .renew(
                    &peers,
                    caller.token.clone(),
                    gateway.trust.keys_generation(),
                )
                .await?,
        ),
    };
    let mut user = if has_fields {
        Some(update_user(&peers, wanted).await?)
    } else {
        None
    };
    let token = match change {
        Some(change) => {
            current_user::drop_renewal(&request);
            let token = peers
                .auth()
                .change_password(change)
                .await?
                .into_inner()
                .token;
            // Only now: who is deactivated meanwhile gets no token.
            user = Some(current_user::get(&peers, &caller).await?);
            token.ok_or_else(ApiError::internal)?
        }
        None => renewed.ok_or_else(ApiError::internal)?.to_string(),
    };
    current_user::user_response(&user.ok_or_else(ApiError::internal)?, Some(&token))
}

/// Deletes the account, with all that hangs on it. Auth, when it can't be told now, reads of it in the change feed.
pub(crate) async fn delete(
    caller: Caller,
    request: HttpRequest,
    body: Body,
    (peers, gateway): (Data<Peers>, Data<Gateway>),
) -> Result<HttpResponse, ApiError> {
    current_user::require_account(&caller)?;
    body.required_confirmation("confirm")?;
    let user_gid = caller.claims.sub.to_string();
    peers
        .directory()
        .delete_account(DeleteAccountRequest {
            user_gid: user_gid.clone(),
        })
        .await?;
    current_user::drop_renewal(&request);
    // The picture goes too.
    gateway.media_discarded.notify_one();
    let note = ReportUserDeletedRequest {
        user_gid,
        client_address: caller.address.to_string(),
    };
    if let Err(status) = peers.auth().report_user_deleted(note).await {
        tracing::warn!(code = ?status.code(), "auth was not told of a deleted account");
    }
    envelope::success_response(&Empty {}, &Empty {})
}

/// Ends this login, or all of the caller's.
pub(crate) async fn logout(
    caller: Caller,
    request: HttpRequest,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let everywhere = body.optional_bool("everywhere", false)?;
    current_user::drop_renewal(&request);
    let revoke = RevokeTokenRequest {
        token: caller.token,
        all_logins: everywhere,
        client_address: caller.address.to_string(),
    };
    peers.auth().revoke_token(revoke).await?;
    envelope::success_response(&Empty {}, &Empty {})
}

/// What is to be changed: in the directory, and in auth, which also checks the current password. There must be something.
fn parse_update(
    caller: &Caller,
    body: &Body,
) -> Result<(UpdateUserRequest, Option<ChangePasswordRequest>), ApiError> {
    let text = |name| {
        body.optional_string(name)
            .map(|text| text.map(str::to_owned))
    };
    let (username, password) = (text("username")?, text("password")?);
    let wanted = UpdateUserRequest {
        user_gid: caller.claims.sub.to_string(),
        username,
        name: text("name")?,
        language: text("language")?,
        timezone: text("timezone")?,
        validate_only: false,
    };
    let current_password = text("current_password")?;
    if password.is_none() && !has_fields(&wanted) {
        return Err(ApiError::missing_parameter("username"));
    }
    let client_address = caller.address.to_string();
    let change = ChangePasswordRequest {
        password,
        current_password,
        client_address,
        ..Default::default()
    };
    let change = (change.password.is_some() || change.current_password.is_some()).then_some(change);
    Ok((wanted, change))
}

fn has_fields(wanted: &UpdateUserRequest) -> bool {
    [
        &wanted.username,
        &wanted.name,
        &wanted.language,
        &wanted.timezone,
    ]
    .into_iter()
    .any(Option::is_some)
}

/// What stands against either half; of several things the one that the call lists first.
async fn validate_update(
    peers: &Peers,
    wanted: &UpdateUserRequest,
    change: &ChangePasswordRequest,
) -> Result<(), ApiError> {
    let wanted = UpdateUserRequest {
        validate_only: true,
        ..wanted.clone()
    };
    let fields = peers
        .directory()
        .update_user(wanted)
        .await
        .map(drop)
        .map_err(RpcError::from);
    if fields
        .as_ref()
        .is_err_and(|failure| failure.info.contains_key("username"))
    {
        return Ok(fields?);
    }
    peers
        .auth()
        .change_password(ChangePasswordRequest {
            validate_only: true,
            ..change.clone()
        })
        .await?;
    Ok(fields?)
}

async fn update_user(peers: &Peers, wanted: UpdateUserRequest) -> Result<User, ApiError> {
    peers
        .directory()
        .update_user(wanted)
        .await?
        .into_inner()
        .user
        .ok_or_else(ApiError::internal)
}
