//! Simulates a power cut: writes that a process has not synced are lost. After a mere kill they
//! survive, because the kernel writes them later.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

/// A directory on a disk that can lose its power. A preloaded library (`tests/power/power.c`)
/// copies synced data to a shadow directory.
pub struct Power {
    library: PathBuf,
    root: PathBuf,
    shadow: PathBuf,
}

impl Power {
    /// Simulates power cuts for `root`, whose present contents are durable. The library and the
    /// shadow are in `parent`, to which the processes must have write access.
    #[must_use]
    pub fn at(root: &Path, parent: &Path) -> Self {
        let library = parent.join("power.so");
        let shadow = parent.join("durable");
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

    /// Returns the variables for a process that writes to the directory. Writes of a process
    /// without them never become durable.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("POWER_ROOT", self.root.display().to_string()),
            ("POWER_SHADOW", self.shadow.display().to_string()),
        ]
    }

    /// Cuts the power: replaces the directory with its durable contents. All processes that use it
    /// must have been killed before.
    pub fn cut(&self) {
        std::fs::remove_dir_all(&self.root).expect("a directory");
        run(Command::new("cp")
            .arg("--archive")
            .arg(&self.shadow)
            .arg(&self.root));
    }

    /// Gives the shadow to the owner of the directory, who can differ from the user that runs the
    /// tests.
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
