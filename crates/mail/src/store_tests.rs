//! Contract tests of the outbox on both databases.

use std::{sync::Arc, time::Duration};

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use doorward_domain::{Email, IdGenerator, RandomIdGenerator, SystemClock};
use doorward_storage::{Database, Error, Migrations, testing::TestDatabase};

use super::*;
use crate::{
    content::MailContent,
    outbox::{NewMail, Outbox, reseal},
    sealing::{ContentSealer, PlainContent, SealError},
};

const POSTGRES: EmbeddedMigrations = embed_migrations!("../auth/migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("../auth/migrations/sqlite");
const MIGRATIONS: Migrations = Migrations {
    postgres: POSTGRES,
    sqlite: SQLITE,
    owner_table: "outbox",
    data_migrations: &[],
};

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

fn after(seconds: u64) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(seconds))
}

fn mail(code: &str, topic: Option<&str>) -> NewMail {
    NewMail {
        id: RandomIdGenerator.new_gid(),
        recipient: Email::parse("ann@example.org").unwrap(),
        language: "nl-be".to_owned(),
        content: MailContent::SignupCode {
            code: code.to_owned(),
        },
        topic: topic.map(str::to_owned),
        expires_at: Some(after(900)),
        user: None,
    }
}

/// Seals by writing the key and the associated data in front of the text.
struct Labelled(&'static str);

impl ContentSealer for Labelled {
    fn seal(&self, associated_data: &str, text: &str) -> std::result::Result<String, SealError> {
        Ok(format!("{}|{associated_data}|{text}", self.0))
    }

    fn unseal(
        &self,
        associated_data: &str,
        sealed: &str,
    ) -> std::result::Result<String, SealError> {
        let text = sealed.strip_prefix(&format!("{}|{associated_data}|", self.0));
        text.map(str::to_owned).ok_or(SealError)
    }
}

fn outbox(database: &Database, seal: impl ContentSealer + 'static) -> Outbox {
    Outbox::new(database.clone(), Arc::new(SystemClock), Arc::new(seal))
}

async fn put(database: &Database, mail: NewMail, now: Timestamp) -> Gid {
    let id = mail.id;
    let outbox = outbox(database, PlainContent);
    database
        .write(move |connection| outbox.enqueue(connection, mail, now))
        .await
        .unwrap();
    id
}

async fn claim_at(database: &Database, now: Timestamp, limit: i64) -> Vec<LeasedMail> {
    let end = now.saturating_add(Duration::from_secs(120));
    let claimed = database
        .write(move |connection| claim(connection, now, end, limit))
        .await
        .unwrap();
    assert_eq!(claimed.quarantined, Vec::<String>::new());
    claimed.mails
}

async fn write<T: Send + 'static>(
    database: &Database,
    work: impl FnOnce(&mut AnyConnection) -> Result<T> + Send + 'static,
) -> T {
    database.write(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_mail_is_claimed_unchanged_and_once() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let user = RandomIdGenerator.new_gid();
        let id = put(
            &test.database,
            NewMail {
                user: Some(user),
                ..mail("K7MWQ4", Some("signup/ann"))
            },
            NOW,
        )
        .await;
        assert!(
            !test
                .database
                .query(|connection| has_due(connection, NOW.saturating_sub(Duration::from_secs(1))))
                .await
                .unwrap()
        );
        assert!(
            test.database
                .query(|connection| has_due(connection, NOW))
                .await
                .unwrap()
        );

        let claimed = claim_at(&test.database, NOW, 4).await;
        let [claimed] = claimed.as_slice() else {
            panic!("{claimed:?}")
        };
        assert_eq!(
            (
                claimed.id,
                claimed.recipient.as_str(),
                claimed.language.as_str()
            ),
            (id, "ann@example.org", "nl-be")
        );
        assert_eq!(
            (claimed.kind.as_str(), claimed.topic.as_deref()),
            ("signup_code", Some("signup/ann"))
        );
        assert_eq!(
            (claimed.user, claimed.created_at, claimed.expires_at),
            (Some(user), NOW, Some(after(900)))
        );
        assert_eq!((claimed.attempts, claimed.leased_until), (1, after(120)));
        let content = outbox(&test.database, PlainContent).unseal(claimed);
        assert_eq!(
            content.unwrap(),
            MailContent::SignupCode {
                code: "K7MWQ4".to_owned()
            }
        );

        assert!(claim_at(&test.database, after(119), 4).await.is_empty());
        // The process with the lease was killed, so the mail is due again.
        assert_eq!(claim_at(&test.database, after(120), 4).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_that_fails_leaves_no_mail() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let outbox = outbox(&test.database, PlainContent);
        let failed: Result<()> = test
            .database
            .write(move |connection| {
                outbox.enqueue(connection, mail("K7MWQ4", None), NOW)?;
                Err(Error::Other("on purpose".to_owned()))
            })
            .await;
        assert!(failed.is_err());
        assert_eq!(test.database.query(count).await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_takes_the_oldest_up_to_the_limit() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let mut ids = Vec::new();
        for second in [3, 1, 2] {
            ids.push(put(&test.database, mail("K7MWQ4", None), after(second)).await);
        }
        let claimed: Vec<_> = claim_at(&test.database, after(5), 2)
            .await
            .iter()
            .map(|mail| mail.id)
            .collect();
        assert_eq!(claimed, [ids[1], ids[2]]);
        assert_eq!(test.database.query(count).await.unwrap(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_claims_share_the_mails() {
    for test in TestDatabase::both(&MIGRATIONS) {
        for _ in 0..30 {
            put(&test.database, mail("K7MWQ4", None), NOW).await;
        }
        let claims = (0..8).map(|_| {
            let database = test.database.clone();
            tokio::spawn(async move {
                let mut ids = Vec::new();
                loop {
                    let claimed = claim_at(&database, NOW, 3).await;
                    if claimed.is_empty() {
                        return ids;
                    }
                    ids.extend(claimed.iter().map(|mail| mail.id));
                }
            })
        });
        let mut ids = Vec::new();
        for claimed in claims.collect::<Vec<_>>() {
            ids.extend(claimed.await.unwrap());
        }
        let claimed = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((claimed, ids.len()), (30, 30));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_of_the_same_topic_replaces_one_that_waits_but_not_one_being_sent() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let database = &test.database;
        put(database, mail("FIRST2", Some("reset/ann")), NOW).await;
        let other = put(database, mail("OTHER2", Some("reset/ben")), NOW).await;
        let second = put(database, mail("SECND2", Some("reset/ann")), after(1)).await;
        assert_eq!(database.query(count).await.unwrap(), 2);
        let claimed = claim_at(database, after(1), 4).await;
        assert_eq!(
            claimed.iter().map(|mail| mail.id).collect::<Vec<_>>(),
            [other, second]
        );
        let sending = claimed[1].clone();
        assert!(
            !write(database, {
                let it = sending.clone();
                move |c| is_replaced(c, &it)
            })
            .await
        );

        let third = put(database, mail("THIRD2", Some("reset/ann")), after(2)).await;
        assert_eq!(database.query(count).await.unwrap(), 3);
        assert!(
            write(database, {
                let it = sending.clone();
                move |c| is_replaced(c, &it)
            })
            .await
        );
        let claimed = claim_at(database, after(2), 4).await;
        assert_eq!(
            claimed.iter().map(|mail| mail.id).collect::<Vec<_>>(),
            [third]
        );
        assert!(
            !write(database, {
                let it = claimed[0].clone();
                move |c| is_replaced(c, &it)
            })
            .await
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_mails_of_one_topic_leave_one() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let puts = (0..20).map(|_| {
            let database = test.database.clone();
            tokio::spawn(
                async move { put(&database, mail("K7MWQ4", Some("reset/ann")), NOW).await },
            )
        });
        for put in puts.collect::<Vec<_>>() {
            put.await.unwrap();
        }
        assert_eq!(test.database.query(count).await.unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_lease_holder_releases_or_gives_up() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let database = &test.database;
        put(database, mail("K7MWQ4", None), NOW).await;
        let late = claim_at(database, NOW, 1).await.remove(0);
        let holder = claim_at(database, after(130), 1).await.remove(0);
        let still = late.clone();
        write(database, move |c| release(c, &still, NOW)).await;
        assert!(!write(database, move |c| delete_leased(c, &late)).await);
        assert!(claim_at(database, after(131), 1).await.is_empty());

        write(database, {
            let it = holder.clone();
            move |c| release(c, &it, after(140))
        })
        .await;
        assert!(claim_at(database, after(139), 1).await.is_empty());
        let again = claim_at(database, after(140), 1).await.remove(0);
        assert_eq!(again.attempts, 3);
        assert!(write(database, move |c| delete_leased(c, &again)).await);
        assert_eq!(database.query(count).await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resealed_content_is_unsealed_only_with_the_new_key() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let database = &test.database;
        for _ in 0..3 {
            let outbox = outbox(database, Labelled("old"));
            let mail = mail("K7MWQ4", None);
            write(database, move |connection| {
                outbox.enqueue(connection, mail, NOW)
            })
            .await;
        }
        let wrong = database
            .write(|c| reseal(c, &Labelled("other"), &Labelled("new")))
            .await;
        assert!(matches!(wrong, Err(crate::error::Error::Seal(SealError))));
        database
            .write(|c| reseal(c, &Labelled("old"), &Labelled("new")))
            .await
            .unwrap();
        for claimed in claim_at(database, NOW, 4).await {
            assert!(outbox(database, Labelled("old")).unseal(&claimed).is_err());
            let content = outbox(database, Labelled("new")).unseal(&claimed).unwrap();
            assert_eq!(
                content,
                MailContent::SignupCode {
                    code: "K7MWQ4".to_owned()
                }
            );
        }
    }
}

/// Changes a row with SQL, in place of a mistake of an operator or a faulty disk.
async fn damage(database: &Database, id: &str, change: &str) {
    let sql = format!("UPDATE outbox SET {change} WHERE id = '{id}'");
    write(database, move |connection| {
        Ok(diesel::sql_query(sql).execute(connection).map(drop)?)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_rows_are_quarantined_and_others_claimed() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let database = &test.database;
        let changes = ["user_gid = 'nobody'", "user_gid = ''", "id = 'x'"];
        for change in changes {
            let id = put(database, mail("K7MWQ4", None), NOW).await;
            damage(database, &id.to_string(), change).await;
        }
        let readable = put(database, mail("K7MWQ4", None), after(1)).await;

        let limit = i64::try_from(changes.len() + 1).unwrap();
        let claim_all =
            move |connection: &mut AnyConnection| claim(connection, after(1), after(121), limit);
        let claimed = database.write(claim_all).await.unwrap();
        assert_eq!(
            claimed.mails.iter().map(|mail| mail.id).collect::<Vec<_>>(),
            [readable]
        );
        assert_eq!(claimed.quarantined.len(), changes.len());
        assert_eq!(
            database.query(count).await.unwrap(),
            1,
            "quarantined rows count as waiting"
        );
        assert!(
            !database
                .query(|connection| has_due(connection, after(2)))
                .await
                .unwrap()
        );

        // The rows are kept and can be made due again.
        write(database, |connection| {
            retry_quarantined(connection, after(2))
        })
        .await;
        let claimed = database.write(claim_all).await.unwrap();
        assert_eq!(
            (claimed.mails.len(), claimed.quarantined.len()),
            (0, 0),
            "rows were claimed before they were due"
        );
        let claim_all =
            move |connection: &mut AnyConnection| claim(connection, after(2), after(122), limit);
        assert_eq!(
            database.write(claim_all).await.unwrap().quarantined.len(),
            changes.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quarantined_content_does_not_block_resealing() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let database = &test.database;
        for _ in 0..2 {
            let outbox = outbox(database, Labelled("old"));
            let mail = mail("K7MWQ4", None);
            write(database, move |connection| {
                outbox.enqueue(connection, mail, NOW)
            })
            .await;
        }
        let [broken, whole] = claim_at(database, NOW, 4).await.try_into().unwrap();
        let id = broken.id.to_string();
        damage(database, &id, "content = 'nothing that was sealed'").await;
        assert!(
            database
                .write(|c| reseal(c, &Labelled("old"), &Labelled("new")))
                .await
                .is_err()
        );
        write(database, move |connection| quarantine(connection, &id, NOW)).await;
        database
            .write(|c| reseal(c, &Labelled("old"), &Labelled("new")))
            .await
            .unwrap();
        let [resealed] = claim_at(database, after(120), 4).await.try_into().unwrap();
        assert_eq!(resealed.id, whole.id);
        assert!(outbox(database, Labelled("new")).unseal(&resealed).is_ok());
    }
}
