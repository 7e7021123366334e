//! Those who change everything that users see, over HTTP and by the command line, all at once. Much of what they try is
//! refused, because another was first.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use doorward_tests::{Http, Installation, PASSWORD, User};
use serde_json::{Value, json};

use super::{random::Random, reader::ask};

const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
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
    const ALL: [Self; 16] = [
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

/// What all of them work on.
pub(super) struct World<'a> {
    pub(super) installation: &'a Installation,
    pub(super) doors: &'a [Http],
    pub(super) people: &'a [User],
    projects: Mutex<Vec<String>>,
    deck: Mutex<Vec<Story>>,
    begun: AtomicUsize,
    stories: usize,
    is_over: AtomicBool,
    /// Of each call and command: how often it was tried, and how often done.
    count: Mutex<BTreeMap<String, (usize, usize)>>,
}

impl<'a> World<'a> {
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

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// Until so many stories have begun, or all is over.
    pub(super) async fn until(&self, begun: usize) {
        while self.begun() < begun && !self.is_over() {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Of every kind of change there was one at least: how many in all.
    pub(super) fn changes(&self) -> usize {
        let count = self.count.lock().expect("no panic");
        let never: Vec<_> = count.iter().filter(|(_, (_, done))| *done == 0).collect();
        assert!(never.is_empty(), "never done: {never:?} of {count:?}");
        count.values().map(|(_, done)| done).sum()
    }

    fn counts(&self, what: &str, is_done: bool) {
        let mut count = self.count.lock().expect("no panic");
        let (tried, done) = count.entry(what.to_owned()).or_default();
        (*tried, *done) = (*tried + 1, *done + usize::from(is_done));
    }
}

pub(super) struct Writer<'a> {
    world: &'a World<'a>,
    number: usize,
    random: Random,
}

impl<'a> Writer<'a> {
    pub(super) fn new(world: &'a World<'a>, number: usize, random: Random) -> Self {
        Self { world, number, random }
    }

    pub(super) async fn write(mut self) {
        loop {
            let Some(story) = self.world.deck.lock().expect("no panic").pop() else { return };
            let begun = self.world.begun.fetch_add(1, Ordering::Relaxed);
            self.tell(story, begun).await;
        }
    }

    async fn tell(&mut self, story: Story, number: usize) {
        let projects = self.world.projects.lock().expect("no panic").clone();
        let project = self.random.one_of(&projects).clone();
        let Some(owner) = self.owner(&project).await else { return };
        let other = (owner + 1 + self.random.below(self.world.people.len() - 1)) % self.world.people.len();
        let (owner, other) = (&self.world.people[owner], &self.world.people[other]);
        let name = format!("{story:?} {number} of {}", self.number);
        let newcomer = format!("newcomer{number}");
        match story {
            Story::OwnName => drop(self.call(other, "account/update", json!({"name": name})).await),
            Story::Newcomer => self.newcomer(&project, &newcomer).await,
            Story::Deregister => self.deregister(&project, &newcomer).await,
            Story::NewProject => {
                if let Some(project) = self.new_project(other, &name).await {
                    self.join(other, owner, &project).await;
                    self.world.projects.lock().expect("no panic").push(project);
                }
            }
            Story::PurgedProject => self.purged_project(owner, other, &name).await,
            Story::ProjectName => {
                self.call(owner, "projects/update", json!({"project": project, "name": name})).await;
            }
            Story::DeleteAndUndelete => {
                self.call(owner, "projects/delete", json!({"project": project})).await;
                self.call(owner, "projects/undelete", json!({"project": project})).await;
            }
            Story::CommandsOnProjects => {
                self.command(&["project", "delete", &project]).await;
                self.command(&["project", "undelete", &project]).await;
                self.command(&["project", "create", "--owner", &other.username, "--name", &name]).await;
            }
            Story::Transfer => {
                self.join(owner, other, &project).await;
                self.call(owner, "projects/transfer", json!({"project": project, "user": other.gid})).await;
            }
            Story::AddAndLeave => {
                self.command(&["member", "remove", "--project", &project, "--user", &other.username]).await;
                self.command(&["member", "add", "--project", &project, "--user", &other.username]).await;
                self.call(other, "account/leave_project", json!({"project": project})).await;
            }
            Story::Decline => {
                self.inside(owner, &project, "members/remove", json!({"user": other.gid})).await;
                self.inside(owner, &project, "members/invite", json!({"username_or_email": other.username})).await;
                self.call(other, "account/decline_invite", json!({"project": project})).await;
            }
            Story::Remove => {
                self.join(owner, other, &project).await;
                self.inside(owner, &project, "members/remove", json!({"user": other.gid})).await;
            }
            Story::Deactivate => {
                self.join(owner, other, &project).await;
                self.inside(owner, &project, "members/deactivate", json!({"user": other.gid})).await;
                self.inside(owner, &project, "members/activate", json!({"user": other.gid})).await;
            }
            Story::Placeholder => {
                let email = format!("{newcomer}@example.org");
                let made = self.inside(owner, &project, "members/invite", json!({"username_or_email": email})).await;
                if let Some(made) = made.filter(|_| self.random.below(2) == 0) {
                    self.inside(owner, &project, "members/remove", json!({"user": made["user"]})).await;
                }
            }
            Story::ApiKey => self.api_key(owner, &project, &name).await,
            Story::Options => self.options(owner, other, &project).await,
        }
    }

