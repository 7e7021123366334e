//! Denied calls of clients with a named token: a counter for alerts, and a line in the log. `UNAUTHENTICATED` is neither.

use crate::model::ClientName;

/// The counter of the gateway's answers 403. Where all services are one process, it is their sum.
const COUNTER: &str = "doorward_authorization_denied_total";

/// Exports the counter as 0 until the first denial.
pub(crate) fn register() {
    metrics::counter!(COUNTER).increment(0);
}

/// Counts and logs a denial. The span of the call has the name of the RPC.
pub(crate) fn record(client: &ClientName, reason: &str) {
    metrics::counter!(COUNTER).increment(1);
    tracing::info!(%client, reason, "authorization denied");
}
