//! `probity dataset`.

mod build;
mod folder;
mod simulate;

use alloy_primitives::B256;
use probity_node::{Decision, Reason};
use serde_json::json;

use crate::{
    args::{ChallengeReason, Dataset, Verdict},
    output::{self, say},
    settings,
};

pub(crate) async fn run(command: Dataset, json: bool) -> anyhow::Result<bool> {
    match command {
        Dataset::Build(args) => build::run(args, json).await,
        Dataset::Diff { before, after, folder } => {
            folder::diff(&before, &after, &folder, json).await
        }
        Dataset::Export { dataset, output, folder } => {
            folder::export(dataset, &output, &folder, json).await
        }
        Dataset::Tables { output, previous, folder } => {
            folder::tables(&output, previous, &folder, json).await
        }
        Dataset::Verify { path, dataset, folder } => {
            folder::verify(&path, dataset, &folder, json).await
        }
        Dataset::Import { path, dataset, folder } => {
            folder::import(&path, dataset, &folder, json).await
        }
        Dataset::Tally { counted, file, signer } => {
            folder::tally(counted, &file, &signer, json).await
        }
        Dataset::Simulate(args) => simulate::run(&args, json),
        Dataset::Challenge { item, reason, evidence, signer } => {
            let evidence = settings::read(&evidence)?;
            let (workspace, key) = settings::signer(&signer).await?;
            let reason = match reason {
                ChallengeReason::OptedOut => Reason::OptedOut,
                ChallengeReason::LicenceMismatch => Reason::LicenceMismatch,
                ChallengeReason::Duplicate => Reason::Duplicate,
                ChallengeReason::FakeLabel => Reason::FakeLabel,
                ChallengeReason::Stolen => Reason::Stolen,
            };
            let (challenge, _) =
                workspace.challenge(&key, item.dataset, item.index, reason, evidence).await?;
            let deadline = workspace.challenge_deadline(&challenge).await?;
            show_case(challenge.id, "challenged", Some(deadline), json)
        }
        Dataset::Answer { item, rebuttal, signer } => {
            let rebuttal = settings::read(&rebuttal)?;
            let (workspace, key) = settings::signer(&signer).await?;
            let challenge = workspace.challenge_of(item.dataset, item.index).await?;
            workspace.answer_challenge(&key, &challenge, rebuttal).await?;
            let deadline = workspace.challenge_deadline(&challenge).await?;
            show_case(challenge.id, "answered", Some(deadline), json)
        }
        Dataset::Resolve { item, verdict } => {
            let Verdict { uphold, opinion, arbiter, signer } = verdict;
            let opinion = settings::read(&opinion)?;
            let (workspace, key) = settings::signer(&signer).await?;
            let challenge = workspace.challenge_of(item.dataset, item.index).await?;
            let opinion = workspace.store_object(opinion).await?;
            let decision = Decision { upheld: uphold, opinion };
            let passphrase = output::passphrase(&signer.passphrase)?;
            let mut signed = Vec::new();
            for name in &arbiter {
                let arbiter = workspace.keyring().unlock(name, &passphrase)?;
                signed.push(workspace.sign_ruling(&arbiter, &challenge, &decision)?);
            }
            workspace.rule_challenge(&key, &challenge, &decision, &signed).await?;
            show_case(challenge.id, if uphold { "removed" } else { "kept" }, None, json)
        }
        Dataset::Settle { item, signer } => {
            let (workspace, key) = settings::signer(&signer).await?;
            let challenge = workspace.challenge_of(item.dataset, item.index).await?;
            workspace.settle_challenge(&key, &challenge).await?;
            show_case(challenge.id, "settled", None, json)
        }
    }
}

fn show_case(id: B256, state: &str, deadline: Option<u64>, json: bool) -> anyhow::Result<bool> {
    if json {
        output::json(&json!({ "case": id, "state": state, "deadline": deadline }))?;
    } else {
        output::line(format!("case {id} {state}"))?;
        if let Some(deadline) = deadline {
            say(format!("its window runs until Unix time {deadline}"));
        }
    }
    Ok(true)
}
