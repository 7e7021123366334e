//! The harness of the end-to-end tests: starts the real `doorward` in installations of its own and talks to it from
//! outside, by HTTP, gRPC and the command line. It knows the contract (`docs/`, `proto/`) and nothing of the inside.

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
pub mod sync_follower;
pub mod wait;
pub mod websocket;

pub use crate::mail_app::MailApp;
pub use crate::response::Answer;
pub use crate::services::{Replica, Role, Services};
pub use crate::sync_follower::{Audience, SyncFollower};
pub use app::{ApiUser, App, User};
pub use backend::Backend;
pub use browser::{Browser, Tab};
pub use http::{Call, Http};
pub use installation::{Installation, MANY_WRITES, PASSWORD};
pub use namespace::MountNamespace;
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use power::Power;
pub use process::{Output, Process};
pub use s3::S3;
pub use smtp::{ReceivedMail, SmtpServer};
pub use socketio::{Library, SocketClient};
pub use wait::eventually;
pub use websocket::WebSocket;

/// Makes of each `async fn name(backend: Backend)` two tests, one on SQLite and one on PostgreSQL.
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
