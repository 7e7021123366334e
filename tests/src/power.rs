//! A power cut: what processes have not synced is lost. A kill keeps it, because the kernel writes it later.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

/// A directory on a disk that can lose its power. `tests/power/power.c` has how.
pub struct Power {
    library: PathBuf,
    root: PathBuf,
    shadow: PathBuf,
}

impl Power {
    /// Makes `root` such a directory; what it has now is durable. Files of its own are in `beside`, which the processes must be
    /// able to write to.
    #[must_use]
    pub fn at(root: &Path, beside: &Path) -> Self {
        let (library, shadow) = (beside.join("power.so"), beside.join("durable"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("power/power.c");
        run(Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(source));
        run(Command::new("cp").arg("--archive").arg(root).arg(&shadow));
        let power = Self {
            library,
            root: root.to_owned(),
            shadow,
        };
        power.change_owner();
        power
    }

    /// Returns the variables of a process whose syncs count. Only its syncs make anything durable.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("POWER_ROOT", self.root.display().to_string()),
            ("POWER_SHADOW", self.shadow.display().to_string()),
        ]
    }

    /// Cuts the power. The processes must have been killed.
    pub fn cut(&self) {
        std::fs::remove_dir_all(&self.root).expect("a directory");
        run(Command::new("cp")
            .arg("--archive")
            .arg(&self.shadow)
            .arg(&self.root));
    }

    /// Gives the shadow to the owner of the directory, which can be another user than the one that runs the tests.
    fn change_owner(&self) {
        let owner = std::fs::metadata(&self.root).expect("a directory").uid();
        run(Command::new("chown")
            .arg("--recursive")
            .arg(owner.to_string())
            .arg(&self.shadow)
            .arg(&self.library));
    }
}

fn run(command: &mut Command) {
    let status = command
        .status()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
