//! Queries on the table of named tokens, which the databases of auth and of the directory both
//! have.

use base64::{Engine, engine::general_purpose::STANDARD};
use diesel::prelude::*;
use doorward_domain::Timestamp;
use doorward_storage::{AnyConnection, Error, Result};

use crate::{
    model::{ClientName, NamedToken},
    secret::Hash,
};

diesel::table! {
    service_tokens (name) {
        name -> Text,
        hash -> Text,
        scopes -> Text,
        projects -> Text,
        created_at -> BigInt,
    }
}

/// Maximum number of tokens, because every process has all of them in memory.
const MAX_TOKENS: i64 = 1000;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = service_tokens)]
struct Row {
    name: String,
    hash: String,
    scopes: String,
    projects: String,
    created_at: i64,
}

impl From<&NamedToken> for Row {
    fn from(token: &NamedToken) -> Self {
        Self {
            name: token.name.to_string(),
            hash: STANDARD.encode(token.hash.as_bytes()),
            scopes: join_list(&token.scopes),
            projects: join_list(&token.projects),
            created_at: token.created_at.as_micros(),
        }
    }
}

impl TryFrom<Row> for NamedToken {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let hash = STANDARD
            .decode(&row.hash)
            .ok()
            .and_then(|bytes| Hash::from_bytes(&bytes));
        Ok(Self {
            name: row.name.parse()?,
            // The value is not in the error, because errors are logged.
            hash: hash.ok_or_else(|| {
                Error::Other("a stored hash is not 32 bytes in base64".to_owned())
            })?,
            scopes: split_list(&row.scopes)
                .map(str::parse)
                .collect::<std::result::Result<_, _>>()?,
            projects: split_list(&row.projects)
                .map(str::parse)
                .collect::<std::result::Result<_, _>>()?,
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}

fn join_list(values: &[impl ToString]) -> String {
    values
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|word| !word.is_empty())
}

/// Outcome of an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsertOutcome {
    Inserted,
    /// Another token has the name.
    NameTaken,
    /// The maximum number of tokens is reached.
    TooMany,
}

/// Inserts a token.
///
/// # Errors
/// Database errors.
pub fn insert(connection: &mut AnyConnection, token: &NamedToken) -> Result<InsertOutcome> {
    let count: i64 = service_tokens::table.count().get_result(connection)?;
    if count >= MAX_TOKENS {
        return Ok(InsertOutcome::TooMany);
    }
    let row = Row::from(token);
    // Both arms are the same code, but diesel needs the concrete type of the connection.
    let inserted = match connection {
        AnyConnection::Postgres(connection) => diesel::insert_into(service_tokens::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(connection)?,
        AnyConnection::Sqlite(connection) => diesel::insert_into(service_tokens::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(connection)?,
    };
    Ok(if inserted == 0 {
        InsertOutcome::NameTaken
    } else {
        InsertOutcome::Inserted
    })
}

/// Deletes a token, and returns whether it existed.
///
/// # Errors
/// Database errors.
pub fn delete(connection: &mut AnyConnection, name: &ClientName) -> Result<bool> {
    Ok(diesel::delete(service_tokens::table.find(name.as_str())).execute(connection)? > 0)
}

/// Deletes a token, unless another token has the same name now.
///
/// # Errors
/// Database errors.
pub fn withdraw(connection: &mut AnyConnection, token: &NamedToken) -> Result<()> {
    let row = Row::from(token);
    // The hash identifies the token: an administrator can have replaced it under the same name.
    let same_token = service_tokens::table
        .find(row.name)
        .filter(service_tokens::hash.eq(row.hash));
    diesel::delete(same_token).execute(connection)?;
    Ok(())
}

/// Returns all tokens in the order of names.
///
/// # Errors
/// Database errors.
pub fn list(connection: &mut AnyConnection) -> Result<Vec<NamedToken>> {
    let rows: Vec<Row> = service_tokens::table
        .order(service_tokens::name)
        .select(Row::as_select())
        .load(connection)?;
    rows.into_iter().map(NamedToken::try_from).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use diesel_migrations::{EmbeddedMigrations, embed_migrations};
    use doorward_domain::{Gid, IdGenerator, RandomIdGenerator};
    use doorward_rpc::Scope;
    use doorward_storage::{Migrations, testing::TestDatabase};

    use super::*;
    use crate::secret::Secret;

    const POSTGRES: EmbeddedMigrations = embed_migrations!("../directory/migrations/postgres");
    const SQLITE: EmbeddedMigrations = embed_migrations!("../directory/migrations/sqlite");
    pub(crate) const MIGRATIONS: Migrations = Migrations {
        postgres: POSTGRES,
        sqlite: SQLITE,
        owner_table: "feed_head",
        data_migrations: &[],
    };

    fn token(name: &str, scopes: &[Scope], projects: &[Gid]) -> NamedToken {
        let secret = Secret::generate().unwrap();
        NamedToken::new(
            name.parse().unwrap(),
            &secret,
            scopes,
            projects,
            Timestamp::from_micros(7),
        )
    }

    #[tokio::test]
    async fn tokens_round_trip_and_names_are_unique() {
        for test in TestDatabase::both(&MIGRATIONS) {
            test.database
                .write(|connection| {
                    let projects = [RandomIdGenerator.new_gid(), RandomIdGenerator.new_gid()];
                    let records = token(
                        "records",
                        &[Scope::Publish, Scope::Read, Scope::Publish],
                        &projects,
                    );
                    let audit = token("audit", &[Scope::Follow], &[]);
                    let other = token("records", &[Scope::Verify], &[]);
                    assert_eq!(insert(connection, &records)?, InsertOutcome::Inserted);
                    assert_eq!(insert(connection, &audit)?, InsertOutcome::Inserted);
                    assert_eq!(insert(connection, &other)?, InsertOutcome::NameTaken);
                    let listed = list(connection)?;
                    assert_eq!(
                        listed
                            .iter()
                            .map(|token| token.name.as_str())
                            .collect::<Vec<_>>(),
                        ["audit", "records"]
                    );
                    let found = listed.last().unwrap();
                    assert_eq!(
                        (&found.scopes[..], &found.projects[..]),
                        (&[Scope::Publish, Scope::Read][..], &projects[..])
                    );
                    assert!(found.hash == records.hash && found.created_at == records.created_at);
                    withdraw(connection, &other)?;
                    assert_eq!(list(connection)?.len(), 2);
                    withdraw(connection, &records)?;
                    assert!(delete(connection, &audit.name)? && !delete(connection, &audit.name)?);
                    assert!(list(connection)?.is_empty());
                    Ok::<_, Error>(())
                })
                .await
                .unwrap();
        }
    }
}
