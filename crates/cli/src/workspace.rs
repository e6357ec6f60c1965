//! The commands on a workspace folder.

use std::{fs, sync::Arc};

use alloy_primitives::U256;
use anyhow::{Context as _, bail};
use probity_core::{
    SystemClock,
    keys::{KeyType, SecretKey},
    keystore::Cost,
    log::VerifierKey,
};
use probity_node::{ChainChoice, LogProof, NodeError, Workspace, archive};
use serde_json::json;

use crate::{
    args::{Bundle, Chain, Explain, Folder, Index, Init, Log},
    audit,
    model::lineage,
    output::{self, say},
    settings::{self, open},
};

/// Kinds of records, in the order they depend on each other.
const KINDS: [&str; 9] = [
    "licence",
    "content",
    "opt-out",
    "anchor",
    "dataset",
    "run",
    "model",
    "checkpoint",
    "model-key",
];

pub(crate) async fn init(args: Init, json: bool) -> anyhow::Result<bool> {
    let passphrase = output::passphrase(&args.passphrase)?;
    let key = SecretKey::generate(KeyType::Secp256k1)?;
    let account = key.address()?;
    let choice = match args.rpc {
        Some(url) => ChainChoice::Rpc(url),
        // A million coins of 10^18 wei.
        None => ChainChoice::Embedded(vec![(account, U256::from(10).pow(U256::from(24)))]),
    };
    let is_embedded = matches!(choice, ChainChoice::Embedded(_));
    let (dir, clock) = (&args.folder.dir, Arc::new(SystemClock));
    let workspace =
        Workspace::create(dir, choice, false, &passphrase, Cost::Standard, clock).await?;
    workspace.keyring().store(&args.key, &key, &passphrase, Cost::Standard)?;
    if is_embedded {
        workspace.chain().deploy(&key).await?;
    } else if workspace.chain().expect_contracts().await.is_err() {
        say("the contracts are not on this chain: send coins to the account, then deploy them");
    }
    if json {
        let chain = workspace.chain().chain_id();
        output::json(&json!({ "account": account, "chainId": chain, "dir": dir }))?;
    } else {
        output::line(account)?;
    }
    Ok(true)
}

pub(crate) async fn explain(args: Explain, json: bool) -> anyhow::Result<bool> {
    let workspace = open(&args.folder).await?;
    if args.svg.is_some() {
        workspace.sync().await?;
        let (_, model) = workspace.resolve(&args.id).await?;
        lineage::drawn(&workspace, model, args.svg.as_deref()).await?;
    }
    // Signs a bundle that is looked at once and never leaves this process.
    let key = SecretKey::generate(KeyType::Secp256k1)?;
    let explanation = workspace.explain(&args.id, &key).await?;
    if json {
        output::json(&explanation)?;
        return Ok(explanation.report.passed());
    }
    output::line(format!("{}\n  {}", explanation.subject.id, explanation.subject.is))?;
    for answer in &explanation.report.answers {
        output::line(format!("\n{}", answer.question.text()))?;
        for point in &answer.points {
            output::line(format!("  {:<10} {}", output::label(point.label), point.text))?;
        }
    }
    audit::findings(&explanation.report.findings)?;
    Ok(explanation.report.passed())
}

pub(crate) async fn list(folder: Folder, json: bool) -> anyhow::Result<bool> {
    let workspace = open(&folder).await?;
    workspace.sync().await?;
    let mut rows = Vec::new();
    for kind in KINDS {
        rows.extend(
            workspace.index().records(kind, None, u32::MAX).await.map_err(NodeError::from)?,
        );
    }
    if json {
        output::json(&rows)?;
        return Ok(true);
    }
    for row in rows {
        output::line(format!("{:<11} {} by {}", row.kind, row.id, row.author))?;
    }
    Ok(true)
}

pub(crate) async fn bundle(command: Bundle, json: bool) -> anyhow::Result<bool> {
    let Bundle::Export { id, output: path, key, folder, passphrase } = command;
    if path.exists() {
        return Err(NodeError::Exists(path).into());
    }
    let workspace = open(&folder).await?;
    let name = key;
    let key = workspace.keyring().unlock(&name, &output::passphrase(&passphrase)?)?;
    if key.kind() != KeyType::Secp256k1 {
        return Err(NodeError::KeyType(name).into());
    }
    workspace.sync().await?;
    let (_, model) = workspace.resolve(&id).await?;
    let files = workspace.export_bundle(model, &key).await?;
    let size = archive::write(&path, &files)?;
    if json {
        output::json(&json!({ "model": model, "path": path, "size": size, "files": files.len() }))?;
    } else {
        output::line(path.display())?;
        say(format!("{} files, {size} bytes", files.len()));
    }
    Ok(true)
}

