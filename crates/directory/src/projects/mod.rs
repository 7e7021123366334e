//! Projects: creation, lifecycle, options, and what a login into one returns.

pub(crate) mod create;
pub(crate) mod init;
pub(crate) mod lifecycle;
pub(crate) mod options;
