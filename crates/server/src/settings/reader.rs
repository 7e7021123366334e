//! Typed values out of what was given and the table's defaults; what doesn't fit is noted, and reading goes on.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use doorward_media::Location;
use doorward_storage::DatabaseUrl;

use super::{
    layers::{GivenSettings, ValueSource},
    table::{Default, Kind, Setting},
    variables::Environment,
};
use crate::settings::errors::SettingsError;

/// A secret file that is longer is none.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

const REDACTED: &str = "<redacted>";

/// The effective text of each setting, for `--print-config`; no secrets.
pub(super) type Effective = BTreeMap<&'static str, EffectiveValue>;

#[derive(Debug, Clone)]
pub(super) struct EffectiveValue {
    pub(super) text: String,
    /// The variable, key or flag, when it isn't the default.
    pub(super) name: Option<String>,
}

pub(super) struct Reader<'a> {
    pub(super) given: &'a GivenSettings,
    pub(super) environment: &'a Environment,
    pub(super) mistakes: &'a mut SettingsError,
    pub(super) effective: Effective,
}

impl Reader<'_> {
    /// What was given, if anything.
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

    /// What was given, or the table's default. None only if that one is a mistake, too.
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

    /// What was given, or `default`. None only if that one is a mistake, too.
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

    /// The value is what it is, whatever was given.
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

    /// By what name the user knows this setting.
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

/// What may stay in memory, and be printed.
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

/// Whether a message may show a wrong value.
fn may_repeat(key: &str, text: &str) -> bool {
    let kind = Setting::find(key).map(|setting| setting.kind);
    // With an @ it may be a URL with a password that went to the wrong place.
    !matches!(
        kind,
        None | Some(Kind::Secret | Kind::DatabaseUrl | Kind::StoreUrl | Kind::Url)
    ) && !text.contains('@')
        && text.len() <= 200
}

/// The file's text without its last line's end.
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
