//! `doorward import`: imports the whole state into an empty installation. `doorward user import` is
//! a different command.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
};

use anyhow::{Context, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use doorward_auth::transfer::Reseal;
use doorward_domain::RandomIdGenerator;
use doorward_media::Store;
use doorward_storage::{
    DatabaseUrl,
    transfer::{Import, ServiceDatabase},
};
use tokio::runtime::Handle;

use crate::commands::export_stream::{Counts, ExportLine, Header, ImportReport, PICTURES, Reader};
use crate::{
    data_directory, secret_files,
    settings::Settings,
    stdout,
    wiring::{self, Preparation},
};

const BUFFER_BYTES: usize = 64 * 1024;

pub(crate) async fn run(path: Option<PathBuf>, settings: &Settings) -> anyhow::Result<()> {
    let file = path
        .map(|path| File::open(&path).with_context(|| format!("can't read {}", path.display())))
        .transpose()?;
    // Held until the end of the import, so that no `serve` starts in this data directory.
    let _lock = if settings.uses_sqlite() {
        data_directory::create_private(&settings.data_dir)?;
        Some(data_directory::lock(&settings.data_dir)?)
    } else {
        None
    };
    let reseal = reseal(settings)?;
    wiring::prepare_databases(settings, Preparation::MigrateIfEmptyAllowingImport).await?;
    let target = Target {
        auth: settings.auth.database.clone(),
        directory: settings.directory.database.clone(),
        reseal,
        store: wiring::open_object_store(settings).await?,
        runtime: Handle::current(),
    };
    let imported = tokio::task::spawn_blocking(move || match file {
        Some(file) => target.import(BufReader::with_capacity(BUFFER_BYTES, file)),
        None => target.import(io::stdin().lock()),
    });
    Ok(stdout::print_json(&imported.await??)?)
}

fn reseal(settings: &Settings) -> anyhow::Result<Reseal> {
    let new = secret_files::load_master_key_for_import(settings)?;
    let old = settings.auth.master_key_old.as_ref().unwrap_or(&new);
    let is_same = old.expose() == new.expose();
    let new_sealer = if is_same {
        None
    } else {
        Some(wiring::new_sealer_for(&new)?)
    };
    Ok(Reseal::new(wiring::new_sealer_for(old)?, new_sealer))
}

/// Databases and object store of an import. All functions block.
struct Target {
    auth: DatabaseUrl,
    directory: DatabaseUrl,
    reseal: Reseal,
    store: Store,
    /// Runtime for the requests to the object store.
    runtime: Handle,
}

impl Target {
    fn import(&self, input: impl BufRead) -> anyhow::Result<ImportReport> {
        let auth = ServiceDatabase {
            url: &self.auth,
            tables: &doorward_auth::transfer::TABLES,
        };
        let directory = ServiceDatabase {
            url: &self.directory,
            tables: &doorward_directory::transfer::TABLES,
        };
        let import = Import::start(auth, directory, &RandomIdGenerator)?;
        let read = self.import_lines(import, input);
        read.context("the import is not complete, and the installation does not start until one is")
    }

    fn import_lines(
        &self,
        mut import: Import<'_>,
        input: impl BufRead,
    ) -> anyhow::Result<ImportReport> {
        let mut reader = Reader::new(input);
        let header = reader.header()?;
        check_migrations(&header, &mut import)?;
        let mut counts = Counts::new();
        let sha256 = loop {
            match reader.next()? {
                ExportLine::Row { table, mut row } => {
                    self.reseal.reseal_row(&table, &mut row).with_context(|| {
                        format!("a secret of table {table} can't be unsealed: set DOORWARD_MASTER_KEY_OLD to the master key of the exported installation")
                    })?;
                    import.insert(&table, &row)?;
                    *counts.entry(table).or_default() += 1;
                }
                ExportLine::Picture { name, bytes } => {
                    self.store_picture(&name, bytes)?;
                    *counts.entry(PICTURES.to_owned()).or_default() += 1;
                }
                ExportLine::End { sha256 } => break sha256,
            }
        };
        check_counts(&header.counts, &counts)?;
        import.finish()?;
        Ok(ImportReport {
            counts: header.counts,
            sha256,
        })
    }

    fn store_picture(&self, name: &str, bytes: Option<String>) -> anyhow::Result<()> {
        ensure!(
            doorward_directory::transfer::is_picture(name),
            "a picture has a name that is not allowed"
        );
        let Some(bytes) = bytes else { return Ok(()) };
        let bytes = STANDARD
            .decode(bytes)
            .ok()
            .with_context(|| format!("the picture {name} is not base64"))?;
        let put = self.runtime.block_on(self.store.put(name, bytes));
        put.with_context(|| format!("can't write the picture {name}"))
    }
}

fn check_migrations(header: &Header, import: &mut Import<'_>) -> anyhow::Result<()> {
    for (database, migrations) in import.migrations()? {
        ensure!(
            header.migrations.get(database) == Some(&migrations),
            "the export is of release {}, whose {database} database has other tables than this release: import it with that \
             release, then upgrade",
            header.release
        );
    }
    Ok(())
}

fn check_counts(expected: &Counts, counted: &Counts) -> anyhow::Result<()> {
    for name in expected.keys().chain(counted.keys()) {
        let [expected, counted] =
            [expected, counted].map(|counts| counts.get(name).copied().unwrap_or_default());
        ensure!(
            expected == counted,
            "the export has {counted} of {name}, but its header says {expected}"
        );
    }
    Ok(())
}
