//! Follows the change feed of the directory, and revokes the tokens of users who lost their access
//! there. It also measures how complete the knowledge of that feed is.

mod access_end;
pub(crate) mod age;
mod catch_up;
mod follow;
pub(crate) mod follower;
