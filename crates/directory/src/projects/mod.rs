//! Projects: creation, lifecycle, options, and the init of one project.

pub(crate) mod create;
pub(crate) mod init;
pub(crate) mod lifecycle;
pub(crate) mod options;
