//! The two channels: data on stdout, talk on stderr.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use probity_chain::ChainError;
use probity_core::Label;
use probity_node::NodeError;
use serde::Serialize;

use crate::args::Passphrase;

/// Prints a line of data.
pub(crate) fn line(text: impl std::fmt::Display) -> anyhow::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        // Whoever reads has had enough, as `head` has.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to stdout"),
    }
}

/// Prints a value as JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?)
}

/// Says something to people.
pub(crate) fn say(text: impl std::fmt::Display) {
    // Nobody is left to tell that stderr is gone.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Shows what a dry run would have sent, which is its result; any other error stays one.
pub(crate) fn rehearsal(error: anyhow::Error, as_json: bool) -> anyhow::Result<bool> {
    let found = error.chain().find_map(|cause| match cause.downcast_ref::<NodeError>() {
        Some(NodeError::Chain(ChainError::Rehearsed(rehearsal))) => Some(rehearsal.clone()),
        _ => None,
    });
    let Some(rehearsal) = found else { return Err(error) };
    if as_json {
        json(&serde_json::json!({
            "sent": false,
            "from": rehearsal.from,
            "to": rehearsal.to,
            "function": rehearsal.function,
            "value": rehearsal.value.to_string(),
            "gas": rehearsal.gas,
            "cost": rehearsal.cost.to_string(),
        }))?;
    } else {
        line(rehearsal)?;
        say("nothing was sent; transactions that would follow this one were not rehearsed");
    }
    Ok(true)
}

/// Prints an error with its causes and a hint, and exits with 2.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    say(format!("error: {error}"));
    let mut shown = error.to_string();
    for cause in error.chain().skip(1) {
        let text = cause.to_string();
        // Transparent errors repeat their source's words.
        if !shown.contains(&text) {
            say(format!("  because: {text}"));
        }
        shown = text;
    }
    if let Some(hint) = crate::hint(error) {
        say(format!("hint: {hint}"));
    }
    ExitCode::from(2)
}

/// Whether stderr is a terminal that wants colour and motion.
pub(crate) fn is_lively() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A progress bar, on a terminal only.
pub(crate) fn bar(what: &'static str) -> ProgressBar {
    if !is_lively() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0).with_message(what);
    let style = ProgressStyle::with_template("  {msg} {bar:40} {pos}/{len} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A bar of bytes read, on a terminal only.
pub(crate) fn bytes_bar(what: &'static str) -> ProgressBar {
    let bar = bar(what);
    let style = ProgressStyle::with_template("  {msg} {bytes} {binary_bytes_per_sec}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Says what is being done and for how long, on a terminal only.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    if !is_lively() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(what);
    let style = ProgressStyle::with_template("  {spinner} {msg} {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// The most memory this process has had so far, in KiB, where the system tells.
pub(crate) fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// A label, coloured where colour is wanted.
pub(crate) fn label(label: Label) -> String {
    let text = format!("[{label}]");
    if !io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some() {
        return text;
    }
    let colour = match label {
        Label::Verified => "32",
        Label::Attested => "36",
        Label::Asserted => "33",
        Label::Missing => "31",
    };
    format!("\x1b[{colour}m{text}\x1b[0m")
}

/// Reads a passphrase from its file, or asks for it.
pub(crate) fn passphrase(from: &Passphrase) -> anyhow::Result<String> {
    let asked = match &from.passphrase_file {
        Some(path) => return read_passphrase(path),
        None => rpassword::prompt_password("passphrase: ")
            .context("cannot ask for the passphrase; give it with --passphrase-file")?,
    };
    anyhow::ensure!(!asked.is_empty(), "the passphrase is empty");
    Ok(asked)
}

fn read_passphrase(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read passphrase file `{}`", path.display()))?;
    let first = text.lines().next().unwrap_or_default();
    // A keystore under an empty passphrase is a plain key.
    anyhow::ensure!(!first.is_empty(), "the first line of `{}` is empty", path.display());
    Ok(first.to_owned())
}
