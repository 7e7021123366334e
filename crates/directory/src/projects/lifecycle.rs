//! Lifecycle of a project: update, delete and undelete, purge, and transfer to another owner. A
//! deleted project keeps all its rows, so that it can be undeleted; only a purge removes them.

use std::collections::HashSet;

use doorward_domain::{
    DisplayName, Gid, MembershipStatus, ProjectStatus, Role, Timezone, UserStatus,
};
use doorward_storage::AnyConnection;

use crate::{
    Actor, Caller, Directory, Error,
    feed::{self, NewChange},
    media,
    model::{Action, Membership, Project},
    policy::Permission,
    projects::{access, options::FullProject},
    store,
};

/// Fields of a project to set, as the user entered them; a field that is `None` keeps its value.
#[derive(Debug, Clone, Default)]
pub struct ProjectChange {
    pub name: Option<String>,
    pub timezone: Option<String>,
}

impl Directory {
    /// Changes the name or the time zone of a project.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::Malformed`], and database errors.
    pub async fn update_project(
        &self,
        caller: Caller,
        project: Gid,
        wanted: ProjectChange,
    ) -> Result<FullProject, Error> {
        self.change_project(
            Actor::User(caller),
            project,
            Permission::EditProject,
            move |_, project| apply_update(project, &wanted),
        )
        .await
    }

    /// Deletes or undeletes a project.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`] and [`Error::Forbidden`] to a caller, [`Error::ProjectNotFound`]
    /// to an administrator; [`Error::ProjectDeleted`], [`Error::ProjectNotDeleted`]; database
    /// errors.
    pub async fn set_project_status(
        &self,
        actor: Actor,
        project: Gid,
        status: ProjectStatus,
    ) -> Result<FullProject, Error> {
        self.change_project(
            actor,
            project,
            Permission::AdministerProject,
            move |_, project| match (project.status, status) {
                (ProjectStatus::Deleted, ProjectStatus::Deleted) => Err(Error::ProjectDeleted),
                (ProjectStatus::Active, ProjectStatus::Active) => Err(Error::ProjectNotDeleted),
                (ProjectStatus::Active, ProjectStatus::Deleted)
                | (ProjectStatus::Deleted, ProjectStatus::Active) => {
                    Ok(Project { status, ..project })
                }
            },
        )
        .await
    }

