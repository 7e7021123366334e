//! The rows that have changed for one user since a cursor. It reads what `append.rs` writes, and
//! does not know sockets or streams.
//!
//! The events of all audiences to which the user has belonged are candidates. What the user sees at
//! this moment decides which of them become rows: an INSERT or UPDATE only if the entry is visible,
//! a DELETE only if it is not. So a client that reads page after page and fetches each entry ends
//! with what is visible, even if entries have changed again since their events. A DELETE of a
//! project that is visible again becomes an UPDATE, because there are clients that still have the
//! project and do not fetch it on INSERT.
//!
//! Example, continued from `append.rs`: dan calls Sync with `cc_cursor` 100. A page has 3 rows
//! here, and 1,000 in production.
//!
//! 1. dan belongs to `user/dan` and `all`, and to `project/herbarium` after 108. The candidates are
//!    101, 102, and the event about all members with the range 103 to 108.
//! 2. The range is expanded: slot 0 is ann, with her membership at 103 and her user at 104; slot 1
//!    is ben, with 105 and 106. Slot 2 (107 and 108) is dan's own, for which 102 is enough.
//! 3. All of it is visible for dan, so no row is dropped. The page has the rows 101, 102 and 103,
//!    and `has_more`; its position is 103, in the middle of slot 0.
//! 4. The next call, from 103, expands the same event from 104 on: rows 104, 105 and 106, no more
//!    rows, and the head 108 as the position.
//! 5. If ann removes dan between the two calls, the rows 104 to 106 are dropped, because dan no
//!    longer sees these entries; instead he receives DELETE rows with cursors after 108.

use doorward_domain::Gid;
use doorward_storage::AnyConnection;

use crate::{
    Caller, Directory, Error,
    feed::{
        audience::Audience,
        new_change::{ALL_MEMBERS, MEMBERSHIPS, USERS},
        sync_row::SyncRow,
        visible_rows::filter_visible,
    },
    members::access,
    model::{Action, FeedEvent},
    policy::Permission,
    store::{
        self,
        feed_subscription::{OPEN_ENDED, Subscription},
        membership_slot::MembershipSlot,
    },
};

/// Bounds of one call. Tests use small ones.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Maximum number of rows in a page.
    rows: usize,
    /// Number of candidates that are read and checked together.
    batch: usize,
}

const LIMITS: Limits = Limits {
    rows: 1000,
    batch: 1000,
};

/// The last cursors that a client has. None: the client wants no rows of that feed.
#[derive(Debug, Clone, Copy, Default)]
pub struct SyncCursors {
    /// Cursor of the global feed.
    pub cc_cursor: Option<i64>,
    /// Project for whose feed `cursor` is.
    pub project: Option<Gid>,
    /// Cursor of the project's feed.
    pub cursor: Option<i64>,
}

/// One page of the rows that changed for a user.
#[derive(Debug, Default)]
pub struct SyncPage {
    /// Rows of both feeds, ordered by cursor.
    pub rows: Vec<SyncRow>,
    pub has_more: bool,
    /// Position up to which the feeds were read; the cursor of the last row if there are more.
    pub position: i64,
    /// Audiences to which the user belongs after `position`; empty unless requested.
    pub audiences: Vec<String>,
}

impl Directory {
    /// Returns the next page of rows that changed for the caller, at most 1,000.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] if the caller is not an active member of
    /// the project, [`Error::CursorExpired`] if rows after a cursor may have been deleted. Database
    /// errors.
    pub async fn sync(
        &self,
        caller: Caller,
        since: SyncCursors,
        with_audiences: bool,
    ) -> Result<SyncPage, Error> {
        // Most polling clients are up to date: two short queries without a snapshot are enough.
        if let (Some(cursor), None, false) = (since.cc_cursor, since.project, with_audiences) {
            // The head is read before the status: a deactivation before the second query is
            // rejected there, and a later one has a cursor after `head`.
            let head = self.feed_head().await?;
            if head == cursor {
                let caller = self
                    .database
                    .query(move |connection| caller.find_active(connection))
                    .await?;
                caller.ok_or(Error::CallerNotActive)?;
                return Ok(SyncPage {
                    position: head,
                    ..SyncPage::default()
                });
            }
        }
        self.database
            .read_snapshot(move |connection| {
                read_page(connection, caller, since, LIMITS, with_audiences)
            })
            .await
    }

    /// Returns the head of the feeds, which share one sequence of cursors.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] if the caller is not an active member of
    /// the project. Database errors.
    pub async fn get_cursor(&self, caller: Caller, project: Option<Gid>) -> Result<i64, Error> {
        self.database
            .read_snapshot(move |connection| {
                let caller = caller.active(connection)?;
                if let Some(project) = project {
                    access::authorize(connection, project, &caller, Permission::AccessProject)?;
                }
                Ok(store::feed_change::get_head(connection)?)
            })
            .await
    }
}

