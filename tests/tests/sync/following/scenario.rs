//! The state that all writers share: users, projects, and the stories that are still to be
//! performed.

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
pub(crate) enum Story {
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
    pub(crate) const ALL: [Self; 16] = [
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

    /// Returns each story `times` times, in random order.
    pub(crate) fn shuffled(times: usize, random: &mut Random) -> Vec<Self> {
        let mut stories = Self::ALL.repeat(times);
        random.shuffle(&mut stories);
        stories
    }
}

pub(crate) struct Scenario<'a> {
    pub(crate) installation: &'a Installation,
    pub(crate) gateways: &'a [Http],
    pub(crate) people: &'a [User],
    projects: Mutex<Vec<String>>,
    /// Stories that have not begun.
    remaining: Mutex<Vec<Story>>,
    begun: AtomicUsize,
    stories: usize,
    is_over: AtomicBool,
    /// For each call and command: number of attempts and of successes.
    count: Mutex<BTreeMap<String, (usize, usize)>>,
}

impl<'a> Scenario<'a> {
    /// Creates a scenario in which the stories are performed, the last one first.
    pub(crate) fn new(
        installation: &'a Installation,
        gateways: &'a [Http],
        people: &'a [User],
        projects: Vec<String>,
        stories: Vec<Story>,
    ) -> Self {
        let projects = Mutex::new(projects);
        let number = stories.len();
        let remaining = Mutex::new(stories);
        let begun = AtomicUsize::new(0);
        let is_over = AtomicBool::new(false);
        let count = Mutex::default();
        Self {
            installation,
            gateways,
            people,
            projects,
            remaining,
            begun,
            stories: number,
            is_over,
            count,
        }
    }

    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    pub(crate) fn half(&self) -> usize {
        self.stories / 2
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// Waits until `begun` stories have begun, or the scenario has ended.
    pub(crate) async fn wait_for(&self, begun: usize) {
        while self.begun() < begun && !self.is_finished() {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Checks that every kind of change succeeded at least once, and returns the number of changes.
    pub(crate) fn changes(&self) -> usize {
        let never = self.never_performed();
        let count = self.count.lock().expect("no panic");
        assert!(never.is_empty(), "never done: {never:?} of {count:?}");
        count.values().map(|(_, done)| done).sum()
    }

    /// Returns the calls and commands that never succeeded.
    pub(crate) fn never_performed(&self) -> Vec<String> {
        let count = self.count.lock().expect("no panic");
        count
            .iter()
            .filter(|(_, (_, done))| *done == 0)
            .map(|(what, _)| what.clone())
            .collect()
    }

    /// Takes the next story and its number.
    pub(crate) fn next_action(&self) -> Option<(Story, usize)> {
        let story = self.remaining.lock().expect("no panic").pop()?;
        Some((story, self.start_action()))
    }

    /// Returns the number of a story that begins.
    pub(crate) fn start_action(&self) -> usize {
        self.begun.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn choose_project(&self, random: &mut Random) -> String {
        random
            .choose(&self.projects.lock().expect("no panic"))
            .clone()
    }

    pub(crate) fn add_project(&self, project: String) {
        self.projects.lock().expect("no panic").push(project);
    }

    pub(crate) fn record(&self, what: &str, is_done: bool) {
        let mut count = self.count.lock().expect("no panic");
        let (tried, done) = count.entry(what.to_owned()).or_default();
        (*tried, *done) = (*tried + 1, *done + usize::from(is_done));
    }
}
