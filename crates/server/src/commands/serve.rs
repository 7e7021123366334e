//! `doorward serve`: one service, or all of them in one process, wired through the same gRPC.

use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use doorward_auth::{Auth, Dependencies};
use doorward_directory::Directory;
use doorward_domain::{RandomIdGenerator, SystemClock};
use doorward_gateway::{Gateway, PeerSettings};
use doorward_rpc::{Peer, ServiceToken, channel::check_health, server::Listeners};
use doorward_storage::Database;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    data_directory, log_queue,
    operations::{self, Check},
    secret_files,
    settings::{Role, Settings},
    shutdown, tls,
    wiring::{self, Preparation},
};

/// Maximum time from a signal to the end of the process. Calls in flight have less.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

type ServerFuture = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

pub(super) async fn run(settings: &Settings) -> anyhow::Result<()> {
    match start(settings).await? {
        Some(running) => running.finish().await,
        None => Ok(()),
    }
}

/// A process that serves.
pub(super) struct RunningServer {
    /// The gateway, if this process has one. It accepts requests from clients, so it ends first.
    gateway: Option<ServerFuture>,
    services: JoinSet<anyhow::Result<()>>,
    signal: CancellationToken,
    /// Cancelled when the gateway has ended: the other services then end.
    services_shutdown: CancellationToken,
    _lock: Option<data_directory::DataDirectoryLock>,
}

impl RunningServer {
    /// Serves until a signal, or until a service fails.
    pub(super) async fn finish(mut self) -> anyhow::Result<()> {
        let gateway_server = self.gateway.take();
        let signal = self.signal.clone();
        let serve = async move {
            match gateway_server {
                Some(gateway_server) => gateway_server.await,
                None => {
                    signal.cancelled().await;
                    Ok(())
                }
            }
        };
        let served = tokio::select! {
            served = serve => served,
            ended = wait_for_first(&mut self.services) => match ended {
                // Without a gateway, the signal itself ends the services.
                Ok(()) if !self.signal.is_cancelled() => Err(anyhow!("a service ended early")),
                ended => ended,
            },
        };
        self.signal.cancel();
        self.services_shutdown.cancel();
        let ended = tokio::time::timeout(SHUTDOWN_TIMEOUT, wait_for_all(&mut self.services)).await;
        let ended = ended.unwrap_or_else(|_| {
            Err(anyhow!(
                "not all services ended within {} s",
                SHUTDOWN_TIMEOUT.as_secs()
            ))
        });
        served.and(ended)
    }
}

async fn wait_for_first(tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    match tasks.join_next().await {
        Some(ended) => ended.context("a service panicked")?,
        None => std::future::pending().await,
    }
}

async fn wait_for_all(tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut all = Ok(());
    while let Some(ended) = tasks.join_next().await {
        all = all.and(ended.context("a service panicked")?);
    }
    all
}

/// Starts the services of the role. None if a signal arrived before all of them had started.
pub(super) async fn start(settings: &Settings) -> anyhow::Result<Option<RunningServer>> {
    // Each socket is an open file, and the soft limit is often 1,024.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "can't raise the limit of open files");
    }
    let signal = shutdown::on_signals()?;
    tokio::select! {
        started = start_unless_cancelled(settings, signal.clone()) => started.map(Some),
        () = signal.cancelled() => Ok(None),
    }
}

