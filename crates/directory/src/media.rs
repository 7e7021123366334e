//! Whose picture is which, and which belong to nobody. The files are elsewhere, and deleted by whoever keeps them.

use std::time::Duration;

use doorward_domain::{Clock, Gid};
use doorward_storage::AnyConnection;

use crate::{
    Directory, Error,
    accounts::get_active,
    model::{Action, User},
    store::{self, feed},
    users,
};

/// How long a new picture may belong to nobody.
const PREPARED_FOR: Duration = Duration::from_secs(10 * 60);
/// Before that ends it is too late: whoever deletes files may have a list from a moment ago, and no transaction takes longer.
const MARGIN: Duration = Duration::from_secs(60);
const PAGE: i64 = 100;
/// Of names that are forgotten at once.
pub(crate) const MAX_FORGOTTEN: usize = 1000;

pub(crate) fn is_extension(text: &str) -> bool {
    ["png", "jpg", "gif", "webp"].contains(&text)
}

impl Directory {
    /// Makes a name for a new picture of a user. Unless it is set, it is discarded, so nothing is left of who gives up.
    ///
    /// # Errors
    /// [`Error::UserNotActive`], [`Error::Forbidden`] for API users, and those of the database.
    pub async fn prepare_avatar(&self, user: Gid, extension: &str) -> Result<String, Error> {
        let (name, clock) = (format!("{}.{extension}", self.ids.gid()), self.clock.clone());
        let prepare = move |connection: &mut AnyConnection| {
            get_active(connection, user)?;
            store::media::discard(connection, &file(&name), clock.now().plus(PREPARED_FOR))?;
            Ok(name)
        };
        self.database.write(prepare).await
    }

    /// Gives a user the picture that was prepared, or none.
    ///
    /// # Errors
    /// [`Error::UserNotActive`], [`Error::Forbidden`] for API users, [`Error::MediaNotFound`], and those of the database.
    pub async fn set_avatar(&self, user: Gid, name: Option<String>) -> Result<User, Error> {
        let clock = self.clock.clone();
        self.database.write(move |connection| set_avatar(connection, user, name, &*clock)).await
    }

    /// What is to be deleted now, the longest discarded first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list_discarded_media(&self) -> Result<Vec<String>, Error> {
        let now = self.clock.now();
        Ok(self.database.peek(move |connection| store::media::list_due(connection, now, PAGE)).await?)
    }

    /// These were deleted. What isn't to be deleted yet stays listed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_discarded_media(&self, names: Vec<String>) -> Result<(), Error> {
        let now = self.clock.now();
        self.database.write(move |connection| Ok(store::media::forget_due(connection, &names, now)?)).await
    }
}

fn set_avatar(
    connection: &mut AnyConnection,
    user: Gid,
    name: Option<String>,
    clock: &dyn Clock,
) -> Result<User, Error> {
    feed::lock(connection)?;
    let mut user = get_active(connection, user)?;
    // Also when the answer to the same call got lost.
    if user.avatar == name {
        return Ok(user);
    }
    if let Some(name) = &name
        && !store::media::keep(connection, &file(name), clock.now().plus(MARGIN))?
    {
        return Err(Error::MediaNotFound);
    }
    discard_avatar(connection, &user, clock)?;
    store::user::set_avatar(connection, user.gid, name.as_deref(), clock.now())?;
    feed::append(connection, vec![users::change(Action::Update, user.gid, user.status.as_str())], clock)?;
    user.avatar = name;
    Ok(user)
}

/// The picture of a user who gets another one, or goes.
pub(crate) fn discard_avatar(connection: &mut AnyConnection, user: &User, clock: &dyn Clock) -> Result<(), Error> {
    if let Some(avatar) = &user.avatar {
        store::media::discard(connection, &file(avatar), clock.now())?;
    }
    Ok(())
}

/// The name of an avatar where files are kept.
fn file(avatar: &str) -> String {
    format!("avatars/{avatar}")
}
