//! Decides which subscriber receives which rows. Feed events and sync pages go in; rows come out,
//! each once per subscriber and in the order of cursors. This is pure state: it sends nothing and
//! makes no calls.
//!
//! # Example
//!
//! The stream of feed events is at 42, and the event buffer has 41 (audience `project/7`) and 42
//! (`project/8`). Ann is a member of project 7. The response to her `init` has all rows up to 40.
//!
//! 1. `subscribe` with position 40 and the audiences `user/ann` and `project/7`: the buffer still
//!    has everything after 40, so row 41 is delivered at once. Row 42 is for another audience. Ann
//!    is now `Live`.
//! 2. `apply_events` with 43 (`project/7`) and 44 (`project/7`, requires sync): row 43 is
//!    delivered. What 44 means differs for each user, so Ann becomes `Queued` with position 43.
//! 3. `next_call` returns a call of Sync for Ann after cursor 43. While it is in flight, the events
//!    45 and 46 (`project/7`) arrive. Ann is not live, so they only go into the buffer.
//! 4. `complete_call` with the rows 44 and 45 and position 45, because 46 did not exist when the
//!    page was read: the two rows are delivered, followed by row 46 from the buffer. Ann is `Live`
//!    again.
//!
//! If the buffer had dropped event 46 before step 4, Ann would be queued for another Sync.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use doorward_domain::Gid;

use crate::{
    audiences::{Audiences, EVERYONE},
    backend::{Feeds, SubscriptionStart},
    event::{EventRow, Feed, FeedEvent},
    event_buffer::EventBuffer,
};

/// Maximum number of calls of Sync in flight.
pub(crate) const MAX_CALLS: usize = 16;
/// Maximum number of events in the buffer, which are about 3 MB.
const MAX_RECENT_EVENTS: usize = 10_000;

pub(crate) struct Hub {
    subscribers: HashMap<u64, Subscriber>,
    audiences: Audiences,
    /// The newest events; `None` while the stream of feed events has not begun.
    recent_events: Option<EventBuffer>,
    /// Subscribers that need a call of Sync, first in, first out. An entry whose subscriber is no
    /// longer `Queued` is skipped.
    sync_queue: VecDeque<u64>,
    calls_in_flight: usize,
}

struct Subscriber {
    user: Gid,
    feeds: Feeds,
    /// All rows up to this cursor were delivered or do not concern the user. A live subscriber
    /// also has everything up to the position of the buffer.
    position: i64,
    audiences: Box<[Arc<str>]>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Has everything up to the position of the stream and receives new events.
    Live,
    /// Would be live, but the stream has not begun.
    AwaitingStream,
    /// Waits for a call of Sync.
    Queued,
    /// A call of Sync is in flight.
    Syncing,
    /// Will be queued after a pause.
    Paused,
}

/// Rows for the subscriber with this id.
pub(crate) type Delivery = (u64, Vec<Arc<EventRow>>);

/// A call of Sync that the caller must make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SyncCall {
    pub(crate) subscriber: u64,
    pub(crate) user: Gid,
    pub(crate) feeds: Feeds,
}

/// The response to a call of Sync.
pub(crate) struct SyncPage {
    pub(crate) rows: Vec<Arc<EventRow>>,
    pub(crate) has_more: bool,
    pub(crate) position: i64,
    pub(crate) audiences: Vec<String>,
}

/// The consequences of a sync page.
pub(crate) struct SyncOutcome {
    pub(crate) rows: Vec<Arc<EventRow>>,
    /// The page brought nothing new, so the caller must pause before [`Hub::retry_call`].
    pub(crate) is_paused: bool,
}

impl Subscriber {
    /// Returns whether the row is new to this subscriber, in a feed that it follows.
    fn is_subscribed_to(&self, row: &EventRow) -> bool {
        let from = match row.feed {
            Feed::Global => self.feeds.cc_cursor,
            Feed::Project => self.feeds.cursor,
        };
        row.cursor > self.position && from.is_some_and(|from| row.cursor > from)
    }

    /// Adds the row of an event to `rows` if it is new. Returns true if the event requires a Sync
    /// instead.
    fn apply_event(&mut self, event: &FeedEvent, rows: &mut Vec<Arc<EventRow>>) -> bool {
        if event.cursor <= self.position {
            return false;
        }
        // A change has one event for each of its audiences, and a user can be in several of them.
        let is_added = rows.last().is_some_and(|last| last.cursor == event.cursor);
        match &event.row {
            Some(row) => {
                if !is_added && self.is_subscribed_to(row) {
                    rows.push(row.clone());
                }
                false
            }
            None => {
                // The page of the Sync has all rows of this cursor, also the one just added.
                if is_added {
                    rows.pop();
                }
                self.position = event.cursor - 1;
                true
            }
        }
    }

