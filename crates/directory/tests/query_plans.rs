//! No query of a login, an init or a call about users, projects and members walks through a table: in a large installation each
//! is answered by index.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests stop where something fails"
)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use diesel::{
    Connection as _, QueryableByName, RunQueryDsl,
    connection::{InstrumentationEvent, SimpleConnection},
    sql_query,
    sql_types::Text,
};
use doorward_directory::{
    Actor, Directory, LanguageChange, ListRef, LoginIdentifier, MIGRATIONS, MemberChange,
    ProjectChange, PublishedRow, SyncCursors,
    model::{Action, ItemKind},
};
use doorward_domain::{Gid, ProjectStatus, RandomIdGenerator, SystemClock};
use doorward_storage::{AnyConnection, Database, Error, Options, testing::TestDatabase};
use serde_json::Value;

/// 20,000 users; 4,000 projects, each with five members and what projects have; and in one of them 10,000, and one user in
/// 2,000 of them.
const FILL_POSTGRES: &str = "
    CREATE FUNCTION gid(n int) RETURNS text LANGUAGE sql AS
        $$ SELECT '00000000-0000-4000-8000-' || lpad(n::text, 12, '0') $$;
    INSERT INTO users (gid, username, name, status, language, timezone, created_at, updated_at)
        SELECT gid(n), 'user' || n, 'User', 'active', 'en', 'UTC', 0, 0 FROM generate_series(1, 20000) AS numbers(n);
    INSERT INTO projects (gid, name, owner_gid, status, timezone, created_at, updated_at)
        SELECT gid(n), 'Project', gid(n), 'active', 'UTC', 0, 0 FROM generate_series(1, 4000) AS numbers(n);
    INSERT INTO memberships (project_gid, user_gid, role, status, created_at, updated_at)
        SELECT gid(n % 4000 + 1), gid(n), 'member', 'active', 0, 0 FROM generate_series(1, 20000) AS numbers(n);
    UPDATE memberships SET role = 'owner' WHERE user_gid = (SELECT owner_gid FROM projects WHERE gid = project_gid);
    UPDATE memberships SET role = 'owner' WHERE user_gid = gid(12345);
    UPDATE projects SET owner_gid = gid(12345) WHERE gid = gid(346);
    INSERT INTO memberships (project_gid, user_gid, role, status, created_at, updated_at)
        SELECT gid(4000), gid(n), 'member', 'active', 0, 0 FROM generate_series(1, 10000) AS numbers(n)
        ON CONFLICT DO NOTHING;
    INSERT INTO memberships (project_gid, user_gid, role, status, created_at, updated_at)
        SELECT gid(n), gid(20000), 'member', 'active', 0, 0 FROM generate_series(1001, 3000) AS numbers(n)
        ON CONFLICT DO NOTHING;
    INSERT INTO project_items (project_gid, kind, gid, name, position)
        SELECT gid(n), kind, gid(n), 'Main', 1
        FROM generate_series(1, 4000) AS numbers(n), (VALUES ('channel'), ('ordering'), ('fieldlist')) AS kinds (kind);
    INSERT INTO project_languages (project_gid, language, position)
        SELECT gid(n), 'en', 1 FROM generate_series(1, 4000) AS numbers(n);
    INSERT INTO discarded_media (name, delete_at)
        SELECT 'icons/' || gid(n), 9000000000000000 FROM generate_series(1, 4000) AS numbers(n);
    INSERT INTO outbox (id, recipient, language, kind, content, topic, created_at, attempts, next_attempt_at)
        SELECT gid(n), 'x@example.org', 'en', 'x', '{}', 'x/' || n, 0, 0, 0 FROM generate_series(1, 4000) AS numbers(n);
    INSERT INTO membership_slots (project_gid, slot, user_gid, opened_cursor, closed_cursor)
        SELECT project_gid, ROW_NUMBER() OVER (PARTITION BY project_gid ORDER BY user_gid), user_gid, 0, 9223372036854775807
        FROM memberships;
    INSERT INTO feed_subscriptions (user_gid, until_cursor, audience, after_cursor)
        SELECT user_gid, 9223372036854775807, 'project/' || project_gid, 0 FROM memberships;
    INSERT INTO feed_changes (cursor, action, data_type, data_key, entry_status, changed_at)
        SELECT n, 'UPDATE', 'cc.projects', gid(n % 4000), 'active', 0 FROM generate_series(1, 20000) AS numbers(n);
    INSERT INTO feed_events (audience, cursor, action, data_type, data_key)
        SELECT 'project/' || gid(n % 4000), n, 'UPDATE', 'cc.projects', gid(n % 4000)
        FROM generate_series(1, 20000) AS numbers(n);
    UPDATE feed_head SET cursor = 20000;
    ANALYZE;";
