//! Tests of projects: calls, icons, options and quotas.

pub(crate) mod calls;
pub(crate) mod fixture;
pub(crate) mod icons;
pub(crate) mod options;
pub(crate) mod quotas;
