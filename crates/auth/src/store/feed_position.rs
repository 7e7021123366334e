//! How far the directory's change feed has been followed.

use diesel::prelude::*;
use doorward_storage::{AnyConnection, Result};

use super::schema::feed_position;

pub(crate) fn get(connection: &mut AnyConnection) -> Result<i64> {
    Ok(feed_position::table
        .find(1)
        .select(feed_position::cursor)
        .get_result(connection)?)
}

/// As [`get`]; other followers wait until the commit.
pub(crate) fn get_locked(connection: &mut AnyConnection) -> Result<i64> {
    diesel::update(feed_position::table.find(1))
        .set(feed_position::cursor.eq(feed_position::cursor))
        .execute(connection)?;
    get(connection)
}

/// Never backwards: several replicas follow the same feed.
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
