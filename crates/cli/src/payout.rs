//! `probity payout`.

use alloy_primitives::{Address, B256};
use probity_node::Decision;
use probity_provenance::payout::Computation;
use serde_json::json;

use crate::{
    args::{Payout, Verdict},
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
        Payout::Claim { pool, account, signer } => {
            let (workspace, key) = settings::signer(&signer).await?;
            let token = pool.token.unwrap_or(Address::ZERO);
            let account = match account {
                Some(account) => account,
                None => key.address()?,
            };
            if let Some(claimed) = workspace.claim(&key, pool.model, token, account).await? {
                let text = format!("{} paid to {account}", claimed.amount);
                sent(&text, claimed.receipt.transaction, json)
            } else {
                output::say(format!("nothing is owed to {account}"));
                Ok(false)
            }
        }
    }
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
