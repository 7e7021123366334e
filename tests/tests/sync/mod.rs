//! TODO sync

pub(crate) mod calls;
mod errors;
pub(crate) mod following;
pub(crate) mod publish;
pub(crate) mod release;
pub(crate) mod replicas;
pub(crate) mod retention;
pub(crate) mod visibility;
