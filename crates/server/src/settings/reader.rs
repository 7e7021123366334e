//! Reads typed values from the given settings and the defaults of the table. A mistake is recorded,
//! and reading continues.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use doorward_media::Location;
use doorward_storage::DatabaseUrl;

use super::{
    layers::{GivenSettings, ValueSource},
    table::{Default, Kind, Setting},
    variables::Environment,
};
use crate::settings::errors::SettingsError;

/// Maximum size of a file with a secret.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

const REDACTED: &str = "<redacted>";

/// Effective text of each setting for `--print-config`, without secrets.
pub(super) type Effective = BTreeMap<&'static str, EffectiveValue>;

#[derive(Debug, Clone)]
pub(super) struct EffectiveValue {
    pub(super) text: String,
    /// The variable, key or flag. None for a default.
    pub(super) name: Option<String>,
}

pub(super) struct Reader<'a> {
    pub(super) given: &'a GivenSettings,
    pub(super) environment: &'a Environment,
    pub(super) mistakes: &'a mut SettingsError,
    pub(super) effective: Effective,
}

impl Reader<'_> {
    /// Returns the given value, if any.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let name = self.given.get(key)?.name.clone();
        let text = self.text(key)?;
        match parse(&text) {
            Ok(value) => {
                self.record_effective(key, &text, Some(name));
                Some(value)
            }
            Err(expected) if may_repeat(key, &text) => {
                self.add_error(key, &format!("{expected}, not {text:?}"))
            }
            Err(expected) => self.add_error(key, &expected),
        }
    }

    /// Returns the given value or the default of the table. None only if the default is invalid
    /// too.
    pub(super) fn value<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match Setting::find(key).map(|setting| setting.default) {
            Some(Default::Value(text)) => self.value_or(key, text, parse),
            Some(Default::None | Default::Computed(_)) | None => self.optional(key, parse),
        }
    }

    /// Returns the given value or `default`. None only if `default` is invalid too.
    pub(super) fn value_or<T>(
        &mut self,
        key: &'static str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        if let Some(value) = self.optional(key, &parse) {
            return Some(value);
        }
        match parse(default) {
            Ok(value) => {
                self.record_effective(key, default, None);
                Some(value)
            }
            Err(expected) => self.add_error(key, &format!("{expected}, which the default is not")),
        }
    }

    /// Records a value that the role determines, independent of what was given.
    pub(super) fn set_fixed(&mut self, key: &'static str, text: &str) {
        self.record_effective(key, text, None);
    }

    fn record_effective(&mut self, key: &'static str, text: &str, name: Option<String>) {
        let kind = Setting::find(key).map_or(Kind::Secret, |setting| setting.kind);
        self.effective.insert(
            key,
            EffectiveValue {
                text: redacted(kind, text),
                name,
            },
        );
    }

    pub(super) fn is_given(&self, key: &str) -> bool {
        self.given.contains_key(key)
    }

    /// Returns the name by which the user has given this setting.
    pub(super) fn name(&self, key: &str) -> String {
        self.given
            .get(key)
            .map_or_else(|| super::table::variable(key), |given| given.name.clone())
    }

    pub(super) fn add_error<T>(&mut self, key: &str, what: &str) -> Option<T> {
        let name = self.name(key);
        self.mistakes.push(&name, what);
        None
    }

    fn text(&mut self, key: &'static str) -> Option<String> {
        match &self.given.get(key)?.source {
            ValueSource::Text(text) => Some(text.clone()),
            ValueSource::File(path) => match read_secret(path) {
                Ok(text) => Some(text),
                Err(why) => self.add_error(
                    key,
                    &format!("can't use the file {}: {why}", path.display()),
                ),
            },
        }
    }
}

/// Returns the text without secrets, which can be stored and printed.
fn redacted(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Secret => REDACTED.to_owned(),
        Kind::DatabaseUrl => text
            .parse::<DatabaseUrl>()
            .map_or_else(|_| REDACTED.to_owned(), |url| url.to_string()),
        Kind::StoreUrl => text
            .parse::<Location>()
            .map_or_else(|_| REDACTED.to_owned(), |url| url.to_string()),
        Kind::Text
        | Kind::Address
        | Kind::Path
        | Kind::Url
        | Kind::Number
        | Kind::Duration
        | Kind::Bool
        | Kind::List => text.to_owned(),
    }
}

/// Returns whether a message is allowed to repeat an invalid value.
fn may_repeat(key: &str, text: &str) -> bool {
    let kind = Setting::find(key).map(|setting| setting.kind);
    // A text with an @ may be a URL with a password that was given to the wrong setting.
    !matches!(
        kind,
        None | Some(Kind::Secret | Kind::DatabaseUrl | Kind::StoreUrl | Kind::Url)
    ) && !text.contains('@')
        && text.len() <= 200
}

/// Reads the text of a file without the line end of its last line.
fn read_secret(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_SECRET_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MAX_SECRET_BYTES) {
        return Err("it is too long for a secret".to_owned());
    }
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        Err("it is empty".to_owned())
    } else {
        Ok(text)
    }
}
