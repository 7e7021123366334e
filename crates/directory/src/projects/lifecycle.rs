//! A project's life: changed, deleted, brought back, ended for ever, handed over.

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
    policy::{self, Permission},
    projects::options::FullProject,
    store,
};

/// What somebody changes about a project; None stays as it is. As typed.
#[derive(Debug, Clone, Default)]
pub struct ProjectChange {
    pub name: Option<String>,
    pub timezone: Option<String>,
}

impl Directory {
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::Malformed`], and database errors.
    pub async fn update_project(
        &self,
        caller: Caller,
        project: Gid,
        wanted: ProjectChange,
    ) -> Result<FullProject, Error> {
        self.change_project(
            (Actor::User(caller), project, Permission::EditProject),
            move |_, project| apply_update(project, &wanted),
        )
        .await
    }

    /// Deletes a project so that it can be brought back, or brings it back.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] to a caller, [`Error::ProjectNotFound`] to an administrator; [`Error::ProjectDeleted`],
    /// [`Error::ProjectNotDeleted`]; those of the database.
    pub async fn set_project_status(
        &self,
        actor: Actor,
        project: Gid,
        status: ProjectStatus,
    ) -> Result<FullProject, Error> {
        self.change_project(
            (actor, project, Permission::AdministerProject),
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

    /// Ends a deleted project for ever, with its memberships and API users.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::ProjectNotDeleted`], and database errors.
    pub async fn purge_project(&self, actor: Actor, project: Gid) -> Result<(), Error> {
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let project =
                get_authorized(connection, actor, project, Permission::AdministerProject)?;
            if project.status != ProjectStatus::Deleted {
                return Err(Error::ProjectNotDeleted);
            }
            let mut changes = Vec::new();
            let all = store::membership::list_all(connection, project.gid)?;
            // All at once: a project may have many members, and other writers wait.
            let placeholders = store::membership::list_placeholders(connection, project.gid)?;
            let placeholders: HashSet<Gid> = placeholders.into_iter().collect();
            store::membership::delete_all_of_project(connection, project.gid)?;
            for membership in &all {
                changes.push(NewChange::PurgedMembership(membership.clone()));
                let is_gone = membership.role == Role::Api
                    || placeholders.contains(&membership.user)
                        && store::membership::list_of_user(connection, membership.user)?.is_empty();
                if is_gone {
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

    /// Makes an active member the owner; the old owner stays a member. With both memberships.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] to a caller, [`Error::ProjectNotFound`] to an administrator; [`Error::NotAMember`],
    /// [`Error::UserIsApiUser`], [`Error::UserIsOwner`], [`Error::ProjectDeleted`], [`Error::LimitReached`] of the new owner, and those of
    /// the database.
    pub async fn transfer_project(
        &self,
        actor: Actor,
        project: Gid,
        heir: Gid,
    ) -> Result<(FullProject, [Membership; 2]), Error> {
        let (clock, limits) = (self.clock.clone(), self.limits);
        self.write(move |connection| {
            feed::lock(connection)?;
            let old = get_authorized(connection, actor, project, Permission::AdministerProject)?;
            let [own, heirs] = transfer_memberships(connection, &old, heir)?;
            match actor {
                Actor::Administrator => {}
                Actor::User(_) => limits.check_projects(connection, heir)?,
            }
            let memberships = [
                Membership {
                    role: Role::Member,
                    ..own.clone()
                },
                Membership {
                    role: Role::Owner,
                    ..heirs.clone()
                },
            ];
            let memberships_before = [own, heirs];
            let project = Project {
                owner: heir,
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
            Ok(((project, options), memberships))
        })
        .await
    }

    async fn change_project<F>(
        &self,
        who: (Actor, Gid, Permission),
        change_it: F,
    ) -> Result<FullProject, Error>
    where
        F: FnOnce(&mut AnyConnection, Project) -> Result<Project, Error> + Send + 'static,
    {
        let (clock, (actor, project, deed)) = (self.clock.clone(), who);
        self.write(move |connection| {
            feed::lock(connection)?;
            let old = get_authorized(connection, actor, project, deed)?;
            let new = change_it(connection, old.clone())?;
            if new != old {
                store::project::update(connection, &new, clock.now())?;
                let changes = vec![NewChange::Project {
                    before: Some(old),
                    after: Some(new.clone()),
                }];
                feed::append(connection, changes, &*clock)?;
            }
            let options = store::project_options::get(connection, new.gid)?;
            Ok((new, options))
        })
        .await
    }
}

/// The project, if the caller may. Its owner may what is the owner's also while it is deleted.
pub(crate) fn get_authorized(
    connection: &mut AnyConnection,
    actor: Actor,
    project: Gid,
    deed: Permission,
) -> Result<Project, Error> {
    let caller = actor.active(connection)?;
    let found = store::project::find(connection, project)?;
    let Some(caller) = caller else {
        return found.ok_or(Error::ProjectNotFound);
    };
    let project = found.ok_or(Error::Forbidden)?;
    let own = store::membership::find(connection, project.gid, caller.gid())?;
    let own = own
        .filter(|own| own.status == MembershipStatus::Active)
        .ok_or(Error::Forbidden)?;
    let standing = match own.role {
        Role::Owner => Some(Role::Owner),
        Role::Member | Role::Api => policy::active_role(project.status, own.status, own.role),
    };
    if policy::is_allowed(standing, deed) {
        Ok(project)
    } else {
        Err(Error::Forbidden)
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

/// The memberships of the old owner and of the new one to be.
fn transfer_memberships(
    connection: &mut AnyConnection,
    project: &Project,
    heir: Gid,
) -> Result<[Membership; 2], Error> {
    if project.status == ProjectStatus::Deleted {
        return Err(Error::ProjectDeleted);
    }
    if heir == project.owner {
        return Err(Error::UserIsOwner);
    }
    let own = store::membership::find(connection, project.gid, project.owner)?
        .ok_or(Error::NotAMember)?;
    let heirs = store::membership::find(connection, project.gid, heir)?.ok_or(Error::NotAMember)?;
    if heirs.role == Role::Api {
        return Err(Error::UserIsApiUser);
    }
    let is_active =
        store::user::find(connection, heir)?.is_some_and(|user| user.status == UserStatus::Active);
    if heirs.status != MembershipStatus::Active || !is_active {
        return Err(Error::NotAMember);
    }
    Ok([own, heirs])
}
