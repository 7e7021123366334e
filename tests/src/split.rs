//! The three services as processes of their own, talking over TCP.

use std::time::Duration;

use crate::{
    Backend, Http, Installation, Output, Process, User, app::wait_until_ready, installation::SERVICE_TOKEN, ports,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Auth,
    Directory,
    Gateway,
}

pub struct Split {
    services: Vec<Service>,
    pub installation: Installation,
    pub http: Http,
    /// Host and port of the gRPC listeners.
    pub auth: String,
    pub directory: String,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Directory, Self::Auth, Self::Gateway];
}

struct Service {
    role: Role,
    ops: String,
    process: Process,
}

impl Split {
    /// All three, ready.
    pub async fn start(backend: Backend) -> Self {
        let mut split = Self::prepare(backend).await;
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
        let (auth, directory) = (ports::free_address(), ports::free_address());
        let installation = Installation::new(backend).with(&[
            ("DOORWARD_AUTH_LISTEN", &auth),
            ("DOORWARD_DIRECTORY_LISTEN", &directory),
            ("DOORWARD_AUTH_URL", &format!("http://{auth}")),
            ("DOORWARD_DIRECTORY_URL", &format!("http://{directory}")),
            ("DOORWARD_SERVICE_TOKEN", SERVICE_TOKEN),
        ]);
        installation.cli(&["migrate"], "").await.succeeded();
        let http = Http::new(&installation.variable("DOORWARD_LISTEN"));
        Self { services: Vec::new(), installation, http, auth, directory }
    }

    /// Starts a service and doesn't wait for it.
    pub fn start_service(&mut self, role: Role) {
        let word = match role {
            Role::Auth => "auth",
            Role::Directory => "directory",
            Role::Gateway => "gateway",
        };
        let ops = ports::free_address();
        let process = self.installation.spawn(&["serve", word], &[("DOORWARD_OPS_LISTEN", &ops)]);
        self.services.retain(|service| service.role != role);
        self.services.push(Service { role, ops, process });
    }

    pub async fn ready(&mut self, role: Role) {
        let service = self.services.iter_mut().find(|service| service.role == role).expect("started");
        wait_until_ready(&mut service.process, &Http::new(&service.ops)).await;
    }

    /// SIGKILL.
    pub fn kill(&mut self, role: Role) {
        self.services.retain(|service| service.role != role);
    }

    /// Asks a service to stop: how it ended.
    pub async fn terminate(&mut self, role: Role, within: Duration) -> Output {
        let service = self.services.iter_mut().find(|service| service.role == role).expect("started");
        service.process.terminate();
        service.process.exit(within).await
    }

    /// Creates a user by the command line, and logs in.
    pub async fn user(&self, username: &str) -> User {
        User::create(&self.installation, &self.http, username).await
    }

    /// Health and metrics of a service that runs.
    #[must_use]
    pub fn ops(&self, role: Role) -> Http {
        Http::new(&self.services.iter().find(|service| service.role == role).expect("started").ops)
    }
}
