//! The data directory. It is private, and with SQLite only one server at a time uses it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use anyhow::{Context, bail};

const LOCK_FILE: &str = "doorward.lock";

/// Lock of the data directory, held until it is dropped. The system releases it when the process
/// ends in any way.
#[derive(Debug)]
pub(crate) struct DataDirectoryLock {
    _file: File,
}

/// Creates the directory if it is missing, accessible only to this user.
///
/// # Errors
/// The directory cannot be created.
pub(crate) fn create(path: &Path) -> anyhow::Result<()> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.with_context(|| format!("can't create the directory {}", path.display()))
}

/// Creates a file if it is missing, accessible only to this user. SQLite would create a file that
/// every user can read, and gives its additional files the mode of the database.
///
/// # Errors
/// The file cannot be created.
pub(crate) fn create_file(path: &Path) -> anyhow::Result<()> {
    let created = match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        created => created.map(drop),
    };
    created.with_context(|| format!("can't create {}", path.display()))
}

/// Creates the data directory if it is missing, and warns if it is not private.
///
/// # Errors
/// The directory cannot be created.
pub(crate) fn create_private(path: &Path) -> anyhow::Result<()> {
    create(path)?;
    let mode = fs::metadata(path).map(|metadata| metadata.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o007 != 0) {
        tracing::warn!(
            path = %path.display(),
            "every user of this machine can read the data directory; restrict its mode to 0700"
        );
    }
    Ok(())
}

/// Locks the data directory.
///
/// # Errors
/// Another process holds the lock, or the directory cannot be written.
pub(crate) fn lock(path: &Path) -> anyhow::Result<DataDirectoryLock> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.join(LOCK_FILE));
    let mut file =
        file.with_context(|| format!("can't write the data directory {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            bail!(
                "the data directory {} is in use by another doorward{}",
                path.display(),
                lock_holder(file)
            )
        }
        Err(TryLockError::Error(error)) => {
            return Err(error)
                .with_context(|| format!("can't lock the data directory {}", path.display()));
        }
    }
    // The process id is for the message above, and for administrators.
    let noted = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    noted.with_context(|| format!("can't write the data directory {}", path.display()))?;
    Ok(DataDirectoryLock { _file: file })
}

fn lock_holder(file: File) -> String {
    let mut text = String::new();
    let read = file.take(32).read_to_string(&mut text);
    match text.trim().parse::<u32>() {
        Ok(process) if read.is_ok() => format!(" (process {process})"),
        Ok(_) | Err(_) => String::new(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{
        path::PathBuf,
        sync::atomic::{AtomicU32, Ordering},
    };

    use super::*;

    /// Temporary directory of a test.
    pub(crate) struct Scratch(PathBuf);

    impl Scratch {
        pub(crate) fn new() -> Self {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let name = format!(
                "doorward-{}-{}",
                std::process::id(),
                NUMBER.fetch_add(1, Ordering::Relaxed)
            );
            let path = std::env::temp_dir().join(name);
            create(&path).unwrap();
            Self(path)
        }

        pub(crate) fn path(&self) -> &Path {
            &self.0
        }

        pub(crate) fn file(&self, name: &str, text: &str) -> String {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn directory_is_private_and_may_exist() {
        let scratch = Scratch::new();
        let path = scratch.path().join("a/b");
        create(&path).unwrap();
        create(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn second_process_on_a_data_directory_is_rejected() {
        let scratch = Scratch::new();
        let lock_held = lock(scratch.path()).unwrap();
        let error = lock(scratch.path()).unwrap_err().to_string();
        let process = format!(
            "is in use by another doorward (process {})",
            std::process::id()
        );
        assert!(error.contains(&process), "{error}");
        drop(lock_held);
        assert!(lock(scratch.path()).is_ok());
    }

    #[test]
    fn directory_that_cannot_be_created_is_reported() {
        let scratch = Scratch::new();
        let file = scratch.file("file", "");
        let error = create(&Path::new(&file).join("data"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(&file), "{error}");
        assert!(
            lock(Path::new(&file))
                .unwrap_err()
                .to_string()
                .contains(&file)
        );
    }
}
