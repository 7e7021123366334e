//! Waits for a condition by polling it. Tests never sleep for a fixed time instead.

use std::time::Duration;

use tokio::time::Instant;

const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(20);

/// Polls until `attempt` returns a value, and fails the test with `description` if it returns none
/// in time.
pub async fn eventually<T>(
    description: &str,
    within: Duration,
    mut attempt: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = attempt().await {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "{description}: not within {within:?}"
        );
        tokio::time::sleep(BETWEEN_ATTEMPTS).await;
    }
}
