//! The release of the server, and the version of the published API that clients see.

use std::{fmt, str::FromStr};

use crate::malformed::Malformed;

/// Returns the release of this build as `YYYY.MM.NNN`. The parts have a fixed width, so releases
/// can be compared as text.
#[must_use]
pub fn current_release() -> String {
    let mut parts = env!("CARGO_PKG_VERSION").split(['.', '-', '+']);
    let mut next = || {
        parts
            .next()
            .and_then(|part| part.parse::<u32>().ok())
            .unwrap_or_default()
    };
    format!("{:04}.{:02}.{:03}", next(), next(), next())
}

/// The version of the published API, by which clients detect features: `YYYY.MM.NNN`, compared as
/// text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion(String);

impl ApiVersion {
    /// Parses `YYYY.MM.NNN`.
    ///
    /// # Errors
    /// [`Malformed`] if the text has another form or the month is not between 01 and 12.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let parts: Vec<&str> = text.split('.').collect();
        let is_number = |part: &str, digits| {
            part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        match parts.as_slice() {
            [year, month, number]
                if is_number(year, 4)
                    && is_number(month, 2)
                    && is_number(number, 3)
                    && ("01"..="12").contains(month) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(Malformed("is not of the form YYYY.MM.NNN")),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ApiVersion {
    /// Returns the release of this build.
    fn default() -> Self {
        Self(current_release())
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ApiVersion {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::ApiVersion;

    #[test]
    fn release_has_fixed_width() {
        let release = super::current_release();
        assert_eq!(release.len(), "2026.11.001".len());
        assert!(release.as_str() >= "2026.11.001");
    }

    #[test]
    fn api_version_has_fixed_width() {
        for valid in ["2024.01.001", "2026.12.999", "0000.10.000"] {
            assert_eq!(ApiVersion::parse(valid).unwrap().as_str(), valid);
        }
        for invalid in [
            "",
            "2024",
            "2024.01",
            "2024.1.1",
            "2024.1.001",
            "2024.01.01",
            "2024.01.0001",
            "2024.00.001",
            "2024.13.001",
            "24.01.001",
            "2024-01-001",
            "2024.01.001.1",
            "v2024.01.001",
            "2024.01.00a",
            " 2024.01.001",
            "2024.01.001\n",
            "+024.01.001",
            "\u{0662}024.01.001",
        ] {
            assert!(ApiVersion::parse(invalid).is_err(), "{invalid:?}");
        }
        assert_eq!(
            ApiVersion::parse(&super::current_release()).unwrap(),
            ApiVersion::default()
        );
    }
}
