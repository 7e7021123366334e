//! Mount namespaces: file systems that only one program, and what it starts, can see.

use std::process::Stdio;

use crate::{postgres::is_root, process::clean_command};

const IN_USER_NAMESPACE: [&str; 3] = ["unshare", "--mount", "--map-root-user"];
const AS_ROOT: [&str; 4] = ["unshare", "--mount", "--propagation", "unchanged"];

/// How a program gets a mount namespace, in which it is allowed to mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountNamespace {
    /// Without privileges, as root of a user namespace.
    InUserNamespace,
    /// With the privileges of root. In a chroot, the kernel refuses user namespaces.
    AsRoot,
}

impl MountNamespace {
    /// Detects what the kernel allows here.
    #[must_use]
    pub fn detect() -> Self {
        let [program, arguments @ ..] = IN_USER_NAMESPACE;
        let mut attempt = clean_command(program);
        let status = attempt
            .args(arguments)
            .arg("true")
            .stderr(Stdio::null())
            .status();
        if status.is_ok_and(|status| status.success()) {
            return Self::InUserNamespace;
        }
        assert!(is_root(), "the test needs user namespaces or root");
        Self::AsRoot
    }

    /// Returns the words before those of a program.
    #[must_use]
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Self::InUserNamespace => &IN_USER_NAMESPACE,
            Self::AsRoot => &AS_ROOT,
        }
    }
}
