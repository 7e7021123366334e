//! Tests of login: passwords, API keys, foreign hashes, the throttle, response times and overload.

pub(crate) mod foreign_hashes;
pub(crate) mod foreign_libraries;
pub(crate) mod init;
pub(crate) mod overload;
pub(crate) mod project_login;
pub(crate) mod throttle;
pub(crate) mod throttle_strangers;
pub(crate) mod timing;
pub(crate) mod user_login;
