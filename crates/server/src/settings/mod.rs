//! Settings: defaults, overridden by a TOML file, `DOORWARD_*` variables and flags, in this order.
//! All mistakes are reported together.

mod auth;
mod checks;
mod directory;
pub(crate) mod errors;
mod file;
pub(crate) mod flags;
mod gateway;
pub(crate) mod grpc;
mod layers;
mod load;
mod log;
mod machine;
mod mail;
mod parse;
mod print;
mod reader;
mod role;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod values;
mod variables;

pub(crate) use errors::SettingsError;
pub(crate) use grpc::GrpcTls;
pub(crate) use log::{LogFormat, LogSettings};
pub(crate) use role::Role;
pub(crate) use values::Settings;
