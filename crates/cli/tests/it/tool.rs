//! Running programs.

use std::{
    ffi::OsStr,
    path::PathBuf,
    process::{Command, Output},
};

/// What a program said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    /// Its standard output has all these words.
    pub(crate) fn says(&self, words: &[&str]) {
        for words in words {
            assert!(self.out.contains(words), "`{words}` is not in {}{}", self.out, self.err);
        }
    }
}

/// Runs `probity` with arguments.
pub(crate) fn probity<S: AsRef<OsStr>>(arguments: &[S]) -> Said {
    run(Command::new(env!("CARGO_BIN_EXE_probity")).args(arguments).env("NO_COLOR", "1"))
}

/// Runs any command.
pub(crate) fn run(command: &mut Command) -> Said {
    let output = command.stdin(std::process::Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}")).into()
}

/// A program of Foundry's that npm installed for the contracts: itself, not npm's wrapper, so that
/// ending it ends it.
pub(crate) fn foundry(name: &str) -> PathBuf {
    let packages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/node_modules/@foundry-rs");
    let wanted = format!("{name}-");
    let found = std::fs::read_dir(packages)
        .into_iter()
        .flatten()
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with(&wanted));
    let Some(entry) = found else { panic!("{name} is missing: run contracts/test.sh first") };
    entry.path().join("bin").join(name)
}
