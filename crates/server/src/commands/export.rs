//! `doorward export`.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use doorward_directory::transfer::Picture;
use doorward_media::Store;
use doorward_storage::{
    DatabaseUrl,
    transfer::{ServiceDatabase, Snapshot},
};
use futures_util::TryStreamExt;
use tokio::runtime::Handle;

use crate::commands::export_stream::{
    Counts, Header, ImportReport, MAX_PICTURE_BYTES, PICTURES, PictureLine, RowLine, Writer,
};
use crate::{
    settings::Settings,
    stdout,
    wiring::{self, Preparation},
};

const BUFFER_BYTES: usize = 64 * 1024;

pub(super) async fn run(path: Option<PathBuf>, settings: &Settings) -> anyhow::Result<()> {
    wiring::prepare_databases(settings, Preparation::MigrateIfEmpty).await?;
    let location = &settings.gateway.object_store;
    let store = Store::open(location).with_context(|| {
        format!("the object store {location} can't be used (DOORWARD_OBJECT_STORE)")
    })?;
    let source = Source {
        auth: settings.auth.database.clone(),
        directory: settings.directory.database.clone(),
        store,
        runtime: Handle::current(),
    };
    let written = tokio::task::spawn_blocking(move || match path {
        Some(path) => source.write_file(&path).map(Some),
        None => source.write(io::stdout().lock()).map(|_| None),
    });
    match written.await?? {
        Some(report) => Ok(stdout::print_json(&report)?),
        None => Ok(()),
    }
}

/// Databases and object store of an export. All functions block.
struct Source {
    auth: DatabaseUrl,
    directory: DatabaseUrl,
    store: Store,
    /// Runtime for the requests to the object store.
    runtime: Handle,
}

impl Source {
    /// Writes the export to a draft, and replaces the file when the export is complete. Writes
    /// directly to anything that is not a regular file, such as a pipe.
    fn write_file(&self, path: &Path) -> anyhow::Result<ImportReport> {
        let failed = || format!("can't write {}", path.display());
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
            return self.write(
                OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .with_context(failed)?,
            );
        }
        let mut draft = path.clone().into_os_string();
        draft.push(format!(".{}", std::process::id()));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .with_context(failed)?;
        let written = self.write(&file).and_then(|report| {
            file.sync_all()
                .and_then(|()| fs::rename(&draft, &path))
                .with_context(failed)?;
            Ok(report)
        });
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        } else if let Some(parent) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            File::open(parent)
                .and_then(|directory| directory.sync_all())
                .with_context(failed)?;
        }
        written
    }

    fn write(&self, out: impl Write) -> anyhow::Result<ImportReport> {
        let mut snapshots = Snapshot::open_all([
            ServiceDatabase {
                url: &self.auth,
                tables: &doorward_auth::transfer::TABLES,
            },
            ServiceDatabase {
                url: &self.directory,
                tables: &doorward_directory::transfer::TABLES,
            },
        ])?;
        let mut writer = Writer::new(BufWriter::with_capacity(BUFFER_BYTES, out));
        let (migrations, counts) = count(&mut snapshots)?;
        writer.line(&Header::new(migrations, counts.clone()))?;
        for snapshot in &mut snapshots {
            let tables = snapshot.tables();
            for table in tables.tables {
                let name = tables.full_name(table);
                snapshot.for_each_row(table, |row| {
                    writer.line(&RowLine {
                        table: &name,
                        row: &row,
                    })
                })?;
            }
        }
        let [_, directory] = &mut snapshots;
        let mut missing = 0_u64;
        doorward_directory::transfer::for_each_picture(directory, |picture| {
            let bytes = self.runtime.block_on(find(&self.store, &picture.name))?;
            if bytes.is_none() && !picture.is_discarded {
                missing += 1;
            }
            writer.line(&PictureLine {
                picture: &picture.name,
                bytes: bytes.map(|bytes| STANDARD.encode(bytes)),
            })
        })?;
        if missing > 0 {
            tracing::warn!(
                missing,
                "pictures of users or projects are not in the object store; check DOORWARD_OBJECT_STORE"
            );
        }
        Ok(ImportReport {
            counts,
            sha256: writer.end()?,
        })
    }
}

fn count(snapshots: &mut [Snapshot; 2]) -> anyhow::Result<(BTreeMap<String, Vec<String>>, Counts)> {
    let mut migrations = BTreeMap::new();
    let mut counts = Counts::new();
    for snapshot in &mut *snapshots {
        let tables = snapshot.tables();
        migrations.insert(tables.database.to_owned(), snapshot.migrations().to_vec());
        for table in tables.tables {
            counts.insert(tables.full_name(table), snapshot.count(table)?);
        }
    }
    let [_, directory] = snapshots;
    let mut pictures = 0;
    doorward_directory::transfer::for_each_picture(
        directory,
        |_: Picture| -> anyhow::Result<()> {
            pictures += 1;
            Ok(())
        },
    )?;
    counts.insert(PICTURES.to_owned(), pictures);
    Ok((migrations, counts))
}

async fn find(store: &Store, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let failed = || format!("can't read the picture {name}");
    let Some(object) = store.find(name, None).await.with_context(failed)? else {
        return Ok(None);
    };
    ensure!(
        object.size <= MAX_PICTURE_BYTES,
        "the picture {name} has more than {MAX_PICTURE_BYTES} bytes"
    );
    let pieces: Vec<_> = object.body.try_collect().await.with_context(failed)?;
    Ok(Some(pieces.concat()))
}
