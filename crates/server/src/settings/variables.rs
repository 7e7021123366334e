//! The layer of the `DOORWARD_*` variables.

use std::collections::BTreeMap;

use super::{
    layers::{Entry, Layer},
    table,
};

pub(super) type Environment = BTreeMap<String, String>;

/// Variable with the path of the settings file, like `--config`.
pub(super) const CONFIG: &str = "DOORWARD_CONFIG";

/// Variables that are not settings: those of docker-compose.yml, and those that Kubernetes sets for
/// a service named `doorward`.
const IGNORED: &[&str] = &[CONFIG, "DOORWARD_PORT", "DOORWARD_PORTS"];

/// Returns the layer of the variables. An empty variable counts as not set, because compose files
/// pass unset ones as empty.
pub(super) fn layer(environment: &Environment) -> Layer {
    environment
        .iter()
        .filter(|(name, value)| !value.is_empty() && !IGNORED.contains(&name.as_str()))
        .filter_map(|(name, value)| {
            let key = name.strip_prefix("DOORWARD_")?.to_lowercase();
            // Only upper case is a setting; another spelling would override the correct one.
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
