//! End-to-end tests with the real binary, one folder for each area. `cargo nextest run -p
//! doorward-tests login::` runs the tests of one area.

mod accounts;
mod api_keys;
mod clients;
mod commands;
mod documented_paths;
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
