//! Tests of the maintenance, which runs at the start of a process and every minute.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use doorward_domain::{Clock, Gid};
use doorward_rpc::{RpcError, auth::v1::VerifyPasswordRequest};
use doorward_storage::AnyConnection;

use crate::fixture::{CHEAP, Fixture, login, on_both_databases};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Maximum number of counts of one kind in the database.
const MAX_COUNTS: i64 = 100_000;

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

impl Fixture {
    async fn count(&self, rows: &str) -> i64 {
        use diesel::RunQueryDsl;
        let query = format!("SELECT COUNT(*) AS number FROM {rows}");
        let read = self.test.database.read_snapshot(move |connection| {
            let row: Number = match connection {
                AnyConnection::Postgres(connection) => {
                    diesel::sql_query(query).get_result(connection)?
                }
                AnyConnection::Sqlite(connection) => {
                    diesel::sql_query(query).get_result(connection)?
                }
            };
            Ok::<_, doorward_storage::Error>(row.number)
        });
        read.await.unwrap()
    }

    async fn execute(&self, sql: String) {
        let write = move |connection: &mut AnyConnection| {
            Ok::<_, doorward_storage::Error>(connection.batch_execute(&sql)?)
        };
        self.test.database.write(write).await.unwrap();
    }

    /// Starts a process, which runs the maintenance, and waits until `left` rows are left.
    async fn run_maintenance(&self, rows: &str, left: i64) {
        let _process = self.second().await;
        let finished = async { while self.count(rows).await != left {} };
        if tokio::time::timeout(Duration::from_secs(10), finished)
            .await
            .is_err()
        {
            panic!("{} of {rows}, not {left}", self.count(rows).await);
        }
    }

    pub(crate) async fn log_in_from(
        &self,
        user: Gid,
        password: &str,
        address: &str,
    ) -> Result<String, RpcError> {
        let request = login(Some(user), password, self.clock.now());
        let request = VerifyPasswordRequest {
            client_address: address.to_owned(),
            ..request
        };
        Ok(self
            .client
            .clone()
            .verify_password(request)
            .await?
            .into_inner()
            .token)
    }

    fn micros_ago(&self, age: Duration) -> i64 {
        self.clock.now().saturating_sub(age).as_micros()
    }
}

/// Returns SQL for both databases that inserts `count` rows, numbered `i` from 1.
fn insert(into: &str, row: &str, count: i64) -> String {
    format!(
        "INSERT INTO {into} WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {count}) SELECT {row} FROM numbers"
    )
}

#[tokio::test]
async fn fully_decayed_counts_are_deleted() {
    for fixture in on_both_databases(CHEAP).await {
        let ann = fixture.user("correct horse").await;
        let ben = fixture.user("correct horse").await;
        fixture
            .log_in_from(ann, "wrong", "192.0.2.1")
            .await
            .unwrap_err();
        fixture.clock.advance(2 * HOUR);
        fixture
            .log_in_from(ben, "wrong", "192.0.2.2")
            .await
            .unwrap_err();
        assert_eq!(fixture.count("throttle").await, 4);
        // After this time, even the highest number of failures is forgiven for the first username
        // and both networks. Only the count of the second username is left.
        fixture.clock.advance(44 * HOUR);
        fixture.run_maintenance("throttle", 1).await;
        let recent = fixture.micros_ago(44 * HOUR);
        assert_eq!(
            fixture
                .count(&format!(
                    "throttle WHERE bucket LIKE 'name:%' AND failed_at = {recent}"
                ))
                .await,
            1
        );
    }
}

#[tokio::test]
async fn counts_are_bounded_except_those_with_a_wait() {
    for fixture in on_both_databases(CHEAP).await {
        let old = fixture.micros_ago(HOUR);
        let now = fixture.clock.now().as_micros();
        let columns = "throttle (bucket, failures, failed_at, blocked_until, audited_until)";
        let row = format!("'name:' || i, 1, {old} + i, 0, 0");
        fixture
            .execute(insert(columns, &row, MAX_COUNTS + 100))
            .await;
        let waits =
            format!("INSERT INTO {columns} VALUES ('name:waits', 50, {old}, {now} + 60000000, 0)");
        fixture.execute(waits).await;
        fixture
            .run_maintenance("throttle WHERE bucket <> 'name:waits'", MAX_COUNTS)
            .await;
        assert_eq!(
            fixture.count("throttle WHERE bucket = 'name:waits'").await,
            1
        );
        assert_eq!(
            fixture.count("throttle WHERE bucket = 'name:100'").await,
            0,
            "the oldest"
        );
        assert_eq!(fixture.count("throttle WHERE bucket = 'name:101'").await, 1);
    }
}

#[tokio::test]
async fn known_networks_are_limited_in_age_and_number() {
    for fixture in on_both_databases(CHEAP).await {
        let ann = fixture.user("correct horse").await;
        let ben = fixture.user("correct horse").await;
        fixture
            .log_in_from(ann, "correct horse", "192.0.2.1")
            .await
            .unwrap();
        fixture.clock.advance(2 * DAY);
        fixture
            .log_in_from(ann, "correct horse", "192.0.2.2")
            .await
            .unwrap();
        fixture.clock.advance(29 * DAY);
        fixture.run_maintenance("known_networks", 1).await;
        assert_eq!(
            fixture
                .count("known_networks WHERE network = '192.0.2.2'")
                .await,
            1
        );
        for number in 0..105 {
            fixture.clock.advance(Duration::from_secs(1));
            fixture
                .log_in_from(ben, "correct horse", &format!("203.0.113.{number}"))
                .await
                .unwrap();
        }
        assert_eq!(
            fixture
                .count(&format!("known_networks WHERE user_gid = '{ben}'"))
                .await,
            100
        );
        assert_eq!(
            fixture
                .count("known_networks WHERE network = '203.0.113.4'")
                .await,
            0
        );
        assert_eq!(
            fixture
                .count("known_networks WHERE network = '203.0.113.5'")
                .await,
            1
        );
    }
}

#[tokio::test]
async fn audit_trail_is_kept_for_the_configured_time() {
    for fixture in on_both_databases(CHEAP).await {
        // More than one batch of deletions.
        let first = fixture.clock.now().as_micros();
        fixture
            .execute(insert(
                "audit (at, action)",
                &format!("{first} + i, 'login_failed'"),
                25_000,
            ))
            .await;
        fixture.clock.advance(2 * DAY);
        let user = fixture.user("correct horse").await;
        fixture.log_in(Some(user), "correct horse").await.unwrap();
        fixture.clock.advance(398 * DAY);
        fixture
            .execute("INSERT INTO audit (at, action) VALUES (1, 'logout')".to_owned())
            .await;
        fixture
            .run_maintenance("audit WHERE action = 'logout'", 0)
            .await;
        assert_eq!(fixture.count("audit").await, 25_001, "none is 400 days old");
        fixture.clock.advance(DAY);
        fixture.run_maintenance("audit", 1).await;
        assert_eq!(fixture.count("audit WHERE action = 'login'").await, 1);
    }
}
