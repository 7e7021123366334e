//! Projects: creation, access, lifecycle, options, and the init of one project.

pub(crate) mod access;
pub(crate) mod create;
pub(crate) mod init;
pub(crate) mod lifecycle;
pub(crate) mod options;
