//! Discarded media: files that are not in use, with the time from which they may be deleted. It
//! does not know the object store.

use diesel::prelude::*;
use doorward_domain::Timestamp;
use doorward_storage::{AnyConnection, Result};

use super::schema::discarded_media;

/// Lists a file for deletion from `delete_at` on.
pub(crate) fn discard(
    connection: &mut AnyConnection,
    name: &str,
    delete_at: Timestamp,
) -> Result<()> {
    diesel::insert_into(discarded_media::table)
        .values((
            discarded_media::name.eq(name),
            discarded_media::delete_at.eq(delete_at.as_micros()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Removes a file from the list, so that it can be used, if it is listed for deletion after
/// `after`. Returns whether it was removed.
pub(crate) fn take_reserved(
    connection: &mut AnyConnection,
    name: &str,
    after: Timestamp,
) -> Result<bool> {
    let deleted_rows = diesel::delete(discarded_media::table.find(name))
        .filter(discarded_media::delete_at.gt(after.as_micros()))
        .execute(connection)?;
    Ok(deleted_rows == 1)
}

/// Returns the files that are due for deletion, the longest due first, at most `limit`.
pub(crate) fn list_due(
    connection: &mut AnyConnection,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<String>> {
    let names = discarded_media::table
        .filter(discarded_media::delete_at.le(now.as_micros()))
        .order(discarded_media::delete_at)
        .limit(limit)
        .select(discarded_media::name)
        .load(connection)?;
    Ok(names)
}

/// Removes files from the list after their deletion, unless they are listed for a later time.
pub(crate) fn delete_due(
    connection: &mut AnyConnection,
    names: &[String],
    now: Timestamp,
) -> Result<()> {
    diesel::delete(discarded_media::table)
        .filter(discarded_media::name.eq_any(names))
        .filter(discarded_media::delete_at.le(now.as_micros()))
        .execute(connection)?;
    Ok(())
}
