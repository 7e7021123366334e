//! Request bodies: JSON objects with bounds on size, depth and time, and their parameters. It
//! checks types only; the values are checked by auth and directory.

use std::{future::Future, pin::Pin, time::Duration};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::{
        Method,
        header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING},
    },
    web::BytesMut,
};
use doorward_domain::Gid;
use futures_util::StreamExt;
use serde_json::{Map, Value};

use crate::http::envelope::ApiError;

/// Maximum size of a body.
const MAX_BYTES: usize = 1024 * 1024;
/// Maximum time in which the whole body must arrive.
const MAX_TIME: Duration = Duration::from_secs(10);

/// JSON object of a `POST`. Its methods return parameters by name; null counts as a value of the
/// wrong type.
pub(crate) struct Body(Map<String, Value>);

/// Body of a call without parameters: a JSON object, an empty body, or a `GET`.
pub(crate) struct OptionalBody;

impl Body {
    /// Creates a body from a message of a socket.
    pub(crate) const fn from_object(object: Map<String, Value>) -> Self {
        Self(object)
    }

    /// Returns a required string.
    pub(crate) fn required_string(&self, name: &str) -> Result<&str, ApiError> {
        match self.0.get(name) {
            None => Err(ApiError::missing_parameter(name)),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(ApiError::invalid_parameter(name)),
        }
    }

    /// Returns a required gid.
    pub(crate) fn required_gid(&self, name: &str) -> Result<Gid, ApiError> {
        self.required_string(name)?
            .parse()
            .map_err(|_| ApiError::invalid_parameter(name))
    }

    /// Returns an optional string.
    pub(crate) fn optional_string(&self, name: &str) -> Result<Option<&str>, ApiError> {
        if self.0.contains_key(name) {
            self.required_string(name).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Returns an optional gid.
    pub(crate) fn optional_gid(&self, name: &str) -> Result<Option<Gid>, ApiError> {
        if self.0.contains_key(name) {
            self.required_gid(name).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Returns an optional cursor: a whole number from 0.
    pub(crate) fn optional_position(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let parse = |value: &Value| value.as_i64().filter(|position| *position >= 0);
        self.0
            .get(name)
            .map(|value| parse(value).ok_or_else(|| ApiError::invalid_parameter(name)))
            .transpose()
    }

    /// Returns an optional list of strings.
    pub(crate) fn optional_strings(&self, name: &str) -> Result<Option<Vec<&str>>, ApiError> {
        let invalid = || ApiError::invalid_parameter(name);
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Array(values)) => values
                .iter()
                .map(|value| value.as_str().ok_or_else(invalid))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(invalid()),
        }
    }

    /// Returns an optional list of gids.
    pub(crate) fn optional_gids(&self, name: &str) -> Result<Option<Vec<Gid>>, ApiError> {
        let gid = |text: &str| text.parse().map_err(|_| ApiError::invalid_parameter(name));
        self.optional_strings(name)?
            .map(|texts| texts.into_iter().map(gid).collect())
            .transpose()
    }

    /// Returns a required object.
    pub(crate) fn required_object(&self, name: &str) -> Result<&Map<String, Value>, ApiError> {
        match self.0.get(name) {
            None => Err(ApiError::missing_parameter(name)),
            Some(Value::Object(object)) => Ok(object),
            Some(_) => Err(ApiError::invalid_parameter(name)),
        }
    }

    /// Checks a parameter that must be `true`, so that a call with severe effects is not made by
    /// mistake.
    pub(crate) fn required_confirmation(&self, name: &str) -> Result<(), ApiError> {
        match self.0.get(name) {
            None => Err(ApiError::missing_parameter(name)),
            Some(Value::Bool(true)) => Ok(()),
            Some(_) => Err(ApiError::invalid_parameter(name)),
        }
    }

    /// Returns an optional boolean.
    pub(crate) fn optional_bool(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        match self.0.get(name) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(ApiError::invalid_parameter(name)),
        }
    }
}

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

impl FromRequest for Body {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let bytes = read(&request, payload).await?;
            // An empty body without a type is reported as an empty body (400), not as a wrong type.
            if !bytes.is_empty() || !request.content_type().is_empty() {
                check_type(&request)?;
            }
            parse(&bytes).map(Self)
        })
    }
}

