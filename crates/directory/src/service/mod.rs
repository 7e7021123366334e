//! The gRPC service of the directory: each method parses, calls the directory and converts. It does
//! not know rules or tables.

mod api_users;
pub(crate) mod convert;
mod dispatch;
mod init;
mod invitations;
mod media;
mod members;
mod projects;
mod request;
mod state;
mod sync;
mod users;
mod watch;

pub(crate) use state::Service;
