//! `doorward audit`.

use std::{collections::HashMap, time::Duration};

use doorward_auth::audit::{self, Filter, RecordPosition};
use doorward_domain::Timestamp;

use super::find_user::find_user;
use crate::{
    cli::{Audit, UserName},
    json,
    settings::Settings,
    stdout,
    wiring::{self, Preparation},
};

const PAGE: i64 = 1000;
const POLL: Duration = Duration::from_millis(500);
/// Maximum time between the time of a record and the commit that makes it visible.
const SETTLED: Duration = Duration::from_secs(15);

pub(super) async fn run(command: Audit, settings: &Settings) -> anyhow::Result<()> {
    wiring::prepare_databases(settings, Preparation::MigrateIfEmpty).await?;
    // A gid is not looked up, because the user may be deleted.
    let user = match (command.user, command.user_gid) {
        (Some(username), _) => Some(
            find_user(
                &wiring::new_directory(settings),
                UserName::Username(username),
            )
            .await?
            .gid,
        ),
        (None, gid) => gid,
    };
    let database = wiring::new_auth_database(settings);
    let filter = Filter {
        user,
        action: command.action,
    };
    let mut after = RecordPosition {
        at: command.since.unwrap_or_default(),
        id: 0,
    };
    let mut shown: HashMap<i64, Timestamp> = HashMap::new();
    loop {
        let page = audit::list(&database, &filter, after, PAGE).await?;
        for record in &page {
            if shown.insert(record.id, record.at).is_none() {
                stdout::print_text(&format!("{}\n", json::audit_record_to_json(record)))?;
            }
        }
        if let Some(last) = page.last() {
            after = RecordPosition {
                at: last.at,
                id: last.id,
            };
            shown.retain(|_, at| *at >= last.at.saturating_sub(SETTLED));
        }
        if i64::try_from(page.len())? == PAGE {
            continue;
        }
        if !command.follow {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
        // Reads the last seconds again, for records that were not committed before; `shown` skips
        // the others.
        let at = after
            .at
            .saturating_sub(SETTLED)
            .max(command.since.unwrap_or_default());
        after = RecordPosition { at, id: 0 };
    }
}
