//! Mount namespaces: file systems that are visible only to one program and its children.

use std::process::Stdio;

use crate::process::{clean_command, is_root};

const IN_USER_NAMESPACE: [&str; 3] = ["unshare", "--mount", "--map-root-user"];
const AS_ROOT: [&str; 4] = ["unshare", "--mount", "--propagation", "unchanged"];

/// Method that gives a program a mount namespace in which it is allowed to mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountNamespace {
    /// The program has no privileges and is root of a user namespace.
    InUserNamespace,
    /// The program has the privileges of root. In a chroot, the kernel rejects user namespaces.
    AsRoot,
}

impl MountNamespace {
    /// Returns the method that the kernel allows here.
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

    /// Returns the command line that is put before that of the program.
    #[must_use]
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Self::InUserNamespace => &IN_USER_NAMESPACE,
            Self::AsRoot => &AS_ROOT,
        }
    }
}
