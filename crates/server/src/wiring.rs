//! Creates the parts of the services from the settings, and prepares databases and the object store
//! for their use.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use doorward_auth::{ApiKeys, Credentials, HashingConfig, Keys, Sealer, ThrottleConfig};
use doorward_directory::Directory;
use doorward_domain::{Gid, RandomIdGenerator, SystemClock};
use doorward_mail::{Delivery, MailConfig};
use doorward_media::{Location, Store};
use doorward_storage::{
    Database, DatabaseOptions, DatabaseUrl, Error, IncompleteImport, Migrations,
};

use crate::{
    data_directory, demo_page,
    master_key::MasterKey,
    secret_files,
    settings::{Role, Settings},
};

/// Maximum time for which a start waits for an unavailable database or object store.
const TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(250);
/// Sender of mails that are only written to the log.
const LOGGED_FROM: &str = "Doorward <noreply@doorward.invalid>";

/// The preparation of a database before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preparation {
    Migrate,
    /// Does the same as `Migrate`, but accepts an incomplete import.
    MigrateAllowingImport,
    /// Rejects a database that is not of this release.
    Check,
    /// Does the same as `Check`, but migrates an empty database: for administration before the
    /// first start.
    MigrateIfEmpty,
    /// Does the same as `MigrateIfEmpty`, but accepts an incomplete import.
    MigrateIfEmptyAllowingImport,
}

/// Returns the number of runtime threads. Hashing, database work and HTTP have threads of their
/// own, so little work is left, and each additional thread is often woken without need: on two
/// cores that costs a thirtieth of all logins.
pub(crate) fn worker_threads() -> usize {
    (std::thread::available_parallelism().map_or(1, usize::from) / 2).max(1)
}

pub(crate) fn new_directory_database(settings: &Settings) -> Database {
    new_database(
        "directory",
        &settings.directory.database,
        settings.pool_size,
    )
}

pub(crate) fn new_auth_database(settings: &Settings) -> Database {
    new_database("auth", &settings.auth.database, settings.pool_size)
}

fn new_database(name: &'static str, url: &DatabaseUrl, pool_size: u32) -> Database {
    Database::new(DatabaseOptions {
        name,
        url: url.clone(),
        pool_size,
    })
}

pub(crate) fn new_directory(settings: &Settings) -> Directory {
    let directory = Directory::new(
        new_directory_database(settings),
        Arc::new(SystemClock),
        Arc::new(RandomIdGenerator),
    )
    .with_project_languages(settings.directory.project_languages.clone())
    .with_api_version(settings.gateway.api_version.clone())
    .with_limits(settings.directory.limits);
    if mail_config(settings).is_some() {
        directory.with_outbox()
    } else {
        directory
    }
}

/// Two accounts with the same mailbox under different spellings.
#[derive(Debug)]
pub(crate) struct EmailConflictReport {
    /// Canonical form of the address.
    pub address: String,
    /// The older account, which receives mails, invitations and password resets for the address.
    pub older: Gid,
    pub younger: Gid,
}

impl fmt::Display for EmailConflictReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            address,
            older,
            younger,
        } = self;
        write!(
            f,
            "email address conflict: {address} is the address of the users {older} and {younger}; emails, invitations and \
             password resets for it go to {older} until the address of {younger} is changed"
        )
    }
}

/// Calls `report` for each conflict that a migration has found and that has not been resolved
/// since.
pub(crate) async fn for_each_email_conflict(
    directory: &Directory,
    report: impl Fn(&EmailConflictReport),
) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = directory.list_email_conflicts(after).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.user);
        for conflict in page {
            if let Some(older) = conflict.holder {
                report(&EmailConflictReport {
                    address: conflict.address,
                    older,
                    younger: conflict.user,
                });
            }
        }
    }
}

