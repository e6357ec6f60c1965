//! A dataset's folder, written as decisions come: the items table, the manifest and the description,
//! the same bytes as those of a build in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read as _, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use alloy_primitives::B256;
use datafusion::{
    arrow::{
        array::{ArrayRef, BinaryArray},
        record_batch::RecordBatch,
    },
    parquet::arrow::ArrowWriter,
};
use probity_core::{Digest, digest::Hasher, json};
use probity_provenance::{
    croissant::{CROISSANT, Description, ITEMS, MANIFEST},
    dataset::{Excluded, Policy},
    table::{self, Row},
};

use crate::{SqlError, rows::Decision};

/// Items on their way to the thread that writes the table.
const QUEUE: usize = 1 << 12;
/// Leaves written at once.
const LEAVES: usize = 1 << 13;

/// Items, exclusions and leaves as they come.
#[derive(Debug)]
pub(crate) struct Parts {
    staged: PathBuf,
    scratch: PathBuf,
    items: JsonList,
    excluded: JsonList,
    rows: SyncSender<Row>,
    table: JoinHandle<Result<(), SqlError>>,
    leaves: Leaves,
    next: Option<u64>,
    counted: Counted,
}

/// What was counted on the way.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) items: u64,
    pub(crate) total_weight: u64,
    pub(crate) licences: BTreeSet<String>,
    pub(crate) excluded: BTreeMap<&'static str, u64>,
}

impl Counted {
    pub(crate) fn excluded(&self) -> u64 {
        self.excluded.values().sum()
    }
}

impl Parts {
    /// Begins a folder. `staged` becomes it once it is whole.
    pub(crate) fn begin(staged: &Path, scratch: &Path) -> Result<Self, SqlError> {
        let path = staged.join(ITEMS);
        let file = File::create(&path).map_err(SqlError::file("write", &path))?;
        let (rows, queue) = sync_channel::<Row>(QUEUE);
        let table = thread::spawn(move || {
            let mut out = BufWriter::new(file);
            table::write(queue.into_iter(), &mut out)?;
            let file = out.into_inner().map_err(io::IntoInnerError::into_error);
            let synced = file.and_then(|file| file.sync_all());
            synced.map_err(SqlError::file("write", path))
        });
        Ok(Self {
            staged: staged.to_owned(),
            scratch: scratch.to_owned(),
            items: JsonList::begin(scratch.join("items.json"))?,
            excluded: JsonList::begin(scratch.join("excluded.json"))?,
            rows,
            table,
            leaves: Leaves::begin(scratch.join("leaves.parquet"))?,
            next: Some(0),
            counted: Counted::default(),
        })
    }

    /// Takes the decision about the next work.
    pub(crate) fn add(&mut self, decision: Decision) -> Result<(), SqlError> {
        let Decision { position, mut row, exclusion } = decision;
        if self.next.is_none_or(|next| position < next) {
            return Err(SqlError::Order(position));
        }
        self.next = position.checked_add(1);
        let counted = &mut self.counted;
        if let Some(exclusion) = exclusion {
            *counted.excluded.entry(exclusion.name()).or_default() += 1;
            let Row { item, .. } = row;
            return self.excluded.push(&Excluded {
                content: item.content,
                digest: item.digest,
                author: item.author,
                exclusion,
            });
        }
        row.item.index = counted.items;
        counted.items += 1;
        counted.total_weight = counted.total_weight.saturating_add(row.item.weight);
        if !counted.licences.contains(&row.spdx) {
            counted.licences.insert(row.spdx.clone());
        }
        self.items.push(&row.item)?;
        self.leaves.push(row.item.leaf())?;
        self.rows.send(row).map_err(|_| SqlError::Writer)
    }

