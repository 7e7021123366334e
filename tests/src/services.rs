//! Starts the three services as separate processes that communicate over TCP, and further replicas
//! of them.

use std::time::Duration;

use crate::{
    app::{User, wait_until_ready},
    backend::Backend,
    http::Http,
    installation::{Installation, SERVICE_TOKEN},
    ports,
    process::{Output, Process},
};

/// The service that a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Auth,
    Directory,
    Gateway,
}

/// One process of each service and their common installation.
pub struct Services {
    services: Vec<Service>,
    pub installation: Installation,
    pub http: Http,
    /// Host and port of the gRPC listener of auth.
    pub auth: String,
    /// Host and port of the gRPC listener of directory.
    pub directory: String,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Directory, Self::Auth, Self::Gateway];

    const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Directory => "directory",
            Self::Gateway => "gateway",
        }
    }

    /// Returns the setting with the address of the listener.
    const fn listen_variable(self) -> &'static str {
        match self {
            Self::Auth => "DOORWARD_AUTH_LISTEN",
            Self::Directory => "DOORWARD_DIRECTORY_LISTEN",
            Self::Gateway => "DOORWARD_LISTEN",
        }
    }
}

struct Service {
    role: Role,
    ops: String,
    process: Process,
}

/// An additional process of a service.
pub struct Replica {
    /// Host and port of the listener: HTTP for a gateway, gRPC for the others.
    pub address: String,
    pub ops: Http,
    role: Role,
    variables: Vec<(String, String)>,
    process: Process,
}

impl Services {
    /// Starts all three services in a new installation and waits until they are ready.
    pub async fn start(backend: Backend) -> Self {
        Self::with(backend, &[]).await
    }

    /// Starts all three services with additional settings.
    pub async fn with(backend: Backend, variables: &[(&str, &str)]) -> Self {
        let mut split = Self::prepare(backend).await;
        split.installation = split.installation.with(variables);
        split.start_all().await;
        split
    }

    /// Starts all three services and waits until they are ready.
    pub async fn start_all(&mut self) {
        for role in Role::ALL {
            self.start_service(role);
        }
        for role in Role::ALL {
            self.ready(role).await;
        }
    }

    /// Creates databases and settings without starting a service.
    pub async fn prepare(backend: Backend) -> Self {
        Self::on_installation(Installation::new(backend)).await
    }

    /// Migrates an installation without starting a service.
    pub async fn on_installation(installation: Installation) -> Self {
        let auth = ports::free_address();
        let directory = ports::free_address();
        let installation = installation.with(&[
            ("DOORWARD_AUTH_LISTEN", &auth),
            ("DOORWARD_DIRECTORY_LISTEN", &directory),
            ("DOORWARD_AUTH_URL", &format!("http://{auth}")),
            ("DOORWARD_DIRECTORY_URL", &format!("http://{directory}")),
            ("DOORWARD_SERVICE_TOKEN", SERVICE_TOKEN),
        ]);
        installation.cli(&["migrate"], "").await.assert_success();
        let http = Http::new(&installation.variable("DOORWARD_LISTEN"));
        Self {
            services: Vec::new(),
            installation,
            http,
            auth,
            directory,
        }
    }

    /// Starts a service without waiting until it is ready. An earlier process of the service is
    /// killed.
    pub fn start_service(&mut self, role: Role) {
        let ops = ports::free_address();
        let process = self
            .installation
            .spawn(&["serve", role.name()], &[("DOORWARD_OPS_LISTEN", &ops)]);
        self.services.retain(|service| service.role != role);
        self.services.push(Service { role, ops, process });
    }

    /// Starts an additional process of a service with additional settings and waits until it is
    /// ready.
    pub async fn start_replica(&self, role: Role, variables: &[(&str, &str)]) -> Replica {
        let address = ports::free_address();
        let ops = ports::free_address();
        let own = [
            ("DOORWARD_OPS_LISTEN", ops.as_str()),
            (role.listen_variable(), address.as_str()),
        ];
        let variables = [variables, &own].concat();
        let mut process = self.installation.spawn(&["serve", role.name()], &variables);
        let ops = Http::new(&ops);
        wait_until_ready(&mut process, &ops).await;
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Replica {
            address,
            ops,
            role,
            variables,
            process,
        }
    }

    /// Kills a replica and starts it again, on the same ports.
    pub async fn restart(&self, replica: &mut Replica) {
        replica.kill();
        let variables: Vec<(&str, &str)> = replica
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        replica.process = self
            .installation
            .spawn(&["serve", replica.role.name()], &variables);
        wait_until_ready(&mut replica.process, &replica.ops).await;
    }

    /// Starts a second directory on the same database, and a gateway that uses it.
    pub async fn start_second_directory_and_gateway(&self) -> (Replica, Replica) {
        let directory = self.start_replica(Role::Directory, &[]).await;
        let url = format!("http://{}", directory.address);
        let gateway = self
            .start_replica(Role::Gateway, &[("DOORWARD_DIRECTORY_URL", &url)])
            .await;
        (directory, gateway)
    }

    /// Starts a second auth on the same database, and a gateway that uses it.
    pub async fn start_second_auth_and_gateway(&self) -> (Replica, Replica) {
        let auth = self.start_replica(Role::Auth, &[]).await;
        let url = format!("http://{}", auth.address);
        let gateway = self
            .start_replica(Role::Gateway, &[("DOORWARD_AUTH_URL", &url)])
            .await;
        (auth, gateway)
    }

    /// Waits until a service that was started is ready.
    pub async fn ready(&mut self, role: Role) {
        let service = self
            .services
            .iter_mut()
            .find(|service| service.role == role)
            .expect("a service that was started");
        wait_until_ready(&mut service.process, &Http::new(&service.ops)).await;
    }

    /// Kills a service with SIGKILL.
    pub fn kill(&mut self, role: Role) {
        self.services.retain(|service| service.role != role);
    }

    /// Sends SIGTERM to a service and waits for its end.
    pub async fn terminate(&mut self, role: Role, within: Duration) -> Output {
        let service = self
            .services
            .iter_mut()
            .find(|service| service.role == role)
            .expect("a service that was started");
        service.process.terminate();
        service.process.wait_for_exit(within).await
    }

    /// Returns the process of a service that was started.
    #[must_use]
    pub fn process(&self, role: Role) -> &Process {
        &self
            .services
            .iter()
            .find(|service| service.role == role)
            .expect("a service that was started")
            .process
    }

    /// Creates a user with the command line and logs in.
    pub async fn user(&self, username: &str) -> User {
        User::create(&self.installation, &self.http, username).await
    }

    /// Returns a client of a service's operations listener: health and metrics.
    #[must_use]
    pub fn ops(&self, role: Role) -> Http {
        Http::new(
            &self
                .services
                .iter()
                .find(|service| service.role == role)
                .expect("a service that was started")
                .ops,
        )
    }
}

impl Replica {
    /// Returns a client of a gateway.
    #[must_use]
    pub fn http(&self) -> Http {
        Http::new(&self.address)
    }

    /// Kills the process with SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}
