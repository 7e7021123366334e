//! Generated secrets: the master key, which is stored in the data directory, and the service token
//! of a process that runs all services, which stays in memory.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use doorward_storage::Database;
use secrecy::{SecretString, zeroize::Zeroizing};

use crate::{
    master_key::MasterKey,
    random::random_bytes,
    settings::{Role, Settings},
};

const FILE: &str = "master.key";
const MODE: u32 = 0o600;

/// Checks that the master key file exists if auth's database contains sealed data. The caller must
/// call this before [`load_master_key`], which would generate another key that cannot unseal this
/// data.
///
/// # Errors
/// The key is missing, or database errors.
pub(crate) async fn check_master_key_present(
    settings: &Settings,
    auth: &Database,
) -> anyhow::Result<()> {
    let makes_keys =
        matches!(settings.role, Role::Demo | Role::All) && settings.auth.master_key.is_none();
    let path = settings.data_dir.join(FILE);
    if makes_keys && find(&path)?.is_none() && doorward_auth::has_sealed_data(auth).await? {
        bail!(
            "the master key {} is missing, and auth's database contains secrets that only this key \
             unseals: put the file back or set DOORWARD_MASTER_KEY",
            path.display()
        );
    }
    Ok(())
}

/// Returns the key of the settings or, if none is set, the key in the data directory. `demo` and
/// `all` generate the latter at the first start; over PostgreSQL the settings must contain one.
/// None if there is no key.
///
/// # Errors
/// The file cannot be read or written, or does not contain a key.
pub(crate) fn load_master_key(settings: &Settings) -> anyhow::Result<Option<MasterKey>> {
    if let Some(key) = &settings.auth.master_key {
        return Ok(Some(key.clone()));
    }
    let path = settings.data_dir.join(FILE);
    match settings.role {
        Role::Demo | Role::All => find_or_create(&path).map(Some),
        Role::Auth | Role::Migrate | Role::Admin => find(&path),
        Role::Gateway | Role::Directory => Ok(None),
    }
}

/// Returns the key of the settings or, if none is set, the key in the data directory. If both
/// databases are SQLite files, a missing key is generated, as a server would do at its first start.
///
/// # Errors
/// There is no key, or the file cannot be read or written.
pub(crate) fn load_master_key_for_import(settings: &Settings) -> anyhow::Result<MasterKey> {
    match load_master_key(settings)? {
        Some(key) => Ok(key),
        None if settings.auth.master_key_old.is_some() && settings.uses_only_sqlite() => {
            find_or_create(&settings.data_dir.join(FILE))
        }
        None => {
            bail!("there is no master key: set DOORWARD_MASTER_KEY or DOORWARD_MASTER_KEY_FILE")
        }
    }
}

/// Path of the master key in the data directory, if this key is in use.
pub(crate) struct GeneratedKeyFile(PathBuf);

impl GeneratedKeyFile {
    /// Finds the master key file of the data directory. None if the settings contain a key.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn find(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let path = settings.data_dir.join(FILE);
        let is_used = settings.auth.master_key.is_none() && find(&path)?.is_some();
        Ok(is_used.then_some(Self(path)))
    }

    /// Writes the new key to a file next to the old one.
    ///
    /// # Errors
    /// The file exists: its key may be in use, so it must not be overwritten.
    pub(crate) fn write_draft(self, key: &MasterKey) -> anyhow::Result<KeyFileDraft> {
        let draft = self.0.with_extension("key.new");
        let is_made = create(&draft, key)
            .with_context(|| format!("can't write the new master key {}", draft.display()))?;
        if !is_made {
            bail!(
                "{} is left from an interrupted `keys reseal`: if the server rejects {}, move it there; \
                 otherwise delete it",
                draft.display(),
                self.0.display()
            );
        }
        Ok(KeyFileDraft {
            draft,
            path: self.0,
        })
    }
}

/// File with the new key, which has not replaced the old one yet.
pub(crate) struct KeyFileDraft {
    draft: PathBuf,
    path: PathBuf,
}

impl KeyFileDraft {
    /// Deletes the new key, with which nothing was sealed.
    pub(crate) fn discard(self) {
        let _ = fs::remove_file(self.draft);
    }

    pub(crate) fn replace(self) -> anyhow::Result<()> {
        let Self { draft, path } = self;
        fs::rename(&draft, &path).with_context(|| {
            format!(
                "can't rename {} to {}: rename it",
                draft.display(),
                path.display()
            )
        })
    }
}

/// Returns the token of the settings, or a new one for a process that runs all services.
///
/// # Errors
/// The system has no random numbers.
pub(crate) fn load_service_token(settings: &Settings) -> anyhow::Result<Option<SecretString>> {
    match &settings.service_token {
        Some(token) => Ok(Some(token.clone())),
        None if settings.role.runs_all_services() => {
            Ok(Some(STANDARD.encode(random_bytes()?).into()))
        }
        None => Ok(None),
    }
}

