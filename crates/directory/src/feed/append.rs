//! Appends changes to the feed, in the transaction that makes them: one row in `feed_changes` for
//! other services, and one row in `feed_events` for each audience that sees a difference. This
//! module does not know who reads the rows; `sync.rs` decides what a user receives.
//!
//! Example: ann and ben are active members of the project herbarium, dan is invited; their
//! membership slots are 0, 1 and 2. The head of the feed is 100 when dan accepts. The one
//! [`NewChange::Membership`] from invited to active appends:
//!
//! | cursor | table | audience | action | data type | data key |
//! | --- | --- | --- | --- | --- | --- |
//! | 101 | events | `user/dan` | INSERT | `cc.projects` | `herbarium` |
//! | 102 | changes | | UPDATE | `cc.projects_members` | `herbarium/dan` |
//! | 102 | events | `user/dan` | UPDATE | `cc.projects_members` | `herbarium/dan` |
//! | 102 | events | `project/herbarium` | UPDATE | `cc.projects_members` | `herbarium/dan` |
//! | 103 to 108 | events | `user/dan` | INSERT | `cc.projects_members` | `herbarium/*` |
//!
//! 1. The project did not change, but dan now sees it in full: an event with a cursor of its own.
//! 2. The change itself has one cursor, 102, for other services, for dan, and for ann and ben.
//! 3. dan also sees all memberships now. One event stands for all of them; its range has two
//!    cursors for each of the three slots, so that clients can read it in pages.
//! 4. dan's subscription to `summary/herbarium` ends at 100, and the one to `project/herbarium`
//!    starts after 108. So he receives 102 only through `user/dan`. The new head is 108.

use std::collections::HashMap;

use doorward_domain::{Clock, Gid};
use doorward_storage::{AnyConnection, Result};

use crate::{
    feed::{
        audience::Audience,
        new_change::{API_VERSION, MEMBERSHIPS, NOTIFY_CHANNEL, NewChange, USERS},
        page::{FeedPage, membership_key},
    },
    model::Action,
    store,
    visibility::{self, Visibility},
};

/// Locks the head of the feed until the commit, so that other writers wait. Rules that check a
/// state before they write need this.
///
/// Must be the first lock of every transaction that changes the directory: a transaction that waits
/// here while it holds another lock could deadlock with the one that holds the head.
pub(crate) fn lock(connection: &mut AnyConnection) -> Result<()> {
    store::feed_change::lock(connection).map(drop)
}

/// Appends the changes of this transaction, after the transaction has made them, and returns the
/// last cursor.
///
/// The time of the changes is taken after the lock is acquired, so it is close to the commit:
/// something that happened before the commit rarely has a later time than the change.
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
        events: Vec::new(),
        statuses: HashMap::new(),
    };
    for change in changes {
        page.append(connection, change)?;
    }
    // The head moves in the same transaction as the rows, so readers never see one without the
    // other.
    store::feed_change::set_head(connection, page.cursor)?;
    store::feed_change::insert_many(connection, page.changes)?;
    store::feed_event::insert_many(connection, page.events)?;
    store::feed_change::notify(connection, NOTIFY_CHANNEL)?;
    Ok(page.cursor)
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
                // Users received their events when the project was deleted, before the purge.
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
            NewChange::ApiVersion(version) => {
                self.push_change(Action::Update, API_VERSION, version.clone(), "");
                self.push_event(Audience::Everyone, Action::Update, API_VERSION, version);
                Ok(())
            }
            NewChange::PublishedRow {
                project,
                action,
                data_type,
                data_key,
            } => {
                self.push_change(action, &data_type, data_key.clone(), "");
                if let Some(change) = self.changes.last_mut() {
                    change.project = Some(project);
                }
                self.push_event(Audience::Followers(project), action, &data_type, data_key);
                Ok(())
            }
        }
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
            // A new user has no membership yet, so no other user sees the user. A deleted user
            // cannot call Sync, and other users receive the events of the memberships that have
            // ended.
            Action::Insert | Action::Delete => {}
            Action::Update => {
                self.push_event(Audience::User(gid), action, USERS, gid.to_string());
                for project in store::init::list_projects_showing(connection, gid)? {
                    self.push_event(Audience::Members(project), action, USERS, gid.to_string());
                }
            }
        }
        Ok(())
    }

    /// Adds an event for each membership in which the user sees the changed address: users see
    /// where their own notifications are sent, which is their account's address unless they set
    /// another.
    fn append_email_change(&mut self, connection: &mut AnyConnection, user: Gid) -> Result<()> {
        for (own, project) in store::init::own(connection, user)? {
            let has_other_address = own
                .notifications
                .as_ref()
                .is_some_and(|notifications| notifications.email.is_some());
            if !has_other_address
                && visibility::of_project(project.status, Some(&own)) > Visibility::Hidden
            {
                self.push_visibility_event(
                    Audience::User(user),
                    Action::Update,
                    MEMBERSHIPS,
                    membership_key(project.gid, user),
                );
            }
        }
        Ok(())
    }
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
    use crate::{MIGRATIONS, model::Change};

    const WRITERS: usize = 8;
    const ROUNDS: usize = 125;
    const PROJECT: &str = "0191f2a0-0000-4000-8000-000000000001";

    /// Appends one to three rows and returns their number. Every fifth transaction commits slowly,
    /// and every seventh is rolled back.
    async fn write(database: &Database, writer: usize, round: usize) -> usize {
        let count = 1 + (writer + round) % 3;
        let rolls_back = (writer * ROUNDS + round).is_multiple_of(7);
        let result = database
            .write(move |connection| {
                let change = |number| NewChange::PublishedRow {
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
                if rolls_back {
                    Err(Error::Other("rolled back by the test".to_owned()))
                } else {
                    Ok(())
                }
            })
            .await;
        assert_eq!(result.is_err(), rolls_back);
        if rolls_back { 0 } else { count }
    }

    /// Reads the feed page by page, as other services do, until the writers are done. Returns all
    /// changes in the order in which they were read.
    async fn tail(database: Database, writers_are_done: Arc<AtomicBool>) -> Vec<Change> {
        let mut seen: Vec<Change> = Vec::new();
        loop {
            // Read before the page: rows that are committed after this are read in the next round.
            let is_last_read = writers_are_done.load(Ordering::SeqCst);
            let after = seen.last().map_or(0, |change| change.cursor);
            let (mut page, head) = database
                .read_snapshot(move |connection| {
                    Ok::<_, Error>((
                        store::feed_change::list(connection, after, 1000)?,
                        store::feed_change::get_head(connection)?,
                    ))
                })
                .await
                .unwrap();
            assert_eq!(
                page.last().map_or(after, |change| change.cursor),
                head,
                "the head is the last row of the same snapshot"
            );
            if page.is_empty() && is_last_read {
                return seen;
            }
            seen.append(&mut page);
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
        // The first notification confirms that the connection is established.
        for cause in ["start of the connection", "a change"] {
            assert_eq!(
                timeout(Duration::from_secs(20), wakes.recv()).await,
                Ok(Some(())),
                "{cause}"
            );
            write(database, 0, 1).await;
        }
        shutdown.cancel();
    }
}
