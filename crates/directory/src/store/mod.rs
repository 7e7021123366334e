//! The tables of the directory: short functions over a connection, one file a noun. Rows stay inside.

pub(crate) mod email;
pub(crate) mod feed;
pub(crate) mod init;
pub(crate) mod invitation;
pub(crate) mod listener;
pub(crate) mod media;
pub(crate) mod membership;
pub(crate) mod notice;
pub(crate) mod project;
pub(crate) mod project_options;
mod schema;
pub(crate) mod seat;
pub(crate) mod user;
