//! Tests of members, their roles and their permissions, on both databases.
#![expect(clippy::unwrap_used, reason = "tests stop where something fails")]

mod support;

use doorward_directory::{Actor, Directory, Error};
use doorward_domain::{
    Gid, IdGenerator, MembershipStatus, ProjectStatus, RandomIdGenerator, Role, UserStatus,
};
use support::{Fixture, both};

/// A project with its owner, a member and an API user, and a user who is not a member.
struct ProjectFixture {
    directory: Directory,
    project: Gid,
    owner: Gid,
    member: Gid,
    robot: Gid,
    stranger: Gid,
}

impl ProjectFixture {
    async fn new(fixture: &Fixture) -> Self {
        let directory = fixture.directory.clone().with_outbox();
        let ann = fixture.user("ann").await;
        let ben = fixture.user("ben").await;
        let cas = fixture.user("cas").await;
        let project = fixture.project(&ann, "One").await.gid;
        directory.add_member(project, ben.gid).await.unwrap();
        let robot = directory
            .create_api_user(Actor::Administrator, project, "Robot".to_owned())
            .await
            .unwrap();
        let robot = robot.user.gid;
        Self {
            directory,
            project,
            owner: ann.gid,
            member: ben.gid,
            robot,
            stranger: cas.gid,
        }
    }

    async fn role(&self, user: Gid) -> Option<Role> {
        self.directory
            .find_active_membership(self.project, user)
            .await
            .unwrap()
            .map(|membership| membership.role)
    }

    async fn set_project(&self, status: ProjectStatus) {
        self.directory
            .set_project_status(Actor::Administrator, self.project, status)
            .await
            .unwrap();
    }

    async fn roles(&self) -> [Option<Role>; 4] {
        [
            self.role(self.owner).await,
            self.role(self.member).await,
            self.role(self.robot).await,
            self.role(self.stranger).await,
        ]
    }
}

#[tokio::test]
async fn roles_require_active_membership_and_project() {
    for fixture in both() {
        let setup = ProjectFixture::new(&fixture).await;
        let directory = &setup.directory;
        let all = [Some(Role::Owner), Some(Role::Member), Some(Role::Api), None];
        assert_eq!(setup.roles().await, all);
        setup.set_project(ProjectStatus::Deleted).await;
        assert_eq!(setup.roles().await, [None; 4]);
        setup.set_project(ProjectStatus::Active).await;

        directory
            .set_user_status(setup.member, UserStatus::Inactive)
            .await
            .unwrap();
        assert_eq!(setup.role(setup.member).await, None, "an inactive user");
        directory
            .set_user_status(setup.member, UserStatus::Active)
            .await
            .unwrap();
        directory
            .set_member_status(setup.owner.into(), setup.project, setup.member, false)
            .await
            .unwrap();
        assert_eq!(setup.role(setup.member).await, None, "a deactivated member");
        directory
            .invite_member(setup.owner.into(), setup.project, "cas".to_owned())
            .await
            .unwrap();
        assert_eq!(setup.role(setup.stranger).await, None, "an invited user");
        directory
            .accept_invitation(setup.stranger.into(), setup.project)
            .await
            .unwrap();
        assert_eq!(setup.role(setup.stranger).await, Some(Role::Member));
    }
}

