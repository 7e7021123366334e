//! Settings: defaults, overridden by a TOML file, `DOORWARD_*` variables and flags, in this order.
//! All mistakes are reported together.

mod auth;
mod checks;
mod directory;
pub(crate) mod errors;
mod file;
pub(crate) mod flags;
mod gateway;
pub(crate) mod grpc;
mod layers;
mod log;
mod mail;
mod parse;
mod print;
mod reader;
mod role;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod variables;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::ArgMatches;
use doorward_storage::DatabaseUrl;
use secrecy::SecretString;

pub(crate) use crate::settings::errors::SettingsError;
pub(crate) use crate::settings::grpc::{GrpcTls, PeerSettings};
pub(crate) use auth::AuthSettings;
pub(crate) use directory::DirectorySettings;
pub(crate) use gateway::GatewaySettings;
pub(crate) use log::{LogFormat, LogSettings};
pub(crate) use mail::MailSettings;
pub(crate) use role::Role;

use layers::{GivenSettings, apply_layer};
use reader::{Effective, Reader};
use variables::Environment;

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub role: Role,
    pub gateway: GatewaySettings,
    pub auth: AuthSettings,
    pub directory: DirectorySettings,
    pub peers: PeerSettings,
    pub grpc_tls: Option<GrpcTls>,
    /// The token that was set. [`crate::secret_files::load_service_token`] generates one if
    /// necessary.
    pub service_token: Option<SecretString>,
    pub mail: MailSettings,
    pub log: LogSettings,
    pub data_dir: PathBuf,
    /// Maximum number of connections to each database.
    pub pool_size: u32,
    pub ops_listen: SocketAddr,
    /// Whether to migrate the databases before serving.
    pub migrate: bool,
    /// Warnings, which are logged after the log is started.
    pub warnings: Vec<String>,
    effective: Effective,
}

impl Settings {
    /// Reads the settings of a role.
    ///
    /// # Errors
    /// All mistakes in the settings, in one error.
    pub(crate) fn load(
        role: Role,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &ArgMatches,
    ) -> Result<Self, SettingsError> {
        let environment: Environment = environment.into_iter().collect();
        let mut mistakes = SettingsError::default();
        let mut warnings = Vec::new();
        let given = read_layers(&environment, flags, &mut mistakes, &mut warnings);
        let effective = Effective::new();
        let mut reader = Reader {
            given: &given,
            environment: &environment,
            mistakes: &mut mistakes,
            effective,
        };
        let settings = Self::read(&mut reader, role);
        if let Some(settings) = &settings {
            checks::check_settings(&mut reader, settings);
        }
        warnings.extend(checks::unused_settings(&reader, role));
        let effective = reader.effective;
        match settings {
            Some(settings) if mistakes.is_empty() => Ok(Self {
                effective,
                warnings,
                ..settings
            }),
            Some(_) | None => Err(mistakes),
        }
    }

    /// Returns whether at least one database is an SQLite file.
    pub(crate) fn uses_sqlite(&self) -> bool {
        [&self.auth.database, &self.directory.database]
            .iter()
            .any(|url| matches!(url, DatabaseUrl::Sqlite(_)))
    }

    /// Returns whether both databases are SQLite files.
    pub(crate) fn uses_only_sqlite(&self) -> bool {
        [&self.auth.database, &self.directory.database]
            .iter()
            .all(|url| matches!(url, DatabaseUrl::Sqlite(_)))
    }

    /// Returns the effective settings without secrets, as a file that another process can use.
    pub(crate) fn to_toml(&self) -> String {
        print::to_toml(&self.effective)
    }

    fn read(reader: &mut Reader<'_>, role: Role) -> Option<Self> {
        let data_dir = reader.value("data_dir", parse::parse_path)?;
        let machine = MachineDefaults::new(&data_dir);
        let grpc_tls = GrpcTls::read(reader);
        let has_tls = reader.is_given("grpc_tls_ca");
        let migrate = reader.value_or("migrate", "false", parse::parse_bool)?;
        if role.runs_all_services() {
            reader.set_fixed("migrate", "true");
        }
        let gateway = GatewaySettings::read(reader, &machine)?;
        Some(Self {
            role,
            mail: MailSettings::read(reader, role, &gateway.app_url)?,
            gateway,
            auth: AuthSettings::read(reader, role, &machine)?,
            directory: DirectorySettings::read(reader, role, &machine)?,
            peers: PeerSettings::read(reader, role, has_tls),
            grpc_tls,
            service_token: reader.optional("service_token", grpc::service_token),
            log: LogSettings::read(reader)?,
            pool_size: reader.value_or(
                "database_pool_size",
                &(4 * machine.cores).to_string(),
                parse::parse_number(1..=1000),
            )?,
            ops_listen: reader.value("ops_listen", parse::parse_socket)?,
            migrate: migrate || role.runs_all_services(),
            data_dir,
            warnings: Vec::new(),
            effective: Effective::new(),
        })
    }
}

/// Reads file, variables and flags. Each overrides the layer before it.
fn read_layers(
    environment: &Environment,
    flags: &ArgMatches,
    mistakes: &mut SettingsError,
    warnings: &mut Vec<String>,
) -> GivenSettings {
    let mut given = GivenSettings::new();
    let config =
        flags::config(flags).or_else(|| environment.get(variables::CONFIG).map(String::as_str));
    if let Some(path) = config.filter(|path| !path.is_empty()) {
        let unknown = apply_layer(&mut given, file::layer(Path::new(path), mistakes), mistakes);
        unknown.values().for_each(|entry| {
            mistakes.push(&entry.name, "expected a setting, but none is called so");
        });
    }
    let unknown = apply_layer(&mut given, variables::layer(environment), mistakes);
    warnings.extend(
        unknown
            .into_values()
            .map(|entry| format!("{} is set, but no setting is called so", entry.name)),
    );
    apply_layer(&mut given, flags::layer(flags), mistakes);
    given
}

/// Facts on which computed defaults depend.
struct MachineDefaults<'a> {
    cores: usize,
    data_dir: &'a Path,
}

impl<'a> MachineDefaults<'a> {
    fn new(data_dir: &'a Path) -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            data_dir,
        }
    }

    /// Returns the default directory of the object store.
    fn media(&self) -> String {
        self.data_dir.join("media").display().to_string()
    }

    fn sqlite_url(&self, file: &str) -> String {
        format!("sqlite://{}", self.data_dir.join(file).display())
    }
}
