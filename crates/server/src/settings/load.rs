//! How the settings of a role are read from all layers.

use std::path::Path;

use clap::ArgMatches;

use super::{
    auth::AuthSettings,
    checks,
    directory::DirectorySettings,
    errors::SettingsError,
    file, flags,
    gateway::GatewaySettings,
    grpc::{self, GrpcTls, PeerSettings},
    layers::{GivenSettings, apply_layer},
    log::LogSettings,
    machine::MachineDefaults,
    mail::MailSettings,
    parse,
    reader::{Effective, Reader},
    role::Role,
    values::Settings,
    variables::{self, Environment},
};

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
