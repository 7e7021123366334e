//! `POST /api/account/update`, `/delete` and `/logout`: calls about the caller's own account. The
//! avatar, the email address and invitations have files of their own.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use doorward_rpc::{
    RpcError,
    auth::v1::{ChangePasswordRequest, ReportUserDeletedRequest, RevokeTokenRequest},
    directory::v1::{DeleteAccountRequest, UpdateUserRequest, User},
};

use crate::{
    handlers::current_user::{self, to_user_info},
    http::{
        body::Body,
        envelope::{self, ApiError, Empty},
    },
    media::Media,
    peers::Peers,
    session::{caller::Caller, sessions::Sessions},
};

/// Changes the given values: all of them, or none if one is not acceptable.
///
/// The password is in auth and the other values are in the directory, so both are validated first,
/// and then changed one after the other. A crash in between can leave the password unchanged.
pub(crate) async fn update(
    caller: Caller,
    request: HttpRequest,
    body: Body,
    peers: Data<Peers>,
    sessions: Data<Sessions>,
) -> Result<HttpResponse, ApiError> {
    current_user::require_account(&caller)?;
    let (update, new_password) = parse_update(&caller, &body)?;
    let has_fields = has_fields(&update);
    let mut change = match new_password {
        Some(change) => Some(ChangePasswordRequest {
            user: Some(to_user_info(&current_user::get(&peers, &caller).await?)),
            user_inputs: update
                .username
                .iter()
                .chain(&update.name)
                .cloned()
                .collect(),
            ..change
        }),
        None => None,
    };
    if has_fields && let Some(change) = &mut change {
        validate_update(&peers, &update, change).await?;
    }
    // A current password alone was only checked above.
    let change = change.filter(|change| change.password.is_some());
    // Renewed before the change: if the renewal failed after it, the response would be an error
    // although the change was made. A new password revokes all tokens, so then auth issues the
    // token.
    let renewed = match &change {
        Some(_) => None,
        None => Some(sessions.renew(&peers, caller.token.clone()).await?),
    };
    let mut user = if has_fields {
        Some(update_user(&peers, update).await?)
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
            // After the change: a user who was deactivated in the meantime gets 401 here, and no
            // token.
            user = Some(current_user::get(&peers, &caller).await?);
            token.ok_or_else(ApiError::internal)?
        }
        None => renewed.ok_or_else(ApiError::internal)?.to_string(),
    };
    current_user::user_response(&user.ok_or_else(ApiError::internal)?, Some(&token))
}

/// Deletes the account with its memberships, password and avatar. If auth cannot be called now, it
/// reads the deletion from the change feed.
pub(crate) async fn delete(
    caller: Caller,
    request: HttpRequest,
    body: Body,
    peers: Data<Peers>,
    media: Data<Media>,
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
    // The avatar was discarded too.
    media.discarded.notify_one();
    let report = ReportUserDeletedRequest {
        user_gid,
        client_address: caller.address.to_string(),
    };
    if let Err(status) = peers.auth().report_user_deleted(report).await {
        tracing::warn!(
            code = ?status.code(),
            "could not report a deleted account to auth; its tokens are revoked when auth reads \
             the change feed"
        );
    }
    envelope::success_response(&Empty {}, &Empty {})
}

/// Ends the login of the token, or all logins of the caller.
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

/// Parses the changes for the directory and for auth, which also checks the current password. At
/// least one value to change is required.
fn parse_update(
    caller: &Caller,
    body: &Body,
) -> Result<(UpdateUserRequest, Option<ChangePasswordRequest>), ApiError> {
    let text = |name| {
        body.optional_string(name)
            .map(|text| text.map(str::to_owned))
    };
    // Parameters are read in the order in which the call lists them: the first error is reported.
    let username = text("username")?;
    let password = text("password")?;
    let update = UpdateUserRequest {
        user_gid: caller.claims.sub.to_string(),
        username,
        name: text("name")?,
        language: text("language")?,
        timezone: text("timezone")?,
        validate_only: false,
    };
    let current_password = text("current_password")?;
    if password.is_none() && !has_fields(&update) {
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
    Ok((update, change))
}

fn has_fields(update: &UpdateUserRequest) -> bool {
    [
        &update.username,
        &update.name,
        &update.language,
        &update.timezone,
    ]
    .into_iter()
    .any(Option::is_some)
}

/// Validates the changes in both services without making them. Of several errors, it returns the
/// one of `username` first, then one of `password` or `current_password`, then one of the others.
async fn validate_update(
    peers: &Peers,
    update: &UpdateUserRequest,
    change: &ChangePasswordRequest,
) -> Result<(), ApiError> {
    let update = UpdateUserRequest {
        validate_only: true,
        ..update.clone()
    };
    let fields = peers
        .directory()
        .update_user(update)
        .await
        .map(drop)
        .map_err(RpcError::from);
    if fields
        .as_ref()
        .is_err_and(|error| error.info.contains_key("username"))
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

async fn update_user(peers: &Peers, update: UpdateUserRequest) -> Result<User, ApiError> {
    peers
        .directory()
        .update_user(update)
        .await?
        .into_inner()
        .user
        .ok_or_else(ApiError::internal)
}
