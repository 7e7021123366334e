//! Denied authorizations (403): a counter for alerts, and a line in the log. A 401 is not a denial;
//! the request metrics count it.

use doorward_domain::Gid;

const COUNTER: &str = "doorward_authorization_denied_total";

/// Registers the counter, which is thus exported as 0 before the first denial.
pub(crate) fn register() {
    metrics::counter!(COUNTER).increment(0);
}

/// Counts and logs a denial. `user` is the caller, if the request has a valid token.
pub(crate) fn record(user: Option<Gid>) {
    metrics::counter!(COUNTER).increment(1);
    tracing::info!(
        user = user.map(tracing::field::display),
        "authorization denied"
    );
}
