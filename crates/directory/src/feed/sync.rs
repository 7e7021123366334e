//! What has changed for one user since a cursor. `feed.rs` writes what is read here.
//!
//! The notices of all scopes that the user has listened to are candidates. What is told of them is decided by what the user
//! may see at this moment: what comes or changes, only if it is in sight; what goes, only if it isn't. So whoever reads on
//! from page to page, and fetches each entry, ends with what is in sight, although some of what is told has changed again.
//! A project that went and is back has changed, to who has it still: there are clients that fetch no INSERT of a project.

use std::collections::HashSet;

use doorward_domain::Gid;
use doorward_storage::AnyConnection;

use crate::{
    Caller, Directory, Error,
    feed::{
        audience::Scope,
        new_change::{ALL_MEMBERS, MEMBERSHIPS, PROJECTS, USERS},
    },
    members::access,
    model::{Action, FeedEvent},
    policy::Permission,
    store::{
        self,
        feed_subscription::{OPEN_ENDED, Subscription},
        membership_slot::MembershipSlot,
    },
    visibility::{self, Visibility},
};

/// How much is done at once.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Rows of one answer.
    rows: usize,
    /// Candidates that are looked at together.
    batch: usize,
}

const LIMITS: Limits = Limits {
    rows: 1000,
    batch: 1000,
};

/// The last cursors that somebody has; None: no rows of that feed.
#[derive(Debug, Clone, Copy, Default)]
pub struct SyncCursors {
    pub cc_cursor: Option<i64>,
    /// Whose own feed is asked for.
    pub project: Option<Gid>,
    pub cursor: Option<i64>,
}

