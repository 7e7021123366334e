//! End-to-end tests, one file for each area. `cargo nextest run -p doorward-tests login::` runs one of them.

mod audit;
mod bad_input;
mod cors;
mod crashes;
mod demo;
mod foreign_hashes;
mod forged_tokens;
mod grpc;
mod init;
mod keys;
mod languages;
mod login;
mod migrations;
mod operations;
mod overload;
mod peers;
mod postgres_outage;
mod protocol;
mod reseal;
mod sessions;
mod settings;
mod throttle;
mod timing;
mod tls;
mod tokens;
mod users;
