//! Tests of avatars and discarded media, on both databases.
#![expect(clippy::unwrap_used, reason = "tests stop where something fails")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use doorward_directory::{Actor, Directory, Error, MIGRATIONS, NewUser, model::User};
use doorward_domain::{
    Clock, DisplayName, IdGenerator, RandomIdGenerator, Timestamp, UserStatus, Username,
};
use doorward_storage::testing::TestDatabase;

#[derive(Default)]
struct ManualClock(AtomicI64);

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::SeqCst))
    }
}

impl ManualClock {
    fn advance(&self, time: Duration) {
        self.0
            .fetch_add(time.as_secs().try_into().unwrap(), Ordering::SeqCst);
    }
}

struct Fixture {
    directory: Directory,
    clock: Arc<ManualClock>,
    _database: TestDatabase,
}

fn both() -> Vec<Fixture> {
    let fixture = |test: TestDatabase| {
        let clock = Arc::new(ManualClock::default());
        let directory = Directory::new(
            test.database.clone(),
            clock.clone(),
            Arc::new(RandomIdGenerator),
        );
        Fixture {
            directory,
            clock,
            _database: test,
        }
    };
    TestDatabase::both(&MIGRATIONS)
        .into_iter()
        .map(fixture)
        .collect()
}

impl Fixture {
    async fn user(&self, username: &str) -> User {
        let gid = RandomIdGenerator.new_gid();
        let name = DisplayName::parse(username).unwrap();
        let new = NewUser::new(gid, Username::parse(username).unwrap(), None, name);
        self.directory.create_user(new).await.unwrap()
    }

    async fn prepare(&self, user: &User) -> String {
        self.directory
            .prepare_avatar(user.gid.into(), "png")
            .await
            .unwrap()
    }

    async fn set(&self, user: &User, name: &str) -> Result<User, Error> {
        self.directory
            .set_avatar(user.gid.into(), Some(name.to_owned()))
            .await
    }

    async fn discarded(&self) -> Vec<String> {
        self.directory.list_discarded_media().await.unwrap()
    }

    async fn head(&self) -> i64 {
        self.directory.feed_head().await.unwrap()
    }
}

fn file(name: &str) -> String {
    format!("avatars/{name}")
}

#[tokio::test]
async fn new_picture_discards_the_previous_one() {
    for fixture in both() {
        let ann = fixture.user("ann").await;
        let first = fixture.prepare(&ann).await;
        assert!(first.ends_with(".png") && first.len() == 40, "{first}");
        let head = fixture.head().await;
        assert_eq!(
            fixture.set(&ann, &first).await.unwrap().avatar.as_deref(),
            Some(first.as_str())
        );
        assert_eq!(
            fixture
                .directory
                .get_user_by_gid(ann.gid)
                .await
                .unwrap()
                .avatar
                .as_deref(),
            Some(first.as_str())
        );
        // A client repeats the call if it did not get the response.
        assert_eq!(
            fixture.set(&ann, &first).await.unwrap().avatar.as_deref(),
            Some(first.as_str())
        );
        assert_eq!(
            (fixture.head().await, fixture.discarded().await),
            (head + 1, Vec::new())
        );

        let second = fixture.prepare(&ann).await;
        fixture.set(&ann, &second).await.unwrap();
        assert_eq!(fixture.discarded().await, [file(&first)]);
        fixture.clock.advance(Duration::from_secs(1));
        for _ in 0..2 {
            assert_eq!(
                fixture
                    .directory
                    .set_avatar(ann.gid.into(), None)
                    .await
                    .unwrap()
                    .avatar,
                None
            );
        }
        assert_eq!(fixture.head().await, head + 3);
        assert_eq!(fixture.discarded().await, [file(&first), file(&second)]);
        fixture
            .directory
            .confirm_media_deletion(vec![file(&first), file("x")])
            .await
            .unwrap();
        assert_eq!(fixture.discarded().await, [file(&second)]);
    }
}

#[tokio::test]
async fn unassigned_upload_is_discarded_after_ten_minutes() {
    for fixture in both() {
        let ann = fixture.user("ann").await;
        let ben = fixture.user("ben").await;
        let first = fixture.prepare(&ann).await;
        let second = fixture.prepare(&ann).await;
        // A confirmation has no effect before the file is due for deletion.
        fixture
            .directory
            .confirm_media_deletion(vec![file(&first), file(&second)])
            .await
            .unwrap();
        fixture.clock.advance(Duration::from_secs(9 * 60 - 1));
        fixture.set(&ann, &first).await.unwrap();
        fixture.clock.advance(Duration::from_secs(1));
        assert!(fixture.discarded().await.is_empty());
        // Nine minutes after the upload is too late, and a file of another user or an unknown file
        // is never accepted.
        for name in [
            second.as_str(),
            "0f8fad5b-d9cb-469f-a165-70867728950e.png",
            "",
            &first,
        ] {
            assert!(
                matches!(fixture.set(&ben, name).await, Err(Error::MediaNotFound)),
                "{name}"
            );
        }
        fixture.clock.advance(Duration::from_secs(60));
        assert_eq!(fixture.discarded().await, [file(&second)]);
    }
}

#[tokio::test]
async fn picture_of_a_deleted_user_is_discarded() {
    for fixture in both() {
        let ann = fixture.user("ann").await;
        let ben = fixture.user("ben").await;
        let avatar = fixture.prepare(&ann).await;
        fixture.set(&ann, &avatar).await.unwrap();
        fixture.directory.delete_user(ben.gid).await.unwrap();
        assert!(fixture.discarded().await.is_empty());
        fixture.directory.delete_user(ann.gid).await.unwrap();
        assert_eq!(fixture.discarded().await, [file(&avatar)]);
    }
}

#[tokio::test]
async fn pictures_require_an_active_account() {
    for fixture in both() {
        let ann = fixture.user("ann").await;
        let ben = fixture.user("ben").await;
        let project = fixture
            .directory
            .create_project_for(
                ann.gid,
                DisplayName::parse("One").unwrap(),
                doorward_domain::Timezone::default(),
            )
            .await
            .unwrap();
        let robot = fixture
            .directory
            .create_api_user(Actor::Administrator, project.gid, "Robot".to_owned())
            .await
            .unwrap()
            .user;
        let name = fixture.prepare(&ben).await;
        fixture
            .directory
            .set_user_status(ben.gid, UserStatus::Inactive)
            .await
            .unwrap();
        for avatar in [None, Some(name.clone())] {
            let set = |user: &User| {
                fixture
                    .directory
                    .set_avatar(user.gid.into(), avatar.clone())
            };
            assert!(matches!(set(&robot).await, Err(Error::Forbidden)));
            assert!(matches!(set(&ben).await, Err(Error::CallerNotActive)));
        }
        assert!(matches!(
            fixture
                .directory
                .prepare_avatar(robot.gid.into(), "png")
                .await,
            Err(Error::Forbidden)
        ));
        assert!(matches!(
            fixture
                .directory
                .prepare_avatar(ben.gid.into(), "png")
                .await,
            Err(Error::CallerNotActive)
        ));
    }
}

#[tokio::test]
async fn discarded_list_is_limited_to_a_hundred() {
    for fixture in both() {
        let ann = fixture.user("ann").await;
        for _ in 0..101 {
            fixture.prepare(&ann).await;
        }
        fixture.clock.advance(Duration::from_secs(600));
        let names = fixture.discarded().await;
        assert_eq!(names.len(), 100);
        fixture
            .directory
            .confirm_media_deletion(names)
            .await
            .unwrap();
        assert_eq!(fixture.discarded().await.len(), 1);
    }
}
