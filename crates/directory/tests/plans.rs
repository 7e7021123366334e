//! No query of a login or an init walks through a table: in a large installation each is answered by index.

use std::sync::{Arc, Mutex};

use diesel::{
    Connection as _, QueryableByName, RunQueryDsl,
    connection::{InstrumentationEvent, SimpleConnection},
    sql_query,
    sql_types::Text,
};
use doorward_directory::{Directory, MIGRATIONS, Who};
use doorward_domain::{RandomIds, SystemClock};
use doorward_storage::{AnyConnection, Database, Error, Options, testing::TestDatabase};

/// 20,000 users; 4,000 projects, each with five members.
const FILL_POSTGRES: &str = "
    CREATE FUNCTION gid(n int) RETURNS text LANGUAGE sql AS
        $$ SELECT '00000000-0000-4000-8000-' || lpad(n::text, 12, '0') $$;
    INSERT INTO users (gid, username, name, status, language, timezone, created_at, updated_at)
        SELECT gid(n), 'user' || n, 'User', 'active', 'en', 'UTC', 0, 0 FROM generate_series(1, 20000) AS numbers(n);
    INSERT INTO projects (gid, name, owner_gid, status, timezone, created_at, updated_at)
        SELECT gid(n), 'Project', gid(n), 'active', 'UTC', 0, 0 FROM generate_series(1, 4000) AS numbers(n);
    INSERT INTO memberships (project_gid, user_gid, role, status, created_at, updated_at)
        SELECT gid(n % 4000 + 1), gid(n), 'member', 'active', 0, 0 FROM generate_series(1, 20000) AS numbers(n);
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
    ANALYZE;";
const MEMBER: &str = "00000000-0000-4000-8000-000000012345";

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

/// The plan of a query as it was sent, with other values.
fn plan(connection: &mut AnyConnection, query: &str) -> Result<String, Error> {
    let steps: Vec<Step> = match connection {
        AnyConnection::Sqlite(connection) => sql_query(format!("EXPLAIN QUERY PLAN {query}")).load(connection)?,
        AnyConnection::Postgres(connection) => {
            let query = query.split(" LIMIT ").next().unwrap_or_default();
            let value = format!("'{MEMBER}'");
            let values = (1..=9).fold(query.to_owned(), |text, n| text.replace(&format!("${n}"), &value));
            connection.batch_execute(&format!(
                "CREATE OR REPLACE FUNCTION pg_temp.plan() RETURNS SETOF text LANGUAGE plpgsql AS \
                 $f$ BEGIN RETURN QUERY EXECUTE $q$EXPLAIN {values}$q$; END $f$"
            ))?;
            sql_query("SELECT pg_temp.plan() AS detail").load(connection)?
        }
    };
    Ok(steps.into_iter().map(|step| step.detail).collect::<Vec<_>>().join("\n"))
}

#[tokio::test]
async fn every_query_of_login_and_init_is_answered_by_index() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let one = Options { name: "plans", url: test.database.url().clone(), pool_size: 1 };
        let database = Database::new(one);
        database.write(fill).await.unwrap();
        let queries = Arc::new(Mutex::new(Vec::new()));
        let seen = queries.clone();
        let listen = move |connection: &mut AnyConnection| {
            connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                if let InstrumentationEvent::StartQuery { query, .. } = event {
                    seen.lock().unwrap().push(query.to_string());
                }
            });
            Ok::<_, Error>(())
        };
        database.read(listen).await.unwrap();
        let directory = Directory::new(database.clone(), Arc::new(SystemClock), Arc::new(RandomIds));
        assert!(directory.find_login(Who::Username("user12345".to_owned()), None).await.unwrap().is_some());
        let init = directory.find_init(MEMBER.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!((init.people.len(), init.projects.len()), (4, 1));
        let queries: Vec<String> = queries.lock().unwrap().clone();
        let queries: Vec<String> = queries
            .iter()
            .filter_map(|query| query.split(" -- binds").next())
            .filter(|query| query.starts_with("SELECT") && !query.contains("feed_head"))
            .map(str::to_owned)
            .collect();
        assert!(queries.len() >= 4, "{queries:?}");
        for query in queries {
            let sent = query.clone();
            let plan = database.write(move |connection| plan(connection, &sent)).await;
            let plan = plan.unwrap_or_else(|error| error.to_string());
            assert!(plan.contains("Index") || plan.contains("SEARCH"), "{query}\n{plan}");
            assert!(!plan.contains("Seq Scan") && !plan.contains("SCAN "), "{query}\n{plan}");
        }
    }
}