    /// Ends the table and the lists.
    pub(crate) fn end(self) -> Result<Written, SqlError> {
        drop(self.rows);
        self.table.join().map_err(|_| SqlError::Writer)??;
        let table = digest(&self.staged.join(ITEMS))?;
        Ok(Written {
            staged: self.staged,
            scratch: self.scratch,
            items: self.items.end()?,
            excluded: self.excluded.end()?,
            leaves: self.leaves.end()?,
            table,
            counted: self.counted,
        })
    }
}

/// A folder of which manifest and description are missing.
#[derive(Debug)]
pub(crate) struct Written {
    staged: PathBuf,
    scratch: PathBuf,
    items: PathBuf,
    excluded: PathBuf,
    /// The table of leaves, to be sorted.
    pub(crate) leaves: PathBuf,
    table: Digest,
    pub(crate) counted: Counted,
}

/// What else a manifest says.
#[derive(Debug)]
pub(crate) struct Heading<'a> {
    pub(crate) name: &'a str,
    pub(crate) policy: &'a Policy,
    pub(crate) deny_list: Digest,
    /// File of the statements' digests as [`JsonList`] writes them.
    pub(crate) sources: PathBuf,
    pub(crate) root: B256,
}

impl Written {
    pub(crate) fn sources(&self) -> Result<JsonList, SqlError> {
        JsonList::begin(self.scratch.join("sources.json"))
    }

    /// Writes manifest and description.
    pub(crate) fn describe(self, heading: &Heading<'_>) -> Result<Description, SqlError> {
        let manifest = self.write_manifest(heading)?;
        let description = Description {
            name: heading.name.to_owned(),
            licences: self.counted.licences,
            items: self.counted.items,
            total_weight: self.counted.total_weight,
            formula: heading.policy.weights.name().to_owned(),
            root: heading.root,
            table: self.table,
            manifest,
        };
        let path = self.staged.join(CROISSANT);
        let json = description.to_json()?;
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(&json)?;
            file.sync_all()
        });
        written.map_err(SqlError::file("write", path))?;
        Ok(description)
    }

    /// The manifest in canonical JSON (RFC 8785): members in the order of their names.
    fn write_manifest(&self, heading: &Heading<'_>) -> Result<Digest, SqlError> {
        let path = self.staged.join(MANIFEST);
        let file = File::create(&path).map_err(SqlError::file("write", &path))?;
        let mut out = Hashing { out: BufWriter::new(file), hasher: Hasher::default() };
        let mut put = |part: &dyn Fn(&mut Hashing) -> io::Result<()>| {
            part(&mut out).map_err(SqlError::file("write", &path))
        };
        let (deny_list, name) =
            (json::canonical(&heading.deny_list)?, json::canonical(&heading.name)?);
        let policy = json::canonical(heading.policy)?;
        put(&|out| out.write_all(b"{\"denyList\":").and_then(|()| out.write_all(&deny_list)))?;
        put(&|out| out.list(b",\"excluded\":", &self.excluded))?;
        put(&|out| out.list(b",\"items\":", &self.items))?;
        put(&|out| out.write_all(b",\"name\":").and_then(|()| out.write_all(&name)))?;
        put(&|out| out.write_all(b",\"policy\":").and_then(|()| out.write_all(&policy)))?;
        put(&|out| out.list(b",\"sources\":", &heading.sources))?;
        put(&|out| out.write_all(b"}"))?;
        let Hashing { out, hasher } = out;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error);
        let synced = file.and_then(|file| file.sync_all());
        synced.map_err(SqlError::file("write", path))?;
        Ok(hasher.finish())
    }
}

/// A file that is hashed as it is written.
struct Hashing {
    out: BufWriter<File>,
    hasher: Hasher,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Hashing {
    fn list(&mut self, member: &[u8], elements: &Path) -> io::Result<()> {
        self.write_all(member)?;
        self.write_all(b"[")?;
        io::copy(&mut BufReader::new(File::open(elements)?), self)?;
        self.write_all(b"]")
    }
}

/// Elements of a list in canonical JSON, in a file.
#[derive(Debug)]
pub(crate) struct JsonList {
    path: PathBuf,
    out: BufWriter<File>,
    empty: bool,
}

impl JsonList {
    fn begin(path: PathBuf) -> Result<Self, SqlError> {
        let file = File::create(&path).map_err(SqlError::file("write", &path))?;
        Ok(Self { path, out: BufWriter::new(file), empty: true })
    }

