//! Metric and log record of denied calls of clients with a named token. Only `PERMISSION_DENIED` is
//! a denial; `UNAUTHENTICATED` is neither counted nor logged here.

use crate::model::ClientName;

/// Name of the counter. The gateway counts its responses with status 403 under the same name, so in
/// a process with all services the counter is the sum.
const COUNTER: &str = "doorward_authorization_denied_total";

/// Exports the counter as 0 until the first denial, so that an alert on its increase works from the
/// start.
pub(crate) fn register() {
    metrics::counter!(COUNTER).increment(0);
}

/// Counts and logs a denial. The span of the call has the name of the RPC.
pub(crate) fn record(client: &ClientName, reason: &str) {
    metrics::counter!(COUNTER).increment(1);
    tracing::info!(%client, reason, "authorization denied");
}