const FILL_SQLITE: &str = "
    CREATE TEMP TABLE numbers AS
        WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < 20000)
        SELECT n, printf('00000000-0000-4000-8000-%012d', n) AS gid FROM count;
    INSERT INTO users (gid, username, name, status, language, timezone, created_at, updated_at)
        SELECT gid, 'user' || n, 'User', 'active', 'en', 'UTC', 0, 0 FROM numbers;
    INSERT INTO projects (gid, name, owner_gid, status, timezone, created_at, updated_at)
        SELECT gid, 'Project', gid, 'active', 'UTC', 0, 0 FROM numbers WHERE n <= 4000;
    INSERT INTO memberships (project_gid, user_gid, role, status, created_at, updated_at)
        SELECT printf('00000000-0000-4000-8000-%012d', n % 4000 + 1), gid, 'member', 'active', 0, 0 FROM numbers;
    UPDATE memberships SET role = 'owner' WHERE user_gid = '00000000-0000-4000-8000-000000012345';
    UPDATE projects SET owner_gid = '00000000-0000-4000-8000-000000012345'
        WHERE gid = '00000000-0000-4000-8000-000000000346';
    INSERT OR IGNORE INTO memberships (project_gid, user_gid, role, status, created_at, updated_at)
        SELECT '00000000-0000-4000-8000-000000004000', gid, 'member', 'active', 0, 0 FROM numbers WHERE n <= 10000;
    INSERT OR IGNORE INTO memberships (project_gid, user_gid, role, status, created_at, updated_at)
        SELECT gid, '00000000-0000-4000-8000-000000020000', 'member', 'active', 0, 0 FROM numbers
        WHERE n BETWEEN 1001 AND 3000;
    INSERT INTO project_items (project_gid, kind, gid, name, position)
        SELECT gid, column1, gid, 'Main', 1 FROM numbers, (VALUES ('channel'), ('ordering'), ('fieldlist')) WHERE n <= 4000;
    INSERT INTO project_languages (project_gid, language, position) SELECT gid, 'en', 1 FROM numbers WHERE n <= 4000;
    INSERT INTO discarded_media (name, delete_at)
        SELECT 'icons/' || gid, 9000000000000000 FROM numbers WHERE n <= 4000;
    INSERT INTO outbox (id, recipient, language, kind, content, topic, created_at, attempts, next_attempt_at)
        SELECT gid, 'x@example.org', 'en', 'x', '{}', 'x/' || n, 0, 0, 0 FROM numbers WHERE n <= 4000;
    INSERT INTO membership_slots (project_gid, slot, user_gid, opened_cursor, closed_cursor)
        SELECT project_gid, ROW_NUMBER() OVER (PARTITION BY project_gid ORDER BY user_gid), user_gid, 0, 9223372036854775807
        FROM memberships;
    INSERT INTO feed_subscriptions (user_gid, until_cursor, audience, after_cursor)
        SELECT user_gid, 9223372036854775807, 'project/' || project_gid, 0 FROM memberships;
    INSERT INTO feed_changes (cursor, action, data_type, data_key, entry_status, changed_at)
        SELECT n, 'UPDATE', 'cc.projects', gid, 'active', 0 FROM numbers;
    INSERT INTO feed_events (audience, cursor, action, data_type, data_key)
        SELECT 'project/' || printf('00000000-0000-4000-8000-%012d', n % 4000), n, 'UPDATE', 'cc.projects',
            printf('00000000-0000-4000-8000-%012d', n % 4000)
        FROM numbers;
    UPDATE feed_head SET cursor = 20000;
    ANALYZE;";

