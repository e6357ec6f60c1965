//! `probity payout`.

use std::path::Path;

use alloy_primitives::{Address, B256};
use anyhow::Context as _;
use probity_chain::Client;
use probity_core::Label;
use probity_node::{Decision, NodeError};
use probity_provenance::{claim::ClaimProof, payout::Computation};
use serde_json::json;

use crate::{
    args::{Payout, PoolOf, Signer, Verdict},
    output, settings,
};

pub(crate) async fn run(command: Payout, json: bool) -> anyhow::Result<bool> {
    match command {
        Payout::Pay { pool, amount, signer } => {
            let (workspace, key) = settings::signer(&signer).await?;
            let token = pool.token.unwrap_or(Address::ZERO);
            let receipt = workspace.pay(&key, pool.model, token, amount, B256::ZERO).await?;
            sent(&format!("{amount} paid in"), receipt.transaction, json)
        }
        Payout::Compute { pool, explain, folder } => {
            let workspace = settings::open(&folder).await?;
            let token = pool.token.unwrap_or(Address::ZERO);
            let computation = workspace.compute_payout(pool.model, token).await?;
            if json {
                output::json(&computation)?;
            } else {
                show(&computation, explain)?;
            }
            Ok(true)
        }
        Payout::Propose { pool, signer } => {
            let (mut workspace, key) = settings::signer(&signer).await?;
            let token = pool.token.unwrap_or(Address::ZERO);
            let computation = workspace.compute_payout(pool.model, token).await?;
            let receipt = workspace.propose_payout(&key, &computation).await?;
            let text = format!("epoch {} of {} in all", computation.epoch, computation.total);
            sent(&text, receipt.transaction, json)
        }
        Payout::Dispute { pool, signer } => {
            let (mut workspace, key) = settings::signer(&signer).await?;
            let token = pool.token.unwrap_or(Address::ZERO);
            let disputed = workspace.dispute_payout(&key, pool.model, token).await?;
            let Some((ours, receipt)) = disputed else {
                output::say("the proposed root is what is computed here too");
                return Ok(false);
            };
            let text = format!("disputed: {} in all, recomputed here", ours.total);
            sent(&text, receipt.transaction, json)
        }
        Payout::Resolve { pool, verdict } => {
            let Verdict { uphold, opinion, arbiter, signer } = verdict;
            let opinion = settings::read(&opinion)?;
            let (workspace, key) = settings::signer(&signer).await?;
            let passphrase = output::passphrase(&signer.passphrase)?;
            let arbiters = arbiter.iter().map(|name| workspace.keyring().unlock(name, &passphrase));
            let arbiters = arbiters.collect::<Result<Vec<_>, _>>()?;
            let decision =
                Decision { upheld: uphold, opinion: workspace.store_object(opinion).await? };
            let token = pool.token.unwrap_or(Address::ZERO);
            let receipt =
                workspace.rule_payout(&key, pool.model, token, &decision, &arbiters).await?;
            let whose = if uphold { "the disputer's" } else { "the accountant's" };
            sent(&format!("{whose} root is accepted"), receipt.transaction, json)
        }
        Payout::Settle { pool, signer } => {
            let (workspace, key) = settings::signer(&signer).await?;
            let token = pool.token.unwrap_or(Address::ZERO);
            let receipt = workspace.settle_payout(&key, pool.model, token).await?;
            sent("settled", receipt.transaction, json)
        }
        Payout::Claim { pool, account, proof, signer } => {
            claim(&pool, account, proof.as_deref(), &signer, json).await
        }
        Payout::Prove { pool, account, folder } => {
            let workspace = settings::open(&folder).await?;
            let token = pool.token.unwrap_or(Address::ZERO);
            if let Some(proof) = workspace.prove_claim(pool.model, token, account).await? {
                output::json(&proof)?;
                Ok(true)
            } else {
                output::say(format!("nothing is owed to {account}"));
                Ok(false)
            }
        }
        Payout::Verify { proof, rpc } => verify(&claim_proof(&proof)?, rpc.as_deref(), json).await,
    }
}

async fn claim(
    pool: &PoolOf,
    account: Option<Address>,
    proof: Option<&Path>,
    signer: &Signer,
    json: bool,
) -> anyhow::Result<bool> {
    let (workspace, key) = settings::signer(signer).await?;
    let proof = if let Some(path) = proof {
        Some(claim_proof(path)?)
    } else {
        let account = account.map_or_else(|| key.address(), Ok)?;
        let token = pool.token.unwrap_or(Address::ZERO);
        workspace.prove_claim(pool.model, token, account).await?
    };
    let claimed = match &proof {
        Some(proof) => workspace.claim(&key, proof).await?,
        None => None,
    };
    let Some(claimed) = claimed else {
        output::say("nothing is owed");
        return Ok(false);
    };
    sent(
        &format!("{} paid to {}", claimed.amount, claimed.account),
        claimed.receipt.transaction,
        json,
    )
}

fn claim_proof(path: &Path) -> anyhow::Result<ClaimProof> {
    serde_json::from_slice(&settings::read(path)?)
        .with_context(|| format!("`{}` is no proof of a claim", path.display()))
}

/// What a proof shows by itself, and what only its chain can say.
async fn verify(proof: &ClaimProof, rpc: Option<&str>, json: bool) -> anyhow::Result<bool> {
    let holds = proof.leads_to_root();
    let (accepted, claimable) = match rpc {
        None => (Label::Asserted, None),
        Some(url) => {
            let chain = Client::http(url).await.map_err(NodeError::from)?;
            let claimable = probity_node::claimable(&chain, proof).await?;
            (if claimable.is_some() { Label::Verified } else { Label::Missing }, claimable)
        }
    };
    let under = if holds { Label::Verified } else { Label::Missing };
    let owed =
        format!("{} is owed {} in all under root {}", proof.account, proof.cumulative, proof.root);
    let root = format!("chain {} accepted that root as the last one", proof.chain_id);
    if json {
        let left = claimable.map(|left| left.to_string());
        output::json(&json!({ "owed": under, "accepted": accepted, "claimable": left }))?;
    } else {
        output::line(format!("{:<12} {owed}", output::label(under)))?;
        output::line(format!("{:<12} {root}", output::label(accepted)))?;
        if let Some(left) = claimable {
            output::line(format!("{left} is left to claim"))?;
        }
    }
    Ok(holds && accepted != Label::Missing)
}

fn sent(what: &str, transaction: B256, json: bool) -> anyhow::Result<bool> {
    if json {
        output::json(&json!({ "done": what, "transaction": transaction }))?;
    } else {
        output::line(what)?;
    }
    Ok(true)
}

/// The computation line by line, of one account or of all.
fn show(computation: &Computation, account: Option<Address>) -> anyhow::Result<()> {
    output::line(format!(
        "epoch {} by {}: {} came in, {} were accounted for before, {} stay held back",
        computation.epoch,
        computation.formula,
        computation.before.received,
        computation.before.accounted,
        computation.held
    ))?;
    output::line(format!("items weigh by {}", serde_json::to_string(&computation.weights)?))?;
    let wanted = |of: Address| account.is_none_or(|account| account == of);
    for line in computation.lines.iter().filter(|line| wanted(line.account)) {
        output::line(format!(
            "{} as {:?} with weight {}: {}",
            line.account, line.role, line.weight, line.amount
        ))?;
    }
    for entry in computation.entries.iter().filter(|entry| wanted(entry.account)) {
        output::line(format!("{} may claim {} in all", entry.account, entry.cumulative))?;
    }
    Ok(())
}
