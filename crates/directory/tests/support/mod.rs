//! Test fixture: a directory on each database, with functions that create users and projects.
#![expect(clippy::unwrap_used, reason = "tests stop where something fails")]

use std::sync::Arc;

use doorward_directory::{
    Directory, MIGRATIONS, NewUser,
    model::{Project, User},
};
use doorward_domain::{DisplayName, Email, IdGenerator, RandomIdGenerator, SystemClock, Username};
use doorward_storage::testing::TestDatabase;

pub(crate) struct Fixture {
    pub(crate) directory: Directory,
    _database: TestDatabase,
}

/// Returns a fixture on SQLite and one on PostgreSQL.
pub(crate) fn both() -> Vec<Fixture> {
    TestDatabase::both(&MIGRATIONS)
        .into_iter()
        .map(|test| Fixture {
            directory: Directory::new(
                test.database.clone(),
                Arc::new(SystemClock),
                Arc::new(RandomIdGenerator),
            ),
            _database: test,
        })
        .collect()
}

pub(crate) fn new_user(username: &str) -> NewUser {
    let email = Email::parse(&format!("{username}@example.org")).unwrap();
    NewUser::new(
        RandomIdGenerator.new_gid(),
        Username::parse(username).unwrap(),
        Some(email),
        DisplayName::parse(username).unwrap(),
    )
}

impl Fixture {
    pub(crate) async fn user(&self, username: &str) -> User {
        self.directory
            .create_user(new_user(username))
            .await
            .unwrap()
    }

    pub(crate) async fn project(&self, owner: &User, name: &str) -> Project {
        self.directory
            .create_project_for(
                owner.gid,
                DisplayName::parse(name).unwrap(),
                doorward_domain::Timezone::default(),
            )
            .await
            .unwrap()
    }
}