    async fn newcomer(&mut self, project: &str, username: &str) {
        self.world.installation.create_user(username).await;
        for words in [
            &["member", "add", "--project", project, "--user", username][..],
            &["user", "deactivate", username],
            &["user", "activate", username],
        ] {
            self.command(words).await;
        }
        if self.random.below(2) == 0 {
            self.command(&["user", "delete", username]).await;
        }
    }

    async fn deregister(&mut self, project: &str, username: &str) {
        let gid = self.world.installation.create_user(username).await;
        self.command(&["member", "add", "--project", project, "--user", username]).await;
        let login = json!({"username": username, "password": PASSWORD});
        let token = ask(self.world.doors, &mut self.random, None, ("/api/login", &login)).await.token();
        let user = User { gid, username: username.to_owned(), token, http: self.world.doors[0].clone() };
        self.call(&user, "account/update", json!({"name": "Soon gone"})).await;
        self.call(&user, "account/delete", json!({"confirm": true})).await;
    }

    async fn new_project(&mut self, owner: &User, name: &str) -> Option<String> {
        let made = self.call(owner, "projects/create", json!({"name": name})).await?;
        made["project"].as_str().map(str::to_owned)
    }

    async fn purged_project(&mut self, owner: &User, other: &User, name: &str) {
        let Some(project) = self.new_project(owner, name).await else { return };
        self.join(owner, other, &project).await;
        self.inside(owner, &project, "apikeys/create", json!({"name": name})).await;
        let email = "somebody@example.org";
        self.inside(owner, &project, "members/invite", json!({"username_or_email": email})).await;
        self.call(owner, "projects/delete", json!({"project": project})).await;
        self.call(owner, "projects/permanent_delete", json!({"project": project})).await;
    }

    async fn api_key(&mut self, owner: &User, project: &str, name: &str) {
        for calls in [&["update", "deactivate", "activate"][..], &["deactivate", "delete"]] {
            let made = self.inside(owner, project, "apikeys/create", json!({"name": name})).await;
            let Some(made) = made else { return };
            for call in calls {
                let body = json!({"user": made["user"], "name": format!("{name}, later")});
                self.inside(owner, project, &format!("apikeys/{call}"), body).await;
            }
        }
    }

    async fn options(&mut self, owner: &User, other: &User, project: &str) {
        self.join(owner, other, project).await;
        let limit = 1000 + self.random.below(1000);
        let body = json!({"user": other.gid, "options": {"rate_limit_per_second": limit}});
        self.inside(owner, project, "members/update", body).await;
        let frequency = *self.random.one_of(&["immediate", "daily"]);
        let body = json!({"user": other.gid, "options": {"notifications": {"frequency": frequency}}});
        self.inside(other, project, "members/update", body).await;
    }

    /// By an invitation.
    async fn join(&mut self, owner: &User, other: &User, project: &str) {
        self.inside(owner, project, "members/invite", json!({"username_or_email": other.username})).await;
        self.call(other, "account/accept_invite", json!({"project": project})).await;
    }

    /// Whose the project is, of the people.
    async fn owner(&mut self, project: &str) -> Option<usize> {
        let body = json!({"project": project});
        for person in self.world.people {
            let token = Some(person.token.as_str());
            let answer = ask(self.world.doors, &mut self.random, token, ("/api/projects/get", &body)).await;
            if answer.status == 200 {
                let (_, data) = answer.success();
                let owner = &data["cc.projects"][project]["owner"];
                return self.world.people.iter().position(|person| owner == &json!(person.gid));
            }
        }
        None
    }

    /// A call, that may be refused: its result.
    async fn call(&mut self, who: &User, call: &str, body: Value) -> Option<Value> {
        self.ask(who, &format!("/api/{call}"), (call, body)).await
    }

    /// One inside a project.
    async fn inside(&mut self, who: &User, project: &str, call: &str, body: Value) -> Option<Value> {
        self.ask(who, &format!("/api/p/{project}/{call}"), (call, body)).await
    }

    async fn ask(&mut self, who: &User, path: &str, (call, body): (&str, Value)) -> Option<Value> {
        let answer = ask(self.world.doors, &mut self.random, Some(&who.token), (path, &body)).await;
        assert!([200, 403, 422].contains(&answer.status), "{path} {body}: {answer:?}");
        self.world.counts(call, answer.status == 200);
        (answer.status == 200).then(|| answer.success().0)
    }

    /// A command, that may be refused.
    async fn command(&mut self, words: &[&str]) {
        let output = self.world.installation.cli(words, "").await;
        assert!([Some(0), Some(1)].contains(&output.code), "{words:?}: {output}");
        self.world.counts(&words[..2].join(" "), output.code == Some(0));
    }
}
