//! The change feed: changes for other services, feed events for users, and the rows that each user
//! receives of them. It does not know sockets; it only returns pages and streams.

pub(crate) mod api_version;
mod append;
pub(crate) mod audience;
pub(crate) mod head;
mod membership_events;
pub(crate) mod new_change;
mod page;
mod project_events;
pub(crate) mod publish;
pub(crate) mod retention;
pub(crate) mod sync;
pub(crate) mod sync_row;
mod visible_rows;
pub(crate) mod watch;

pub(crate) use append::{append, lock};
pub(crate) use new_change::NewChange;
