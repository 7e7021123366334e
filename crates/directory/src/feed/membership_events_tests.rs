//! Events and subscriptions that each change of a membership writes. `+1` is the first cursor of
//! the change.

use std::collections::HashMap;

use doorward_domain::{IdGenerator, MembershipStatus, RandomIdGenerator, Role, Timestamp};
use doorward_storage::testing::TestDatabase;

use super::*;
use crate::{MIGRATIONS, store::feed_subscription::OPEN_ENDED};

const FIRST_CURSOR: i64 = 100;

/// One user's membership, which the tests change step by step.
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
    events: Vec<String>,
    /// Subscriptions of the user that the change opens or closes.
    subscriptions: Vec<String>,
}

impl ProjectFixture {
    fn new(test: TestDatabase) -> Self {
        Self {
            test,
            cursor: FIRST_CURSOR,
            project_status: ProjectStatus::Active,
            membership: None,
            project: RandomIdGenerator.new_gid(),
            user: RandomIdGenerator.new_gid(),
        }
    }

    fn member(&self, role: Role, status: MembershipStatus) -> Membership {
        Membership {
            project: self.project,
            user: self.user,
            role,
            status,
            rate_limit_per_second: None,
            notifications: None,
        }
    }

    /// Gives the membership a status and the role of a member.
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

    /// Changes the rate limit, which affects neither the role nor the visibility.
    async fn limit_changes(&mut self) -> Written {
        let limited = |own: &Membership| Membership {
            rate_limit_per_second: Some(9),
            ..own.clone()
        };
        self.change(self.membership.as_ref().map(limited)).await
    }

    async fn change(&mut self, after: Option<Membership>) -> Written {
        let before = std::mem::replace(&mut self.membership, after.clone());
        let start = self.cursor;
        let project = self.project;
        let user = self.user;
        let mut page = FeedPage {
            cursor: start,
            now: Timestamp::from_seconds(1_800_000_000),
            changes: Vec::new(),
            events: Vec::new(),
            statuses: HashMap::from([(project, self.project_status)]),
        };
        let existed = before.is_some();
        let exists = after.is_some();
        let write = move |connection: &mut AnyConnection| {
            page.append_membership(connection, before.as_ref(), after.as_ref())?;
            let slots = store::membership_slot::list(connection, project, 0, 10)?;
            // `start - 1` includes the subscriptions that this change has closed at `start`.
            let subscriptions = store::feed_subscription::list_since(connection, user, start - 1)?;
            Ok::<_, doorward_storage::Error>((page, slots, subscriptions))
        };
        let (page, slots, subscriptions) = self.test.database.write(write).await.unwrap();
        self.cursor = page.cursor;
        assert_eq!(
            slots.iter().any(|slot| slot.opened_cursor == start + 1),
            !existed && exists
        );
        assert_eq!(
            slots.iter().any(|slot| slot.closed_cursor == start + 1),
            existed && !exists
        );
        let [change] = page.changes.as_slice() else {
            panic!("{:?}", page.changes)
        };
        let events = page.events.iter().map(|event| {
            let from = event
                .first_cursor
                .map_or(String::new(), |first| format!("+{}..", first - start));
            let action = format!("{} {} {}", event.action, event.data_type, event.data_key);
            self.named(&format!(
                "{from}+{} {}: {action}",
                event.cursor - start,
                event.audience
            ))
        });
        let mut subscriptions: Vec<String> = subscriptions
            .iter()
            .filter(|subscription| {
                subscription.after_cursor > start || subscription.until_cursor != OPEN_ENDED
            })
            .map(|subscription| match subscription.until_cursor {
                OPEN_ENDED => self.named(&format!(
                    "{} after +{}",
                    subscription.audience,
                    subscription.after_cursor - start
                )),
                until => self.named(&format!(
                    "{} until +{}",
                    subscription.audience,
                    until - start
                )),
            })
            .collect();
        subscriptions.sort_unstable();
        Written {
            change: format!("{} {}", change.action, change.entry_status),
            events: events.collect(),
            subscriptions,
        }
    }

    /// Replaces gids by the names that the tests use.
    fn named(&self, text: &str) -> String {
        text.replace(&self.project.to_string(), "herbarium")
            .replace(&self.user.to_string(), "dan")
    }
}

fn written(change: &str, events: &[&str], subscriptions: &[&str]) -> Written {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Written {
        change: change.to_owned(),
        events: owned(events),
        subscriptions: owned(subscriptions),
    }
}