/// Reads a page in one snapshot, so that the head, the rows and the visibility match.
fn read_page(
    connection: &mut AnyConnection,
    caller: Caller,
    since: SyncCursors,
    limits: Limits,
    with_audiences: bool,
) -> Result<SyncPage, Error> {
    let head = store::feed_change::get_head(connection)?;
    let caller = caller.active(connection)?;
    if let Some(project) = since.project {
        access::authorize(connection, project, &caller, Permission::AccessProject)?;
    }
    let user = caller.gid();
    let tail = store::feed_change::tail(connection)?.events_cursor;
    let cursors = [since.cc_cursor, since.project.and(since.cursor)];
    if cursors.into_iter().flatten().any(|cursor| cursor < tail) {
        return Err(Error::CursorExpired);
    }
    let mut rows = Vec::new();
    if let Some(cursor) = since.cc_cursor {
        rows = list_global_rows(connection, user, cursor, limits)?;
    }
    if let (Some(project), Some(cursor)) = (since.project, since.cursor) {
        // Published rows need no filter: the membership was checked above.
        let subscription = Subscription {
            audience: Audience::Followers(project),
            after_cursor: cursor,
            until_cursor: OPEN_ENDED,
        };
        let published = store::feed_event::list_for_subscriptions(
            connection,
            &[subscription],
            limits.rows + 1,
        )?;
        rows.extend(published.into_iter().map(SyncRow::from_event));
        rows.sort_by_key(|row| row.cursor);
    }
    // One row more than the page was read, to find out whether there are more.
    let has_more = rows.len() > limits.rows;
    rows.truncate(limits.rows);
    let position = rows
        .last()
        .filter(|_| has_more)
        .map_or(head, |last| last.cursor);
    let audiences = if with_audiences {
        list_audiences(connection, user, since)?
    } else {
        Vec::new()
    };
    Ok(SyncPage {
        rows,
        has_more,
        position,
        audiences,
    })
}

/// Lists the audiences whose future events concern the user.
fn list_audiences(
    connection: &mut AnyConnection,
    user: Gid,
    since: SyncCursors,
) -> Result<Vec<String>, Error> {
    // The user's own audience is included even without the global feed: the end of a membership is
    // an event for the user, and must reach a client that follows only the project's feed.
    let mut audiences = vec![Audience::User(user)];
    if since.cc_cursor.is_some() {
        // Only subscriptions that are still open.
        let subscriptions = store::feed_subscription::list_since(connection, user, OPEN_ENDED - 1)?;
        audiences.extend(
            subscriptions
                .iter()
                .map(|subscription| subscription.audience),
        );
    }
    if since.cursor.is_some() {
        audiences.extend(since.project.map(Audience::Followers));
    }
    Ok(audiences.iter().map(Audience::to_string).collect())
}

/// Returns the first rows of the global feed after a cursor, at most one more than a page has.
fn list_global_rows(
    connection: &mut AnyConnection,
    user: Gid,
    cursor: i64,
    limits: Limits,
) -> Result<Vec<SyncRow>, Error> {
    let subscriptions = store::feed_subscription::list_since(connection, user, cursor)?;
    let mut rows: Vec<SyncRow> = Vec::new();
    let mut position = cursor;
    // Batch by batch, because the filter may drop most candidates of a batch.
    loop {
        let (candidates, read_until) =
            list_candidates(connection, user, &subscriptions, position, limits.batch)?;
        rows.extend(filter_visible(connection, user, candidates)?);
        match read_until {
            Some(read_until) if rows.len() <= limits.rows => position = read_until,
            Some(_) | None => {
                rows.truncate(limits.rows + 1);
                return Ok(rows);
            }
        }
    }
}

