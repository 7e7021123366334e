//! The one table of settings: TOML key, and from it variable and flag; what kind of value; default; help.

/// What a value looks like, to people: how it is called in help, how it is printed, and whether it may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Address,
    Path,
    /// May hold a password, so it is never repeated in messages.
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
    /// In the form in which a user would give it.
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

    /// The key of the file that holds the value, for secrets.
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

const fn setting(key: &'static str, kind: Kind, default: Default, help: &'static str) -> Setting {
    Setting { key, kind, default, help }
}

use self::Default::{Computed, Value};

#[rustfmt::skip]
pub(crate) const TABLE: &[Setting] = &[
    setting("data_dir", Kind::Path, Value("./doorward-data"), "SQLite files, media, generated keys"),
    setting("listen", Kind::Address, Value("127.0.0.1:8080"), "Where the gateway listens"),
    setting("auth_listen", Kind::Address, Computed("none in `all`, else 127.0.0.1:50051"), "Where auth listens for gRPC"),
    setting("directory_listen", Kind::Address, Computed("none in `all`, else 127.0.0.1:50052"), "Where directory listens for gRPC"),
    setting("auth_url", Kind::Url, Computed("http://127.0.0.1:50051, unused in `all`"), "Where gateway finds auth"),
    setting("directory_url", Kind::Url, Computed("http://127.0.0.1:50052, unused in `all`"), "Where gateway and auth find directory"),
    setting("auth_database_url", Kind::DatabaseUrl, Computed("sqlite://<data dir>/auth.db"), "Database of auth: sqlite://<path> or postgres://..."),
    setting("directory_database_url", Kind::DatabaseUrl, Computed("sqlite://<data dir>/directory.db"), "Database of directory: sqlite://<path> or postgres://..."),
    setting("object_store", Kind::StoreUrl, Computed("<data dir>/media"), "Where pictures are kept: a directory, or s3://<bucket>/<prefix>?<parameters>"),
    setting("database_pool_size", Kind::Number, Computed("4 x cores"), "Connections to each database"),
    setting("migrate", Kind::Bool, Computed("false; always in `all` and `demo`"), "Bring the databases up to date before serving"),
    setting("project_languages", Kind::List, Value("en,nl"), "Languages of a new project"),
    setting("api_version", Kind::Text, Computed("the release"), "Version of the published API that `cc.version` reports: YYYY.MM.NNN"),
    setting("password_min_length", Kind::Number, Value("8"), "Least length of a password, in characters"),
    setting("require_current_password", Kind::Bool, Value("false"), "Ask for the current password to change it"),
    setting("master_key", Kind::Secret, Computed("generated into the data directory in `demo`, and in `all` over SQLite"), "Seals signing keys and API keys at rest: 32 bytes, base64"),
    setting("master_key_old", Kind::Secret, Computed("the master key"), "For `import`: the master key that sealed the secrets in the export"),
    setting("new_master_key", Kind::Secret, Default::None, "For `keys reseal`: the master key from now on"),
    setting("service_token", Kind::Secret, Computed("generated in `all`"), "Shared secret between the three services"),
    setting("grpc_tls_ca", Kind::Path, Default::None, "TLS between the services: PEM file of the CA"),
    setting("grpc_tls_cert", Kind::Path, Default::None, "TLS between the services: PEM file of the certificate"),
    setting("grpc_tls_key", Kind::Path, Default::None, "TLS between the services: PEM file of the private key"),
    setting("token_issuer", Kind::Text, Value("doorward"), "Issuer of the tokens"),
    setting("token_lifetime", Kind::Duration, Value("1h"), "How long a token is good"),
    setting("token_renew_after", Kind::Duration, Value("6m"), "Age at which a token is renewed"),
    setting("token_max_session", Kind::Duration, Value("30d"), "How long renewals go on without a login"),
    setting("trust_max_age", Kind::Duration, Value("10s"), "How long tokens are accepted without news of deactivated users"),
    setting("argon2_memory_kib", Kind::Number, Value("19456"), "Memory of one password hash"),
    setting("argon2_passes", Kind::Number, Value("2"), "Passes of one password hash"),
    setting("argon2_lanes", Kind::Number, Value("1"), "Lanes of one password hash"),
    setting("hash_workers", Kind::Number, Computed("cores"), "Password hashes at once"),
    setting("hash_queue", Kind::Number, Computed("64 x cores"), "Password hashes that may wait"),
    setting("login_failures", Kind::Number, Value("5"), "Failed logins before the throttle"),
    setting("login_backoff", Kind::Duration, Value("1s"), "First wait of the throttle"),
    setting("login_backoff_max", Kind::Duration, Value("15m"), "Longest wait of the throttle"),
    setting("write_rate", Kind::Number, Value("20"), "Calls that change data, per user and second on average"),
    setting("write_burst", Kind::Number, Value("100"), "Calls that change data, per user at once"),
    setting("max_projects_per_user", Kind::Number, Value("1000"), "Projects that a user may own"),
    setting("max_members_per_project", Kind::Number, Value("10000"), "Memberships of a project, in any status"),
    setting("trusted_proxies", Kind::List, Default::None, "Proxies whose X-Forwarded-For is believed: addresses or CIDRs"),
    setting("feed_retention", Kind::Duration, Value("30d"), "How long changes stay in the feed"),
    setting("audit_retention", Kind::Duration, Value("400d"), "How long the audit trail is kept"),
    setting("app_url", Kind::Url, Computed("http://<listen>"), "Public URL of the app, for links in mails"),
    setting("smtp_url", Kind::Secret, Default::None, "Mail server: smtp://, smtps://"),
    setting("smtp_hello", Kind::Text, Computed("the host of app_url if it is a domain name, else an address literal"), "Name in SMTP's EHLO"),
    setting("mail_from", Kind::Text, Default::None, "Sender of mails"),
    setting("log_mails", Kind::Bool, Computed("false; always in `demo`"), "Write mails to the log where there is no mail server"),
    setting("cors_origins", Kind::List, Default::None, "Origins allowed by CORS: scheme://host[:port], or *"),
    setting("realm", Kind::Text, Value("JWT access to Doorward."), "Realm in WWW-Authenticate"),
    setting("log_format", Kind::Text, Value("auto"), "text, json, or auto: text on a terminal, else json"),
    setting("ops_listen", Kind::Address, Value("127.0.0.1:9090"), "Operations: /health/live, /health/ready, /metrics"),
];
