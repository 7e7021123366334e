//! Who is told what: notices come in, and answers of Sync; rows go out, each once and in the order of cursors. Pure: it
//! sends nothing, and asks nobody.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use doorward_domain::Gid;

use crate::{
    audiences::{Audiences, EVERYONE},
    event::{EventRow, Feed, FeedEvent},
    event_buffer::EventBuffer,
    host::{Feeds, Subscription},
};

/// Calls of Sync under way at once.
pub(crate) const MAX_CALLS: usize = 16;
/// About 3 MB.
const MAX_RECENT_EVENTS: usize = 10_000;

pub(crate) struct Hub {
    subscribers: HashMap<u64, Subscriber>,
    audiences: Audiences,
    /// None until the stream of notices has begun.
    recent_events: Option<EventBuffer>,
    /// Who is to be asked for, first come first served.
    sync_queue: VecDeque<u64>,
    calls_in_flight: usize,
}

struct Subscriber {
    user: Gid,
    feeds: Feeds,
    /// Everything up to here was told, and was not to be told.
    position: i64,
    scopes: Box<[Arc<str>]>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Has all up to the position of the stream, and is told what comes.
    Live,
    /// As live, once the stream has begun.
    AwaitingStream,
    /// To be asked for.
    Queued,
    /// Asked for.
    Syncing,
    /// To be asked for after a pause.
    Paused,
}

/// To be told to a listener.
pub(crate) type Delivery = (u64, Vec<Arc<EventRow>>);

/// A call of Sync that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SyncCall {
    pub(crate) subscriber: u64,
    pub(crate) user: Gid,
    pub(crate) feeds: Feeds,
}

/// An answer of Sync.
pub(crate) struct SyncPage {
    pub(crate) rows: Vec<Arc<EventRow>>,
    pub(crate) has_more: bool,
    pub(crate) position: i64,
    pub(crate) audiences: Vec<String>,
}

/// What follows from an answer.
pub(crate) struct SyncOutcome {
    pub(crate) rows: Vec<Arc<EventRow>>,
    /// To be queued again, but not at once: the answer has brought nothing.
    pub(crate) is_paused: bool,
}

impl Subscriber {
    fn is_subscribed_to(&self, row: &EventRow) -> bool {
        let from = match row.feed {
            Feed::Global => self.feeds.cc_cursor,
            Feed::Project => self.feeds.cursor,
        };
        row.cursor > self.position && from.is_some_and(|from| row.cursor > from)
    }

    /// Whether a notice that came after `position` calls for a Sync; else its row, if it is new, is added.
    fn apply_event(&mut self, notice: &FeedEvent, rows: &mut Vec<Arc<EventRow>>) -> bool {
        if notice.cursor <= self.position {
            return false;
        }
        let is_told = rows.last().is_some_and(|last| last.cursor == notice.cursor);
        match &notice.row {
            Some(row) => {
                if !is_told && self.is_subscribed_to(row) {
                    rows.push(row.clone());
                }
                false
            }
            None => {
                // Sync tells the whole of this cursor.
                if is_told {
                    rows.pop();
                }
                self.position = notice.cursor - 1;
                true
            }
        }
    }

    /// From where Sync is asked: two cursors that somebody came with may lie apart.
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

    /// What is to be told at once: notices that have come since the answer that it starts with.
    pub(crate) fn subscribe(
        &mut self,
        id: u64,
        user: Gid,
        start: Subscription,
    ) -> Vec<Arc<EventRow>> {
        let listener = Subscriber {
            user,
            feeds: start.feeds,
            position: start.position,
            scopes: Box::default(),
            state: State::Syncing,
        };
        self.subscribers.insert(id, listener);
        let Subscription {
            has_more,
            position,
            audiences: scopes,
            ..
        } = start;
        self.apply_page(
            id,
            SyncPage {
                rows: Vec::new(),
                has_more,
                position,
                audiences: scopes,
            },
            true,
        )
        .rows
    }

    pub(crate) fn unsubscribe(&mut self, id: u64) {
        if let Some(listener) = self.subscribers.remove(&id) {
            self.audiences.remove(id, &listener.scopes);
        }
    }

    /// News of the stream: what each is to be told.
    pub(crate) fn apply_events(&mut self, notices: Vec<FeedEvent>, position: i64) -> Vec<Delivery> {
        let Some(ring) = &mut self.recent_events else {
            self.start_stream(position);
            return Vec::new();
        };
        let mut tellings: HashMap<u64, Vec<Arc<EventRow>>> = HashMap::new();
        let heard = ring.position();
        for notice in notices.iter().filter(|notice| notice.cursor > heard) {
            if &*notice.audience == EVERYONE {
                for (id, listener) in &mut self.subscribers {
                    tell(*id, listener, notice, (&mut tellings, &mut self.sync_queue));
                }
            }
            for id in self.audiences.subscribers(&notice.audience) {
                if let Some(listener) = self.subscribers.get_mut(&id) {
                    tell(id, listener, notice, (&mut tellings, &mut self.sync_queue));
                }
            }
        }
        ring.push(
            notices
                .into_iter()
                .filter(|notice| notice.cursor > heard)
                .collect(),
            position,
        );
        tellings
            .into_iter()
            .filter(|(_, rows)| !rows.is_empty())
            .collect()
    }