#[tokio::test]
async fn an_invited_user_sees_the_project_and_a_member_all_of_it() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let mut fixture = ProjectFixture::new(test);
        let invited = fixture.becomes(MembershipStatus::Invited).await;
        let events = [
            "+1 user/dan: INSERT cc.projects herbarium",
            "+2 user/dan: INSERT cc.projects_members herbarium/dan",
            "+2 project/herbarium: INSERT cc.projects_members herbarium/dan",
            "+3 project/herbarium: INSERT cc.users dan",
        ];
        assert_eq!(
            invited,
            written("INSERT invited", &events, &["summary/herbarium after +3"])
        );

        let accepted = fixture.becomes(MembershipStatus::Active).await;
        let events = [
            "+1 user/dan: INSERT cc.projects herbarium",
            "+2 user/dan: UPDATE cc.projects_members herbarium/dan",
            "+2 project/herbarium: UPDATE cc.projects_members herbarium/dan",
            "+3..+4 user/dan: INSERT cc.projects_members herbarium/*",
        ];
        let subscriptions = ["project/herbarium after +4", "summary/herbarium until +0"];
        assert_eq!(accepted, written("UPDATE active", &events, &subscriptions));

        let removed = fixture.ends().await;
        let events = [
            "+1 user/dan: DELETE cc.projects herbarium",
            "+2 user/dan: DELETE cc.projects_members herbarium/dan",
            "+2 project/herbarium: DELETE cc.projects_members herbarium/dan",
            "+3 project/herbarium: DELETE cc.users dan",
            "+4..+5 user/dan: DELETE cc.projects_members herbarium/*",
        ];
        assert_eq!(
            removed,
            written("DELETE ", &events, &["project/herbarium until +0"])
        );

        fixture.becomes(MembershipStatus::Invited).await;
        let declined = fixture.becomes(MembershipStatus::Declined).await;
        let events = [
            "+1 user/dan: DELETE cc.projects herbarium",
            "+2 user/dan: DELETE cc.projects_members herbarium/dan",
            "+2 project/herbarium: UPDATE cc.projects_members herbarium/dan",
            "+3 project/herbarium: DELETE cc.users dan",
        ];
        assert_eq!(
            declined,
            written("UPDATE declined", &events, &["summary/herbarium until +0"])
        );

        let events = ["+1 project/herbarium: DELETE cc.projects_members herbarium/dan"];
        assert_eq!(fixture.ends().await, written("DELETE ", &events, &[]));
    }
}

#[tokio::test]
async fn an_inactive_member_sees_nothing_of_the_project() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let mut fixture = ProjectFixture::new(test);
        fixture.becomes(MembershipStatus::Active).await;
        let own = [
            "+1 user/dan: UPDATE cc.projects_members herbarium/dan",
            "+1 project/herbarium: UPDATE cc.projects_members herbarium/dan",
        ];
        assert_eq!(
            fixture.limit_changes().await,
            written("UPDATE active", &own, &[])
        );

        let deactivated = fixture.becomes(MembershipStatus::Inactive).await;
        let events = [
            "+1 user/dan: DELETE cc.projects herbarium",
            "+2 user/dan: DELETE cc.projects_members herbarium/dan",
            "+2 project/herbarium: UPDATE cc.projects_members herbarium/dan",
            "+3 project/herbarium: DELETE cc.users dan",
            "+4..+5 user/dan: DELETE cc.projects_members herbarium/*",
        ];
        assert_eq!(
            deactivated,
            written("UPDATE inactive", &events, &["project/herbarium until +0"])
        );
        let events = ["+1 project/herbarium: UPDATE cc.projects_members herbarium/dan"];
        assert_eq!(
            fixture.limit_changes().await,
            written("UPDATE inactive", &events, &[])
        );

        let activated = fixture.becomes(MembershipStatus::Active).await;
        let events = [
            "+1 user/dan: INSERT cc.projects herbarium",
            "+2 user/dan: INSERT cc.projects_members herbarium/dan",
            "+2 project/herbarium: UPDATE cc.projects_members herbarium/dan",
            "+3 project/herbarium: INSERT cc.users dan",
            "+4..+5 user/dan: INSERT cc.projects_members herbarium/*",
        ];
        assert_eq!(
            activated,
            written("UPDATE active", &events, &["project/herbarium after +5"])
        );

        // An owner sees the rate limits of other members.
        let events = [
            own[0],
            own[1],
            "+2..+3 user/dan: UPDATE cc.projects_members herbarium/*",
        ];
        assert_eq!(
            fixture.becomes_owner().await,
            written("UPDATE active", &events, &[])
        );
    }
}

#[tokio::test]
async fn a_deleted_project_is_visible_to_its_owner_alone() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let mut fixture = ProjectFixture::new(test);
        fixture.project_status = ProjectStatus::Deleted;
        assert_eq!(
            fixture.becomes(MembershipStatus::Active).await,
            written("INSERT active", &[], &[])
        );
        let events = [
            "+1 user/dan: INSERT cc.projects herbarium",
            "+2 user/dan: INSERT cc.projects_members herbarium/dan",
        ];
        let subscriptions = ["summary/herbarium after +2"];
        assert_eq!(
            fixture.becomes_owner().await,
            written("UPDATE active", &events, &subscriptions)
        );
        let events = [
            "+1 user/dan: DELETE cc.projects herbarium",
            "+2 user/dan: DELETE cc.projects_members herbarium/dan",
        ];
        assert_eq!(
            fixture.ends().await,
            written("DELETE ", &events, &["summary/herbarium until +0"])
        );
    }
}
