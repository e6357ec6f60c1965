//! Blobs named by their SHA-256 digest, in a folder or an S3 bucket.
//!
//! A blob `abcdef...` has the key `sha256/ab/cdef...`. Every read hashes what it reads and fails
//! when that is not the name. A folder's files are synced before they get their name, so a blob
//! that is there is whole.
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! use probity_store::objects::Objects;
//!
//! let dir = tempfile::tempdir()?;
//! let objects = Objects::folder(dir.path())?;
//! let digest = objects.put("a blob").await?;
//! assert_eq!(objects.get(&digest).await?, "a blob");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod location;
mod stream;

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::{ObjectStore, ObjectStoreExt as _, local::LocalFileSystem, path::Path as Key};
use probity_core::Digest;

pub use error::ObjectError;

use crate::files;

/// How much of a blob may be held or stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a blob that is read or written in one piece.
    pub in_memory: u64,
    /// Bytes of any blob.
    pub blob: u64,
}

impl Default for Limits {
    /// 256 MiB in memory, 1 TiB at all.
    fn default() -> Self {
        Self { in_memory: 256 << 20, blob: 1 << 40 }
    }
}

/// A store of blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// The folder, where the store is one: to sync files and folders.
    folder: Option<Arc<LocalFileSystem>>,
    prefix: Key,
    limits: Limits,
}

impl Objects {
    /// Opens a store by its location: a folder's path, or `s3://bucket/prefix` with the endpoint
    /// and credentials of the standard `AWS_*` environment variables.
    pub fn open(location: &str) -> Result<Self, ObjectError> {
        Self::open_with(location, std::env::vars())
    }

    /// [`Self::open`] with the environment given.
    pub fn open_with(
        location: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ObjectError> {
        location::open(location, environment)
    }

    /// Opens the store in a folder, which is made if it is missing.
    pub fn folder(dir: impl Into<PathBuf>) -> Result<Self, ObjectError> {
        let dir = dir.into();
        let failed = |source| ObjectError::Folder { path: dir.clone(), source };
        files::create_folder(&dir).map_err(failed)?;
        let dir = dir.canonicalize().map_err(failed)?;
        let folder = LocalFileSystem::new_with_prefix(&dir).map_err(ObjectError::Open)?;
        let folder = Arc::new(folder);
        let store = Arc::clone(&folder) as Arc<dyn ObjectStore>;
        Ok(Self { store, folder: Some(folder), prefix: Key::default(), limits: Limits::default() })
    }

    /// Sets other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Stores a blob and returns its name. Storing it again is free and repairs a damaged one. The
    /// blob is on disk when this returns.
    pub async fn put(&self, blob: impl Into<Bytes>) -> Result<Digest, ObjectError> {
        let blob = blob.into();
        let limit = self.limits.in_memory.min(self.limits.blob);
        if blob.len() as u64 > limit {
            return Err(ObjectError::TooLarge { digest: None, limit });
        }
        let digest = Digest::of(&blob);
        if self.is_whole(&digest).await? {
            self.sync(&self.key(&digest)).await?;
            return Ok(digest);
        }
        let failed = |source| ObjectError::Write { digest: Some(digest), source };
        let key = self.key(&digest);
        if self.folder.is_none() {
            self.store.put(&key, blob.into()).await.map_err(failed)?;
            return Ok(digest);
        }
        let staged = self.staging();
        self.store.put(&staged, blob.into()).await.map_err(failed)?;
        self.publish(&staged, &digest).await?;
        Ok(digest)
    }

    /// The blob, whole.
    pub async fn get(&self, digest: &Digest) -> Result<Bytes, ObjectError> {
        let failed = |source| ObjectError::read(*digest, source);
        let found = self.store.get(&self.key(digest)).await.map_err(failed)?;
        let limit = self.limits.in_memory;
        if found.meta.size > limit {
            return Err(ObjectError::TooLarge { digest: Some(*digest), limit });
        }
        let blob = found.bytes().await.map_err(failed)?;
        let got = Digest::of(&blob);
        if got == *digest { Ok(blob) } else { Err(ObjectError::Mismatch { digest: *digest, got }) }
    }

    /// The blob's length in bytes, as the store has it; `None` where there is no such blob.
    pub async fn size(&self, digest: &Digest) -> Result<Option<u64>, ObjectError> {
        match self.store.head(&self.key(digest)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(ObjectError::read(*digest, source)),
        }
    }

    /// Erases a blob. True where there was one.
    pub async fn delete(&self, digest: &Digest) -> Result<bool, ObjectError> {
        if self.size(digest).await?.is_none() {
            return Ok(false);
        }
        let key = self.key(digest);
        match self.store.delete(&key).await {
            Ok(()) => {
                self.sync_folders(&key).await?;
                Ok(true)
            }
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(ObjectError::Write { digest: Some(*digest), source }),
        }
    }

    /// The names of all blobs, in no order.
    pub fn list(&self) -> BoxStream<'static, Result<Digest, ObjectError>> {
        let prefix = self.prefix.clone().join("sha256");
        let found = self.store.list(Some(&prefix)).map_err(ObjectError::List);
        let named = found.try_filter_map(async |meta| {
            let mut parts = meta.location.parts().collect::<Vec<_>>().into_iter().rev();
            let (rest, first) = (parts.next(), parts.next());
            let name = first.zip(rest).map(|(a, b)| format!("{}{}", a.as_ref(), b.as_ref()));
            Ok(name.and_then(|name| name.parse().ok()))
        });
        named.boxed()
    }

