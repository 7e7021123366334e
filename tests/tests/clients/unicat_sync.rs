//! `sync()` of the public Python client, unmodified, after each kind of change that others make: what it has then is what a
//! fresh one has, as far as its own rules go. It fetches what comes into its own project, and what changes of what it has.

use doorward_tests::{App, Backend, PASSWORD, User, on_both_databases};
use serde_json::{Map, Value, json};

use crate::clients::unicat::Script;

on_both_databases![public_python_client_syncs_changes];

struct Fixture {
    app: App,
    script: Script,
    project: String,
    /// Of cas's, where ben is a member too.
    others: [String; 2],
    ann: User,
    ben: User,
    cas: User,
    dan: User,
    eva: User,
}

async fn public_python_client_syncs_changes(backend: Backend) {
    let mut stage = Fixture::start(backend).await;
    stage.people_come_and_go().await;
    stage.the_project_changes().await;
    stage.programs_come_and_go().await;
    stage.the_project_gets_another_owner().await;
    stage.other_projects_change().await;
}

impl Fixture {
    /// Of a project of ann's, where ben is who follows, and cas the third.
    async fn start(backend: Backend) -> Self {
        let app = App::with_settings(backend, &[("DOORWARD_LOG_MAILS", "true")]).await;
        let [ann, ben] = [app.user("ann").await, app.user("ben").await];
        let [cas, dan, eva] = [
            app.user("cas").await,
            app.user("dan").await,
            app.user("eva").await,
        ];
        let project = app.installation.create_project("ann", "Herbarium").await;
        let other = async |name| app.installation.create_project("cas", name).await;
        let others = [other("Library").await, other("Archive").await];
        for (project, member) in [
            (&project, "ben"),
            (&project, "cas"),
            (&others[0], "ben"),
            (&others[1], "ben"),
        ] {
            app.installation.add_member(project, member).await;
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
        Self {
            app,
            script,
            project,
            others,
            ann,
            ben,
            cas,
            dan,
            eva,
        }
    }

    /// Both clients sync, after this was changed.
    fn follows(&mut self, change: &str) {
        self.script.go_on();
        let told = self.script.says();
        for who in ["program", "person"] {
            has_what_it_should(
                &self.project,
                &told[who],
                &format!("the {who} after {change}"),
            );
        }
        // Nobody hears nothing of anything here.
        let [before, after] = ["before", "after"].map(|when| told["person"][when][0].as_i64());
        assert!(after > before, "{change}: {before:?} to {after:?}");
    }

    async fn change(&mut self, who: fn(&Self) -> &User, call: &str, body: Value) -> Value {
        let (result, _) = who(self)
            .call(&format!("/api/{call}"), &body)
            .await
            .success();
        self.follows(call);
        result
    }

    async fn inside(&mut self, call: &str, body: Value) -> Value {
        let call = format!("p/{}/{call}", self.project);
        self.change(|stage| &stage.ann, &call, body).await
    }

    async fn people_come_and_go(&mut self) {
        let here = json!({"project": self.project});
        self.change(
            |stage| &stage.cas,
            "account/update",
            json!({"name": "Cassandra"}),
        )
        .await;
        self.change(
            |stage| &stage.ben,
            "account/update",
            json!({"name": "Benjamin"}),
        )
        .await;
        self.inside("members/invite", json!({"username_or_email": "dan"}))
            .await;
        self.change(
            |stage| &stage.dan,
            "account/update",
            json!({"name": "Daniel"}),
        )
        .await;
        self.change(|stage| &stage.dan, "account/accept_invite", here.clone())
            .await;
        self.inside("members/invite", json!({"username_or_email": "eva"}))
            .await;
        self.change(|stage| &stage.eva, "account/decline_invite", here.clone())
            .await;
        let [dan, eva, cas] =
            [&self.dan, &self.eva, &self.cas].map(|user| json!({"user": user.gid}));
        self.inside("members/resend_invite", eva.clone()).await;
        self.inside("members/remove", eva).await;
        self.inside("members/deactivate", dan.clone()).await;
        self.inside("members/activate", dan).await;
        self.change(|stage| &stage.dan, "account/leave_project", here)
            .await;
        self.inside("members/remove", cas).await;
        self.app.installation.add_member(&self.project, "cas").await;
        self.follows("member add");
        let invited = self
            .inside(
                "members/invite",
                json!({"username_or_email": "fay@example.org"}),
            )
            .await;
        self.inside("members/remove", json!({"user": invited["user"]}))
            .await;
        self.app.installation.change_user("deactivate", "cas").await;
        self.follows("user deactivate");
        self.app.installation.change_user("activate", "cas").await;
        self.follows("user activate");
        self.cas.token = self.app.http.login("cas", PASSWORD).await.token();
    }

    async fn the_project_changes(&mut self) {
        let body = json!({"project": self.project, "name": "Flora"});
        self.change(|stage| &stage.ann, "projects/update", body)
            .await;
        self.inside("languages/add", json!({"language": "de"}))
            .await;
        self.inside("languages/remove", json!({"language": "en"}))
            .await;
        let channel =
            self.inside("channels/create", json!({"name": "Web"})).await["channel"].clone();
        self.inside(
            "channels/update",
            json!({"channel": channel, "name": "Shop"}),
        )
        .await;
        self.inside("channels/delete", json!({"channel": channel}))
            .await;
        // Nobody can sync within it meanwhile.
        let project = self.project.clone();
        self.comes_back_with_another_name(|stage| &stage.ann, &project)
            .await;
    }

    /// While nobody syncs.
    async fn comes_back_with_another_name(&mut self, owner: fn(&Self) -> &User, project: &str) {
        let body = json!({"project": project, "name": format!("{project} again")});
        for call in ["delete", "update"] {
            owner(self)
                .call(&format!("/api/projects/{call}"), &body)
                .await
                .success();
        }
        self.change(owner, "projects/undelete", body).await;
    }

    async fn programs_come_and_go(&mut self) {
        let made = self
            .inside("apikeys/create", json!({"name": "Android"}))
            .await;
        for call in ["update", "deactivate", "activate", "delete"] {
            self.inside(
                &format!("apikeys/{call}"),
                json!({"user": made["user"], "name": "Gynoid"}),
            )
            .await;
        }
    }

    /// Who follows becomes the owner, sees more of the others, and less again.
    async fn the_project_gets_another_owner(&mut self) {
        let to = |heir: &User, project: &str| json!({"project": project, "user": heir.gid});
        let limit = json!({"user": self.cas.gid, "options": {"rate_limit_per_second": 1000}});
        self.inside("members/update", limit).await;
        let (there, back) = (to(&self.ben, &self.project), to(&self.ann, &self.project));
        self.change(|stage| &stage.ann, "projects/transfer", there)
            .await;
        let limit = json!({"user": self.cas.gid, "options": {"rate_limit_per_second": 2000}});
        let call = format!("p/{}/members/update", self.project);
        self.change(|stage| &stage.ben, &call, limit).await;
        self.change(|stage| &stage.ben, "projects/transfer", back)
            .await;
    }

    async fn other_projects_change(&mut self) {
        for (place, name) in [(0, "Library"), (1, "Archive")] {
            let body = json!({"project": self.others[place], "name": format!("{name}, later")});
            self.change(|stage| &stage.cas, "projects/update", body)
                .await;
        }
        let [library, archive] = self.others.clone().map(|gid| json!({"project": gid}));
        self.app
            .installation
            .add_member(&self.others[0], "eva")
            .await;
        self.follows("another member, elsewhere");
        self.change(
            |stage| &stage.eva,
            "account/update",
            json!({"name": "Evangeline"}),
        )
        .await;
        let heir = json!({"project": library["project"], "user": self.ben.gid});
        self.change(|stage| &stage.cas, "projects/transfer", heir)
            .await;
        for call in ["delete", "undelete", "delete", "permanent_delete"] {
            self.change(
                |stage| &stage.ben,
                &format!("projects/{call}"),
                library.clone(),
            )
            .await;
        }
        let project = self.others[1].clone();
        self.comes_back_with_another_name(|stage| &stage.cas, &project)
            .await;
        for call in ["delete", "undelete"] {
            self.change(
                |stage| &stage.cas,
                &format!("projects/{call}"),
                archive.clone(),
            )
            .await;
        }
        let own = json!({"user": self.ben.gid});
        let call = format!("p/{}/members", self.others[1]);
        for step in ["deactivate", "activate", "remove"] {
            self.change(|stage| &stage.cas, &format!("{call}/{step}"), own.clone())
                .await;
        }
        let new = self.app.installation.create_project("cas", "Museum").await;
        self.app.installation.add_member(&new, "ben").await;
        self.follows("member add, elsewhere");
        self.change(
            |stage| &stage.cas,
            "projects/delete",
            json!({"project": new}),
        )
        .await;
    }
}

fn entries<'a>(store: &'a Value, kind: &str) -> &'a Map<String, Value> {
    store[kind]
        .as_object()
        .unwrap_or_else(|| panic!("no {kind}: {store}"))
}

