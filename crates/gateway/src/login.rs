//! `POST /api/login`.

use std::pin::pin;

use actix_web::{HttpRequest, HttpResponse, web::Data};
use doorward_domain::{ErrorCode, Gid};
use doorward_proto::{
    Failure,
    auth::v1::VerifyPasswordRequest,
    directory::v1::{FindLoginRequest, UserStatus},
};

use futures_util::FutureExt;

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
    let mut auth = peers.auth();
    // Nobody's init is asked for too, and none is waited for when the password is wrong: the time tells nothing.
    let mut init = pin!(fetch(&gateway, &peers, user.unwrap_or(Gid::NIL)).fuse());
    let mut verified = pin!(auth.verify_password(verify));
    let mut early = None;
    let token = loop {
        tokio::select! {
            verified = &mut verified => break verified?.into_inner().token,
            init = &mut init, if early.is_none() => early = Some(init),
        }
    };
    let init = match early {
        Some(init) => init,
        None => init.await,
    };
    match init {
        Ok(body) => answer(body, &token),
        // Deactivated or deleted since we looked.
        Err(Failure { code: ErrorCode::Unauthenticated, .. }) => Err(Failure::new(ErrorCode::UnknownUser).into()),
        Err(failure) => Err(failure.into()),
    }
}
