//! Durable file operations: a file has its name only once its content is on disk.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// Creates `dir` and its missing parents, each durably.
pub(crate) fn create_folder(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_folder(parent)?;
    }
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(parent.unwrap_or(Path::new("."))),
    }
}

/// Makes the names in `dir` durable.
pub(crate) fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn staged(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// Replaces several files: no name is touched before every content is on disk.
pub fn replace_all(files: &[(PathBuf, Vec<u8>)]) -> io::Result<()> {
    replace_all_with_secrets(files, &[])
}

/// The same with files that nobody but the owner may read.
pub fn replace_all_with_secrets(
    files: &[(PathBuf, Vec<u8>)],
    secrets: &[(PathBuf, Zeroizing<Vec<u8>>)],
) -> io::Result<()> {
    let names = || {
        let files = files.iter().map(|(path, _)| path);
        files.chain(secrets.iter().map(|(path, _)| path))
    };
    let put = || {
        for (path, bytes) in secrets {
            finish(create_secret(&staged(path))?, bytes)?;
        }
        for (path, bytes) in files {
            finish(File::create(staged(path))?, bytes)?;
        }
        names().try_for_each(|path| fs::rename(staged(path), path))
    };
    let written = put();
    if written.is_err() {
        for path in names() {
            // Best effort: what was renamed, or never made, is not there.
            drop(fs::remove_file(staged(path)));
        }
    }
    written
}

fn finish(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// A new file: what was left there by an earlier attempt may be open to others.
fn create_secret(path: &Path) -> io::Result<File> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Replaces `path` by `bytes` at once: whoever reads sees the old content or the new. The name is
/// durable only after [`sync_folder`].
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let staged = staged(path);
    let written = File::create(&staged).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&staged, path)
    });
    if written.is_err() {
        // Best effort: the name is written over by the next attempt anyway.
        drop(fs::remove_file(&staged));
    }
    written
}

/// [`replace`], then the name made durable.
pub(crate) fn replace_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes)?;
    path.parent().map_or(Ok(()), sync_folder)
}
