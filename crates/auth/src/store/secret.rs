//! Table `secrets`: sealed secrets of auth itself, by name.

use diesel::prelude::*;
use doorward_storage::{AnyConnection, Result};

use super::schema::secrets;

/// Finds a sealed secret.
pub(crate) fn find(connection: &mut AnyConnection, name: &str) -> Result<Option<String>> {
    Ok(secrets::table
        .find(name)
        .select(secrets::sealed_secret)
        .get_result(connection)
        .optional()?)
}

/// Inserts a sealed secret.
pub(crate) fn insert(connection: &mut AnyConnection, name: &str, sealed: &str) -> Result<()> {
    diesel::insert_into(secrets::table)
        .values((secrets::name.eq(name), secrets::sealed_secret.eq(sealed)))
        .execute(connection)?;
    Ok(())
}

/// Returns all names and sealed secrets.
pub(crate) fn list(connection: &mut AnyConnection) -> Result<Vec<(String, String)>> {
    Ok(secrets::table
        .select((secrets::name, secrets::sealed_secret))
        .load(connection)?)
}

/// Replaces a sealed secret.
pub(crate) fn update(connection: &mut AnyConnection, name: &str, sealed: &str) -> Result<()> {
    diesel::update(secrets::table.find(name))
        .set(secrets::sealed_secret.eq(sealed))
        .execute(connection)?;
    Ok(())
}
