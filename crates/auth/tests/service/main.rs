//! Tests of auth through its gRPC service, on both databases, with a clock that the tests set.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests stop at the first failure"
)]

mod code_requests;
mod codes;
mod feed_age;
mod fixture;
mod hashes;
mod login;
mod maintenance;
mod quiet_directory;
mod sessions;
mod signing_keys;
mod throttle;
mod tokens;
