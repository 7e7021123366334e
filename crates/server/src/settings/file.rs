//! The layer of the TOML file, which has flat keys.

use std::path::Path;

use toml::Value;

use super::layers::{Entry, Layer};
use crate::settings::errors::SettingsError;

pub(super) fn layer(path: &Path, mistakes: &mut SettingsError) -> Layer {
    let name = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            mistakes.push(&name, &format!("can't read this file: {error}"));
            return Layer::new();
        }
    };
    parse(&text, &name, mistakes)
}

fn parse(text: &str, file: &str, mistakes: &mut SettingsError) -> Layer {
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            // The whole error would quote the line, which may contain a secret.
            let line = error
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| before.matches('\n').count() + 1);
            mistakes.push(
                file,
                &format!("no TOML in line {line}: {}", error.message()),
            );
            return Layer::new();
        }
    };
    let mut layer = Layer::new();
    for (key, value) in table {
        let name = format!("`{key}` in {file}");
        match to_text(&value) {
            Some(text) => {
                layer.insert(key, Entry { text, name });
            }
            None => mistakes.push(
                &name,
                "expected a string, a number, true, false, or an array of strings",
            ),
        }
    }
    layer
}

/// Converts the value to the text that a variable would have.
fn to_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(switch) => Some(switch.to_string()),
        Value::Array(values) => Some(
            values
                .iter()
                .map(Value::as_str)
                .collect::<Option<Vec<_>>>()?
                .join(","),
        ),
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_file_is_reported_by_line_without_its_content() {
        for broken in [
            "listen = 1\nmaster_key = s3cret!!\n",
            "\nmaster_key = \"s3cret\n",
            "a = 1\na = 's3cret'",
            "x=1\n[s3cret",
        ] {
            let mut mistakes = SettingsError::default();
            assert!(parse(broken, "doorward.toml", &mut mistakes).is_empty());
            let message = mistakes.to_string();
            assert!(
                message.contains("doorward.toml: no TOML in line 2"),
                "{message}"
            );
            assert!(!message.contains("s3cret"), "{message}");
        }
    }

    #[test]
    fn values_may_be_strings_integers_booleans_and_arrays_of_strings() {
        let mut mistakes = SettingsError::default();
        let layer = parse(
            "a = 'x'\nb = 5\nc = true\nd = ['x', 'y']\ne = 1.5\nf = [1]",
            "f",
            &mut mistakes,
        );
        let texts: Vec<_> = layer.values().map(|entry| entry.text.as_str()).collect();
        assert_eq!(texts, ["x", "5", "true", "x,y"]);
        let message = mistakes.to_string();
        assert!(
            message.contains("`e` in f: expected") && message.contains("`f` in f: expected"),
            "{message}"
        );
    }
}
