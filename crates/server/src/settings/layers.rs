//! Layers of settings, each over the ones before it: file, variables, flags.

use std::{collections::BTreeMap, path::PathBuf};

use super::table::TABLE;
use crate::settings::errors::SettingsError;

/// What one layer says, by key or, for files of secrets, `<key>_file`.
pub(super) type Layer = BTreeMap<String, Entry>;

pub(super) struct Entry {
    pub(super) text: String,
    /// How the user calls it: a variable, a key in a file, a flag.
    pub(super) name: String,
}

/// What the highest layer says about a setting.
pub(super) struct GivenSetting {
    pub(super) source: ValueSource,
    pub(super) name: String,
}

pub(super) enum ValueSource {
    Text(String),
    File(PathBuf),
}

/// By key.
pub(super) type GivenSettings = BTreeMap<&'static str, GivenSetting>;

/// Lays `layer` over what was given so far, and returns what no setting is called.
pub(super) fn apply_layer(
    given: &mut GivenSettings,
    mut layer: Layer,
    mistakes: &mut SettingsError,
) -> Layer {
    for setting in TABLE {
        let value = layer.remove(setting.key);
        let file = setting.file_key().and_then(|key| layer.remove(&key));
        let highest = match (value, file) {
            (None, None) => continue,
            (Some(value), None) => GivenSetting {
                source: ValueSource::Text(value.text),
                name: value.name,
            },
            (None, Some(file)) => GivenSetting {
                source: ValueSource::File(file.text.into()),
                name: file.name,
            },
            (Some(value), Some(file)) => {
                mistakes.push(
                    &value.name,
                    &format!("expected either this or {}, not both", file.name),
                );
                GivenSetting {
                    source: ValueSource::Text(value.text),
                    name: value.name,
                }
            }
        };
        given.insert(setting.key, highest);
    }
    layer
}
