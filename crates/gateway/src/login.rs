//! `POST /api/login`.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use doorward_domain::{ErrorCode, Gid};
use doorward_proto::{
    Failure,
    auth::v1::VerifyPasswordRequest,
    directory::v1::{FindLoginRequest, UserStatus},
};

use crate::{
    Gateway,
    body::Body,
    client_address,
    envelope::Problem,
    init::{answer, fetch},
    peers::Peers,
};

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
    let user = user_gid.as_deref().map(str::parse::<Gid>).transpose().map_err(|_| Problem::internal())?;
    let verify = VerifyPasswordRequest {
        user_gid,
        password,
        client_address: client_address::of(&request, &gateway.config.trusted_proxies).to_string(),
        user_checked_at: found.checked_at,
    };
    let init = async {
        match user {
            Some(user) => fetch(&gateway, &peers, user).await.map(Some),
            None => Ok(None),
        }
    };
    let mut auth = peers.auth();
    let (verified, init) = tokio::join!(auth.verify_password(verify), init);
    let token = verified?.into_inner().token;
    match init {
        Ok(Some(body)) => answer(body, &token),
        // Deactivated or deleted since we looked.
        Ok(None) | Err(Failure { code: ErrorCode::Unauthenticated, .. }) => {
            Err(Failure::new(ErrorCode::UnknownUser).into())
        }
        Err(failure) => Err(failure.into()),
    }
}
