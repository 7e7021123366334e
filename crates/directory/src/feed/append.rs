//! Telling of changes, in the transaction that makes them: the change itself for other services, and notices for the users
//! whom it concerns. `sync.rs` reads what is written here.

use std::collections::HashMap;

use doorward_domain::{Clock, Gid, ProjectStatus, Timestamp};
use doorward_storage::{AnyConnection, Result};

use crate::{
    feed::{
        audience::Scope,
        new_change::{ALL_MEMBERS, API_VERSION, MEMBERSHIPS, NOTIFY_CHANNEL, NewChange, USERS},
    },
    model::{Action, Change, FeedEvent},
    store,
    visibility::{self, Visibility},
};

/// Makes other writers wait until the commit: for rules that look before they write. First of all in every change of the
/// directory: who waited for something else meanwhile would wait for ever.
pub(crate) fn lock(connection: &mut AnyConnection) -> Result<()> {
    store::feed_change::lock(connection).map(drop)
}

/// Appends the changes of this transaction, after it has made them. They are dated when the wait for other writers is over,
/// so that what happened before the commit is hardly ever dated after them. Answers the last cursor.
pub(crate) fn append(
    connection: &mut AnyConnection,
    changes: Vec<NewChange>,
    clock: &dyn Clock,
) -> Result<i64> {
    let cursor = store::feed_change::lock(connection)?;
    if changes.is_empty() {
        return Ok(cursor);
    }
    let mut page = FeedPage {
        cursor,
        now: clock.now(),
        changes: Vec::new(),
        notices: Vec::new(),
        statuses: HashMap::new(),
    };
    for change in changes {
        page.append(connection, change)?;
    }
    store::feed_change::set_head(connection, page.cursor)?;
    store::feed_change::insert_many(connection, page.changes)?;
    store::feed_event::insert_many(connection, page.notices)?;
    store::feed_change::notify(connection, NOTIFY_CHANNEL)?;
    Ok(page.cursor)
}

/// What a transaction adds to the feed.
pub(super) struct FeedPage {
    /// The last one that was given out.
    pub(super) cursor: i64,
    pub(super) now: Timestamp,
    pub(super) changes: Vec<Change>,
    pub(super) notices: Vec<FeedEvent>,
    /// Of projects, after the transaction.
    pub(super) statuses: HashMap<Gid, ProjectStatus>,
}

impl FeedPage {
    fn append(&mut self, connection: &mut AnyConnection, change: NewChange) -> Result<()> {
        match change {
            NewChange::User {
                action,
                gid,
                status,
            } => self.append_user(connection, action, gid, status),
            NewChange::EmailChanged(user) => self.append_email_change(connection, user),
            NewChange::Membership { before, after } => {
                self.append_membership(connection, before.as_ref(), after.as_ref())
            }
            NewChange::PurgedMembership(membership) => {
                self.push_change(
                    Action::Delete,
                    MEMBERSHIPS,
                    membership_key(membership.project, membership.user),
                    "",
                );
                Ok(())
            }
            NewChange::Project { before, after } => {
                self.append_project(connection, before.as_ref(), after.as_ref())
            }
            NewChange::ApiVersion(release) => {
                self.push_change(Action::Update, API_VERSION, release.clone(), "");
                self.push_event(Scope::Everyone, Action::Update, API_VERSION, release);
                Ok(())
            }
            NewChange::SyncRow {
                project,
                action,
                data_type,
                data_key,
            } => {
                self.push_change(action, &data_type, data_key.clone(), "");
                if let Some(change) = self.changes.last_mut() {
                    change.project = Some(project);
                }
                self.push_event(Scope::ProjectFeed(project), action, &data_type, data_key);
                Ok(())
            }
        }
    }

    /// With the next cursor, under which its notices are told.
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

    /// Under the last cursor.
    pub(super) fn push_event(
        &mut self,
        scope: Scope,
        action: Action,
        data_type: &str,
        data_key: String,
    ) {
        let (cursor, first_cursor, data_type) = (self.cursor, None, data_type.to_owned());
        self.notices.push(FeedEvent {
            audience: scope,
            cursor,
            first_cursor,
            action,
            data_type,
            data_key,
        });
    }

    /// Under the next cursor, for what is no change of the entry itself: it comes into sight, or goes out of it.
    pub(super) fn push_visibility_event(
        &mut self,
        scope: Scope,
        action: Action,
        data_type: &str,
        data_key: String,
    ) {
        self.cursor += 1;
        self.push_event(scope, action, data_type, data_key);
    }

    /// About all memberships of a project and the people behind them: each of its seats has two cursors.
    pub(super) fn push_visibility_event_for_all_members(
        &mut self,
        connection: &mut AnyConnection,
        scope: Scope,
        action: Action,
        project: Gid,
    ) -> Result<()> {
        let first = self.cursor + 1;
        self.cursor += 2 * store::membership_slot::count(connection, project)?.max(1);
        self.push_event(
            scope,
            action,
            MEMBERSHIPS,
            format!("{project}/{ALL_MEMBERS}"),
        );
        if let Some(notice) = self.notices.last_mut() {
            notice.first_cursor = Some(first);
        }
        Ok(())
    }

    pub(super) fn project_status(
        &mut self,
        connection: &mut AnyConnection,
        project: Gid,
    ) -> Result<ProjectStatus> {
        if let Some(status) = self.statuses.get(&project) {
            return Ok(*status);
        }
        // One that is gone was deleted before.
        let found = store::project::find(connection, project)?;
        let status = found.map_or(ProjectStatus::Deleted, |project| project.status);
        self.statuses.insert(project, status);
        Ok(status)
    }

