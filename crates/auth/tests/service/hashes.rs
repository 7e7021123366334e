//! Tests of stored hashes: foreign ones, and costs.

use doorward_auth::{Error, MIGRATIONS, audit::Origin};
use doorward_domain::{ErrorCode, Gid, IdGenerator, RandomIdGenerator};
use doorward_storage::{AnyConnection, testing::TestDatabase};

use crate::fixture::{CHEAP, Fixture, code, on_both_databases, start};

/// Hashes of `correct horse`, created in Python by bcrypt, argon2-cffi and hashlib. The third has
/// the format of Django.
const FOREIGN: [&str; 6] = [
    "$2b$04$fpQo4AVVBKaUT2cFe7Gk0OMl9wVk03U3C6/YqoSBJx8NV9cyQLVzG",
    "$2a$04$wOg58ZAWmwE2rmDTJhteju9WcxFrVsaGRwG7h1eoN9SA/68vZfQIO",
    "pbkdf2_sha256$1000$aSaltOfDjango$NvYdhsMXv1W6H+8eYZtBMUlbQwcIMLc366lg74t/sRE=",
    "$argon2i$v=19$m=64,t=1,p=1$1n32mllf9t5657gxfUw5QA$9K7pkHQK2WpvHorTRhQcJ1AR2bcxsMfvOBNKfanOJL8",
    "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M",
    "$pbkdf2-sha512$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$OM0FAoIqCVK1sWtxDiffVlBejtLa+ks4TP71JiecwuQ",
];

#[derive(diesel::QueryableByName)]
struct Stored {
    #[diesel(sql_type = diesel::sql_types::Text)]
    password_hash: String,
}

async fn stored_hash(fixture: &Fixture, user: Gid) -> String {
    use diesel::RunQueryDsl;
    let query = format!("SELECT password_hash FROM credentials WHERE user_gid = '{user}'");
    let read = fixture.test.database.read_snapshot(move |connection| {
        let row: Stored = match connection {
            AnyConnection::Postgres(connection) => {
                diesel::sql_query(query).get_result(connection)?
            }
            AnyConnection::Sqlite(connection) => diesel::sql_query(query).get_result(connection)?,
        };
        Ok::<_, doorward_storage::Error>(row.password_hash)
    });
    read.await.unwrap()
}

#[tokio::test]
async fn foreign_hash_verifies_and_is_replaced_at_login() {
    for fixture in on_both_databases(CHEAP).await {
        for foreign in FOREIGN {
            let user = RandomIdGenerator.new_gid();
            fixture
                .credentials
                .insert_hashes(vec![(user, foreign.to_owned())])
                .await
                .unwrap();
            assert_eq!(
                code(fixture.log_in(Some(user), "wrong password").await),
                ErrorCode::UnknownUser,
                "{foreign}"
            );
            assert_eq!(stored_hash(&fixture, user).await, foreign);
            fixture.log_in(Some(user), "correct horse").await.unwrap();
            let replaced = stored_hash(&fixture, user).await;
            assert!(
                replaced.starts_with("$argon2id$v=19$m=64,t=1,p=1$"),
                "{replaced}"
            );
            fixture.log_in(Some(user), "correct horse").await.unwrap();
            assert_eq!(stored_hash(&fixture, user).await, replaced);
        }
    }
}

#[tokio::test]
async fn too_costly_hash_is_not_stored() {
    let fixture = start(TestDatabase::sqlite(&MIGRATIONS), CHEAP).await;
    for costly in [
        "$2b$31$fpQo4AVVBKaUT2cFe7Gk0OMl9wVk03U3C6/YqoSBJx8NV9cyQLVzG",
        "$argon2id$v=19$m=4194304,t=1,p=1$1n32mllf9t5657gxfUw5QA$9K7pkHQK2WpvHorTRhQcJ1AR2bcxsMfvOBNKfanOJL8",
        "$scrypt$ln=30,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M",
        "pbkdf2_sha256$900000000$aSaltOfDjango$NvYdhsMXv1W6H+8eYZtBMUlbQwcIMLc366lg74t/sRE=",
        "plain text",
        "",
    ] {
        let rejected = fixture
            .credentials
            .set_hash(
                RandomIdGenerator.new_gid(),
                costly.to_owned(),
                Origin::command_line(),
            )
            .await;
        assert!(matches!(rejected, Err(Error::UnusableHash(_))), "{costly}");
    }
}
