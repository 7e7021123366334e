//! The table of all settings: the TOML key (variable and flag follow from it), the kind of value,
//! the default and the help text.

/// Kind of a value. It decides the placeholder in the help text, how the value is printed, and
/// whether messages repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Address,
    Path,
    /// May contain a password, so messages never repeat it.
    Url,
    Number,
    Duration,
    Bool,
    /// Comma-separated; in TOML also an array.
    List,
    /// Also read from a file that `<key>_file` names; there is no flag with the value itself.
    Secret,
    /// A secret that prints without its password.
    DatabaseUrl,
    /// A secret that prints without its parameters.
    StoreUrl,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Default {
    None,
    /// The text that a user would give.
    Value(&'static str),
    /// Depends on the machine, the role or another setting.
    Computed(&'static str),
}

#[derive(Debug)]
pub(crate) struct Setting {
    pub key: &'static str,
    pub kind: Kind,
    pub default: Default,
    pub help: &'static str,
}

impl Setting {
    pub(crate) fn find(key: &str) -> Option<&'static Self> {
        TABLE.iter().find(|setting| setting.key == key)
    }

    pub(crate) const fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::DatabaseUrl | Kind::StoreUrl)
    }

    /// Returns the key of the file that contains the value, for secrets.
    pub(crate) fn file_key(&self) -> Option<String> {
        self.is_secret().then(|| format!("{}_file", self.key))
    }
}

pub(crate) fn variable(key: &str) -> String {
    format!("DOORWARD_{}", key.to_uppercase())
}

pub(crate) fn flag(key: &str) -> String {
    key.replace('_', "-")
}

const fn new_setting(
    key: &'static str,
    kind: Kind,
    default: Default,
    help: &'static str,
) -> Setting {
    Setting {
        key,
        kind,
        default,
        help,
    }
}

use crate::settings::table::Default::{Computed, Value};

