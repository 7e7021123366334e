//! Follows the change feed of the directory, and revokes the access of users who lost it there.

pub(crate) mod age;
pub(crate) mod catch_up;
pub(crate) mod follow;
