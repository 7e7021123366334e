//! The location of the object store, as in the setting `object_store`.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::{percent_encoding::decode, s3::Bucket};

/// A directory, or a bucket of an S3-compatible store. `Display` and `Debug` leave out parameters,
/// which can be secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    Directory(PathBuf),
    S3(Bucket),
}

impl FromStr for Location {
    type Err = String;

    /// `<path>`, `file://<path>` or `s3://<bucket>/<prefix>?<parameter>=<value>&...`. The error
    /// contains no part of the text.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("s3://") {
            return rest.parse().map(Self::S3);
        }
        let path = match text.strip_prefix("file://") {
            Some(path) if path.starts_with('/') => decode(path)?,
            Some(_) => return Err("expected file:///<path>".to_owned()),
            None if text.is_empty() || text.contains("://") => {
                return Err(
                    "expected a directory, or s3://<bucket>/<prefix>?<parameters>".to_owned(),
                );
            }
            None => text.to_owned(),
        };
        Ok(Self::Directory(path.into()))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::S3(bucket) => fmt::Display::fmt(bucket, f),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_paths_or_file_urls() {
        for (text, path) in [
            ("media", "media"),
            ("./a b/media", "./a b/media"),
            ("/srv/media", "/srv/media"),
            ("file:///srv/media", "/srv/media"),
            ("file:///srv/a%20b", "/srv/a b"),
        ] {
            assert_eq!(text.parse(), Ok(Location::Directory(path.into())));
        }
    }

    #[test]
    fn errors_name_the_mistake_and_never_the_value() {
        for bad in [
            "",
            "gs://s3cret",
            "https://ann:s3cret@example.org",
            "file://s3cret",
        ] {
            let message = bad.parse::<Location>().unwrap_err();
            assert!(
                message.starts_with("expected") && !message.contains("s3cret"),
                "{bad}: {message}"
            );
        }
    }
}
