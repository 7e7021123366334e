//! `GET|POST /api/init`, and the answer that it shares with a login.

use actix_web::{
    HttpResponse,
    http::header::{AUTHORIZATION, HeaderValue},
    web::Data,
};
use doorward_proto::{
    auth::v1::RenewTokenRequest,
    directory::v1::{GetInitRequest, GetInitResponse},
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    Gateway,
    body::OptionalBody,
    caller::Caller,
    entries::{Memberships, Projects, UserProjects, Users},
    envelope::{self, Problem},
    peers::Peers,
};

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

/// Of a login and of an init: all that an app needs to start, and a token.
pub(crate) fn answer(gateway: &Gateway, init: &GetInitResponse, token: &str) -> Result<HttpResponse, Problem> {
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
