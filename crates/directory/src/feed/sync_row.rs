//! A row of the feed as clients receive it.

use crate::{
    feed::audience::Audience,
    model::{Action, FeedEvent},
};

/// A row of the feed as a client receives it. Clients fetch the entry that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRow {
    /// Whether the row is from the feed of a project, not from the global feed.
    pub is_published: bool,
    pub cursor: i64,
    pub action: Action,
    pub data_type: String,
    pub data_key: String,
}

impl SyncRow {
    pub(crate) fn from_event(event: FeedEvent) -> Self {
        let FeedEvent {
            audience,
            cursor,
            action,
            data_type,
            data_key,
            ..
        } = event;
        Self {
            is_published: matches!(audience, Audience::Followers(_)),
            cursor,
            action,
            data_type,
            data_key,
        }
    }
}