/// Binds all listeners before anything else starts, so that early connections wait instead of
/// failing.
async fn start_unless_cancelled(
    settings: &Settings,
    signal: CancellationToken,
) -> anyhow::Result<RunningServer> {
    let lock = if settings.role.runs_all_services() && settings.uses_sqlite() {
        data_directory::create_private(&settings.data_dir)?;
        Some(data_directory::lock(&settings.data_dir)?)
    } else {
        None
    };
    let metrics = operations::install_metrics()?;
    let mut process = ServerBuilder::new(settings, signal.clone())?;
    let ops_listener = bind_listener(settings.ops_listen, "DOORWARD_OPS_LISTEN").await?;
    let http =
        serves_gateway(settings.role).then(|| std::net::TcpListener::bind(settings.gateway.listen));
    let http = http.transpose().with_context(|| {
        format!(
            "can't listen on {} (DOORWARD_LISTEN)",
            settings.gateway.listen
        )
    })?;
    let preparation = if settings.migrate {
        Preparation::Migrate
    } else {
        Preparation::Check
    };
    // Both are checked before either starts: a half-imported installation must not be written to.
    if settings.role.serves_directory() {
        wiring::prepare_directory(settings, preparation).await?;
    }
    if settings.role.serves_auth() {
        wiring::prepare_auth(settings, preparation).await?;
    }
    if settings.role.serves_directory() {
        process.start_directory().await?;
    }
    if settings.role.serves_auth() {
        process.start_auth().await?;
    }
    let gateway_server = match http {
        Some(listener) => Some(process.gateway(listener).await?),
        None => None,
    };
    let checks = process.checks;
    let mut gauges = process.gauges;
    gauges.push(Box::new(|| {
        metrics::counter!("doorward_log_lines_dropped_total").absolute(log_queue::dropped_lines());
    }));
    let end = process.services_shutdown.clone();
    process.tasks.spawn(async move {
        let set_gauges = move || gauges.iter().for_each(|set| set());
        operations::serve(ops_listener, checks, metrics, set_gauges, end).await;
        Ok(())
    });
    let sends_mails = settings.role.serves_auth() || settings.role.serves_directory();
    if sends_mails && wiring::mail_config(settings).is_none() {
        tracing::info!(
            "no mails are sent, and calls that need one answer 503; set smtp_url and mail_from, or \
             log_mails"
        );
    }
    tracing::info!(role = settings.role.as_str(), ops = %settings.ops_listen, "serving");
    Ok(RunningServer {
        gateway: gateway_server,
        services: process.tasks,
        signal,
        services_shutdown: process.services_shutdown,
        _lock: lock,
    })
}

fn serves_gateway(role: Role) -> bool {
    role.runs_all_services() || role == Role::Gateway
}

async fn bind_listener(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("can't listen on {address} ({setting})"))
}

/// The services of a process while they are started.
struct ServerBuilder<'a> {
    settings: &'a Settings,
    token: ServiceToken,
    peers: PeerSettings,
    /// Listeners of the services in this process.
    auth_listeners: Listeners,
    directory_listeners: Listeners,
    signal: CancellationToken,
    services_shutdown: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
    checks: Vec<(&'static str, Check)>,
    gauges: Vec<Box<dyn Fn() + Send + Sync>>,
}

impl<'a> ServerBuilder<'a> {
    fn new(settings: &'a Settings, signal: CancellationToken) -> anyhow::Result<Self> {
        let token = ServiceToken::new(secret_files::load_service_token(settings)?);
        let tls = settings
            .grpc_tls
            .as_ref()
            .map(tls::client_config)
            .transpose()?;
        let peer = |url: &Option<String>| match url {
            Some(url) => (
                Peer::Url {
                    url: url.clone(),
                    tls: tls.clone(),
                },
                None,
            ),
            None => {
                let (peer, incoming) = Peer::in_memory_pair();
                (peer, Some(incoming))
            }
        };
        let (auth, auth_incoming) = peer(&settings.peers.auth_url);
        let (directory, directory_incoming) = peer(&settings.peers.directory_url);
        Ok(Self {
            settings,
            peers: PeerSettings {
                auth,
                directory,
                token: token.clone(),
            },
            token,
            auth_listeners: Listeners {
                in_memory: auth_incoming,
                tcp: None,
            },
            directory_listeners: Listeners {
                in_memory: directory_incoming,
                tcp: None,
            },
            // Without a gateway, the services end at the signal itself.
            services_shutdown: if serves_gateway(settings.role) {
                CancellationToken::new()
            } else {
                signal.clone()
            },
            signal,
            tasks: JoinSet::new(),
            checks: Vec::new(),
            gauges: Vec::new(),
        })
    }

