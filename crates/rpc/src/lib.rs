//! The gRPC contracts as Rust: generated code, error codes to and from gRPC statuses, and what every connection
//! between the services has in common. No rules and no storage.

pub mod access;
pub mod channel;
mod convert;
pub mod error;
mod idle_timeout;
pub mod server;
pub mod service_token;

pub use access::{Access, Rpc, Scope};
pub use channel::{Channel, Peer};
pub use error::RpcError;
pub use service_token::ServiceToken;

/// The compiled contracts, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/descriptors.bin");

#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
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
    reason = "generated"
)]
pub mod directory {
    pub mod v1 {
        include!("generated/doorward.directory.v1.rs");
    }
}

/// The trace that a context belongs to, for the logs, when somebody gathers it.
#[must_use]
pub fn trace_id(context: &opentelemetry::Context) -> Option<String> {
    use opentelemetry::trace::TraceContextExt;
    let span = context.span();
    let context = span.span_context();
    (context.is_valid() && context.is_sampled()).then(|| context.trace_id().to_string())
}
