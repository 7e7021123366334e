//! TODO mail

pub(crate) mod delivery;
pub(crate) mod settings;
pub(crate) mod worker;
