//! Tests of the hub against a model of a feed whose users join and leave audiences. Sync calls,
//! pages and feed events arrive in any order.

use std::collections::{BTreeMap, BTreeSet};

use doorward_rpc::directory::v1::Action;
use proptest::prelude::*;

use super::*;

const USERS: usize = 3;

/// A change of the feed. Its cursor is its position in the log, starting at 1.
#[derive(Debug, Clone)]
enum FeedChange {
    /// A row for each of these audiences, under one cursor.
    Shared(Vec<u8>),
    /// A user joins or leaves an audience and receives a row that requires a sync. A second
    /// audience can receive a row of the same change.
    Personal(usize, u8, Option<u8>),
}

#[derive(Debug, Clone)]
enum Operation {
    Change(FeedChange),
    /// The stream delivers all events except the last ones, of which this is the number.
    DeliverEvents(usize),
    /// Sync reads a page with at most this many rows for one of the waiting calls, or fails.
    ReadPage(usize, Option<usize>),
    /// One of the pages that were read arrives at the hub.
    CompleteSync(usize),
    Retry,
    LoseStream,
    Subscribe(usize, usize),
    Unsubscribe(usize),
}

#[derive(Default)]
struct Scenario {
    log: Vec<FeedChange>,
}

impl Scenario {
    fn head(&self) -> i64 {
        self.log.len() as i64
    }

    /// Returns the audiences of a user at a cursor.
    fn audiences(&self, user: usize, at: i64) -> BTreeSet<u8> {
        let mut audiences = BTreeSet::from([user as u8]);
        for event in self.log.iter().take(at as usize) {
            match event {
                FeedChange::Personal(changed, audience, _) if *changed == user => {
                    if !audiences.remove(audience) {
                        audiences.insert(*audience);
                    }
                }
                FeedChange::Personal(..) | FeedChange::Shared(_) => {}
            }
        }
        audiences
    }

    /// Returns the cursors of the rows that a user must receive, after `from` and up to `to`.
    fn rows(&self, user: usize, from: i64, to: i64) -> Vec<i64> {
        let is_visible = |cursor: &i64| {
            let own = self.audiences(user, cursor - 1);
            match &self.log[*cursor as usize - 1] {
                FeedChange::Shared(audiences) => audiences.iter().any(|one| own.contains(one)),
                FeedChange::Personal(changed, _, other) => {
                    *changed == user || other.is_some_and(|one| own.contains(&one))
                }
            }
        };
        (from + 1..=to).filter(is_visible).collect()
    }

    fn events(&self, from: i64, to: i64) -> Vec<FeedEvent> {
        let mut events = Vec::new();
        for cursor in from + 1..=to {
            let name = |audience: u8| Arc::<str>::from(format!("s{audience}"));
            match &self.log[cursor as usize - 1] {
                FeedChange::Shared(audiences) => {
                    let shared = audiences.iter().map(|one| FeedEvent {
                        cursor,
                        audience: name(*one),
                        row: Some(row(cursor)),
                    });
                    events.extend(shared);
                }
                FeedChange::Personal(user, _, other) => {
                    events.extend(other.map(|one| FeedEvent {
                        cursor,
                        audience: name(one),
                        row: Some(row(cursor)),
                    }));
                    events.push(FeedEvent {
                        cursor,
                        audience: format!("u{user}").into(),
                        row: None,
                    });
                }
            }
        }
        events
    }

    fn names(&self, user: usize, at: i64) -> Vec<String> {
        let audiences = self.audiences(user, at);
        audiences
            .iter()
            .map(|audience| format!("s{audience}"))
            .chain([format!("u{user}")])
            .collect()
    }
}

fn row(cursor: i64) -> Arc<EventRow> {
    Arc::new(EventRow {
        feed: Feed::Global,
        cursor,
        action: Action::Update,
        data_type: "t".into(),
        data_key: "k".into(),
    })
}

fn gid(user: usize) -> Gid {
    format!("00000000-0000-0000-0000-{user:012}")
        .parse()
        .unwrap()
}

/// A hub, and the rows that each subscriber received.
struct HubFixture {
    scenario: Scenario,
    hub: Hub,
    stream: Option<i64>,
    /// The user, the first cursor and the delivered cursors of each subscriber.
    delivered: BTreeMap<u64, (usize, i64, Vec<i64>)>,
    calls: Vec<SyncCall>,
    answered_pages: Vec<(u64, SyncPage)>,
    paused: Vec<u64>,
    next: u64,
}

