//! Who wants to log in.

use doorward_domain::{Gid, UserStatus, Username};
use doorward_storage::AnyConnection;

use crate::{Directory, Error, members::access, model::User, policy, store};

/// By what somebody is named at a login.
#[derive(Debug, Clone)]
pub enum LoginIdentifier {
    /// As typed.
    Username(String),
    /// An API user.
    Gid(Gid),
}

impl LoginIdentifier {
    /// The name as it is compared; what can be nobody's name stays as it was typed.
    #[must_use]
    pub fn normalized(&self) -> String {
        match self {
            Self::Username(text) => Username::normalize_for_lookup(text),
            Self::Gid(_) => String::new(),
        }
    }
}

impl Directory {
    /// Who that is, and whether they may log in, here or at a project's door. Finding nobody is no error.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_login(
        &self,
        who: LoginIdentifier,
        project: Option<Gid>,
    ) -> Result<Option<(Gid, bool)>, Error> {
        let work = move |connection: &mut AnyConnection| {
            let user = match &who {
                LoginIdentifier::Username(text) => match Username::parse_existing(text) {
                    Ok(name) => store::user::find_by_username(connection, name.as_str())?,
                    Err(_) => None,
                },
                LoginIdentifier::Gid(gid) => store::user::find(connection, *gid)?,
            };
            let is_welcome = match project {
                Some(project) => {
                    // Nobody's standing is asked for too: the time tells nothing.
                    let user = user.as_ref().map_or(Gid::NIL, |user| user.gid);
                    let standing = access::find_active_membership(connection, project, user)?;
                    policy::is_allowed(
                        standing.map(|own| own.role),
                        policy::Permission::AccessProject,
                    )
                }
                None => true,
            };
            Ok(user.map(|user: User| (user.gid, is_welcome && user.status == UserStatus::Active)))
        };
        Ok(self.database.query(work).await?)
    }
}
