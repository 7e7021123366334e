//! Tests of layers, mistakes and roles together.

use clap::Command;
use secrecy::ExposeSecret;

use super::*;
use crate::data_directory::tests::Scratch;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

pub(crate) fn load(
    role: Role,
    variables: &[(&str, &str)],
    words: &[&str],
) -> Result<Settings, SettingsError> {
    let words = std::iter::once("doorward").chain(words.iter().copied());
    let flags = flags::add_to(Command::new("doorward"))
        .try_get_matches_from(words)
        .unwrap();
    let environment = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::load(role, environment, &flags)
}

fn mistakes(role: Role, variables: &[(&str, &str)], words: &[&str]) -> String {
    load(role, variables, words).unwrap_err().to_string()
}

#[test]
fn defaults_match_the_documentation() {
    let settings = load(Role::All, &[], &[]).unwrap();
    let cores = std::thread::available_parallelism().unwrap().get();
    let rest = format!(
        r#"data_dir = "./doorward-data"
listen = "127.0.0.1:8080"
auth_database_url = "sqlite://./doorward-data/auth.db"
directory_database_url = "sqlite://./doorward-data/directory.db"
object_store = "./doorward-data/media"
database_pool_size = {}
migrate = true
project_languages = ["en", "nl"]
api_version = "{}"
password_min_length = 8
require_current_password = false
token_issuer = "doorward"
token_lifetime = "1h"
token_renew_after = "6m"
token_max_session = "30d"
trust_max_age = "10s"
argon2_memory_kib = 19456
argon2_passes = 2
argon2_lanes = 1
hash_workers = {cores}
hash_queue = {}
login_failures = 5
login_backoff = "1s"
login_backoff_max = "15m"
write_rate = 20
write_burst = 100
max_projects_per_user = 1000
max_members_per_project = 10000
trusted_proxies = []
feed_retention = "30d"
audit_retention = "400d"
app_url = "http://127.0.0.1:8080"
smtp_hello = "[127.0.0.1]"
log_mails = false
cors_origins = []
realm = "JWT access to Doorward."
log_format = "auto"
ops_listen = "127.0.0.1:9090"
"#,
        4 * cores,
        doorward_domain::version::current_release(),
        64 * cores
    );
    assert_eq!(settings.to_toml(), rest);
    assert!(settings.auth.listen.is_none() && settings.directory.listen.is_none());
    assert!(settings.peers.auth_url.is_none() && settings.peers.directory_url.is_none());
    assert!(settings.migrate && !settings.mail.is_logged && settings.log.filter == "info");
}

#[test]
fn defaults_depend_on_the_role() {
    let auth = load(Role::Auth, &[("DOORWARD_MASTER_KEY", KEY)], &[]).unwrap();
    assert_eq!(auth.auth.listen, Some("127.0.0.1:50051".parse().unwrap()));
    assert_eq!(
        auth.peers.directory_url.as_deref(),
        Some("http://127.0.0.1:50052")
    );
    assert!(!auth.migrate);
    let directory = load(Role::Directory, &[], &[]).unwrap();
    assert_eq!(
        directory.directory.listen,
        Some("127.0.0.1:50052".parse().unwrap())
    );
    let gateway = load(Role::Gateway, &[("DOORWARD_LISTEN", "10.0.0.5:80")], &[]).unwrap();
    assert_eq!(
        gateway.peers.auth_url.as_deref(),
        Some("http://127.0.0.1:50051")
    );
    assert_eq!(gateway.gateway.app_url, "http://10.0.0.5:80");
    let demo = load(Role::Demo, &[("DOORWARD_LOG_MAILS", "false")], &[]).unwrap();
    assert!(demo.migrate && demo.mail.is_logged);
    let elsewhere = load(Role::All, &[("DOORWARD_DATA_DIR", "/srv/d")], &[]).unwrap();
    assert_eq!(
        elsewhere.auth.database.to_string(),
        "sqlite:///srv/d/auth.db"
    );
}