    pub(crate) fn push<T: serde::Serialize>(&mut self, element: &T) -> Result<(), SqlError> {
        let json = json::canonical(element)?;
        let comma: &[u8] = if self.empty { b"" } else { b"," };
        self.empty = false;
        let written = self.out.write_all(comma).and_then(|()| self.out.write_all(&json));
        written.map_err(SqlError::file("write", &self.path))
    }

    pub(crate) fn end(mut self) -> Result<PathBuf, SqlError> {
        self.out.flush().map_err(SqlError::file("write", &self.path))?;
        Ok(self.path)
    }
}

/// The leaves of the Merkle tree in a table of the build's own, to be sorted.
#[derive(Debug)]
struct Leaves {
    path: PathBuf,
    writer: ArrowWriter<File>,
    held: Vec<B256>,
}

fn batch_of(leaves: &[B256]) -> Result<RecordBatch, SqlError> {
    let values: ArrayRef = Arc::new(BinaryArray::from_iter_values(leaves));
    RecordBatch::try_from_iter([("leaf", values)])
        .map_err(|error| SqlError::Engine("leaves", error.into()))
}

impl Leaves {
    fn begin(path: PathBuf) -> Result<Self, SqlError> {
        let file = File::create(&path).map_err(SqlError::file("write", &path))?;
        let writer = ArrowWriter::try_new(file, batch_of(&[])?.schema(), None)?;
        Ok(Self { path, writer, held: Vec::with_capacity(LEAVES) })
    }

    fn push(&mut self, leaf: B256) -> Result<(), SqlError> {
        self.held.push(leaf);
        if self.held.len() >= LEAVES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), SqlError> {
        self.writer.write(&batch_of(&self.held)?)?;
        self.held.clear();
        // Leaves are not compressible: what is held back is memory.
        if self.writer.in_progress_size() > 8 << 20 {
            self.writer.flush()?;
        }
        Ok(())
    }

    fn end(mut self) -> Result<PathBuf, SqlError> {
        self.write()?;
        self.writer.close()?;
        Ok(self.path)
    }
}

/// Digest of a file.
fn digest(path: &Path) -> Result<Digest, SqlError> {
    let hash = || -> io::Result<Digest> {
        let mut file = File::open(path)?;
        let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 1 << 16]);
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hasher.finish()),
                read => hasher.update(buffer.get(..read).unwrap_or_default()),
            }
        }
    };
    hash().map_err(SqlError::file("read", path))
}

/// Makes the folder in which a dataset is staged, anew.
pub(crate) fn stage(output: &Path) -> Result<PathBuf, SqlError> {
    if output.exists() {
        return Err(SqlError::Exists(output.to_owned()));
    }
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let staged = output.with_file_name(name);
    if staged.exists() {
        fs::remove_dir_all(&staged).map_err(SqlError::file("remove", &staged))?;
    }
    fs::create_dir_all(&staged).map_err(SqlError::file("make", &staged))?;
    Ok(staged)
}

/// Gives a staged folder its name, or removes it.
pub(crate) fn finish<T>(
    staged: &Path,
    output: &Path,
    built: Result<T, SqlError>,
) -> Result<T, SqlError> {
    let named = built.and_then(|built| {
        fs::rename(staged, output).map_err(SqlError::file("write", output))?;
        Ok(built)
    });
    if named.is_err() {
        // Best effort: the next attempt begins anew anyway.
        drop(fs::remove_dir_all(staged));
    }
    named
}
