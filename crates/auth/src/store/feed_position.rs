//! Table `feed_position`: the cursor up to which the directory's change feed was applied. It has
//! one row.

use diesel::prelude::*;
use doorward_storage::{AnyConnection, Result};

use super::schema::feed_position;

/// Returns the cursor.
pub(crate) fn get(connection: &mut AnyConnection) -> Result<i64> {
    Ok(feed_position::table
        .find(1)
        .select(feed_position::cursor)
        .get_result(connection)?)
}

/// Does the same as [`get`] and locks the row: other replicas wait until the commit.
pub(crate) fn get_locked(connection: &mut AnyConnection) -> Result<i64> {
    // An update without an effect locks the row on both databases.
    diesel::update(feed_position::table.find(1))
        .set(feed_position::cursor.eq(feed_position::cursor))
        .execute(connection)?;
    get(connection)
}

/// Moves the cursor forward. A smaller cursor changes nothing, because another replica may be
/// ahead.
pub(crate) fn advance(connection: &mut AnyConnection, cursor: i64) -> Result<()> {
    diesel::update(
        feed_position::table
            .find(1)
            .filter(feed_position::cursor.lt(cursor)),
    )
    .set(feed_position::cursor.eq(cursor))
    .execute(connection)?;
    Ok(())
}
