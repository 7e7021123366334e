//! `POST /api/account/...`: what people do with their own account.

use actix_web::{HttpResponse, web::Data};
use doorward_proto::auth::v1::RevokeTokenRequest;

use crate::{
    body::Body,
    caller::Caller,
    envelope::{self, Empty, Problem},
    peers::Peers,
};

/// Ends this login, or all of the caller's.
pub(crate) async fn logout(caller: Caller, body: Body, peers: Data<Peers>) -> Result<HttpResponse, Problem> {
    let everywhere = body.switch("everywhere", false)?;
    let revoke = RevokeTokenRequest { token: caller.token, everywhere, client_address: caller.address.to_string() };
    peers.auth().revoke_token(revoke).await?;
    envelope::success(&Empty {}, &Empty {})
}
