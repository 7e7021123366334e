//! The object store: objects by name, such as `avatars/<gid>.png`. An object is stored completely
//! or not at all. It does not know what an object contains.

use std::{
    fs::DirBuilder, future::Future, io::ErrorKind, ops::Range, os::unix::fs::DirBuilderExt,
    path::PathBuf, sync::Arc, time::Duration,
};

use bytes::Bytes;
use doorward_domain::IdGenerator;
use futures_util::{TryStreamExt, stream::BoxStream};
use object_store::{
    Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, local::LocalFileSystem,
    path::Path,
};

use crate::location::Location;

/// Maximum time of one operation. Reading a body is not included; each of its chunks has its own
/// timeout.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);

/// An operation of the store failed. The text is for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(String);

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

/// An object, or a part of it.
pub struct Object {
    /// Size of the whole object.
    pub size: u64,
    /// Entity tag as in HTTP, with its quotes. It changes with the content.
    pub etag: Option<String>,
    /// Range of the bytes in `body`; empty for [`Store::head`].
    pub range: Range<u64>,
    pub body: BoxStream<'static, Result<Bytes, StoreError>>,
}

/// A client of the object store.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    /// Directory of the objects, if they are files.
    directory: Option<PathBuf>,
}

impl Store {
    /// Opens a store. Creates a missing directory, accessible only to the user of this process.
    /// Parameters that the setting of a bucket lacks are read from the standard `AWS_*` variables.
    ///
    /// # Errors
    /// [`StoreError`] if the directory cannot be created or a parameter is invalid.
    pub fn open(location: &Location) -> Result<Self, StoreError> {
        match location {
            Location::Directory(path) => {
                let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
                created
                    .map_err(|error| StoreError(format!("can't create the directory: {error}")))?;
                let objects = LocalFileSystem::new_with_prefix(path)?.with_fsync(true);
                Ok(Self {
                    objects: Arc::new(objects),
                    directory: Some(path.clone()),
                })
            }
            Location::S3(bucket) => Ok(Self {
                objects: Arc::new(bucket.open(OPERATION_TIMEOUT)?),
                directory: None,
            }),
        }
    }

    /// Checks that objects can be stored, read and deleted.
    ///
    /// # Errors
    /// [`StoreError`] if one of these fails.
    pub async fn probe(&self, ids: &dyn IdGenerator) -> Result<(), StoreError> {
        let name = format!("probe/{}", ids.new_gid());
        self.put(&name, b"doorward".to_vec()).await?;
        let found = self.find(&name, None).await?;
        let is_read = match found {
            Some(object) => object.body.try_collect::<Vec<_>>().await?.concat() == b"doorward",
            None => false,
        };
        self.delete(&name).await?;
        if is_read {
            Ok(())
        } else {
            Err(StoreError("what was put can't be read".to_owned()))
        }
    }

    /// Stores an object, in place of one with the same name.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails or the name is invalid.
    pub async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let path = parse(name)?;
        with_timeout(self.objects.put(&path, bytes.into())).await?;
        Ok(())
    }

    /// Finds an object and opens its body, or a range of it, which must be within the object.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails or the name is invalid.
    pub async fn find(
        &self,
        name: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<Object>, StoreError> {
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let found =
            none_if_missing(with_timeout(self.objects.get_opts(&parse(name)?, options)).await)?;
        Ok(found.map(|found| Object {
            size: found.meta.size,
            etag: found.meta.e_tag.clone(),
            range: found.range.clone(),
            body: Box::pin(found.into_stream().map_err(StoreError::from)),
        }))
    }

    /// Finds an object without its body.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails or the name is invalid.
    pub async fn head(&self, name: &str) -> Result<Option<Object>, StoreError> {
        let found = none_if_missing(with_timeout(self.objects.head(&parse(name)?)).await)?;
        Ok(found.map(|ObjectMeta { size, e_tag, .. }| Object {
            size,
            etag: e_tag,
            range: 0..0,
            body: Box::pin(futures_util::stream::empty()),
        }))
    }

    /// Deletes an object. A missing object is not an error.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails or the name is invalid.
    pub async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let path = parse(name)?;
        if let Some(directory) = &self.directory {
            // A process that ended while it wrote the object has left this partial file, under the
            // name that `object_store` uses.
            let removed = tokio::fs::remove_file(directory.join(format!("{path}#1"))).await;
            removed
                .or_else(|error| {
                    if error.kind() == ErrorKind::NotFound {
                        Ok(())
                    } else {
                        Err(error)
                    }
                })
                .map_err(|error| StoreError(error.to_string()))?;
        }
        none_if_missing(with_timeout(self.objects.delete(&path)).await).map(drop)
    }
}

fn parse(name: &str) -> Result<Path, StoreError> {
    Path::parse(name).map_err(|error| StoreError(error.to_string()))
}

async fn with_timeout<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(OPERATION_TIMEOUT, work)
        .await
        .unwrap_or_else(|_| {
            Err(Error::Generic {
                store: "media",
                source: format!("no answer within {} s", OPERATION_TIMEOUT.as_secs()).into(),
            })
        })
}

fn none_if_missing<T>(found: Result<T, Error>) -> Result<Option<T>, StoreError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
