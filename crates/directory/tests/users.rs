//! Tests of users and logins, on both databases.

mod support;

use doorward_directory::{Error, LoginIdentifier, NewUser, model::Action};
use doorward_domain::{DisplayName, Email, IdGenerator, RandomIdGenerator, UserStatus, Username};
use support::{both, new_user};

#[tokio::test]
async fn user_is_found_by_any_form_of_username_and_by_gid() {
    for fixture in both() {
        let ann = fixture.user("ann").await;
        let find = async |name: &str| {
            fixture
                .directory
                .find_login(LoginIdentifier::Username(name.to_owned()), None)
                .await
                .unwrap()
        };
        assert_eq!(
            (find("ann").await, find("ａｎｎ").await),
            (Some((ann.gid, true)), Some((ann.gid, true)))
        );
        assert_eq!(
            fixture.directory.get_user_by_gid(ann.gid).await.unwrap(),
            ann
        );
        for unknown in ["Ann", "ben", "", "a b", &"x".repeat(4000)] {
            assert_eq!(find(unknown).await, None, "{unknown}");
        }
    }
}

#[tokio::test]
async fn one_of_ten_concurrent_users_gets_the_username() {
    for fixture in both() {
        let calls = (0..10).map(|_| fixture.directory.create_user(new_user("ann")));
        let mut created = 0;
        for result in futures_util::future::join_all(calls).await {
            match result {
                Ok(_) => created += 1,
                Err(error) => assert!(matches!(error, Error::UsernameTaken), "{error}"),
            }
        }
        assert_eq!(created, 1);
        assert_eq!(fixture.directory.feed_head().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn valid_users_of_a_batch_are_created() {
    for fixture in both() {
        fixture.user("ann").await;
        // The username is an address, but not the user's own.
        let with_foreign_address = NewUser::new(
            RandomIdGenerator.new_gid(),
            Username::parse("ben@example.org").unwrap(),
            Some(Email::parse("carl@example.org").unwrap()),
            DisplayName::parse("Ben").unwrap(),
        );
        let dora = new_user("dora");
        let results = fixture
            .directory
            .create_users(vec![
                new_user("ann"),
                new_user("ben"),
                with_foreign_address,
                dora.clone(),
                dora,
            ])
            .await
            .unwrap();
        let created: Vec<bool> = results.iter().map(Result::is_ok).collect();
        assert_eq!(created, [false, true, false, true, false]);
        assert_eq!(
            fixture.directory.list_users(None, 10).await.unwrap().len(),
            3
        );
    }
}

#[tokio::test]
async fn every_change_and_only_changes_are_in_the_feed() {
    for fixture in both() {
        let ann = fixture.user("ann").await;
        for status in [
            UserStatus::Inactive,
            UserStatus::Inactive,
            UserStatus::Active,
        ] {
            fixture
                .directory
                .set_user_status(ann.gid, status)
                .await
                .unwrap();
        }
        fixture.directory.delete_user(ann.gid).await.unwrap();
        assert!(matches!(
            fixture.directory.delete_user(ann.gid).await,
            Err(Error::UserNotFound)
        ));
        let rows: Vec<_> = fixture
            .directory
            .list_changes(0)
            .await
            .unwrap()
            .into_iter()
            .map(|row| (row.cursor, row.action, row.entry_status))
            .collect();
        let expected = [
            (1, Action::Insert, "active"),
            (2, Action::Update, "inactive"),
            (3, Action::Update, "active"),
            (4, Action::Delete, ""),
        ];
        assert_eq!(
            rows,
            expected.map(|(cursor, action, status)| (cursor, action, status.to_owned()))
        );
    }
}

#[tokio::test]
async fn owner_cannot_be_deleted_and_memberships_are_deleted_with_a_user() {
    for fixture in both() {
        let ann = fixture.user("ann").await;
        let ben = fixture.user("ben").await;
        let project = fixture.project(&ann, "One").await;
        fixture
            .directory
            .add_member(project.gid, ben.gid)
            .await
            .unwrap();
        assert!(matches!(
            fixture.directory.delete_user(ann.gid).await,
            Err(Error::OwnsProjects)
        ));
        fixture.directory.delete_user(ben.gid).await.unwrap();
        let members = fixture
            .directory
            .list_members(project.gid, None, 10)
            .await
            .unwrap();
        assert_eq!(
            members.iter().map(|member| member.user).collect::<Vec<_>>(),
            [ann.gid]
        );
        // A user with the same username is another user, and gets no membership of the first one.
        let new_ben = fixture.user("ben").await;
        assert_ne!(new_ben.gid, ben.gid);
        assert!(
            fixture
                .directory
                .get_init(new_ben.gid.into())
                .await
                .unwrap()
                .projects
                .is_empty()
        );
    }
}
