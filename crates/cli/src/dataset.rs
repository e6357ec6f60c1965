//! `probity dataset`.

use alloy_primitives::{Address, B256};
use anyhow::Context as _;
use probity_core::Digest;
use probity_node::{DatasetPlan, Decision, Reason, Workspace};
use probity_provenance::dataset::{Manifest, Policy};
use serde_json::json;

use crate::{
    args::{BuildDataset, ChallengeReason, Dataset, Signer, Verdict},
    output::{self, say},
    settings,
};

pub(crate) async fn run(command: Dataset, json: bool) -> anyhow::Result<bool> {
    match command {
        Dataset::Build(args) => build(args, json).await,
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

async fn build(args: BuildDataset, json: bool) -> anyhow::Result<bool> {
    let BuildDataset {
        name,
        policy,
        previous,
        manifest: path,
        register,
        court,
        treasury,
        treasury_bps,
        key,
        folder,
        passphrase,
    } = args;
    let policy: Policy = policy.as_deref().map(settings::toml).transpose()?.unwrap_or_default();
    let court = court.as_deref().map(settings::court).transpose()?;
    let previous = previous.unwrap_or_default();
    let plan = court.map(|court| DatasetPlan {
        name: name.clone(),
        policy: policy.clone(),
        previous,
        treasury: treasury.unwrap_or(Address::ZERO),
        treasury_bps: treasury_bps.unwrap_or_default(),
        court,
    });
    let (workspace, manifest, id) = if let (true, Some(plan), Some(key)) = (register, plan, key) {
        // Without `--register` the command is its own dry run.
        let signer = Signer { key, dry_run: false, folder, passphrase };
        let (mut workspace, key) = settings::signer(&signer).await?;
        let manifest = workspace.plan_dataset(&name, &policy, previous).await?;
        let (id, ..) = workspace.register_dataset(&key, &manifest, &plan).await?;
        (workspace, manifest, Some(id))
    } else {
        let workspace = settings::open(&folder).await?;
        let manifest = workspace.plan_dataset(&name, &policy, previous).await?;
        (workspace, manifest, None)
    };
    if let Some(path) = &path {
        std::fs::write(path, manifest.to_json()?)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    report(&workspace, &manifest, id, json)
}

fn report(
    workspace: &Workspace,
    manifest: &Manifest,
    id: Option<B256>,
    json: bool,
) -> anyhow::Result<bool> {
    let digest: Digest = manifest.digest()?;
    if json {
        output::json(&json!({
            "dataset": id,
            "manifest": digest,
            "root": manifest.tree()?.root(),
            "items": manifest.items.len(),
            "totalWeight": manifest.total_weight(),
            "excluded": manifest.exclusion_counts(),
        }))?;
        return Ok(true);
    }
    say(format!("{} items accepted", manifest.items.len()));
    for (reason, count) in manifest.exclusion_counts() {
        say(format!("{count} left out: {reason}"));
    }
    if let Some(id) = id {
        output::line(id)?;
    } else {
        output::line(digest)?;
        say(format!(
            "nothing is registered; with --register, chain {} holds it",
            workspace.chain().chain_id()
        ));
    }
    Ok(true)
}
