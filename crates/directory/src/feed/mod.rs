//! The change feed: rows for other services, events for users, and what each user may read of them.

mod append;
pub(crate) mod audience;
pub(crate) mod head;
mod membership_events;
pub(crate) mod new_change;
mod project_events;
pub(crate) mod publish;
pub(crate) mod release;
pub(crate) mod retention;
pub(crate) mod sync;
pub(crate) mod watch;

pub(crate) use append::{append, lock};
pub(crate) use new_change::NewChange;
