//! `sync()` of the public Python client, unmodified, after each kind of change that others make: what it has then is what a
//! fresh one has, as far as its own rules go. It fetches what comes into its own project, and what changes of what it has.

use doorward_tests::{App, Backend, PASSWORD, User, on_both_databases};
use serde_json::{Map, Value, json};

use super::unicat::Script;

on_both_databases![the_public_python_client_follows_what_others_change];

struct Stage {
    app: App,
    script: Script,
    project: String,
    ann: User,
    ben: User,
    cas: User,
    dan: User,
    eva: User,
}

async fn the_public_python_client_follows_what_others_change(backend: Backend) {
    let mut stage = Stage::start(backend).await;
    stage.people_come_and_go().await;
    stage.the_project_changes().await;
    stage.programs_come_and_go().await;
    stage.the_project_gets_another_owner().await;
    stage.other_projects_change().await;
}

impl Stage {
    /// Of a project of ann's, where ben is who follows, and cas the third.
    async fn start(backend: Backend) -> Self {
        let app = App::with(backend, &[("DOORWARD_LOG_MAILS", "true")]).await;
        let [ann, ben] = [app.user("ann").await, app.user("ben").await];
        let [cas, dan, eva] = [app.user("cas").await, app.user("dan").await, app.user("eva").await];
        let project = app.installation.create_project("ann", "Herbarium").await;
        for member in ["ben", "cas"] {
            app.installation.add_member(&project, member).await;
        }
        let url = format!("http://{}", app.http.address());
        let robot = ann.create_api_user(&project, "Robot").await;
        let variables = [
            ("UNICAT_URL", url.as_str()),
            ("UNICAT_PROJECT", &project),
            ("UNICAT_KEY", &robot.key),
            ("UNICAT_USER", "ben"),
            ("UNICAT_PASSWORD", PASSWORD),
        ];
        let mut script = Script::start("follow.py", &variables);
        script.says();
        Self { app, script, project, ann, ben, cas, dan, eva }
    }

    /// Both clients sync, after this was changed.
    fn follows(&mut self, change: &str) {
        self.script.go_on();
        let told = self.script.says();
        for who in ["program", "person"] {
            has_what_it_should(&self.project, &told[who], &format!("the {who} after {change}"));
        }
        // Nobody hears nothing of anything here.
        let [before, after] = ["before", "after"].map(|when| told["person"][when][0].as_i64());
        assert!(after > before, "{change}: {before:?} to {after:?}");
    }

    async fn change(&mut self, who: fn(&Self) -> &User, call: &str, body: Value) -> Value {
        let (result, _) = who(self).call(&format!("/api/{call}"), &body).await.success();
        self.follows(call);
        result
    }

    async fn inside(&mut self, call: &str, body: Value) -> Value {
        let call = format!("p/{}/{call}", self.project);
        self.change(|stage| &stage.ann, &call, body).await
    }

    async fn people_come_and_go(&mut self) {
        let here = json!({"project": self.project});
        self.change(|stage| &stage.cas, "account/update", json!({"name": "Cassandra"})).await;
        self.change(|stage| &stage.ben, "account/update", json!({"name": "Benjamin"})).await;
        self.inside("members/invite", json!({"username_or_email": "dan"})).await;
        self.change(|stage| &stage.dan, "account/update", json!({"name": "Daniel"})).await;
        self.change(|stage| &stage.dan, "account/accept_invite", here.clone()).await;
        self.inside("members/invite", json!({"username_or_email": "eva"})).await;
        self.change(|stage| &stage.eva, "account/decline_invite", here.clone()).await;
        let [dan, eva, cas] = [&self.dan, &self.eva, &self.cas].map(|user| json!({"user": user.gid}));
        self.inside("members/resend_invite", eva.clone()).await;
        self.inside("members/remove", eva).await;
        self.inside("members/deactivate", dan.clone()).await;
        self.inside("members/activate", dan).await;
        self.change(|stage| &stage.dan, "account/leave_project", here).await;
        self.inside("members/remove", cas).await;
        self.app.installation.add_member(&self.project, "cas").await;
        self.follows("member add");
        let invited = self.inside("members/invite", json!({"username_or_email": "fay@example.org"})).await;
        self.inside("members/remove", json!({"user": invited["user"]})).await;
        self.app.installation.change_user("deactivate", "cas").await;
        self.follows("user deactivate");
        self.app.installation.change_user("activate", "cas").await;
        self.follows("user activate");
        self.cas.token = self.app.http.login("cas", PASSWORD).await.token();
    }

