//! Clients that follow the change feed. Each one starts with an init, reads sync pages, fetches the
//! changed entries, and must end with the same entries as a new init. Example, with ann and ben in
//! one project:
//!
//! 1. ann's init has `cc.users ben` with the name "Ben" and cursor 40.
//! 2. ben changes his name; `/sync/get` from cursor 40 returns the row `UPDATE cc.users ben` at 41.
//! 3. ann's follower fetches ben, replaces the entry, and stores 41.
//! 4. The entries are compared with a new init: a lost or surplus row makes them differ.

use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use crate::{
    app::{ApiUser, User},
    http::Http,
    response::Response,
    snapshots::with_names,
};

/// A client with the entries of its init, stored by type and key.
pub struct SyncFollower {
    name: String,
    pub token: String,
    http: Http,
    pub cursor: i64,
    entries: Map<String, Value>,
    /// True while the token is invalid. The client continues later with another one.
    is_disconnected: bool,
}

/// The followers of one test, and the names of ids in expected rows.
#[derive(Default)]
pub struct Audience {
    followers: Vec<SyncFollower>,
    names: Vec<(String, String)>,
}

impl SyncFollower {
    async fn start(name: &str, token: &str, http: &Http) -> Self {
        let (result, data) = http.init(token).await.success();
        let cursor = result["cc.cursor"].as_i64().expect("a cursor");
        Self {
            name: name.to_owned(),
            token: token.to_owned(),
            http: http.clone(),
            cursor,
            entries: entries_by_key(&data),
            is_disconnected: false,
        }
    }

    async fn call(&self, path: &str, body: &Value) -> Response {
        self.http
            .post(path)
            .bearer(&self.token)
            .json(body)
            .send()
            .await
    }

    /// Reads and applies all new rows, page by page, and returns them. If `others_write`, a fetched
    /// entry can be newer than its row.
    async fn sync(&mut self, others_write: bool) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let (result, data) = self
                .call("/sync/get", &json!({"cc_cursor": self.cursor}))
                .await
                .success();
            assert_eq!(data, json!({}));
            let rows = result["sync"].as_array().expect("a list");
            for row in rows {
                self.apply_row(row, others_write).await;
            }
            all.extend(rows.iter().cloned());
            if rows.is_empty() {
                let cursor = result["cc.cursor"].as_i64().expect("a cursor");
                assert!(cursor >= self.cursor, "{cursor} after {}", self.cursor);
                self.cursor = cursor;
                return all;
            }
        }
    }

    async fn apply_row(&mut self, row: &Value, others_write: bool) {
        let cursor = row["cursor"].as_i64().expect("a cursor");
        assert!(
            row["type"] == "cc" && cursor > self.cursor,
            "{row} after {}",
            self.cursor
        );
        self.cursor = cursor;
        let data_type = text(&row["data_type"]);
        let key = text(&row["data_key"]);
        let fetched = self.fetch(data_type, key).await;
        let entry = format!("{data_type} {key}");
        match (text(&row["action"]), fetched) {
            ("INSERT", Some(fetched)) => drop(self.entries.insert(entry, fetched)),
            ("UPDATE", Some(fetched)) => {
                // Like real clients, the follower ignores updates of entries that it does not have.
                if let Some(known) = self.entries.get_mut(&entry) {
                    *known = fetched;
                }
            }
            ("DELETE", None) => drop(self.entries.remove(&entry)),
            // Another writer has undone the change since the row was written. A later row follows.
            ("DELETE", Some(_)) if others_write => drop(self.entries.remove(&entry)),
            ("INSERT" | "UPDATE", None) if others_write => {}
            (action, fetched) => panic!(
                "{} received {action} of {entry}, but fetched {fetched:?}",
                self.name
            ),
        }
    }

    /// Fetches an entry in the form of init, or `None` if it is not visible.
    async fn fetch(&self, data_type: &str, key: &str) -> Option<Value> {
        let (path, body, reason) = match (data_type, key.split_once('/')) {
            ("cc.users", None) => ("users", json!({"user": key}), "user_not_found"),
            ("cc.projects", None) => ("projects", json!({"project": key}), "project_not_found"),
            ("cc.projects_members", Some((project, member))) => (
                "members",
                json!({"project": project, "member": member}),
                "member_not_found",
            ),
            _ => panic!("{data_type} {key}"),
        };
        let answer = self.call(&format!("/api/{path}/get"), &body).await;
        if answer.status == 200 {
            return entries_by_key(&answer.success().1).remove(&format!("{data_type} {key}"));
        }
        answer.assert_unprocessable(reason);
        None
    }

    async fn assert_matches_init(&self, step: &str) {
        let (_, data) = self.http.init(&self.token).await.success();
        let fresh = entries_by_key(&data);
        assert!(
            self.entries == fresh,
            "{step}: {} has {:#?}\ninit returns {fresh:#?}",
            self.name,
            self.entries
        );
    }
}

impl Audience {
    /// Gives an id a name for expected rows.
    pub fn name(&mut self, gid: &str, name: &str) {
        self.names.push((gid.to_owned(), name.to_owned()));
    }

