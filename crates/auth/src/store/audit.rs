//! Table `audit`: the audit trail.

use diesel::prelude::*;
use doorward_domain::{Gid, Timestamp};
use doorward_storage::{AnyConnection, Error, Result};

use super::schema::audit;
use crate::model::{Entry, Filter, Record, RecordPosition};

/// Number of records that are deleted in one transaction.
const DELETE_BATCH: i64 = 10_000;

#[derive(Insertable)]
#[diesel(table_name = audit)]
struct NewRow {
    at: i64,
    action: String,
    user_gid: Option<String>,
    actor: Option<String>,
    project_gid: Option<String>,
    address: Option<String>,
    request_id: Option<String>,
    client_request_id: Option<String>,
    detail: Option<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit)]
struct Row {
    id: i64,
    at: i64,
    action: String,
    user_gid: Option<String>,
    actor: Option<String>,
    project_gid: Option<String>,
    address: Option<String>,
    request_id: Option<String>,
    client_request_id: Option<String>,
    detail: Option<String>,
}

impl TryFrom<Row> for Record {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let gid = |text: Option<String>| text.map(|text| text.parse::<Gid>()).transpose();
        Ok(Self {
            id: row.id,
            at: Timestamp::from_micros(row.at),
            action: row.action,
            user: gid(row.user_gid)?,
            actor: row.actor,
            project: gid(row.project_gid)?,
            address: row.address,
            request_id: row.request_id,
            client_request_id: row.client_request_id,
            detail: row.detail,
        })
    }
}

/// Inserts an audit record.
pub(crate) fn insert(connection: &mut AnyConnection, entry: Entry, now: Timestamp) -> Result<()> {
    let row = NewRow {
        at: now.as_micros(),
        action: entry.action.as_str().to_owned(),
        user_gid: entry.user.map(|gid| gid.to_string()),
        actor: entry.origin.actor.to_text(),
        project_gid: entry.project.map(|gid| gid.to_string()),
        address: entry.origin.address,
        request_id: entry.origin.request_id,
        client_request_id: entry.origin.client_request_id,
        detail: entry.detail,
    };
    diesel::insert_into(audit::table)
        .values(&row)
        .execute(connection)?;
    Ok(())
}

/// Returns a page of records in the order of time and id, after those of the last record of the
/// previous page.
pub(crate) fn list(
    connection: &mut AnyConnection,
    filter: &Filter,
    after: RecordPosition,
    limit: i64,
) -> Result<Vec<Record>> {
    let at = after.at.as_micros();
    let id = after.id;
    let mut query = audit::table
        // Records after the pair of time and id: of records with the same time, the id decides.
        .filter(audit::at.ge(at))
        .filter(audit::at.gt(at).or(audit::id.gt(id)))
        .order((audit::at, audit::id))
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if let Some(user) = filter.user {
        query = query.filter(audit::user_gid.eq(user.to_string()));
    }
    if let Some(action) = &filter.action {
        query = query.filter(audit::action.eq(action.clone()));
    }
    let rows: Vec<Row> = query.load(connection)?;
    rows.into_iter().map(Record::try_from).collect()
}

/// Deletes a batch of the records before `cut`. Returns whether more may be left.
pub(crate) fn delete_before(connection: &mut AnyConnection, cut: Timestamp) -> Result<bool> {
    let batch_end: Option<i64> = audit::table
        .filter(audit::at.lt(cut.as_micros()))
        .order(audit::at)
        .offset(DELETE_BATCH)
        .limit(1)
        .select(audit::at)
        .get_result(connection)
        .optional()?;
    let end = batch_end.unwrap_or(cut.as_micros());
    let deleted = diesel::delete(audit::table.filter(audit::at.lt(end))).execute(connection)?;
    Ok(batch_end.is_some() && deleted > 0)
}
