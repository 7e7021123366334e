//! The actor of a call: an administrator at the command line, or a user, who must be active at the
//! moment of the action.
//!
//! A call names its caller by a [`Caller`], which does not expose its gid. A rule gets the gid only
//! from [`Caller::active`], which reads the user's status in the transaction of the rule. So a
//! deactivated user cannot act, even while their token is still accepted elsewhere.

use doorward_domain::{Gid, UserStatus};
use doorward_storage::AnyConnection;

use crate::{Error, model::User, store};

/// The user on whose behalf a call is made, as the call names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller(Gid);

impl From<Gid> for Caller {
    fn from(gid: Gid) -> Self {
        Self(gid)
    }
}

impl Caller {
    /// Reads the caller, who must be active. A change does this after
    /// [`feed::lock`](crate::feed::lock): a deactivation is then either committed before, and
    /// detected, or after the change.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], also if the user does not exist. Database errors.
    pub(crate) fn active(self, connection: &mut AnyConnection) -> Result<ActiveCaller, Error> {
        self.find_active(connection)?.ok_or(Error::CallerNotActive)
    }

    /// Finds the caller, if active, for queries outside a transaction.
    ///
    /// # Errors
    /// Database errors.
    pub(crate) fn find_active(
        self,
        connection: &mut AnyConnection,
    ) -> doorward_storage::Result<Option<ActiveCaller>> {
        let user =
            store::user::find(connection, self.0)?.filter(|user| user.status == UserStatus::Active);
        Ok(user.map(ActiveCaller))
    }

    /// Reads the caller, who must be active and have an account, so not an API user.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`], [`Error::Forbidden`] if the caller is an API user. Database
    /// errors.
    pub(crate) fn active_account(
        self,
        connection: &mut AnyConnection,
    ) -> Result<ActiveCaller, Error> {
        let caller = self.active(connection)?;
        if caller.0.is_api_user() {
            Err(Error::Forbidden)
        } else {
            Ok(caller)
        }
    }
}

/// A caller who was active in this transaction. Only [`Caller`] creates it, so its existence proves
/// the check.
#[derive(Debug, Clone)]
pub(crate) struct ActiveCaller(User);

impl ActiveCaller {
    pub(crate) fn gid(&self) -> Gid {
        self.0.gid
    }

    pub(crate) fn user(&self) -> &User {
        &self.0
    }

    pub(crate) fn into_user(self) -> User {
        self.0
    }
}

/// The administrator or user who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Is allowed to do everything, and is not bound by limits.
    Administrator,
    User(Caller),
}

impl Actor {
    /// Reads the user, who must be active. Returns None for the administrator.
    ///
    /// # Errors
    /// The errors of [`Caller::active`].
    pub(crate) fn active(
        self,
        connection: &mut AnyConnection,
    ) -> Result<Option<ActiveCaller>, Error> {
        match self {
            Self::Administrator => Ok(None),
            Self::User(caller) => caller.active(connection).map(Some),
        }
    }
}
