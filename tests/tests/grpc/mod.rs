//! Tests of the gRPC services from outside: contract, service tokens, queries, concurrency and TLS.

pub(crate) mod contract;
pub(crate) mod parallel;
pub(crate) mod queries;
pub(crate) mod service_tokens;
pub(crate) mod tls;
