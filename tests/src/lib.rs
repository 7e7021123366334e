//! The harness of the end-to-end tests: starts the real `doorward` in installations of its own and talks to it from
//! outside, by HTTP, gRPC and the command line. It knows the contract (`docs/`, `proto/`) and nothing of the inside.

pub mod answer;
pub mod app;
pub mod backend;
pub mod browser;
pub mod follower;
pub mod http;
pub mod images;
pub mod installation;
pub mod json;
pub mod load;
pub mod mailed;
pub mod namespace;
pub mod nginx;
pub mod pgbouncer;
pub mod ports;
pub mod postgres;
pub mod power;
pub mod process;
pub mod random;
pub mod raw;
pub mod refusals;
pub mod s3;
pub mod smtp;
pub mod socketio;
pub mod split;
pub mod wait;
pub mod websocket;

pub use answer::Answer;
pub use app::{ApiUser, App, User};
pub use backend::Backend;
pub use browser::{Browser, Tab};
pub use follower::{Audience, SyncFollower};
pub use http::{Call, Http};
pub use installation::{Installation, MANY_WRITES, PASSWORD};
pub use mailed::MailApp;
pub use namespace::MountNamespace;
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use power::Power;
pub use process::{Output, Process};
pub use s3::S3;
pub use smtp::{ReceivedMail, SmtpServer};
pub use socketio::{Library, SocketClient};
pub use split::{Replica, Role, Services};
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
