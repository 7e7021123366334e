//! `doorward audit`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use doorward_domain::{Clock, Gid, SystemClock, Timestamp};

/// Print the audit trail as JSON lines, the oldest first
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  doorward audit --user ann --since 7d\n  doorward audit --action login_failed --follow"
)]
pub(crate) struct Audit {
    /// Only records about the user with this username
    #[arg(long, value_name = "USERNAME", conflicts_with = "user_gid")]
    pub user: Option<String>,
    /// Only records about the user, API user or deleted user with this gid
    #[arg(long, value_name = "GID")]
    pub user_gid: Option<Gid>,
    /// Only records of this action, such as login_failed
    #[arg(long, value_parser = parse_action)]
    pub action: Option<String>,
    /// Only records since a time (2026-01-31T12:00:00Z, 2026-01-31) or for a duration (24h, 7d)
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    pub since: Option<Timestamp>,
    /// Continue with new records until interrupted
    #[arg(long)]
    pub follow: bool,
}

fn parse_action(word: &str) -> Result<String, String> {
    let mut known = doorward_auth::audit::Action::ALL
        .iter()
        .map(|action| action.as_str());
    if known.any(|known| known == word) {
        return Ok(word.to_owned());
    }
    let known: Vec<&str> = doorward_auth::audit::Action::ALL
        .iter()
        .map(|action| action.as_str())
        .collect();
    Err(format!("expected one of {}", known.join(", ")))
}

fn parse_since(text: &str) -> Result<Timestamp, &'static str> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(SystemClock.now().saturating_sub(ago));
    }
    let day = format!("{text}T00:00:00Z");
    let moment =
        humantime::parse_rfc3339_weak(text).or_else(|_| humantime::parse_rfc3339_weak(&day));
    moment
        .map(to_timestamp)
        .map_err(|_| "expected a time such as 2026-01-31T12:00:00Z, or a duration such as 24h")
}

fn to_timestamp(moment: SystemTime) -> Timestamp {
    let since: Duration = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().saturating_add(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_an_age() {
        assert_eq!(
            parse_since("2026-01-31T12:00:00Z"),
            Ok(Timestamp::from_seconds(1_769_860_800))
        );
        assert_eq!(
            parse_since("2026-01-31"),
            Ok(Timestamp::from_seconds(1_769_817_600))
        );
        let ago = SystemClock.now().as_seconds() - parse_since("1h").unwrap().as_seconds();
        assert!((3600..3602).contains(&ago), "{ago}");
        for bad in ["", "yesterday", "2026-13-01", "12:00"] {
            assert!(parse_since(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn action_must_exist() {
        assert!(parse_action("login").is_ok());
        assert!(
            parse_action("logins")
                .unwrap_err()
                .contains("login_throttled")
        );
    }
}