    /// Adds a user who follows the feed from its present head.
    pub async fn add_user(&mut self, user: &User) {
        self.name(&user.gid, &user.username);
        self.followers
            .push(SyncFollower::start(&user.username, &user.token, &user.http).await);
    }

    /// Adds an API user, with the name `robot`, that follows the feed from its present head.
    pub async fn add_api_user(&mut self, robot: &ApiUser) {
        self.name(&robot.gid, "robot");
        let token = robot.auth().await.token();
        let http = robot.http();
        self.followers
            .push(SyncFollower::start("robot", &token, http).await);
    }

    pub fn follower(&mut self, name: &str) -> &mut SyncFollower {
        self.followers
            .iter_mut()
            .find(|follower| follower.name == name)
            .expect("a follower of this name")
    }

    /// Excludes a follower with an invalid token until [`reconnect`](Self::reconnect).
    pub fn disconnect(&mut self, name: &str) {
        self.follower(name).is_disconnected = true;
    }

    pub fn reconnect(&mut self, name: &str, token: &str) {
        let follower = self.follower(name);
        follower.token = token.to_owned();
        follower.is_disconnected = false;
    }

    /// Does the same as [`assert_rows_of_all`](Self::assert_rows_of_all), but an item of `expected`
    /// can have several names, separated by spaces, which must receive the same rows.
    pub async fn assert_rows(&mut self, step: &str, expected: &[(&str, &[&str])]) {
        let rows = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect();
        let each = expected
            .iter()
            .flat_map(|(names, list)| names.split(' ').map(move |name| (name, rows(list))));
        self.assert_rows_of_all(step, &each.collect::<Vec<_>>())
            .await;
    }

    /// Reads the new rows of all connected followers and asserts that they received exactly these
    /// rows, such as `UPDATE cc.users ben`, by name. A follower that is not in `expected` must
    /// receive no rows. Afterwards, all followers must match a new init.
    pub async fn assert_rows_of_all(&mut self, step: &str, expected: &[(&str, Vec<String>)]) {
        let mut received = Map::new();
        for follower in self
            .followers
            .iter_mut()
            .filter(|follower| !follower.is_disconnected)
        {
            let rows = follower.sync(false).await;
            received.insert(
                follower.name.clone(),
                rows.iter()
                    .map(|row| describe_row(row, &self.names))
                    .collect(),
            );
        }
        let mut wanted: Map<_, _> = received
            .keys()
            .map(|name| (name.clone(), json!([])))
            .collect();
        wanted.extend(
            expected
                .iter()
                .map(|(name, rows)| ((*name).to_owned(), json!(rows))),
        );
        assert!(
            received == wanted,
            "{step}: got {received:#?}\nexpected {wanted:#?}"
        );
        for follower in self
            .followers
            .iter()
            .filter(|follower| !follower.is_disconnected)
        {
            follower.assert_matches_init(step).await;
        }
    }

    /// Reads the new rows of all followers concurrently, while others write.
    pub async fn sync_concurrently(&mut self) {
        join_all(
            self.followers
                .iter_mut()
                .map(|follower| follower.sync(true)),
        )
        .await;
    }

    /// Reads the remaining rows of all followers, which must then match a new init.
    pub async fn sync_to_end(&mut self) {
        for follower in &mut self.followers {
            follower.sync(false).await;
            follower.assert_matches_init("the end").await;
        }
    }

    /// Reads the new rows of these followers without comparing them. Names are separated by spaces.
    pub async fn sync(&mut self, names: &str) {
        for name in names.split(' ') {
            self.follower(name).sync(false).await;
        }
    }
}

/// Returns a row as `<action> <data type> <data key>`, with names in place of ids.
fn describe_row(row: &Value, names: &[(String, String)]) -> Value {
    let names: Vec<_> = names
        .iter()
        .map(|(gid, name)| (gid.as_str(), name.as_str()))
        .collect();
    let row = with_names(row, &names);
    json!(format!(
        "{} {} {}",
        text(&row["action"]),
        text(&row["data_type"]),
        text(&row["data_key"])
    ))
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a string: {value}"))
}

/// Returns the entries of a response by type and key. Projects are reduced to their summaries,
/// because init returns no more.
fn entries_by_key(data: &Value) -> Map<String, Value> {
    let mut entries = Map::new();
    for data_type in ["cc.users", "cc.projects"] {
        for (gid, entry) in data[data_type].as_object().into_iter().flatten() {
            let mut entry = entry.clone();
            if data_type == "cc.projects" {
                let fields = entry.as_object_mut().expect("an object");
                fields
                    .retain(|field, _| !["options", "build", "backups"].contains(&field.as_str()));
            }
            entries.insert(format!("{data_type} {gid}"), entry);
        }
    }
    for entry in data["cc.projects_members"].as_array().into_iter().flatten() {
        let key = format!(
            "{}/{}",
            text(&entry["project_gid"]),
            text(&entry["user_gid"])
        );
        entries.insert(format!("cc.projects_members {key}"), entry.clone());
    }
    entries
}