impl FromRequest for OptionalBody {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            if matches!(*request.method(), Method::GET | Method::HEAD) {
                return if has_body(request.headers()) {
                    check_encoding(request.headers()).map(|()| Self)
                } else {
                    Ok(Self)
                };
            }
            let bytes = read(&request, payload).await?;
            if !bytes.is_empty() {
                check_type(&request)?;
                parse(&bytes)?;
            }
            Ok(Self)
        })
    }
}

/// Checks the media type (RFC 9110, section 8.3). Parameters such as `charset` are ignored, because
/// JSON is UTF-8.
fn check_type(request: &HttpRequest) -> Result<(), ApiError> {
    let is_json = request
        .content_type()
        .eq_ignore_ascii_case("application/json");
    if is_json {
        Ok(())
    } else {
        Err(ApiError::UnsupportedMediaType)
    }
}

/// Returns whether a request has a body (RFC 9112, section 6.3).
fn has_body(headers: &HeaderMap) -> bool {
    let is_empty = |length: &HeaderValue| length.as_bytes() == b"0";
    headers.contains_key(TRANSFER_ENCODING)
        || headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| !is_empty(length))
}

/// Checks that a body is not compressed or otherwise encoded (RFC 9110, section 8.4).
pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    let is_identity = |coding: &str| coding.is_empty() || coding.eq_ignore_ascii_case("identity");
    let is_plain = |value: &HeaderValue| {
        value
            .to_str()
            .is_ok_and(|list| list.split(',').map(str::trim).all(is_identity))
    };
    if headers.get_all(CONTENT_ENCODING).all(is_plain) {
        Ok(())
    } else {
        Err(ApiError::UnsupportedMediaType)
    }
}

/// Reads a body within the limits.
async fn read(request: &HttpRequest, payload: Payload) -> Result<BytesMut, ApiError> {
    check_encoding(request.headers())?;
    let length = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BYTES as u64) {
        return Err(ApiError::PayloadTooLarge);
    }
    let bytes = tokio::time::timeout(MAX_TIME, collect(payload))
        .await
        .map_err(|_| ApiError::BodyTimeout)??;
    Ok(bytes)
}

async fn collect(mut payload: Payload) -> Result<BytesMut, ApiError> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::invalid_body("it ended early"))?;
        if bytes.len() + chunk.len() > MAX_BYTES {
            return Err(ApiError::PayloadTooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Parses a JSON object. `serde_json` limits the depth to 127 levels.
fn parse(bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if bytes.is_empty() {
        return Err(ApiError::invalid_body("it is empty"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ApiError::invalid_body("it is not UTF-8"))?;
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ApiError::invalid_body("it is not a JSON object")),
        Err(_) => Err(ApiError::invalid_body(
            "it is not JSON, or nested too deeply",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_missing_or_of_the_wrong_type() {
        let body = Body(parse(br#"{"a": "x", "b": 1, "c": null, "a": "y"}"#).unwrap());
        assert_eq!(body.required_string("a").unwrap(), "y");
        assert!(
            body.required_gid("a").is_err()
                && body.optional_bool("a", true).is_err()
                && body.optional_bool("d", true).unwrap()
        );
        for (name, text) in [
            ("b", "Invalid parameter"),
            ("c", "Invalid parameter"),
            ("d", "Missing parameter"),
        ] {
            let Err(ApiError::RpcError(error)) = body.required_string(name) else {
                panic!("{name}")
            };
            assert_eq!(error.info.get(text).map(String::as_str), Some(name));
        }
    }

    #[test]
    fn only_json_objects_are_bodies() {
        let deep = "{\"a\":".repeat(50_000);
        for bad in [
            &b""[..],
            b"[]",
            b"\"x\"",
            b"1",
            b"null",
            b"{",
            b"{\"a\":\"\xff\"}",
            b"{} {}",
            deep.as_bytes(),
        ] {
            assert!(parse(bad).is_err());
        }
    }
}
