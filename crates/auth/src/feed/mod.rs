//! Follows the change feed of the directory, and revokes the tokens of users who lost their access
//! there. It also measures how complete the knowledge of that feed is.

pub(crate) mod age;
pub(crate) mod catch_up;
pub(crate) mod follow;