/// Creates credentials for administration, where one hash at a time is enough.
pub(crate) fn new_credentials(settings: &Settings) -> anyhow::Result<Credentials> {
    let mut config = auth_config(settings);
    config.hashing.worker_threads = 1;
    Ok(Credentials::new(
        new_auth_database(settings),
        Arc::new(SystemClock),
        Arc::new(config),
    )?)
}

pub(crate) fn new_keys(settings: &Settings) -> anyhow::Result<Keys> {
    let sealer = Arc::new(new_sealer(settings)?);
    Ok(Keys::new(
        new_auth_database(settings),
        Arc::new(SystemClock),
        sealer,
        settings.auth.token.lifetime,
    ))
}

pub(crate) async fn start_api_keys(settings: &Settings) -> anyhow::Result<ApiKeys> {
    let database = new_auth_database(settings);
    let clock = Arc::new(SystemClock);
    let sealer = Arc::new(new_sealer(settings)?);
    Ok(ApiKeys::start(database, clock, sealer, settings.auth.token.lifetime).await?)
}

pub(crate) fn new_sealer(settings: &Settings) -> anyhow::Result<Sealer> {
    let Some(key) = secret_files::load_master_key(settings)? else {
        bail!("there is no master key: set DOORWARD_MASTER_KEY or DOORWARD_MASTER_KEY_FILE");
    };
    new_sealer_for(&key)
}

pub(crate) fn new_sealer_for(key: &MasterKey) -> anyhow::Result<Sealer> {
    Ok(Sealer::new(&key.expose().to_vec().into())?)
}

pub(crate) fn auth_config(settings: &Settings) -> doorward_auth::Config {
    let auth = &settings.auth;
    doorward_auth::Config {
        issuer: auth.token.issuer.clone(),
        token_lifetime: auth.token.lifetime,
        max_session_lifetime: auth.token.max_session,
        trust_max_age: auth.token.trust_max_age,
        hashing: HashingConfig {
            memory_kib: auth.argon2.memory_kib,
            passes: auth.argon2.passes,
            lanes: auth.argon2.lanes,
            worker_threads: auth.hash_workers,
            max_queued: auth.hash_queue,
        },
        password_min_chars: auth.passwords.min_length,
        throttle: ThrottleConfig {
            failures: auth.throttle.failures,
            backoff: auth.throttle.backoff,
            backoff_max: auth.throttle.backoff_max,
        },
        audit_retention: auth.audit_retention,
        requires_current_password: auth.passwords.require_current,
        mail: mail_config(settings),
    }
}

/// Returns the settings of mails. None: no mails are sent.
pub(crate) fn mail_config(settings: &Settings) -> Option<MailConfig> {
    let mail = &settings.mail;
    let delivery = match &mail.smtp_url {
        Some(url) => Delivery::Smtp(url.clone()),
        None if mail.is_logged => Delivery::Log,
        None => return None,
    };
    let from = mail.from.clone().unwrap_or_else(|| LOGGED_FROM.to_owned());
    let app_url = settings.gateway.app_url.clone();
    let hello = mail.hello.clone();
    Some(MailConfig {
        delivery,
        from,
        app_url,
        ehlo_name: hello,
    })
}

pub(crate) fn gateway_config(settings: &Settings) -> doorward_gateway::Config {
    doorward_gateway::Config {
        issuer: settings.auth.token.issuer.clone(),
        realm: settings.gateway.realm.clone(),
        trusted_proxies: settings.gateway.trusted_proxies.clone(),
        cors_origins: settings.gateway.cors_origins.clone(),
        renew_after: settings.auth.token.renew_after,
        api_version: settings.gateway.api_version.clone(),
        trust_max_age: settings.auth.token.trust_max_age,
        write_budget: settings.gateway.writes,
        pages: if settings.role == Role::Demo {
            demo_page::PAGES
        } else {
            &[]
        },
    }
}

