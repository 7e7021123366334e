//! The gRPC contracts as Rust: generated code, the conversion between error codes and gRPC
//! statuses, and the parts that every client and server of the services share. It has no business
//! rules and no storage.

pub mod access;
pub mod channel;
mod convert;
pub mod error;
mod idle_timeout;
mod next_message;
pub mod server;
pub mod service_token;

pub use access::{Access, Rpc, Scope};
pub use channel::{Channel, Peer};
pub use error::RpcError;
pub use next_message::{NextMessageError, next_message};
pub use service_token::ServiceToken;

/// Compiled contracts, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/descriptors.bin");

#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    clippy::doc_markdown,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    reason = "generated"
)]
pub mod auth {
    pub mod v1 {
        include!("generated/doorward.auth.v1.rs");
    }
}

#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    clippy::doc_markdown,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    reason = "generated"
)]
pub mod directory {
    pub mod v1 {
        include!("generated/doorward.directory.v1.rs");
    }
}

/// Returns the id of the trace of a context, for the logs. A trace that is not sampled has no id,
/// because no collector receives it.
#[must_use]
pub fn trace_id(context: &opentelemetry::Context) -> Option<String> {
    use opentelemetry::trace::TraceContextExt;
    let span = context.span();
    let context = span.span_context();
    (context.is_valid() && context.is_sampled()).then(|| context.trace_id().to_string())
}
