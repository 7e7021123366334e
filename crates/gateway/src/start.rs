//! The answers from which an app starts: `login` and `init`.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{AUTHORIZATION, HeaderValue},
    web::Data,
};
use doorward_domain::ErrorCode;
use doorward_proto::{
    Failure,
    auth::v1::{RenewTokenRequest, VerifyPasswordRequest},
    directory::v1::{FindLoginRequest, GetInitRequest, GetInitResponse, UserStatus},
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    Gateway,
    body::{Body, OptionalBody},
    caller::Caller,
    client_address,
    entries::{Memberships, Projects, UserProjects, Users},
    envelope::{self, Problem},
    peers::Peers,
};

/// `POST /api/login`: the data is read while the password is hashed.
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

/// `GET|POST /api/init`.
pub(crate) async fn init(
    caller: Caller,
    _: OptionalBody,
    peers: Data<Peers>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    let (mut auth, mut directory) = (peers.auth(), peers.directory());
    let (init, renewed) = tokio::join!(
        directory.get_init(GetInitRequest { user_gid: caller.claims.sub.to_string() }),
        auth.renew_token(RenewTokenRequest { token: caller.token }),
    );
    answer(&gateway, init?.get_ref(), &renewed?.get_ref().token)
}

#[derive(Serialize)]
struct StartResult<'a> {
    user: &'a str,
    user_projects: UserProjects<'a>,
    #[serde(rename = "cc.version")]
    version: &'a str,
    #[serde(rename = "cc.cursor")]
    cursor: i64,
}

#[derive(Serialize)]
struct StartData<'a> {
    #[serde(rename = "cc.users")]
    users: Users<'a>,
    #[serde(rename = "cc.projects")]
    projects: Projects<'a>,
    #[serde(rename = "cc.projects_members")]
    memberships: Memberships<'a>,
    #[serde(rename = "cc.languages")]
    languages: &'a RawValue,
}

fn answer(gateway: &Gateway, init: &GetInitResponse, token: &str) -> Result<HttpResponse, Problem> {
    let result = StartResult {
        user: init.user.as_ref().map_or("", |user| &user.gid),
        user_projects: UserProjects(&init.user_projects),
        version: &gateway.version,
        cursor: init.cursor,
    };
    let data = StartData {
        users: Users { caller: init.user.as_ref(), others: &init.users },
        projects: Projects(&init.projects),
        memberships: Memberships(&init.memberships),
        languages: &gateway.languages.names,
    };
    let mut response = envelope::success(&result, &data)?;
    let token = HeaderValue::from_str(token).map_err(|_| Problem::internal())?;
    response.headers_mut().insert(AUTHORIZATION, token);
    Ok(response)
}