/// Opens the object store, and checks that it can be used. Waits up to [`TIMEOUT`] for an
/// unavailable one.
pub(crate) async fn open_object_store(settings: &Settings) -> anyhow::Result<Store> {
    let location = &settings.gateway.object_store;
    let unusable = || format!("the object store {location} can't be used (DOORWARD_OBJECT_STORE)");
    let store = Store::open(location).with_context(unusable)?;
    let give_up_at = tokio::time::Instant::now() + TIMEOUT;
    loop {
        match store.probe(&RandomIdGenerator).await {
            Ok(()) => return Ok(store),
            Err(error)
                if matches!(location, Location::S3(_))
                    && tokio::time::Instant::now() < give_up_at =>
            {
                tracing::info!(%location, %error, "waiting for the object store");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error).with_context(unusable),
        }
    }
}

/// Checks that both databases exist and are of this release.
pub(crate) async fn prepare_databases(
    settings: &Settings,
    preparation: Preparation,
) -> anyhow::Result<()> {
    prepare_directory(settings, preparation).await?;
    prepare_auth(settings, preparation).await
}

pub(crate) async fn prepare_directory(
    settings: &Settings,
    preparation: Preparation,
) -> anyhow::Result<()> {
    prepare_database(
        "directory",
        &settings.directory.database,
        &doorward_directory::MIGRATIONS,
        preparation,
    )
    .await
}

pub(crate) async fn prepare_auth(
    settings: &Settings,
    preparation: Preparation,
) -> anyhow::Result<()> {
    prepare_database(
        "auth",
        &settings.auth.database,
        &doorward_auth::MIGRATIONS,
        preparation,
    )
    .await
}

/// Prepares a database. A server waits up to [`TIMEOUT`] for an unavailable one.
async fn prepare_database(
    name: &'static str,
    url: &DatabaseUrl,
    migrations: &'static Migrations,
    preparation: Preparation,
) -> anyhow::Result<()> {
    if let DatabaseUrl::Sqlite(path) = url {
        data_directory::create(path.parent().unwrap_or(Path::new(".")))?;
        data_directory::create_file(path)
            .with_context(|| format!("the {name} database ({url}) can't be used"))?;
    }
    // A command reports an unavailable database at once.
    let max_wait = match preparation {
        Preparation::MigrateIfEmpty | Preparation::MigrateIfEmptyAllowingImport => Duration::ZERO,
        Preparation::Migrate | Preparation::MigrateAllowingImport | Preparation::Check => TIMEOUT,
    };
    let give_up_at = tokio::time::Instant::now() + max_wait;
    let mut is_first_try = true;
    loop {
        let task_url = url.clone();
        let done = tokio::task::spawn_blocking(move || {
            run_preparation(&task_url, migrations, preparation)
        })
        .await?;
        match done {
            Ok(ran) => {
                ran.iter()
                    .for_each(|migration| tracing::info!(database = name, migration, "migrated"));
                return Ok(());
            }
            Err(error) if error.is_unavailable() && tokio::time::Instant::now() < give_up_at => {
                if std::mem::take(&mut is_first_try) {
                    tracing::info!(database = name, %error, "waiting for the database");
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("the {name} database ({url}) can't be used"));
            }
        }
    }
}

fn run_preparation(
    url: &DatabaseUrl,
    migrations: &Migrations,
    preparation: Preparation,
) -> Result<Vec<String>, Error> {
    use IncompleteImport::{Accept, Reject};
    match preparation {
        Preparation::Migrate => doorward_storage::migrate(url, migrations, Reject),
        Preparation::MigrateAllowingImport => doorward_storage::migrate(url, migrations, Accept),
        Preparation::Check => {
            doorward_storage::check(url, migrations, Reject)?;
            Ok(Vec::new())
        }
        Preparation::MigrateIfEmpty => doorward_storage::prepare(url, migrations, Reject),
        Preparation::MigrateIfEmptyAllowingImport => {
            doorward_storage::prepare(url, migrations, Accept)
        }
    }
}
