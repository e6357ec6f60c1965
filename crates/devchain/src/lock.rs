//! One process per chain folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::Error;

const FILE_NAME: &str = "chain.lock";

/// Holds the folder until dropped. The operating system releases it when the process dies, so a
/// killed process never leaves a stale lock behind; the text inside only names the holder.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    pub(crate) fn acquire(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(FILE_NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| Error::file(&path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { dir: dir.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(Error::file(&path, source)),
        }
        // A full disk must not keep a chain from being opened and read, so a name that cannot be
        // written is left out.
        drop(write_holder(&mut file));
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A child process being started at this instant holds a copy of the file for a moment;
        // closing ours alone would not release it.
        drop(self.file.unlock());
    }
}

fn write_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{} (pid {})", program(), std::process::id())
}

/// The program's file name. Arguments are left out, as they may hold secrets.
fn program() -> String {
    std::env::args_os()
        .next()
        .and_then(|path| Path::new(&path).file_name().map(|name| name.to_string_lossy().into()))
        .unwrap_or_else(|| "unknown program".to_owned())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(256).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "another process".to_owned(),
    }
}
