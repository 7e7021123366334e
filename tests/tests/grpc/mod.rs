//! TODO grpc

pub(crate) mod contract;
pub(crate) mod parallel;
pub(crate) mod queries;
pub(crate) mod service_tokens;
pub(crate) mod tls;
