//! Creation of projects, and queries of projects without a permission check for administrators and
//! other services.

use doorward_domain::{
    Clock, DisplayName, Gid, MembershipStatus, ProjectStatus, Role, Timezone, UserStatus,
};
use doorward_storage::AnyConnection;

use crate::{
    Caller, Directory, Error,
    feed::{self, NewChange},
    model::{ItemKind, Membership, Project, ProjectItem},
    projects::options::FullProject,
    store,
};

impl Directory {
    /// Creates a project that the caller owns.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] to API users, [`Error::LimitReached`], and
    /// database errors.
    pub async fn create_project(
        &self,
        caller: Caller,
        name: DisplayName,
        timezone: Timezone,
    ) -> Result<Project, Error> {
        let limits = self.limits;
        let find = move |connection: &mut AnyConnection| {
            // API users belong to one project and cannot own another.
            let owner = caller.active_account(connection)?.gid();
            limits.check_projects(connection, owner)?;
            Ok(owner)
        };
        self.create(name, timezone, find).await
    }

    /// Creates a project that a user owns, on behalf of an administrator, who is not bound by the
    /// limit.
    ///
    /// # Errors
    /// [`Error::UserNotFound`], [`Error::UserNotActive`], [`Error::UserIsApiUser`], and database
    /// errors.
    pub async fn create_project_for(
        &self,
        owner: Gid,
        name: DisplayName,
        timezone: Timezone,
    ) -> Result<Project, Error> {
        self.create(name, timezone, move |connection| {
            get_owner(connection, owner)
        })
        .await
    }

    async fn create<F>(
        &self,
        name: DisplayName,
        timezone: Timezone,
        find_owner: F,
    ) -> Result<Project, Error>
    where
        F: FnOnce(&mut AnyConnection) -> Result<Gid, Error> + Send + 'static,
    {
        let clock = self.clock.clone();
        let gid = self.ids.new_gid();
        let main_item = |kind, name: &str| {
            (
                kind,
                ProjectItem {
                    gid: self.ids.new_gid(),
                    name: name.to_owned(),
                },
            )
        };
        // A new project has one item in each list, because orderings and fieldlists must not be
        // empty.
        let items = [
            main_item(ItemKind::Channel, "Main channel"),
            main_item(ItemKind::Ordering, "Main ordering"),
            main_item(ItemKind::Fieldlist, "Main fieldlist"),
        ];
        let languages = self.default_languages.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            let owner = find_owner(connection)?;
            let project = Project {
                gid,
                name: name.to_string(),
                icon: None,
                owner,
                status: ProjectStatus::Active,
                timezone: timezone.to_string(),
            };
            create(connection, project, &items, &languages, &*clock)
        })
        .await
    }

    /// Returns a project, which may be deleted.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`], and database errors.
    pub async fn get_project(&self, gid: Gid) -> Result<Project, Error> {
        self.database
            .read_snapshot(move |connection| {
                store::project::find(connection, gid)?.ok_or(Error::ProjectNotFound)
            })
            .await
    }

    /// Returns a project, which may be deleted, with its options.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`], and database errors.
    pub async fn get_full_project(&self, gid: Gid) -> Result<FullProject, Error> {
        self.database
            .read_snapshot(move |connection| {
                let project =
                    store::project::find(connection, gid)?.ok_or(Error::ProjectNotFound)?;
                let options = store::project_options::get(connection, gid)?;
                Ok(FullProject { project, options })
            })
            .await
    }

    /// Returns a page of projects, deleted ones included, in the order of gids, after the last one
    /// of the previous page.
    ///
    /// # Errors
    /// Database errors.
    pub async fn list_projects(
        &self,
        after: Option<Gid>,
        limit: i64,
    ) -> Result<Vec<Project>, Error> {
        self.database
            .read_snapshot(move |connection| Ok(store::project::list(connection, after, limit)?))
            .await
    }
}

/// Checks that a user can own a project, and returns their gid.
fn get_owner(connection: &mut AnyConnection, gid: Gid) -> Result<Gid, Error> {
    let owner = store::user::find(connection, gid)?.ok_or(Error::UserNotFound)?;
    if owner.status != UserStatus::Active {
        return Err(Error::UserNotActive);
    }
    if owner.is_api_user() {
        Err(Error::UserIsApiUser)
    } else {
        Ok(owner.gid)
    }
}

/// Inserts a project with its options, and the owner as its first member.
fn create(
    connection: &mut AnyConnection,
    project: Project,
    items: &[(ItemKind, ProjectItem)],
    languages: &[String],
    clock: &dyn Clock,
) -> Result<Project, Error> {
    let membership = Membership {
        project: project.gid,
        user: project.owner,
        role: Role::Owner,
        status: MembershipStatus::Active,
        rate_limit_per_second: None,
        notifications: None,
    };
    store::project::insert(connection, &project, clock.now())?;
    store::project_options::insert(connection, project.gid, items, languages)?;
    store::membership::insert(connection, &membership, clock.now())?;
    // The project comes first in the feed, so that a consumer knows it before its membership.
    let changes = vec![
        NewChange::Project {
            before: None,
            after: Some(project.clone()),
        },
        NewChange::Membership {
            before: None,
            after: Some(membership),
        },
    ];
    feed::append(connection, changes, clock)?;
    Ok(project)
}
