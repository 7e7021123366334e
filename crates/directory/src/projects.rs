//! Projects.

use doorward_domain::{Clock, DisplayName, Gid, MembershipStatus, ProjectStatus, Role, Timezone, UserStatus};
use doorward_storage::AnyConnection;

use crate::{
    Directory, Error,
    feed::{self, NewChange},
    model::{ItemKind, Membership, Project, ProjectItem, ProjectOptions},
    store,
};

impl Directory {
    /// Makes a project, with its owner as the first member.
    ///
    /// # Errors
    /// [`Error::UserNotFound`], [`Error::UserNotActive`], and those of the database.
    pub async fn create_project(&self, owner: Gid, name: DisplayName, timezone: Timezone) -> Result<Project, Error> {
        let clock = self.clock.clone();
        let project = Project {
            gid: self.ids.gid(),
            name: name.to_string(),
            icon: None,
            owner,
            status: ProjectStatus::Active,
            timezone: timezone.to_string(),
        };
        let main = |kind, name: &str| (kind, ProjectItem { gid: self.ids.gid(), name: name.to_owned() });
        let items = [
            main(ItemKind::Channel, "Main channel"),
            main(ItemKind::Ordering, "Main ordering"),
            main(ItemKind::Fieldlist, "Main fieldlist"),
        ];
        let languages = self.project_languages.clone();
        self.change(move |connection| create(connection, project, &items, &languages, &*clock)).await
    }

    /// # Errors
    /// [`Error::ProjectNotFound`], and those of the database.
    pub async fn get_project(&self, gid: Gid) -> Result<Project, Error> {
        self.database.read(move |connection| store::project::find(connection, gid)?.ok_or(Error::ProjectNotFound)).await
    }

    /// With what it has besides.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`], and those of the database.
    pub async fn get_full_project(&self, gid: Gid) -> Result<(Project, ProjectOptions), Error> {
        self.database
            .read(move |connection| {
                let project = store::project::find(connection, gid)?.ok_or(Error::ProjectNotFound)?;
                Ok((project, store::project_options::get(connection, gid)?))
            })
            .await
    }

    /// A page in the order of gids.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list_projects(&self, after: Option<Gid>, limit: i64) -> Result<Vec<Project>, Error> {
        self.database.read(move |connection| Ok(store::project::list(connection, after, limit)?)).await
    }
}

fn create(
    connection: &mut AnyConnection,
    project: Project,
    items: &[(ItemKind, ProjectItem)],
    languages: &[String],
    clock: &dyn Clock,
) -> Result<Project, Error> {
    feed::lock(connection)?;
    let owner = store::user::find(connection, project.owner)?.ok_or(Error::UserNotFound)?;
    if owner.status != UserStatus::Active {
        return Err(Error::UserNotActive);
    }
    if owner.is_api_user() {
        return Err(Error::ApiUser);
    }
    let membership = Membership {
        project: project.gid,
        user: owner.gid,
        role: Role::Owner,
        status: MembershipStatus::Active,
        rate_limit_per_second: None,
        notifications: None,
    };
    store::project::insert(connection, &project, clock.now())?;
    store::project_options::insert(connection, project.gid, items, languages)?;
    store::membership::insert(connection, &membership, clock.now())?;
    let changes = vec![
        NewChange::Project { before: None, after: Some(project.clone()) },
        NewChange::Membership { before: None, after: Some(membership) },
    ];
    feed::append(connection, changes, clock)?;
    Ok(project)
}

/// Of one that stays in its state.
pub(crate) fn updated(project: &Project) -> NewChange {
    NewChange::Project { before: Some(project.clone()), after: Some(project.clone()) }
}
