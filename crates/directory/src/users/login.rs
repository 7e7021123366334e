//! Look-up of the user of a login attempt. Passwords and API keys belong to auth; this module only
//! finds the user and says whether a login is allowed.

use doorward_domain::{Gid, UserStatus, Username};
use doorward_storage::AnyConnection;

use crate::{Directory, Error, members::access, model::User, policy, store};

/// Identifier of a user in a login attempt.
#[derive(Debug, Clone)]
pub enum LoginIdentifier {
    /// Text that the user entered.
    Username(String),
    /// Gid of an API user.
    Gid(Gid),
}

impl LoginIdentifier {
    /// Returns the username in the form in which it is compared. A text that is not a valid
    /// username stays unchanged, and a gid gives an empty text.
    #[must_use]
    pub fn normalized(&self) -> String {
        match self {
            Self::Username(text) => Username::normalize_for_lookup(text),
            Self::Gid(_) => String::new(),
        }
    }
}

impl Directory {
    /// Finds the user, and whether they are allowed to log in: to `project`, if it is given. An
    /// unknown user is no error.
    ///
    /// # Errors
    /// Database errors.
    pub async fn find_login(
        &self,
        identifier: LoginIdentifier,
        project: Option<Gid>,
    ) -> Result<Option<(Gid, bool)>, Error> {
        let work = move |connection: &mut AnyConnection| {
            let user = match &identifier {
                LoginIdentifier::Username(text) => match Username::parse_existing(text) {
                    Ok(name) => store::user::find_by_username(connection, name.as_str())?,
                    Err(_) => None,
                },
                LoginIdentifier::Gid(gid) => store::user::find(connection, *gid)?,
            };
            let has_access = match project {
                Some(project) => {
                    // For an unknown user the membership of a dummy user is read, so that the time
                    // does not reveal which users exist.
                    let user = user.as_ref().map_or(Gid::NIL, |user| user.gid);
                    let own = access::find_active_membership(connection, project, user)?;
                    policy::is_allowed(own.map(|own| own.role), policy::Permission::AccessProject)
                }
                None => true,
            };
            Ok(user.map(|user: User| (user.gid, has_access && user.status == UserStatus::Active)))
        };
        Ok(self.database.query(work).await?)
    }
}
