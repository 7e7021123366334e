//! The tables of the directory: short functions over a connection, one file per noun. Row structs
//! do not leave the store, and the store does not know rules or permissions.

pub(crate) mod email;
pub(crate) mod feed_change;
pub(crate) mod feed_event;
pub(crate) mod feed_subscription;
pub(crate) mod init;
pub(crate) mod invitation;
pub(crate) mod media;
pub(crate) mod membership;
pub(crate) mod membership_slot;
pub(crate) mod project;
pub(crate) mod project_options;
mod schema;
pub(crate) mod user;