    async fn start_directory(&mut self) -> anyhow::Result<()> {
        let mut listeners = std::mem::take(&mut self.directory_listeners);
        if let Some(address) = self.settings.directory.listen {
            let listener = bind_listener(address, "DOORWARD_DIRECTORY_LISTEN").await?;
            listeners.tcp = Some((
                listener,
                self.settings
                    .grpc_tls
                    .as_ref()
                    .map(tls::server_config)
                    .transpose()?,
            ));
        }
        let directory: Directory = wiring::new_directory(self.settings);
        let log = |conflict: &wiring::EmailConflictReport| {
            let wiring::EmailConflictReport {
                address,
                older,
                younger,
            } = conflict;
            tracing::warn!(
                address, %older, %younger,
                "two users have the same email address; mails for it go to the older one until the address of \
                 the other is changed"
            );
        };
        wiring::for_each_email_conflict(&directory, log).await?;
        self.register_database("directory_database", directory.database().clone());
        if let Some(config) = wiring::mail_config(self.settings)
            && let Some(mailer) = directory.mail_worker(config)?
        {
            let end = self.services_shutdown.clone();
            self.tasks.spawn(async move {
                mailer.run(end).await;
                Ok(())
            });
        }
        let token = self.token.clone();
        let end = self.services_shutdown.clone();
        let retention = self.settings.directory.feed_retention;
        let serve = async move {
            Ok(doorward_directory::serve(directory, retention, listeners, token, end).await?)
        };
        self.tasks.spawn(serve);
        Ok(())
    }

    async fn start_auth(&mut self) -> anyhow::Result<()> {
        let mut listeners = std::mem::take(&mut self.auth_listeners);
        if let Some(address) = self.settings.auth.listen {
            let listener = bind_listener(address, "DOORWARD_AUTH_LISTEN").await?;
            listeners.tcp = Some((
                listener,
                self.settings
                    .grpc_tls
                    .as_ref()
                    .map(tls::server_config)
                    .transpose()?,
            ));
        }
        let database = wiring::new_auth_database(self.settings);
        self.register_database("auth_database", database.clone());
        secret_files::check_master_key_present(self.settings, &database).await?;
        let deps = Dependencies {
            database,
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIdGenerator),
            sealer: Arc::new(wiring::new_sealer(self.settings)?),
            directory: self.peers.directory.connect(&self.token)?,
        };
        let auth = Auth::start(
            deps,
            wiring::auth_config(self.settings),
            self.services_shutdown.clone(),
        )
        .await?;
        let check = auth.readiness_check();
        self.checks
            .push(("feed", Check::new(move || std::future::ready(check()))));
        let hasher = auth.hasher().clone();
        #[expect(clippy::cast_precision_loss, reason = "a queue is shorter than 2^52")]
        let set =
            move || metrics::gauge!("doorward_hash_queue_length").set(hasher.queue_length() as f64);
        self.gauges.push(Box::new(set));
        let token = self.token.clone();
        self.tasks
            .spawn(async move { Ok(auth.serve(listeners, token).await?) });
        Ok(())
    }

    async fn gateway(&mut self, listener: std::net::TcpListener) -> anyhow::Result<ServerFuture> {
        let config = wiring::gateway_config(self.settings);
        let store = wiring::open_object_store(self.settings).await?;
        let gateway = Arc::new(Gateway::new(
            config,
            store,
            Arc::new(SystemClock),
            Arc::new(RandomIdGenerator),
        )?);
        let trusting = gateway.clone();
        self.checks.push((
            "trust",
            Check::new(move || std::future::ready(trusting.check_trust())),
        ));
        for (name, peer, service) in [
            ("auth", &self.peers.auth, "doorward.auth.v1.Auth"),
            (
                "directory",
                &self.peers.directory,
                "doorward.directory.v1.Directory",
            ),
        ] {
            let channel = peer.connect(&self.token)?;
            self.checks.push((
                name,
                Check::new(move || check_health(channel.clone(), service)),
            ));
        }
        let peers = self.peers.clone();
        let signal = self.signal.clone();
        Ok(Box::pin(async move {
            Ok(doorward_gateway::serve(listener, gateway, peers, signal).await?)
        }))
    }

    fn register_database(&mut self, name: &'static str, database: Database) {
        let asked = database.clone();
        let check = move || {
            let database = asked.clone();
            async move {
                database
                    .check_writable()
                    .await
                    .map_err(|error| error.to_string())
            }
        };
        self.checks.push((name, Check::new(check)));
        self.gauges
            .push(Box::new(move || database.record_metrics()));
    }
}