    /// The stream begins here: what was before is unknown.
    fn start_stream(&mut self, position: i64) {
        self.recent_events = Some(EventBuffer::new(position, MAX_RECENT_EVENTS));
        for (id, listener) in &mut self.subscribers {
            if listener.state != State::AwaitingStream {
                continue;
            }
            if listener.position < position {
                listener.state = State::Queued;
                self.sync_queue.push_back(*id);
            } else {
                listener.state = State::Live;
            }
        }
    }

    /// The stream can't go on from where it was. All are asked for, once it has begun anew.
    pub(crate) fn lose_stream(&mut self) {
        let Some(ring) = self.recent_events.take() else {
            return;
        };
        for listener in self
            .subscribers
            .values_mut()
            .filter(|listener| listener.state == State::Live)
        {
            listener.position = listener.position.max(ring.position());
            listener.state = State::AwaitingStream;
        }
    }

    /// The next call to make, if there may be one.
    pub(crate) fn next_call(&mut self) -> Option<SyncCall> {
        while self.calls_in_flight < MAX_CALLS {
            let id = self.sync_queue.pop_front()?;
            let Some(listener) = self
                .subscribers
                .get_mut(&id)
                .filter(|listener| listener.state == State::Queued)
            else {
                continue;
            };
            listener.state = State::Syncing;
            self.calls_in_flight += 1;
            return Some(SyncCall {
                subscriber: id,
                user: listener.user,
                feeds: listener.sync_feeds(),
            });
        }
        None
    }

    /// The answer to a call.
    pub(crate) fn complete_call(&mut self, id: u64, synced: SyncPage) -> SyncOutcome {
        self.calls_in_flight = self.calls_in_flight.saturating_sub(1);
        self.apply_page(id, synced, false)
    }

    /// A call without an answer: another, after a pause.
    pub(crate) fn fail_call(&mut self, id: u64) {
        self.calls_in_flight = self.calls_in_flight.saturating_sub(1);
        if let Some(listener) = self.subscribers.get_mut(&id) {
            listener.state = State::Paused;
        }
    }

    /// A pause is over.
    pub(crate) fn retry_call(&mut self, id: u64) {
        if let Some(listener) = self
            .subscribers
            .get_mut(&id)
            .filter(|listener| listener.state == State::Paused)
        {
            listener.state = State::Queued;
            self.sync_queue.push_back(id);
        }
    }

    /// Who is a member no more follows the global feed alone. Whether there is something to follow.
    pub(crate) fn unsubscribe_project(&mut self, id: u64) -> bool {
        let Some(listener) = self.subscribers.get_mut(&id) else {
            return false;
        };
        let was_there = listener.feeds.project.take().is_some();
        listener.feeds.cursor = None;
        was_there && listener.feeds.cc_cursor.is_some()
    }

    fn apply_page(&mut self, id: u64, synced: SyncPage, is_start: bool) -> SyncOutcome {
        let nothing = SyncOutcome {
            rows: Vec::new(),
            is_paused: false,
        };
        let Some(listener) = self.subscribers.get_mut(&id) else {
            return nothing;
        };
        let mut rows = synced.rows;
        rows.retain(|row| listener.is_subscribed_to(row));
        let has_progress = is_start || !rows.is_empty() || synced.position > listener.position;
        listener.position = listener.position.max(synced.position);
        if !synced.has_more {
            // Who came with a cursor beyond the present goes on from the present.
            for cursor in [&mut listener.feeds.cc_cursor, &mut listener.feeds.cursor]
                .into_iter()
                .flatten()
            {
                *cursor = (*cursor).min(synced.position);
            }
            self.audiences.remove(id, &listener.scopes);
            listener.scopes = self.audiences.add(id, &synced.audiences);
            listener.state = match &self.recent_events {
                None => State::AwaitingStream,
                Some(ring) => replay_recent_events(listener, ring, &mut rows),
            };
        } else {
            listener.state = State::Queued;
        }
        let is_paused = listener.state == State::Queued && !has_progress;
        if is_paused {
            listener.state = State::Paused;
        } else if listener.state == State::Queued {
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

/// What was told meanwhile, up to the first notice that calls for another Sync.
fn replay_recent_events(
    listener: &mut Subscriber,
    ring: &EventBuffer,
    rows: &mut Vec<Arc<EventRow>>,
) -> State {
    let Some(notices) = ring.events_after(listener.position) else {
        return State::Queued;
    };
    for notice in notices {
        let concerns = &*notice.audience == EVERYONE || listener.scopes.contains(&notice.audience);
        if concerns && listener.apply_event(notice, rows) {
            return State::Queued;
        }
    }
    State::Live
}

fn tell(
    id: u64,
    listener: &mut Subscriber,
    notice: &FeedEvent,
    (tellings, queue): (&mut HashMap<u64, Vec<Arc<EventRow>>>, &mut VecDeque<u64>),
) {
    if listener.state == State::Live
        && listener.apply_event(notice, tellings.entry(id).or_default())
    {
        listener.state = State::Queued;
        queue.push_back(id);
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