fn fill(connection: &mut AnyConnection) -> Result<(), Error> {
    let sql = match connection {
        AnyConnection::Postgres(_) => FILL_POSTGRES,
        AnyConnection::Sqlite(_) => FILL_SQLITE,
    };
    Ok(connection.batch_execute(sql)?)
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// A statement as it was sent, and the values that went with it.
struct Sent {
    sql: String,
    values: Vec<Value>,
}

impl Sent {
    /// Diesel's own way to show one.
    fn parse(shown: &str) -> Option<Self> {
        let (sql, binds) = shown.split_once(" -- binds: ")?;
        let is_looked_for = ["SELECT", "UPDATE", "DELETE"]
            .iter()
            .any(|word| sql.starts_with(word));
        // The first rows of all, in the order of the key: SQLite calls that a scan.
        let is_first_rows =
            sql.contains("`feed_changes`.`changed_at` FROM `feed_changes` ORDER BY `feed_changes`.`cursor` LIMIT");
        let has_one_row = ["feed_head", "feed_tail", "announced_api_version"]
            .iter()
            .any(|table| sql.contains(table));
        if !is_looked_for || is_first_rows || has_one_row || sql.contains("pg_advisory_xact_lock") {
            return None;
        }
        let json = binds
            .replace("None", "null")
            .replace("Some(", "")
            .replace(')', "");
        let values = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {shown}"));
        Some(Self {
            sql: sql.to_owned(),
            values,
        })
    }

    /// With the values in their places, as PostgreSQL has them.
    fn in_full(&self) -> String {
        let literal = |value: &Value| match value {
            Value::String(text) => format!("'{text}'"),
            Value::Array(values) => {
                let texts: Vec<String> = values
                    .iter()
                    .map(|value| value.to_string().replace('"', "'"))
                    .collect();
                format!("ARRAY[{}]", texts.join(","))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
        };
        // The last first, for $1 is the beginning of $10.
        let places = self.values.iter().enumerate().rev();
        places.fold(self.sql.clone(), |text, (n, value)| {
            text.replace(&format!("${}", n + 1), &literal(value))
        })
    }
}

/// How much of a table an answer is: of half of it, PostgreSQL rightly reads all, unless it is told not to.
#[derive(Clone, Copy)]
enum ResultSize {
    Few,
    Many,
}

fn plan(connection: &mut AnyConnection, sent: &Sent, answer: ResultSize) -> Result<String, Error> {
    let steps: Vec<Step> = match connection {
        AnyConnection::Sqlite(connection) => {
            sql_query(format!("EXPLAIN QUERY PLAN {}", sent.sql)).load(connection)?
        }
        AnyConnection::Postgres(connection) => {
            if matches!(answer, ResultSize::Many) {
                connection.batch_execute("SET LOCAL enable_seqscan = off")?;
            }
            connection.batch_execute(&format!(
                "CREATE OR REPLACE FUNCTION pg_temp.plan() RETURNS SETOF text LANGUAGE plpgsql AS \
                 $f$ BEGIN RETURN QUERY EXECUTE $q$EXPLAIN {}$q$; END $f$",
                sent.in_full()
            ))?;
            sql_query("SELECT pg_temp.plan() AS detail").load(connection)?
        }
    };
    Ok(steps
        .into_iter()
        .map(|step| step.detail)
        .collect::<Vec<_>>()
        .join("\n"))
}

/// A directory over a filled database, and what it asks.
struct Place {
    _test: TestDatabase,
    database: Database,
    directory: Directory,
    shown: Arc<Mutex<Vec<String>>>,
}

impl Place {
    async fn both() -> Vec<Self> {
        let mut places = Vec::new();
        for test in TestDatabase::both(&MIGRATIONS) {
            let one = Options {
                name: "plans",
                url: test.database.url().clone(),
                pool_size: 1,
            };
            let database = Database::new(one);
            database.write(fill).await.unwrap();
            let shown = Arc::new(Mutex::new(Vec::new()));
            let seen = shown.clone();
            let listen = move |connection: &mut AnyConnection| {
                connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                    if let InstrumentationEvent::StartQuery { query, .. } = event {
                        seen.lock().unwrap().push(query.to_string());
                    }
                });
                Ok::<_, Error>(())
            };
            database.read_snapshot(listen).await.unwrap();
            let directory = Directory::new(
                database.clone(),
                Arc::new(SystemClock),
                Arc::new(RandomIdGenerator),
            )
            .with_outbox();
            places.push(Self {
                _test: test,
                database,
                directory,
                shown,
            });
        }
        places
    }

    /// What was asked since the last time, each by index; so many at least.
    async fn assert_indexed(&self, least: usize, answer: ResultSize) {
        let shown = std::mem::take(&mut *self.shown.lock().unwrap());
        let sent: Vec<Sent> = shown
            .iter()
            .filter_map(|shown| Sent::parse(shown))
            .collect();
        assert!(sent.len() >= least, "{shown:?}");
        for sent in sent {
            let query = sent.in_full();
            let plan = self
                .database
                .write(move |connection| plan(connection, &sent, answer))
                .await;
            let plan = plan
                .unwrap_or_else(|error| error.to_string())
                .replace("SCAN CONSTANT ROW", "");
            assert!(
                plan.contains("Index") || plan.contains("SEARCH"),
                "{query}\n{plan}"
            );
            assert!(
                !plan.contains("Seq Scan") && !plan.contains("SCAN "),
                "{query}\n{plan}"
            );
        }
        self.shown.lock().unwrap().clear();
    }
}

