//! Being woken up by other processes over the same PostgreSQL, by its LISTEN and NOTIFY.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use tokio_util::sync::CancellationToken;

use crate::{AnyConnection, DatabaseUrl, Error};

/// Between two looks at what has arrived, which ask the server for nothing.
const PAUSE: Duration = Duration::from_millis(5);
/// Before another connection is tried.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// Calls `wake` when something may have been said on a channel, on a thread of its own, until `shutdown`. It may be called
/// for nothing, and not at all while there is no connection: who waits must look by itself now and then. SQLite has no such
/// thing.
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
                tracing::debug!(%error, channel, "not listening");
            }
            sleep(RECONNECT_DELAY);
        }
    };
    if let Err(error) = std::thread::Builder::new()
        .name("listen".to_owned())
        .spawn(run)
    {
        tracing::warn!(%error, "no thread to listen on");
    }
}

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
    // What was said before.
    wake();
    while !shutdown.is_cancelled() {
        let mut is_heard = false;
        for notification in connection.notifications_iter() {
            notification?;
            is_heard = true;
        }
        if is_heard {
            wake();
        }
        sleep(PAUSE);
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own, which may block"
)]
fn sleep(duration: Duration) {
    std::thread::sleep(duration);
}