/// Returns candidates after a position, ordered by cursor, and the cursor up to which they are
/// complete, or None if there are no more.
fn list_candidates(
    connection: &mut AnyConnection,
    user: Gid,
    subscriptions: &[Subscription],
    position: i64,
    batch: usize,
) -> Result<(Vec<SyncRow>, Option<i64>), Error> {
    let own = Audience::User(user);
    let permanent = [own, Audience::Everyone].map(|audience| Subscription {
        audience,
        after_cursor: position,
        until_cursor: OPEN_ENDED,
    });
    let from_position = |subscription: &Subscription| Subscription {
        after_cursor: subscription.after_cursor.max(position),
        ..*subscription
    };
    let subscriptions: Vec<Subscription> = subscriptions
        .iter()
        .filter(|subscription| subscription.until_cursor > position)
        .map(from_position)
        .chain(permanent)
        .collect();
    let mut events = store::feed_event::list_for_subscriptions(connection, &subscriptions, batch)?;
    let is_all = events.len() < batch;
    if !is_all {
        drop_last_cursor(&mut events);
    }
    let read_until = events.last().filter(|_| !is_all).map(|last| last.cursor);
    // A change can have events for several audiences of the user under one cursor. The event for
    // the user alone is kept, because it says what the change means for this user.
    events.sort_by_key(|event| (event.cursor, event.audience != own));
    events.dedup_by_key(|event| event.cursor);
    let mut rows = Vec::new();
    for event in events {
        match event.first_cursor {
            None => rows.push(SyncRow::from_event(event)),
            Some(first) => {
                let start = RangeStart {
                    cursor: first.max(position + 1),
                    batch,
                };
                if let Some(read_until) =
                    expand_member_event(connection, user, &event, start, &mut rows)?
                {
                    return Ok((rows, Some(read_until)));
                }
                // Several events with small ranges can fill a batch, too.
                if rows.len() >= batch {
                    return Ok((rows, Some(event.cursor)));
                }
            }
        }
    }
    Ok((rows, read_until))
}

/// Drops the events of the last cursor, because others of the same cursor may be missing. If all
/// events have one cursor, they are kept, so that reading makes progress.
fn drop_last_cursor(events: &mut Vec<FeedEvent>) {
    let last = events.last().map(|event| event.cursor);
    if events.first().map(|event| event.cursor) != last {
        events.retain(|event| Some(event.cursor) != last);
    }
}

/// The position from which the range of an event about all members is read.
#[derive(Debug, Clone, Copy)]
struct RangeStart {
    /// First cursor that the client does not have.
    cursor: i64,
    /// Number of slots per query, and of rows after which to stop.
    batch: usize,
}

/// Adds the rows of an event about all members. Returns the cursor up to which the range was read,
/// or None if it was read to its end.
fn expand_member_event(
    connection: &mut AnyConnection,
    user: Gid,
    event: &FeedEvent,
    start: RangeStart,
    rows: &mut Vec<SyncRow>,
) -> Result<Option<i64>, Error> {
    let RangeStart {
        cursor: from_cursor,
        batch,
    } = start;
    let first = event.first_cursor.unwrap_or(event.cursor);
    let project = event.data_key.split('/').next().unwrap_or_default();
    debug_assert!(
        event.data_key.ends_with(ALL_MEMBERS),
        "only events about all members have a range of cursors"
    );
    let project: Gid = project.parse().map_err(doorward_storage::Error::from)?;
    // Slot n has the cursors `first + 2 * n` (membership) and `first + 2 * n + 1` (user).
    let mut number = (from_cursor - first) / 2;
    loop {
        let slots = store::membership_slot::list(connection, project, number, batch)?;
        for slot in slots
            .iter()
            .filter(|slot| slot.user != user && is_slot_affected(slot, event.action, first))
        {
            let membership_cursor = first + 2 * slot.slot;
            let row = |cursor, data_type: &str, data_key| SyncRow {
                is_published: false,
                cursor,
                action: event.action,
                data_type: data_type.to_owned(),
                data_key,
            };
            // The previous page may have ended with the membership of this slot.
            if membership_cursor >= from_cursor {
                rows.push(row(
                    membership_cursor,
                    MEMBERSHIPS,
                    format!("{project}/{}", slot.user),
                ));
            }
            // An UPDATE is about the options of memberships, not about users.
            if event.action != Action::Update {
                rows.push(row(membership_cursor + 1, USERS, slot.user.to_string()));
            }
        }
        let read_until = slots.last().map(|last| first + 2 * last.slot + 1);
        match read_until {
            // Slots beyond the range were opened after the event, and have events of their own.
            Some(read_until) if slots.len() == batch && read_until < event.cursor => {
                number = (read_until - first) / 2 + 1;
                if rows.len() >= batch {
                    return Ok(Some(read_until));
                }
            }
            Some(_) | None => return Ok(None),
        }
    }
}

/// Checks whether an event about all members covers the membership of a slot: it existed when the
/// event was written. A membership that has ended since is not inserted any more.
fn is_slot_affected(slot: &MembershipSlot, action: Action, first: i64) -> bool {
    let was_open = slot.opened_cursor < first && slot.closed_cursor > first;
    match action {
        Action::Delete => was_open,
        Action::Insert | Action::Update => was_open && slot.closed_cursor == OPEN_ENDED,
    }
}

#[cfg(test)]
#[path = "sync_tests.rs"]
mod tests;
