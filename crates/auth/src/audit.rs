//! The audit trail: security events with their user, actor and origin. Records are only added, and
//! deleted after the retention time. They have no secrets: no password, key or token, and no
//! username as typed, because people type passwords there.

use doorward_domain::{Gid, Timestamp};
use doorward_mail::GivenUpMail;
use doorward_storage::{AnyConnection, Database};

use crate::{error::Error, model::Entry, store};

pub use crate::model::{Action, Actor, Filter, Origin, Record, RecordPosition};

/// Stores an audit record in the caller's transaction.
///
/// # Errors
/// Database errors.
pub(crate) fn record(
    connection: &mut AnyConnection,
    entry: Entry,
    now: Timestamp,
) -> Result<(), Error> {
    Ok(store::audit::insert(connection, entry, now)?)
}

/// Records that a mail was given up.
///
/// # Errors
/// Database errors.
pub(crate) fn record_given_up_mail(
    connection: &mut AnyConnection,
    mail: &GivenUpMail,
    now: Timestamp,
) -> doorward_storage::Result<()> {
    let entry = Entry::new(Action::MailGivenUp, mail.user, &Origin::internal());
    store::audit::insert(
        connection,
        entry.with_detail(&format!("{}: {}", mail.kind, mail.reason)),
        now,
    )
}

/// Records an action that was done outside of auth, in its own transaction.
///
/// # Errors
/// Database errors.
pub async fn record_action(
    database: &Database,
    action: Action,
    user: Gid,
    origin: Origin,
    now: Timestamp,
) -> Result<(), Error> {
    database
        .write(move |connection| record(connection, Entry::new(action, Some(user), &origin), now))
        .await
}

/// Returns a page of records in the order of time, after the position of the last record of the
/// previous page.
///
/// # Errors
/// Database errors.
pub async fn list(
    database: &Database,
    filter: &Filter,
    after: RecordPosition,
    limit: i64,
) -> Result<Vec<Record>, Error> {
    let filter = filter.clone();
    database
        .read_snapshot(move |connection| Ok(store::audit::list(connection, &filter, after, limit)?))
        .await
}
