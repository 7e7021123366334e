//! The envelope of every response, and the errors of the API with their codes and messages. No
//! other module knows their form.

use std::{collections::BTreeMap, fmt, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::{
        StatusCode,
        header::{ALLOW, CONNECTION, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER},
    },
    web::Bytes,
};
use doorward_domain::{ErrorCode, Info};
use doorward_rpc::RpcError;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Envelope of a successful response.
#[derive(Serialize)]
struct Success<'a, R, D> {
    success: bool,
    result: &'a R,
    data: &'a D,
}

/// Envelope of an error.
#[derive(Serialize)]
struct ErrorEnvelope<'a> {
    success: bool,
    result: ErrorResult<'a>,
    data: Empty,
}

#[derive(Serialize)]
struct ErrorResult<'a> {
    code: u16,
    message: &'static str,
    #[serde(serialize_with = "write_info")]
    info: &'a Info,
}

/// Key of the advice for a better password. It is an object in the response, but a string with JSON
/// in an RPC error.
const FEEDBACK: &str = "feedback";

/// Serializes `info`, with `feedback` as an object.
fn write_info<S: Serializer>(info: &&Info, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(info.iter().map(|(key, text)| {
        let feedback = (key == FEEDBACK)
            .then(|| serde_json::from_str(text).ok())
            .flatten();
        (key, feedback.unwrap_or_else(|| Value::String(text.clone())))
    }))
}

/// Empty object, `{}`.
#[derive(Serialize)]
pub(crate) struct Empty {}

/// Returns a successful response.
///
/// # Errors
/// The values cannot be serialized.
pub(crate) fn success_response<R: Serialize, D: Serialize>(
    result: &R,
    data: &D,
) -> Result<HttpResponse, ApiError> {
    Ok(json_response(serialize_success(result, data)?))
}

/// Serializes the body of a successful response.
///
/// # Errors
/// The values cannot be serialized.
pub(crate) fn serialize_success<R: Serialize, D: Serialize>(
    result: &R,
    data: &D,
) -> Result<Bytes, RpcError> {
    let body = serde_json::to_vec(&Success {
        success: true,
        result,
        data,
    })
    .map_err(|error| {
        tracing::error!(%error, "cannot serialize a response as JSON");
        RpcError::new(ErrorCode::Internal)
    })?;
    Ok(body.into())
}

/// Returns a successful response with a serialized body.
pub(crate) fn json_response(body: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .body(body)
}

/// Error of an HTTP call.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// Error of auth or directory, or of the gateway in the same form.
    RpcError(RpcError),
    /// The path has other methods, which `Allow` lists.
    MethodNotAllowed(&'static str),
    PayloadTooLarge,
    UnsupportedMediaType,
    /// Call of the published API that this server does not implement.
    NotImplemented,
    /// Body that did not arrive in time. The connection is closed, because the rest of the body
    /// would be read as the next request.
    BodyTimeout,
    /// Range beyond the end of a picture, whose size is given.
    RangeNotSatisfiable(u64),
}

impl ApiError {
    pub(crate) fn invalid_body(reason: &str) -> Self {
        RpcError::new(ErrorCode::InvalidRequest)
            .with_info("Invalid body", reason)
            .into()
    }

    pub(crate) fn missing_parameter(name: &str) -> Self {
        RpcError::new(ErrorCode::InvalidRequest)
            .with_info("Missing parameter", name)
            .into()
    }

    pub(crate) fn invalid_parameter(name: &str) -> Self {
        RpcError::new(ErrorCode::InvalidRequest)
            .with_info("Invalid parameter", name)
            .into()
    }

    pub(crate) fn validation(field: &str, reason: &str) -> Self {
        RpcError::new(ErrorCode::Validation)
            .with_info(field, reason)
            .into()
    }

    pub(crate) fn unprocessable(reason: &str) -> Self {
        RpcError::new(ErrorCode::Unprocessable)
            .with_info("reason", reason)
            .into()
    }

    pub(crate) fn unauthenticated() -> Self {
        RpcError::new(ErrorCode::Unauthenticated).into()
    }

    pub(crate) fn not_found() -> Self {
        RpcError::new(ErrorCode::NotFound).into()
    }

    pub(crate) fn internal() -> Self {
        RpcError::new(ErrorCode::Internal).into()
    }

    /// Returns the envelope as a value, for a socket.
    pub(crate) fn envelope(&self) -> Value {
        let (code, message) = self.code_and_message();
        let info = match self {
            Self::RpcError(error) => error.info.clone(),
            Self::MethodNotAllowed(_)
            | Self::PayloadTooLarge
            | Self::UnsupportedMediaType
            | Self::NotImplemented
            | Self::BodyTimeout
            | Self::RangeNotSatisfiable(_) => Info::new(),
        };
        let result = ErrorResult {
            code,
            message,
            info: &info,
        };
        serde_json::to_value(ErrorEnvelope {
            success: false,
            result,
            data: Empty {},
        })
        .unwrap_or_default()
    }

