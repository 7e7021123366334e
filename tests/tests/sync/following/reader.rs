//! A client that follows the feed: it stores the entries of an init and applies the rows of
//! `/sync/get` to them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use doorward_tests::{Http, Response, random::Random};
use serde_json::{Value, json};

/// Maximum time until a killed service has restarted and its peers have reconnected.
const TIMEOUT: Duration = Duration::from_secs(20);
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(50);

/// Repeats a call through random gateways until the status is not 503.
pub(crate) async fn ask(
    gateways: &[Http],
    random: &mut Random,
    token: Option<&str>,
    path: &str,
    body: &Value,
) -> Response {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let call = random.choose(gateways).post(path).json(body);
        let call = match token {
            Some(token) => call.bearer(token),
            None => call,
        };
        match call.try_send().await {
            Ok(answer) if answer.status != 503 => return answer,
            Ok(_) | Err(_) => assert!(Instant::now() < deadline, "no answer to {path}"),
        }
        tokio::time::sleep(BETWEEN_ATTEMPTS).await;
    }
}

/// Entries by their type and key; projects as summaries.
pub(crate) type Picture = BTreeMap<(String, String), Value>;

pub(crate) struct Reader<'a> {
    gateways: &'a [Http],
    pub(crate) name: String,
    token: String,
    random: Random,
    cursor: i64,
    picture: Picture,
    /// All received rows, for failure messages.
    received: Vec<Value>,
    pub(crate) pages: usize,
}

impl<'a> Reader<'a> {
    /// Starts from a new init.
    pub(crate) async fn new(gateways: &'a [Http], name: &str, token: &str, random: Random) -> Self {
        let name = name.to_owned();
        let token = token.to_owned();
        let picture = Picture::new();
        let mut reader = Self {
            gateways,
            name,
            token,
            random,
            cursor: 0,
            picture,
            received: Vec::new(),
            pages: 0,
        };
        reader.restart().await;
        reader
    }

    /// Replaces all entries by those of a new init.
    pub(crate) async fn restart(&mut self) {
        (self.cursor, self.picture) = self.init().await;
    }

    async fn init(&mut self) -> (i64, Picture) {
        let (result, data) = self.ask("/api/init", &json!({})).await.success();
        let mut picture = Picture::new();
        for data_type in ["cc.users", "cc.projects"] {
            for (gid, entry) in data[data_type].as_object().expect("entries") {
                picture.insert((data_type.to_owned(), gid.clone()), entry.clone());
            }
        }
        for entry in data["cc.projects_members"].as_array().expect("a list") {
            picture.insert(
                ("cc.projects_members".to_owned(), key(entry)),
                entry.clone(),
            );
        }
        (result["cc.cursor"].as_i64().expect("a cursor"), picture)
    }

    async fn ask(&mut self, path: &str, body: &Value) -> Response {
        ask(
            self.gateways,
            &mut self.random,
            Some(&self.token),
            path,
            body,
        )
        .await
    }

    /// Reads one page and returns whether it had rows.
    pub(crate) async fn read(&mut self) -> bool {
        let (result, data) = self
            .ask("/sync/get", &json!({"cc_cursor": self.cursor}))
            .await
            .success();
        assert_eq!(data, json!({}));
        let rows = result["sync"].as_array().expect("rows");
        assert!(rows.len() <= 1000, "{} rows", rows.len());
        if rows.is_empty() {
            assert_eq!(result.get("warning"), None, "{result}");
            let idle = result["cc.cursor"].as_i64().expect("a cursor");
            assert!(
                idle >= self.cursor,
                "{} goes back from {} to {idle}",
                self.name,
                self.cursor
            );
            self.cursor = idle;
            return false;
        }
        // With rows and a cursor, clients would continue from the cursor and skip rows.
        assert_eq!(result.get("cc.cursor"), None, "a page with rows");
        self.pages += 1;
        for row in rows {
            self.apply_row(row).await;
        }
        true
    }

    async fn apply_row(&mut self, row: &Value) {
        let cursor = row["cursor"].as_i64().expect("a cursor");
        assert!(
            cursor > self.cursor,
            "{} has read until {}: {row}",
            self.name,
            self.cursor
        );
        self.cursor = cursor;
        assert_eq!(row["type"], json!("cc"));
        self.received.push(row.clone());
        let text = |name: &str| {
            row[name]
                .as_str()
                .unwrap_or_else(|| panic!("{name}: {row}"))
                .to_owned()
        };
        let at = (text("data_type"), text("data_key"));
        let entry = match row["action"].as_str() {
            Some("INSERT") => self.fetch(&at.0, &at.1).await,
            Some("UPDATE") if self.picture.contains_key(&at) => self.fetch(&at.0, &at.1).await,
            Some("UPDATE") => return,
            Some("DELETE") => None,
            _ => panic!("{row}"),
        };
        match entry {
            Some(entry) => drop(self.picture.insert(at, entry)),
            None => drop(self.picture.remove(&at)),
        }
    }

    /// Fetches an entry. Returns `None` if it is no longer visible.
    async fn fetch(&mut self, data_type: &str, key: &str) -> Option<Value> {
        let (path, body) = match data_type {
            "cc.users" => ("/api/users/get", json!({"user": key})),
            "cc.projects" => ("/api/projects/get", json!({"project": key})),
            "cc.projects_members" => {
                let (project, member) = key.split_once('/').expect("two gids");
                (
                    "/api/members/get",
                    json!({"project": project, "member": member}),
                )
            }
            _ => panic!("{data_type}"),
        };
        let answer = self.ask(path, &body).await;
        if [403, 422].contains(&answer.status) {
            return None;
        }
        let (_, data) = answer.success();
        match data_type {
            "cc.projects" => Some(short(&data[data_type][key])),
            "cc.users" => Some(data[data_type][key].clone()),
            _ => Some(data[data_type][0].clone()),
        }
    }

    /// Reads all remaining rows and checks that the entries equal those of a new init. Requires
    /// that nothing changes any more.
    pub(crate) async fn assert_matches_init(&mut self) {
        while self.read().await {}
        let (cursor, expected) = self.init().await;
        assert_eq!(self.cursor, cursor, "{}", self.name);
        let keys: std::collections::BTreeSet<_> =
            self.picture.keys().chain(expected.keys()).collect();
        for at in keys {
            let has = self.picture.get(at);
            let shown = expected.get(at);
            let ids: Vec<&str> = at.1.split('/').collect();
            let is_near = |row: &&Value| {
                let key = row["data_key"].as_str().unwrap_or_default();
                key == at.1 || key == ids[0] || ids.iter().all(|id| key.contains(id))
            };
            let received: Vec<String> = self
                .received
                .iter()
                .filter(is_near)
                .map(Value::to_string)
                .collect();
            assert!(
                has == shown,
                "{} has {has:?}\ninit shows {shown:?}\nof {at:?}, for which it received:\n{}",
                self.name,
                received.join("\n")
            );
        }
    }

    /// Returns the number of received rows.
    pub(crate) fn rows(&self) -> usize {
        self.received.len()
    }
}

fn key(membership: &Value) -> String {
    let gid = |name: &str| membership[name].as_str().expect("a gid").to_owned();
    format!("{}/{}", gid("project_gid"), gid("user_gid"))
}

/// Returns the summary of a project, as in an init.
fn short(project: &Value) -> Value {
    let names = ["gid", "name", "icon", "owner", "status"];
    names
        .iter()
        .map(|name| ((*name).to_owned(), project[*name].clone()))
        .collect()
}
