//! Wake-ups from other processes with the same PostgreSQL database, by its LISTEN and NOTIFY.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use tokio_util::sync::CancellationToken;

use crate::{connection::AnyConnection, error::Error, url::DatabaseUrl};

/// Interval at which the socket is checked for notifications. This sends nothing to the server.
const PAUSE: Duration = Duration::from_millis(5);
/// Pause before another connection.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// Calls `wake` after each notification on a channel, on a separate thread, until `shutdown`. It
/// can also call it without a notification, and does not call it while the connection is lost, so
/// the caller must poll in addition. Does nothing for SQLite, which has no notifications.
pub fn listen(
    url: &DatabaseUrl,
    channel: &'static str,
    wake: impl Fn() + Send + 'static,
    shutdown: CancellationToken,
) {
    if matches!(url, DatabaseUrl::Sqlite(_)) {
        return;
    }
    let url = url.clone();
    let run = move || {
        while !shutdown.is_cancelled() {
            if let Err(error) = run_listener(&url, channel, &wake, &shutdown) {
                tracing::debug!(
                    %error, channel,
                    "lost the connection for notifications; reconnecting"
                );
            }
            sleep(RECONNECT_DELAY);
        }
    };
    if let Err(error) = std::thread::Builder::new()
        .name("listen".to_owned())
        .spawn(run)
    {
        tracing::warn!(
            %error,
            "failed to start the thread for notifications; changes are found only by polling"
        );
    }
}

/// Listens on one connection until it is lost or `shutdown`.
fn run_listener(
    url: &DatabaseUrl,
    channel: &str,
    wake: &impl Fn(),
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    let AnyConnection::Postgres(mut connection) = AnyConnection::open(url)? else {
        return Ok(());
    };
    connection.batch_execute(&format!("LISTEN {channel}"))?;
    // Notifications may have been missed before LISTEN.
    wake();
    while !shutdown.is_cancelled() {
        let mut has_notification = false;
        for notification in connection.notifications_iter() {
            notification?;
            has_notification = true;
        }
        if has_notification {
            wake();
        }
        sleep(PAUSE);
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "runs on a separate thread, which may block"
)]
fn sleep(duration: Duration) {
    std::thread::sleep(duration);
}
