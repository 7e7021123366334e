//! Known networks: the client networks from which a user has logged in within the last 30 days.

use std::time::Duration;

use doorward_domain::{Gid, Timestamp};
use doorward_storage::AnyConnection;

use crate::{error::Error, store, throttle::bucket::ClientNetwork};

/// Time for which a client network is known after the last login of the user from there.
pub(crate) const KNOWN_NETWORK_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Age at which the time of the last login from a network is recorded again. More often would cost
/// a write for each login.
const KNOWN_NETWORK_PRECISION: Duration = Duration::from_secs(24 * 3600);

/// Returns whether a network is known, given the user's last login from there.
pub(crate) fn is_known_network(last_login_at: Option<Timestamp>, now: Timestamp) -> bool {
    last_login_at.is_some_and(|at| at > now.saturating_sub(KNOWN_NETWORK_LIFETIME))
}

/// Returns whether the network is known for at least one of these users.
///
/// # Errors
/// Database errors.
pub(crate) fn is_known_to_any_user(
    connection: &mut AnyConnection,
    users: &[Gid],
    network: &ClientNetwork,
    now: Timestamp,
) -> Result<bool, Error> {
    for user in users {
        if store::known_network::is_known(
            connection,
            *user,
            network.as_str(),
            now.saturating_sub(KNOWN_NETWORK_LIFETIME),
        )? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether a login must be recorded for its network to stay known.
pub(crate) fn needs_login_update(last_login_at: Option<Timestamp>, now: Timestamp) -> bool {
    last_login_at.is_none_or(|at| at < now.saturating_sub(KNOWN_NETWORK_PRECISION))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[test]
    fn login_from_a_known_network_is_recorded_once_a_day() {
        let ago = |seconds: u64| Some(NOW.saturating_sub(Duration::from_secs(seconds)));
        assert_eq!(
            [None, ago(86_401), ago(86_400), ago(0)].map(|at| needs_login_update(at, NOW)),
            [true, true, false, false]
        );
    }
}
