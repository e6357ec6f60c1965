//! `probity model checkpoint`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use probity_node::CheckpointPlan;
use serde_json::json;

use crate::{args::RegisterCheckpoint, output, settings};

pub(super) async fn run(args: RegisterCheckpoint, json: bool) -> anyhow::Result<bool> {
    let metrics = args.metric.iter().map(|text| metric(text));
    let metrics = metrics.collect::<anyhow::Result<BTreeMap<_, _>>>()?;
    let (mut workspace, key) = settings::signer(&args.signer).await?;
    let passphrase = output::passphrase(&args.signer.passphrase)?;
    let signing_key = workspace.keyring().unlock(&args.signing_key, &passphrase)?;
    let run = workspace.run_of(args.run, args.dataset).await?;
    let plan = CheckpointPlan { model: args.model, run: &run, parents: args.parent, metrics };
    let bar = output::bytes_bar("hashing");
    let (id, checkpoint, receipt) = workspace
        .register_folder(&key, plan, &args.files, &signing_key, &|bytes| bar.inc(bytes))
        .await?;
    bar.finish_and_clear();
    if json {
        output::json(&json!({
            "checkpoint": id, "run": args.run, "digest": checkpoint.digest, "gas": receipt.gas,
        }))?;
    } else {
        output::line(id)?;
    }
    Ok(true)
}

fn metric(text: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = text
        .split_once('=')
        .with_context(|| format!("`{text}` is no metric: expected NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}
