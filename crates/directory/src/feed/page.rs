//! The rows that one transaction appends to the feed, collected before they are stored. Each row
//! gets its cursor here.

use std::collections::HashMap;

use doorward_domain::{Gid, ProjectStatus, Timestamp};
use doorward_storage::{AnyConnection, Result};

use crate::{
    feed::{
        audience::Audience,
        new_change::{ALL_MEMBERS, MEMBERSHIPS},
    },
    model::{Action, Change, FeedEvent},
    store,
};

/// Rows that a transaction appends to the feed.
pub(super) struct FeedPage {
    /// Last cursor that was assigned.
    pub(super) cursor: i64,
    /// Time of all changes of the transaction.
    pub(super) now: Timestamp,
    pub(super) changes: Vec<Change>,
    pub(super) events: Vec<FeedEvent>,
    /// Statuses of projects after the transaction, as far as they were needed.
    pub(super) statuses: HashMap<Gid, ProjectStatus>,
}

impl FeedPage {
    /// Adds a change with the next cursor. The events of the change follow under the same cursor.
    pub(super) fn push_change(
        &mut self,
        action: Action,
        data_type: &str,
        data_key: String,
        status: &str,
    ) {
        self.cursor += 1;
        self.changes.push(Change {
            cursor: self.cursor,
            action,
            data_type: data_type.to_owned(),
            data_key,
            entry_status: status.to_owned(),
            changed_at: self.now,
            project: None,
        });
    }

    /// Adds an event under the last cursor.
    pub(super) fn push_event(
        &mut self,
        audience: Audience,
        action: Action,
        data_type: &str,
        data_key: String,
    ) {
        self.events.push(FeedEvent {
            audience,
            cursor: self.cursor,
            first_cursor: None,
            action,
            data_type: data_type.to_owned(),
            data_key,
        });
    }

    /// Adds an event under a cursor of its own. The entry itself has not changed, but it is now
    /// visible, hidden or different for the audience.
    pub(super) fn push_visibility_event(
        &mut self,
        audience: Audience,
        action: Action,
        data_type: &str,
        data_key: String,
    ) {
        self.cursor += 1;
        self.push_event(audience, action, data_type, data_key);
    }

    /// Adds an event about all memberships of a project and their users. Its range has two cursors
    /// for each membership slot: `first + 2 * slot` for the membership, and the next one for the
    /// user.
    pub(super) fn push_visibility_event_for_all_members(
        &mut self,
        connection: &mut AnyConnection,
        audience: Audience,
        action: Action,
        project: Gid,
    ) -> Result<()> {
        let first = self.cursor + 1;
        // The range must not be empty, even if a project has no slots.
        self.cursor += 2 * store::membership_slot::count(connection, project)?.max(1);
        self.push_event(
            audience,
            action,
            MEMBERSHIPS,
            format!("{project}/{ALL_MEMBERS}"),
        );
        if let Some(event) = self.events.last_mut() {
            event.first_cursor = Some(first);
        }
        Ok(())
    }

    /// Returns the status of a project after the transaction.
    pub(super) fn project_status(
        &mut self,
        connection: &mut AnyConnection,
        project: Gid,
    ) -> Result<ProjectStatus> {
        if let Some(status) = self.statuses.get(&project) {
            return Ok(*status);
        }
        // A purged project has no row any more. Only deleted projects are purged.
        let found = store::project::find(connection, project)?;
        let status = found.map_or(ProjectStatus::Deleted, |project| project.status);
        self.statuses.insert(project, status);
        Ok(status)
    }
}

/// Returns the action for an entry that existed (or was visible) before the change, after it, or
/// both.
pub(super) const fn action_for(existed: bool, exists: bool) -> Action {
    match (existed, exists) {
        (false, _) => Action::Insert,
        (true, true) => Action::Update,
        (true, false) => Action::Delete,
    }
}

/// Returns the data key of a membership.
pub(super) fn membership_key(project: Gid, user: Gid) -> String {
    format!("{project}/{user}")
}
