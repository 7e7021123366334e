//! Objects by name, such as `avatars/<gid>.png`. What is put is there as a whole or not at all.

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

use crate::Location;

/// For one object; a body that is read has a time of its own, for each piece.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);

/// The store doesn't do what it should; the text is for the log.
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
    /// Of the whole.
    pub size: u64,
    /// As in HTTP, with its quotes; another one when the content is another.
    pub etag: Option<String>,
    /// Which bytes `body` has; none at all when only the head was asked for.
    pub range: Range<u64>,
    pub body: BoxStream<'static, Result<Bytes, StoreError>>,
}

#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    /// Where the objects are files.
    directory: Option<PathBuf>,
}

impl Store {
    /// Creates the directory, for this user alone, if there is none. What the parameters of a bucket leave open comes from
    /// the standard `AWS_*` variables.
    ///
    /// # Errors
    /// When the directory can't be created, or the parameters make no sense.
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

    /// Whether objects can be put, read and deleted.
    ///
    /// # Errors
    /// When they can't.
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

    /// In place of what has the name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let path = parse(name)?;
        with_timeout(self.objects.put(&path, bytes.into())).await?;
        Ok(())
    }

    /// The whole, or some bytes that are known to be there.
    ///
    /// # Errors
    /// When the store fails.
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

    /// The same without a body.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn head(&self, name: &str) -> Result<Option<Object>, StoreError> {
        let found = none_if_missing(with_timeout(self.objects.head(&parse(name)?)).await)?;
        Ok(found.map(|ObjectMeta { size, e_tag, .. }| Object {
            size,
            etag: e_tag,
            range: 0..0,
            body: Box::pin(futures_util::stream::empty()),
        }))
    }

    /// One that isn't there is no error.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let path = parse(name)?;
        if let Some(directory) = &self.directory {
            // Of a process that ended while it wrote.
            let half = tokio::fs::remove_file(directory.join(format!("{path}#1"))).await;
            half.or_else(|error| {
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
