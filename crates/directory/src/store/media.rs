//! Pictures that belong to nobody.

use diesel::prelude::*;
use doorward_domain::Timestamp;
use doorward_storage::{AnyConnection, Result};

use super::schema::discarded_media;

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

/// Whether it was there, to be deleted after `after`; it isn't any more then.
pub(crate) fn take_reserved(
    connection: &mut AnyConnection,
    name: &str,
    after: Timestamp,
) -> Result<bool> {
    let kept = diesel::delete(discarded_media::table.find(name))
        .filter(discarded_media::delete_at.gt(after.as_micros()))
        .execute(connection)?;
    Ok(kept == 1)
}

/// Those that are to be deleted by now.
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
