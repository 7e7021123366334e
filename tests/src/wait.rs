//! Waiting for something to become true: by asking again, never by sleeping and hoping.

use std::time::Duration;

use tokio::time::Instant;

const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(20);

/// Asks until there is an answer, and fails the test when there is none in time.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut attempt: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = attempt().await {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {within:?}");
        tokio::time::sleep(BETWEEN_ATTEMPTS).await;
    }
}
