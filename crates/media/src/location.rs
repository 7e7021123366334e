//! Where pictures are kept, as a setting says it.

use std::{fmt, path::PathBuf, str::FromStr};

use object_store::{aws::AmazonS3ConfigKey, path::Path};
use percent_encoding::percent_decode_str;

/// A directory, or a bucket of an S3-compatible store. Neither form prints its parameters: they may be secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    Directory(PathBuf),
    S3 {
        bucket: String,
        /// Before every name; may be empty.
        prefix: Path,
        parameters: Vec<(AmazonS3ConfigKey, String)>,
    },
}

impl FromStr for Location {
    type Err = String;

    /// `<path>`, `file://<path>` or `s3://<bucket>/<prefix>?<parameter>=<value>&...`. The message repeats nothing.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("s3://") {
            return s3(rest);
        }
        let path = match text.strip_prefix("file://") {
            Some(path) if path.starts_with('/') => decoded(path)?,
            Some(_) => return Err("expected file:///<path>".to_owned()),
            None if text.is_empty() || text.contains("://") => {
                return Err("expected a directory, or s3://<bucket>/<prefix>?<parameters>".to_owned());
            }
            None => text.to_owned(),
        };
        Ok(Self::Directory(path.into()))
    }
}

fn s3(rest: &str) -> Result<Location, String> {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let is_in_bucket_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_');
    if bucket.is_empty() || !bucket.chars().all(is_in_bucket_name) {
        return Err("expected the name of a bucket after s3://".to_owned());
    }
    let prefix = Path::parse(decoded(prefix)?).map_err(|_| "expected another prefix after the bucket".to_owned())?;
    let parameters = query.split('&').filter(|pair| !pair.is_empty()).map(parameter).collect::<Result<_, _>>()?;
    Ok(Location::S3 { bucket: bucket.to_owned(), prefix, parameters })
}

/// Keys have + and / in them: a + is itself here, and not a blank as in forms.
fn parameter(pair: &str) -> Result<(AmazonS3ConfigKey, String), String> {
    let (key, value) = pair.split_once('=').ok_or("expected <parameter>=<value> after the ?")?;
    let known = key.parse().map_err(|_| {
        "expected parameters such as endpoint, region, access_key_id, secret_access_key or allow_http".to_owned()
    })?;
    Ok((known, decoded(value)?))
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(String::from).map_err(|_| "expected UTF-8 after its %".to_owned())
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, prefix, .. } => write!(f, "s3://{bucket}/{prefix}"),
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
    fn a_bucket_has_a_prefix_and_parameters_that_are_not_printed() {
        let text = "s3://pictures/a/b?endpoint=http://127.0.0.1:9000&secret_access_key=s3/c+r%26et&allow_http=true";
        let location: Location = text.parse().unwrap();
        assert_eq!(location.to_string(), "s3://pictures/a/b");
        assert!(!format!("{location:?}").contains("s3/c"));
        let Location::S3 { parameters, .. } = location else { panic!("a directory") };
        assert_eq!(parameters[1], (AmazonS3ConfigKey::SecretAccessKey, "s3/c+r&et".to_owned()));
        assert_eq!("s3://pictures".parse::<Location>().unwrap().to_string(), "s3://pictures/");
    }

    #[test]
    fn mistakes_are_named_and_nothing_is_repeated() {
        for bad in [
            "",
            "s3://",
            "s3:///s3cret",
            "s3://ann:s3cret@bucket/x",
            "s3://bucket/../s3cret",
            "s3://bucket?s3cret",
            "s3://bucket?s3cret=1",
            "s3://bucket?endpoint=%ffs3cret",
            "gs://s3cret",
            "https://ann:s3cret@example.org",
            "file://s3cret",
        ] {
            let message = bad.parse::<Location>().unwrap_err();
            assert!(message.starts_with("expected") && !message.contains("s3cret"), "{bad}: {message}");
        }
    }
}
