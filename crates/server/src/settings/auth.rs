//! Settings of auth.

use std::{net::SocketAddr, time::Duration};

use doorward_storage::DatabaseUrl;

use super::{machine::MachineDefaults, parse, reader::Reader, role::Role};
use crate::master_key::MasterKey;

#[derive(Debug, Clone)]
pub(crate) struct AuthSettings {
    pub listen: Option<SocketAddr>,
    pub database: DatabaseUrl,
    pub master_key: Option<MasterKey>,
    pub token: TokenSettings,
    pub passwords: PasswordSettings,
    pub argon2: Argon2Settings,
    pub hash_workers: usize,
    pub hash_queue: usize,
    /// For `import`: the master key of the installation that was exported.
    pub master_key_old: Option<MasterKey>,
    /// For `keys reseal`.
    pub new_master_key: Option<MasterKey>,
    pub throttle: ThrottleSettings,
    pub audit_retention: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct TokenSettings {
    pub issuer: String,
    pub lifetime: Duration,
    pub renew_after: Duration,
    pub max_session: Duration,
    /// Maximum age of the trust data with which tokens are accepted.
    pub trust_max_age: Duration,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct PasswordSettings {
    /// Minimum length of a password, in characters.
    pub min_length: usize,
    pub require_current: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Argon2Settings {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ThrottleSettings {
    pub failures: u32,
    pub backoff: Duration,
    pub backoff_max: Duration,
}

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

impl AuthSettings {
    pub(super) fn read(
        reader: &mut Reader<'_>,
        role: Role,
        machine: &MachineDefaults,
    ) -> Option<Self> {
        let cores = machine.cores;
        let listen = if role.runs_all_services() {
            reader.optional("auth_listen", parse::parse_socket)
        } else {
            reader.value_or("auth_listen", "127.0.0.1:50051", parse::parse_socket)
        };
        Some(Self {
            listen,
            database: reader.value_or(
                "auth_database_url",
                &machine.sqlite_url("auth.db"),
                parse::parse_database_url,
            )?,
            master_key: reader.optional("master_key", master_key),
            master_key_old: reader.optional("master_key_old", master_key),
            new_master_key: reader.optional("new_master_key", master_key),
            token: TokenSettings::read(reader)?,
            passwords: PasswordSettings {
                min_length: reader.value("password_min_length", parse::parse_number(1..=256))?,
                require_current: reader.value("require_current_password", parse::parse_bool)?,
            },
            argon2: Argon2Settings::read(reader)?,
            hash_workers: reader.value_or(
                "hash_workers",
                &cores.to_string(),
                parse::parse_number(1..=1024),
            )?,
            hash_queue: reader.value_or(
                "hash_queue",
                &(64 * cores).to_string(),
                parse::parse_number(1..=1_000_000),
            )?,
            throttle: ThrottleSettings::read(reader)?,
            audit_retention: reader.value("audit_retention", parse::parse_duration(SECOND))?,
        })
    }
}

impl TokenSettings {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        // These are not compared with each other, because each can be set alone: a token lives for
        // the shortest of them.
        Some(Self {
            issuer: reader.value("token_issuer", parse_issuer)?,
            lifetime: reader.value("token_lifetime", parse::parse_duration(SECOND))?,
            renew_after: reader
                .value("token_renew_after", parse::parse_duration(Duration::ZERO))?,
            max_session: reader.value("token_max_session", parse::parse_duration(SECOND))?,
            // auth sends a message at least once a second. A shorter limit would reject calls after
            // a small delay.
            trust_max_age: reader.value("trust_max_age", parse::parse_duration(3 * SECOND))?,
        })
    }
}

impl Argon2Settings {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let argon2 = Self {
            memory_kib: reader.value("argon2_memory_kib", parse::parse_number(8..=1024 * 1024))?,
            passes: reader.value("argon2_passes", parse::parse_number(1..=100))?,
            lanes: reader.value("argon2_lanes", parse::parse_number(1..=64))?,
        };
        if argon2.memory_kib < 8 * argon2.lanes {
            let lanes = reader.name("argon2_lanes");
            reader.add_error::<()>(
                "argon2_memory_kib",
                &format!("expected at least 8 times {lanes}"),
            );
        }
        if !doorward_auth::is_within_cost_limit(argon2.memory_kib, argon2.passes, argon2.lanes) {
            let passes = reader.name("argon2_passes");
            let limit = format!(
                "expected at most 262144, and times {passes} at most 4194304: more is never checked"
            );
            reader.add_error::<()>("argon2_memory_kib", &limit);
        }
        Some(argon2)
    }
}

impl ThrottleSettings {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            failures: reader.value("login_failures", parse::parse_number(1..=1_000_000))?,
            backoff: reader.value("login_backoff", parse::parse_duration(MILLISECOND))?,
            backoff_max: reader.value("login_backoff_max", parse::parse_duration(MILLISECOND))?,
        })
    }
}

fn master_key(text: &str) -> Result<MasterKey, String> {
    text.parse()
        .map_err(|error: doorward_domain::Malformed| error.to_string())
}

fn parse_issuer(text: &str) -> Result<String, String> {
    if (1..=255).contains(&text.len()) && text.chars().all(|char| char.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err("expected a name or a URL, without spaces".to_owned())
}
