//! Whose picture is which, and which belong to nobody. The files are elsewhere, and deleted by whoever keeps them.

use std::time::Duration;

use doorward_domain::{Clock, Gid};
use doorward_storage::AnyConnection;

use crate::{
    Actor, Caller, Directory, Error,
    feed::{self, NewChange},
    model::{Action, User},
    policy::Permission,
    projects::{lifecycle, options::FullProject},
    store,
};

/// How long a new picture may belong to nobody.
const UNASSIGNED_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// Before that ends it is too late: whoever deletes files may have a list from a moment ago, and no transaction takes longer.
const ASSIGN_MARGIN: Duration = Duration::from_secs(60);
const PAGE: i64 = 100;
/// Of names that are forgotten at once.
pub(crate) const MAX_CONFIRMED: usize = 1000;

pub(crate) fn is_extension(text: &str) -> bool {
    ["png", "jpg", "gif", "webp"].contains(&text)
}

impl Directory {
    /// Makes a name for a new picture of a user. Unless it is set, it is discarded, so nothing is left of who gives up.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] for API users, and database errors.
    pub async fn prepare_avatar(&self, caller: Caller, extension: &str) -> Result<String, Error> {
        let (name, clock) = (
            format!("{}.{extension}", self.ids.new_gid()),
            self.clock.clone(),
        );
        let prepare = move |connection: &mut AnyConnection| {
            caller.active_person(connection)?;
            store::media::discard(
                connection,
                &file(&name),
                clock.now().saturating_add(UNASSIGNED_LIFETIME),
            )?;
            Ok(name)
        };
        self.write(prepare).await
    }

    /// Gives a user the picture that was prepared, or none.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] for API users, [`Error::MediaNotFound`], and database errors.
    pub async fn set_avatar(&self, caller: Caller, name: Option<String>) -> Result<User, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| set_avatar(connection, caller, name, &*clock))
            .await
    }

    /// As for an avatar, but the project's icon. Its owner's, also while the project is deleted.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], and database errors.
    pub async fn prepare_icon(
        &self,
        caller: Caller,
        project: Gid,
        extension: &str,
    ) -> Result<String, Error> {
        let (name, clock) = (
            format!("{}.{extension}", self.ids.new_gid()),
            self.clock.clone(),
        );
        let prepare = move |connection: &mut AnyConnection| {
            lifecycle::get_authorized(
                connection,
                Actor::User(caller),
                project,
                Permission::AdministerProject,
            )?;
            store::media::discard(
                connection,
                &icon_path(&name),
                clock.now().saturating_add(UNASSIGNED_LIFETIME),
            )?;
            Ok(name)
        };
        self.write(prepare).await
    }

    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`], [`Error::MediaNotFound`], and database errors.
    pub async fn set_icon(
        &self,
        caller: Caller,
        project: Gid,
        name: Option<String>,
    ) -> Result<FullProject, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| {
            set_icon(connection, caller, project, name.as_deref(), &*clock)
        })
        .await
    }

    /// The file of an icon.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_icon(&self, icon: String) -> Result<Option<String>, Error> {
        let project = icon
            .split_once('.')
            .and_then(|(project, _)| project.parse().ok());
        let Some(project) = project else {
            return Ok(None);
        };
        let find = move |connection: &mut AnyConnection| {
            let found = store::project::find(connection, project)?
                .filter(|found| found.icon.as_ref() == Some(&icon));
            match found {
                Some(found) => store::project::find_icon_file(connection, found.gid),
                None => Ok(None),
            }
        };
        Ok(self.database.query(find).await?)
    }

    /// What is to be deleted now, the longest discarded first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list_discarded_media(&self) -> Result<Vec<String>, Error> {
        let now = self.clock.now();
        Ok(self
            .database
            .query(move |connection| store::media::list_due(connection, now, PAGE))
            .await?)
    }

    /// These were deleted. What isn't to be deleted yet stays listed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn confirm_media_deletion(&self, names: Vec<String>) -> Result<(), Error> {
        let now = self.clock.now();
        self.write(move |connection| Ok(store::media::delete_due(connection, &names, now)?))
            .await
    }
}

fn set_avatar(
    connection: &mut AnyConnection,
    caller: Caller,
    name: Option<String>,
    clock: &dyn Clock,
) -> Result<User, Error> {
    feed::lock(connection)?;
    let mut user = caller.active_person(connection)?.into_user();
    // Also when the answer to the same call got lost.
    if user.avatar == name {
        return Ok(user);
    }
    if let Some(name) = &name
        && !store::media::take_reserved(
            connection,
            &file(name),
            clock.now().saturating_add(ASSIGN_MARGIN),
        )?
    {
        return Err(Error::MediaNotFound);
    }
    discard_avatar(connection, &user, clock)?;
    store::user::set_avatar(connection, user.gid, name.as_deref(), clock.now())?;
    feed::append(
        connection,
        vec![NewChange::user(
            Action::Update,
            user.gid,
            user.status.as_str(),
        )],
        clock,
    )?;
    user.avatar = name;
    Ok(user)
}

fn set_icon(
    connection: &mut AnyConnection,
    caller: Caller,
    project: Gid,
    name: Option<&str>,
    clock: &dyn Clock,
) -> Result<FullProject, Error> {
    feed::lock(connection)?;
    let mut project = lifecycle::get_authorized(
        connection,
        Actor::User(caller),
        project,
        Permission::AdministerProject,
    )?;
    let old = store::project::find_icon_file(connection, project.gid)?;
    // Also when the answer to the same call got lost.
    if old.as_deref() != name {
        let now = clock.now();
        if let Some(name) = name
            && !store::media::take_reserved(
                connection,
                &icon_path(name),
                now.saturating_add(ASSIGN_MARGIN),
            )?
        {
            return Err(Error::MediaNotFound);
        }
        discard_icon(connection, project.gid, clock)?;
        let extension = name.and_then(|name| name.rsplit_once('.'));
        project.icon = extension.map(|(_, extension)| format!("{}.{extension}", project.gid));
        store::project::set_icon(connection, project.gid, project.icon.as_deref(), name, now)?;
        let changes = vec![NewChange::project_updated(&project)];
        feed::append(connection, changes, clock)?;
    }
    let options = store::project_options::get(connection, project.gid)?;
    Ok((project, options))
}

/// The icon of a project that gets another one, or goes.
pub(crate) fn discard_icon(
    connection: &mut AnyConnection,
    project: Gid,
    clock: &dyn Clock,
) -> Result<(), Error> {
    if let Some(file) = store::project::find_icon_file(connection, project)? {
        store::media::discard(connection, &icon_path(&file), clock.now())?;
    }
    Ok(())
}

/// The picture of a user who gets another one, or goes.
pub(crate) fn discard_avatar(
    connection: &mut AnyConnection,
    user: &User,
    clock: &dyn Clock,
) -> Result<(), Error> {
    if let Some(avatar) = &user.avatar {
        store::media::discard(connection, &file(avatar), clock.now())?;
    }
    Ok(())
}

/// The name of an avatar where files are kept.
pub(crate) fn file(avatar: &str) -> String {
    format!("avatars/{avatar}")
}

/// The name of an icon where files are kept.
pub(crate) fn icon_path(name: &str) -> String {
    format!("icons/{name}")
}
