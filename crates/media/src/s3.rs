//! Buckets of S3-compatible stores: the setting and the client.

use std::{fmt, str::FromStr, time::Duration};

use object_store::{
    Error, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    client::ClientConfigKey,
    path::Path,
    prefix::PrefixStore,
};

use crate::percent_encoding::decode;

/// Maximum number of retries of one request.
const RETRIES: usize = 2;
/// Defaults of the client parameters. The timeout of a whole body is practically infinite, because
/// its reader may be slow.
const CLIENT_DEFAULTS: [(ClientConfigKey, &str); 3] = [
    (ClientConfigKey::ConnectTimeout, "3 seconds"),
    (ClientConfigKey::ReadTimeout, "10 seconds"),
    (ClientConfigKey::Timeout, "1 day"),
];

/// A bucket, parsed from the part of `s3://<bucket>/<prefix>?<parameter>=<value>&...` after
/// `s3://`. `Display` leaves out the parameters, which can be secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Bucket {
    name: String,
    /// Prefix of all object names; may be empty.
    prefix: Path,
    parameters: Vec<(AmazonS3ConfigKey, String)>,
}

impl Bucket {
    /// Returns a client of the bucket. Parameters that the setting lacks are read from the standard
    /// `AWS_*` variables.
    pub(crate) fn open(&self, retry_timeout: Duration) -> Result<impl ObjectStore, Error> {
        let set = |builder: AmazonS3Builder, (key, value): (AmazonS3ConfigKey, &str)| {
            builder.with_config(key, value)
        };
        let defaults = CLIENT_DEFAULTS
            .iter()
            .map(|(key, value)| (AmazonS3ConfigKey::Client(*key), *value));
        // Parameters of the setting come last, so that they override the defaults and the
        // variables.
        let builder = defaults.fold(AmazonS3Builder::from_env(), set);
        let builder = self
            .parameters
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .fold(builder, set);
        let retry = RetryConfig {
            max_retries: RETRIES,
            retry_timeout,
            ..RetryConfig::default()
        };
        let store = builder
            .with_bucket_name(&self.name)
            .with_retry(retry)
            .build()?;
        Ok(PrefixStore::new(store, self.prefix.clone()))
    }
}

impl FromStr for Bucket {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (location, query) = text.split_once('?').unwrap_or((text, ""));
        let (name, prefix) = location.split_once('/').unwrap_or((location, ""));
        let is_in_bucket_name =
            |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_');
        if name.is_empty() || !name.chars().all(is_in_bucket_name) {
            return Err("expected the name of a bucket after s3://".to_owned());
        }
        let prefix = Path::parse(decode(prefix)?)
            .map_err(|_| "expected another prefix after the bucket".to_owned())?;
        let parameters = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(parse_parameter)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            name: name.to_owned(),
            prefix,
            parameters,
        })
    }
}

/// Parses `<parameter>=<value>`. Access keys can contain + and /, so a + stands for itself and not
/// for a space as in forms.
fn parse_parameter(pair: &str) -> Result<(AmazonS3ConfigKey, String), String> {
    let (key, value) = pair
        .split_once('=')
        .ok_or("expected <parameter>=<value> after the ?")?;
    let known = key.parse().map_err(|_| {
        "expected parameters such as endpoint, region, access_key_id, secret_access_key or allow_http".to_owned()
    })?;
    Ok((known, decode(value)?))
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.name, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;

    #[test]
    fn bucket_has_a_prefix_and_parameters_that_are_not_printed() {
        let text = "s3://pictures/a/b?endpoint=http://127.0.0.1:9000&secret_access_key=s3/c+r%26et&allow_http=true";
        let location: Location = text.parse().unwrap();
        assert_eq!(location.to_string(), "s3://pictures/a/b");
        assert!(!format!("{location:?}").contains("s3/c"));
        let Location::S3(bucket) = location else {
            panic!("a directory")
        };
        assert_eq!(
            bucket.parameters[1],
            (AmazonS3ConfigKey::SecretAccessKey, "s3/c+r&et".to_owned())
        );
        assert_eq!(
            "s3://pictures".parse::<Location>().unwrap().to_string(),
            "s3://pictures/"
        );
    }

    #[test]
    fn errors_name_the_mistake_and_never_the_value() {
        for bad in [
            "",
            "/s3cret",
            "ann:s3cret@bucket/x",
            "bucket/../s3cret",
            "bucket?s3cret",
            "bucket?s3cret=1",
            "bucket?endpoint=%ffs3cret",
        ] {
            let message = bad.parse::<Bucket>().err().unwrap();
            assert!(
                message.starts_with("expected") && !message.contains("s3cret"),
                "{bad}: {message}"
            );
        }
    }
}
