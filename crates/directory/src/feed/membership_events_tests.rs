//! Notices and listeners that each change of a membership writes. `+1` is the first cursor after those of before.

use std::collections::HashMap;

use doorward_domain::{IdGenerator, MembershipStatus, RandomIdGenerator, Role, Timestamp};
use doorward_storage::testing::TestDatabase;

use super::*;
use crate::{MIGRATIONS, store::feed_subscription::OPEN_ENDED};

const FIRST_CURSOR: i64 = 100;

/// The membership of one user, whose changes follow each other.
struct ProjectFixture {
    test: TestDatabase,
    cursor: i64,
    project_status: ProjectStatus,
    membership: Option<Membership>,
    project: Gid,
    user: Gid,
}

#[derive(Debug, PartialEq, Eq)]
struct Written {
    /// Action and status of the change.
    change: String,
    notices: Vec<String>,
    /// Scopes that the user begins and ceases to listen to.
    listening: Vec<String>,
}

impl ProjectFixture {
    fn new(test: TestDatabase) -> Self {
        let (project, user) = (RandomIdGenerator.new_gid(), RandomIdGenerator.new_gid());
        let project_status = ProjectStatus::Active;
        Self {
            test,
            cursor: FIRST_CURSOR,
            project_status,
            membership: None,
            project,
            user,
        }
    }

    fn member(&self, role: Role, status: MembershipStatus) -> Membership {
        let (project, user) = (self.project, self.user);
        Membership {
            project,
            user,
            role,
            status,
            rate_limit_per_second: None,
            notifications: None,
        }
    }

    /// The membership becomes that of a member.
    async fn becomes(&mut self, status: MembershipStatus) -> Written {
        self.change(Some(self.member(Role::Member, status))).await
    }

    async fn becomes_owner(&mut self) -> Written {
        self.change(Some(self.member(Role::Owner, MembershipStatus::Active)))
            .await
    }

    async fn ends(&mut self) -> Written {
        self.change(None).await
    }

    /// Something changes that decides neither on the role nor on what is visible.
    async fn limit_changes(&mut self) -> Written {
        let limited = |own: &Membership| Membership {
            rate_limit_per_second: Some(9),
            ..own.clone()
        };
        self.change(self.membership.as_ref().map(limited)).await
    }

    async fn change(&mut self, after: Option<Membership>) -> Written {
        let before = std::mem::replace(&mut self.membership, after.clone());
        let (start, project, user) = (self.cursor, self.project, self.user);
        let mut page = FeedPage {
            cursor: start,
            now: Timestamp::from_seconds(1_800_000_000),
            changes: Vec::new(),
            notices: Vec::new(),
            statuses: HashMap::from([(project, self.project_status)]),
        };
        let (was_there, is_there) = (before.is_some(), after.is_some());
        let write = move |connection: &mut AnyConnection| {
            page.append_membership(connection, before.as_ref(), after.as_ref())?;
            let slots = store::membership_slot::list(connection, project, 0, 10)?;
            // Also what has ended with this change.
            let listening = store::feed_subscription::list_since(connection, user, start - 1)?;
            Ok::<_, doorward_storage::Error>((page, slots, listening))
        };
        let (page, slots, listening) = self.test.database.write(write).await.unwrap();
        self.cursor = page.cursor;
        assert_eq!(
            slots.iter().any(|slot| slot.opened_cursor == start + 1),
            !was_there && is_there
        );
        assert_eq!(
            slots.iter().any(|slot| slot.closed_cursor == start + 1),
            was_there && !is_there
        );
        let [change] = page.changes.as_slice() else {
            panic!("{:?}", page.changes)
        };
        let notices = page.notices.iter().map(|notice| {
            let from = notice
                .first_cursor
                .map_or(String::new(), |first| format!("+{}..", first - start));
            let action = format!("{} {} {}", notice.action, notice.data_type, notice.data_key);
            self.named(&format!(
                "{from}+{} {}: {action}",
                notice.cursor - start,
                notice.audience
            ))
        });
        let mut listening: Vec<String> = listening
            .iter()
            .filter(|listener| listener.after_cursor > start || listener.until_cursor != OPEN_ENDED)
            .map(|listener| match listener.until_cursor {
                OPEN_ENDED => self.named(&format!(
                    "{} after +{}",
                    listener.scope,
                    listener.after_cursor - start
                )),
                until => self.named(&format!("{} until +{}", listener.scope, until - start)),
            })
            .collect();
        listening.sort_unstable();
        Written {
            change: format!("{} {}", change.action, change.entry_status),
            notices: notices.collect(),
            listening,
        }
    }

    fn named(&self, text: &str) -> String {
        text.replace(&self.project.to_string(), "herbarium")
            .replace(&self.user.to_string(), "dan")
    }
}

fn written(change: &str, notices: &[&str], listening: &[&str]) -> Written {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Written {
        change: change.to_owned(),
        notices: owned(notices),
        listening: owned(listening),
    }
}

