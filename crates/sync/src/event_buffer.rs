//! The newest feed events. A subscriber whose sync page is slightly older than the stream catches
//! up from here instead of with another Sync. It does not know who receives an event.
//!
//! # Example
//!
//! A buffer for 3 events starts at position 10, and the events 11, 12 and 12 arrive (one change can
//! have several audiences), with position 13.
//!
//! 1. `events_after(11)` returns 12 and 12: everything after 11 is here.
//! 2. Event 14 arrives, and 11 is dropped. A page at position 10 has a gap now, so
//!    `events_after(10)` returns `None`; `events_after(11)` returns 12, 12 and 14.
//! 3. Event 15 arrives, and the first event of cursor 12 is dropped. The other is still here, but
//!    12 is no longer complete, so `events_after(11)` returns `None` as well.

use std::collections::VecDeque;

use crate::event::FeedEvent;

/// A bounded buffer of events in the order of their cursors.
pub(crate) struct EventBuffer {
    events: VecDeque<FeedEvent>,
    /// Cursor after which all events up to `position` are in the buffer.
    from: i64,
    /// Position of the stream.
    position: i64,
    max_events: usize,
}

impl EventBuffer {
    pub(crate) const fn new(position: i64, max_events: usize) -> Self {
        Self {
            events: VecDeque::new(),
            from: position,
            position,
            max_events,
        }
    }

    pub(crate) const fn position(&self) -> i64 {
        self.position
    }

    pub(crate) fn push(&mut self, events: Vec<FeedEvent>, position: i64) {
        self.events.extend(events);
        while self.events.len() > self.max_events {
            if let Some(oldest) = self.events.pop_front() {
                self.from = oldest.cursor;
            }
        }
        self.position = self.position.max(position);
    }

    /// Returns the events after this cursor, or `None` if some of them were dropped.
    pub(crate) fn events_after(&self, cursor: i64) -> Option<impl Iterator<Item = &FeedEvent>> {
        let first = self.events.partition_point(|event| event.cursor <= cursor);
        (cursor >= self.from).then(|| self.events.range(first..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(cursor: i64) -> FeedEvent {
        FeedEvent {
            cursor,
            audience: "s".into(),
            row: None,
        }
    }

    fn cursors(buffer: &EventBuffer, after: i64) -> Option<Vec<i64>> {
        buffer
            .events_after(after)
            .map(|events| events.map(|event| event.cursor).collect())
    }

    #[test]
    fn buffer_knows_which_events_were_dropped() {
        let mut buffer = EventBuffer::new(10, 3);
        assert_eq!(
            (cursors(&buffer, 10), cursors(&buffer, 9)),
            (Some(vec![]), None)
        );
        buffer.push(vec![event(11), event(12), event(12)], 13);
        assert_eq!(cursors(&buffer, 11), Some(vec![12, 12]));
        buffer.push(vec![event(14)], 14);
        assert_eq!(
            (cursors(&buffer, 10), cursors(&buffer, 11)),
            (None, Some(vec![12, 12, 14]))
        );
        // One of the two events of cursor 12 was dropped, so the cursor is incomplete.
        buffer.push(vec![event(15)], 15);
        assert_eq!(
            (cursors(&buffer, 11), cursors(&buffer, 12)),
            (None, Some(vec![14, 15]))
        );
        assert_eq!(buffer.position(), 15);
    }
}
