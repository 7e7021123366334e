//! Tests of the HTTP protocol and of rules for all calls: bodies, methods, CORS, OpenAPI, upgrades
//! and write budgets.

pub(crate) mod bad_input;
pub(crate) mod cors;
pub(crate) mod denials;
pub(crate) mod languages;
pub(crate) mod openapi;
pub(crate) mod protocol;
pub(crate) mod rules;
pub(crate) mod upgrades;
pub(crate) mod write_budget;
