//! Tests of the limits on projects and memberships, also with concurrent calls, on both databases.
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

/// Returns the successful results; all others must have reached the limit.
fn successes<T>(results: Vec<Result<T, Error>>) -> Vec<T> {
    let successes = results.into_iter().filter_map(|result| match result {
        Ok(success) => Some(success),
        Err(Error::LimitReached) => None,
        Err(error) => panic!("{error}"),
    });
    successes.collect()
}

/// Creates projects concurrently until the owner reaches the limit, and returns them.
async fn fill(directory: &Directory, owner: &User) -> Vec<Project> {
    let mut calls = JoinSet::new();
    for _ in 0..12 {
        calls.spawn(create(directory.clone(), owner.gid));
    }
    successes(calls.join_all().await)
}

async fn delete_and_purge(directory: &Directory, owner: &User, project: &Project) {
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
        let ann = fixture.user("ann").await;
        let ben = fixture.user("ben").await;
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
        // An administrator is not bound by the limit, but the projects that they create count.
        delete_and_purge(&directory, &ann, &projects[1]).await;
        delete_and_purge(&directory, &ann, &projects[2]).await;
        for _ in 0..4 {
            fixture.project(&ann, "Created by an administrator").await;
        }
        assert!(fill(&directory, &ann).await.is_empty());
    }
}

#[tokio::test]
async fn transfer_counts_for_the_new_owner() {
    for fixture in both() {
        let directory = limited(&fixture);
        let ann = fixture.user("ann").await;
        let ben = fixture.user("ben").await;
        let project = create(directory.clone(), ann.gid).await.unwrap();
        let others = fill(&directory, &ben).await;
        directory.add_member(project.gid, ben.gid).await.unwrap();
        let rejected = directory
            .transfer_project(Actor::User(ann.gid.into()), project.gid, ben.gid)
            .await;
        assert!(matches!(rejected, Err(Error::LimitReached)), "{rejected:?}");
        assert_eq!(
            directory.get_project(project.gid).await.unwrap().owner,
            ann.gid
        );
        delete_and_purge(&directory, &ben, &others[0]).await;
        directory
            .transfer_project(Actor::User(ann.gid.into()), project.gid, ben.gid)
            .await
            .unwrap();
        assert_eq!(
            fill(&directory, &ann).await.len(),
            3,
            "the project does not count for the previous owner"
        );
        let rejected = directory
            .transfer_project(Actor::User(ben.gid.into()), project.gid, ann.gid)
            .await;
        assert!(matches!(rejected, Err(Error::LimitReached)), "{rejected:?}");
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
        let ann = fixture.user("ann").await;
        let ben = fixture.user("ben").await;
        let project = create(directory.clone(), ann.gid).await.unwrap().gid;
        // The owner is one of the four; half of the calls invite, half create API users.
        let mut calls = JoinSet::new();
        for number in 0..12 {
            let directory = directory.clone();
            let ann = ann.gid;
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
                        .map(|api_user| api_user.user.gid)
                }
            });
        }
        let members = successes(calls.join_all().await);
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
        let rejected = directory
            .invite_member(ann.gid.into(), project, "late@example.org".to_owned())
            .await;
        assert!(matches!(rejected, Err(Error::LimitReached)));
        assert_eq!(
            directory.list_users(None, 100).await.unwrap().len(),
            users,
            "no placeholder account remains"
        );

        // A removed membership does not count. A declined one does, and the user can be invited
        // again. The first of these members is invited or an API user, so one of the calls fails.
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
        let rejected = directory
            .create_api_user(Actor::User(ann.gid.into()), project, "Robot".to_owned())
            .await;
        assert!(matches!(rejected, Err(Error::LimitReached)));
        directory
            .invite_member(ann.gid.into(), project, "ben".to_owned())
            .await
            .unwrap();
        directory
            .accept_invitation(ben.gid.into(), project)
            .await
            .unwrap();
        // An administrator is not bound by the limit.
        let cas = fixture.user("cas").await;
        directory.add_member(project, cas.gid).await.unwrap();
        directory
            .create_api_user(Actor::Administrator, project, "Robot".to_owned())
            .await
            .unwrap();
        assert_eq!(count().await, 6);
    }
}
