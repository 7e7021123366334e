//! Another email address: `POST /api/account/update_email_request`, `POST /api/account/update_email`.

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

pub(crate) async fn request(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    current_user::require_account(&caller)?;
    let email = body.required_string("email")?.to_owned();
    let user = current_user::get(&peers, &caller).await?;
    let client_address = caller.address.to_string();
    let ask = RequestEmailChangeRequest {
        user: Some(to_user_info(&user)),
        email,
        client_address,
    };
    let validation_code = peers
        .auth()
        .request_email_change(ask)
        .await?
        .into_inner()
        .validation_code;
    envelope::success_response(&json!({"validation_code": validation_code}), &Empty {})
}

/// The codes are checked, the directory takes the address, and the code is used up: the same call completes what a crash
/// leaves. Of two at once one changes the address, and the other finds its code used.
pub(crate) async fn update(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    current_user::require_account(&caller)?;
    let email = body.required_string("email")?.to_owned();
    let validation_code = body.required_string("validation_code")?.to_owned();
    let verification_code = body.required_string("verification_code")?.to_owned();
    let (user_gid, client_address) = (caller.claims.sub.to_string(), caller.address.to_string());
    let old_email = current_user::get(&peers, &caller)
        .await?
        .details
        .and_then(|complete| complete.email);
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
    let finish = CompleteEmailChangeRequest {
        user_gid,
        validation_code,
        client_address,
    };
    peers.auth().complete_email_change(finish).await?;
    current_user::user_response(&user, None)
}
