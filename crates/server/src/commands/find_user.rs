//! How commands find the user that their arguments name.

use anyhow::bail;
use doorward_directory::{Directory, Error, model::User};
use doorward_domain::Gid;

use crate::cli::UserName;

/// Finds the user that a command names.
pub(super) async fn find_user(
    directory: &Directory,
    name: impl Into<UserName>,
) -> anyhow::Result<User> {
    match name.into() {
        UserName::Gid(gid) => Ok(directory.get_user_by_gid(gid).await?),
        UserName::Username(username) => match directory.get_user_by_username(&username).await {
            Err(Error::UserNotFound) if username.parse::<Gid>().is_ok() => {
                bail!(
                    "no user has this username; a gid is given by `--gid`, `--user-gid`, `--owner-gid` or `--to-gid`"
                )
            }
            found => Ok(found?),
        },
    }
}