    async fn the_project_changes(&mut self) {
        let body = json!({"project": self.project, "name": "Flora"});
        self.change(|stage| &stage.ann, "projects/update", body).await;
        self.inside("languages/add", json!({"language": "nl"})).await;
        self.inside("languages/remove", json!({"language": "en"})).await;
        let channel = self.inside("channels/create", json!({"name": "Web"})).await["channel"].clone();
        self.inside("channels/update", json!({"channel": channel, "name": "Shop"})).await;
        self.inside("channels/delete", json!({"channel": channel})).await;
    }

    async fn programs_come_and_go(&mut self) {
        let made = self.inside("apikeys/create", json!({"name": "Android"})).await;
        for call in ["update", "deactivate", "activate", "delete"] {
            self.inside(&format!("apikeys/{call}"), json!({"user": made["user"], "name": "Gynoid"})).await;
        }
    }

    /// Who follows becomes the owner, sees more of the others, and less again.
    async fn the_project_gets_another_owner(&mut self) {
        let to = |heir: &User, project: &str| json!({"project": project, "user": heir.gid});
        let limit = json!({"user": self.cas.gid, "options": {"rate_limit_per_second": 1000}});
        self.inside("members/update", limit).await;
        let (there, back) = (to(&self.ben, &self.project), to(&self.ann, &self.project));
        self.change(|stage| &stage.ann, "projects/transfer", there).await;
        let limit = json!({"user": self.cas.gid, "options": {"rate_limit_per_second": 2000}});
        let call = format!("p/{}/members/update", self.project);
        self.change(|stage| &stage.ben, &call, limit).await;
        self.change(|stage| &stage.ben, "projects/transfer", back).await;
    }

    async fn other_projects_change(&mut self) {
        let other = self.app.installation.create_project("cas", "Library").await;
        let project = json!({"project": other});
        self.app.installation.add_member(&other, "ben").await;
        self.follows("member add, elsewhere");
        // From here on the person has it.
        let variables = |project: &Value, name: &str| json!({"project": project["project"], "name": name});
        self.change(|stage| &stage.cas, "projects/update", variables(&project, "Archive")).await;
        self.change(|stage| &stage.cas, "projects/delete", project.clone()).await;
        self.change(|stage| &stage.cas, "projects/undelete", project.clone()).await;
        self.app.installation.add_member(&other, "eva").await;
        self.follows("another member, elsewhere");
        self.change(|stage| &stage.eva, "account/update", json!({"name": "Evangeline"})).await;
        let heir = json!({"project": other, "user": self.ben.gid});
        self.change(|stage| &stage.cas, "projects/transfer", heir).await;
        for call in ["delete", "undelete", "delete", "permanent_delete"] {
            self.change(|stage| &stage.ben, &format!("projects/{call}"), project.clone()).await;
        }
    }
}

fn entries<'a>(store: &'a Value, kind: &str) -> &'a Map<String, Value> {
    store[kind].as_object().unwrap_or_else(|| panic!("no {kind}: {store}"))
}

fn has_what_it_should(project: &str, told: &Value, when: &str) {
    let [has, fresh, seen] = ["has", "fresh", "seen"].map(|name| &told[name]);
    let [cc_cursor, cursor] = [0, 1].map(|feed| told["after"][feed].as_i64().expect("a cursor"));
    let before = [0, 1].map(|feed| told["before"][feed].as_i64().expect("a cursor"));
    assert!(cc_cursor >= before[0] && cursor >= before[1], "{when}: {told}");
    assert!(Some(cc_cursor) <= told["now"].as_i64(), "{when}: {told}");
    // Nothing that a fresh one doesn't see, and nothing as it was before.
    for kind in ["cc.users", "cc.projects", "cc.projects_members"] {
        for (key, entry) in entries(has, kind) {
            let now = entries(seen, kind).get(key).unwrap_or_else(|| panic!("{when} has {kind} {key} still: {entry}"));
            let known = now.as_object().expect("an entry").keys().all(|name| entry[name] == now[name]);
            assert!(known, "{when} has {entry}\nof {kind} {key}, which is {now}");
        }
    }
    // Nothing of its own project is missing.
    assert_eq!(has["cc.projects"][project], fresh["cc.projects"][project], "{when}");
    for (key, entry) in entries(fresh, "cc.projects_members") {
        if key.starts_with(project) {
            assert_eq!(has["cc.projects_members"][key], *entry, "{when}");
        }
    }
    for (gid, entry) in entries(fresh, "cc.users") {
        assert_eq!(has["cc.users"][gid], *entry, "{when}");
    }
}