#[test]
fn later_layers_override_earlier_ones() {
    let scratch = Scratch::new();
    let file = scratch.file(
        "doorward.toml",
        "realm = 'file'\ntoken_issuer = 'file'\nlogin_failures = 9\ncors_origins = ['https://a', 'https://b']",
    );
    let issuer = |variables: &[(&str, &str)], words: &[&str]| {
        load(Role::All, variables, words).unwrap().auth.token.issuer
    };
    let variable = ("DOORWARD_TOKEN_ISSUER", "variable");
    assert_eq!(issuer(&[], &[]), "doorward");
    assert_eq!(issuer(&[], &["--config", &file]), "file");
    assert_eq!(issuer(&[("DOORWARD_CONFIG", &file)], &[]), "file");
    assert_eq!(issuer(&[variable], &["--config", &file]), "variable");
    assert_eq!(
        issuer(&[variable], &["--config", &file, "--token-issuer", "flag"]),
        "flag"
    );
    let settings = load(
        Role::All,
        &[variable],
        &[
            "--config",
            &file,
            "--migrate",
            "--cors-origins",
            "https://c",
            "--cors-origins=https://d,*",
        ],
    )
    .unwrap();
    assert_eq!(
        settings.gateway.cors_origins,
        ["https://c", "https://d", "*"]
    );
    assert_eq!(
        (
            settings.gateway.realm.as_str(),
            settings.auth.throttle.failures
        ),
        ("file", 9)
    );
    let printed = settings.to_toml();
    for line in [
        "token_issuer = \"variable\" # DOORWARD_TOKEN_ISSUER\n",
        "cors_origins = [\"https://c\", \"https://d\", \"*\"] # --cors-origins\n",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
    assert!(
        printed.contains(&format!(
            "login_failures = 9 # `login_failures` in {file}\n"
        )),
        "{printed}"
    );
}

#[test]
fn empty_variable_is_unset() {
    assert_eq!(
        load(Role::All, &[("DOORWARD_REALM", ""), ("RUST_LOG", "")], &[])
            .unwrap()
            .gateway
            .realm,
        "JWT access to Doorward."
    );
    assert!(
        mistakes(Role::Auth, &[("DOORWARD_MASTER_KEY", "")], &[])
            .contains("DOORWARD_MASTER_KEY: is required")
    );
}

#[test]
fn all_errors_are_reported_by_name() {
    let scratch = Scratch::new();
    let file = scratch.file(
        "doorward.toml",
        "realm = 'a\"b'\nlisten_on = 'x'\nhash_workers = 1.5\n[gateway]\nlisten = 'x'",
    );
    let variables = [
        ("DOORWARD_LISTEN", "8080"),
        ("DOORWARD_AUTH_LISTEN", "0.0.0.0:1"),
        ("RUST_LOG", "x=y=z"),
    ];
    let message = mistakes(
        Role::Auth,
        &variables,
        &[
            "--config",
            &file,
            "--login-failures",
            "-1",
            "--require-current-password=maybe",
        ],
    );
    let expected = format!(
        "wrong settings:
  `gateway` in {file}: expected a string, a number, true, false, or an array of strings
  `hash_workers` in {file}: expected a string, a number, true, false, or an array of strings
  `listen_on` in {file}: expected a setting, but none is called so
  DOORWARD_LISTEN: expected an address and a port, such as 127.0.0.1:8080, not \"8080\"
  `realm` in {file}: expected ASCII text without quotes, backslashes and control characters, not \"a\\\"b\"
  --require-current-password: expected true or false, not \"maybe\"
  --login-failures: expected a number from 1 to 1000000, not \"-1\"
  RUST_LOG: expected levels, such as info or info,doorward_auth=debug
  DOORWARD_SERVICE_TOKEN: expected a secret of at least 16 characters, as DOORWARD_AUTH_LISTEN is not on loopback
  DOORWARD_MASTER_KEY: is required: 32 bytes in base64, made for example by `head -c 32 /dev/urandom | base64`"
    );
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&message), sorted(&expected));
}

#[test]
fn unknown_variables_are_warnings() {
    let variables = [
        ("DOORWARD_SERVICE_HOST", "10.0.0.1"),
        ("DOORWARD_listen", "x"),
        ("DOORWARD_PORT", "tcp://10.0.0.1:8080"),
        ("DOORWARD_PORTS", "x"),
        ("OTHER", "x"),
    ];
    let warnings = load(Role::All, &variables, &[]).unwrap().warnings;
    assert_eq!(
        warnings,
        [
            "DOORWARD_listen is set, but no setting is called so",
            "DOORWARD_SERVICE_HOST is set, but no setting is called so"
        ]
    );
    let warnings = load(Role::All, &[("DOORWARD_AUTH_URL", "http://x:1")], &[])
        .unwrap()
        .warnings;
    assert_eq!(
        warnings,
        ["DOORWARD_AUTH_URL has no effect: this process is its own peer"]
    );
}

