//! Adding members, and the rights of members, on both databases.
#![expect(clippy::unwrap_used, reason = "tests stop where something fails")]

mod support;

use doorward_directory::{Actor, Directory, Error};
use doorward_domain::{
    Gid, IdGenerator, MembershipStatus, ProjectStatus, RandomIdGenerator, Role, UserStatus,
};
use support::{Fixture, both};

/// A project with its owner, a member and an API user; and a user who is no member.
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
        let (ann, ben, cas) = (
            fixture.user("ann").await,
            fixture.user("ben").await,
            fixture.user("cas").await,
        );
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
        let scene = ProjectFixture::new(&fixture).await;
        let directory = &scene.directory;
        let all = [Some(Role::Owner), Some(Role::Member), Some(Role::Api), None];
        assert_eq!(scene.roles().await, all);
        scene.set_project(ProjectStatus::Deleted).await;
        assert_eq!(scene.roles().await, [None; 4]);
        scene.set_project(ProjectStatus::Active).await;

        directory
            .set_user_status(scene.member, UserStatus::Inactive)
            .await
            .unwrap();
        assert_eq!(scene.role(scene.member).await, None, "an inactive user");
        directory
            .set_user_status(scene.member, UserStatus::Active)
            .await
            .unwrap();
        directory
            .set_member_status(scene.owner.into(), scene.project, scene.member, false)
            .await
            .unwrap();
        assert_eq!(scene.role(scene.member).await, None, "a deactivated member");
        directory
            .invite_member(scene.owner.into(), scene.project, "cas".to_owned())
            .await
            .unwrap();
        assert_eq!(scene.role(scene.stranger).await, None, "an invited user");
        directory
            .accept_invitation(scene.stranger.into(), scene.project)
            .await
            .unwrap();
        assert_eq!(scene.role(scene.stranger).await, Some(Role::Member));
    }
}

#[tokio::test]
async fn only_the_owner_manages_members() {
    for fixture in both() {
        let scene = ProjectFixture::new(&fixture).await;
        let ProjectFixture {
            directory,
            project,
            owner,
            member,
            robot,
            stranger,
        } = &scene;
        for caller in [*member, *robot, *stranger] {
            let invited = directory
                .invite_member(caller.into(), *project, "cas".to_owned())
                .await;
            let deactivated = directory
                .set_member_status(caller.into(), *project, *owner, false)
                .await;
            let (removed, user) = (
                Actor::User(caller.into()),
                if caller == *member { *owner } else { *member },
            );
            let removed = directory.remove_member(removed, *project, user).await;
            for answer in [invited.map(drop), deactivated.map(drop), removed] {
                assert!(matches!(answer, Err(Error::Forbidden)), "{answer:?}");
            }
        }
        let nowhere = directory
            .invite_member(
                (*owner).into(),
                RandomIdGenerator.new_gid(),
                "cas".to_owned(),
            )
            .await;
        assert!(matches!(nowhere, Err(Error::Forbidden)), "no such project");
        directory
            .invite_member((*owner).into(), *project, "cas".to_owned())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn user_is_added_to_an_active_project_once() {
    for fixture in both() {
        let scene = ProjectFixture::new(&fixture).await;
        let (directory, project) = (&scene.directory, scene.project);
        let add = async |project, user| directory.add_member(project, user).await;
        assert!(matches!(
            add(RandomIdGenerator.new_gid(), scene.stranger).await,
            Err(Error::ProjectNotFound)
        ));
        assert!(matches!(
            add(project, RandomIdGenerator.new_gid()).await,
            Err(Error::UserNotFound)
        ));
        assert!(matches!(
            add(project, scene.robot).await,
            Err(Error::UserIsApiUser)
        ));
        assert!(matches!(
            add(project, scene.member).await,
            Err(Error::AlreadyMember)
        ));
        scene.set_project(ProjectStatus::Deleted).await;
        assert!(matches!(
            add(project, scene.stranger).await,
            Err(Error::ProjectNotFound)
        ));
        scene.set_project(ProjectStatus::Active).await;
        directory
            .set_user_status(scene.stranger, UserStatus::Inactive)
            .await
            .unwrap();
        assert!(matches!(
            add(project, scene.stranger).await,
            Err(Error::UserNotActive)
        ));

        directory
            .set_member_status(scene.owner.into(), project, scene.member, false)
            .await
            .unwrap();
        assert_eq!(
            add(project, scene.member).await.unwrap().status,
            MembershipStatus::Active
        );
        assert_eq!(
            scene.role(scene.member).await,
            Some(Role::Member),
            "a deactivated member is active again"
        );
    }
}

#[tokio::test]
async fn members_are_listed_in_pages_in_the_order_of_gids() {
    for fixture in both() {
        let scene = ProjectFixture::new(&fixture).await;
        let page = async |after, limit| {
            let page = scene
                .directory
                .list_members(scene.project, after, limit)
                .await
                .unwrap();
            page.into_iter()
                .map(|membership| membership.user)
                .collect::<Vec<_>>()
        };
        let mut all = [scene.owner, scene.member, scene.robot];
        all.sort_unstable();
        assert_eq!(page(None, 10).await, all);
        assert_eq!(page(None, 2).await, all[..2]);
        assert_eq!(page(Some(all[1]), 2).await, all[2..]);
        let nowhere = scene
            .directory
            .list_members(RandomIdGenerator.new_gid(), None, 10)
            .await;
        assert!(matches!(nowhere, Err(Error::ProjectNotFound)));
    }
}

#[tokio::test]
async fn placeholder_account_is_deleted_with_its_last_invitation() {
    for fixture in both() {
        let scene = ProjectFixture::new(&fixture).await;
        let directory = &scene.directory;
        let owner = directory.get_user_by_gid(scene.owner).await.unwrap();
        let other = fixture.project(&owner, "Two").await.gid;
        let mut invited = Vec::new();
        for project in [scene.project, other] {
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
        remove(scene.project, dan).await;
        directory.get_user_by_gid(dan).await.unwrap();
        remove(other, dan).await;
        assert!(matches!(
            directory.get_user_by_gid(dan).await,
            Err(Error::UserNotFound)
        ));
        remove(scene.project, scene.member).await;
        directory.get_user_by_gid(scene.member).await.unwrap();
    }
}
