//! Tests of mails: delivery from the call to the mailbox, settings, and the worker that sends them.

pub(crate) mod delivery;
pub(crate) mod settings;
pub(crate) mod worker;
