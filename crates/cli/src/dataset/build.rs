//! `probity dataset build`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, B256};
use anyhow::{Context as _, bail};
use probity_core::Digest;
use probity_node::{DatasetPlan, Workspace, dataset_folder};
use probity_provenance::dataset::{Excluded, Exclusion, Manifest, Policy};
use serde_json::json;

use crate::{
    args::BuildDataset,
    output::{self, say},
    settings,
};

/// What is built from.
struct Selection {
    /// A folder's works and where they are; everything registered without one.
    works: Option<BTreeMap<Digest, PathBuf>>,
    name: String,
}

fn select(args: &BuildDataset) -> anyhow::Result<Selection> {
    let dir = Path::new(&args.target);
    if !dir.is_dir() {
        if args.lines || args.name.is_some() {
            bail!("`{}` is not a folder; --lines and --name belong to one", args.target);
        }
        return Ok(Selection { works: None, name: args.target.clone() });
    }
    let of_folder = || {
        let full = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        full.file_name().map(|name| name.to_string_lossy().into_owned())
    };
    let name =
        args.name.clone().or_else(of_folder).context("the folder has no name: use --name")?;
    Ok(Selection { works: Some(dataset_folder::works_in(dir, args.lines)?), name })
}

pub(super) async fn run(args: BuildDataset, json: bool) -> anyhow::Result<bool> {
    let policy: Policy =
        args.policy.as_deref().map(settings::toml).transpose()?.unwrap_or_default();
    let selection = select(&args)?;
    let court = args.court.as_deref().map(settings::court).transpose()?;
    let previous = args.previous.unwrap_or_default();
    let plan = court.map(|court| DatasetPlan {
        name: selection.name.clone(),
        policy: policy.clone(),
        previous,
        treasury: args.treasury.unwrap_or(Address::ZERO),
        treasury_bps: args.treasury_bps.unwrap_or_default(),
        court,
    });
    let signer = args.signer.signer();
    let mut built = if let (true, Some(plan), Some(signer)) = (args.register, plan, signer) {
        let (mut workspace, key) = settings::signer(&signer).await?;
        let manifest = apply(&workspace, &selection, &policy, previous).await?;
        let (id, ..) = workspace.register_dataset(&key, &manifest, &plan).await?;
        Built { workspace, manifest, id: Some(id), unregistered: vec![] }
    } else {
        let workspace = settings::open(&args.signer.folder).await?;
        let manifest = apply(&workspace, &selection, &policy, previous).await?;
        Built { workspace, manifest, id: None, unregistered: vec![] }
    };
    built.unregistered = unregistered(&built.workspace, &selection).await?;
    if let Some(path) = &args.manifest {
        std::fs::write(path, built.manifest.to_json()?)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    if let Some(dir) = &args.output {
        built.workspace.export_dataset(&built.manifest, dir).await?;
        say(format!("written to {}", dir.display()));
    }
    built.show(args.report, json)
}

async fn apply(
    workspace: &Workspace,
    selection: &Selection,
    policy: &Policy,
    previous: B256,
) -> anyhow::Result<Manifest> {
    let name = &selection.name;
    Ok(match &selection.works {
        None => workspace.plan_dataset(name, policy, previous).await?,
        Some(works) => {
            let works: BTreeSet<Digest> = works.keys().copied().collect();
            workspace.plan_dataset_of(name, policy, previous, &works).await?
        }
    })
}

/// The folder's files that nobody registered: there is no author, no licence and nobody to pay.
async fn unregistered(
    workspace: &Workspace,
    selection: &Selection,
) -> anyhow::Result<Vec<(Digest, PathBuf)>> {
    let Some(works) = &selection.works else { return Ok(vec![]) };
    let registered = workspace.registered(&works.keys().copied().collect()).await?;
    let others = works.iter().filter(|(work, _)| !registered.contains(work));
    Ok(others.map(|(work, path)| (*work, path.clone())).collect())
}

struct Built {
    workspace: Workspace,
    manifest: Manifest,
    id: Option<B256>,
    unregistered: Vec<(Digest, PathBuf)>,
}

impl Built {
    /// Exclusions that say something: works that were not asked for do not.
    fn excluded(&self) -> impl Iterator<Item = &Excluded> {
        self.manifest.excluded.iter().filter(|e| e.exclusion != Exclusion::NotSelected)
    }

    fn show(&self, report: bool, json: bool) -> anyhow::Result<bool> {
        let manifest = &self.manifest;
        let (digest, root) = (manifest.digest()?, manifest.tree()?.root());
        if json {
            let mut value = json!({
                "dataset": self.id,
                "manifest": digest,
                "root": root,
                "items": manifest.items.len(),
                "totalWeight": manifest.total_weight(),
                "formula": manifest.policy.weights.name(),
                "excluded": manifest.exclusion_counts(),
                "unregistered": self.unregistered.len(),
            });
            if report && let Some(object) = value.as_object_mut() {
                let files = self.unregistered.iter();
                let files = files.map(|(work, path)| json!({ "digest": work, "file": path }));
                object.insert("exclusions".to_owned(), json!(self.excluded().collect::<Vec<_>>()));
                object.insert("unregisteredFiles".to_owned(), files.collect());
            }
            output::json(&value)?;
            return Ok(true);
        }
        say(format!("{} items accepted", manifest.items.len()));
        for (reason, count) in manifest.exclusion_counts() {
            say(format!("{count} left out: {reason}"));
        }
        if !self.unregistered.is_empty() {
            say(format!("{} left out: not registered", self.unregistered.len()));
        }
        if report {
            self.list()?;
        }
        if let Some(id) = self.id {
            output::line(id)?;
        } else {
            output::line(digest)?;
            say(format!(
                "nothing is registered; with --register, chain {} holds it",
                self.workspace.chain().chain_id()
            ));
        }
        Ok(true)
    }

    /// A line for each work left out: digest, reason, and what the reason rests on.
    fn list(&self) -> anyhow::Result<()> {
        for Excluded { digest, exclusion, .. } in self.excluded() {
            let mut details = serde_json::to_value(exclusion)?;
            if let Some(object) = details.as_object_mut() {
                object.remove("reason");
            }
            let details = if details == json!({}) { String::new() } else { format!(" {details}") };
            output::line(format!("{digest} {}{details}", exclusion.name()))?;
        }
        for (digest, path) in &self.unregistered {
            output::line(format!("{digest} not-registered {}", path.display()))?;
        }
        Ok(())
    }
}
