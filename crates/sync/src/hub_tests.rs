//! A small world with a feed, in which users come into sight of scopes and lose them; and one that lets any listener be
//! asked for, answered and told in any order.

use std::collections::{BTreeMap, BTreeSet};

use doorward_rpc::directory::v1::Action;
use proptest::prelude::*;

use super::*;

const USERS: usize = 3;

/// What happened under a cursor, which is its place in the log, from 1.
#[derive(Debug, Clone)]
enum FeedChange {
    /// FeedEvent in these scopes, under one cursor.
    EventRow(Vec<u8>),
    /// A user gains or loses a scope, and is told a row of their own; others may be told of it as well.
    Personal(usize, u8, Option<u8>),
}

#[derive(Debug, Clone)]
enum Operation {
    Change(FeedChange),
    /// The stream tells what has happened, up to so many events less than all.
    DeliverEvents(usize),
    /// Sync reads a snapshot for a call that waits, and at most so many rows of it; or fails.
    ReadPage(usize, Option<usize>),
    /// The answer that was read arrives.
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

    /// The scopes of a user at a cursor.
    fn scopes(&self, user: usize, at: i64) -> BTreeSet<u8> {
        let mut scopes = BTreeSet::from([user as u8]);
        for event in self.log.iter().take(at as usize) {
            match event {
                FeedChange::Personal(who, scope, _) if *who == user => {
                    if !scopes.remove(scope) {
                        scopes.insert(*scope);
                    }
                }
                FeedChange::Personal(..) | FeedChange::EventRow(_) => {}
            }
        }
        scopes
    }

    /// The cursors of what a user is to be told after one cursor, up to another.
    fn rows(&self, user: usize, from: i64, to: i64) -> Vec<i64> {
        let concerns = |cursor: &i64| {
            let scopes = self.scopes(user, cursor - 1);
            match &self.log[*cursor as usize - 1] {
                FeedChange::EventRow(told) => told.iter().any(|scope| scopes.contains(scope)),
                FeedChange::Personal(who, _, told) => {
                    *who == user || told.is_some_and(|scope| scopes.contains(&scope))
                }
            }
        };
        (from + 1..=to).filter(concerns).collect()
    }

    fn notices(&self, from: i64, to: i64) -> Vec<FeedEvent> {
        let mut notices = Vec::new();
        for cursor in from + 1..=to {
            let scope = |scope: u8| Arc::<str>::from(format!("s{scope}"));
            match &self.log[cursor as usize - 1] {
                FeedChange::EventRow(scopes) => {
                    let told = scopes.iter().map(|one| FeedEvent {
                        cursor,
                        audience: scope(*one),
                        row: Some(row(cursor)),
                    });
                    notices.extend(told);
                }
                FeedChange::Personal(who, _, told) => {
                    notices.extend(told.map(|one| FeedEvent {
                        cursor,
                        audience: scope(one),
                        row: Some(row(cursor)),
                    }));
                    notices.push(FeedEvent {
                        cursor,
                        audience: format!("u{who}").into(),
                        row: None,
                    });
                }
            }
        }
        notices
    }

