//! Settings of directory.

use std::{net::SocketAddr, time::Duration};

use doorward_directory::Limits;
use doorward_domain::languages;
use doorward_storage::DatabaseUrl;

use super::{machine::MachineDefaults, parse, reader::Reader, role::Role};

#[derive(Debug, Clone)]
pub(crate) struct DirectorySettings {
    pub listen: Option<SocketAddr>,
    pub database: DatabaseUrl,
    pub feed_retention: Duration,
    /// Languages of a new project: at least one, no duplicates, all from the global list.
    pub project_languages: Vec<String>,
    pub limits: Limits,
}

const MAX_LIMIT: u32 = 1_000_000_000;

impl DirectorySettings {
    pub(super) fn read(
        reader: &mut Reader<'_>,
        role: Role,
        machine: &MachineDefaults,
    ) -> Option<Self> {
        let listen = if role.runs_all_services() {
            reader.optional("directory_listen", parse::parse_socket)
        } else {
            reader.value_or("directory_listen", "127.0.0.1:50052", parse::parse_socket)
        };
        let database = machine.sqlite_url("directory.db");
        Some(Self {
            listen,
            database: reader.value_or(
                "directory_database_url",
                &database,
                parse::parse_database_url,
            )?,
            feed_retention: reader.value(
                "feed_retention",
                parse::parse_duration(Duration::from_secs(1)),
            )?,
            project_languages: reader.value("project_languages", parse_project_languages)?,
            limits: Limits {
                projects_per_user: reader
                    .value("max_projects_per_user", parse::parse_number(1..=MAX_LIMIT))?,
                members_per_project: reader.value(
                    "max_members_per_project",
                    parse::parse_number(1..=MAX_LIMIT),
                )?,
            },
        })
    }
}

fn parse_project_languages(text: &str) -> Result<Vec<String>, String> {
    let codes = parse::parse_list(|code| Ok(code.to_owned()))(text)?;
    if !codes.is_empty()
        && codes.iter().all(|code| languages::is_known(code))
        && codes
            .iter()
            .enumerate()
            .all(|(position, code)| codes.iter().take(position).all(|other| other != code))
    {
        return Ok(codes);
    }
    Err("expected codes of languages, such as en,nl or pt-br, in lower case, each once, with commas between them"
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_languages_are_known_and_different() {
        for (good, codes) in [
            ("en,nl", &["en", "nl"][..]),
            (" nl-be , de,", &["nl-be", "de"]),
            ("fr", &["fr"]),
        ] {
            assert_eq!(parse_project_languages(good).unwrap(), codes, "{good}");
        }
        for bad in [
            "", ",", "xx", "en,xx", "EN", "en;nl", "en nl", "en,nl,en", "nl_be",
        ] {
            assert!(parse_project_languages(bad).is_err(), "{bad}");
        }
    }
}
