//! Writers that concurrently change everything that is visible to users, over HTTP and with the
//! command line. Many of their calls are rejected, because another writer was first.

use doorward_tests::{PASSWORD, User, random::Random};
use serde_json::{Value, json};

use crate::sync::following::{
    reader::ask,
    scenario::{Scenario, Story},
};

pub(crate) struct Writer<'a> {
    world: &'a Scenario<'a>,
    number: usize,
    random: Random,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(world: &'a Scenario<'a>, number: usize, random: Random) -> Self {
        Self {
            world,
            number,
            random,
        }
    }

    pub(crate) async fn write(mut self) {
        while let Some((story, number)) = self.world.next_action() {
            self.perform(story, number).await;
        }
    }

    /// Performs all stories again without other writers, if a call or command never succeeded
    /// because of them.
    pub(crate) async fn add_project_activity(mut self) {
        for story in Story::ALL {
            if !self.world.never_performed().is_empty() {
                let number = self.world.start_action();
                self.perform(story, number).await;
            }
        }
    }

    async fn perform(&mut self, story: Story, number: usize) {
        let project = self.world.choose_project(&mut self.random);
        let Some(owner) = self.owner(&project).await else {
            return;
        };
        let other =
            (owner + 1 + self.random.below(self.world.people.len() - 1)) % self.world.people.len();
        let owner = &self.world.people[owner];
        let other = &self.world.people[other];
        let name = format!("{story:?} {number} of {}", self.number);
        let newcomer = format!("newcomer{number}");
        match story {
            Story::OwnName => drop(
                self.call(other, "account/update", json!({"name": name}))
                    .await,
            ),
            Story::Newcomer => self.sign_up(&project, &newcomer).await,
            Story::Deregister => self.delete_account(&project, &newcomer).await,
            Story::NewProject => {
                if let Some(project) = self.new_project(other, &name).await {
                    self.join(other, owner, &project).await;
                    self.world.add_project(project);
                }
            }
            Story::PurgedProject => self.purged_project(owner, other, &name).await,
            Story::ProjectName => {
                self.call(
                    owner,
                    "projects/update",
                    json!({"project": project, "name": name}),
                )
                .await;
            }
            Story::DeleteAndUndelete => {
                self.call(owner, "projects/delete", json!({"project": project}))
                    .await;
                self.call(owner, "projects/undelete", json!({"project": project}))
                    .await;
            }
            Story::CommandsOnProjects => {
                self.command(&["project", "delete", &project]).await;
                self.command(&["project", "undelete", &project]).await;
                self.command(&[
                    "project",
                    "create",
                    "--owner",
                    &other.username,
                    "--name",
                    &name,
                ])
                .await;
            }
            Story::Transfer => {
                self.join(owner, other, &project).await;
                self.call(
                    owner,
                    "projects/transfer",
                    json!({"project": project, "user": other.gid}),
                )
                .await;
            }
            Story::AddAndLeave => {
                // The first `add` makes sure that `remove` finds a member.
                for word in ["add", "remove", "add"] {
                    self.command(&[
                        "member",
                        word,
                        "--project",
                        &project,
                        "--user",
                        &other.username,
                    ])
                    .await;
                }
                self.call(other, "account/leave_project", json!({"project": project}))
                    .await;
            }
            Story::Decline => {
                self.call_in_project(
                    owner,
                    &project,
                    "members/remove",
                    json!({"user": other.gid}),
                )
                .await;
                self.call_in_project(
                    owner,
                    &project,
                    "members/invite",
                    json!({"username_or_email": other.username}),
                )
                .await;
                self.call(other, "account/decline_invite", json!({"project": project}))
                    .await;
            }
            Story::Remove => {
                self.join(owner, other, &project).await;
                self.call_in_project(
                    owner,
                    &project,
                    "members/remove",
                    json!({"user": other.gid}),
                )
                .await;
            }
            Story::Deactivate => {
                self.join(owner, other, &project).await;
                self.call_in_project(
                    owner,
                    &project,
                    "members/deactivate",
                    json!({"user": other.gid}),
                )
                .await;
                self.call_in_project(
                    owner,
                    &project,
                    "members/activate",
                    json!({"user": other.gid}),
                )
                .await;
            }
            Story::Placeholder => {
                let email = format!("{newcomer}@example.org");
                let created = self
                    .call_in_project(
                        owner,
                        &project,
                        "members/invite",
                        json!({"username_or_email": email}),
                    )
                    .await;
                if let Some(created) = created.filter(|_| self.random.below(2) == 0) {
                    self.call_in_project(
                        owner,
                        &project,
                        "members/remove",
                        json!({"user": created["user"]}),
                    )
                    .await;
                }
            }
            Story::ApiKey => self.api_key(owner, &project, &name).await,
            Story::Options => self.options(owner, other, &project).await,
        }
    }

    async fn sign_up(&mut self, project: &str, username: &str) {
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

    async fn delete_account(&mut self, project: &str, username: &str) {
        let gid = self.world.installation.create_user(username).await;
        self.command(&["member", "add", "--project", project, "--user", username])
            .await;
        let login = json!({"username": username, "password": PASSWORD});
        let token = ask(
            self.world.gateways,
            &mut self.random,
            None,
            "/api/login",
            &login,
        )
        .await
        .token();
        let user = User {
            gid,
            username: username.to_owned(),
            token,
            http: self.world.gateways[0].clone(),
        };
        self.call(&user, "account/update", json!({"name": "Soon gone"}))
            .await;
        self.call(&user, "account/delete", json!({"confirm": true}))
            .await;
    }

    async fn new_project(&mut self, owner: &User, name: &str) -> Option<String> {
        let created = self
            .call(owner, "projects/create", json!({"name": name}))
            .await?;
        created["project"].as_str().map(str::to_owned)
    }

    async fn purged_project(&mut self, owner: &User, other: &User, name: &str) {
        let Some(project) = self.new_project(owner, name).await else {
            return;
        };
        self.join(owner, other, &project).await;
        self.call_in_project(owner, &project, "apikeys/create", json!({"name": name}))
            .await;
        let email = "somebody@example.org";
        self.call_in_project(
            owner,
            &project,
            "members/invite",
            json!({"username_or_email": email}),
        )
        .await;
        self.call(owner, "projects/delete", json!({"project": project}))
            .await;
        self.call(
            owner,
            "projects/permanent_delete",
            json!({"project": project}),
        )
        .await;
    }

    async fn api_key(&mut self, owner: &User, project: &str, name: &str) {
        for calls in [
            &["update", "deactivate", "activate"][..],
            &["deactivate", "delete"],
        ] {
            let created = self
                .call_in_project(owner, project, "apikeys/create", json!({"name": name}))
                .await;
            let Some(created) = created else { return };
            for call in calls {
                let body = json!({"user": created["user"], "name": format!("{name}, later")});
                self.call_in_project(owner, project, &format!("apikeys/{call}"), body)
                    .await;
            }
        }
    }

    async fn options(&mut self, owner: &User, other: &User, project: &str) {
        self.join(owner, other, project).await;
        let limit = 1000 + self.random.below(1000);
        let body = json!({"user": other.gid, "options": {"rate_limit_per_second": limit}});
        self.call_in_project(owner, project, "members/update", body)
            .await;
        let frequency = *self.random.choose(&["immediate", "daily"]);
        let body =
            json!({"user": other.gid, "options": {"notifications": {"frequency": frequency}}});
        self.call_in_project(other, project, "members/update", body)
            .await;
    }

    /// Makes a user a member with an invitation.
    async fn join(&mut self, owner: &User, other: &User, project: &str) {
        self.call_in_project(
            owner,
            project,
            "members/invite",
            json!({"username_or_email": other.username}),
        )
        .await;
        self.call(other, "account/accept_invite", json!({"project": project}))
            .await;
    }

    /// Returns the index of the owner of a project.
    async fn owner(&mut self, project: &str) -> Option<usize> {
        let body = json!({"project": project});
        for person in self.world.people {
            let token = Some(person.token.as_str());
            let answer = ask(
                self.world.gateways,
                &mut self.random,
                token,
                "/api/projects/get",
                &body,
            )
            .await;
            if answer.status == 200 {
                let (_, data) = answer.success();
                let owner = &data["cc.projects"][project]["owner"];
                return self
                    .world
                    .people
                    .iter()
                    .position(|person| owner == &json!(person.gid));
            }
        }
        None
    }

    /// Makes a call that can be rejected, and returns its result if it succeeded.
    async fn call(&mut self, caller: &User, call: &str, body: Value) -> Option<Value> {
        self.ask(caller, &format!("/api/{call}"), call, body).await
    }

    /// Does the same for a call inside a project.
    async fn call_in_project(
        &mut self,
        caller: &User,
        project: &str,
        call: &str,
        body: Value,
    ) -> Option<Value> {
        self.ask(caller, &format!("/api/p/{project}/{call}"), call, body)
            .await
    }

    async fn ask(&mut self, caller: &User, path: &str, call: &str, body: Value) -> Option<Value> {
        let answer = ask(
            self.world.gateways,
            &mut self.random,
            Some(&caller.token),
            path,
            &body,
        )
        .await;
        // If the answer to `account/delete` is lost with a killed directory, the call is repeated,
        // and the deleted user has no valid token any more.
        let is_gone = answer.status == 401 && call == "account/delete";
        assert!(
            [200, 403, 422].contains(&answer.status) || is_gone,
            "{path} {body}: {answer:?}"
        );
        self.world.record(call, answer.status == 200);
        (answer.status == 200).then(|| answer.success().0)
    }

    /// Runs a command that can be rejected.
    async fn command(&mut self, words: &[&str]) {
        let output = self.world.installation.cli(words, "").await;
        assert!(
            [Some(0), Some(1)].contains(&output.code),
            "{words:?}: {output}"
        );
        self.world
            .record(&words[..2].join(" "), output.code == Some(0));
    }
}
