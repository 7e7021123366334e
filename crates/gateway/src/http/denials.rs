//! Refused authorizations (403): a counter for alerts, and a line in the log. A 401 is neither; the metrics of requests count it.

use doorward_domain::Gid;

const COUNTER: &str = "doorward_authorization_denied_total";

/// Registers the counter, so that it is exported as 0 before the first denial.
pub(crate) fn register() {
    metrics::counter!(COUNTER).increment(0);
}

/// Counts and logs a denial; `user` is the caller, if the token says who that is.
pub(crate) fn record(user: Option<Gid>) {
    metrics::counter!(COUNTER).increment(1);
    tracing::info!(
        user = user.map(tracing::field::display),
        "authorization denied"
    );
}
