//! Changes the email address of the caller in two steps: `POST /api/account/update_email_request`,
//! `POST /api/account/update_email`.

use actix_web::{HttpResponse, web::Data};
use doorward_rpc::{
    auth::v1::{CompleteEmailChangeRequest, RequestEmailChangeRequest, VerifyEmailChangeRequest},
    directory::v1::SetEmailRequest,
};
use serde_json::json;

use crate::{
    handlers::current_user::{self, to_user_info},
    http::{
        body::Body,
        envelope::{self, ApiError, Empty},
    },
    peers::Peers,
    session::caller::Caller,
};

/// Mails a code to the new address.
pub(crate) async fn request(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    current_user::require_account(&caller)?;
    let email = body.required_string("email")?.to_owned();
    let user = current_user::get(&peers, &caller).await?;
    let client_address = caller.address.to_string();
    let change_request = RequestEmailChangeRequest {
        user: Some(to_user_info(&user)),
        email,
        client_address,
    };
    let validation_code = peers
        .auth()
        .request_email_change(change_request)
        .await?
        .into_inner()
        .validation_code;
    envelope::success_response(&json!({"validation_code": validation_code}), &Empty {})
}

/// Changes the address in three steps: auth verifies the codes, the directory sets the address, and
/// auth marks the codes as used. After a crash in between, the same call can be repeated and
/// completes the change. Of two concurrent calls, one changes the address, and the other fails
/// because its codes are used.
pub(crate) async fn update(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    current_user::require_account(&caller)?;
    let email = body.required_string("email")?.to_owned();
    let validation_code = body.required_string("validation_code")?.to_owned();
    let verification_code = body.required_string("verification_code")?.to_owned();
    let user_gid = caller.claims.sub.to_string();
    let client_address = caller.address.to_string();
    let old_email = current_user::get(&peers, &caller)
        .await?
        .details
        .and_then(|details| details.email);
    let check = VerifyEmailChangeRequest {
        user_gid: user_gid.clone(),
        email: email.clone(),
        validation_code: validation_code.clone(),
        verification_code,
        client_address: client_address.clone(),
    };
    peers.auth().verify_email_change(check).await?;
    let set = SetEmailRequest {
        user_gid: user_gid.clone(),
        old_email,
        email,
    };
    let user = peers
        .directory()
        .set_email(set)
        .await?
        .into_inner()
        .user
        .unwrap_or_default();
    let complete = CompleteEmailChangeRequest {
        user_gid,
        validation_code,
        client_address,
    };
    peers.auth().complete_email_change(complete).await?;
    current_user::user_response(&user, None)
}