fn has_what_it_should(project: &str, told: &Value, when: &str) {
    let [has, fresh, seen] = ["has", "fresh", "seen"].map(|name| &told[name]);
    let cursors = |name: &str| [0, 1].map(|feed| told[name][feed].as_i64().expect("a cursor"));
    let (before, after, now) = (cursors("before"), cursors("after"), cursors("now"));
    for feed in [0, 1] {
        assert!(
            before[feed] <= after[feed] && after[feed] <= now[feed],
            "{when}: {before:?} {after:?} {now:?}"
        );
    }
    // Nothing that a fresh one doesn't see, and nothing as it was before.
    for kind in ["cc.users", "cc.projects", "cc.projects_members"] {
        for (key, entry) in entries(has, kind) {
            let now = entries(seen, kind)
                .get(key)
                .unwrap_or_else(|| panic!("{when} has {kind} {key} still: {entry}"));
            let known = now
                .as_object()
                .expect("an entry")
                .keys()
                .all(|name| entry[name] == now[name]);
            assert!(known, "{when} has {entry}\nof {kind} {key}, which is {now}");
        }
    }
    // Nothing of its own project is missing.
    assert_eq!(
        has["cc.projects"][project], fresh["cc.projects"][project],
        "{when}"
    );
    let memberships = entries(fresh, "cc.projects_members");
    for (key, entry) in memberships
        .iter()
        .filter(|(key, _)| key.starts_with(project))
    {
        assert_eq!(has["cc.projects_members"][key], *entry, "{when}");
        let user = entry["user_gid"].as_str().expect("a gid");
        // A project's init shows those behind all memberships; the feed has people go with their membership.
        if ["active", "invited"].contains(&entry["status"].as_str().expect("a status")) {
            assert_eq!(has["cc.users"][user], fresh["cc.users"][user], "{when}");
        }
    }
}
