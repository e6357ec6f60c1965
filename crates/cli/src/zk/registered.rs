//! `probity zk register`, `store` and `submit`.

use std::{path::Path, time::Instant};

use anyhow::ensure;
use probity_node::inference::{InferenceError, KeyPlan, ProofFile, Recorded, RegisteredKey, write};
use probity_provenance::inference::NOT_SHOWN;
use serde_json::json;

use super::{cost, extended, key, read, show_findings};
use crate::{
    args::{Register, Store, Submit},
    output, settings,
};

pub(super) async fn register(args: Register, json: bool) -> anyhow::Result<bool> {
    let start = Instant::now();
    let calibration = settings::read(&args.calibration)?;
    // Before anything is sent.
    let folder = args.output.as_deref().and_then(Path::parent);
    if let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty()) {
        ensure!(folder.is_dir(), "there is no folder `{}`", folder.display());
    }
    let (mut workspace, key) = settings::signer(&args.signer).await?;
    let plan = KeyPlan {
        checkpoint: args.checkpoint,
        file: args.file,
        calibration,
        feature_max: args.feature_max,
    };
    let bar = output::spinner("calibrating and committing the weights");
    let registered = workspace.register_model_key(&key, plan).await?;
    bar.finish_and_clear();
    let RegisteredKey { id, record, proving, quantised, receipt } = registered;
    let mut files = vec![];
    if let Some(stem) = &args.output {
        files.push((extended(stem, "pzq"), quantised.to_bytes()));
        files.push((extended(stem, "pzk"), proving.model_key().encode()));
        write(&files)?;
    }
    let (cost, cost_json) = cost(start);
    if json {
        let files: Vec<_> = files.iter().map(|(path, _)| path).collect();
        output::json(&json!({
            "modelKey": id, "key": record.key, "checkpoint": record.checkpoint,
            "statement": record.statement, "files": files, "gas": receipt.gas, "cost": cost_json,
        }))?;
    } else {
        output::line(id)?;
        output::say(format!("model key {} for {} gas: {cost}", record.key, receipt.gas));
    }
    Ok(true)
}

pub(super) async fn store(args: &Store, json: bool) -> anyhow::Result<bool> {
    let model_key = key(&args.file)?;
    let (workspace, payer) = settings::signer(&args.signer).await?;
    let bar = output::spinner("storing");
    let mut progress = |done, parts| bar.set_message(format!("{done} of {parts} parts stored"));
    let stored = workspace.store_model_key(&payer, &model_key, args.batch, &mut progress).await?;
    bar.finish_and_clear();
    let gas: u64 = stored.receipts.iter().map(|receipt| receipt.gas).sum();
    if json {
        output::json(&json!({
            "key": stored.key, "batch": args.batch, "parts": stored.parts,
            "transactions": stored.receipts.len(), "gas": gas,
        }))?;
    } else if stored.receipts.is_empty() {
        output::say(format!("model key {} is stored already", stored.key));
    } else {
        let (parts, sent) = (stored.parts, stored.receipts.len());
        output::say(format!(
            "model key {} is stored in {parts} parts: {sent} transactions, {gas} gas",
            stored.key
        ));
    }
    Ok(true)
}

pub(super) async fn submit(args: &Submit, json: bool) -> anyhow::Result<bool> {
    let file = read(&args.proof, |bytes| Ok::<_, InferenceError>(ProofFile::parse(bytes)?))?;
    let (mut workspace, key) = settings::signer(&args.signer).await?;
    match workspace.record_inference(&key, &file, !args.off_chain).await? {
        Recorded::Rejected(findings) => {
            if json {
                output::json(&json!({ "verified": false, "findings": findings }))?;
            } else {
                show_findings(&findings)?;
            }
            Ok(false)
        }
        Recorded::Holds { statement, model_key, receipt } => {
            let gas = receipt.map(|receipt| receipt.gas);
            if json {
                output::json(&json!({
                    "verified": true, "statement": statement, "modelKey": model_key, "gas": gas,
                }))?;
            } else {
                output::line(statement)?;
                output::say(format!("verified under model key {}", file.model));
                output::say(format!("not shown: {NOT_SHOWN}"));
                if let Some(gas) = gas {
                    output::say(format!("the contract verified it too, for {gas} gas"));
                }
            }
            Ok(true)
        }
    }
}
