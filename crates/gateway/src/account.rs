//! `POST /api/account/...`: what people do with their own account.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web::Data};
use doorward_proto::auth::v1::RevokeTokenRequest;

use crate::{
    body::Body,
    caller::{Caller, DueToken},
    envelope::{self, Empty, Problem},
    peers::Peers,
};

/// Ends this login, or all of the caller's.
pub(crate) async fn logout(
    request: HttpRequest,
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, Problem> {
    let everywhere = body.switch("everywhere", false)?;
    let revoke = RevokeTokenRequest { token: caller.token, everywhere, client_address: caller.address.to_string() };
    peers.auth().revoke_token(revoke).await?;
    // One that was renewed just before is still at hand here, and dead.
    request.extensions_mut().remove::<DueToken>();
    envelope::success(&Empty {}, &Empty {})
}