#[tokio::test]
async fn only_the_owner_manages_members() {
    for fixture in both() {
        let setup = ProjectFixture::new(&fixture).await;
        let ProjectFixture {
            directory,
            project,
            owner,
            member,
            robot,
            stranger,
        } = &setup;
        for caller in [*member, *robot, *stranger] {
            let invited = directory
                .invite_member(caller.into(), *project, "cas".to_owned())
                .await;
            let deactivated = directory
                .set_member_status(caller.into(), *project, *owner, false)
                .await;
            // A member is allowed to remove themself, so the member tries to remove the owner.
            let user = if caller == *member { *owner } else { *member };
            let removed = directory
                .remove_member(Actor::User(caller.into()), *project, user)
                .await;
            for result in [invited.map(drop), deactivated.map(drop), removed] {
                assert!(matches!(result, Err(Error::Forbidden)), "{result:?}");
            }
        }
        let unknown_project = directory
            .invite_member(
                (*owner).into(),
                RandomIdGenerator.new_gid(),
                "cas".to_owned(),
            )
            .await;
        assert!(
            matches!(unknown_project, Err(Error::Forbidden)),
            "no such project"
        );
        directory
            .invite_member((*owner).into(), *project, "cas".to_owned())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn user_is_added_to_an_active_project_once() {
    for fixture in both() {
        let setup = ProjectFixture::new(&fixture).await;
        let directory = &setup.directory;
        let project = setup.project;
        let add = async |project, user| directory.add_member(project, user).await;
        assert!(matches!(
            add(RandomIdGenerator.new_gid(), setup.stranger).await,
            Err(Error::ProjectNotFound)
        ));
        assert!(matches!(
            add(project, RandomIdGenerator.new_gid()).await,
            Err(Error::UserNotFound)
        ));
        assert!(matches!(
            add(project, setup.robot).await,
            Err(Error::UserIsApiUser)
        ));
        assert!(matches!(
            add(project, setup.member).await,
            Err(Error::AlreadyMember)
        ));
        setup.set_project(ProjectStatus::Deleted).await;
        assert!(matches!(
            add(project, setup.stranger).await,
            Err(Error::ProjectNotFound)
        ));
        setup.set_project(ProjectStatus::Active).await;
        directory
            .set_user_status(setup.stranger, UserStatus::Inactive)
            .await
            .unwrap();
        assert!(matches!(
            add(project, setup.stranger).await,
            Err(Error::UserNotActive)
        ));

        directory
            .set_member_status(setup.owner.into(), project, setup.member, false)
            .await
            .unwrap();
        assert_eq!(
            add(project, setup.member).await.unwrap().status,
            MembershipStatus::Active
        );
        assert_eq!(
            setup.role(setup.member).await,
            Some(Role::Member),
            "a deactivated member is active again"
        );
    }
}

#[tokio::test]
async fn members_are_listed_in_pages_in_the_order_of_gids() {
    for fixture in both() {
        let setup = ProjectFixture::new(&fixture).await;
        let page = async |after, limit| {
            let page = setup
                .directory
                .list_members(setup.project, after, limit)
                .await
                .unwrap();
            page.into_iter()
                .map(|membership| membership.user)
                .collect::<Vec<_>>()
        };
        let mut all = [setup.owner, setup.member, setup.robot];
        all.sort_unstable();
        assert_eq!(page(None, 10).await, all);
        assert_eq!(page(None, 2).await, all[..2]);
        assert_eq!(page(Some(all[1]), 2).await, all[2..]);
        let unknown_project = setup
            .directory
            .list_members(RandomIdGenerator.new_gid(), None, 10)
            .await;
        assert!(matches!(unknown_project, Err(Error::ProjectNotFound)));
    }
}

#[tokio::test]
async fn placeholder_account_is_deleted_with_its_last_invitation() {
    for fixture in both() {
        let setup = ProjectFixture::new(&fixture).await;
        let directory = &setup.directory;
        let owner = directory.get_user_by_gid(setup.owner).await.unwrap();
        let other = fixture.project(&owner, "Two").await.gid;
        let mut invited = Vec::new();
        for project in [setup.project, other] {
            let member = directory
                .invite_member(owner.gid.into(), project, "dan@example.org".to_owned())
                .await
                .unwrap();
            invited.push(member.user.gid);
        }
        let dan = invited[0];
        let actor = Actor::User(owner.gid.into());
        let remove =
            async |project, user| directory.remove_member(actor, project, user).await.unwrap();
        assert_eq!(invited, [dan, dan]);
        remove(setup.project, dan).await;
        directory.get_user_by_gid(dan).await.unwrap();
        remove(other, dan).await;
        assert!(matches!(
            directory.get_user_by_gid(dan).await,
            Err(Error::UserNotFound)
        ));
        remove(setup.project, setup.member).await;
        directory.get_user_by_gid(setup.member).await.unwrap();
    }
}