pub(crate) async fn log(command: Log, json: bool) -> anyhow::Result<bool> {
    match command {
        Log::Checkpoint { signer } => {
            let (mut workspace, key) = settings::signer(&signer).await?;
            let log =
                workspace.keyring().unlock("log", &output::passphrase(&signer.passphrase)?)?;
            let checkpoint = workspace.anchor_log(&log, &key).await?;
            if json {
                let (size, root) = (checkpoint.size(), checkpoint.root());
                output::json(&json!({ "size": size, "root": root }))?;
            } else {
                output::line(checkpoint.root())?;
                say(format!("{} statements signed and announced on chain", checkpoint.size()));
            }
            Ok(true)
        }
        Log::Prove { digest, folder } => {
            let workspace = open(&folder).await?;
            workspace.sync().await?;
            // A proof is data either way.
            output::json(&workspace.prove_logged(&digest).await?)?;
            Ok(true)
        }
        Log::Verify { proof: None, folder, .. } => {
            let workspace = open(&folder).await?;
            let key = workspace.log_verifier()?;
            workspace.log().folder().verify(&key).map_err(NodeError::from)?;
            let size = workspace.log().size();
            if json {
                output::json(&json!({ "size": size, "holds": true }))?;
            } else {
                output::line(format!("the log of {size} statements holds"))?;
            }
            Ok(true)
        }
        Log::Verify { proof: Some(path), log_key, folder } => {
            let bytes = fs::read(&path)
                .with_context(|| format!("cannot read proof `{}`", path.display()))?;
            let proof: LogProof = probity_core::json::decode(&bytes)
                .with_context(|| format!("`{}` is not a log proof", path.display()))?;
            let trusted: VerifierKey = match log_key {
                Some(key) => key.parse().context("--log-key is not a verifier key")?,
                None => open(&folder).await?.log_verifier()?,
            };
            verify_proof(&proof, &trusted, json)
        }
    }
}

fn verify_proof(proof: &LogProof, trusted: &VerifierKey, json: bool) -> anyhow::Result<bool> {
    let result = proof.verify(trusted);
    let holds = result.is_ok();
    if json {
        let reason = result.err();
        output::json(&json!({ "holds": holds, "envelope": proof.envelope, "reason": reason }))?;
    } else {
        match result {
            Ok(checkpoint) => output::line(format!(
                "envelope {} is entry {} of the {} in log {}",
                proof.envelope,
                proof.inclusion.index,
                checkpoint.size(),
                checkpoint.origin()
            ))?,
            Err(reason) => output::line(format!("the proof does not hold: {reason}"))?,
        }
    }
    Ok(holds)
}

pub(crate) async fn chain(command: Chain, json: bool) -> anyhow::Result<bool> {
    let folder = match &command {
        Chain::Serve { folder, .. } | Chain::Verify(folder) => folder,
    };
    let workspace = open(folder).await?;
    let Some(chain) = workspace.embedded() else {
        bail!(
            "the workspace uses the chain at `{}`, not an embedded one",
            workspace.config().chain
        );
    };
    match &command {
        Chain::Serve { listen, .. } => {
            let listener = tokio::net::TcpListener::bind(listen)
                .await
                .with_context(|| format!("cannot listen on `{listen}`"))?;
            let address = listener.local_addr()?;
            if !address.ip().is_loopback() {
                say(format!("warning: everybody who can reach {address} can use this chain"));
            }
            say(format!("serving chain {} until interrupted", chain.chain_id()));
            if json {
                output::json(
                    &json!({ "url": format!("http://{address}"), "chainId": chain.chain_id() }),
                )?;
            } else {
                output::line(format!("http://{address}"))?;
            }
            let stop = async {
                // Without a signal handler the chain is served until the process ends.
                if tokio::signal::ctrl_c().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            chain.serve_until(listener, stop).await.map_err(NodeError::from)?;
        }
        Chain::Verify(_) => {
            let bar = output::bar("blocks");
            let report = chain
                .verify(|done, total| {
                    bar.set_length(total);
                    bar.set_position(done);
                })
                .map_err(NodeError::from)?;
            bar.finish_and_clear();
            if json {
                output::json(&json!({
                    "blocks": report.blocks,
                    "transactions": report.transactions,
                    "head": report.head,
                    "stateRoot": report.state_root,
                }))?;
            } else {
                output::line(format!(
                    "{} blocks with {} transactions executed again: every root and table agrees\n\
                     head {}, state root {}",
                    report.blocks, report.transactions, report.head, report.state_root
                ))?;
            }
        }
    }
    Ok(true)
}

pub(crate) async fn index(command: Index, json: bool) -> anyhow::Result<bool> {
    match command {
        Index::Rebuild(folder) => {
            let workspace = Workspace::open_rebuilt(&folder.dir, Arc::new(SystemClock)).await?;
            let cursor = workspace.index().cursor().await.map_err(NodeError::from)?;
            if json {
                output::json(&cursor)?;
            } else if let Some(cursor) = cursor {
                output::line(format!("block {}, log size {}", cursor.block, cursor.log_size))?;
            }
        }
        Index::Dump(folder) => {
            let workspace = open(&folder).await?;
            workspace.sync().await?;
            output::line(workspace.index().dump().await.map_err(NodeError::from)?)?;
        }
    }
    Ok(true)
}
