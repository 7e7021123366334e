//! End-to-end tests with the real binary, one folder for each area. `cargo nextest run -p
//! doorward-tests login::` runs the tests of one area.

#![expect(clippy::too_many_lines, reason = "a test is read from top to bottom")]

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
