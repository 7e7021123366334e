//! Users: accounts, API users, administration, and what a login needs to know of them.

pub(crate) mod accounts;
pub(crate) mod administration;
pub(crate) mod api_users;
pub(crate) mod email_conflicts;
pub(crate) mod init;
pub(crate) mod lifecycle;
pub(crate) mod login;
