//! End-to-end tests, one file for each area. `cargo nextest run -p doorward-tests login::` runs one of them.

mod accounts;
mod api_keys;
mod clients;
mod commands;
mod grpc;
mod http;
mod login;
mod mail;
mod media;
mod members;
mod operations;
mod projects;
mod sockets;
mod sync;
mod tokens;
