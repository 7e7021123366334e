//! `POST /api/login`.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use doorward_domain::ErrorCode;
use doorward_proto::{
    Failure,
    auth::v1::VerifyPasswordRequest,
    directory::v1::{FindLoginRequest, GetInitRequest, UserStatus},
};

use crate::{Gateway, body::Body, client_address, envelope::Problem, init::answer, peers::Peers};

/// The data is read while the password is hashed.
pub(crate) async fn login(
    request: HttpRequest,
    body: Body,
    peers: Data<Peers>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    let (username, password) = (body.string("username")?.to_owned(), body.string("password")?.to_owned());
    let found = peers.directory().find_login(FindLoginRequest { username }).await?.into_inner();
    let is_active = found.status() == UserStatus::Active;
    let user_gid = found.user_gid.filter(|_| is_active);
    let verify = VerifyPasswordRequest {
        user_gid: user_gid.clone(),
        password,
        client_address: client_address::of(&request, &gateway.config.trusted_proxies).to_string(),
        user_checked_at: found.checked_at,
    };
    let (mut auth, mut directory) = (peers.auth(), peers.directory());
    let init = async {
        match user_gid {
            Some(user_gid) => directory.get_init(GetInitRequest { user_gid }).await.map(Some),
            None => Ok(None),
        }
    };
    let (verified, init) = tokio::join!(auth.verify_password(verify), init);
    let token = verified?.into_inner().token;
    match init.map_err(Failure::from) {
        Ok(Some(init)) => answer(&gateway, init.get_ref(), &token),
        // Deactivated or deleted since we looked.
        Ok(None) | Err(Failure { code: ErrorCode::Unauthenticated, .. }) => {
            Err(Failure::new(ErrorCode::UnknownUser).into())
        }
        Err(failure) => Err(failure.into()),
    }
}