    fn append_user(
        &mut self,
        connection: &mut AnyConnection,
        action: Action,
        gid: Gid,
        status: &str,
    ) -> Result<()> {
        self.push_change(action, USERS, gid.to_string(), status);
        match action {
            // Nobody sees somebody without a membership, and whoever is gone asks for nothing.
            Action::Insert | Action::Delete => {}
            Action::Update => {
                self.push_event(Scope::User(gid), action, USERS, gid.to_string());
                for project in store::init::list_projects_showing(connection, gid)? {
                    self.push_event(
                        Scope::ProjectMembers(project),
                        action,
                        USERS,
                        gid.to_string(),
                    );
                }
            }
        }
        Ok(())
    }

    /// Where notifications go that somebody wants nowhere else is in the memberships that they see of themself.
    fn append_email_change(&mut self, connection: &mut AnyConnection, user: Gid) -> Result<()> {
        for (own, project) in store::init::own(connection, user)? {
            let is_elsewhere = own
                .notifications
                .as_ref()
                .is_some_and(|wanted| wanted.email.is_some());
            if !is_elsewhere
                && visibility::of_project(project.status, Some(&own)) > Visibility::None
            {
                self.push_visibility_event(
                    Scope::User(user),
                    Action::Update,
                    MEMBERSHIPS,
                    membership_key(project.gid, user),
                );
            }
        }
        Ok(())
    }
}

pub(super) const fn action_for(was_there: bool, is_there: bool) -> Action {
    match (was_there, is_there) {
        (false, _) => Action::Insert,
        (true, true) => Action::Update,
        (true, false) => Action::Delete,
    }
}

pub(super) fn membership_key(project: Gid, user: Gid) -> String {
    format!("{project}/{user}")
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

    use doorward_domain::SystemClock;
    use doorward_storage::{Database, Error, listen, testing::TestDatabase};
    use tokio::{sync::mpsc, time::timeout};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::MIGRATIONS;

    const WRITERS: usize = 8;
    const ROUNDS: usize = 125;
    const PROJECT: &str = "0191f2a0-0000-4000-8000-000000000001";

    /// Appends one to three rows, and is slow to commit now and then; every seventh writer changes its mind.
    async fn write(database: &Database, writer: usize, round: usize) -> usize {
        let count = 1 + (writer + round) % 3;
        let gives_up = (writer * ROUNDS + round).is_multiple_of(7);
        let done = database
            .write(move |connection| {
                let change = |number| NewChange::SyncRow {
                    project: PROJECT.parse().unwrap(),
                    action: Action::Insert,
                    data_type: "records".to_owned(),
                    data_key: format!("{writer}/{round}/{number}"),
                };
                append(connection, (0..count).map(change).collect(), &SystemClock)?;
                if (writer + round).is_multiple_of(5) {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "a writer that is slow to commit, on a thread that may block"
                    )]
                    std::thread::sleep(Duration::from_millis(2));
                }
                if gives_up {
                    Err(Error::Other("changed its mind".to_owned()))
                } else {
                    Ok(())
                }
            })
            .await;
        assert_eq!(done.is_err(), gives_up);
        if gives_up { 0 } else { count }
    }

    /// Reads on from where it is, as followers do, and notes what it saw.
    async fn tail(database: Database, writers_are_done: Arc<AtomicBool>) -> Vec<Change> {
        let mut seen: Vec<Change> = Vec::new();
        loop {
            let was_last_look = writers_are_done.load(Ordering::SeqCst);
            let after = seen.last().map_or(0, |change| change.cursor);
            let (mut news, head) = database
                .read_snapshot(move |connection| {
                    Ok::<_, Error>((
                        store::feed_change::list(connection, after, 1000)?,
                        store::feed_change::get_head(connection)?,
                    ))
                })
                .await
                .unwrap();
            assert_eq!(
                news.last().map_or(after, |change| change.cursor),
                head,
                "the head is the last row of the same snapshot"
            );
            if news.is_empty() && was_last_look {
                return seen;
            }
            seen.append(&mut news);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn reader_of_concurrent_writers_sees_every_change_in_order() {
        for test in TestDatabase::both(&MIGRATIONS) {
            let database = test.database.clone();
            let writers_are_done = Arc::new(AtomicBool::new(false));
            let reader = tokio::spawn(tail(database.clone(), writers_are_done.clone()));
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let database = database.clone();
                    tokio::spawn(async move {
                        let mut written = 0;
                        for round in 0..ROUNDS {
                            written += write(&database, writer, round).await;
                        }
                        written
                    })
                })
                .collect();
            let mut written = 0;
            for writer in writers {
                written += writer.await.unwrap();
            }
            writers_are_done.store(true, Ordering::SeqCst);
            let seen = reader.await.unwrap();
            let cursors: Vec<i64> = seen.iter().map(|change| change.cursor).collect();
            assert_eq!(
                cursors,
                (1..=i64::try_from(written).unwrap()).collect::<Vec<_>>()
            );
            let keys: std::collections::HashSet<_> =
                seen.iter().map(|change| change.data_key.as_str()).collect();
            assert_eq!(keys.len(), written);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn change_notifies_other_processes() {
        let TestDatabase { database, .. } = &TestDatabase::postgres(&MIGRATIONS);
        let (sender, mut wakes) = mpsc::unbounded_channel();
        let shutdown = CancellationToken::new();
        listen(
            database.url(),
            NOTIFY_CHANNEL,
            move || {
                let _ = sender.send(());
            },
            shutdown.clone(),
        );
        for when in ["once it listens", "by a change"] {
            assert_eq!(
                timeout(Duration::from_secs(20), wakes.recv()).await,
                Ok(Some(())),
                "{when}"
            );
            write(database, 0, 1).await;
        }
        shutdown.cancel();
    }
}
