//! Table `signing_keys`.

use diesel::prelude::*;
use doorward_domain::Timestamp;
use doorward_storage::{AnyConnection, Error, Result};

use super::schema::signing_keys;
use crate::model::{KeyState, SigningKey};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_keys)]
struct Row {
    kid: String,
    state: String,
    public_key: String,
    sealed_private_key: String,
    created_at: i64,
    verify_until: Option<i64>,
}

impl TryFrom<Row> for SigningKey {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            kid: row.kid,
            state: row.state.parse()?,
            public_key: row.public_key,
            sealed_private_key: row.sealed_private_key,
            created_at: Timestamp::from_micros(row.created_at),
            verify_until: row.verify_until.map(Timestamp::from_micros),
        })
    }
}

/// Returns all keys, the oldest first.
pub(crate) fn list(connection: &mut AnyConnection) -> Result<Vec<SigningKey>> {
    let rows: Vec<Row> = signing_keys::table
        .order((signing_keys::created_at, signing_keys::kid))
        .select(Row::as_select())
        .load(connection)?;
    rows.into_iter().map(SigningKey::try_from).collect()
}

/// Inserts a key.
pub(crate) fn insert(connection: &mut AnyConnection, key: SigningKey) -> Result<()> {
    let row = Row {
        kid: key.kid,
        state: key.state.as_str().to_owned(),
        public_key: key.public_key,
        sealed_private_key: key.sealed_private_key,
        created_at: key.created_at.as_micros(),
        verify_until: key.verify_until.map(Timestamp::as_micros),
    };
    diesel::insert_into(signing_keys::table)
        .values(&row)
        .execute(connection)?;
    Ok(())
}

/// Lets a key sign.
pub(crate) fn activate(connection: &mut AnyConnection, kid: &str) -> Result<()> {
    let state = signing_keys::state.eq(KeyState::Active.as_str());
    diesel::update(signing_keys::table.find(kid))
        .set(state)
        .execute(connection)?;
    Ok(())
}

/// Lets a key verify only, until `verify_until`, and deletes its private part.
pub(crate) fn deactivate(
    connection: &mut AnyConnection,
    kid: &str,
    verify_until: Timestamp,
) -> Result<()> {
    diesel::update(signing_keys::table.find(kid))
        .set((
            signing_keys::state.eq(KeyState::Previous.as_str()),
            signing_keys::sealed_private_key.eq(""),
            signing_keys::verify_until.eq(verify_until.as_micros()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Deletes the private parts of previous keys.
pub(crate) fn delete_private_keys_of_previous(connection: &mut AnyConnection) -> Result<()> {
    let previous = signing_keys::table
        .filter(signing_keys::state.eq(KeyState::Previous.as_str()))
        .filter(signing_keys::sealed_private_key.ne(""));
    diesel::update(previous)
        .set(signing_keys::sealed_private_key.eq(""))
        .execute(connection)?;
    Ok(())
}

/// Replaces the sealed private part of a key.
pub(crate) fn set_sealed_private_key(
    connection: &mut AnyConnection,
    kid: &str,
    sealed_private_key: &str,
) -> Result<()> {
    diesel::update(signing_keys::table.find(kid))
        .set(signing_keys::sealed_private_key.eq(sealed_private_key))
        .execute(connection)?;
    Ok(())
}

/// Retires a key and deletes its private part.
pub(crate) fn retire(connection: &mut AnyConnection, kid: &str) -> Result<()> {
    diesel::update(signing_keys::table.find(kid))
        .set((
            signing_keys::state.eq(KeyState::Retired.as_str()),
            signing_keys::sealed_private_key.eq(""),
            signing_keys::verify_until.eq(None::<i64>),
        ))
        .execute(connection)?;
    Ok(())
}
