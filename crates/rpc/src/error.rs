//! Errors between services: the table from error codes to gRPC codes, and the conversion of an
//! error to a gRPC status and back.
//!
//! Example: `Validation` with `{"username": "unavailable"}` becomes the status `INVALID_ARGUMENT`
//! with a google.rpc.ErrorInfo of the domain `doorward`: reason `VALIDATION`, metadata `username`.
//! The client restores the same error from the `ErrorInfo`. A status without it was made by the
//! transport, and becomes `Unavailable` or `Internal`.

use std::{collections::HashMap, time::Duration};

use doorward_domain::{ErrorCode, Info};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// `domain` of google.rpc.ErrorInfo in the statuses of Doorward.
const DOMAIN: &str = "doorward";

/// Error of an RPC. All of it can be shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    pub code: ErrorCode,
    pub info: Info,
    /// Time after which to try again.
    pub retry_after: Option<Duration>,
}

impl RpcError {
    #[must_use]
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code,
            info: Info::new(),
            retry_after: None,
        }
    }

    #[must_use]
    pub fn with_info(mut self, key: &str, value: &str) -> Self {
        self.info.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Renames a key of `info`, for a parameter that has another name in the calling layer.
    #[must_use]
    pub fn with_renamed_key(mut self, from: &str, to: &str) -> Self {
        if let Some(value) = self.info.remove(from) {
            self.info.insert(to.to_owned(), value);
        }
        self
    }

    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Returns the error for a peer, a database or a queue that cannot serve the call now.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(ErrorCode::Unavailable).with_retry_after(Duration::from_secs(1))
    }

    /// Returns the error that a service sent in a status, or `None` if the status comes from the
    /// transport.
    #[must_use]
    pub fn from_service_status(status: &Status) -> Option<Self> {
        let details = status.get_error_details();
        let error_info = details.error_info().filter(|info| info.domain == DOMAIN)?;
        Some(Self {
            code: error_info.reason.parse().ok()?,
            info: error_info.metadata.clone().into_iter().collect(),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        })
    }

    /// Returns the error for a parameter of an RPC that the calling service should have checked.
    #[must_use]
    pub fn invalid_parameter(parameter: &str) -> Self {
        Self::new(ErrorCode::InvalidRequest).with_info("Invalid parameter", parameter)
    }
}

/// Returns the gRPC code of an error code. Several error codes share one, so the status also has
/// the error code itself.
const fn to_grpc_code(code: ErrorCode) -> Code {
    match code {
        ErrorCode::InvalidRequest | ErrorCode::Validation => Code::InvalidArgument,
        ErrorCode::Unauthenticated => Code::Unauthenticated,
        ErrorCode::UnknownUser | ErrorCode::Forbidden => Code::PermissionDenied,
        ErrorCode::NotFound => Code::NotFound,
        ErrorCode::Unprocessable | ErrorCode::InviteInvalid => Code::FailedPrecondition,
        ErrorCode::Throttled => Code::ResourceExhausted,
        ErrorCode::Unavailable => Code::Unavailable,
        ErrorCode::Internal => Code::Internal,
    }
}

impl From<RpcError> for Status {
    fn from(error: RpcError) -> Self {
        let info: HashMap<String, String> = error.info.into_iter().collect();
        let mut details = ErrorDetails::with_error_info(error.code.as_str(), DOMAIN, info);
        if error.retry_after.is_some() {
            details.set_retry_info(error.retry_after);
        }
        Self::with_error_details(to_grpc_code(error.code), error.code.as_str(), details)
    }
}

impl From<Status> for RpcError {
    /// Restores the error that a service sent. A status without one comes from the transport: the
    /// peer is unavailable or too slow, or has another version of the contract.
    fn from(status: Status) -> Self {
        if let Some(sent) = Self::from_service_status(&status) {
            return sent;
        }
        tracing::warn!(code = ?status.code(), detail = status.message(), "a call to a peer failed");
        match status.code() {
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::ResourceExhausted
            | Code::Aborted
            // The service token is wrong. This is a fault of the installation and not of the user,
            // so it must not become a 401.
            | Code::Unauthenticated
            // h2 reports a broken connection with these two.
            | Code::Unknown
            | Code::Internal => Self::unavailable(),
            Code::Ok
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::DataLoss => Self::new(ErrorCode::Internal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_code_round_trips() {
        for &code in ErrorCode::ALL {
            let sent = RpcError::new(code)
                .with_info("username", "unavailable")
                .with_retry_after(Duration::from_secs(3));
            assert_eq!(RpcError::from(Status::from(sent.clone())), sent);
        }
    }

    #[test]
    fn unreachable_peer_is_unavailable_not_unauthenticated() {
        for code in [
            Code::Unavailable,
            Code::DeadlineExceeded,
            Code::Cancelled,
            Code::Unauthenticated,
            Code::Unknown,
        ] {
            assert_eq!(
                RpcError::from(Status::new(code, "")).code,
                ErrorCode::Unavailable
            );
        }
        assert_eq!(
            RpcError::from(Status::unimplemented("x")).code,
            ErrorCode::Internal
        );
    }
}
