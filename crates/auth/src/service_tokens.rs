//! Named service tokens in auth's database, and their audit records. The names are unique.

use doorward_domain::Timestamp;
use doorward_service_tokens::{ClientName, InsertOutcome, NamedToken};
use doorward_storage::Database;

use crate::{
    audit,
    error::Error,
    model::{Action, Entry, Origin},
};

/// Adds a token, unless its name is in use or there are too many.
///
/// # Errors
/// Database errors.
pub async fn create(
    database: &Database,
    token: NamedToken,
    origin: Origin,
) -> Result<InsertOutcome, Error> {
    let now = token.created_at;
    database
        .write(move |connection| {
            let insertion = doorward_service_tokens::insert(connection, &token)?;
            if insertion == InsertOutcome::Inserted {
                let entry = Entry::new(Action::ServiceTokenCreated, None, &origin)
                    .with_detail(&describe_token(&token));
                audit::record(connection, entry, now)?;
            }
            Ok(insertion)
        })
        .await
}

/// Deletes a token if it exists, and records the revocation in the audit trail in any case.
///
/// # Errors
/// Database errors.
pub async fn revoke(
    database: &Database,
    name: ClientName,
    origin: Origin,
    now: Timestamp,
) -> Result<(), Error> {
    database
        .write(move |connection| {
            doorward_service_tokens::delete(connection, &name)?;
            let entry =
                Entry::new(Action::ServiceTokenRevoked, None, &origin).with_detail(name.as_str());
            audit::record(connection, entry, now)
        })
        .await
}

/// Returns all tokens, ordered by name.
///
/// # Errors
/// Database errors.
pub async fn list(database: &Database) -> Result<Vec<NamedToken>, Error> {
    Ok(database.query(doorward_service_tokens::list).await?)
}

/// Returns the detail of the audit record, such as `records: read, publish in
/// 0f8fad5b-d9cb-469f-a165-70867728950e`.
fn describe_token(token: &NamedToken) -> String {
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    let mut text = format!("{}: {}", token.name, scopes.join(", "));
    if !token.projects.is_empty() {
        let projects: Vec<String> = token.projects.iter().map(ToString::to_string).collect();
        text.push_str(&format!(" in {}", projects.join(", ")));
    }
    text
}
