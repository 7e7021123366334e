//! Tests that the queries of logins, inits, sync pages and calls about users, projects and members
//! use an index on both databases. A query that scans a table is too slow in a large installation.
//! Each test makes calls, and then asks the database for the plan of every recorded query.
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
use doorward_storage::{AnyConnection, Database, DatabaseOptions, Error, testing::TestDatabase};
use serde_json::Value;

/// Inserts 20,000 users and 4,000 projects with their options. A project has five members, but
/// project 4000 has 10,000. A user is in one project, but user 20000 is in 2,000.
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

/// A row of the output of `EXPLAIN`.
#[derive(QueryableByName)]
struct PlanRow {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// A statement and its bind values.
struct RecordedQuery {
    sql: String,
    values: Vec<Value>,
}

impl RecordedQuery {
    /// Parses the text that diesel writes for debugging. Returns `None` for a statement whose plan
    /// is not checked.
    fn parse(debug_text: &str) -> Option<Self> {
        let (sql, binds) = debug_text.split_once(" -- binds: ")?;
        let uses_plan = ["SELECT", "UPDATE", "DELETE"]
            .iter()
            .any(|word| sql.starts_with(word));
        // This query reads the first rows in the order of the primary key. SQLite reports that as a
        // scan, although it stops at the limit.
        let is_first_rows =
            sql.contains("`feed_changes`.`changed_at` FROM `feed_changes` ORDER BY `feed_changes`.`cursor` LIMIT");
        // A table with one row is scanned, and needs no index.
        let has_one_row = ["feed_head", "feed_tail", "announced_api_version"]
            .iter()
            .any(|table| sql.contains(table));
        if !uses_plan || is_first_rows || has_one_row || sql.contains("pg_advisory_xact_lock") {
            return None;
        }
        // The bind values are in the format of Rust's `Debug`, which is almost JSON.
        let json = binds
            .replace("None", "null")
            .replace("Some(", "")
            .replace(')', "");
        let values =
            serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {debug_text}"));
        Some(Self {
            sql: sql.to_owned(),
            values,
        })
    }

    /// Returns the SQL with literals instead of the parameters `$1`, `$2` and so on. PostgreSQL
    /// needs them for `EXPLAIN`; the SQL for SQLite has other parameters and stays unchanged.
    fn with_literals(&self) -> String {
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
        // The last parameter is replaced first, because `$1` is a prefix of `$10`.
        let parameters = self.values.iter().enumerate().rev();
        parameters.fold(self.sql.clone(), |text, (n, value)| {
            text.replace(&format!("${}", n + 1), &literal(value))
        })
    }
}

/// The part of a table that a query returns. For half of a table, PostgreSQL rightly plans a
/// sequential scan, so with `Many` such scans are disabled: the test then only checks that there is
/// an index to use.
#[derive(Clone, Copy)]
enum ResultSize {
    Few,
    Many,
}

fn plan(
    connection: &mut AnyConnection,
    query: &RecordedQuery,
    result_size: ResultSize,
) -> Result<String, Error> {
    let rows: Vec<PlanRow> = match connection {
        AnyConnection::Sqlite(connection) => {
            sql_query(format!("EXPLAIN QUERY PLAN {}", query.sql)).load(connection)?
        }
        AnyConnection::Postgres(connection) => {
            if matches!(result_size, ResultSize::Many) {
                connection.batch_execute("SET LOCAL enable_seqscan = off")?;
            }
            // The column of `EXPLAIN` is named `QUERY PLAN`; a function returns it as `detail`.
            connection.batch_execute(&format!(
                "CREATE OR REPLACE FUNCTION pg_temp.plan() RETURNS SETOF text LANGUAGE plpgsql AS \
                 $f$ BEGIN RETURN QUERY EXECUTE $q$EXPLAIN {}$q$; END $f$",
                query.with_literals()
            ))?;
            sql_query("SELECT pg_temp.plan() AS detail").load(connection)?
        }
    };
    Ok(rows
        .into_iter()
        .map(|row| row.detail)
        .collect::<Vec<_>>()
        .join("\n"))
}

/// A directory on a filled database, and the queries that it has sent.
struct Fixture {
    _test: TestDatabase,
    database: Database,
    directory: Directory,
    queries: Arc<Mutex<Vec<String>>>,
}

impl Fixture {
    async fn both() -> Vec<Self> {
        let mut fixtures = Vec::new();
        for test in TestDatabase::both(&MIGRATIONS) {
            // The instrumentation belongs to a connection, so there must be only one.
            let options = DatabaseOptions {
                name: "plans",
                url: test.database.url().clone(),
                pool_size: 1,
            };
            let database = Database::new(options);
            database.write(fill).await.unwrap();
            let queries = Arc::new(Mutex::new(Vec::new()));
            let recorded = queries.clone();
            let record = move |connection: &mut AnyConnection| {
                connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                    if let InstrumentationEvent::StartQuery { query, .. } = event {
                        recorded.lock().unwrap().push(query.to_string());
                    }
                });
                Ok::<_, Error>(())
            };
            database.read_snapshot(record).await.unwrap();
            let directory = Directory::new(
                database.clone(),
                Arc::new(SystemClock),
                Arc::new(RandomIdGenerator),
            )
            .with_outbox();
            fixtures.push(Self {
                _test: test,
                database,
                directory,
                queries,
            });
        }
        fixtures
    }

    /// Asserts that all queries since the previous call use an index, and that there are at least
    /// `min_queries` of them: without any, the test would prove nothing.
    async fn assert_indexed(&self, min_queries: usize, result_size: ResultSize) {
        let texts = std::mem::take(&mut *self.queries.lock().unwrap());
        let queries: Vec<RecordedQuery> = texts
            .iter()
            .filter_map(|text| RecordedQuery::parse(text))
            .collect();
        assert!(queries.len() >= min_queries, "{texts:?}");
        for query in queries {
            let sql = query.with_literals();
            let plan = self
                .database
                .write(move |connection| plan(connection, &query, result_size))
                .await;
            let plan = plan
                .unwrap_or_else(|error| error.to_string())
                .replace("SCAN CONSTANT ROW", "");
            assert!(
                plan.contains("Index") || plan.contains("SEARCH"),
                "{sql}\n{plan}"
            );
            assert!(
                !plan.contains("Seq Scan") && !plan.contains("SCAN "),
                "{sql}\n{plan}"
            );
        }
        // The queries for the plans have been recorded, too.
        self.queries.lock().unwrap().clear();
    }
}