    /// Returns the cursors for the next call of Sync. The two cursors of a client can be far
    /// apart, and each feed is read from the later of its own cursor and the position.
    fn sync_feeds(&self) -> Feeds {
        let from = |cursor: Option<i64>| cursor.map(|cursor| cursor.max(self.position));
        Feeds {
            cc_cursor: from(self.feeds.cc_cursor),
            project: self.feeds.project,
            cursor: from(self.feeds.cursor),
        }
    }
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            subscribers: HashMap::new(),
            audiences: Audiences::default(),
            recent_events: None,
            sync_queue: VecDeque::new(),
            calls_in_flight: 0,
        }
    }

    /// Adds a subscriber that has everything up to the position of `start`. Returns the rows of
    /// events that are newer than that and in the buffer.
    pub(crate) fn subscribe(
        &mut self,
        id: u64,
        user: Gid,
        start: SubscriptionStart,
    ) -> Vec<Arc<EventRow>> {
        let subscriber = Subscriber {
            user,
            feeds: start.feeds,
            position: start.position,
            audiences: Box::default(),
            state: State::Syncing,
        };
        self.subscribers.insert(id, subscriber);
        // The client has the rows of this page already: they were in the response to its `init`.
        let page = SyncPage {
            rows: Vec::new(),
            has_more: start.has_more,
            position: start.position,
            audiences: start.audiences,
        };
        self.apply_page(id, page, true).rows
    }

    pub(crate) fn unsubscribe(&mut self, id: u64) {
        if let Some(subscriber) = self.subscribers.remove(&id) {
            self.audiences.remove(id, &subscriber.audiences);
        }
    }

    /// Applies events of the stream, which is complete up to `position`. Returns the rows for
    /// each subscriber.
    pub(crate) fn apply_events(&mut self, events: Vec<FeedEvent>, position: i64) -> Vec<Delivery> {
        let Some(buffer) = &mut self.recent_events else {
            self.start_stream(position);
            return Vec::new();
        };
        let mut deliveries: HashMap<u64, Vec<Arc<EventRow>>> = HashMap::new();
        // Events up to this position were applied before.
        let known = buffer.position();
        for event in events.iter().filter(|event| event.cursor > known) {
            if &*event.audience == EVERYONE {
                for (id, subscriber) in &mut self.subscribers {
                    apply_live(
                        *id,
                        subscriber,
                        event,
                        &mut deliveries,
                        &mut self.sync_queue,
                    );
                }
            }
            for id in self.audiences.subscribers(&event.audience) {
                if let Some(subscriber) = self.subscribers.get_mut(&id) {
                    apply_live(id, subscriber, event, &mut deliveries, &mut self.sync_queue);
                }
            }
        }
        buffer.push(
            events
                .into_iter()
                .filter(|event| event.cursor > known)
                .collect(),
            position,
        );
        deliveries
            .into_iter()
            .filter(|(_, rows)| !rows.is_empty())
            .collect()
    }

    /// Starts the stream at this position. Events up to it are unknown, so subscribers that are
    /// older need a Sync.
    fn start_stream(&mut self, position: i64) {
        self.recent_events = Some(EventBuffer::new(position, MAX_RECENT_EVENTS));
        for (id, subscriber) in &mut self.subscribers {
            if subscriber.state != State::AwaitingStream {
                continue;
            }
            if subscriber.position < position {
                subscriber.state = State::Queued;
                self.sync_queue.push_back(*id);
            } else {
                subscriber.state = State::Live;
            }
        }
    }

    /// Records that the stream cannot continue from its position. It starts again in the present,
    /// and live subscribers then need a Sync for the events in between.
    pub(crate) fn lose_stream(&mut self) {
        let Some(buffer) = self.recent_events.take() else {
            return;
        };
        for subscriber in self
            .subscribers
            .values_mut()
            .filter(|subscriber| subscriber.state == State::Live)
        {
            subscriber.position = subscriber.position.max(buffer.position());
            subscriber.state = State::AwaitingStream;
        }
    }

    /// Returns the next call of Sync, unless [`MAX_CALLS`] are in flight.
    pub(crate) fn next_call(&mut self) -> Option<SyncCall> {
        while self.calls_in_flight < MAX_CALLS {
            let id = self.sync_queue.pop_front()?;
            let Some(subscriber) = self
                .subscribers
                .get_mut(&id)
                .filter(|subscriber| subscriber.state == State::Queued)
            else {
                continue;
            };
            subscriber.state = State::Syncing;
            self.calls_in_flight += 1;
            return Some(SyncCall {
                subscriber: id,
                user: subscriber.user,
                feeds: subscriber.sync_feeds(),
            });
        }
        None
    }

    /// Applies the response to a call.
    pub(crate) fn complete_call(&mut self, id: u64, page: SyncPage) -> SyncOutcome {
        self.calls_in_flight = self.calls_in_flight.saturating_sub(1);
        self.apply_page(id, page, false)
    }

    /// Records that a call failed. The subscriber waits for [`Hub::retry_call`].
    pub(crate) fn fail_call(&mut self, id: u64) {
        self.calls_in_flight = self.calls_in_flight.saturating_sub(1);
        if let Some(subscriber) = self.subscribers.get_mut(&id) {
            subscriber.state = State::Paused;
        }
    }

    /// Queues a subscriber whose pause is over.
    pub(crate) fn retry_call(&mut self, id: u64) {
        if let Some(subscriber) = self
            .subscribers
            .get_mut(&id)
            .filter(|subscriber| subscriber.state == State::Paused)
        {
            subscriber.state = State::Queued;
            self.sync_queue.push_back(id);
        }
    }

    /// Ends the project part of a subscription, because the user is no longer a member. Returns
    /// whether the subscriber still follows the global feed.
    pub(crate) fn unsubscribe_project(&mut self, id: u64) -> bool {
        let Some(subscriber) = self.subscribers.get_mut(&id) else {
            return false;
        };
        let had_project = subscriber.feeds.project.take().is_some();
        subscriber.feeds.cursor = None;
        had_project && subscriber.feeds.cc_cursor.is_some()
    }

    fn apply_page(&mut self, id: u64, page: SyncPage, is_start: bool) -> SyncOutcome {
        let Some(subscriber) = self.subscribers.get_mut(&id) else {
            return SyncOutcome {
                rows: Vec::new(),
                is_paused: false,
            };
        };
        let mut rows = page.rows;
        rows.retain(|row| subscriber.is_subscribed_to(row));
        let has_progress = is_start || !rows.is_empty() || page.position > subscriber.position;
        subscriber.position = subscriber.position.max(page.position);
        if !page.has_more {
            // A client that sent a cursor beyond the head of the feed continues from the head.
            for cursor in [
                &mut subscriber.feeds.cc_cursor,
                &mut subscriber.feeds.cursor,
            ]
            .into_iter()
            .flatten()
            {
                *cursor = (*cursor).min(page.position);
            }
            // The audiences are those of the user at the position of the page, so they must be
            // replaced before the events after it are applied.
            self.audiences.remove(id, &subscriber.audiences);
            subscriber.audiences = self.audiences.add(id, &page.audiences);
            subscriber.state = match &self.recent_events {
                None => State::AwaitingStream,
                Some(buffer) => replay_recent_events(subscriber, buffer, &mut rows),
            };
        } else {
            subscriber.state = State::Queued;
        }
        // Without progress, the next call would probably bring nothing either: the directory may
        // be behind the stream. The pause prevents a busy loop of calls.
        let is_paused = subscriber.state == State::Queued && !has_progress;
        if is_paused {
            subscriber.state = State::Paused;
        } else if subscriber.state == State::Queued {
            self.sync_queue.push_back(id);
        }
        SyncOutcome { rows, is_paused }
    }

    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.calls_in_flight == 0
            && self.sync_queue.is_empty()
            && self
                .subscribers
                .values()
                .all(|one| one.state == State::Live)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.subscribers.is_empty() && self.audiences.is_empty()
    }
}

/// Adds the rows of the events that arrived after the subscriber's page, up to the first event
/// that requires another Sync. Returns the next state of the subscriber.
fn replay_recent_events(
    subscriber: &mut Subscriber,
    buffer: &EventBuffer,
    rows: &mut Vec<Arc<EventRow>>,
) -> State {
    let Some(events) = buffer.events_after(subscriber.position) else {
        return State::Queued;
    };
    for event in events {
        let is_addressed =
            &*event.audience == EVERYONE || subscriber.audiences.contains(&event.audience);
        if is_addressed && subscriber.apply_event(event, rows) {
            return State::Queued;
        }
    }
    State::Live
}

/// Applies an event to a subscriber if it is live. All others find the event in the buffer, or in
/// the page of their next Sync.
fn apply_live(
    id: u64,
    subscriber: &mut Subscriber,
    event: &FeedEvent,
    deliveries: &mut HashMap<u64, Vec<Arc<EventRow>>>,
    sync_queue: &mut VecDeque<u64>,
) {
    if subscriber.state == State::Live
        && subscriber.apply_event(event, deliveries.entry(id).or_default())
    {
        subscriber.state = State::Queued;
        sync_queue.push_back(id);
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