    /// Removes what unfinished writes left behind. Only for the one process that writes here, before
    /// it starts to.
    pub async fn sweep(&self) -> Result<u64, ObjectError> {
        let staging = self.prefix.clone().join("staging");
        let left: Vec<_> =
            self.store.list(Some(&staging)).try_collect().await.map_err(ObjectError::List)?;
        for meta in &left {
            match self.store.delete(&meta.location).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(source) => return Err(ObjectError::Write { digest: None, source }),
            }
        }
        Ok(left.len() as u64)
    }

    fn key(&self, digest: &Digest) -> Key {
        let name = digest.to_string();
        let (first, rest) = name.split_at_checked(2).unwrap_or(("", &name));
        self.prefix.clone().join("sha256").join(first).join(rest)
    }

    /// A key that no other write uses.
    fn staging(&self) -> Key {
        use std::hash::{BuildHasher as _, Hasher as _, RandomState};
        let random = || RandomState::new().build_hasher().finish();
        let name = format!("{:08x}-{:016x}{:016x}", std::process::id(), random(), random());
        self.prefix.clone().join("staging").join(name)
    }

    /// Whether the blob is there and undamaged.
    async fn is_whole(&self, digest: &Digest) -> Result<bool, ObjectError> {
        match self.copy_to(digest, &mut tokio::io::sink()).await {
            Ok(_) => Ok(true),
            Err(ObjectError::Missing { .. } | ObjectError::Mismatch { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives a staged blob its name.
    async fn publish(&self, staged: &Key, digest: &Digest) -> Result<(), ObjectError> {
        let key = self.key(digest);
        self.sync_file(staged).await?;
        let failed = |source| ObjectError::Write { digest: Some(*digest), source };
        self.store.rename(staged, &key).await.map_err(failed)?;
        self.sync_folders(&key).await
    }

    async fn sync(&self, key: &Key) -> Result<(), ObjectError> {
        self.sync_file(key).await?;
        self.sync_folders(key).await
    }

    async fn sync_file(&self, key: &Key) -> Result<(), ObjectError> {
        let Some(path) = self.path(key)? else { return Ok(()) };
        let file = tokio::fs::File::open(&path).await;
        let synced = match file {
            Ok(file) => file.sync_all().await,
            Err(error) => Err(error),
        };
        synced.map_err(|source| ObjectError::Folder { path, source })
    }

    /// Makes the key's name durable, and those of the folders it may have begun.
    async fn sync_folders(&self, key: &Key) -> Result<(), ObjectError> {
        let Some(path) = self.path(key)? else { return Ok(()) };
        for folder in path.ancestors().skip(1).take(key.parts().count()) {
            let synced = match tokio::fs::File::open(folder).await {
                Ok(file) => file.sync_all().await,
                Err(error) => Err(error),
            };
            synced.map_err(|source| ObjectError::Folder { path: folder.to_owned(), source })?;
        }
        Ok(())
    }

    fn path(&self, key: &Key) -> Result<Option<PathBuf>, ObjectError> {
        let path = self.folder.as_ref().map(|folder| folder.path_to_filesystem(key));
        path.transpose().map_err(ObjectError::Open)
    }
}
