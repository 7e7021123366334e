//! An error on its way between services: the table between our codes and gRPC's, and how both travel in a status.

use std::{collections::HashMap, time::Duration};

use doorward_domain::{ErrorCode, Info};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The `domain` of google.rpc.ErrorInfo in our statuses.
const DOMAIN: &str = "doorward";

/// What a service answers instead of a result; all of it may be shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    pub code: ErrorCode,
    pub info: Info,
    /// When trying again makes sense.
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

    /// The same about a parameter that the caller knows by another name.
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

    /// A peer, a database or a queue that can't serve this now.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(ErrorCode::Unavailable).with_retry_after(Duration::from_secs(1))
    }

    /// What one of ours has said in this status; nothing, when it comes from the transport.
    #[must_use]
    pub fn from_service_status(status: &Status) -> Option<Self> {
        let details = status.get_error_details();
        let ours = details.error_info().filter(|info| info.domain == DOMAIN)?;
        Some(Self {
            code: ours.reason.parse().ok()?,
            info: ours.metadata.clone().into_iter().collect(),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        })
    }

    /// A parameter of an RPC that the caller should have checked.
    #[must_use]
    pub fn invalid_parameter(parameter: &str) -> Self {
        Self::new(ErrorCode::InvalidRequest).with_info("Invalid parameter", parameter)
    }
}

/// Each of our codes as gRPC's; several of ours share one, so the status carries ours too.
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
    fn from(failure: RpcError) -> Self {
        let info: HashMap<String, String> = failure.info.into_iter().collect();
        let mut details = ErrorDetails::with_error_info(failure.code.as_str(), DOMAIN, info);
        if failure.retry_after.is_some() {
            details.set_retry_info(failure.retry_after);
        }
        Self::with_error_details(to_grpc_code(failure.code), failure.code.as_str(), details)
    }
}

impl From<Status> for RpcError {
    /// A status without our details comes from the transport: a peer that is away or too slow, or speaks otherwise.
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
            | Code::Unauthenticated
            // What h2 says of a connection that broke.
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