#[tokio::test]
async fn an_invited_user_sees_the_project_and_a_member_all_of_it() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let mut scene = ProjectFixture::new(test);
        let invited = scene.becomes(MembershipStatus::Invited).await;
        let notices = [
            "+1 user/dan: INSERT cc.projects herbarium",
            "+2 user/dan: INSERT cc.projects_members herbarium/dan",
            "+2 project/herbarium: INSERT cc.projects_members herbarium/dan",
            "+3 project/herbarium: INSERT cc.users dan",
        ];
        assert_eq!(
            invited,
            written("INSERT invited", &notices, &["summary/herbarium after +3"])
        );

        let accepted = scene.becomes(MembershipStatus::Active).await;
        let notices = [
            "+1 user/dan: INSERT cc.projects herbarium",
            "+2 user/dan: UPDATE cc.projects_members herbarium/dan",
            "+2 project/herbarium: UPDATE cc.projects_members herbarium/dan",
            "+3..+4 user/dan: INSERT cc.projects_members herbarium/*",
        ];
        let listening = ["project/herbarium after +4", "summary/herbarium until +0"];
        assert_eq!(accepted, written("UPDATE active", &notices, &listening));

        let removed = scene.ends().await;
        let notices = [
            "+1 user/dan: DELETE cc.projects herbarium",
            "+2 user/dan: DELETE cc.projects_members herbarium/dan",
            "+2 project/herbarium: DELETE cc.projects_members herbarium/dan",
            "+3 project/herbarium: DELETE cc.users dan",
            "+4..+5 user/dan: DELETE cc.projects_members herbarium/*",
        ];
        assert_eq!(
            removed,
            written("DELETE ", &notices, &["project/herbarium until +0"])
        );

        scene.becomes(MembershipStatus::Invited).await;
        let declined = scene.becomes(MembershipStatus::Declined).await;
        let notices = [
            "+1 user/dan: DELETE cc.projects herbarium",
            "+2 user/dan: DELETE cc.projects_members herbarium/dan",
            "+2 project/herbarium: UPDATE cc.projects_members herbarium/dan",
            "+3 project/herbarium: DELETE cc.users dan",
        ];
        assert_eq!(
            declined,
            written("UPDATE declined", &notices, &["summary/herbarium until +0"])
        );

        let notices = ["+1 project/herbarium: DELETE cc.projects_members herbarium/dan"];
        assert_eq!(scene.ends().await, written("DELETE ", &notices, &[]));
    }
}

#[tokio::test]
async fn an_inactive_member_sees_nothing_of_the_project() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let mut scene = ProjectFixture::new(test);
        scene.becomes(MembershipStatus::Active).await;
        let own = [
            "+1 user/dan: UPDATE cc.projects_members herbarium/dan",
            "+1 project/herbarium: UPDATE cc.projects_members herbarium/dan",
        ];
        assert_eq!(
            scene.limit_changes().await,
            written("UPDATE active", &own, &[])
        );

        let deactivated = scene.becomes(MembershipStatus::Inactive).await;
        let notices = [
            "+1 user/dan: DELETE cc.projects herbarium",
            "+2 user/dan: DELETE cc.projects_members herbarium/dan",
            "+2 project/herbarium: UPDATE cc.projects_members herbarium/dan",
            "+3 project/herbarium: DELETE cc.users dan",
            "+4..+5 user/dan: DELETE cc.projects_members herbarium/*",
        ];
        assert_eq!(
            deactivated,
            written("UPDATE inactive", &notices, &["project/herbarium until +0"])
        );
        let notices = ["+1 project/herbarium: UPDATE cc.projects_members herbarium/dan"];
        assert_eq!(
            scene.limit_changes().await,
            written("UPDATE inactive", &notices, &[])
        );

        let activated = scene.becomes(MembershipStatus::Active).await;
        let notices = [
            "+1 user/dan: INSERT cc.projects herbarium",
            "+2 user/dan: INSERT cc.projects_members herbarium/dan",
            "+2 project/herbarium: UPDATE cc.projects_members herbarium/dan",
            "+3 project/herbarium: INSERT cc.users dan",
            "+4..+5 user/dan: INSERT cc.projects_members herbarium/*",
        ];
        assert_eq!(
            activated,
            written("UPDATE active", &notices, &["project/herbarium after +5"])
        );

        // An owner sees the limits of others.
        let notices = [
            own[0],
            own[1],
            "+2..+3 user/dan: UPDATE cc.projects_members herbarium/*",
        ];
        assert_eq!(
            scene.becomes_owner().await,
            written("UPDATE active", &notices, &[])
        );
    }
}

#[tokio::test]
async fn a_deleted_project_is_visible_to_its_owner_alone() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let mut scene = ProjectFixture::new(test);
        scene.project_status = ProjectStatus::Deleted;
        assert_eq!(
            scene.becomes(MembershipStatus::Active).await,
            written("INSERT active", &[], &[])
        );
        let notices = [
            "+1 user/dan: INSERT cc.projects herbarium",
            "+2 user/dan: INSERT cc.projects_members herbarium/dan",
        ];
        let listening = ["summary/herbarium after +2"];
        assert_eq!(
            scene.becomes_owner().await,
            written("UPDATE active", &notices, &listening)
        );
        let notices = [
            "+1 user/dan: DELETE cc.projects herbarium",
            "+2 user/dan: DELETE cc.projects_members herbarium/dan",
        ];
        assert_eq!(
            scene.ends().await,
            written("DELETE ", &notices, &["summary/herbarium until +0"])
        );
    }
}
