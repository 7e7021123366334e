//! Layers of settings: file, variables, flags. Each overrides the layers before it.

use std::{collections::BTreeMap, path::PathBuf};

use super::table::TABLE;
use crate::settings::errors::SettingsError;

/// The entries of one layer by key or, for files with secrets, by `<key>_file`.
pub(super) type Layer = BTreeMap<String, Entry>;

pub(super) struct Entry {
    pub(super) text: String,
    /// Name that the user knows: a variable, a key in the file, or a flag.
    pub(super) name: String,
}

/// The value of a setting in the highest layer that has it.
pub(super) struct GivenSetting {
    pub(super) source: ValueSource,
    pub(super) name: String,
}

pub(super) enum ValueSource {
    Text(String),
    File(PathBuf),
}

/// Given settings by key.
pub(super) type GivenSettings = BTreeMap<&'static str, GivenSetting>;

/// Overrides the settings given so far with those of `layer`. Returns the names that are not
/// settings.
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