fn gid(number: u32) -> Gid {
    format!("00000000-0000-4000-8000-{number:012}")
        .parse()
        .unwrap()
}

#[tokio::test]
async fn login_and_init_queries_use_indexes() {
    for fixture in Fixture::both().await {
        let directory = &fixture.directory;
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
        fixture.assert_indexed(8, ResultSize::Few).await;
    }
}

#[tokio::test]
async fn view_queries_use_indexes() {
    for fixture in Fixture::both().await {
        let directory = &fixture.directory;
        let project = gid(346);
        let ann = gid(12_345);
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
        fixture.assert_indexed(15, ResultSize::Few).await;
    }
}

#[tokio::test]
async fn invitation_queries_use_indexes() {
    for fixture in Fixture::both().await {
        let directory = &fixture.directory;
        let project = gid(346);
        let ann = gid(12_345);
        let dan = gid(1);
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
        // Only mails contain the ids of invitations, so the test uses an unknown id.
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
        fixture.assert_indexed(30, ResultSize::Few).await;
    }
}

#[tokio::test]
async fn project_lifecycle_queries_use_indexes() {
    for fixture in Fixture::both().await {
        let directory = &fixture.directory;
        let project = gid(346);
        let ann = gid(12_345);
        let ben = gid(4345);
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
        fixture.assert_indexed(100, ResultSize::Few).await;
    }
}

#[tokio::test]
async fn large_project_queries_use_indexes() {
    for fixture in Fixture::both().await {
        let directory = &fixture.directory;
        let project = gid(4000);
        let busy = gid(20_000);
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
        fixture.assert_indexed(15, ResultSize::Many).await;
        directory
            .set_project_status(Actor::Administrator, project, ProjectStatus::Deleted)
            .await
            .unwrap();
        directory
            .purge_project(Actor::Administrator, project)
            .await
            .unwrap();
        assert!(directory.get_project(project).await.is_err());
        fixture.assert_indexed(20, ResultSize::Many).await;
    }
}

#[tokio::test]
async fn sync_queries_use_indexes() {
    for fixture in Fixture::both().await {
        let directory = &fixture.directory;
        let ann = gid(12_345);
        let busy = gid(20_000);
        let project = gid(346);
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
        fixture.assert_indexed(5, ResultSize::Many).await;
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
        fixture.assert_indexed(40, ResultSize::Few).await;
        directory.delete_old_changes(Duration::ZERO).await.unwrap();
        fixture.assert_indexed(150, ResultSize::Many).await;
    }
}
