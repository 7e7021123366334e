//! SIGTERM and SIGINT end the process in good order; a second one ends it at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// As a shell reports a process that was interrupted.
const EXIT_AT_ONCE: i32 = 130;

/// Cancelled by the first signal. From then on signals do nothing else, so call this once, early.
///
/// # Errors
/// When the system lets no handler be installed.
pub(crate) fn on_signals() -> io::Result<CancellationToken> {
    let mut signals = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    let shutdown = CancellationToken::new();
    let cancelled = shutdown.clone();
    tokio::spawn(async move {
        any(&mut signals).await;
        tracing::info!("shutting down; a second signal ends it at once");
        cancelled.cancel();
        any(&mut signals).await;
        std::process::exit(EXIT_AT_ONCE);
    });
    Ok(shutdown)
}

async fn any([terminate, interrupt]: &mut [Signal; 2]) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_cancels() {
        let shutdown = on_signals().unwrap();
        assert!(!shutdown.is_cancelled());
        let process = std::process::id().to_string();
        std::process::Command::new("kill").args(["-TERM", &process]).status().unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(5), shutdown.cancelled()).await.unwrap();
    }
}
