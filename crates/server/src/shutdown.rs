//! SIGTERM and SIGINT end the process gracefully; a second one ends it immediately. SIGHUP is
//! ignored.

use std::{io, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code that shells use for an interrupted process.
const EXIT_AT_ONCE: i32 = 130;

/// Signals within this time count as one: a terminal and a supervisor often send the same request
/// to the process.
const SAME_REQUEST: Duration = Duration::from_millis(100);

/// Returns a token that the first signal cancels. From then on signals do nothing else, so call
/// this once, early.
///
/// # Errors
/// The system cannot install a signal handler.
pub(crate) fn on_signals() -> io::Result<CancellationToken> {
    // A handler that does nothing: closing the terminal must not end the service.
    let hangup = signal(SignalKind::hangup())?;
    let mut signals = [
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    ];
    let shutdown = CancellationToken::new();
    let cancelled = shutdown.clone();
    tokio::spawn(async move {
        let _hangup = hangup;
        wait_for_signal(&mut signals).await;
        tracing::info!("shutting down; a second signal ends the process immediately");
        cancelled.cancel();
        let same_request = tokio::time::Instant::now() + SAME_REQUEST;
        while tokio::time::timeout_at(same_request, wait_for_signal(&mut signals))
            .await
            .is_ok()
        {}
        wait_for_signal(&mut signals).await;
        std::process::exit(EXIT_AT_ONCE);
    });
    Ok(shutdown)
}

async fn wait_for_signal([terminate, interrupt]: &mut [Signal; 2]) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn signal_cancels() {
        let shutdown = on_signals().unwrap();
        assert!(!shutdown.is_cancelled());
        let process = std::process::id().to_string();
        std::process::Command::new("kill")
            .args(["-TERM", &process])
            .status()
            .unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(5), shutdown.cancelled())
            .await
            .unwrap();
    }
}
