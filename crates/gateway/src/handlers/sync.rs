//! `POST /sync/get`, `/sync/cursors`: what has changed since a cursor.

use actix_web::{
    HttpResponse,
    web::{Bytes, Data},
};
use doorward_domain::Gid;
use doorward_rpc::{
    RpcError,
    directory::v1::{Action, FeedKind, GetCursorRequest, SyncRequest, SyncResponse, SyncRow},
};
use serde::Serialize;

use crate::{
    http::{
        body::Body,
        envelope::{self, ApiError, Empty},
    },
    peers::Peers,
    session::caller::Caller,
};

/// Clients show it, and ask again.
const MORE_DATA_WARNING: &str = "more data";

pub(crate) async fn get(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let since = SyncCursors::parse(&body)?;
    let news = fetch_sync_page(&peers, caller.claims.sub, since, false).await?;
    Ok(envelope::json_response(serialize_sync_page(since, &news)?))
}

pub(crate) async fn cursors(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let project = body.optional_gid("project")?;
    let request = GetCursorRequest {
        user_gid: caller.claims.sub.to_string(),
        project_gid: project.map(|gid| gid.to_string()),
    };
    let position = peers
        .directory()
        .get_cursor(request)
        .await?
        .into_inner()
        .cursor;
    envelope::success_response(
        &Cursors {
            cc_cursor: position,
            cursor: project.map(|_| position),
        },
        &Empty {},
    )
}

/// From where on the feeds are asked for; without a cursor, one isn't.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SyncCursors {
    pub(crate) cc_cursor: Option<i64>,
    pub(crate) project: Option<Gid>,
    pub(crate) cursor: Option<i64>,
}

impl SyncCursors {
    pub(crate) fn parse(body: &Body) -> Result<Self, ApiError> {
        let cc_cursor = body.optional_position("cc_cursor")?;
        let project = body.optional_gid("project")?;
        let cursor = body.optional_position("cursor")?;
        Ok(Self {
            cc_cursor,
            project,
            cursor,
        })
    }
}

/// What the user is to be told; with the scopes for who is to be told what comes next, too.
pub(crate) async fn fetch_sync_page(
    peers: &Peers,
    user: Gid,
    since: SyncCursors,
    with_scopes: bool,
) -> Result<SyncResponse, RpcError> {
    let request = SyncRequest {
        user_gid: user.to_string(),
        cc_cursor: since.cc_cursor,
        project_gid: since.project.map(|gid| gid.to_string()),
        cursor: since.cursor,
        include_audiences: with_scopes,
    };
    Ok(peers.directory().sync(request).await?.into_inner())
}

/// As the body of the answer. Rows say themselves how far they go: clients would jump to a cursor beside them.
pub(crate) fn serialize_sync_page(
    since: SyncCursors,
    news: &SyncResponse,
) -> Result<Bytes, RpcError> {
    let is_idle = news.rows.is_empty();
    let result = SyncResult {
        sync: news.rows.iter().map(Row::from_pb).collect(),
        warning: news.has_more.then_some(MORE_DATA_WARNING),
        cursors: is_idle.then_some(Cursors {
            cc_cursor: news.position,
            cursor: since.project.map(|_| news.position),
        }),
    };
    envelope::serialize_success(&result, &Empty {})
}

#[derive(Serialize)]
struct SyncResult<'a> {
    sync: Vec<Row<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
    #[serde(flatten)]
    cursors: Option<Cursors>,
}

#[derive(Serialize)]
struct Cursors {
    #[serde(rename = "cc.cursor")]
    cc_cursor: i64,
    /// Of the project's own feed, which is numbered as the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<i64>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(rename = "type")]
    feed: &'static str,
    cursor: i64,
    action: &'static str,
    data_type: &'a str,
    data_key: &'a str,
}

impl<'a> Row<'a> {
    fn from_pb(row: &'a SyncRow) -> Self {
        let feed = match row.feed() {
            FeedKind::Global | FeedKind::Unspecified => "cc",
            FeedKind::Project => "project",
        };
        let action = match row.action() {
            Action::Insert => "INSERT",
            Action::Update | Action::Unspecified => "UPDATE",
            Action::Delete => "DELETE",
        };
        Self {
            feed,
            cursor: row.cursor,
            action,
            data_type: &row.data_type,
            data_key: &row.data_key,
        }
    }
}
