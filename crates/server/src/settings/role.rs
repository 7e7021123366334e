//! The role of a process: what it runs. Defaults and checks of settings depend on it.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Demo,
    All,
    Gateway,
    Auth,
    Directory,
    Migrate,
    /// A command on the databases or on a running server.
    Admin,
}

impl Role {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::All => "all",
            Self::Gateway => "gateway",
            Self::Auth => "auth",
            Self::Directory => "directory",
            Self::Migrate => "migrate",
            Self::Admin => "admin",
        }
    }

    /// Returns whether all services run in this process.
    pub(crate) const fn runs_all_services(self) -> bool {
        matches!(self, Self::Demo | Self::All)
    }

    pub(crate) const fn serves_auth(self) -> bool {
        self.runs_all_services() || matches!(self, Self::Auth)
    }

    pub(crate) const fn serves_directory(self) -> bool {
        self.runs_all_services() || matches!(self, Self::Directory)
    }
}
