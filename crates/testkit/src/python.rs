//! Other people's programs in Python.

use std::{
    io,
    path::PathBuf,
    process::{Command, Stdio},
};

/// The Python interpreter that has the peers of `scripts/peers`; installs them the first time.
///
/// # Errors
/// If they cannot be installed.
pub fn python() -> io::Result<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/python");
    let output = Command::new(script).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("{script} fails: {}", output.status)));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}