impl HubFixture {
    fn new() -> Self {
        Self {
            scenario: Scenario::default(),
            hub: Hub::new(),
            stream: None,
            delivered: BTreeMap::new(),
            calls: Vec::new(),
            answered_pages: Vec::new(),
            paused: Vec::new(),
            next: 1,
        }
    }

    fn deliver(&mut self, id: u64, rows: &[Arc<EventRow>]) {
        if let Some((_, _, cursors)) = self.delivered.get_mut(&id) {
            cursors.extend(rows.iter().map(|row| row.cursor));
        }
    }

    fn deliver_events(&mut self, less: usize) {
        let to = (self.scenario.head() - less as i64).max(self.stream.unwrap_or(0));
        let events = self
            .stream
            .map(|from| self.scenario.events(from, to))
            .unwrap_or_default();
        self.stream = Some(to);
        for (id, rows) in self.hub.apply_events(events, to) {
            self.deliver(id, &rows);
        }
    }

    fn read(&mut self, which: usize, limit: Option<usize>) {
        self.calls
            .extend(std::iter::from_fn(|| self.hub.next_call()));
        if self.calls.is_empty() {
            return;
        }
        let call = self.calls.remove(which % self.calls.len());
        match limit {
            Some(limit) => {
                let user = self
                    .delivered
                    .get(&call.subscriber)
                    .map_or(0, |delivered| delivered.0);
                let page = self.sync(user, call.feeds.cc_cursor.unwrap(), limit);
                self.answered_pages.push((call.subscriber, page));
            }
            None => {
                self.hub.fail_call(call.subscriber);
                self.paused.push(call.subscriber);
            }
        }
    }

    fn sync(&self, user: usize, from: i64, limit: usize) -> SyncPage {
        let head = self.scenario.head();
        let mut rows = self.scenario.rows(user, from, head);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let position = if has_more {
            rows.last().copied().unwrap_or(from)
        } else {
            head
        };
        let audiences = self.scenario.names(user, position);
        SyncPage {
            rows: rows.into_iter().map(row).collect(),
            has_more,
            position,
            audiences,
        }
    }

    fn complete(&mut self, which: usize) {
        if self.answered_pages.is_empty() {
            return;
        }
        let (id, page) = self
            .answered_pages
            .remove(which % self.answered_pages.len());
        let outcome = self.hub.complete_call(id, page);
        self.deliver(id, &outcome.rows);
        if outcome.is_paused {
            self.paused.push(id);
        }
    }

    fn retry(&mut self) {
        for id in std::mem::take(&mut self.paused) {
            self.hub.retry_call(id);
        }
    }

    fn start(&mut self, user: usize, from: i64) {
        let from = from.min(self.scenario.head());
        let SyncPage {
            rows,
            has_more,
            position,
            audiences,
        } = self.sync(user, from, 4);
        let id = self.next;
        self.next += 1;
        self.delivered.insert(id, (user, from, Vec::new()));
        self.deliver(id, &rows);
        // The stream may be behind this page, or ahead of it.
        let feeds = Feeds {
            cc_cursor: Some(from),
            project: None,
            cursor: None,
        };
        let rows = self.hub.subscribe(
            id,
            gid(user),
            SubscriptionStart {
                feeds,
                position,
                has_more,
                audiences,
            },
        );
        self.deliver(id, &rows);
    }

    fn step(&mut self, step: Operation) {
        match step {
            Operation::Change(event) => self.scenario.log.push(event),
            Operation::DeliverEvents(less) => self.deliver_events(less),
            Operation::ReadPage(which, limit) => self.read(which, limit),
            Operation::CompleteSync(which) => self.complete(which),
            Operation::Retry => self.retry(),
            Operation::LoseStream => {
                self.hub.lose_stream();
                self.stream = None;
            }
            Operation::Subscribe(user, from) => self.start(user, from as i64),
            Operation::Unsubscribe(which) => {
                let id = self.delivered.keys().nth(which).copied();
                if let Some(id) = id {
                    self.hub.unsubscribe(id);
                    self.delivered.remove(&id);
                }
            }
        }
    }

