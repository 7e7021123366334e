//! Whoever follows the feed ends with what a fresh init gives: readers of all kinds, on pages of a few rows, while everything
//! that can change does.

use std::{collections::BTreeMap, time::Duration};

use doorward_domain::{
    DisplayName, Email, IdGenerator, ProjectStatus, RandomIdGenerator, SystemClock, Timezone,
    UserStatus, Username,
};
use doorward_storage::testing::TestDatabase;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::*;
use crate::{
    Actor, MIGRATIONS, MemberChange, NewUser, ProjectChange, UserChange, model::User, users::init,
};

const PEOPLE: usize = 6;
const PROJECTS: usize = 4;
const STEPS: usize = 250;
/// Of the first rows to the last, the limits come to all that can go wrong with pages.
const SMALL: [Limits; 3] = [
    Limits { rows: 3, batch: 2 },
    Limits { rows: 7, batch: 5 },
    Limits {
        rows: 2,
        batch: 1000,
    },
];

/// What a client keeps: the entries by type and key, as they are shown.
type Picture = BTreeMap<(&'static str, String), String>;

fn picture(connection: &mut AnyConnection, user: Gid) -> Option<(i64, Picture)> {
    let init = match init::get(connection, user.into()) {
        Ok(init) => init,
        Err(Error::CallerNotActive) => return None,
        Err(error) => panic!("{error}"),
    };
    let mut picture = Picture::new();
    picture.insert((USERS, user.to_string()), format!("{:?}", init.caller));
    for person in &init.users {
        picture.insert((USERS, person.gid.to_string()), format!("{person:?}"));
    }
    for project in &init.projects {
        picture.insert(
            (super::PROJECTS, project.gid.to_string()),
            format!("{project:?}"),
        );
    }
    for own in &init.own_memberships {
        picture.insert(
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
        picture.insert(
            (MEMBERSHIPS, format!("{}/{}", other.project, other.user)),
            shown,
        );
    }
    Some((init.cursor, picture))
}

struct Client {
    user: Gid,
    limits: Limits,
    cursor: i64,
    picture: Picture,
    /// How often it had to begin again, because the feed isn't kept for ever.
    expired: usize,
}

impl Client {
    fn start(connection: &mut AnyConnection, user: Gid, limits: Limits) -> Self {
        let (cursor, picture) = picture(connection, user).unwrap();
        Self {
            user,
            limits,
            cursor,
            picture,
            expired: 0,
        }
    }

    /// Reads a page, and fetches what it speaks of. Whether there is more.
    fn sync(&mut self, connection: &mut AnyConnection) -> bool {
        let since = SyncCursors {
            cc_cursor: Some(self.cursor),
            project: None,
            cursor: None,
        };
        let news = match list_news(connection, self.user.into(), since, (self.limits, false)) {
            Ok(news) => news,
            // Who is deactivated asks again later.
            Err(Error::CallerNotActive) => return false,
            Err(Error::CursorExpired) => {
                (self.cursor, self.picture) = picture(connection, self.user).unwrap();
                self.expired += 1;
                return true;
            }
            Err(error) => panic!("{error}"),
        };
        let (_, now) = picture(connection, self.user).unwrap();
        for row in &news.rows {
            assert!(row.cursor > self.cursor, "{row:?} after {}", self.cursor);
            self.cursor = row.cursor;
            let data_type = [USERS, super::PROJECTS, MEMBERSHIPS]
                .into_iter()
                .find(|t| *t == row.data_type)
                .unwrap();
            let key = (data_type, row.data_key.clone());
            match (row.action, now.get(&key)) {
                (Action::Insert, Some(entry)) => drop(self.picture.insert(key, entry.clone())),
                (Action::Update, Some(entry)) => {
                    // Clients ignore an UPDATE of what they don't have.
                    if let Some(own) = self.picture.get_mut(&key) {
                        own.clone_from(entry);
                    }
                }
                (Action::Delete, None) => drop(self.picture.remove(&key)),
                (action, entry) => panic!("{action} of {key:?}, which is {entry:?}"),
            }
        }
        assert!(news.rows.len() <= self.limits.rows);
        if news.rows.is_empty() {
            assert!(news.position >= self.cursor);
            self.cursor = news.position;
        }
        news.has_more
    }

    fn catch_up(&mut self, connection: &mut AnyConnection) {
        while self.sync(connection) {}
        if let Some((_, now)) = picture(connection, self.user) {
            assert_eq!(self.picture, now);
        }
    }
}

struct World {
    directory: Directory,
    people: Vec<User>,
    projects: Vec<Gid>,
    rng: TestRng,
    made: usize,
}

impl World {
    fn choose(&mut self, count: usize) -> usize {
        use proptest::prelude::Rng;
        usize::try_from(self.rng.next_u32()).unwrap() % count.max(1)
    }

    fn user(&mut self) -> Gid {
        let place = self.choose(self.people.len());
        self.people[place].gid
    }

    fn project(&mut self) -> Gid {
        let place = self.choose(self.projects.len());
        self.projects.get(place).copied().unwrap_or(Gid::NIL)
    }

    async fn new_user(&mut self) -> User {
        self.made += 1;
        let name = format!("user{}", self.made);
        let email = Email::parse(&format!("{name}@example.org")).unwrap();
        let new = NewUser::new(
            RandomIdGenerator.new_gid(),
            Username::parse(&name).unwrap(),
            Some(email),
            DisplayName::parse(&name).unwrap(),
        );
        self.directory.create_user(new).await.unwrap()
    }

    /// Something happens, or is refused.
    async fn step(&mut self) -> String {
        let (user, other, project) = (self.user(), self.user(), self.project());
        let owner = self
            .directory
            .get_project(project)
            .await
            .map_or(Gid::NIL, |project| project.owner);
        let number = self.choose(1000);
        let directory = self.directory.clone();
        let kind = self.choose(23);
        let done = match kind {
            0 | 1 => directory.add_member(project, user).await.map(drop),
            2 | 3 => {
                let name = format!("user{}", number % (self.made + 3) + 1);
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
                let made = directory
                    .create_project(user.into(), name, Timezone::default())
                    .await;
                made.map(|made| self.projects.push(made.gid))
            }
            20 => {
                let status = [UserStatus::Active, UserStatus::Inactive]
                    [usize::from(number.is_multiple_of(4))];
                directory.set_user_status(user, status).await.map(drop)
            }
            21 if number.is_multiple_of(8) => {
                // Whose address may have been invited before.
                let made = self.new_user().await;
                self.people.push(made);
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
        format!("{kind} {user} {project} {number}: {done:?}")
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
        made: 0,
    };
    for _ in 0..PEOPLE {
        let made = world.new_user().await;
        world.people.push(made);
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
        let what = world.step().await;
        // The first of each reads at once, the others now and then, a page at a time.
        let turns: Vec<usize> = readers.iter().map(|_| world.choose(20)).collect();
        let read = move |connection: &mut AnyConnection| {
            for (place, (reader, turn)) in readers.iter_mut().zip(turns).enumerate() {
                if place.is_multiple_of(3) || turn == 0 {
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
            .unwrap_or_else(|error| panic!("{error} at step {step}: {what}"));
    }
    let finish = move |connection: &mut AnyConnection| {
        readers
            .iter_mut()
            .for_each(|reader| reader.catch_up(connection));
        Ok::<_, Error>(readers.iter().map(|reader| reader.expired).sum::<usize>())
    };
    let expired = test.database.read_snapshot(finish).await.unwrap();
    assert!(expired > 0, "nobody read so late that it was too late");
}

#[tokio::test(flavor = "multi_thread")]
async fn syncing_clients_converge_to_init() {
    for seed in 0..2 {
        for test in TestDatabase::both(&MIGRATIONS) {
            run_scenario(&test, seed).await;
        }
    }
}
