//! Bundles as tar archives, byte for byte reproducible.
//!
//! One spelling per bundle: regular files in order of their names, fixed metadata (USTAR, mode 0644,
//! owner 0, time 0), two zero blocks at the end. Anything else is refused, so that not even padding
//! can be changed unnoticed.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
};

use probity_provenance::bundle::{Files, MAX_FILES};

use crate::{NodeError, workspace::read_file};

/// Largest bundle read, in bytes.
pub const MAX_BUNDLE: u64 = 1 << 30;
/// Size of a tar block.
const BLOCK: usize = 512;

/// The archive of a bundle's files.
pub fn encode(files: &Files) -> Result<Vec<u8>, NodeError> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        check_name(name)?;
        let header = header(name, bytes.len())?;
        builder.append(&header, bytes.as_slice()).map_err(NodeError::file("archive", name))?;
    }
    builder.into_inner().map_err(NodeError::file("archive", "bundle"))
}

/// Reads an archive. Refuses links, folders, devices, absolute names, `..`, duplicates, and every
/// spelling but [`encode`]'s.
pub fn decode(bytes: &[u8]) -> Result<Files, NodeError> {
    let mut files = Files::new();
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries().map_err(|_| broken(&files))? {
        let mut entry = entry.map_err(|_| broken(&files))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let refuse = |reason| NodeError::Archive { entry: name.clone(), reason };
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(refuse("only regular files may be in a bundle"));
        }
        check_name(&name)?;
        if files.len() >= MAX_FILES {
            return Err(refuse("too many files"));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|_| refuse("it is cut off"))?;
        if files.insert(name.clone(), content).is_some() {
            return Err(refuse("it is in the archive twice"));
        }
    }
    match first_difference(&files, bytes)? {
        None => Ok(files),
        Some(entry) => {
            let reason = "its place or metadata is not that of a bundle";
            Err(NodeError::Archive { entry, reason })
        }
    }
}

/// The archive has no readable entry where one should be.
fn broken(before: &Files) -> NodeError {
    let entry = match before.last_key_value() {
        Some((name, _)) => format!("what follows {name}"),
        None => "the first entry".to_owned(),
    };
    NodeError::Archive { entry, reason: "its header is not that of a tar archive" }
}

/// The entry in whose bytes an archive first differs from its canonical form. Looks at one entry at a
/// time, so that a large bundle is not copied.
fn first_difference(files: &Files, bytes: &[u8]) -> Result<Option<String>, NodeError> {
    let mut rest = bytes;
    for (name, content) in files {
        let header = header(name, content.len())?;
        let padding = content.len().next_multiple_of(BLOCK) - content.len();
        let after = rest
            .strip_prefix(header.as_bytes().as_slice())
            .and_then(|rest| rest.strip_prefix(content.as_slice()))
            .and_then(|rest| rest.strip_prefix(&[0; BLOCK][..padding]));
        match after {
            Some(after) => rest = after,
            None => return Ok(Some(name.clone())),
        }
    }
    Ok((rest != [0; 2 * BLOCK]).then(|| "end of archive".to_owned()))
}

/// The one header of a file.
fn header(name: &str, size: usize) -> Result<tar::Header, NodeError> {
    let mut header = tar::Header::new_ustar();
    header.set_size(size as u64);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_path(name).map_err(NodeError::file("archive", name))?;
    header.set_cksum();
    Ok(header)
}

fn check_name(name: &str) -> Result<(), NodeError> {
    match name_problem(name) {
        None => Ok(()),
        Some(reason) => Err(NodeError::Archive { entry: name.chars().take(120).collect(), reason }),
    }
}

/// Whether a bundle can hold a file of this name.
pub(crate) fn is_name(name: &str) -> bool {
    name_problem(name).is_none()
}

fn name_problem(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.starts_with('/') || name.contains('\\') {
        return Some("its name is not relative");
    }
    if name.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Some("its name leaves the bundle");
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let is_used = name.chars().all(is_plain) && name.len() <= 100;
    (!is_used).then_some("its name has characters or a length that no bundle uses")
}

/// Reads a bundle from a file.
pub fn read(path: &Path) -> Result<Files, NodeError> {
    decode(&read_file(path, MAX_BUNDLE)?)
}

/// Writes a bundle to a file: complete, or not at all.
pub fn write(path: &Path, files: &Files) -> Result<u64, NodeError> {
    let bytes = encode(files)?;
    write_new(path, &bytes)?;
    Ok(bytes.len() as u64)
}

/// Writes a file: complete, or not at all.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), NodeError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let staged = path.with_file_name(name);
    let put = || {
        let mut file = fs::File::create(&staged)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&staged, path)
    };
    if let Err(source) = put() {
        // What could not be written completely is taken away; that may fail for the same reason.
        drop(fs::remove_file(&staged));
        return Err(NodeError::file("write", path)(source));
    }
    Ok(())
}