#[derive(Debug, Default)]
pub struct SyncPage {
    /// Of both feeds, in the order of cursors.
    pub rows: Vec<SyncRow>,
    pub has_more: bool,
    /// Up to where the feeds were read.
    pub position: i64,
    /// What concerns the user from there on.
    pub audiences: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRow {
    /// Of the feed of a project.
    pub is_published: bool,
    pub cursor: i64,
    pub action: Action,
    pub data_type: String,
    pub data_key: String,
}

impl SyncRow {
    pub(crate) fn from_event(notice: FeedEvent) -> Self {
        let FeedEvent {
            audience: scope,
            cursor,
            action,
            data_type,
            data_key,
            ..
        } = notice;
        Self {
            is_published: matches!(scope, Scope::ProjectFeed(_)),
            cursor,
            action,
            data_type,
            data_key,
        }
    }
}

impl Directory {
    /// # Errors
    /// [`Error::CallerNotActive`]; [`Error::Forbidden`] for a project of which the user is no active member;
    /// [`Error::CursorExpired`]; those of the database.
    pub async fn sync(
        &self,
        caller: Caller,
        since: SyncCursors,
        with_scopes: bool,
    ) -> Result<SyncPage, Error> {
        if let (Some(cursor), None, false) = (since.cc_cursor, since.project, with_scopes) {
            // In this order: a caller who is deactivated in between is seen, or has missed a row.
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
        let with = (LIMITS, with_scopes);
        self.database
            .read_snapshot(move |connection| list_news(connection, caller, since, with))
            .await
    }

    /// The position of the feeds, which are numbered as one.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`]; [`Error::Forbidden`] for a project of which the user is no active member; those of the
    /// database.
    pub async fn get_cursor(&self, caller: Caller, project: Option<Gid>) -> Result<i64, Error> {
        self.database
            .read_snapshot(move |connection| {
                let caller = caller.active(connection)?;
                if let Some(project) = project {
                    access::authorise(connection, project, &caller, Permission::AccessProject)?;
                }
                Ok(store::feed_change::get_head(connection)?)
            })
            .await
    }
}

fn list_news(
    connection: &mut AnyConnection,
    caller: Caller,
    since: SyncCursors,
    (limits, with_scopes): (Limits, bool),
) -> Result<SyncPage, Error> {
    let head = store::feed_change::get_head(connection)?;
    let caller = caller.active(connection)?;
    if let Some(project) = since.project {
        access::authorise(connection, project, &caller, Permission::AccessProject)?;
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
        let heard = Subscription {
            scope: Scope::ProjectFeed(project),
            after_cursor: cursor,
            until_cursor: OPEN_ENDED,
        };
        let published =
            store::feed_event::list_for_subscriptions(connection, &[heard], limits.rows + 1)?;
        rows.extend(published.into_iter().map(SyncRow::from_event));
        rows.sort_by_key(|row| row.cursor);
    }
    let has_more = rows.len() > limits.rows;
    rows.truncate(limits.rows);
    let position = rows
        .last()
        .filter(|_| has_more)
        .map_or(head, |last| last.cursor);
    let scopes = if with_scopes {
        list_audiences(connection, user, since)?
    } else {
        Vec::new()
    };
    Ok(SyncPage {
        rows,
        has_more,
        position,
        audiences: scopes,
    })
}

fn list_audiences(
    connection: &mut AnyConnection,
    user: Gid,
    since: SyncCursors,
) -> Result<Vec<String>, Error> {
    // Also without the global feed: whoever isn't a member any more is told there.
    let mut scopes = vec![Scope::User(user)];
    if since.cc_cursor.is_some() {
        let heard = store::feed_subscription::list_since(connection, user, OPEN_ENDED - 1)?;
        scopes.extend(heard.iter().map(|heard| heard.scope));
    }
    if since.cursor.is_some() {
        scopes.extend(since.project.map(Scope::ProjectFeed));
    }
    Ok(scopes.iter().map(Scope::to_string).collect())
}

/// The first rows after a cursor, one more than an answer may have.
fn list_global_rows(
    connection: &mut AnyConnection,
    user: Gid,
    cursor: i64,
    limits: Limits,
) -> Result<Vec<SyncRow>, Error> {
    let heard = store::feed_subscription::list_since(connection, user, cursor)?;
    let mut rows: Vec<SyncRow> = Vec::new();
    let mut position = cursor;
    loop {
        let (candidates, read_until) =
            list_candidates(connection, user, &heard, (position, limits.batch))?;
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

/// What may be to tell, in the order of cursors; and up to where that is, unless it is all.
fn list_candidates(
    connection: &mut AnyConnection,
    user: Gid,
    heard: &[Subscription],
    (position, batch): (i64, usize),
) -> Result<(Vec<SyncRow>, Option<i64>), Error> {
    let own = Scope::User(user);
    let always = [own, Scope::Everyone].map(|scope| Subscription {
        scope,
        after_cursor: position,
        until_cursor: OPEN_ENDED,
    });
    let later = |heard: &Subscription| Subscription {
        after_cursor: heard.after_cursor.max(position),
        ..*heard
    };
    let listening: Vec<Subscription> = heard
        .iter()
        .filter(|heard| heard.until_cursor > position)
        .map(later)
        .chain(always)
        .collect();
    let mut notices = store::feed_event::list_for_subscriptions(connection, &listening, batch)?;
    let is_all = notices.len() < batch;
    if !is_all {
        drop_last_cursor(&mut notices);
    }
    let read_until = notices.last().filter(|_| !is_all).map(|last| last.cursor);
    // One change in several scopes: what is told to the user alone counts.
    notices.sort_by_key(|notice| (notice.cursor, notice.audience != own));
    notices.dedup_by_key(|notice| notice.cursor);
    let mut rows = Vec::new();
    for notice in notices {
        match notice.first_cursor {
            None => rows.push(SyncRow::from_event(notice)),
            Some(first) => {
                let from = (first.max(position + 1), batch);
                if let Some(read_until) =
                    expand_member_event(connection, user, &notice, from, &mut rows)?
                {
                    return Ok((rows, Some(read_until)));
                }
                // Many of these are as much as one that is large.
                if rows.len() >= batch {
                    return Ok((rows, Some(notice.cursor)));
                }
            }
        }
    }
    Ok((rows, read_until))
}

/// The rest of them may be on the next page.
fn drop_last_cursor(notices: &mut Vec<FeedEvent>) {
    let last = notices.last().map(|notice| notice.cursor);
    if notices.first().map(|notice| notice.cursor) != last {
        notices.retain(|notice| Some(notice.cursor) != last);
    }
}

/// Adds what a notice about all members says from a cursor on; and says up to where, when that is too much at once.
fn expand_member_event(
    connection: &mut AnyConnection,
    user: Gid,
    notice: &FeedEvent,
    (from_cursor, batch): (i64, usize),
    rows: &mut Vec<SyncRow>,
) -> Result<Option<i64>, Error> {
    let first = notice.first_cursor.unwrap_or(notice.cursor);
    let project = notice.data_key.split('/').next().unwrap_or_default();
    debug_assert!(
        notice.data_key.ends_with(ALL_MEMBERS),
        "only memberships are told of all at once"
    );
    let project: Gid = project.parse().map_err(doorward_storage::Error::from)?;
    let mut number = (from_cursor - first) / 2;
    loop {
        let seats = store::membership_slot::list(connection, project, number, batch)?;
        for seat in seats
            .iter()
            .filter(|seat| seat.user != user && is_slot_affected(seat, notice.action, first))
        {
            let membership = first + 2 * seat.slot;
            let row = |cursor, data_type: &str, data_key| {
                let (is_published, action, data_type) =
                    (false, notice.action, data_type.to_owned());
                SyncRow {
                    is_published,
                    cursor,
                    action,
                    data_type,
                    data_key,
                }
            };
            if membership >= from_cursor {
                rows.push(row(
                    membership,
                    MEMBERSHIPS,
                    format!("{project}/{}", seat.user),
                ));
            }
            if notice.action != Action::Update {
                rows.push(row(membership + 1, USERS, seat.user.to_string()));
            }
        }
        let read_until = seats.last().map(|last| first + 2 * last.slot + 1);
        match read_until {
            // Later seats were taken after the notice.
            Some(read_until) if seats.len() == batch && read_until < notice.cursor => {
                number = (read_until - first) / 2 + 1;
                if rows.len() >= batch {
                    return Ok(Some(read_until));
                }
            }
            Some(_) | None => return Ok(None),
        }
    }
}

/// Whether a membership was there when all of its project were told of, and there is no other notice of its end or beginning.
fn is_slot_affected(seat: &MembershipSlot, action: Action, first: i64) -> bool {
    let was_there = seat.opened_cursor < first && seat.closed_cursor > first;
    match action {
        Action::Delete => was_there,
        Action::Insert | Action::Update => was_there && seat.closed_cursor == OPEN_ENDED,
    }
}

/// What somebody sees at this moment of what rows speak of.
struct VisibleEntries {
    user: Gid,
    projects: Vec<(Gid, Visibility)>,
    memberships: HashSet<(Gid, Gid)>,
    users: HashSet<Gid>,
}

fn filter_visible(
    connection: &mut AnyConnection,
    user: Gid,
    rows: Vec<SyncRow>,
) -> Result<Vec<SyncRow>, Error> {
    if rows.is_empty() {
        return Ok(rows);
    }
    let sight = load_visible_entries(connection, user, &rows)?;
    Ok(rows
        .into_iter()
        .filter_map(|row| sight.to_deliver(row))
        .collect())
}

fn load_visible_entries(
    connection: &mut AnyConnection,
    user: Gid,
    rows: &[SyncRow],
) -> Result<VisibleEntries, Error> {
    connection.force_custom_plans()?;
    let keys: Vec<EntryKey> = rows.iter().filter_map(EntryKey::parse).collect();
    let mut projects: Vec<Gid> = keys.iter().filter_map(EntryKey::project).collect();
    projects.sort();
    projects.dedup();
    let mut in_sight = VisibleEntries {
        user,
        projects: Vec::new(),
        memberships: HashSet::new(),
        users: HashSet::new(),
    };
    if !projects.is_empty() {
        for (membership, project) in store::init::list_own_in(connection, user, &projects)? {
            in_sight.projects.push((
                project.gid,
                visibility::of_project(project.status, Some(&membership)),
            ));
        }
    }
    for (project, sight) in &in_sight.projects {
        let of_project = keys
            .iter()
            .filter_map(EntryKey::membership)
            .filter(|(of, _)| of == project);
        let mut users: Vec<Gid> = of_project.map(|(_, user)| user).collect();
        users.sort();
        users.dedup();
        if *sight == Visibility::Inside && !users.is_empty() {
            let there = store::membership::list_of_users(connection, *project, &users)?;
            in_sight
                .memberships
                .extend(there.iter().map(|there| (there.project, there.user)));
        }
    }
    let mut people: Vec<Gid> = keys.iter().filter_map(EntryKey::person).collect();
    people.sort();
    people.dedup();
    if !people.is_empty() {
        in_sight.users = store::init::list_visible_users(connection, user, &people)?
            .into_iter()
            .collect();
    }
    Ok(in_sight)
}

impl VisibleEntries {
    /// The row as it is told.
    fn to_deliver(&self, row: SyncRow) -> Option<SyncRow> {
        match (row.action, self.contains(&row)) {
            (Action::Insert | Action::Update, true) | (Action::Delete, false) => Some(row),
            (Action::Delete, true) if row.data_type == PROJECTS => Some(SyncRow {
                action: Action::Update,
                ..row
            }),
            (Action::Insert | Action::Update, false) | (Action::Delete, true) => None,
        }
    }

    fn contains(&self, row: &SyncRow) -> bool {
        match EntryKey::parse(row) {
            Some(EntryKey::User(user)) => user == self.user || self.users.contains(&user),
            Some(EntryKey::Project(project)) => self.visibility(project) > Visibility::None,
            Some(EntryKey::Membership(project, user)) if user == self.user => {
                self.visibility(project) > Visibility::None
            }
            Some(EntryKey::Membership(project, user)) => {
                self.visibility(project) == Visibility::Inside
                    && self.memberships.contains(&(project, user))
            }
            // Of the release, which everybody sees.
            None => true,
        }
    }

    fn visibility(&self, project: Gid) -> Visibility {
        self.projects
            .iter()
            .find(|(gid, _)| *gid == project)
            .map_or(Visibility::None, |(_, sight)| *sight)
    }
}

/// The entry that a row speaks of.
#[derive(Debug, Clone, Copy)]
enum EntryKey {
    User(Gid),
    Project(Gid),
    Membership(Gid, Gid),
}

impl EntryKey {
    fn parse(row: &SyncRow) -> Option<Self> {
        match row.data_type.as_str() {
            USERS => row.data_key.parse().ok().map(Self::User),
            PROJECTS => row.data_key.parse().ok().map(Self::Project),
            MEMBERSHIPS => {
                let (project, user) = row.data_key.split_once('/')?;
                Some(Self::Membership(project.parse().ok()?, user.parse().ok()?))
            }
            _ => None,
        }
    }

    const fn project(&self) -> Option<Gid> {
        match self {
            Self::User(_) => None,
            Self::Project(project) | Self::Membership(project, _) => Some(*project),
        }
    }

    const fn membership(&self) -> Option<(Gid, Gid)> {
        match self {
            Self::User(_) | Self::Project(_) => None,
            Self::Membership(project, user) => Some((*project, *user)),
        }
    }

    const fn person(&self) -> Option<Gid> {
        match self {
            Self::User(user) => Some(*user),
            Self::Project(_) | Self::Membership(..) => None,
        }
    }
}

#[cfg(test)]
#[path = "sync_tests.rs"]
mod tests;
