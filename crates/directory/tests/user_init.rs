//! Tests of the init of a user, on both databases.

#![expect(clippy::unwrap_used, reason = "tests stop where something fails")]

mod support;

use doorward_directory::{Error, Init};
use doorward_domain::{Gid, Role, UserStatus};
use support::{Fixture, both};

async fn init(fixture: &Fixture, user: Gid) -> Init {
    fixture.directory.get_init(user.into()).await.unwrap()
}

#[tokio::test]
async fn user_sees_only_members_of_own_projects() {
    for fixture in both() {
        let ann = fixture.user("ann").await;
        let ben = fixture.user("ben").await;
        let carl = fixture.user("carl").await;
        let dora = fixture.user("dora").await;
        let one = fixture.project(&ann, "One").await;
        let two = fixture.project(&ben, "Two").await;
        let three = fixture.project(&carl, "Three").await;
        for (project, member) in [(&one, &ben), (&two, &ann), (&two, &dora)] {
            fixture
                .directory
                .add_member(project.gid, member.gid)
                .await
                .unwrap();
        }
        let ann_init = init(&fixture, ann.gid).await;
        assert_eq!(ann_init.caller, ann);
        let mut usernames: Vec<_> = ann_init
            .users
            .iter()
            .filter_map(|user| user.username.clone())
            .collect();
        usernames.sort();
        // Ben is in two projects with Ann.
        assert_eq!(usernames, ["ben", "dora"], "each once");
        let mut roles: Vec<_> = ann_init.user_projects().collect();
        roles.sort();
        let mut expected = vec![(one.gid, Role::Owner), (two.gid, Role::Member)];
        expected.sort();
        assert_eq!(roles, expected);
        assert_eq!(ann_init.other_memberships.len(), 3);
        assert!(
            ann_init
                .other_memberships
                .iter()
                .all(|membership| membership.project != three.gid && membership.user != ann.gid)
        );
        assert_eq!(ann_init.owned_projects, [one.gid].into());
        assert_eq!(
            ann_init.cursor,
            fixture.directory.feed_head().await.unwrap()
        );
        let carl_init = init(&fixture, carl.gid).await;
        assert!(carl_init.users.is_empty() && carl_init.other_memberships.is_empty());
    }
}

#[tokio::test]
async fn inactive_user_gets_no_init() {
    for fixture in both() {
        let ann = fixture.user("ann").await;
        fixture
            .directory
            .set_user_status(ann.gid, UserStatus::Inactive)
            .await
            .unwrap();
        assert!(matches!(
            fixture.directory.get_init(ann.gid.into()).await,
            Err(Error::CallerNotActive)
        ));
        assert!(matches!(
            fixture.directory.get_init(Gid::NIL.into()).await,
            Err(Error::CallerNotActive)
        ));
        assert!(matches!(
            fixture.directory.add_member(Gid::NIL, ann.gid).await,
            Err(Error::ProjectNotFound)
        ));
    }
}

#[tokio::test]
async fn inactive_member_is_visible_as_inactive() {
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
            fixture.directory.add_member(project.gid, ben.gid).await,
            Err(Error::AlreadyMember)
        ));
        fixture
            .directory
            .set_user_status(ben.gid, UserStatus::Inactive)
            .await
            .unwrap();
        let ann_init = init(&fixture, ann.gid).await;
        assert_eq!(
            ann_init
                .users
                .iter()
                .map(|user| user.status)
                .collect::<Vec<_>>(),
            [UserStatus::Inactive]
        );
    }
}

/// Checks that the init has exactly the changes up to its cursor, while another task adds members.
#[tokio::test(flavor = "multi_thread")]
async fn init_cursor_matches_its_snapshot() {
    for fixture in both() {
        let ann = fixture.user("ann").await;
        let project = fixture.project(&ann, "One").await;
        let mut users = Vec::new();
        for number in 0..30 {
            users.push(fixture.user(&format!("p{number}")).await);
        }
        let before = fixture.directory.feed_head().await.unwrap();
        let directory = fixture.directory.clone();
        let writer = tokio::spawn(async move {
            for user in users {
                directory.add_member(project.gid, user.gid).await.unwrap();
            }
        });
        loop {
            // The writer is checked first, so that the last iteration has all members.
            let is_done = writer.is_finished();
            let init = init(&fixture, ann.gid).await;
            let changes = fixture.directory.list_changes(before).await.unwrap();
            let included = changes.iter().filter(|change| change.cursor <= init.cursor);
            assert_eq!(included.count(), init.other_memberships.len());
            if is_done {
                break;
            }
        }
        writer.await.unwrap();
    }
}
