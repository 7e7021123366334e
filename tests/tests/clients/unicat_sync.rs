//! Tests `sync()` of the public Python client, unmodified, after each kind of change by other
//! users: its data must equal that of a new client, as far as the client's own rules go. The client
//! fetches entries that are new in its own project, and changes of entries that it already has.

use doorward_tests::{App, Backend, PASSWORD, User, on_both_databases};
use serde_json::{Map, Value, json};

use crate::clients::unicat::Script;

on_both_databases![public_python_client_syncs_changes];

struct Fixture {
    app: App,
    script: Script,
    project: String,
    /// Projects of cas of which ben is a member too.
    others: [String; 2],
    ann: User,
    ben: User,
    cas: User,
    dan: User,
    eva: User,
}

async fn public_python_client_syncs_changes(backend: Backend) {
    let mut fixture = Fixture::start(backend).await;
    fixture.change_members().await;
    fixture.change_the_project().await;
    fixture.change_api_users().await;
    fixture.change_the_owner().await;
    fixture.change_other_projects().await;
}

impl Fixture {
    /// Creates a project of ann with the members ben and cas; ben's client follows the changes.
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

    /// Lets both clients sync after a change and checks their data.
    fn follows(&mut self, change: &str) {
        self.script.go_on();
        let clients = self.script.says();
        for name in ["program", "person"] {
            assert_client_is_current(
                &self.project,
                &clients[name],
                &format!("the {name} after {change}"),
            );
        }
        // Each change of this test is delivered to the member, so the cursor must advance.
        let [before, after] = ["before", "after"].map(|when| clients["person"][when][0].as_i64());
        assert!(after > before, "{change}: {before:?} to {after:?}");
    }

    async fn change(&mut self, user: fn(&Self) -> &User, call: &str, body: Value) -> Value {
        let (result, _) = user(self)
            .call(&format!("/api/{call}"), &body)
            .await
            .success();
        self.follows(call);
        result
    }

    async fn inside(&mut self, call: &str, body: Value) -> Value {
        let call = format!("p/{}/{call}", self.project);
        self.change(|fixture| &fixture.ann, &call, body).await
    }

