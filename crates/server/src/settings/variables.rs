//! The layer of the `DOORWARD_*` variables.

use std::collections::BTreeMap;

use super::{
    layers::{Entry, Layer},
    table,
};

pub(super) type Environment = BTreeMap<String, String>;

/// The file of settings, as `--config`.
pub(super) const CONFIG: &str = "DOORWARD_CONFIG";

/// Variables that are not settings: those of docker-compose.yml, and of Kubernetes for a service named `doorward`.
const IGNORED: &[&str] = &[CONFIG, "DOORWARD_PORT", "DOORWARD_PORTS"];

/// An empty variable counts as not set: compose files pass on what is not there that way.
pub(super) fn layer(environment: &Environment) -> Layer {
    environment
        .iter()
        .filter(|(name, value)| !value.is_empty() && !IGNORED.contains(&name.as_str()))
        .filter_map(|(name, value)| {
            let key = name.strip_prefix("DOORWARD_")?.to_lowercase();
            // Names are in capitals; any other would shadow the one that is.
            let key = if table::variable(&key) == *name {
                key
            } else {
                name.clone()
            };
            Some((
                key,
                Entry {
                    text: value.clone(),
                    name: name.clone(),
                },
            ))
        })
        .collect()
}
