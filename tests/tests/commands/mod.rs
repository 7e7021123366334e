//! Tests of the administration commands: users, projects, members, imports and service tokens.

pub(crate) mod administration;
pub(crate) mod project;
pub(crate) mod service_token;
pub(crate) mod user;
pub(crate) mod user_import;