#[test]
fn secrets_are_never_printed() {
    let good = [
        ("DOORWARD_MASTER_KEY", KEY),
        ("DOORWARD_SERVICE_TOKEN", "s3cret-s3cret-s3cret"),
        ("DOORWARD_SMTP_URL", "smtp://ann:s3cret@mail.example.org"),
        ("DOORWARD_MAIL_FROM", "noreply@example.org"),
        (
            "DOORWARD_AUTH_DATABASE_URL",
            "postgres://ann:s3cret@db/auth",
        ),
        (
            "DOORWARD_DIRECTORY_DATABASE_URL",
            "postgres://ann:s3cret@db/directory?password=s3cret",
        ),
        (
            "DOORWARD_OBJECT_STORE",
            "s3://pictures/doorward?secret_access_key=s3cret",
        ),
    ];
    let settings = load(Role::Auth, &good, &[]).unwrap();
    let printed = settings.to_toml();
    for line in [
        "master_key = \"<redacted>\"",
        "service_token = \"<redacted>\"",
        "smtp_url = \"<redacted>\"",
        "auth_database_url = \"postgres://db/auth\"",
        "object_store = \"s3://pictures/doorward\"",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
    let debug = format!("{:?}", settings.auth)
        + &format!(
            "{:?}{:?}{:?}",
            settings.service_token, settings.mail, settings.gateway
        );
    assert!(
        !printed.contains("s3cret") && !printed.contains(KEY) && !debug.contains("s3cret"),
        "{printed}{debug}"
    );
}

/// The `Debug` output of all settings also contains the given texts.
#[test]
fn secrets_are_not_in_debug_either() {
    let settings = load(
        Role::Auth,
        &[
            ("DOORWARD_MASTER_KEY", KEY),
            ("DOORWARD_SERVICE_TOKEN", "s3cret-s3cret-s3cret"),
        ],
        &[],
    )
    .unwrap();
    let debug = format!("{settings:?}");
    assert!(!debug.contains("s3cret") && !debug.contains(KEY), "{debug}");
}

#[test]
fn errors_never_contain_secrets() {
    let wrong = [
        ("DOORWARD_MASTER_KEY", "s3cret"),
        ("DOORWARD_SERVICE_TOKEN", "s3cret"),
        ("DOORWARD_SMTP_URL", "ann:s3cret@mail"),
        ("DOORWARD_AUTH_DATABASE_URL", "mysql://ann:s3cret@db"),
        ("DOORWARD_AUTH_URL", "http://ann:s3cret@auth"),
        ("DOORWARD_LISTEN", "postgres://ann:s3cret@db"),
        ("DOORWARD_OBJECT_STORE", "s3://pictures?s3cret=s3cret"),
    ];
    let message = mistakes(Role::Gateway, &wrong, &[]);
    assert!(!message.contains("s3cret"), "{message}");
    for (name, _) in wrong {
        assert!(message.contains(&format!("{name}: expected")), "{message}");
    }
}

#[test]
fn secrets_are_read_from_files() {
    let scratch = Scratch::new();
    let key = scratch.file("key", &format!("{KEY}\n"));
    let token = scratch.file("token", "0123456789abcdef\r\n");
    let url = scratch.file("url", "postgres://db/auth");
    let toml = scratch.file(
        "doorward.toml",
        &format!("auth_database_url_file = '{url}'\nservice_token = 'lower-layer-lower-layer'"),
    );
    let variables = [("DOORWARD_MASTER_KEY_FILE", key.as_str())];
    let settings = load(
        Role::Auth,
        &variables,
        &["--config", &toml, "--service-token-file", &token],
    )
    .unwrap();
    assert_eq!(
        settings.auth.master_key.unwrap().expose(),
        b"0123456789abcdef0123456789abcdef"
    );
    assert_eq!(
        settings.service_token.unwrap().expose_secret(),
        "0123456789abcdef"
    );
    assert_eq!(settings.auth.database.to_string(), "postgres://db/auth");
}

#[test]
fn unusable_secret_files_are_errors() {
    let scratch = Scratch::new();
    let empty = scratch.file("empty", "\n");
    let token = scratch.file("token", "0123456789abcdef");
    let missing = scratch.path().join("missing").display().to_string();
    let both = [
        ("DOORWARD_SERVICE_TOKEN", "0123456789abcdef"),
        ("DOORWARD_SERVICE_TOKEN_FILE", token.as_str()),
    ];
    let message = mistakes(
        Role::Auth,
        &both,
        &[
            "--master-key-file",
            &missing,
            "--smtp-url-file",
            &empty,
            "--mail-from",
            "a@example.org",
        ],
    );
    for line in [
        "DOORWARD_SERVICE_TOKEN: expected either this or DOORWARD_SERVICE_TOKEN_FILE, not both"
            .to_owned(),
        format!("--master-key-file: can't use the file {missing}: No such file"),
        format!("--smtp-url-file: can't use the file {empty}: it is empty"),
    ] {
        assert!(message.contains(&line), "{message}");
    }
    assert_eq!(message.lines().count(), 4, "{message}");
    // A value in a lower layer is not a mistake; it is overridden.
    assert!(load(Role::All, &both[..1], &["--service-token-file", &token]).is_ok());
}

#[test]
fn roles_require_their_settings() {
    let postgres = [
        ("DOORWARD_AUTH_DATABASE_URL", "postgres://db/auth"),
        ("DOORWARD_DIRECTORY_DATABASE_URL", "postgres://db/directory"),
    ];
    let open = [
        ("DOORWARD_AUTH_LISTEN", "[::]:1"),
        ("DOORWARD_DIRECTORY_LISTEN", "10.0.0.1:2"),
    ];
    let key = "DOORWARD_MASTER_KEY: is required: 32 bytes";
    assert!(mistakes(Role::All, &postgres, &[]).contains(key));
    assert!(mistakes(Role::Auth, &[], &[]).contains(key));
    for role in [Role::Gateway, Role::Directory, Role::Migrate, Role::Admin] {
        assert!(load(role, &postgres, &[]).is_ok(), "{role:?}");
    }
    assert!(
        mistakes(Role::Demo, &postgres, &[])
            .contains("DOORWARD_DIRECTORY_DATABASE_URL: expected none")
    );
    let message = mistakes(Role::All, &open, &[]);
    assert!(
        message.contains("as DOORWARD_AUTH_LISTEN is not on loopback")
            && message.contains("as DOORWARD_DIRECTORY_LISTEN is not"),
        "{message}"
    );
    assert!(mistakes(Role::Directory, &open, &[]).contains("as DOORWARD_DIRECTORY_LISTEN is not"));
    assert!(load(Role::Gateway, &open, &[]).is_ok());
    assert!(
        load(
            Role::All,
            &[
                ("DOORWARD_AUTH_LISTEN", "127.0.0.5:1"),
                ("DOORWARD_DIRECTORY_LISTEN", "[::1]:1")
            ],
            &[]
        )
        .is_ok()
    );
}

#[test]
fn inconsistent_settings_are_errors() {
    for (variables, expected) in [
        (
            &[(
                "DOORWARD_AUTH_DATABASE_URL",
                "sqlite://./doorward-data/directory.db",
            )][..],
            "DOORWARD_DIRECTORY_DATABASE_URL: expected another database than DOORWARD_AUTH_DATABASE_URL",
        ),
        (
            &[
                ("DOORWARD_ARGON2_MEMORY_KIB", "15"),
                ("DOORWARD_ARGON2_LANES", "2"),
            ],
            "DOORWARD_ARGON2_MEMORY_KIB: expected at least 8 times DOORWARD_ARGON2_LANES",
        ),
        (
            &[("DOORWARD_ARGON2_MEMORY_KIB", "4194304")],
            "DOORWARD_ARGON2_MEMORY_KIB: expected a number from 8 to 1048576",
        ),
        (
            &[("DOORWARD_ARGON2_MEMORY_KIB", "300000")],
            "DOORWARD_ARGON2_MEMORY_KIB: expected at most 262144",
        ),
        (
            &[("DOORWARD_SMTP_URL", "smtp://mail")],
            "DOORWARD_MAIL_FROM: expected the sender of mails, as DOORWARD_SMTP_URL is set",
        ),
        (
            &[("DOORWARD_GRPC_TLS_CA", "ca.pem")],
            "DOORWARD_GRPC_TLS_KEY: expected a file",
        ),
        (
            &[("DOORWARD_AUTH_URL", "https://auth:1")],
            "DOORWARD_AUTH_URL: expected http://<host>:<port>, or also",
        ),
    ] {
        let message = mistakes(Role::Gateway, variables, &[]);
        assert!(message.contains(expected), "{message}");
    }
    for alone in [
        ("DOORWARD_TOKEN_LIFETIME", "5s"),
        ("DOORWARD_TOKEN_MAX_SESSION", "10s"),
        ("DOORWARD_LOGIN_BACKOFF_MAX", "500ms"),
    ] {
        assert!(load(Role::Gateway, &[alone], &[]).is_ok(), "{alone:?}");
    }
    let tls = [
        ("DOORWARD_GRPC_TLS_CA", "ca"),
        ("DOORWARD_GRPC_TLS_CERT", "cert"),
        ("DOORWARD_GRPC_TLS_KEY", "key"),
    ];
    let settings = load(Role::Gateway, &tls, &[]).unwrap();
    assert_eq!(
        settings.peers.auth_url.as_deref(),
        Some("https://127.0.0.1:50051")
    );
    assert!(settings.grpc_tls.is_some());
    assert!(
        mistakes(Role::Gateway, &tls, &["--auth-url", "http://auth:1"])
            .contains("--auth-url: expected https://")
    );
}

#[test]
fn printed_config_is_a_valid_file() {
    let words = [
        "--listen",
        "0.0.0.0:1",
        "--trusted-proxies",
        "10.0.0.0/8,192.0.2.1",
        "--realm",
        "tab's # \u{20}x",
        "--token-lifetime",
        "2h",
    ];
    let printed = load(Role::Directory, &[], &words).unwrap().to_toml();
    let scratch = Scratch::new();
    let again = load(
        Role::Directory,
        &[],
        &["--config", &scratch.file("doorward.toml", &printed)],
    )
    .unwrap()
    .to_toml();
    let without_comments = |toml: &str| toml.parse::<toml::Table>().unwrap();
    assert_eq!(without_comments(&again), without_comments(&printed));
}

#[test]
fn every_setting_is_read_with_its_documented_default() {
    let effective = load(Role::Gateway, &[], &[]).unwrap().effective;
    let unset: Vec<_> = table::TABLE
        .iter()
        .map(|setting| setting.key)
        .filter(|key| !effective.contains_key(key))
        .collect();
    assert_eq!(
        unset,
        [
            "master_key",
            "master_key_old",
            "new_master_key",
            "service_token",
            "grpc_tls_ca",
            "grpc_tls_cert",
            "grpc_tls_key",
            "smtp_url",
            "mail_from"
        ]
    );
    for setting in table::TABLE {
        let table::Default::Value(default) = setting.default else {
            continue;
        };
        assert_eq!(effective[setting.key].text, default, "{}", setting.key);
    }
}

#[test]
fn ehlo_name_defaults_to_the_host_of_the_app_url() {
    let hello = |variables: &[(&str, &str)]| load(Role::All, variables, &[]).unwrap().mail.hello;
    assert_eq!(hello(&[]), "[127.0.0.1]");
    assert_eq!(
        hello(&[("DOORWARD_APP_URL", "https://app.example.org/start")]),
        "app.example.org"
    );
    assert_eq!(
        hello(&[("DOORWARD_SMTP_HELLO", "mail.example.org")]),
        "mail.example.org"
    );
    assert_eq!(
        hello(&[("DOORWARD_SMTP_HELLO", "[IPv6:2001:db8::1]")]),
        "[IPv6:2001:db8::1]"
    );
    for bad in [
        "my_host.example",
        "192.0.2.1",
        "[mail.example.org]",
        "a b",
        "mail.example.org.",
    ] {
        let said = mistakes(Role::All, &[("DOORWARD_SMTP_HELLO", bad)], &[]);
        assert!(
            said.contains("DOORWARD_SMTP_HELLO: expected a domain name"),
            "{bad:?}: {said}"
        );
    }
}

#[test]
fn missing_file_is_an_error() {
    assert!(
        mistakes(Role::All, &[], &["--config", "/nowhere.toml"])
            .contains("/nowhere.toml: can't read this file")
    );
}
