//! Blobs that are never held in memory as a whole.

use std::{path::Path, sync::Arc};

use futures::StreamExt as _;
use object_store::{ObjectStoreExt as _, buffered::BufWriter, path::Path as Key};
use probity_core::{Digest, digest::Hasher};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{ObjectError, Objects};

const BUFFER_BYTES: usize = 256 << 10;

impl Objects {
    /// Stores what `source` gives, in bounded memory, and returns its name and length.
    pub async fn put_stream<R: AsyncRead + Unpin>(
        &self,
        source: &mut R,
    ) -> Result<(Digest, u64), ObjectError> {
        let staged = self.staging();
        let stored = async {
            let (digest, length) = self.upload(&staged, source, None).await?;
            self.publish(&staged, &digest).await?;
            Ok((digest, length))
        };
        let stored = stored.await;
        if stored.is_err() {
            // Best effort; a sweep finds what stays.
            drop(self.store.delete(&staged).await);
        }
        stored
    }

    /// Stores a file, in bounded memory, and returns its name and length.
    pub async fn put_file(&self, path: &Path) -> Result<(Digest, u64), ObjectError> {
        let open = async || {
            let failed = |source| ObjectError::Folder { path: path.to_owned(), source };
            tokio::fs::File::open(path).await.map_err(failed)
        };
        if self.folder.is_some() {
            return self.put_stream(&mut open().await?).await;
        }
        // A bucket cannot rename, and copies no more than 5 GiB at once: read the file twice and
        // write it under its name.
        let mut hasher = Hasher::default();
        let mut file = open().await?;
        let limit = self.limits.blob;
        pump(&mut file, limit, async |piece| {
            hasher.update(piece);
            Ok(())
        })
        .await?;
        let digest = hasher.finish();
        if self.is_whole(&digest).await? {
            let length = self.size(&digest).await?.ok_or(ObjectError::Missing { digest })?;
            return Ok((digest, length));
        }
        self.upload(&self.key(&digest), &mut open().await?, Some((digest, path))).await
    }

    /// Writes a blob in parts under `key`; it appears there only when all of it is written.
    async fn upload<R: AsyncRead + Unpin>(
        &self,
        key: &Key,
        source: &mut R,
        expected: Option<(Digest, &Path)>,
    ) -> Result<(Digest, u64), ObjectError> {
        let mut writer = BufWriter::new(Arc::clone(&self.store), key.clone());
        let mut hasher = Hasher::default();
        let written = pump(source, self.limits.blob, async |piece| {
            hasher.update(piece);
            writer.write_all(piece).await.map_err(ObjectError::Stream)
        });
        let written = match written.await {
            Ok(length) => {
                let digest = hasher.finish();
                match expected {
                    Some((expected, path)) if expected != digest => {
                        Err(ObjectError::Changed { path: path.to_owned() })
                    }
                    _ => Ok((digest, length)),
                }
            }
            Err(error) => Err(error),
        };
        match written {
            Ok(written) => {
                writer.shutdown().await.map_err(ObjectError::Stream)?;
                Ok(written)
            }
            Err(error) => {
                // The write failed already; what the abort says adds nothing.
                drop(writer.abort().await);
                Err(error)
            }
        }
    }

    /// Writes the blob into `target`, in bounded memory, and returns its length. The digest is
    /// known only at the end: after an error, discard what was written.
    pub async fn copy_to<W: AsyncWrite + Unpin>(
        &self,
        digest: &Digest,
        target: &mut W,
    ) -> Result<u64, ObjectError> {
        let failed = |source| ObjectError::read(*digest, source);
        let found = self.store.get(&self.key(digest)).await.map_err(failed)?;
        let limit = self.limits.blob;
        if found.meta.size > limit {
            return Err(ObjectError::TooLarge { digest: Some(*digest), limit });
        }
        let mut hasher = Hasher::default();
        let mut length = 0;
        let mut pieces = found.into_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(failed)?;
            hasher.update(&piece);
            length += piece.len() as u64;
            target.write_all(&piece).await.map_err(ObjectError::Stream)?;
        }
        target.flush().await.map_err(ObjectError::Stream)?;
        let got = hasher.finish();
        if got == *digest {
            Ok(length)
        } else {
            Err(ObjectError::Mismatch { digest: *digest, got })
        }
    }

    /// Writes the blob into a file, which appears only when its content is checked and on disk.
    pub async fn get_file(&self, digest: &Digest, path: &Path) -> Result<u64, ObjectError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let staged = path.with_file_name(name);
        let result = self.fill(digest, &staged, path).await;
        if result.is_err() {
            // Best effort: the next attempt writes over it.
            drop(tokio::fs::remove_file(&staged).await);
        }
        result
    }

    async fn fill(&self, digest: &Digest, staged: &Path, path: &Path) -> Result<u64, ObjectError> {
        let failed = |source| ObjectError::Folder { path: path.to_owned(), source };
        let mut file = tokio::fs::File::create(staged).await.map_err(failed)?;
        let length = self.copy_to(digest, &mut file).await?;
        file.sync_all().await.map_err(failed)?;
        tokio::fs::rename(staged, path).await.map_err(failed)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = tokio::fs::File::open(folder.unwrap_or(Path::new("."))).await;
        folder.map_err(failed)?.sync_all().await.map_err(failed)?;
        Ok(length)
    }
}

/// Reads `source` to its end, piece by piece, and returns how much it was.
async fn pump<R: AsyncRead + Unpin>(
    source: &mut R,
    limit: u64,
    mut each: impl AsyncFnMut(&[u8]) -> Result<(), ObjectError>,
) -> Result<u64, ObjectError> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut length = 0;
    loop {
        let read = source.read(&mut buffer).await.map_err(ObjectError::Stream)?;
        let piece = buffer.get(..read).unwrap_or_default();
        if piece.is_empty() {
            return Ok(length);
        }
        length += read as u64;
        if length > limit {
            return Err(ObjectError::TooLarge { digest: None, limit });
        }
        each(piece).await?;
    }
}
