//! `probity demo`.

use std::{fs, sync::Arc};

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use probity_core::{
    SystemClock,
    keys::{KeyType, SecretKey},
    keystore,
};
use probity_node::demo::{self, Options, Step};
use serde_json::json;

use crate::{
    args::Demo,
    output::{self, say},
};

/// First account of the mnemonic that every development chain funds. Public, so worthless.
const DEVELOPMENT_ACCOUNT: &str =
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

pub(crate) async fn run(args: Demo, json: bool) -> anyhow::Result<bool> {
    let kept = args.keep.is_some();
    let dir = args.keep.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("probity-demo-{}", std::process::id()))
    });
    let options =
        Options { rpc: args.rpc.clone(), funder: funder(&args)?, data: args.data.clone() };
    let mut show = Show::default();
    let outcome = demo::run(&dir, &options, Arc::new(SystemClock), &mut |s| show.step(s)).await;
    if !kept && dir.join("probity.toml").exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove `{}`", dir.display()))?;
    }
    let outcome = outcome?;
    let (correct, held_out) = outcome.accuracy;
    if json {
        output::json(&json!({
            "model": outcome.model,
            "heldOutCorrect": correct,
            "heldOut": held_out,
            "passed": outcome.report.passed(),
            "report": outcome.report,
        }))?;
    } else if let Some(dir) = &args.keep {
        let dir = dir.display();
        say(format!(
            "\nThe workspace is kept. Try:\n  probity explain {} --dir {dir}",
            outcome.model
        ));
        say(format!("  probity audit {dir}/evidence.tar --offline"));
        say(format!("  probity chain serve --dir {dir}"));
        output::line(outcome.model)?;
    } else {
        output::line(outcome.model)?;
    }
    Ok(outcome.report.passed())
}

fn funder(args: &Demo) -> anyhow::Result<Option<SecretKey>> {
    let Some(url) = &args.rpc else { return Ok(None) };
    if let Some(file) = &args.funder {
        let bytes =
            fs::read(file).with_context(|| format!("cannot read keystore `{}`", file.display()))?;
        let passphrase = output::passphrase(&args.passphrase)?;
        let key = keystore::decrypt(&bytes, &passphrase)
            .with_context(|| format!("keystore `{}`", file.display()))?;
        return Ok(Some(key));
    }
    if !is_local(url) {
        bail!("`{url}` is not on this machine: name a funded key with --funder");
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(DEVELOPMENT_ACCOUNT.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits)?, 16)?;
    }
    Ok(Some(SecretKey::from_bytes(KeyType::Secp256k1, bytes.into())?))
}

/// Whether a URL's host is this machine, written plainly.
fn is_local(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let port = |rest: &str| rest.is_empty() || rest.starts_with(':');
    ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .any(|host| authority.strip_prefix(host).is_some_and(port) && !authority.contains('@'))
}

/// Shows the steps on stderr, with a bar for training on a terminal.
#[derive(Default)]
struct Show {
    bar: Option<ProgressBar>,
}

impl Show {
    fn step(&mut self, step: Step) {
        if !matches!(step, Step::Training(_))
            && let Some(bar) = self.bar.take()
        {
            bar.finish_and_clear();
        }
        match step {
            Step::Title(text) => say(format!("\n{text}")),
            Step::Done(text) => say(format!("  {text}")),
            Step::Waiting(seconds) => {
                say(format!(
                    "  waiting {seconds} s for the dispute window (development: real ones are days)"
                ));
            }
            Step::Training(progress) => self.training(progress),
        }
    }

    fn training(&mut self, progress: probity_node::demo::TrainingProgress) {
        if !output::is_lively() {
            if progress.epoch.is_multiple_of(20) {
                say(format!(
                    "  epoch {} of {}: loss {:.4}",
                    progress.epoch, progress.epochs, progress.loss
                ));
            }
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = output::bar("training");
            bar.set_length(progress.epochs.into());
            bar
        });
        bar.set_position(progress.epoch.into());
        bar.set_message(format!("loss {:.4}", progress.loss));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_local_hosts_are_local() {
        for url in
            ["http://127.0.0.1:8545", "http://localhost/x", "https://[::1]:1", "http://localhost"]
        {
            assert!(is_local(url), "{url}");
        }
        for url in [
            "http://127.0.0.1.example.org",
            "http://localhost.example.org:80",
            "http://localhost:x@example.org",
            "http://example.org/localhost",
            "localhost",
        ] {
            assert!(!is_local(url), "{url}");
        }
    }
}
