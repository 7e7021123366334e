//! Clients that follow the feed of changes: each begins with an init, fetches what it is told of, and must end with what a
//! fresh init gives.

use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use crate::{Answer, ApiUser, Http, User, snapshots::with_names};

/// One client. Entries are kept by type and key, as init has them.
pub struct SyncFollower {
    name: String,
    pub token: String,
    http: Http,
    pub cursor: i64,
    entries: Map<String, Value>,
    /// Whose token doesn't work now, and who reads on later.
    is_away: bool,
}

/// Who follows, and what ids are called in what they are told.
#[derive(Default)]
pub struct Audience {
    followers: Vec<SyncFollower>,
    names: Vec<(String, String)>,
}

impl SyncFollower {
    async fn start(name: &str, token: &str, http: &Http) -> Self {
        let (result, data) = http.init(token).await.success();
        let cursor = result["cc.cursor"].as_i64().expect("a cursor");
        let (name, token, http) = (name.to_owned(), token.to_owned(), http.clone());
        Self {
            name,
            token,
            http,
            cursor,
            entries: picture(&data),
            is_away: false,
        }
    }

    async fn call(&self, path: &str, body: &Value) -> Answer {
        self.http
            .post(path)
            .bearer(&self.token)
            .json(body)
            .send()
            .await
    }

    /// All that is new, page by page: the rows, after doing what they say. While others write, what is fetched may be newer
    /// than what is told.
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
        let (data_type, key) = (text(&row["data_type"]), text(&row["data_key"]));
        let fetched = self.fetch(data_type, key).await;
        let entry = format!("{data_type} {key}");
        match (text(&row["action"]), fetched) {
            ("INSERT", Some(fetched)) => drop(self.entries.insert(entry, fetched)),
            ("UPDATE", Some(fetched)) => {
                // As clients do: what they don't have, they ignore.
                if let Some(known) = self.entries.get_mut(&entry) {
                    *known = fetched;
                }
            }
            ("DELETE", None) => drop(self.entries.remove(&entry)),
            ("DELETE", Some(_)) if others_write => drop(self.entries.remove(&entry)),
            ("INSERT" | "UPDATE", None) if others_write => {}
            (action, fetched) => panic!(
                "{} is told {action} of {entry}, which is {fetched:?}",
                self.name
            ),
        }
    }

    /// An entry, as init has it; None when it is out of sight.
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
            return picture(&answer.success().1).remove(&format!("{data_type} {key}"));
        }
        answer.assert_unprocessable(reason);
        None
    }

    async fn assert_matches_init(&self, what: &str) {
        let (_, data) = self.http.init(&self.token).await.success();
        let fresh = picture(&data);
        assert!(
            self.entries == fresh,
            "{what}: {} has {:#?}\ninit gives {fresh:#?}",
            self.name,
            self.entries
        );
    }
}

impl Audience {
    /// What an id is called from now on.
    pub fn name(&mut self, gid: &str, name: &str) {
        self.names.push((gid.to_owned(), name.to_owned()));
    }

    /// From the present on.
    pub async fn add_user(&mut self, user: &User) {
        self.name(&user.gid, &user.username);
        self.followers
            .push(SyncFollower::start(&user.username, &user.token, &user.http).await);
    }

    pub async fn add_api_user(&mut self, robot: &ApiUser) {
        self.name(&robot.gid, "robot");
        let (token, http) = (robot.auth().await.token(), robot.http());
        self.followers
            .push(SyncFollower::start("robot", &token, http).await);
    }

    pub fn follower(&mut self, name: &str) -> &mut SyncFollower {
        self.followers
            .iter_mut()
            .find(|follower| follower.name == name)
            .expect("somebody who follows")
    }

    /// Whose token is dead: they read on once they are back.
    pub fn disconnect(&mut self, name: &str) {
        self.follower(name).is_away = true;
    }

    pub fn reconnect(&mut self, name: &str, token: &str) {
        let follower = self.follower(name);
        (follower.token, follower.is_away) = (token.to_owned(), false);
    }

    /// As [`is_told_all`](Self::is_told_all); several names before the rows are told the same.
    pub async fn assert_rows(&mut self, what: &str, expected: &[(&str, &[&str])]) {
        let rows = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect();
        let each = expected
            .iter()
            .flat_map(|(names, told)| names.split(' ').map(move |name| (name, rows(told))));
        self.assert_rows_of_all(what, &each.collect::<Vec<_>>())
            .await;
    }

    /// Everybody reads on: all rows that they are told since the last time, as `UPDATE cc.users ben`, by who is told them.
    /// Whoever isn't named is told nothing.
    pub async fn assert_rows_of_all(&mut self, what: &str, expected: &[(&str, Vec<String>)]) {
        let mut told = Map::new();
        for follower in self
            .followers
            .iter_mut()
            .filter(|follower| !follower.is_away)
        {
            let rows = follower.sync(false).await;
            told.insert(
                follower.name.clone(),
                rows.iter().map(|row| shown(row, &self.names)).collect(),
            );
        }
        let mut wanted: Map<_, _> = told.keys().map(|name| (name.clone(), json!([]))).collect();
        wanted.extend(
            expected
                .iter()
                .map(|(name, rows)| ((*name).to_owned(), json!(rows))),
        );
        assert!(
            told == wanted,
            "{what}: got {told:#?}\nexpected {wanted:#?}"
        );
        for follower in self.followers.iter().filter(|follower| !follower.is_away) {
            follower.assert_matches_init(what).await;
        }
    }

    /// Everybody reads what there is while others write.
    pub async fn sync_concurrently(&mut self) {
        join_all(
            self.followers
                .iter_mut()
                .map(|follower| follower.sync(true)),
        )
        .await;
    }

    /// Everybody reads the rest of it.
    pub async fn sync_to_end(&mut self) {
        for follower in &mut self.followers {
            follower.sync(false).await;
            follower.assert_matches_init("the end").await;
        }
    }

    /// These read on, whatever they are told.
    pub async fn sync(&mut self, names: &str) {
        for name in names.split(' ') {
            self.follower(name).sync(false).await;
        }
    }
}

fn shown(row: &Value, names: &[(String, String)]) -> Value {
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
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// The entries of an answer by type and key; projects in short.
fn picture(data: &Value) -> Map<String, Value> {
    let mut picture = Map::new();
    for data_type in ["cc.users", "cc.projects"] {
        for (gid, entry) in data[data_type].as_object().into_iter().flatten() {
            let mut entry = entry.clone();
            if data_type == "cc.projects" {
                let fields = entry.as_object_mut().expect("an object");
                fields
                    .retain(|field, _| !["options", "build", "backups"].contains(&field.as_str()));
            }
            picture.insert(format!("{data_type} {gid}"), entry);
        }
    }
    for entry in data["cc.projects_members"].as_array().into_iter().flatten() {
        let key = format!(
            "{}/{}",
            text(&entry["project_gid"]),
            text(&entry["user_gid"])
        );
        picture.insert(format!("cc.projects_members {key}"), entry.clone());
    }
    picture
}