    fn names(&self, user: usize, at: i64) -> Vec<String> {
        let scopes = self.scopes(user, at);
        scopes
            .iter()
            .map(|scope| format!("s{scope}"))
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

/// A hub, and what each listener was told.
struct HubFixture {
    world: Scenario,
    hub: Hub,
    stream: Option<i64>,
    delivered: BTreeMap<u64, (usize, i64, Vec<i64>)>,
    calls: Vec<SyncCall>,
    answered_pages: Vec<(u64, SyncPage)>,
    paused: Vec<u64>,
    next: u64,
}

impl HubFixture {
    fn new() -> Self {
        Self {
            world: Scenario::default(),
            hub: Hub::new(),
            stream: None,
            delivered: BTreeMap::new(),
            calls: Vec::new(),
            answered_pages: Vec::new(),
            paused: Vec::new(),
            next: 1,
        }
    }

    fn tell(&mut self, id: u64, rows: &[Arc<EventRow>]) {
        if let Some((_, _, told)) = self.delivered.get_mut(&id) {
            told.extend(rows.iter().map(|row| row.cursor));
        }
    }

    fn hear(&mut self, less: usize) {
        let to = (self.world.head() - less as i64).max(self.stream.unwrap_or(0));
        let notices = self
            .stream
            .map(|from| self.world.notices(from, to))
            .unwrap_or_default();
        self.stream = Some(to);
        for (id, for_each_row) in self.hub.apply_events(notices, to) {
            self.tell(id, &for_each_row);
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
                    .map_or(0, |told| told.0);
                let synced = self.sync(user, call.feeds.cc_cursor.unwrap(), limit);
                self.answered_pages.push((call.subscriber, synced));
            }
            None => {
                self.hub.fail_call(call.subscriber);
                self.paused.push(call.subscriber);
            }
        }
    }

    fn sync(&self, user: usize, from: i64, limit: usize) -> SyncPage {
        let head = self.world.head();
        let mut rows = self.world.rows(user, from, head);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let position = if has_more {
            rows.last().copied().unwrap_or(from)
        } else {
            head
        };
        let scopes = self.world.names(user, position);
        SyncPage {
            rows: rows.into_iter().map(row).collect(),
            has_more,
            position,
            audiences: scopes,
        }
    }

    fn answer(&mut self, which: usize) {
        if self.answered_pages.is_empty() {
            return;
        }
        let (id, synced) = self
            .answered_pages
            .remove(which % self.answered_pages.len());
        let outcome = self.hub.complete_call(id, synced);
        self.tell(id, &outcome.rows);
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
        let from = from.min(self.world.head());
        let SyncPage {
            rows,
            has_more,
            position,
            audiences: scopes,
        } = self.sync(user, from, 4);
        let id = self.next;
        self.next += 1;
        self.delivered.insert(id, (user, from, Vec::new()));
        self.tell(id, &rows);
        // Things may happen between the answer of init and the start, as the steps in between say.
        let feeds = Feeds {
            cc_cursor: Some(from),
            project: None,
            cursor: None,
        };
        let rows = self.hub.subscribe(
            id,
            gid(user),
            Subscription {
                feeds,
                position,
                has_more,
                audiences: scopes,
            },
        );
        self.tell(id, &rows);
    }

    fn step(&mut self, step: Operation) {
        match step {
            Operation::Change(event) => self.world.log.push(event),
            Operation::DeliverEvents(less) => self.hear(less),
            Operation::ReadPage(which, limit) => self.read(which, limit),
            Operation::CompleteSync(which) => self.answer(which),
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

    /// Lets everything that is under way come to its end.
    fn settle(&mut self) {
        for _ in 0..500 {
            self.hear(0);
            self.retry();
            self.read(0, Some(4));
            self.answer(0);
            if self.hub.is_idle() && self.answered_pages.is_empty() && self.calls.is_empty() {
                return;
            }
        }
        panic!("it never comes to rest");
    }
}

fn event() -> impl Strategy<Value = FeedChange> {
    let scope = 0..6u8;
    prop_oneof![
        3 => prop::collection::vec(scope.clone(), 1..3).prop_map(FeedChange::EventRow),
        1 => (0..USERS, 3..6u8, prop::option::of(scope)).prop_map(|(user, gained, told)| FeedChange::Personal(user, gained, told)),
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
        let mut bench = HubFixture::new();
        for step in steps {
            bench.step(step);
        }
        bench.settle();
        for (user, from, told) in bench.delivered.values() {
            prop_assert_eq!(told, &bench.world.rows(*user, *from, bench.world.head()));
        }
        for id in bench.delivered.keys() {
            bench.hub.unsubscribe(*id);
        }
        prop_assert!(bench.hub.is_empty());
    }
}

#[test]
fn sync_calls_are_bounded_and_in_order() {
    let mut bench = HubFixture::new();
    for _ in 0..6 {
        bench.step(Operation::Change(FeedChange::EventRow(vec![0])));
    }
    for _ in 0..40 {
        bench.start(0, 0);
    }
    let calls: Vec<u64> = std::iter::from_fn(|| bench.hub.next_call())
        .map(|call| call.subscriber)
        .collect();
    assert_eq!(calls, (1..=MAX_CALLS as u64).collect::<Vec<_>>());
    bench.hub.fail_call(1);
    assert_eq!(
        bench.hub.next_call().map(|call| call.subscriber),
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
        Subscription {
            feeds,
            position: 5,
            has_more: false,
            audiences: vec!["p".into()],
        },
    );
    let told = |cursor, feed| {
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
    let notices = vec![
        told(7, Feed::Project),
        told(9, Feed::Global),
        told(10, Feed::Project),
    ];
    let tellings = hub.apply_events(notices, 10);
    let cursors: Vec<i64> = tellings[0].1.iter().map(|row| row.cursor).collect();
    assert_eq!((tellings.len(), cursors), (1, vec![7, 10]));
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
