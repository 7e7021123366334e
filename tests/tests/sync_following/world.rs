//! What all writers work on, and what is to happen in it.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use doorward_tests::{Http, Installation, User, random::Random};

const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Story {
    OwnName,
    Newcomer,
    Deregister,
    NewProject,
    PurgedProject,
    ProjectName,
    DeleteAndUndelete,
    CommandsOnProjects,
    Transfer,
    AddAndLeave,
    Decline,
    Remove,
    Deactivate,
    Placeholder,
    ApiKey,
    Options,
}

impl Story {
    pub(super) const ALL: [Self; 16] = [
        Self::OwnName,
        Self::Newcomer,
        Self::Deregister,
        Self::NewProject,
        Self::PurgedProject,
        Self::ProjectName,
        Self::DeleteAndUndelete,
        Self::CommandsOnProjects,
        Self::Transfer,
        Self::AddAndLeave,
        Self::Decline,
        Self::Remove,
        Self::Deactivate,
        Self::Placeholder,
        Self::ApiKey,
        Self::Options,
    ];
}

pub(super) struct Scenario<'a> {
    pub(super) installation: &'a Installation,
    pub(super) doors: &'a [Http],
    pub(super) people: &'a [User],
    projects: Mutex<Vec<String>>,
    /// What is still to happen.
    deck: Mutex<Vec<Story>>,
    begun: AtomicUsize,
    stories: usize,
    is_over: AtomicBool,
    /// Of each call and command: how often it was tried, and how often done.
    count: Mutex<BTreeMap<String, (usize, usize)>>,
}

impl<'a> Scenario<'a> {
    /// In which each story happens so many times.
    pub(super) fn new(
        installation: &'a Installation,
        (doors, people): (&'a [Http], &'a [User]),
        projects: Vec<String>,
        (times, random): (usize, &mut Random),
    ) -> Self {
        let mut deck = Story::ALL.repeat(times);
        random.shuffle(&mut deck);
        let (projects, stories, deck) = (Mutex::new(projects), deck.len(), Mutex::new(deck));
        let (begun, is_over, count) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::default());
        Self { installation, doors, people, projects, deck, begun, stories, is_over, count }
    }

    pub(super) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    pub(super) fn half(&self) -> usize {
        self.stories / 2
    }

    pub(super) fn is_finished(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// Until so many stories have begun, or all is over.
    pub(super) async fn wait_for(&self, begun: usize) {
        while self.begun() < begun && !self.is_finished() {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Of every kind of change there was one at least: how many in all.
    pub(super) fn changes(&self) -> usize {
        let never = self.never_performed();
        let count = self.count.lock().expect("no panic");
        assert!(never.is_empty(), "never done: {never:?} of {count:?}");
        count.values().map(|(_, done)| done).sum()
    }

    /// What was refused each time.
    pub(super) fn never_performed(&self) -> Vec<String> {
        let count = self.count.lock().expect("no panic");
        count.iter().filter(|(_, (_, done))| *done == 0).map(|(what, _)| what.clone()).collect()
    }

    /// The next one, and its number.
    pub(super) fn next_action(&self) -> Option<(Story, usize)> {
        let story = self.deck.lock().expect("no panic").pop()?;
        Some((story, self.start_action()))
    }

    /// The number of a story that begins.
    pub(super) fn start_action(&self) -> usize {
        self.begun.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn choose_project(&self, random: &mut Random) -> String {
        random.choose(&self.projects.lock().expect("no panic")).clone()
    }

    pub(super) fn add_project(&self, project: String) {
        self.projects.lock().expect("no panic").push(project);
    }

    pub(super) fn record(&self, what: &str, is_done: bool) {
        let mut count = self.count.lock().expect("no panic");
        let (tried, done) = count.entry(what.to_owned()).or_default();
        (*tried, *done) = (*tried + 1, *done + usize::from(is_done));
    }
}