fn find(path: &Path) -> anyhow::Result<Option<MasterKey>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error)
                .with_context(|| format!("can't read the master key {}", path.display()));
        }
    };
    let key = text
        .trim_end()
        .parse()
        .with_context(|| format!("wrong master key in {}", path.display()))?;
    Ok(Some(key))
}

fn find_or_create(path: &Path) -> anyhow::Result<MasterKey> {
    if let Some(key) = find(path)? {
        return Ok(key);
    }
    let key = MasterKey::generate()?;
    create(path, &key).with_context(|| format!("can't write the master key {}", path.display()))?;
    tracing::info!(
        path = %path.display(),
        "generated the master key; keep a copy, because the secrets in auth's database can't be read \
         without it"
    );
    // If two processes generate a key concurrently, one of them writes the file, and both use its
    // key.
    find(path)?.with_context(|| format!("the master key {} was deleted", path.display()))
}

/// Creates the file completely or not at all. Never replaces a file: returns false if there is one.
fn create(path: &Path, key: &MasterKey) -> std::io::Result<bool> {
    let draft = path.with_extension(format!("key.{}", std::process::id()));
    let _ = fs::remove_file(&draft);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&draft)?;
    let text = Zeroizing::new(STANDARD.encode(key.expose()));
    let linked = writeln!(file, "{}", *text)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
        Ok(()) => path
            .parent()
            .map_or(Ok(()), |directory| fs::File::open(directory)?.sync_all())
            .map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;
    use crate::{data_directory::tests::Scratch, settings::tests::load};

    #[test]
    fn generated_key_is_private_and_stays() {
        let scratch = Scratch::new();
        let path = scratch.path().join(FILE);
        let key = find_or_create(&path).unwrap();
        assert_eq!(find_or_create(&path).unwrap().expose(), key.expose());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            MODE
        );
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
        // The text of the file is a valid value of the setting.
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text.trim_end().parse::<MasterKey>().unwrap().expose(),
            key.expose()
        );
        assert!(!format!("{key:?}").contains(text.trim_end()));
    }

    #[test]
    fn only_single_process_roles_generate_secrets() {
        let scratch = Scratch::new();
        let directory = scratch.path().display().to_string();
        let settings = |role| load(role, &[("DOORWARD_DATA_DIR", &directory)], &[]).unwrap();
        for role in [Role::Gateway, Role::Directory, Role::Migrate, Role::Admin] {
            assert!(
                load_master_key(&settings(role)).unwrap().is_none(),
                "{role:?}"
            );
            assert!(
                load_service_token(&settings(role)).unwrap().is_none(),
                "{role:?}"
            );
        }
        let key = load_master_key(&settings(Role::Demo)).unwrap().unwrap();
        assert_eq!(
            load_master_key(&settings(Role::Admin))
                .unwrap()
                .unwrap()
                .expose(),
            key.expose()
        );
        let tokens = [Role::All, Role::Demo]
            .map(|role| load_service_token(&settings(role)).unwrap().unwrap());
        let [first, second] = tokens.each_ref().map(ExposeSecret::expose_secret);
        assert!(first != second && first.len() == 44);
        let set = load(Role::All, &[("DOORWARD_SERVICE_TOKEN", first)], &[]).unwrap();
        assert_eq!(
            load_service_token(&set).unwrap().unwrap().expose_secret(),
            first
        );
    }

    #[test]
    fn concurrently_created_key_wins() {
        let scratch = Scratch::new();
        let path = scratch.path().join(FILE);
        let first = MasterKey::generate().unwrap();
        let second = MasterKey::generate().unwrap();
        create(&path, &first).unwrap();
        create(&path, &second).unwrap();
        assert_eq!(find(&path).unwrap().unwrap().expose(), first.expose());
    }

    #[test]
    fn invalid_key_file_is_reported_and_kept() {
        let scratch = Scratch::new();
        let path = scratch.path().join(FILE);
        fs::write(&path, "c2hvcnQ=\n").unwrap();
        let error = format!("{:#}", find_or_create(&path).unwrap_err());
        assert!(
            error.contains("master.key") && !error.contains("c2hvcnQ"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "c2hvcnQ=\n");
    }

    #[test]
    fn directory_that_is_missing_is_named() {
        let error = format!(
            "{:#}",
            find_or_create(Path::new("/nowhere/at/all/master.key")).unwrap_err()
        );
        assert!(
            error.contains("can't write the master key /nowhere/at/all/master.key"),
            "{error}"
        );
    }
}
