//! `probity content` and `probity optout`.

use std::{collections::BTreeSet, path::Path};

use probity_core::{
    Digest,
    licence::{LicenceTerms, Permission},
    money::Bps,
    salted,
};
use probity_node::{AbsentWork, Work};
use probity_provenance::content::Payee;
use serde_json::json;

use crate::{
    args::{AiTrain, Content, OptOut, RegisterContent, Signer, Terms},
    inspect, output, reservation, settings, sign, similar,
};

pub(crate) async fn content(command: Content, json: bool) -> anyhow::Result<bool> {
    match command {
        Content::Register(args) => register(args, json).await,
        Content::Sign(args) => sign::run(&args, json),
        Content::Inspect { file, sidecar, trust } => {
            inspect::run(&file, sidecar.as_deref(), trust.as_deref(), json)
        }
        Content::Erase { works, signer } => {
            let works = works.iter().map(|text| work(text)).collect::<anyhow::Result<_>>()?;
            erase(&works, &signer, json).await
        }
        Content::Similar { work, policy, media_type, folder } => {
            similar::run(&work, policy.as_deref(), media_type.as_deref(), &folder, json).await
        }
        Content::Verify { file, folder } => {
            let work = Digest::of(&settings::read(&file)?);
            let found = settings::open(&folder).await?.registrations(&work).await?;
            let rows: Vec<_> = found
                .iter()
                .map(|batch| {
                    json!({
                        "work": work,
                        "author": batch.predicate.author,
                        "licence": batch.predicate.licence,
                        "statement": batch.statement,
                        "time": batch.predicate.time,
                    })
                })
                .collect();
            if json {
                output::json(&rows)?;
                return Ok(!rows.is_empty());
            }
            for batch in &found {
                output::line(format!(
                    "{} registered by {} under {}, in statement {}",
                    work, batch.predicate.author, batch.predicate.licence.spdx, batch.statement
                ))?;
            }
            if found.is_empty() {
                output::line(format!("{work} is not registered"))?;
            }
            Ok(!found.is_empty())
        }
    }
}

/// The terms, and who earns if it is not the author alone.
pub(crate) fn agreed(terms: &Terms) -> anyhow::Result<(LicenceTerms, Option<Vec<Payee>>)> {
    let payees = terms.split.as_deref().map(settings::split).transpose()?;
    let licence = LicenceTerms {
        train: match terms.ai_train {
            AiTrain::Allow => Permission::Allow,
            AiTrain::Constrained => Permission::Constrained,
            AiTrain::Deny => Permission::Deny,
        },
        commercial: !terms.non_commercial,
        ..LicenceTerms::open(&terms.licence)?
    };
    Ok((licence, payees))
}

async fn register(args: RegisterContent, json: bool) -> anyhow::Result<bool> {
    let RegisterContent { files, terms, media_type, private, lines, signer } = args;
    let (terms, payees) = agreed(&terms)?;
    let mut works = Vec::new();
    for file in &files {
        works.extend(works_of(file, settings::read(file)?, lines));
    }
    if private {
        for work in &mut works {
            work.bytes = salted::seal(&work.bytes)?;
        }
    }
    let (mut workspace, key) = settings::signer(&signer).await?;
    let author = key.address()?;
    let payees = payees.unwrap_or_else(|| vec![Payee { account: author, bps: Bps::WHOLE }]);
    workspace.register_licence(&key, &terms).await?;
    let done = workspace.contribute(&key, terms, payees, &media_type, &works).await?;
    if json {
        let named = done.batch.works.iter();
        let named: Vec<_> =
            named.map(|(name, work)| json!({ "name": name, "digest": work })).collect();
        output::json(&json!({
            "statement": done.batch.statement,
            "anchor": done.anchor,
            "works": named,
            "transaction": done.receipt.transaction,
            "gas": done.receipt.gas,
        }))?;
    } else {
        output::line(done.batch.statement)?;
        output::say(format!("{} works, one anchor for {} gas", works.len(), done.receipt.gas));
    }
    Ok(true)
}

async fn erase(works: &BTreeSet<Digest>, signer: &Signer, json: bool) -> anyhow::Result<bool> {
    let (mut workspace, key) = settings::signer(signer).await?;
    let erased = workspace.erase(&key, works).await?;
    if json {
        output::json(&json!({
            "deleted": erased.deleted,
            "unsalted": erased.unsalted,
            "optedOut": erased.opted_out,
        }))?;
    } else {
        output::line(format!("{} works are erased here", erased.deleted))?;
    }
    if erased.unsalted > 0 {
        output::say(format!(
            "{} of them had no salt: whoever can guess such a work can confirm it by its digest",
            erased.unsalted
        ));
    }
    Ok(true)
}

/// A file as one work, or each of its lines, with its line end, as one.
fn works_of(file: &Path, bytes: Vec<u8>, lines: bool) -> Vec<Work> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !lines {
        return vec![Work { name, bytes }];
    }
    let line = |(index, line): (usize, &[u8])| Work {
        name: format!("{name}:{}", index + 1),
        bytes: line.to_vec(),
    };
    bytes.split_inclusive(|byte| *byte == b'\n').enumerate().map(line).collect()
}

/// A work given as a file or as its digest.
pub(crate) fn work(text: &str) -> anyhow::Result<Digest> {
    match text.parse::<Digest>() {
        Ok(digest) if !Path::new(text).exists() => Ok(digest),
        _ => Ok(Digest::of(&settings::read(Path::new(text))?)),
    }
}

pub(crate) async fn opt_out(command: OptOut, json: bool) -> anyhow::Result<bool> {
    match command {
        OptOut::Register { works, signer } => {
            let named = works.iter().map(|text| Ok((text.clone(), work(text)?)));
            let named = named.collect::<anyhow::Result<Vec<_>>>()?;
            let (mut workspace, key) = settings::signer(&signer).await?;
            let receipts = workspace.opt_out(&key, &named).await?;
            if json {
                let sent: Vec<_> = receipts.iter().map(|receipt| receipt.transaction).collect();
                output::json(&json!({ "works": named.len(), "transactions": sent }))?;
            } else {
                output::line(format!("{} works are reserved against training", receipts.len()))?;
            }
            Ok(true)
        }
        OptOut::ProveAbsent { work: text, folder } => {
            let work = work(&text)?;
            let workspace = settings::open(&folder).await?;
            if let Some(proof) = workspace.prove_not_opted_out(work).await? {
                output::json(&proof)?;
                Ok(true)
            } else {
                output::say(format!("{work} is opted out"));
                Ok(false)
            }
        }
        OptOut::Verify { proof: path } => verify(&path, json),
        OptOut::Import(args) => reservation::import(args, json).await,
        OptOut::Inspect { file, location } => {
            reservation::inspect(&file, location.as_deref(), json)
        }
    }
}

fn verify(path: &Path, json: bool) -> anyhow::Result<bool> {
    use anyhow::Context as _;
    let bytes = settings::read(path)?;
    let proof: AbsentWork = serde_json::from_slice(&bytes)
        .with_context(|| format!("`{}` is no proof of absence", path.display()))?;
    let holds = proof.verify();
    if json {
        output::json(&json!({ "work": proof.work, "list": proof.list, "absent": holds.is_ok() }))?;
    } else {
        match &holds {
            Ok(()) => output::line(format!("{} is not on list {}", proof.work, proof.list))?,
            Err(error) => output::line(format!("the proof does not hold: {error}"))?,
        }
    }
    Ok(holds.is_ok())
}
