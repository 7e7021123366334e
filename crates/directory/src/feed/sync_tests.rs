//! Clients that follow the feed end with the same entries as a fresh init. Several clients of each
//! user read in small pages, while random changes of all kinds are made. The tests cover `sync.rs`
//! and `visible_rows.rs`.

use std::{collections::BTreeMap, time::Duration};

use doorward_domain::{
    DisplayName, Email, IdGenerator, ProjectStatus, RandomIdGenerator, SystemClock, Timezone,
    UserStatus, Username,
};
use doorward_storage::testing::TestDatabase;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::*;
use crate::{
    Actor, MIGRATIONS, MemberChange, NewUser, ProjectChange, UserChange, feed::new_change,
    model::User, users::init,
};

const PEOPLE: usize = 6;
const PROJECTS: usize = 4;
const STEPS: usize = 250;
/// Limits that are so small that pages and batches end at every possible row.
const SMALL: [Limits; 3] = [
    Limits { rows: 3, batch: 2 },
    Limits { rows: 7, batch: 5 },
    Limits {
        rows: 2,
        batch: 1000,
    },
];

/// The entries that a client stores, by data type and key, as text.
type Entries = BTreeMap<(&'static str, String), String>;

/// Returns the cursor and the entries of a fresh init, or None if the user is not active.
fn load_entries(connection: &mut AnyConnection, user: Gid) -> Option<(i64, Entries)> {
    let init = match init::get(connection, user.into()) {
        Ok(init) => init,
        Err(Error::CallerNotActive) => return None,
        Err(error) => panic!("{error}"),
    };
    let mut entries = Entries::new();
    entries.insert((USERS, user.to_string()), format!("{:?}", init.caller));
    for person in &init.users {
        entries.insert((USERS, person.gid.to_string()), format!("{person:?}"));
    }
    for project in &init.projects {
        entries.insert(
            (new_change::PROJECTS, project.gid.to_string()),
            format!("{project:?}"),
        );
    }
    for own in &init.own_memberships {
        entries.insert(
            (MEMBERSHIPS, format!("{}/{user}", own.project)),
            format!("{own:?}"),
        );
    }
    for other in &init.other_memberships {
        let limit = init
            .owned_projects
            .contains(&other.project)
            .then_some(other.rate_limit_per_second);
        let shown = format!("{:?} {:?} {limit:?}", other.role, other.status);
        entries.insert(
            (MEMBERSHIPS, format!("{}/{}", other.project, other.user)),
            shown,
        );
    }
    Some((init.cursor, entries))
}

struct Client {
    user: Gid,
    limits: Limits,
    cursor: i64,
    entries: Entries,
    /// Number of times that the client had to call init again, because its cursor had expired.
    expired: usize,
}

impl Client {
    fn start(connection: &mut AnyConnection, user: Gid, limits: Limits) -> Self {
        let (cursor, entries) = load_entries(connection, user).unwrap();
        Self {
            user,
            limits,
            cursor,
            entries,
            expired: 0,
        }
    }

    /// Reads a page and fetches the entries that it names. Returns whether there are more rows.
    fn sync(&mut self, connection: &mut AnyConnection) -> bool {
        let since = SyncCursors {
            cc_cursor: Some(self.cursor),
            project: None,
            cursor: None,
        };
        let page = match read_page(connection, self.user.into(), since, self.limits, false) {
            Ok(page) => page,
            // The client of a deactivated user tries again in a later step.
            Err(Error::CallerNotActive) => return false,
            Err(Error::CursorExpired) => {
                (self.cursor, self.entries) = load_entries(connection, self.user).unwrap();
                self.expired += 1;
                return true;
            }
            Err(error) => panic!("{error}"),
        };
        let (_, now) = load_entries(connection, self.user).unwrap();
        for row in &page.rows {
            assert!(row.cursor > self.cursor, "{row:?} after {}", self.cursor);
            self.cursor = row.cursor;
            let data_type = [USERS, new_change::PROJECTS, MEMBERSHIPS]
                .into_iter()
                .find(|t| *t == row.data_type)
                .unwrap();
            let key = (data_type, row.data_key.clone());
            match (row.action, now.get(&key)) {
                (Action::Insert, Some(entry)) => drop(self.entries.insert(key, entry.clone())),
                (Action::Update, Some(entry)) => {
                    // Clients ignore an UPDATE of an entry that they do not have.
                    if let Some(own) = self.entries.get_mut(&key) {
                        own.clone_from(entry);
                    }
                }
                (Action::Delete, None) => drop(self.entries.remove(&key)),
                (action, entry) => panic!("{action} of {key:?}, which is {entry:?}"),
            }
        }
        assert!(page.rows.len() <= self.limits.rows);
        if page.rows.is_empty() {
            assert!(page.position >= self.cursor);
            self.cursor = page.position;
        }
        page.has_more
    }

    /// Reads all pages, and checks that the client then has what a fresh init returns.
    fn catch_up(&mut self, connection: &mut AnyConnection) {
        while self.sync(connection) {}
        if let Some((_, now)) = load_entries(connection, self.user) {
            assert_eq!(self.entries, now);
        }
    }
}

struct World {
    directory: Directory,
    people: Vec<User>,
    projects: Vec<Gid>,
    rng: TestRng,
    /// Number of users created so far, for their names.
    created_users: usize,
}

impl World {
    fn choose(&mut self, count: usize) -> usize {
        use proptest::prelude::Rng;
        usize::try_from(self.rng.next_u32()).unwrap() % count.max(1)
    }

    fn user(&mut self) -> Gid {
        let index = self.choose(self.people.len());
        self.people[index].gid
    }

    fn project(&mut self) -> Gid {
        let index = self.choose(self.projects.len());
        self.projects.get(index).copied().unwrap_or(Gid::NIL)
    }

    async fn new_user(&mut self) -> User {
        self.created_users += 1;
        let name = format!("user{}", self.created_users);
        let email = Email::parse(&format!("{name}@example.org")).unwrap();
        let new = NewUser::new(
            RandomIdGenerator.new_gid(),
            Username::parse(&name).unwrap(),
            Some(email),
            DisplayName::parse(&name).unwrap(),
        );
        self.directory.create_user(new).await.unwrap()
    }

    /// Makes one random change, which may be rejected. Returns a description for a failed
    /// assertion.
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of change")]
    async fn step(&mut self) -> String {
        let user = self.user();
        let other = self.user();
        let project = self.project();
        let owner = self
            .directory
            .get_project(project)
            .await
            .map_or(Gid::NIL, |project| project.owner);
        let number = self.choose(1000);
        let directory = self.directory.clone();
        let kind = self.choose(23);
        let outcome = match kind {
            0 | 1 => directory.add_member(project, user).await.map(drop),
            2 | 3 => {
                let name = format!("user{}", number % (self.created_users + 3) + 1);
                directory
                    .invite_member(owner.into(), project, format!("{name}@example.org"))
                    .await
                    .map(drop)
            }
            4 | 5 => directory
                .accept_invitation(user.into(), project)
                .await
                .map(drop),
            6 => directory
                .decline_invitation(user.into(), project)
                .await
                .map(drop),
            7 => directory.leave_project(user.into(), project).await,
            8 => {
                directory
                    .remove_member(Actor::User(owner.into()), project, user)
                    .await
            }
            9 | 10 => directory
                .set_member_status(owner.into(), project, user, number.is_multiple_of(2))
                .await
                .map(drop),
            11 => {
                let status = [ProjectStatus::Active, ProjectStatus::Deleted][number % 2];
                directory
                    .set_project_status(Actor::Administrator, project, status)
                    .await
                    .map(drop)
            }
            12 if number.is_multiple_of(4) => {
                directory.purge_project(Actor::Administrator, project).await
            }
            13 => directory
                .transfer_project(Actor::Administrator, project, user)
                .await
                .map(drop),
            14 => {
                let change = ProjectChange {
                    name: Some(format!("Project {number}")),
                    timezone: None,
                };
                directory
                    .update_project(user.into(), project, change)
                    .await
                    .map(drop)
            }
            15 | 16 => {
                let change = UserChange {
                    name: Some(format!("Name {number}")),
                    ..UserChange::default()
                };
                directory.update_user(user.into(), change).await.map(drop)
            }
            17 => {
                let limit = u32::try_from(number + 1).ok();
                let change = MemberChange {
                    limit: Some(limit),
                    notifications: None,
                };
                directory
                    .update_member(owner.into(), project, other, change)
                    .await
                    .map(drop)
            }
            18 => match directory
                .create_api_user(Actor::Administrator, project, "Robot".to_owned())
                .await
            {
                Ok(robot) if number.is_multiple_of(3) => {
                    directory
                        .delete_api_user(Actor::Administrator, project, robot.user.gid)
                        .await
                }
                Ok(robot) => directory
                    .set_api_user_status(Actor::Administrator, project, robot.user.gid, false)
                    .await
                    .map(drop),
                Err(error) => Err(error),
            },
            19 if self.projects.len() < PROJECTS || number.is_multiple_of(5) => {
                let name = DisplayName::parse("New").unwrap();
                let created = directory
                    .create_project(user.into(), name, Timezone::default())
                    .await;
                created.map(|created| self.projects.push(created.gid))
            }
            20 => {
                let status = [UserStatus::Active, UserStatus::Inactive]
                    [usize::from(number.is_multiple_of(4))];
                directory.set_user_status(user, status).await.map(drop)
            }
            21 if number.is_multiple_of(8) => {
                // The address may have been invited before.
                let user = self.new_user().await;
                self.people.push(user);
                Ok(())
            }
            22 => {
                directory
                    .delete_old_changes(Duration::from_millis(number as u64 / 10))
                    .await
            }
            21 if number.is_multiple_of(9) => directory.delete_user(user).await,
            _ => Ok(()),
        };
        format!("{kind} {user} {project} {number}: {outcome:?}")
    }
}

async fn run_scenario(test: &TestDatabase, seed: u8) {
    let directory = Directory::new(
        test.database.clone(),
        std::sync::Arc::new(SystemClock),
        std::sync::Arc::new(RandomIdGenerator),
    );
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut world = World {
        directory: directory.with_outbox(),
        people: Vec::new(),
        projects: Vec::new(),
        rng,
        created_users: 0,
    };
    for _ in 0..PEOPLE {
        let user = world.new_user().await;
        world.people.push(user);
    }
    let users: Vec<Gid> = world.people.iter().map(|user| user.gid).collect();
    let start = move |connection: &mut AnyConnection| {
        let readers = users
            .iter()
            .flat_map(|user| SMALL.map(|limits| (*user, limits)));
        Ok::<_, Error>(
            readers
                .map(|(user, limits)| Client::start(connection, user, limits))
                .collect::<Vec<_>>(),
        )
    };
    let mut readers: Vec<Client> = test.database.read_snapshot(start).await.unwrap();
    for step in 0..STEPS {
        let description = world.step().await;
        // The first client of each user reads all pages after each step; the others read now and
        // then, and often only one page.
        let turns: Vec<usize> = readers.iter().map(|_| world.choose(20)).collect();
        let read = move |connection: &mut AnyConnection| {
            for (index, (reader, turn)) in readers.iter_mut().zip(turns).enumerate() {
                if index.is_multiple_of(3) || turn == 0 {
                    reader.catch_up(connection);
                } else if turn < 5 {
                    reader.sync(connection);
                }
            }
            Ok::<_, Error>(readers)
        };
        let turn = std::panic::AssertUnwindSafe(test.database.read_snapshot(read));
        readers = turn
            .await
            .unwrap_or_else(|error| panic!("{error} at step {step}: {description}"));
    }
    let finish = move |connection: &mut AnyConnection| {
        readers
            .iter_mut()
            .for_each(|reader| reader.catch_up(connection));
        Ok::<_, Error>(readers.iter().map(|reader| reader.expired).sum::<usize>())
    };
    let expired = test.database.read_snapshot(finish).await.unwrap();
    assert!(expired > 0, "no cursor expired, so expiry was not tested");
}

#[tokio::test(flavor = "multi_thread")]
async fn syncing_clients_converge_to_init() {
    for seed in 0..2 {
        for test in TestDatabase::both(&MIGRATIONS) {
            run_scenario(&test, seed).await;
        }
    }
}
