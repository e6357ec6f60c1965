//! A disk that gets full.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A small file system in memory, unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, with the reason printed, where this user may not mount one.
    pub fn mount(mebibytes: u32) -> Option<Self> {
        let mount = || -> io::Result<Result<TempDir, String>> {
            let dir = tempfile::tempdir()?;
            let size = format!("size={mebibytes}m");
            let mut command = Command::new("mount");
            let output =
                command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).output()?;
            let problem = String::from_utf8_lossy(&output.stderr).into_owned();
            Ok(if output.status.success() { Ok(dir) } else { Err(problem) })
        };
        match mount().unwrap_or_else(|error| Err(error.to_string())) {
            Ok(dir) => Some(Self(dir)),
            Err(problem) => {
                // Not by `print!`, which the test harness keeps to itself.
                drop(writeln!(io::stderr(), "skipped: no small disk can be mounted: {problem}"));
                None
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Takes all the room there is.
    pub fn fill(&self) -> io::Result<()> {
        let mut filler = File::create(self.filler())?;
        let mut size = 1 << 22;
        while size > 0 {
            if filler.write_all(&vec![0; size]).is_err() {
                size /= 2;
            }
        }
        Ok(())
    }

    /// Gives the room back.
    pub fn free(&self) -> io::Result<()> {
        fs::remove_file(self.filler())
    }

    /// Makes it larger, as an administrator would.
    pub fn grow(&self, mebibytes: u32) -> io::Result<()> {
        let size = format!("remount,size={mebibytes}m");
        let status = Command::new("mount").args(["-o", &size]).arg(self.path()).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other("cannot remount")) }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).output());
    }
}