    /// Deletes a deleted project permanently, with its memberships, its API users, and the
    /// placeholder accounts that have no other membership.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`] and [`Error::Forbidden`] to a caller, [`Error::ProjectNotFound`]
    /// to an administrator; [`Error::ProjectNotDeleted`]; database errors.
    pub async fn purge_project(&self, actor: Actor, project: Gid) -> Result<(), Error> {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let project =
                access::get_authorized(connection, actor, project, Permission::AdministerProject)?;
            if project.status != ProjectStatus::Deleted {
                return Err(Error::ProjectNotDeleted);
            }
            let mut changes = Vec::new();
            let memberships = store::membership::list_all(connection, project.gid)?;
            // The users are read and deleted with few queries: other writers wait for this
            // transaction, and a project can have thousands of members.
            let placeholders = store::membership::list_placeholders(connection, project.gid)?;
            let placeholders: HashSet<Gid> = placeholders.into_iter().collect();
            store::membership::delete_all_of_project(connection, project.gid)?;
            for membership in &memberships {
                changes.push(NewChange::PurgedMembership(membership.clone()));
                // An API user has no other project. A placeholder account can have other
                // invitations.
                let is_unused = membership.role == Role::Api
                    || placeholders.contains(&membership.user)
                        && store::membership::list_of_user(connection, membership.user)?.is_empty();
                if is_unused {
                    store::user::delete(connection, membership.user)?;
                    changes.push(NewChange::user(Action::Delete, membership.user, ""));
                }
            }
            store::project_options::delete_all(connection, project.gid)?;
            media::discard_icon(connection, project.gid, &*clock)?;
            store::project::delete(connection, project.gid)?;
            changes.push(NewChange::Project {
                before: Some(project),
                after: None,
            });
            feed::append(connection, changes, &*clock)?;
            Ok(())
        })
        .await
    }

    /// Makes an active member the owner; the previous owner stays a member. Returns the project,
    /// and the memberships of the previous owner and of the new one.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`] and [`Error::Forbidden`] to a caller, [`Error::ProjectNotFound`]
    /// to an administrator; [`Error::NotAMember`], [`Error::UserIsApiUser`],
    /// [`Error::UserIsOwner`], [`Error::ProjectDeleted`]; [`Error::LimitReached`] to a caller, if
    /// the new owner owns too many projects; database errors.
    pub async fn transfer_project(
        &self,
        actor: Actor,
        project: Gid,
        new_owner: Gid,
    ) -> Result<(FullProject, [Membership; 2]), Error> {
        let clock = self.clock.clone();
        let limits = self.limits;
        self.write(move |connection| {
            feed::lock(connection)?;
            let old =
                access::get_authorized(connection, actor, project, Permission::AdministerProject)?;
            let memberships_before = get_transfer_memberships(connection, &old, new_owner)?;
            // Otherwise an owner could give any number of projects to a user.
            match actor {
                Actor::Administrator => {}
                Actor::User(_) => limits.check_projects(connection, new_owner)?,
            }
            let [old_owners, new_owners] = memberships_before.clone();
            let memberships = [
                Membership {
                    role: Role::Member,
                    ..old_owners
                },
                Membership {
                    role: Role::Owner,
                    ..new_owners
                },
            ];
            let project = Project {
                owner: new_owner,
                ..old.clone()
            };
            let now = clock.now();
            store::project::update(connection, &project, now)?;
            let mut changes = vec![NewChange::Project {
                before: Some(old),
                after: Some(project.clone()),
            }];
            for (before, membership) in memberships_before.into_iter().zip(&memberships) {
                store::membership::set_role(
                    connection,
                    project.gid,
                    membership.user,
                    membership.role,
                    now,
                )?;
                changes.push(NewChange::Membership {
                    before: Some(before),
                    after: Some(membership.clone()),
                });
            }
            feed::append(connection, changes, &*clock)?;
            let options = store::project_options::get(connection, project.gid)?;
            Ok((FullProject { project, options }, memberships))
        })
        .await
    }

    /// Stores the project that `change` returns, if the actor has the permission. A change without
    /// an effect adds no row to the feed.
    async fn change_project<F>(
        &self,
        actor: Actor,
        project: Gid,
        permission: Permission,
        change: F,
    ) -> Result<FullProject, Error>
    where
        F: FnOnce(&mut AnyConnection, Project) -> Result<Project, Error> + Send + 'static,
    {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let old = access::get_authorized(connection, actor, project, permission)?;
            let new = change(connection, old.clone())?;
            if new != old {
                store::project::update(connection, &new, clock.now())?;
                let changes = vec![NewChange::Project {
                    before: Some(old),
                    after: Some(new.clone()),
                }];
                feed::append(connection, changes, &*clock)?;
            }
            let options = store::project_options::get(connection, new.gid)?;
            Ok(FullProject {
                project: new,
                options,
            })
        })
        .await
    }
}

fn apply_update(project: Project, wanted: &ProjectChange) -> Result<Project, Error> {
    let mut new = project;
    if let Some(name) = &wanted.name {
        new.name = DisplayName::parse(name)
            .map_err(|malformed| Error::Malformed("name", malformed))?
            .to_string();
    }
    if let Some(timezone) = &wanted.timezone {
        let timezone: Timezone = timezone
            .parse()
            .map_err(|malformed| Error::Malformed("timezone", malformed))?;
        new.timezone = timezone.to_string();
    }
    Ok(new)
}

/// Checks that a user can become the owner, and returns the memberships of the present owner and of
/// that user.
///
/// # Errors
/// [`Error::ProjectDeleted`], [`Error::UserIsOwner`], [`Error::UserIsApiUser`];
/// [`Error::NotAMember`] if the user or the membership is not active; database errors.
fn get_transfer_memberships(
    connection: &mut AnyConnection,
    project: &Project,
    new_owner: Gid,
) -> Result<[Membership; 2], Error> {
    if project.status == ProjectStatus::Deleted {
        return Err(Error::ProjectDeleted);
    }
    if new_owner == project.owner {
        return Err(Error::UserIsOwner);
    }
    let old_owners = store::membership::find(connection, project.gid, project.owner)?
        .ok_or(Error::NotAMember)?;
    let new_owners =
        store::membership::find(connection, project.gid, new_owner)?.ok_or(Error::NotAMember)?;
    if new_owners.role == Role::Api {
        return Err(Error::UserIsApiUser);
    }
    let is_active_user = store::user::find(connection, new_owner)?
        .is_some_and(|user| user.status == UserStatus::Active);
    if new_owners.status != MembershipStatus::Active || !is_active_user {
        return Err(Error::NotAMember);
    }
    Ok([old_owners, new_owners])
}
