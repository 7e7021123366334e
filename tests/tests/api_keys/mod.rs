//! TODO api_keys

pub(crate) mod calls;
pub(crate) mod lifecycle;
