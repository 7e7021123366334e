//! Random actions and their known results. After a power cut, an acknowledged action must be
//! present, and an interrupted action must be present completely or not at all.
//!
//! Example: `CreateProject` is sent and the power is cut before the answer arrives. `resolve` then
//! looks for a new project of the user. If there is one, it must have the right name and becomes
//! part of the known results; if not, nothing is recorded. `verify` finally compares all known
//! results with the server.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use doorward_storage::DatabaseUrl;
use doorward_tests::{
    App, Call, PASSWORD, Process, Response, SmtpServer, installation::COMMAND,
    mail_app::with_codes, random::Random, sql::texts,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::operations::power_cuts::machine::TestMachine;

/// Longest delay before a power cut: a command takes some hundred milliseconds, a call some ten.
const COMMAND_MILLISECONDS: usize = 250;
const CALL_MILLISECONDS: usize = 40;

pub(crate) struct Story {
    random: Random,
    people: Vec<KnownUser>,
    /// Number of names and passwords that were generated.
    generated: usize,
}

/// A user with all results that are known.
struct KnownUser {
    username: String,
    gid: String,
    password: String,
    /// Absent until an account update has set it.
    name: Option<String>,
    token: String,
    /// Tokens that were revoked by a logout or a new password.
    ended: Vec<String>,
    /// Projects that the user owns, by gid.
    projects: BTreeMap<String, Project>,
}

#[derive(Default)]
struct Project {
    name: String,
    /// Gids of the invited users and the API users, without the owner.
    members: BTreeSet<String>,
    /// Keys of API users, by gid.
    keys: BTreeMap<String, String>,
}

/// An action of the user at the index `person`.
#[derive(Debug, Clone)]
enum Action {
    CreateUser {
        username: String,
    },
    SignUp {
        username: String,
        second_step: Value,
    },
    CreateProject {
        person: usize,
        name: String,
    },
    Invite {
        person: usize,
        project: String,
        user: String,
    },
    CreateKey {
        person: usize,
        project: String,
        name: String,
    },
    Rename {
        person: usize,
        name: String,
    },
    ChangePassword {
        person: usize,
        password: String,
    },
    LogOut {
        person: usize,
    },
}

enum RunningAction {
    Command(Process),
    Call(JoinHandle<Result<Response, String>>),
}

/// The result of an acknowledged action: an answer, or the output of a command.
struct Acknowledged {
    result: Value,
    token: Option<String>,
}

impl Acknowledged {
    fn of(answer: &Response) -> Self {
        let token = answer.header("authorization").map(str::to_owned);
        Self {
            result: answer.success().0,
            token,
        }
    }

    fn gid(&self, name: &str) -> String {
        self.result[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {}", self.result))
            .to_owned()
    }
}

impl Story {
    pub(crate) const fn new(random: Random) -> Self {
        Self {
            random,
            people: Vec::new(),
            generated: 0,
        }
    }

    /// Performs a few random actions, each to its end.
    pub(crate) async fn run(&mut self, app: &App, smtp: &SmtpServer) {
        for _ in 0..2 + self.random.below(5) {
            let action = self.choose_action(app, smtp).await;
            let acknowledged = self.start(app, &action).end().await;
            self.record(app, action, acknowledged).await;
        }
    }

    /// Cuts the power during a random action.
    pub(super) async fn lose_power_in_an_action(
        &mut self,
        machine: &mut TestMachine,
        smtp: &SmtpServer,
    ) {
        let action = self.choose_action(&machine.app, smtp).await;
        let mut running = self.start(&machine.app, &action);
        let milliseconds = match running {
            RunningAction::Command(_) => COMMAND_MILLISECONDS,
            RunningAction::Call(_) => CALL_MILLISECONDS,
        };
        tokio::time::sleep(Duration::from_millis(self.random.below(milliseconds) as u64)).await;
        let printed = running.stop_command().await;
        machine.lose_power().await;
        let acknowledged = match running {
            RunningAction::Command(_) => printed,
            RunningAction::Call(call) => {
                let answer = call.await.expect("no panic").ok();
                answer
                    .filter(|answer| answer.status != 503)
                    .map(|answer| Acknowledged::of(&answer))
            }
        };
        eprintln!(
            "cut in {action:?}, acknowledged: {}",
            acknowledged.is_some()
        );
        match acknowledged {
            Some(acknowledged) => self.record(&machine.app, action, acknowledged).await,
            None => self.resolve(&machine.app, action).await,
        }
    }

    async fn choose_action(&mut self, app: &App, smtp: &SmtpServer) -> Action {
        self.generated += 1;
        let number = self.generated;
        let username = format!("user-{number}");
        if self.people.is_empty() {
            return Action::CreateUser { username };
        }
        let person = self.random.below(self.people.len());
        let projects: Vec<String> = self.people[person].projects.keys().cloned().collect();
        let project = (!projects.is_empty()).then(|| self.random.choose(&projects).clone());
        let user = self.random.choose(&self.people).gid.clone();
        let name = format!("Name {number}");
        match (self.random.below(8), project) {
            (0, _) => Action::CreateUser { username },
            (1, _) => {
                let email = format!("{username}@example.org");
                let first = json!({"username": username, "password": PASSWORD, "email": email});
                let asked = app.http.post_anonymous("/api/signup_request", &first).await;
                let code = smtp.mail_to(&email).await.code();
                Action::SignUp {
                    username,
                    second_step: with_codes(&first, &asked, &code),
                }
            }
            (2, Some(project)) if !self.is_in(person, &project, &user) => Action::Invite {
                person,
                project,
                user,
            },
            (3, Some(project)) => Action::CreateKey {
                person,
                project,
                name,
            },
            (4, _) => Action::Rename { person, name },
            (5, _) => Action::ChangePassword {
                person,
                password: format!("a kettle of {number} grey herons"),
            },
            (6, _) => Action::LogOut { person },
            _ => Action::CreateProject { person, name },
        }
    }

    fn is_in(&self, person: usize, project: &str, user: &str) -> bool {
        self.people[person].gid == user
            || self.people[person].projects[project].members.contains(user)
    }

    fn start(&self, app: &App, action: &Action) -> RunningAction {
        let call = |person: &usize, path: &str, body: Value| {
            app.http
                .post(path)
                .bearer(&self.people[*person].token)
                .json(&body)
        };
        let call: Call = match action {
            Action::CreateUser { username } => {
                let words = create_user(username);
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                return RunningAction::Command(app.installation.spawn_with_input(
                    &words,
                    &[],
                    PASSWORD,
                ));
            }
            Action::SignUp { second_step, .. } => app.http.post("/api/signup").json(second_step),
            Action::CreateProject { person, name } => {
                call(person, "/api/projects/create", json!({"name": name}))
            }
            Action::Invite {
                person,
                project,
                user,
            } => {
                let username = self
                    .people
                    .iter()
                    .find(|person| person.gid == *user)
                    .map(|person| &person.username);
                call(
                    person,
                    &format!("/api/p/{project}/members/invite"),
                    json!({"username_or_email": username}),
                )
            }
            Action::CreateKey {
                person,
                project,
                name,
            } => call(
                person,
                &format!("/api/p/{project}/apikeys/create"),
                json!({"name": name}),
            ),
            Action::Rename { person, name } => {
                call(person, "/api/account/update", json!({"name": name}))
            }
            Action::ChangePassword { person, password } => {
                call(person, "/api/account/update", json!({"password": password}))
            }
            Action::LogOut { person } => call(person, "/api/account/logout", json!({})),
        };
        RunningAction::Call(tokio::spawn(call.try_send()))
    }

    /// Records the result of an acknowledged action.
    async fn record(&mut self, app: &App, action: Action, acknowledged: Acknowledged) {
        match action {
            Action::CreateUser { username } => {
                let token = app.http.login(&username, PASSWORD).await.token();
                self.people
                    .push(KnownUser::new(username, acknowledged.gid("gid"), token));
            }
            Action::SignUp { username, .. } => {
                let gid = acknowledged.gid("user");
                self.people.push(KnownUser::new(
                    username,
                    gid,
                    acknowledged.token.expect("a token"),
                ));
            }
            Action::CreateProject { person, name } => {
                let project = Project {
                    name,
                    ..Project::default()
                };
                self.people[person]
                    .projects
                    .insert(acknowledged.gid("project"), project);
            }
            Action::Invite {
                person,
                project,
                user,
            } => {
                assert_eq!(acknowledged.gid("user"), user);
                self.project(person, &project).members.insert(user);
            }
            Action::CreateKey {
                person, project, ..
            } => {
                self.add_key(app, person, &project, acknowledged.gid("user"))
                    .await;
            }
            Action::Rename { person, name } => self.people[person].name = Some(name),
            Action::ChangePassword { person, password } => {
                self.people[person].password = password;
                self.people[person].replace_token(acknowledged.token.expect("a token"));
            }
            Action::LogOut { person } => self.people[person].log_in_again(app).await,
        }
    }

    /// Finds out whether an interrupted action was performed, and records its result if so.
    async fn resolve(&mut self, app: &App, action: Action) {
        let happened = match &action {
            // If the user was not created, the same command must succeed now.
            Action::CreateUser { username } => {
                let login = app.http.login(username, PASSWORD).await;
                if login.status == 200 {
                    Some(json!({"gid": login.success().0["user"]}))
                } else {
                    let words = create_user(username);
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    Some(
                        app.installation
                            .cli(&words, PASSWORD)
                            .await
                            .assert_success()
                            .json(),
                    )
                }
            }
            Action::SignUp {
                username,
                second_step,
            } => {
                let again = app.http.post_anonymous("/api/signup", second_step).await;
                if again.status != 200 {
                    again.assert_validation_error("verification_code", "incorrect");
                }
                let login = app.http.login(username, PASSWORD).await;
                let token = login.token();
                let result = login.success().0;
                self.record(
                    app,
                    action,
                    Acknowledged {
                        result,
                        token: Some(token),
                    },
                )
                .await;
                return;
            }
            Action::CreateProject { person, name } => {
                let person = &self.people[*person];
                let found = person.projects_in(&person.init(app).await.0);
                let new = found
                    .into_iter()
                    .find(|gid| !person.projects.contains_key(gid));
                if let Some(gid) = &new {
                    assert_eq!(
                        person.project_init(app, gid).await["cc.projects"][gid]["name"],
                        json!(name)
                    );
                }
                new.map(|gid| json!({"project": gid}))
            }
            Action::Invite {
                person,
                project,
                user,
            } => {
                let members = self.people[*person].members(app, project).await;
                members.contains(user).then(|| json!({"user": user}))
            }
            Action::CreateKey {
                person, project, ..
            } => {
                let person = &self.people[*person];
                let members = person.members(app, project).await;
                let new = members
                    .into_iter()
                    .find(|gid| !person.projects[project].members.contains(gid));
                new.map(|gid| json!({"user": gid}))
            }
            Action::Rename { person, name } => {
                let person = &self.people[*person];
                let found = person.init(app).await.1["cc.users"][&person.gid]["name"].clone();
                (found == json!(name)).then(|| json!({}))
            }
            Action::ChangePassword { person, password } => {
                let login = app
                    .http
                    .login(&self.people[*person].username, password)
                    .await;
                if login.status == 200 {
                    let acknowledged = Acknowledged::of(&login);
                    self.record(app, action, acknowledged).await;
                }
                return;
            }
            Action::LogOut { person } => {
                let answer = app.http.init(&self.people[*person].token).await;
                (answer.status != 200).then(|| json!({}))
            }
        };
        if let Some(result) = happened {
            self.record(
                app,
                action,
                Acknowledged {
                    result,
                    token: None,
                },
            )
            .await;
        }
    }

    async fn add_key(&mut self, app: &App, person: usize, project: &str, user: String) {
        let path = format!("/api/p/{project}/apikeys/get");
        let call = app
            .http
            .post(&path)
            .bearer(&self.people[person].token)
            .json(&json!({"user": user}));
        let key = Acknowledged::of(&call.send().await).gid("apikey");
        let project = self.project(person, project);
        project.members.insert(user.clone());
        project.keys.insert(user, key);
    }

    fn project(&mut self, person: usize, project: &str) -> &mut Project {
        self.people[person]
            .projects
            .get_mut(project)
            .expect("a project of this user")
    }

    /// Checks that all known results are present, and nothing else.
    pub(crate) async fn verify(&self, app: &App) {
        for person in &self.people {
            person.check(app).await;
        }
        let databases = &app.installation.databases;
        let count = |url, table| {
            texts(
                url,
                &format!("SELECT CAST(COUNT(*) AS TEXT) AS text FROM {table}"),
            )
        };
        let keys = self
            .people
            .iter()
            .flat_map(|person| person.projects.values())
            .map(|project| project.keys.len());
        let users = self.people.len() + keys.sum::<usize>();
        assert_eq!(count(&databases.directory, "users"), [users.to_string()]);
        assert_eq!(
            count(&databases.auth, "credentials"),
            [self.people.len().to_string()]
        );
        for url in [&databases.auth, &databases.directory] {
            if let DatabaseUrl::Sqlite(_) = url {
                assert_eq!(
                    texts(
                        url,
                        "SELECT integrity_check AS text FROM pragma_integrity_check"
                    ),
                    ["ok"]
                );
            }
        }
    }
}

fn create_user(username: &str) -> [String; 7] {
    let email = format!("{username}@example.org");
    [
        "user",
        "create",
        "--username",
        username,
        "--email",
        &email,
        "--password-stdin",
    ]
    .map(str::to_owned)
}

impl KnownUser {
    fn new(username: String, gid: String, token: String) -> Self {
        Self {
            username,
            gid,
            password: PASSWORD.to_owned(),
            name: None,
            token,
            ended: Vec::new(),
            projects: BTreeMap::new(),
        }
    }

    fn replace_token(&mut self, token: String) {
        self.ended.push(std::mem::replace(&mut self.token, token));
    }

    async fn log_in_again(&mut self, app: &App) {
        let token = app.http.login(&self.username, &self.password).await.token();
        self.replace_token(token);
    }

    async fn init(&self, app: &App) -> (Value, Value) {
        app.http.init(&self.token).await.success()
    }

    async fn project_init(&self, app: &App, project: &str) -> Value {
        app.http
            .project_init(project, &self.token)
            .await
            .success()
            .1
    }

    /// Returns the gids of the projects that the user owns according to an init.
    fn projects_in(&self, result: &Value) -> BTreeSet<String> {
        let projects = result["user_projects"].as_object().expect("projects");
        projects
            .iter()
            .filter(|(_, roles)| **roles == json!(["owner"]))
            .map(|(gid, _)| gid.clone())
            .collect()
    }

    /// Returns the gids of all members of a project except the owner.
    async fn members(&self, app: &App, project: &str) -> BTreeSet<String> {
        let data = self.project_init(app, project).await;
        let members = data["cc.projects_members"].as_array().expect("memberships");
        let gids = members
            .iter()
            .map(|member| member["user_gid"].as_str().expect("a gid").to_owned());
        gids.filter(|gid| *gid != self.gid).collect()
    }

    async fn check(&self, app: &App) {
        assert_eq!(
            app.http.login(&self.username, &self.password).await.status,
            200,
            "{}",
            self.username
        );
        if self.password != PASSWORD {
            app.http
                .login(&self.username, PASSWORD)
                .await
                .assert_unknown_user();
        }
        for token in &self.ended {
            app.http.init(token).await.assert_unauthenticated();
        }
        let init = self.init(app).await;
        if let Some(name) = &self.name {
            assert_eq!(init.1["cc.users"][&self.gid]["name"], json!(name));
        }
        assert_eq!(
            self.projects_in(&init.0),
            self.projects.keys().cloned().collect::<BTreeSet<String>>()
        );
        for (gid, project) in &self.projects {
            assert_eq!(init.1["cc.projects"][gid]["name"], json!(project.name));
            assert_eq!(self.members(app, gid).await, project.members);
            for key in project.keys.values() {
                assert_eq!(app.http.auth(gid, key).await.status, 200);
            }
        }
    }
}

impl RunningAction {
    async fn end(self) -> Acknowledged {
        match self {
            Self::Command(mut process) => Acknowledged {
                result: process.wait_for_exit(COMMAND).await.assert_success().json(),
                token: None,
            },
            Self::Call(call) => {
                Acknowledged::of(&call.await.expect("no panic").expect("an answer"))
            }
        }
    }

    /// Kills a command that is still running. Returns the output of a command that had already
    /// ended.
    async fn stop_command(&mut self) -> Option<Acknowledged> {
        let Self::Command(process) = self else {
            return None;
        };
        if process.is_running() {
            process.kill();
            return None;
        }
        Some(Acknowledged {
            result: process.wait_for_exit(COMMAND).await.assert_success().json(),
            token: None,
        })
    }
}
