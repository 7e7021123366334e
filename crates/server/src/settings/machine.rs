//! Defaults that depend on the machine and the data directory.

use std::path::Path;

/// Facts on which computed defaults depend.
pub(super) struct MachineDefaults<'a> {
    pub(super) cores: usize,
    data_dir: &'a Path,
}

impl<'a> MachineDefaults<'a> {
    pub(super) fn new(data_dir: &'a Path) -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            data_dir,
        }
    }

    /// Returns the default directory of the object store.
    pub(super) fn media(&self) -> String {
        self.data_dir.join("media").display().to_string()
    }

    pub(super) fn sqlite_url(&self, file: &str) -> String {
        format!("sqlite://{}", self.data_dir.join(file).display())
    }
}
