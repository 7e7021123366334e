//! Fixtures of the end-to-end tests. They start the real `doorward` in separate installations and
//! use it from outside: HTTP, gRPC and the command line. They know the contract (`docs/`, `proto/`)
//! and nothing about the implementation.

#![expect(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a fixture that fails panics, and assertions return what they have checked"
)]

pub mod app;
pub mod assertions;
pub mod backend;
pub mod browser;
pub mod http;
pub mod images;
pub mod installation;
pub mod load;
pub mod mail_app;
pub mod namespace;
pub mod nginx;
pub mod pgbouncer;
pub mod ports;
pub mod postgres;
pub mod power;
pub mod process;
pub mod random;
pub mod raw_http;
pub mod response;
pub mod s3;
pub mod services;
pub mod smtp;
pub mod snapshots;
pub mod socketio;
pub mod sql;
pub mod sync_follower;
pub mod wait;
pub mod websocket;

pub use app::{ApiUser, App, User};
pub use backend::Backend;
pub use browser::{Browser, Tab};
pub use http::{Call, Http};
pub use installation::{Installation, MANY_WRITES, PASSWORD};
pub use mail_app::MailApp;
pub use namespace::MountNamespace;
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use power::Power;
pub use process::{Output, Process};
pub use response::Response;
pub use s3::S3;
pub use services::{Replica, Role, Services};
pub use smtp::{ReceivedMail, SmtpServer};
pub use socketio::{Library, SocketClient};
pub use sync_follower::{Audience, SyncFollower};
pub use wait::eventually;
pub use websocket::WebSocket;

/// Declares two tests, on SQLite and on PostgreSQL, for each `async fn name(backend: Backend)`.
#[macro_export]
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                super::$name($crate::Backend::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgres() {
                super::$name($crate::Backend::Postgres).await;
            }
        }
    )+};
}