fn gid(number: u32) -> Gid {
    format!("00000000-0000-4000-8000-{number:012}")
        .parse()
        .unwrap()
}

#[tokio::test]
async fn login_and_init_queries_use_indexes() {
    for place in Place::both().await {
        let directory = &place.directory;
        assert!(
            directory
                .find_login(LoginIdentifier::Username("user12345".to_owned()), None)
                .await
                .unwrap()
                .is_some()
        );
        let init = directory.get_init(gid(12_345).into()).await.unwrap();
        assert_eq!((init.users.len(), init.projects.len()), (4, 1));
        let init = directory
            .get_project_init(gid(346), gid(12_345).into())
            .await
            .unwrap();
        assert_eq!((init.users.len(), init.projects.len()), (4, 1));
        place.assert_indexed(8, ResultSize::Few).await;
    }
}

#[tokio::test]
async fn view_queries_use_indexes() {
    for place in Place::both().await {
        let (directory, project, ann) = (&place.directory, gid(346), gid(12_345));
        directory.view_user(ann.into(), gid(4345)).await.unwrap();
        directory.view_user(ann.into(), gid(1)).await.unwrap_err();
        directory.view_project(ann.into(), project).await.unwrap();
        directory
            .view_member(ann.into(), project, gid(4345))
            .await
            .unwrap();
        directory
            .view_members(ann.into(), project, vec![gid(345), gid(4345)])
            .await
            .unwrap();
        let limit = MemberChange {
            limit: Some(Some(5)),
            notifications: None,
        };
        directory
            .update_member(ann.into(), project, gid(4345), limit)
            .await
            .unwrap();
        directory
            .find_active_membership(project, ann)
            .await
            .unwrap()
            .unwrap();
        directory.get_full_project(project).await.unwrap();
        assert_eq!(
            directory
                .list_members(project, None, 10)
                .await
                .unwrap()
                .len(),
            5
        );
        assert_eq!(
            directory
                .list_projects(Some(gid(3)), 10)
                .await
                .unwrap()
                .len(),
            10
        );
        place.assert_indexed(15, ResultSize::Few).await;
    }
}

#[tokio::test]
async fn invitation_queries_use_indexes() {
    for place in Place::both().await {
        let (directory, project, ann, dan) = (&place.directory, gid(346), gid(12_345), gid(1));
        for name in ["user1", "nobody@example.org"] {
            directory
                .invite_member(ann.into(), project, name.to_owned())
                .await
                .unwrap();
        }
        directory
            .resend_invitation(ann.into(), project, dan)
            .await
            .unwrap();
        // Only emails have the ids of invitations: this is none of them.
        directory
            .view_invitation(gid(77), project)
            .await
            .unwrap_err();
        directory
            .decline_invitation_by_link(gid(77), project)
            .await
            .unwrap_err();
        directory
            .decline_invitation(dan.into(), project)
            .await
            .unwrap();
        directory.list_email_conflicts(None).await.unwrap();
        directory
            .resend_invitation(ann.into(), project, dan)
            .await
            .unwrap();
        directory
            .accept_invitation(dan.into(), project)
            .await
            .unwrap();
        directory
            .set_member_status(ann.into(), project, dan, false)
            .await
            .unwrap();
        directory
            .remove_member(Actor::User(ann.into()), project, dan)
            .await
            .unwrap();
        directory.add_member(project, dan).await.unwrap();
        directory.leave_project(dan.into(), project).await.unwrap();
        place.assert_indexed(30, ResultSize::Few).await;
    }
}

