//! The calls of the API, one file for each area. A handler converts the request to RPCs and their
//! responses to entries; rules are in auth and directory.

pub(crate) mod account;
pub(crate) mod api_keys;
pub(crate) mod avatars;
pub(crate) mod current_user;
pub(crate) mod email_change;
pub(crate) mod entries;
pub(crate) mod icons;
pub(crate) mod init;
pub(crate) mod init_cache;
pub(crate) mod init_source;
pub(crate) mod invitations;
pub(crate) mod jwks;
pub(crate) mod languages;
pub(crate) mod login;
pub(crate) mod media;
pub(crate) mod members;
pub(crate) mod password_reset;
pub(crate) mod ping;
pub(crate) mod project_init;
pub(crate) mod project_login;
pub(crate) mod project_options;
pub(crate) mod projects;
pub(crate) mod signup;
pub(crate) mod sockets;
pub(crate) mod sync;
pub(crate) mod users;
