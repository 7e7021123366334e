//! The layer of the `DOORWARD_*` variables.

use std::collections::BTreeMap;

use super::{
    layers::{Entry, Layer},
    table,
};

pub(super) type Environment = BTreeMap<String, String>;

/// The file of settings, as `--config`.
pub(super) const CONFIG: &str = "DOORWARD_CONFIG";

/// Not settings: of the tests, the benchmark, docker-compose.yml.
const IGNORED: &[&str] = &[CONFIG, "DOORWARD_PORT", "DOORWARD_PORTS"];
const IGNORED_PREFIXES: &[&str] = &["DOORWARD_TEST_", "DOORWARD_BENCH_"];

/// An empty variable counts as not set: compose files pass on what is not there that way.
pub(super) fn layer(environment: &Environment) -> Layer {
    environment
        .iter()
        .filter(|(name, value)| !value.is_empty() && !is_ignored(name))
        .filter_map(|(name, value)| {
            let key = name.strip_prefix("DOORWARD_")?.to_lowercase();
            // Names are in capitals; any other would shadow the one that is.
            let key = if table::variable(&key) == *name { key } else { name.clone() };
            Some((key, Entry { text: value.clone(), name: name.clone() }))
        })
        .collect()
}

fn is_ignored(name: &str) -> bool {
    IGNORED.contains(&name) || IGNORED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