    /// Returns the code and message of the API contract.
    pub(crate) fn code_and_message(&self) -> (u16, &'static str) {
        match self {
            Self::RpcError(error) => code_and_message(error.code),
            Self::MethodNotAllowed(_) => (405, "Method not allowed"),
            Self::PayloadTooLarge => (413, "Payload too large"),
            Self::UnsupportedMediaType => (415, "Unsupported media type"),
            Self::NotImplemented => (501, "Not implemented"),
            Self::BodyTimeout => (400, "Bad request"),
            Self::RangeNotSatisfiable(_) => (416, "Range not satisfiable"),
        }
    }
}

/// Code and message of each error code.
const fn code_and_message(code: ErrorCode) -> (u16, &'static str) {
    match code {
        ErrorCode::InvalidRequest => (400, "Bad request"),
        ErrorCode::Unauthenticated => (401, "Permission denied"),
        ErrorCode::UnknownUser => (403, "Unknown user"),
        ErrorCode::Forbidden => (403, "Forbidden"),
        ErrorCode::NotFound => (404, "Not found"),
        ErrorCode::Unprocessable => (422, "Unprocessable entity"),
        ErrorCode::Throttled => (429, "Too many requests"),
        ErrorCode::Internal => (500, "Internal server error"),
        ErrorCode::Unavailable => (503, "Service unavailable"),
        ErrorCode::Validation => (1001, "Validation error"),
        ErrorCode::InviteInvalid => (1004, "Invite invalid"),
    }
}

impl From<RpcError> for ApiError {
    fn from(error: RpcError) -> Self {
        Self::RpcError(error)
    }
}

impl From<tonic::Status> for ApiError {
    fn from(status: tonic::Status) -> Self {
        Self::RpcError(status.into())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code_and_message().1)
    }
}

impl ResponseError for ApiError {
    /// Returns the code itself if it is an HTTP status; codes from 1000 up have status 422.
    fn status_code(&self) -> StatusCode {
        let (code, _) = self.code_and_message();
        if code < 1000 {
            StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        } else {
            StatusCode::UNPROCESSABLE_ENTITY
        }
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let (code, message) = self.code_and_message();
        let mut response = HttpResponse::build(self.status_code());
        let mut info = Info::new();
        match self {
            Self::RpcError(error) => {
                info.clone_from(&error.info);
                if let Some(wait) = retry_after(error) {
                    response.insert_header((RETRY_AFTER, wait));
                }
            }
            Self::MethodNotAllowed(methods) => drop(response.insert_header((ALLOW, *methods))),
            Self::BodyTimeout => {
                info = BTreeMap::from([(
                    "Invalid body".to_owned(),
                    "it didn't come in time".to_owned(),
                )]);
                response.insert_header((CONNECTION, "close"));
            }
            // The rest of the body is not read, so the connection cannot be used again.
            Self::PayloadTooLarge => drop(response.insert_header((CONNECTION, "close"))),
            Self::RangeNotSatisfiable(size) => {
                response.insert_header((CONTENT_RANGE, format!("bytes */{size}")));
            }
            Self::UnsupportedMediaType | Self::NotImplemented => {}
        }
        response.json(ErrorEnvelope {
            success: false,
            result: ErrorResult {
                code,
                message,
                info: &info,
            },
            data: Empty {},
        })
    }
}

/// Returns the value of `Retry-After` in whole seconds (RFC 9110, section 10.2.3), at least 1. 429
/// and 503 always have one.
fn retry_after(error: &RpcError) -> Option<String> {
    let wait = match error.code {
        ErrorCode::Throttled | ErrorCode::Unavailable => {
            error.retry_after.unwrap_or(Duration::from_secs(1))
        }
        ErrorCode::InvalidRequest
        | ErrorCode::Unauthenticated
        | ErrorCode::UnknownUser
        | ErrorCode::Forbidden
        | ErrorCode::NotFound
        | ErrorCode::Unprocessable
        | ErrorCode::Validation
        | ErrorCode::InviteInvalid
        | ErrorCode::Internal => error.retry_after?,
    };
    Some(wait.as_millis().div_ceil(1000).max(1).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status_and_a_message() {
        for &code in ErrorCode::ALL {
            let error = ApiError::from(RpcError::new(code));
            let (number, message) = error.code_and_message();
            let status = error.error_response().status().as_u16();
            assert_eq!(
                status,
                if number < 1000 { number } else { 422 },
                "{message}"
            );
        }
    }

    #[test]
    fn throttled_response_has_retry_after() {
        let wait = |error: RpcError| {
            ApiError::from(error)
                .error_response()
                .headers()
                .get(RETRY_AFTER)
                .map(|wait| wait.to_str().unwrap().to_owned())
        };
        assert_eq!(
            wait(RpcError::new(ErrorCode::Unavailable)).as_deref(),
            Some("1")
        );
        let throttled =
            RpcError::new(ErrorCode::Throttled).with_retry_after(Duration::from_millis(2100));
        assert_eq!(wait(throttled).as_deref(), Some("3"));
        assert_eq!(wait(RpcError::new(ErrorCode::UnknownUser)), None);
    }
}
