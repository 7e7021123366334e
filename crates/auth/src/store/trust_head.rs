//! The count of changes to keys and revocations.

use diesel::prelude::*;
use doorward_storage::{AnyConnection, Result};

use super::schema::trust_head;

pub(crate) fn version(connection: &mut AnyConnection) -> Result<i64> {
    Ok(trust_head::table.find(1).select(trust_head::version).first(connection)?)
}

/// The version of the change that this transaction makes. From here to the commit, other writers of trust wait.
pub(crate) fn next_version(connection: &mut AnyConnection) -> Result<i64> {
    diesel::update(trust_head::table.find(1))
        .set(trust_head::version.eq(trust_head::version + 1))
        .execute(connection)?;
    version(connection)
}