#[rustfmt::skip]
pub(crate) const TABLE: &[Setting] = &[
    new_setting("data_dir", Kind::Path, Value("./doorward-data"), "SQLite files, media, generated keys"),
    new_setting("listen", Kind::Address, Value("127.0.0.1:8080"), "Address on which the gateway listens"),
    new_setting("auth_listen", Kind::Address, Computed("none in `all`, else 127.0.0.1:50051"), "Address on which auth listens for gRPC"),
    new_setting("directory_listen", Kind::Address, Computed("none in `all`, else 127.0.0.1:50052"), "Address on which directory listens for gRPC"),
    new_setting("auth_url", Kind::Url, Computed("http://127.0.0.1:50051, unused in `all`"), "URL of auth, for gateway"),
    new_setting("directory_url", Kind::Url, Computed("http://127.0.0.1:50052, unused in `all`"), "URL of directory, for gateway and auth"),
    new_setting("auth_database_url", Kind::DatabaseUrl, Computed("sqlite://<data dir>/auth.db"), "Database of auth: sqlite://<path> or postgres://..."),
    new_setting("directory_database_url", Kind::DatabaseUrl, Computed("sqlite://<data dir>/directory.db"), "Database of directory: sqlite://<path> or postgres://..."),
    new_setting("object_store", Kind::StoreUrl, Computed("<data dir>/media"), "Store of pictures: a directory, or s3://<bucket>/<prefix>?<parameters>"),
    new_setting("database_pool_size", Kind::Number, Computed("4 x cores"), "Connections to each database"),
    new_setting("migrate", Kind::Bool, Computed("false; always in `all` and `demo`"), "Migrate the databases before serving"),
    new_setting("project_languages", Kind::List, Value("en,nl"), "Languages of a new project"),
    new_setting("api_version", Kind::Text, Computed("the release"), "Version of the published API that `cc.version` reports: YYYY.MM.NNN"),
    new_setting("password_min_length", Kind::Number, Value("8"), "Minimum length of a password, in characters"),
    new_setting("require_current_password", Kind::Bool, Value("false"), "Require the current password to change it"),
    new_setting("master_key", Kind::Secret, Computed("generated into the data directory in `demo`, and in `all` over SQLite"), "Seals signing keys and API keys at rest: 32 bytes, base64"),
    new_setting("master_key_old", Kind::Secret, Computed("the master key"), "For `import`: the master key that sealed the secrets in the export"),
    new_setting("new_master_key", Kind::Secret, Default::None, "For `keys reseal`: the new master key"),
    new_setting("service_token", Kind::Secret, Computed("generated in `all`"), "Shared secret between the three services"),
    new_setting("grpc_tls_ca", Kind::Path, Default::None, "TLS between the services: PEM file of the CA"),
    new_setting("grpc_tls_cert", Kind::Path, Default::None, "TLS between the services: PEM file of the certificate"),
    new_setting("grpc_tls_key", Kind::Path, Default::None, "TLS between the services: PEM file of the private key"),
    new_setting("token_issuer", Kind::Text, Value("doorward"), "Issuer of the tokens"),
    new_setting("token_lifetime", Kind::Duration, Value("1h"), "How long a token is valid"),
    new_setting("token_renew_after", Kind::Duration, Value("6m"), "Age at which a token is renewed"),
    new_setting("token_max_session", Kind::Duration, Value("30d"), "Maximum time from a login to the end of its last renewal"),
    new_setting("trust_max_age", Kind::Duration, Value("10s"), "Maximum age of the trust data with which tokens are accepted"),
    new_setting("argon2_memory_kib", Kind::Number, Value("19456"), "Memory of one password hash"),
    new_setting("argon2_passes", Kind::Number, Value("2"), "Passes of one password hash"),
    new_setting("argon2_lanes", Kind::Number, Value("1"), "Lanes of one password hash"),
    new_setting("hash_workers", Kind::Number, Computed("cores"), "Maximum number of password hashes at once"),
    new_setting("hash_queue", Kind::Number, Computed("64 x cores"), "Maximum number of waiting password hashes"),
    new_setting("login_failures", Kind::Number, Value("5"), "Failed logins before the throttle"),
    new_setting("login_backoff", Kind::Duration, Value("1s"), "First wait of the throttle"),
    new_setting("login_backoff_max", Kind::Duration, Value("15m"), "Longest wait of the throttle"),
    new_setting("write_rate", Kind::Number, Value("20"), "Calls that change data, per user and second on average"),
    new_setting("write_burst", Kind::Number, Value("100"), "Calls that change data, per user at once"),
    new_setting("max_projects_per_user", Kind::Number, Value("1000"), "Projects that a user may own"),
    new_setting("max_members_per_project", Kind::Number, Value("10000"), "Memberships of a project, in any status"),
    new_setting("trusted_proxies", Kind::List, Default::None, "Proxies whose X-Forwarded-For is trusted: addresses or CIDRs"),
    new_setting("feed_retention", Kind::Duration, Value("30d"), "How long changes are stored in the feed"),
    new_setting("audit_retention", Kind::Duration, Value("400d"), "How long audit records are stored"),
    new_setting("app_url", Kind::Url, Computed("http://<listen>"), "Public URL of the app, for links in mails"),
    new_setting("smtp_url", Kind::Secret, Default::None, "Mail server: smtp://, smtps://"),
    new_setting("smtp_hello", Kind::Text, Computed("the host of app_url if it is a domain name, else an address literal"), "Name in SMTP's EHLO"),
    new_setting("mail_from", Kind::Text, Default::None, "Sender of mails"),
    new_setting("log_mails", Kind::Bool, Computed("false; always in `demo`"), "Write mails to the log if there is no mail server"),
    new_setting("cors_origins", Kind::List, Default::None, "Origins allowed by CORS: scheme://host[:port], or *"),
    new_setting("realm", Kind::Text, Value("JWT access to Doorward."), "Realm in WWW-Authenticate"),
    new_setting("log_format", Kind::Text, Value("auto"), "text, json, or auto: text on a terminal, else json"),
    new_setting("ops_listen", Kind::Address, Value("127.0.0.1:9090"), "Operations: /health/live, /health/ready, /metrics"),
];
