//! Datasets in folders: a Croissant description, a Parquet table of the items and the manifest.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use alloy_primitives::B256;
use probity_core::{Digest, Finding, records::record_id};
use probity_provenance::{
    content::Batch,
    croissant::{CROISSANT, Description, ITEMS, MANIFEST},
    dataset::{MAX_MANIFEST_BYTES, Manifest},
    folder::{self, Checked, Folder},
    table::{self, MAX_TABLE_BYTES, Row},
};

use crate::{
    NodeError, Workspace,
    workspace::{MAX_INPUT, read_file},
};

/// Largest manifest of which at least the digest is compared, in bytes.
const MAX_MANIFEST: u64 = 1 << 31;
/// Most files looked at in a folder.
const MAX_FILES: usize = 1 << 22;

/// Digests of the files in a folder and in those below it; links are not followed. With `lines`, each
/// line of each file is a work, as `content register --lines` has it.
pub fn works_in(dir: &Path, lines: bool) -> Result<BTreeMap<Digest, PathBuf>, NodeError> {
    let mut works = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    let mut seen = 0usize;
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(NodeError::file("read", &folder))?;
        for entry in entries {
            let entry = entry.map_err(NodeError::file("read", &folder))?;
            let kind = entry.file_type().map_err(NodeError::file("read", entry.path()))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                seen += 1;
                if seen > MAX_FILES {
                    return Err(NodeError::TooManyFiles { dir: dir.to_owned(), limit: MAX_FILES });
                }
                add_works(&entry.path(), lines, &mut works)?;
            }
        }
    }
    if works.is_empty() { Err(NodeError::NoFiles(dir.to_owned())) } else { Ok(works) }
}

fn add_works(
    path: &Path,
    lines: bool,
    works: &mut BTreeMap<Digest, PathBuf>,
) -> Result<(), NodeError> {
    let bytes = read_file(path, MAX_INPUT)?;
    if lines {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            works.entry(Digest::of(line)).or_insert_with(|| path.to_owned());
        }
    } else {
        works.entry(Digest::of(&bytes)).or_insert_with(|| path.to_owned());
    }
    Ok(())
}

/// The rows of a manifest's items, with what their statements say.
fn rows<'a>(
    manifest: &'a Manifest,
    batches: &'a BTreeMap<Digest, Batch>,
) -> impl Iterator<Item = Result<Row, NodeError>> + 'a {
    // Items come in the order of their statements' works: each is looked for after the one before.
    let mut next: BTreeMap<Digest, usize> = BTreeMap::new();
    manifest.items.iter().map(move |item| {
        let missing = || NodeError::ItemMissing(item.digest);
        let batch = batches.get(&item.statement).ok_or_else(missing)?;
        let from = next.entry(item.statement).or_default();
        let after = batch.works.iter().enumerate().skip(*from);
        let (at, (name, _)) =
            after.into_iter().find(|(_, (_, work))| *work == item.digest).ok_or_else(missing)?;
        *from = at + 1;
        let licence = batch.predicate.licence.id();
        Ok(Row {
            item: item.clone(),
            licence: licence.map_err(probity_provenance::content::ContentError::from)?,
            spdx: batch.predicate.licence.spdx.clone(),
            media_type: batch.predicate.media_type.clone(),
            name: name.clone(),
        })
    })
}

/// Writes a dataset into a new folder.
pub fn write(
    dir: &Path,
    manifest: &Manifest,
    batches: &BTreeMap<Digest, Batch>,
) -> Result<Description, NodeError> {
    staged(dir, |staged| write_files(staged, manifest, batches))
}

/// Writes a new folder, which has its name only once everything is on disk.
pub(crate) fn staged<T>(
    dir: &Path,
    write: impl FnOnce(&Path) -> Result<T, NodeError>,
) -> Result<T, NodeError> {
    if dir.exists() {
        return Err(NodeError::Exists(dir.to_owned()));
    }
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let staged = dir.with_file_name(name);
    if staged.exists() {
        fs::remove_dir_all(&staged).map_err(NodeError::file("remove", &staged))?;
    }
    fs::create_dir_all(&staged).map_err(NodeError::file("make", &staged))?;
    let written = write(&staged).and_then(|written| {
        fs::rename(&staged, dir).map_err(NodeError::file("write", dir))?;
        Ok(written)
    });
    if written.is_err() {
        // Best effort: the next attempt begins anew anyway.
        drop(fs::remove_dir_all(&staged));
    }
    written
}

