//! Rules that involve several settings, depending on the role of the process.

use std::net::SocketAddr;

use doorward_storage::DatabaseUrl;

use super::{reader::Reader, role::Role, values::Settings};

pub(super) fn check_settings(reader: &mut Reader<'_>, settings: &Settings) {
    check_service_token(reader, settings);
    check_master_key(reader, settings);
    check_databases(reader, settings);
}

/// Requires a service token if a gRPC listener is not on loopback. A generated token would be
/// unknown to its clients.
fn check_service_token(reader: &mut Reader<'_>, settings: &Settings) {
    let Settings {
        role,
        auth,
        directory,
        ..
    } = settings;
    let listeners = [
        ("auth_listen", auth.listen.filter(|_| role.serves_auth())),
        (
            "directory_listen",
            directory.listen.filter(|_| role.serves_directory()),
        ),
    ];
    let is_open = |address: SocketAddr| !address.ip().to_canonical().is_loopback();
    for (key, _) in listeners
        .into_iter()
        .filter(|(_, address)| address.is_some_and(is_open))
    {
        if !reader.is_given("service_token") {
            let listen = reader.name(key);
            let what = format!(
                "expected a secret of at least 16 characters, as {listen} is not on loopback"
            );
            reader.add_error::<()>("service_token", &what);
        }
    }
}

fn check_master_key(reader: &mut Reader<'_>, settings: &Settings) {
    let is_needed = match settings.role {
        Role::Auth => true,
        Role::All => is_postgres(&settings.auth.database),
        // The key is generated, or needed only for some commands.
        Role::Demo | Role::Gateway | Role::Directory | Role::Migrate | Role::Admin => false,
    };
    if is_needed && !reader.is_given("master_key") {
        reader.add_error::<()>(
            "master_key",
            "is required: 32 bytes in base64, made for example by `head -c 32 /dev/urandom | base64`",
        );
    }
}

fn check_databases(reader: &mut Reader<'_>, settings: &Settings) {
    let auth = &settings.auth.database;
    let directory = &settings.directory.database;
    if auth == directory {
        let name = reader.name("auth_database_url");
        reader.add_error::<()>(
            "directory_database_url",
            &format!("expected another database than {name}"),
        );
    }
    if settings.role == Role::Demo {
        for (key, _) in [
            ("auth_database_url", auth),
            ("directory_database_url", directory),
        ]
        .into_iter()
        .filter(|(_, url)| is_postgres(url))
        {
            reader.add_error::<()>(
                key,
                "expected none: `demo` fills SQLite files in the data directory; `serve` runs over PostgreSQL",
            );
        }
    }
}

/// Returns a warning for each setting that is set but not used in this role.
pub(super) fn unused_settings(reader: &Reader<'_>, role: Role) -> Vec<String> {
    let keys = ["auth_url", "directory_url"]
        .into_iter()
        .filter(|key| role.runs_all_services() && reader.is_given(key));
    keys.map(|key| {
        format!(
            "{} has no effect: this process is its own peer",
            reader.name(key)
        )
    })
    .collect()
}

fn is_postgres(url: &DatabaseUrl) -> bool {
    matches!(url, DatabaseUrl::Postgres(_))
}
