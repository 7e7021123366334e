//! Users: accounts, API users, calls of administrators, queries, and the look-up at a login.

pub(crate) mod accounts;
pub(crate) mod administration;
pub(crate) mod api_users;
pub(crate) mod changes;
pub(crate) mod create;
pub(crate) mod email_conflicts;
pub(crate) mod find;
pub(crate) mod init;
pub(crate) mod login;