    /// Runs the hub until no call, page or event is pending.
    fn settle(&mut self) {
        for _ in 0..500 {
            self.deliver_events(0);
            self.retry();
            self.read(0, Some(4));
            self.complete(0);
            if self.hub.is_idle() && self.answered_pages.is_empty() && self.calls.is_empty() {
                return;
            }
        }
        panic!("the hub is still not idle after 500 rounds");
    }
}

fn event() -> impl Strategy<Value = FeedChange> {
    let audience = 0..6u8;
    prop_oneof![
        3 => prop::collection::vec(audience.clone(), 1..3).prop_map(FeedChange::Shared),
        1 => (0..USERS, 3..6u8, prop::option::of(audience)).prop_map(|(user, toggled, other)| FeedChange::Personal(user, toggled, other)),
    ]
}

fn step() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => event().prop_map(Operation::Change),
        4 => (0..3usize).prop_map(Operation::DeliverEvents),
        4 => (0..8usize, prop::option::weighted(0.8, 1..5usize)).prop_map(|(which, limit)| Operation::ReadPage(which, limit)),
        4 => (0..8usize).prop_map(Operation::CompleteSync),
        2 => Just(Operation::Retry),
        1 => Just(Operation::LoseStream),
        2 => (0..USERS, 0..10usize).prop_map(|(user, from)| Operation::Subscribe(user, from)),
        1 => (0..6usize).prop_map(Operation::Unsubscribe),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_row_is_lost_repeated_or_out_of_order(steps in prop::collection::vec(step(), 0..80)) {
        let mut fixture = HubFixture::new();
        for step in steps {
            fixture.step(step);
        }
        fixture.settle();
        for (user, from, cursors) in fixture.delivered.values() {
            prop_assert_eq!(cursors, &fixture.scenario.rows(*user, *from, fixture.scenario.head()));
        }
        for id in fixture.delivered.keys() {
            fixture.hub.unsubscribe(*id);
        }
        prop_assert!(fixture.hub.is_empty());
    }
}

#[test]
fn sync_calls_are_bounded_and_in_order() {
    let mut fixture = HubFixture::new();
    for _ in 0..6 {
        fixture.step(Operation::Change(FeedChange::Shared(vec![0])));
    }
    for _ in 0..40 {
        fixture.start(0, 0);
    }
    let calls: Vec<u64> = std::iter::from_fn(|| fixture.hub.next_call())
        .map(|call| call.subscriber)
        .collect();
    assert_eq!(calls, (1..=MAX_CALLS as u64).collect::<Vec<_>>());
    fixture.hub.fail_call(1);
    assert_eq!(
        fixture.hub.next_call().map(|call| call.subscriber),
        Some(MAX_CALLS as u64 + 1)
    );
}

#[test]
fn each_feed_starts_at_its_own_cursor() {
    let mut hub = Hub::new();
    hub.apply_events(Vec::new(), 5);
    let project = Some(gid(9));
    let feeds = Feeds {
        cc_cursor: None,
        project,
        cursor: Some(4),
    };
    hub.subscribe(
        1,
        gid(0),
        SubscriptionStart {
            feeds,
            position: 5,
            has_more: false,
            audiences: vec!["p".into()],
        },
    );
    let event = |cursor, feed| {
        let row = EventRow {
            feed,
            ..(*row(cursor)).clone()
        };
        FeedEvent {
            cursor,
            audience: "p".into(),
            row: Some(Arc::new(row)),
        }
    };
    let events = vec![
        event(7, Feed::Project),
        event(9, Feed::Global),
        event(10, Feed::Project),
    ];
    let deliveries = hub.apply_events(events, 10);
    let cursors: Vec<i64> = deliveries[0].1.iter().map(|row| row.cursor).collect();
    assert_eq!((deliveries.len(), cursors), (1, vec![7, 10]));
    hub.apply_events(
        vec![FeedEvent {
            cursor: 12,
            audience: EVERYONE.into(),
            row: None,
        }],
        12,
    );
    let call = hub.next_call().unwrap();
    assert_eq!(
        call.feeds,
        Feeds {
            cc_cursor: None,
            project,
            cursor: Some(11)
        }
    );
    assert!(!hub.unsubscribe_project(1));
    hub.fail_call(1);
    hub.retry_call(1);
    assert_eq!(hub.next_call().unwrap().feeds, Feeds::default());
}
