//! TODO projects

pub(crate) mod calls;
pub(crate) mod icons;
pub(crate) mod options;
pub(crate) mod quotas;