fn write_files(
    dir: &Path,
    manifest: &Manifest,
    batches: &BTreeMap<Digest, Batch>,
) -> Result<Description, NodeError> {
    let (licences, table) = write_table(&dir.join(ITEMS), manifest, batches)?;
    let json = manifest.to_json()?;
    let description = Description {
        name: manifest.name.clone(),
        licences,
        items: manifest.items.len() as u64,
        total_weight: manifest.total_weight(),
        formula: manifest.policy.weights.name().to_owned(),
        root: manifest.tree()?.root(),
        table,
        manifest: Digest::of(&json),
    };
    for (name, bytes) in [(MANIFEST, json), (CROISSANT, description.to_json()?)] {
        let path = dir.join(name);
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        });
        written.map_err(NodeError::file("write", &path))?;
    }
    Ok(description)
}

/// Writes the items table; returns its licences and its digest.
fn write_table(
    path: &Path,
    manifest: &Manifest,
    batches: &BTreeMap<Digest, Batch>,
) -> Result<(BTreeSet<String>, Digest), NodeError> {
    let file = File::create(path).map_err(NodeError::file("write", path))?;
    let mut licences = BTreeSet::new();
    let mut failed = None;
    let rows = rows(manifest, batches).map_while(|row| match row {
        Ok(row) => {
            if !licences.contains(&row.spdx) {
                licences.insert(row.spdx.clone());
            }
            Some(row)
        }
        Err(error) => {
            failed = Some(error);
            None
        }
    });
    let mut out = BufWriter::new(file);
    let written = table::write(rows, &mut out);
    if let Some(error) = failed {
        return Err(error);
    }
    written?;
    let file =
        out.into_inner().map_err(|error| NodeError::file("write", path)(error.into_error()))?;
    file.sync_all().map_err(NodeError::file("write", path))?;
    let table = read_file(path, MAX_TABLE_BYTES)?;
    Ok((licences, Digest::of(&table)))
}

/// Reads a manifest from a file.
pub fn read_manifest(path: &Path) -> Result<Manifest, NodeError> {
    let bytes = read_file(path, MAX_MANIFEST_BYTES as u64)?;
    Manifest::from_json(&bytes)
        .map_err(|source| NodeError::NotAManifest { path: path.to_owned(), source })
}

/// Reads the files of a dataset's folder.
pub fn read(dir: &Path) -> Result<Folder, NodeError> {
    Ok(Folder {
        description: read_file(&dir.join(CROISSANT), MAX_INPUT)?,
        table: read_file(&dir.join(ITEMS), MAX_TABLE_BYTES)?.into(),
        manifest: read_file(&dir.join(MANIFEST), MAX_MANIFEST)?,
    })
}

impl Workspace {
    /// Writes a dataset into a new folder.
    pub async fn export_dataset(
        &self,
        manifest: &Manifest,
        dir: &Path,
    ) -> Result<Description, NodeError> {
        let mut batches = BTreeMap::new();
        for source in &manifest.sources {
            let (signed, _) = self.statement(source).await?;
            batches.insert(*source, Batch::open(&signed)?);
        }
        write(dir, manifest, &batches)
    }

    /// Checks a folder against itself and against a registered version.
    pub async fn check_dataset(
        &self,
        folder: &Folder,
        version: B256,
    ) -> Result<Checked, NodeError> {
        let record = self.dataset(version).await?;
        let mut checked = folder::check(folder);
        let Some(description) = &checked.description else { return Ok(checked) };
        let same = description.root == record.root
            && description.manifest == Digest::from(record.manifest)
            && (description.items, description.total_weight) == (record.items, record.totalWeight);
        if !same {
            let text = "root, manifest, number of items or weight are not the registered version's";
            checked.findings.push(Finding::error(
                "dataset.record.mismatch",
                record_id(&record),
                text,
            ));
        }
        Ok(checked)
    }

    /// Keeps a checked folder's manifest, so that the version can be explained and trained on here.
    pub async fn import_dataset(&self, folder: &Folder) -> Result<Digest, NodeError> {
        Ok(self.objects.put(folder.manifest.clone()).await?)
    }
}
