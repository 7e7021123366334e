//! `POST /sync/get`, `/sync/cursors`: the changes since a cursor, and the present cursors.

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

/// Warning that a page does not have all rows; clients call again.
const MORE_DATA_WARNING: &str = "more data";

pub(crate) async fn get(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
) -> Result<HttpResponse, ApiError> {
    let since = SyncCursors::parse(&body)?;
    let page = fetch_sync_page(&peers, caller.claims.sub, since, false).await?;
    Ok(envelope::json_response(serialize_sync_page(since, &page)?))
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

/// Cursors after which rows are requested. A feed without a cursor is not requested; `cursor`
/// without `project` is ignored.
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

/// Returns the rows that changed for a user, and the position up to which they were read. With
/// `include_audiences` it also returns the audiences of the user at that position, for a socket
/// that will receive the later rows.
pub(crate) async fn fetch_sync_page(
    peers: &Peers,
    user: Gid,
    since: SyncCursors,
    include_audiences: bool,
) -> Result<SyncResponse, RpcError> {
    let request = SyncRequest {
        user_gid: user.to_string(),
        cc_cursor: since.cc_cursor,
        project_gid: since.project.map(|gid| gid.to_string()),
        cursor: since.cursor,
        include_audiences,
    };
    Ok(peers.directory().sync(request).await?.into_inner())
}

/// Serializes the body of the response. It has cursors only if it has no rows: a client would
/// continue from such a cursor and skip rows, while the last row of each type has the right one.
pub(crate) fn serialize_sync_page(
    since: SyncCursors,
    page: &SyncResponse,
) -> Result<Bytes, RpcError> {
    let is_idle = page.rows.is_empty();
    let result = SyncResult {
        sync: page.rows.iter().map(Row::from_pb).collect(),
        warning: page.has_more.then_some(MORE_DATA_WARNING),
        cursors: is_idle.then_some(Cursors {
            cc_cursor: page.position,
            cursor: since.project.map(|_| page.position),
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
    /// Position in the project's own feed, which uses the same numbers as the global feed.
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
