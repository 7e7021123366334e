//! Fills an installation with many users and projects. One of the users is measured; the data
//! visible to that user is the same in an installation of any size.

use std::{
    io::{BufWriter, Write},
    time::{Duration, Instant},
};

use anyhow::ensure;
use doorward_domain::{IdGenerator, RandomIdGenerator};
use serde_json::json;

use crate::{hash::RawHasher, installation::Installation, sql};

pub(crate) const USERNAME: &str = "bench";
pub(crate) const PASSWORD: &str = "correct horse battery staple 9";
/// Number of projects of the user who is measured.
const PROJECTS: usize = 5;
/// Number of members of each of these projects.
const MEMBERS: usize = 10;
/// Number of members of each project of other users, in addition to its owner.
const OTHERS: usize = 3;
/// Maximum number of rows in one INSERT.
const CHUNK: usize = 500;

#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) users: usize,
    pub(crate) projects: usize,
}

impl Size {
    pub(crate) const SMALL: Self = Self {
        users: 100,
        projects: 20,
    };
}

pub(crate) fn fill(installation: &Installation, size: Size) -> anyhow::Result<()> {
    let gids: Vec<String> = (0..size.users)
        .map(|_| RandomIdGenerator.new_gid().to_string())
        .collect();
    import(installation, &gids)?;
    sql::execute(&installation.directory_url, &projects(&gids, size.projects))?;
    sql::analyze(&installation.directory_url)
}

/// Imports a user for each gid and returns how long the import took. The first user is the one who
/// is measured.
pub(crate) fn import(installation: &Installation, gids: &[String]) -> anyhow::Result<Duration> {
    let file = installation.path().join("users.jsonl");
    let mut lines = BufWriter::new(std::fs::File::create(&file)?);
    let own_hash = RawHasher::default_parameters()?.phc(PASSWORD)?;
    let cheap_hash = RawHasher::new(256, 1)?.phc(PASSWORD)?;
    for (number, gid) in gids.iter().enumerate() {
        // Only the measured user needs a hash of normal cost: the others' hashes only take time.
        let (username, hash) = if number == 0 {
            (USERNAME.to_owned(), &own_hash)
        } else {
            (format!("user-{number}"), &cheap_hash)
        };
        let email = format!("{username}@example.org");
        let line = json!({"gid": gid, "username": username, "email": email, "name": "Ann Other", "password_hash": hash});
        writeln!(lines, "{line}")?;
    }
    lines.into_inner()?.sync_all()?;
    let started = Instant::now();
    let report = installation.run(&["user", "import", &file.display().to_string()])?;
    let took = started.elapsed();
    ensure!(report.contains(&gids.len().to_string()), "{report}");
    Ok(took)
}

/// The gid of a project's owner, and the gids of its members.
pub(crate) type Team = (String, Vec<String>);

/// Returns the SQL for the projects of the user who is measured and for those of other users.
fn projects(gids: &[String], count: usize) -> String {
    let mut projects: Vec<Team> = Vec::new();
    if let Some((own, others)) = gids.split_first() {
        for (number, group) in others.chunks_exact(MEMBERS - 1).take(PROJECTS).enumerate() {
            let members: Vec<String> = group.iter().chain([own]).cloned().collect();
            // The first two projects are the user's own.
            let owner = if number < 2 { Some(own) } else { group.first() };
            projects.extend(owner.map(|owner| (owner.clone(), members)));
        }
        let windows: Vec<&[String]> = others.chunks_exact(OTHERS + 1).collect();
        for members in windows.iter().cycle().take(count.saturating_sub(PROJECTS)) {
            projects.extend(
                members
                    .first()
                    .map(|owner| (owner.clone(), members.to_vec())),
            );
        }
    }
    insert_projects(&projects)
}

/// Returns SQL that writes directly into the directory's tables. It adds no changes to the feed, so
/// the head of the feed does not move.
pub(crate) fn insert_projects(all: &[Team]) -> String {
    let mut projects = Vec::new();
    let mut memberships = Vec::new();
    for (owner, members) in all {
        let project = RandomIdGenerator.new_gid();
        projects.push(format!(
            "('{project}','A project',NULL,'{owner}','active','Europe/Amsterdam',0,0)"
        ));
        memberships.push(format!("('{project}','{owner}','owner','active',NULL,0,0)"));
        let others = members.iter().filter(|gid| *gid != owner);
        memberships
            .extend(others.map(|gid| format!("('{project}','{gid}','member','active',NULL,0,0)")));
    }
    format!(
        "BEGIN; {}{}{SUBSCRIPTIONS_SQL}COMMIT;",
        insert(PROJECT, &projects),
        insert(MEMBERSHIP, &memberships)
    )
}

/// Table and columns of an INSERT.
const PROJECT: &str =
    "projects (gid, name, icon, owner_gid, status, timezone, created_at, updated_at)";
const MEMBERSHIP: &str = "memberships (project_gid, user_gid, role, status, rate_limit_per_second, created_at, updated_at)";

/// Membership slots and subscriptions as the directory writes them. All of these memberships are
/// active, so all slots and subscriptions are open: 9223372036854775807 means that they are not
/// closed.
const SUBSCRIPTIONS_SQL: &str = "
    INSERT INTO membership_slots (project_gid, slot, user_gid, opened_cursor, closed_cursor)
        SELECT project_gid, ROW_NUMBER() OVER (PARTITION BY project_gid ORDER BY user_gid) - 1, user_gid, 0,
            9223372036854775807 FROM memberships;
    INSERT INTO feed_subscriptions (user_gid, until_cursor, audience, after_cursor)
        SELECT user_gid, 9223372036854775807, 'project/' || project_gid, 0 FROM memberships;";

fn insert(table: &str, rows: &[String]) -> String {
    rows.chunks(CHUNK)
        .map(|rows| format!("INSERT INTO {table} VALUES {};", rows.join(",")))
        .collect()
}
