//! Rows and events of the feed: their form in JSON for clients, and their conversion from gRPC.

use std::sync::Arc;

use doorward_rpc::directory::v1::{self as pb, Action, FeedKind, SyncRow};
use serde::{Serialize, Serializer};

/// A row of the feed in the form in which clients receive it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventRow {
    #[serde(rename = "type")]
    pub feed: Feed,
    pub cursor: i64,
    #[serde(serialize_with = "serialize_action")]
    pub action: Action,
    pub data_type: Box<str>,
    pub data_key: Box<str>,
}

/// The feed that a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Feed {
    #[serde(rename = "cc")]
    Global,
    #[serde(rename = "project")]
    Project,
}

impl From<FeedKind> for Feed {
    fn from(kind: FeedKind) -> Self {
        match kind {
            FeedKind::Project => Self::Project,
            FeedKind::Global | FeedKind::Unspecified => Self::Global,
        }
    }
}

fn serialize_action<S: Serializer>(action: &Action, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match action {
        Action::Insert => "INSERT",
        Action::Update | Action::Unspecified => "UPDATE",
        Action::Delete => "DELETE",
    })
}

impl From<SyncRow> for EventRow {
    fn from(row: SyncRow) -> Self {
        Self {
            feed: row.feed().into(),
            cursor: row.cursor,
            action: row.action(),
            data_type: row.data_type.into(),
            data_key: row.data_key.into(),
        }
    }
}

/// A change of the feed for one audience.
#[derive(Debug, Clone)]
pub(crate) struct FeedEvent {
    pub(crate) cursor: i64,
    pub(crate) audience: Arc<str>,
    /// Absent if the change differs for each user, so each subscriber needs a Sync.
    pub(crate) row: Option<Arc<EventRow>>,
}

impl From<pb::FeedEvent> for FeedEvent {
    fn from(event: pb::FeedEvent) -> Self {
        let row = (!event.requires_sync).then(|| {
            Arc::new(EventRow {
                feed: event.feed().into(),
                cursor: event.cursor,
                action: event.action(),
                data_type: event.data_type.as_str().into(),
                data_key: event.data_key.as_str().into(),
            })
        });
        Self {
            cursor: event.cursor,
            audience: event.audience.into(),
            row,
        }
    }
}
