//! Avatars of users and icons of projects: which file belongs to which entry, and which files are
//! not used. It does not know the object store: the gateway writes and deletes the files.
//!
//! A new picture has three steps: `prepare_avatar` returns a name and lists it as discarded in 10
//! minutes, the gateway stores the file, and `set_avatar` takes the name off that list. If the
//! second or third step fails, the file is deleted after the 10 minutes.

use std::time::Duration;

use doorward_domain::{Clock, Gid};
use doorward_storage::AnyConnection;

use crate::{
    Actor, Caller, Directory, Error,
    feed::{self, NewChange},
    model::{Action, User},
    policy::Permission,
    projects::{access, options::FullProject},
    store,
};

/// Time after which a prepared picture that was not assigned is deleted.
const UNASSIGNED_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// A prepared picture cannot be assigned any more when it is due within this time: the gateway may
/// already have it in its list of files to delete. No transaction takes longer.
const ASSIGN_MARGIN: Duration = Duration::from_secs(60);
/// Maximum number of discarded files in one list.
const PAGE: i64 = 100;
/// Maximum number of names in one confirmation.
pub(crate) const MAX_CONFIRMED: usize = 1000;

/// Checks whether this is the file extension of a picture format that the gateway encodes.
pub(crate) fn is_extension(text: &str) -> bool {
    ["png", "jpg", "gif", "webp"].contains(&text)
}

impl Directory {
    /// Returns a name for a new avatar of the caller. Unless the avatar is set, its file is deleted
    /// later.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] if the caller is an API user. Database
    /// errors.
    pub async fn prepare_avatar(&self, caller: Caller, extension: &str) -> Result<String, Error> {
        let name = format!("{}.{extension}", self.ids.new_gid());
        let clock = self.clock.clone();
        let prepare = move |connection: &mut AnyConnection| {
            caller.active_account(connection)?;
            store::media::discard(
                connection,
                &file(&name),
                clock.now().saturating_add(UNASSIGNED_LIFETIME),
            )?;
            Ok(name)
        };
        self.write(prepare).await
    }

    /// Sets the caller's avatar to a prepared picture, or removes it. Returns the user.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] if the caller is an API user,
    /// [`Error::MediaNotFound`] if the name was not prepared or is about to be deleted. Database
    /// errors.
    pub async fn set_avatar(&self, caller: Caller, name: Option<String>) -> Result<User, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| set_avatar(connection, caller, name, &*clock))
            .await
    }

    /// Returns a name for a new icon of a project, like [`prepare_avatar`](Self::prepare_avatar).
    /// The caller must be the owner; the project may be deleted.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] if the caller is not the owner. Database
    /// errors.
    pub async fn prepare_icon(
        &self,
        caller: Caller,
        project: Gid,
        extension: &str,
    ) -> Result<String, Error> {
        let name = format!("{}.{extension}", self.ids.new_gid());
        let clock = self.clock.clone();
        let prepare = move |connection: &mut AnyConnection| {
            access::get_authorized(
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

    /// Sets the icon of a project to a prepared picture, or removes it. Returns the project.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] if the caller is not the owner,
    /// [`Error::MediaNotFound`] if the name was not prepared or is about to be deleted. Database
    /// errors.
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

    /// Finds the name of the file of an icon. The icon is public as `<project gid>.<ext>`; the name
    /// of its file changes with each new picture.
    ///
    /// # Errors
    /// Database errors.
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

    /// Returns up to 100 files that are due for deletion, the longest due first.
    ///
    /// # Errors
    /// Database errors.
    pub async fn list_discarded_media(&self) -> Result<Vec<String>, Error> {
        let now = self.clock.now();
        Ok(self
            .database
            .query(move |connection| store::media::list_due(connection, now, PAGE))
            .await?)
    }

    /// Removes deleted files from the list of discarded files. Names that are not due yet stay
    /// listed.
    ///
    /// # Errors
    /// Database errors.
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
    let mut user = caller.active_account(connection)?.into_user();
    // The caller may repeat a call whose response was lost; then nothing is left to do.
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
    let mut project = access::get_authorized(
        connection,
        Actor::User(caller),
        project,
        Permission::AdministerProject,
    )?;
    let old = store::project::find_icon_file(connection, project.gid)?;
    // The caller may repeat a call whose response was lost; then nothing is left to do.
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
    Ok(FullProject { project, options })
}

/// Discards the file of a project's icon, which is replaced or removed.
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

/// Discards the file of a user's avatar, which is replaced or removed.
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

/// Returns the name of an avatar in the object store.
pub(crate) fn file(avatar: &str) -> String {
    format!("avatars/{avatar}")
}

/// Returns the name of an icon in the object store.
pub(crate) fn icon_path(name: &str) -> String {
    format!("icons/{name}")
}
