//! Tests of API users and their keys.

pub(crate) mod calls;
pub(crate) mod lifecycle;
