//! The three services as processes of their own, talking over TCP.

use std::time::Duration;

use crate::{
    Backend, Http, Installation, Output, Process, User, app::wait_until_ready,
    installation::SERVICE_TOKEN, ports,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Auth,
    Directory,
    Gateway,
}

pub struct Services {
    services: Vec<Service>,
    pub installation: Installation,
    pub http: Http,
    /// Host and port of the gRPC listeners.
    pub auth: String,
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

    /// The setting that says where it listens.
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

/// One more process of a role, beside the three.
pub struct Replica {
    /// Host and port of its listener: HTTP of a gateway, gRPC of the others.
    pub address: String,
    pub ops: Http,
    role: Role,
    variables: Vec<(String, String)>,
    process: Process,
}

impl Services {
    /// All three, ready.
    pub async fn start(backend: Backend) -> Self {
        Self::with(backend, &[]).await
    }

    /// With these settings besides.
    pub async fn with(backend: Backend, variables: &[(&str, &str)]) -> Self {
        let mut split = Self::prepare(backend).await;
        split.installation = split.installation.with(variables);
        split.start_all().await;
        split
    }

    /// Starts all three, and waits until they are ready.
    pub async fn start_all(&mut self) {
        for role in Role::ALL {
            self.start_service(role);
        }
        for role in Role::ALL {
            self.ready(role).await;
        }
    }

    /// Databases and settings, and nothing running.
    pub async fn prepare(backend: Backend) -> Self {
        Self::on_installation(Installation::new(backend)).await
    }

    /// Migrates this installation, and starts nothing.
    pub async fn on_installation(installation: Installation) -> Self {
        let (auth, directory) = (ports::free_address(), ports::free_address());
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

    /// Starts a service and doesn't wait for it.
    pub fn start_service(&mut self, role: Role) {
        let ops = ports::free_address();
        let process = self
            .installation
            .spawn(&["serve", role.name()], &[("DOORWARD_OPS_LISTEN", &ops)]);
        self.services.retain(|service| service.role != role);
        self.services.push(Service { role, ops, process });
    }

    /// One more of a role, ready, with these settings besides.
    pub async fn start_replica(&self, role: Role, variables: &[(&str, &str)]) -> Replica {
        let (address, ops) = (ports::free_address(), ports::free_address());
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

    /// SIGKILL, and the same once more, on the same ports.
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

    /// A second directory over the same database, and a gateway that asks that one.
    pub async fn start_second_directory_and_gateway(&self) -> (Replica, Replica) {
        let directory = self.start_replica(Role::Directory, &[]).await;
        let url = format!("http://{}", directory.address);
        let gateway = self
            .start_replica(Role::Gateway, &[("DOORWARD_DIRECTORY_URL", &url)])
            .await;
        (directory, gateway)
    }

    /// A second auth over the same database, and a gateway that asks that one.
    pub async fn start_second_auth_and_gateway(&self) -> (Replica, Replica) {
        let auth = self.start_replica(Role::Auth, &[]).await;
        let url = format!("http://{}", auth.address);
        let gateway = self
            .start_replica(Role::Gateway, &[("DOORWARD_AUTH_URL", &url)])
            .await;
        (auth, gateway)
    }

    pub async fn ready(&mut self, role: Role) {
        let service = self
            .services
            .iter_mut()
            .find(|service| service.role == role)
            .expect("started");
        wait_until_ready(&mut service.process, &Http::new(&service.ops)).await;
    }

    /// SIGKILL.
    pub fn kill(&mut self, role: Role) {
        self.services.retain(|service| service.role != role);
    }

    /// Asks a service to stop: how it ended.
    pub async fn terminate(&mut self, role: Role, within: Duration) -> Output {
        let service = self
            .services
            .iter_mut()
            .find(|service| service.role == role)
            .expect("started");
        service.process.terminate();
        service.process.wait_for_exit(within).await
    }

    /// A service that runs.
    #[must_use]
    pub fn process(&self, role: Role) -> &Process {
        &self
            .services
            .iter()
            .find(|service| service.role == role)
            .expect("started")
            .process
    }

    /// Creates a user by the command line, and logs in.
    pub async fn user(&self, username: &str) -> User {
        User::create(&self.installation, &self.http, username).await
    }

    /// Health and metrics of a service that runs.
    #[must_use]
    pub fn ops(&self, role: Role) -> Http {
        Http::new(
            &self
                .services
                .iter()
                .find(|service| service.role == role)
                .expect("started")
                .ops,
        )
    }
}

impl Replica {
    /// A client of a gateway.
    #[must_use]
    pub fn http(&self) -> Http {
        Http::new(&self.address)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}
