//! Users: accounts, API users, calls of administrators, and the look-up at a login.

pub(crate) mod accounts;
pub(crate) mod administration;
pub(crate) mod api_users;
pub(crate) mod email_conflicts;
pub(crate) mod init;
pub(crate) mod lifecycle;
pub(crate) mod login;
