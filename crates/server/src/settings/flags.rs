//! The layer of the flags, which are created from the table of settings.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{
    layers::{Entry, Layer},
    table::{Default, Kind, Setting, TABLE, flag, variable},
};

const CONFIG: &str = "config";
const HEADING: &str = "Settings";

/// Adds the flags of all settings to `command` and all its subcommands. `-h` omits them, `--help`
/// shows them.
pub(crate) fn add_to(command: Command) -> Command {
    let config = Arg::new(CONFIG)
        .long(CONFIG)
        .value_name("FILE")
        .help("TOML file with settings: the keys are the flags' names with _ in place of - [env: DOORWARD_CONFIG]")
        .help_heading(HEADING)
        .global(true);
    command.arg(config).args(TABLE.iter().map(argument))
}

fn argument(setting: &'static Setting) -> Arg {
    let default = match setting.default {
        Default::None => "none",
        Default::Value(text) | Default::Computed(text) => text,
    };
    let file_key = setting.file_key();
    let key = file_key.as_deref().unwrap_or(setting.key);
    let what = if setting.is_secret() {
        "; a file that holds it"
    } else {
        ""
    };
    let argument = Arg::new(key.to_owned())
        .long(flag(key))
        .help(format!(
            "{}{what} [env: {}] [default: {default}]",
            setting.help,
            variable(key)
        ))
        .help_heading(HEADING)
        .hide_short_help(true)
        .global(true);
    match setting.kind {
        Kind::Bool => argument
            .value_name("true|false")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Kind::List => argument.value_name("LIST").action(ArgAction::Append),
        Kind::Secret | Kind::DatabaseUrl | Kind::StoreUrl | Kind::Path => {
            argument.value_name("PATH")
        }
        Kind::Text => argument.value_name("TEXT"),
        Kind::Address => argument.value_name("ADDRESS:PORT"),
        Kind::Url => argument.value_name("URL"),
        Kind::Number => argument.value_name("N").allow_negative_numbers(true),
        Kind::Duration => argument.value_name("DURATION"),
    }
}

/// Returns the path of the settings file in `--config`.
pub(super) fn config(matches: &ArgMatches) -> Option<&str> {
    matches
        .try_get_one::<String>(CONFIG)
        .ok()
        .flatten()
        .map(String::as_str)
}

pub(super) fn layer(matches: &ArgMatches) -> Layer {
    let entry = |setting: &Setting| {
        let key = setting.file_key().unwrap_or_else(|| setting.key.to_owned());
        let values: Vec<&str> = matches
            .try_get_many::<String>(&key)
            .ok()??
            .map(String::as_str)
            .collect();
        let name = format!("--{}", flag(&key));
        Some((
            key,
            Entry {
                text: values.join(","),
                name,
            },
        ))
    };
    TABLE.iter().filter_map(entry).collect()
}
