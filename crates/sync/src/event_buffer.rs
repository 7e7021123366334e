//! The last notices, for sockets whose Sync was answered from a little earlier.

use std::collections::VecDeque;

use crate::event::FeedEvent;

pub(crate) struct EventBuffer {
    events: VecDeque<FeedEvent>,
    /// All notices with a greater cursor, up to `position`, are here.
    from: i64,
    position: i64,
    max_events: usize,
}

impl EventBuffer {
    pub(crate) const fn new(position: i64, max_notices: usize) -> Self {
        Self {
            events: VecDeque::new(),
            from: position,
            position,
            max_events: max_notices,
        }
    }

    pub(crate) const fn position(&self) -> i64 {
        self.position
    }

    pub(crate) fn push(&mut self, notices: Vec<FeedEvent>, position: i64) {
        self.events.extend(notices);
        while self.events.len() > self.max_events {
            if let Some(oldest) = self.events.pop_front() {
                self.from = oldest.cursor;
            }
        }
        self.position = self.position.max(position);
    }

    /// What was told after this cursor. None when some of it is gone.
    pub(crate) fn events_after(&self, cursor: i64) -> Option<impl Iterator<Item = &FeedEvent>> {
        let first = self
            .events
            .partition_point(|notice| notice.cursor <= cursor);
        (cursor >= self.from).then(|| self.events.range(first..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(cursor: i64) -> FeedEvent {
        FeedEvent {
            cursor,
            audience: "s".into(),
            row: None,
        }
    }

    fn cursors(ring: &EventBuffer, since: i64) -> Option<Vec<i64>> {
        ring.events_after(since)
            .map(|notices| notices.map(|notice| notice.cursor).collect())
    }

    #[test]
    fn buffer_knows_which_events_were_dropped() {
        let mut ring = EventBuffer::new(10, 3);
        assert_eq!(
            (cursors(&ring, 10), cursors(&ring, 9)),
            (Some(vec![]), None)
        );
        ring.push(vec![told(11), told(12), told(12)], 13);
        assert_eq!(cursors(&ring, 11), Some(vec![12, 12]));
        ring.push(vec![told(14)], 14);
        assert_eq!(
            (cursors(&ring, 10), cursors(&ring, 11)),
            (None, Some(vec![12, 12, 14]))
        );
        // One of two under a cursor is gone: as good as both.
        ring.push(vec![told(15)], 15);
        assert_eq!(
            (cursors(&ring, 11), cursors(&ring, 12)),
            (None, Some(vec![14, 15]))
        );
        assert_eq!(ring.position(), 15);
    }
}
