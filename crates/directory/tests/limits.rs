//! Limits on what users may add, also when they add much at the same time.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests stop where something fails"
)]

mod support;

use doorward_directory::{
    Actor, Directory, Error, Limits,
    model::{Project, User},
};
use doorward_domain::{DisplayName, Gid, ProjectStatus, Timezone};
use support::{Fixture, both};
use tokio::task::JoinSet;

const LIMITS: Limits = Limits {
    projects_per_user: 3,
    members_per_project: 4,
};

fn limited(fixture: &Fixture) -> Directory {
    fixture.directory.clone().with_outbox().with_limits(LIMITS)
}

async fn create(directory: Directory, owner: Gid) -> Result<Project, Error> {
    directory
        .create_project(
            owner.into(),
            DisplayName::parse("One").unwrap(),
            Timezone::default(),
        )
        .await
}

/// Those that were made; all others reached the limit.
fn made<T>(answers: Vec<Result<T, Error>>) -> Vec<T> {
    let made = answers.into_iter().filter_map(|answer| match answer {
        Ok(made) => Some(made),
        Err(Error::LimitReached) => None,
        Err(error) => panic!("{error}"),
    });
    made.collect()
}

async fn fill(directory: &Directory, owner: &User) -> Vec<Project> {
    let mut calls = JoinSet::new();
    for _ in 0..12 {
        calls.spawn(create(directory.clone(), owner.gid));
    }
    made(calls.join_all().await)
}

async fn end(directory: &Directory, owner: &User, project: &Project) {
    let actor = Actor::User(owner.gid.into());
    directory
        .set_project_status(actor, project.gid, ProjectStatus::Deleted)
        .await
        .unwrap();
    directory.purge_project(actor, project.gid).await.unwrap();
}

#[tokio::test]
async fn projects_per_user_are_limited() {
    for fixture in both() {
        let directory = limited(&fixture);
        let (ann, ben) = (fixture.user("ann").await, fixture.user("ben").await);
        let projects = fill(&directory, &ann).await;
        assert_eq!(projects.len(), 3);
        assert_eq!(
            fill(&directory, &ben).await.len(),
            3,
            "each user has a limit of their own"
        );
        // A deleted project counts until it is deleted permanently.
        let actor = Actor::User(ann.gid.into());
        directory
            .set_project_status(actor, projects[0].gid, ProjectStatus::Deleted)
            .await
            .unwrap();
        assert!(matches!(
            create(directory.clone(), ann.gid).await,
            Err(Error::LimitReached)
        ));
        directory
            .purge_project(actor, projects[0].gid)
            .await
            .unwrap();
        assert_eq!(fill(&directory, &ann).await.len(), 1);
        // The command line is not bound, and what it makes counts.
        end(&directory, &ann, &projects[1]).await;
        end(&directory, &ann, &projects[2]).await;
        for _ in 0..4 {
            fixture.project(&ann, "Made by an administrator").await;
        }
        assert!(fill(&directory, &ann).await.is_empty());
    }
}

#[tokio::test]
async fn transfer_counts_for_the_new_owner() {
    for fixture in both() {
        let directory = limited(&fixture);
        let (ann, ben) = (fixture.user("ann").await, fixture.user("ben").await);
        let (project, others) = (
            create(directory.clone(), ann.gid).await.unwrap(),
            fill(&directory, &ben).await,
        );
        directory.add_member(project.gid, ben.gid).await.unwrap();
        let refused = directory
            .transfer_project(Actor::User(ann.gid.into()), project.gid, ben.gid)
            .await;
        assert!(matches!(refused, Err(Error::LimitReached)), "{refused:?}");
        assert_eq!(
            directory.get_project(project.gid).await.unwrap().owner,
            ann.gid
        );
        end(&directory, &ben, &others[0]).await;
        directory
            .transfer_project(Actor::User(ann.gid.into()), project.gid, ben.gid)
            .await
            .unwrap();
        assert_eq!(
            fill(&directory, &ann).await.len(),
            3,
            "it counts for the old owner no more"
        );
        let back = directory
            .transfer_project(Actor::User(ben.gid.into()), project.gid, ann.gid)
            .await;
        assert!(matches!(back, Err(Error::LimitReached)), "{back:?}");
        directory
            .transfer_project(Actor::Administrator, project.gid, ann.gid)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn memberships_per_project_are_limited() {
    for fixture in both() {
        let directory = limited(&fixture);
        let (ann, ben) = (fixture.user("ann").await, fixture.user("ben").await);
        let project = create(directory.clone(), ann.gid).await.unwrap().gid;
        // The owner is one of the four; half of the calls invite, half create API users.
        let mut calls = JoinSet::new();
        for number in 0..12 {
            let (directory, ann) = (directory.clone(), ann.gid);
            calls.spawn(async move {
                if number % 2 == 0 {
                    let name = format!("new{number}@example.org");
                    directory
                        .invite_member(ann.into(), project, name)
                        .await
                        .map(|member| member.user.gid)
                } else {
                    let actor = Actor::User(ann.into());
                    directory
                        .create_api_user(actor, project, "Robot".to_owned())
                        .await
                        .map(|made| made.user.gid)
                }
            });
        }
        let members = made(calls.join_all().await);
        assert_eq!(members.len(), 3);
        let count = async || {
            directory
                .list_members(project, None, 100)
                .await
                .unwrap()
                .len()
        };
        assert_eq!(count().await, 4);
        let users = directory.list_users(None, 100).await.unwrap().len();
        let refused = directory
            .invite_member(ann.gid.into(), project, "late@example.org".to_owned())
            .await;
        assert!(matches!(refused, Err(Error::LimitReached)));
        assert_eq!(
            directory.list_users(None, 100).await.unwrap().len(),
            users,
            "no placeholder is left behind"
        );

        // A removal makes room; one who has declined still counts, and can be invited again.
        directory
            .remove_member(Actor::Administrator, project, members[0])
            .await
            .ok();
        directory
            .delete_api_user(Actor::Administrator, project, members[0])
            .await
            .ok();
        assert_eq!(count().await, 3);
        directory
            .invite_member(ann.gid.into(), project, "ben".to_owned())
            .await
            .unwrap();
        directory
            .decline_invitation(ben.gid.into(), project)
            .await
            .unwrap();
        let refused = directory
            .create_api_user(Actor::User(ann.gid.into()), project, "Robot".to_owned())
            .await;
        assert!(matches!(refused, Err(Error::LimitReached)));
        directory
            .invite_member(ann.gid.into(), project, "ben".to_owned())
            .await
            .unwrap();
        directory
            .accept_invitation(ben.gid.into(), project)
            .await
            .unwrap();
        // The command line is not bound.
        let cas = fixture.user("cas").await;
        directory.add_member(project, cas.gid).await.unwrap();
        directory
            .create_api_user(Actor::Administrator, project, "Robot".to_owned())
            .await
            .unwrap();
        assert_eq!(count().await, 6);
    }
}
