//! What one user may see, on both databases.

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
        let (ann, ben, carl, dora) = (
            fixture.user("ann").await,
            fixture.user("ben").await,
            fixture.user("carl").await,
            fixture.user("dora").await,
        );
        let (one, two, three) = (
            fixture.project(&ann, "One").await,
            fixture.project(&ben, "Two").await,
            fixture.project(&carl, "Three").await,
        );
        for (project, member) in [(&one, &ben), (&two, &ann), (&two, &dora)] {
            fixture
                .directory
                .add_member(project.gid, member.gid)
                .await
                .unwrap();
        }
        let seen = init(&fixture, ann.gid).await;
        assert_eq!(seen.caller, ann);
        let mut people: Vec<_> = seen
            .users
            .iter()
            .filter_map(|person| person.username.clone())
            .collect();
        people.sort();
        assert_eq!(people, ["ben", "dora"], "each once");
        let mut roles: Vec<_> = seen.user_projects().collect();
        roles.sort();
        let mut expected = vec![(one.gid, Role::Owner), (two.gid, Role::Member)];
        expected.sort();
        assert_eq!(roles, expected);
        assert_eq!(seen.other_memberships.len(), 3);
        assert!(
            seen.other_memberships
                .iter()
                .all(|membership| membership.project != three.gid && membership.user != ann.gid)
        );
        assert_eq!(seen.owned_projects, [one.gid].into());
        assert_eq!(seen.cursor, fixture.directory.feed_head().await.unwrap());
        let lonely = init(&fixture, carl.gid).await;
        assert!(lonely.users.is_empty() && lonely.other_memberships.is_empty());
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
        let (ann, ben) = (fixture.user("ann").await, fixture.user("ben").await);
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
        let seen = init(&fixture, ann.gid).await;
        assert_eq!(
            seen.users
                .iter()
                .map(|person| person.status)
                .collect::<Vec<_>>(),
            [UserStatus::Inactive]
        );
    }
}

/// A snapshot's cursor is exactly its position: what is in the answer is in the feed up to it, and nothing else is.
#[tokio::test(flavor = "multi_thread")]
async fn init_cursor_matches_its_snapshot() {
    for fixture in both() {
        let ann = fixture.user("ann").await;
        let project = fixture.project(&ann, "One").await;
        let mut people = Vec::new();
        for number in 0..30 {
            people.push(fixture.user(&format!("p{number}")).await);
        }
        let before = fixture.directory.feed_head().await.unwrap();
        let directory = fixture.directory.clone();
        let writer = tokio::spawn(async move {
            for person in people {
                directory.add_member(project.gid, person.gid).await.unwrap();
            }
        });
        loop {
            let is_done = writer.is_finished();
            let seen = init(&fixture, ann.gid).await;
            let changes = fixture.directory.list_changes(before).await.unwrap();
            let are_seen = changes.iter().filter(|change| change.cursor <= seen.cursor);
            assert_eq!(are_seen.count(), seen.other_memberships.len());
            if is_done {
                break;
            }
        }
        writer.await.unwrap();
    }
}
