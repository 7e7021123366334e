//! TODO http

pub(crate) mod bad_input;
pub(crate) mod cors;
pub(crate) mod denials;
pub(crate) mod languages;
pub(crate) mod openapi;
pub(crate) mod protocol;
pub(crate) mod rules;
pub(crate) mod upgrades;
pub(crate) mod write_budget;
