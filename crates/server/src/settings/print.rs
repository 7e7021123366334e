//! The effective settings as TOML.

use std::fmt::Write;

use toml::Value;

use super::{
    reader::{Effective, EffectiveValue},
    table::{Kind, TABLE},
};

/// Returns the settings as TOML. A comment names the source of each value that is not the default.
pub(super) fn to_toml(effective: &Effective) -> String {
    let mut toml = String::new();
    for setting in TABLE {
        let Some(EffectiveValue { text, name }) = effective.get(setting.key) else {
            continue;
        };
        let value = to_toml_value(setting.kind, text);
        let comment = name
            .as_ref()
            .map(|name| format!(" # {name}"))
            .unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(toml, "{} = {value}{comment}", setting.key);
    }
    toml
}

fn to_toml_value(kind: Kind, text: &str) -> Value {
    let string = || Value::String(text.to_owned());
    match kind {
        Kind::Text
        | Kind::Address
        | Kind::Path
        | Kind::Url
        | Kind::Duration
        | Kind::Secret
        | Kind::DatabaseUrl
        | Kind::StoreUrl => string(),
        Kind::Number => text.parse().map_or_else(|_| string(), Value::Integer),
        Kind::Bool => Value::Boolean(super::parse::parse_bool(text).unwrap_or_default()),
        Kind::List => Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(Value::from)
                .collect(),
        ),
    }
}