#[tokio::test]
async fn project_lifecycle_queries_use_indexes() {
    for place in Place::both().await {
        let (directory, project, ann, ben) = (&place.directory, gid(346), gid(12_345), gid(4345));
        let change = ProjectChange {
            name: Some("Flora".to_owned()),
            timezone: None,
        };
        directory
            .update_project(ann.into(), project, change)
            .await
            .unwrap();
        for change in [
            LanguageChange::Add("nl".to_owned()),
            LanguageChange::Remove("en".to_owned()),
        ] {
            directory
                .change_languages(ann.into(), project, change)
                .await
                .unwrap();
        }
        for kind in [ItemKind::Channel, ItemKind::Ordering, ItemKind::Fieldlist] {
            let list = ListRef {
                caller: ann.into(),
                project,
                kind,
            };
            let (item, _) = directory
                .create_item(list, "Item".to_owned())
                .await
                .unwrap();
            directory
                .rename_item(list, item, "Other".to_owned())
                .await
                .unwrap();
            directory
                .move_item(list, item, Some(project))
                .await
                .unwrap();
            directory.move_item(list, item, None).await.unwrap();
            directory.delete_items(list, vec![item]).await.unwrap();
        }
        let icon = directory
            .prepare_icon(ann.into(), project, "png")
            .await
            .unwrap();
        directory
            .set_icon(ann.into(), project, Some(icon))
            .await
            .unwrap();
        directory
            .find_icon(format!("{project}.png"))
            .await
            .unwrap()
            .unwrap();
        directory
            .transfer_project(Actor::User(ann.into()), project, ben)
            .await
            .unwrap();
        directory
            .transfer_project(Actor::User(ben.into()), project, ann)
            .await
            .unwrap();
        directory
            .create_api_user(Actor::User(ann.into()), project, "Robot".to_owned())
            .await
            .unwrap();
        directory
            .set_project_status(Actor::User(ann.into()), project, ProjectStatus::Deleted)
            .await
            .unwrap();
        directory
            .purge_project(Actor::User(ann.into()), project)
            .await
            .unwrap();
        place.assert_indexed(100, ResultSize::Few).await;
    }
}

#[tokio::test]
async fn large_project_queries_use_indexes() {
    for place in Place::both().await {
        let (directory, project, busy) = (&place.directory, gid(4000), gid(20_000));
        let init = directory
            .get_project_init(project, gid(1).into())
            .await
            .unwrap();
        assert!(init.users.len() >= 10_000, "{}", init.users.len());
        let init = directory.get_init(busy.into()).await.unwrap();
        assert!(
            init.projects.len() >= 2000 && init.users.len() >= 9000,
            "{} {}",
            init.projects.len(),
            init.users.len()
        );
        directory
            .view_user(busy.into(), gid(12_345))
            .await
            .unwrap_err();
        directory.view_user(gid(1).into(), gid(9999)).await.unwrap();
        directory
            .view_members(gid(1).into(), project, vec![gid(2), gid(9999)])
            .await
            .unwrap();
        directory
            .list_members(project, Some(gid(5000)), 1000)
            .await
            .unwrap();
        place.assert_indexed(15, ResultSize::Many).await;
        directory
            .set_project_status(Actor::Administrator, project, ProjectStatus::Deleted)
            .await
            .unwrap();
        directory
            .purge_project(Actor::Administrator, project)
            .await
            .unwrap();
        assert!(directory.get_project(project).await.is_err());
        place.assert_indexed(20, ResultSize::Many).await;
    }
}

#[tokio::test]
async fn sync_queries_use_indexes() {
    for place in Place::both().await {
        let (directory, ann, busy, project) =
            (&place.directory, gid(12_345), gid(20_000), gid(346));
        let since = SyncCursors {
            cc_cursor: Some(0),
            project: None,
            cursor: None,
        };
        assert!(
            directory
                .sync(busy.into(), since, true)
                .await
                .unwrap()
                .has_more
        );
        place.assert_indexed(5, ResultSize::Many).await;
        assert_eq!(
            directory
                .sync(ann.into(), since, true)
                .await
                .unwrap()
                .rows
                .len(),
            5
        );
        let since = SyncCursors {
            cc_cursor: Some(0),
            project: Some(project),
            cursor: Some(0),
        };
        directory.sync(ann.into(), since, true).await.unwrap();
        directory
            .get_cursor(ann.into(), Some(project))
            .await
            .unwrap();
        directory.list_changes(19_000).await.unwrap();
        let row = PublishedRow {
            action: Action::Insert,
            data_type: "records".to_owned(),
            data_key: "1".to_owned(),
        };
        directory.publish(project, vec![row]).await.unwrap();
        directory.add_member(project, busy).await.unwrap();
        let since = SyncCursors {
            cc_cursor: Some(20_000),
            ..since
        };
        assert!(
            !directory
                .sync(busy.into(), since, false)
                .await
                .unwrap()
                .rows
                .is_empty()
        );
        directory
            .remove_member(Actor::Administrator, project, busy)
            .await
            .unwrap();
        assert!(
            !directory
                .sync(
                    busy.into(),
                    SyncCursors {
                        project: None,
                        ..since
                    },
                    false
                )
                .await
                .unwrap()
                .rows
                .is_empty()
        );
        place.assert_indexed(40, ResultSize::Few).await;
        directory.delete_old_changes(Duration::ZERO).await.unwrap();
        place.assert_indexed(150, ResultSize::Many).await;
    }
}