    async fn change_members(&mut self) {
        let here = json!({"project": self.project});
        self.change(
            |fixture| &fixture.cas,
            "account/update",
            json!({"name": "Cassandra"}),
        )
        .await;
        self.change(
            |fixture| &fixture.ben,
            "account/update",
            json!({"name": "Benjamin"}),
        )
        .await;
        self.inside("members/invite", json!({"username_or_email": "dan"}))
            .await;
        self.change(
            |fixture| &fixture.dan,
            "account/update",
            json!({"name": "Daniel"}),
        )
        .await;
        self.change(
            |fixture| &fixture.dan,
            "account/accept_invite",
            here.clone(),
        )
        .await;
        self.inside("members/invite", json!({"username_or_email": "eva"}))
            .await;
        self.change(
            |fixture| &fixture.eva,
            "account/decline_invite",
            here.clone(),
        )
        .await;
        let [dan, eva, cas] =
            [&self.dan, &self.eva, &self.cas].map(|user| json!({"user": user.gid}));
        self.inside("members/resend_invite", eva.clone()).await;
        self.inside("members/remove", eva).await;
        self.inside("members/deactivate", dan.clone()).await;
        self.inside("members/activate", dan).await;
        self.change(|fixture| &fixture.dan, "account/leave_project", here)
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

    async fn change_the_project(&mut self) {
        let body = json!({"project": self.project, "name": "Flora"});
        self.change(|fixture| &fixture.ann, "projects/update", body)
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
        // No client can sync within the project while it is deleted.
        let project = self.project.clone();
        self.undelete_with_another_name(|fixture| &fixture.ann, &project)
            .await;
    }

    /// Deletes, renames and undeletes a project; the clients sync only at the end.
    async fn undelete_with_another_name(&mut self, owner: fn(&Self) -> &User, project: &str) {
        let body = json!({"project": project, "name": format!("{project} again")});
        for call in ["delete", "update"] {
            owner(self)
                .call(&format!("/api/projects/{call}"), &body)
                .await
                .success();
        }
        self.change(owner, "projects/undelete", body).await;
    }

    async fn change_api_users(&mut self) {
        let created = self
            .inside("apikeys/create", json!({"name": "Android"}))
            .await;
        for call in ["update", "deactivate", "activate", "delete"] {
            self.inside(
                &format!("apikeys/{call}"),
                json!({"user": created["user"], "name": "Gynoid"}),
            )
            .await;
        }
    }

    /// Makes ben the owner for a while: the owner's options of other members become visible to him,
    /// and hidden again.
    async fn change_the_owner(&mut self) {
        let to = |heir: &User, project: &str| json!({"project": project, "user": heir.gid});
        let limit = json!({"user": self.cas.gid, "options": {"rate_limit_per_second": 1000}});
        self.inside("members/update", limit).await;
        let there = to(&self.ben, &self.project);
        let back = to(&self.ann, &self.project);
        self.change(|fixture| &fixture.ann, "projects/transfer", there)
            .await;
        let limit = json!({"user": self.cas.gid, "options": {"rate_limit_per_second": 2000}});
        let call = format!("p/{}/members/update", self.project);
        self.change(|fixture| &fixture.ben, &call, limit).await;
        self.change(|fixture| &fixture.ben, "projects/transfer", back)
            .await;
    }

    async fn change_other_projects(&mut self) {
        for (index, name) in [(0, "Library"), (1, "Archive")] {
            let body = json!({"project": self.others[index], "name": format!("{name}, later")});
            self.change(|fixture| &fixture.cas, "projects/update", body)
                .await;
        }
        let [library, archive] = self.others.clone().map(|gid| json!({"project": gid}));
        self.app
            .installation
            .add_member(&self.others[0], "eva")
            .await;
        self.follows("another member, elsewhere");
        self.change(
            |fixture| &fixture.eva,
            "account/update",
            json!({"name": "Evangeline"}),
        )
        .await;
        let heir = json!({"project": library["project"], "user": self.ben.gid});
        self.change(|fixture| &fixture.cas, "projects/transfer", heir)
            .await;
        for call in ["delete", "undelete", "delete", "permanent_delete"] {
            self.change(
                |fixture| &fixture.ben,
                &format!("projects/{call}"),
                library.clone(),
            )
            .await;
        }
        let project = self.others[1].clone();
        self.undelete_with_another_name(|fixture| &fixture.cas, &project)
            .await;
        for call in ["delete", "undelete"] {
            self.change(
                |fixture| &fixture.cas,
                &format!("projects/{call}"),
                archive.clone(),
            )
            .await;
        }
        let own = json!({"user": self.ben.gid});
        let call = format!("p/{}/members", self.others[1]);
        for step in ["deactivate", "activate", "remove"] {
            self.change(
                |fixture| &fixture.cas,
                &format!("{call}/{step}"),
                own.clone(),
            )
            .await;
        }
        let new = self.app.installation.create_project("cas", "Museum").await;
        self.app.installation.add_member(&new, "ben").await;
        self.follows("member add, elsewhere");
        self.change(
            |fixture| &fixture.cas,
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

/// Checks the data of one client: nothing that is not visible, nothing outdated, and its own
/// project complete.
fn assert_client_is_current(project: &str, client: &Value, when: &str) {
    let [has, fresh, seen] = ["has", "fresh", "seen"].map(|name| &client[name]);
    let cursors = |name: &str| [0, 1].map(|feed| client[name][feed].as_i64().expect("a cursor"));
    let before = cursors("before");
    let after = cursors("after");
    let now = cursors("now");
    for feed in [0, 1] {
        assert!(
            before[feed] <= after[feed] && after[feed] <= now[feed],
            "{when}: {before:?} {after:?} {now:?}"
        );
    }
    // The client must have no entry that a new client does not see, and no outdated entry.
    for kind in ["cc.users", "cc.projects", "cc.projects_members"] {
        for (key, entry) in entries(has, kind) {
            let now = entries(seen, kind)
                .get(key)
                .unwrap_or_else(|| panic!("{when} still has {kind} {key}: {entry}"));
            let known = now
                .as_object()
                .expect("an entry")
                .keys()
                .all(|name| entry[name] == now[name]);
            assert!(known, "{when} has {entry}\nof {kind} {key}, which is {now}");
        }
    }
    // No entry of the client's own project is missing.
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
        // The init of a project has the users of all memberships, but the feed deletes a user
        // together with the membership.
        if ["active", "invited"].contains(&entry["status"].as_str().expect("a status")) {
            assert_eq!(has["cc.users"][user], fresh["cc.users"][user], "{when}");
        }
    }
}
