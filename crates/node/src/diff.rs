//! What differs between two models: files, and tensors within files.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Cursor, Read, Seek},
    path::Path,
};

use alloy_primitives::B256;
use probity_compute::{Beside, Format, ListedTensor, TensorDiff, compare, tensors};
use probity_core::{Digest, records::Checkpoint};
use probity_provenance::{
    model_signing::SIGNATURE_FILE,
    training::{ModelFile, is_path},
};
use serde::Serialize;

use crate::{NodeError, Workspace, folder::hash_file, model::model_files};

/// A file that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Its path.
    pub name: String,
    /// Digest in the first model; none where it is not there.
    pub from: Option<Digest>,
    /// Digest in the second.
    pub to: Option<Digest>,
}

/// What differs between two models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelDiff {
    /// Files.
    pub files: Vec<FileChange>,
    /// Tensors of safetensors and ONNX files.
    pub tensors: TensorDiff,
}

impl ModelDiff {
    /// Whether both are the same, file for file.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Compares two models.
    pub fn of(first: &Listed, second: &Listed) -> Self {
        let mut changes: BTreeMap<&str, (Option<Digest>, Option<Digest>)> = BTreeMap::new();
        for file in &first.files {
            changes.entry(&file.name).or_default().0 = Some(file.sha256);
        }
        for file in &second.files {
            changes.entry(&file.name).or_default().1 = Some(file.sha256);
        }
        let change = |(name, (from, to)): (&str, _)| FileChange { name: name.to_owned(), from, to };
        let files = changes.into_iter().filter(|(_, (from, to))| from != to).map(change).collect();
        Self { files, tensors: compare(&first.tensors, &second.tensors) }
    }
}

/// A model's files and tensors.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    files: Vec<ModelFile>,
    tensors: Vec<ListedTensor>,
}

impl Listed {
    /// The model in a folder or a single file.
    pub fn at(path: &Path) -> Result<Self, NodeError> {
        let mut listed = Self::default();
        if path.is_dir() {
            listed.files = model_files(path, &path.join(SIGNATURE_FILE), &[], &|_| {})?;
        } else {
            let (sha256, size) = hash_file(path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            listed.files = vec![ModelFile { name, size, sha256 }];
        }
        let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        for file in listed.files.clone() {
            let within = folder.join(&file.name);
            let mut beside = |location: &str| match beside(&file.name, location) {
                Some(other) if folder.join(&other).is_file() => {
                    File::open(folder.join(&other)).map(Some)
                }
                _ => Ok(None),
            };
            let mut open = || File::open(&within).map_err(NodeError::file("read", &within));
            listed.read(&file.name, &mut open, &mut beside)?;
        }
        Ok(listed)
    }

    fn read<R: Read + Seek>(
        &mut self,
        name: &str,
        open: &mut dyn FnMut() -> Result<R, NodeError>,
        beside: Beside<'_, R>,
    ) -> Result<(), NodeError> {
        let Some(format) = Format::of(name) else { return Ok(()) };
        let found = tensors(format, &mut open()?, beside)
            .map_err(|source| NodeError::Tensors { file: name.to_owned(), source })?;
        let listed = |tensor| ListedTensor { file: name.to_owned(), tensor };
        self.tensors.extend(found.into_iter().map(listed));
        Ok(())
    }
}

/// A file's path by its location relative to another file of the model; `None` where that leads out.
fn beside(file: &str, location: &str) -> Option<String> {
    let location = location.strip_prefix("./").unwrap_or(location);
    let path = match file.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{location}"),
        None => location.to_owned(),
    };
    is_path(&path).then_some(path)
}

impl Workspace {
    /// The model of a checkpoint.
    pub async fn list_checkpoint(&self, id: B256) -> Result<Listed, NodeError> {
        let checkpoint: Checkpoint = self.record(id).await?;
        let (_, files) = self.checkpoint_statement(&checkpoint.statement.into()).await?;
        let mut listed = Listed::default();
        for file in &files {
            if Format::of(&file.name).is_some() {
                self.list_file(file, &files, &mut listed).await?;
            }
        }
        listed.files = files;
        Ok(listed)
    }

    /// A file's tensors. Files that hold elements of them are fetched as they are asked for.
    async fn list_file(
        &self,
        file: &ModelFile,
        files: &[ModelFile],
        listed: &mut Listed,
    ) -> Result<(), NodeError> {
        let bytes = self.objects.get(&file.sha256).await?;
        let mut held = BTreeMap::new();
        loop {
            let mut wanted = None;
            let mut beside = |location: &str| {
                let other = beside(&file.name, location);
                let found = files.iter().find(|known| Some(&known.name) == other.as_ref());
                let Some(found) = found else { return Ok(None) };
                let bytes = held.get(&found.sha256).cloned();
                wanted = bytes.is_none().then_some(found.sha256);
                Ok(bytes.map(Cursor::new))
            };
            let mut open = || Ok(Cursor::new(bytes.clone()));
            let read = listed.read(&file.name, &mut open, &mut beside);
            match (read, wanted) {
                (Err(_), Some(digest)) => {
                    held.insert(digest, self.objects.get(&digest).await?);
                }
                (read, _) => return read,
            }
        }
    }
}
