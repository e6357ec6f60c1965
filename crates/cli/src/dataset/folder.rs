//! `probity dataset diff`, `export`, `verify`, `import` and `tally`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use alloy_primitives::B256;
use anyhow::{Context as _, ensure};
use probity_core::Digest;
use probity_node::dataset_folder;
use probity_provenance::{
    croissant::MANIFEST,
    dataset::{Difference, Manifest},
    folder::{self, Checked},
    weights,
};
use serde_json::json;

use crate::{
    args::{Counted, Folder, Signer},
    output::{self, say},
    settings,
};

/// A version by record id, manifest file or dataset folder.
async fn manifest(name: &str, folder: &Folder) -> anyhow::Result<Manifest> {
    let path = PathBuf::from(name);
    if path.exists() {
        let path = if path.is_dir() { path.join(MANIFEST) } else { path };
        return Ok(dataset_folder::read_manifest(&path)?);
    }
    let id: B256 = name
        .parse()
        .with_context(|| format!("`{name}` is neither a file nor a folder nor a record id"))?;
    let workspace = settings::open(folder).await?;
    let record = workspace.dataset(id).await?;
    Ok(workspace.manifest(&record.manifest.into()).await?)
}

pub(super) async fn diff(
    before: &str,
    after: &str,
    folder: &Folder,
    json: bool,
) -> anyhow::Result<bool> {
    let (before, after) = (manifest(before, folder).await?, manifest(after, folder).await?);
    let difference = Difference::between(&before, &after);
    if json {
        output::json(&difference)?;
        return Ok(difference.is_empty());
    }
    for item in &difference.added {
        output::line(format!("+ {} {}", item.content, item.digest))?;
    }
    for (item, why) in &difference.removed {
        let why = why.as_ref().map_or("not considered", |exclusion| exclusion.name());
        output::line(format!("- {} {} {why}", item.content, item.digest))?;
    }
    for (content, old, new) in &difference.reweighted {
        output::line(format!("~ {content} weight {old} to {new}"))?;
    }
    for (changed, what) in
        [(difference.policy_changed, "policy"), (difference.deny_list_changed, "opt-out list")]
    {
        if changed {
            say(format!("the {what} is another"));
        }
    }
    Ok(difference.is_empty())
}

pub(super) async fn export(
    dataset: B256,
    output: &Path,
    folder: &Folder,
    json: bool,
) -> anyhow::Result<bool> {
    let workspace = settings::open(folder).await?;
    let record = workspace.dataset(dataset).await?;
    let manifest = workspace.manifest(&record.manifest.into()).await?;
    let description = workspace.export_dataset(&manifest, output).await?;
    if json {
        output::json(&json!({
            "folder": output,
            "root": description.root,
            "items": description.items,
            "table": description.table,
            "manifest": description.manifest,
        }))?;
    } else {
        output::line(description.root)?;
        say(format!("{} items written to {}", description.items, output.display()));
    }
    Ok(true)
}

pub(super) async fn tables(
    output: &Path,
    previous: Option<B256>,
    folder: &Folder,
    json: bool,
) -> anyhow::Result<bool> {
    let workspace = settings::open(folder).await?;
    let tables = workspace.export_tables(previous.unwrap_or_default(), output).await?;
    if json {
        output::json(&json!({
            "folder": output,
            "works": tables.works,
            "optOuts": tables.opt_outs,
            "removed": tables.removed,
            "knownAuthors": tables.known_authors,
        }))?;
    } else {
        output::line(output.display())?;
        say(format!(
            "{} works, {} opted out, {} removed, {} known authors",
            tables.works, tables.opt_outs, tables.removed, tables.known_authors
        ));
    }
    Ok(true)
}

pub(super) async fn verify(
    path: &Path,
    dataset: Option<B256>,
    folder: &Folder,
    json: bool,
) -> anyhow::Result<bool> {
    let files = dataset_folder::read(path)?;
    let checked = match dataset {
        Some(id) => settings::open(folder).await?.check_dataset(&files, id).await?,
        None => folder::check(&files),
    };
    show(&checked, dataset, json)
}

pub(super) async fn import(
    path: &Path,
    dataset: B256,
    folder: &Folder,
    json: bool,
) -> anyhow::Result<bool> {
    let files = dataset_folder::read(path)?;
    let workspace = settings::open(folder).await?;
    let checked = workspace.check_dataset(&files, dataset).await?;
    if checked.findings.is_empty() {
        workspace.import_dataset(&files).await?;
    }
    show(&checked, Some(dataset), json)
}

fn show(checked: &Checked, dataset: Option<B256>, json: bool) -> anyhow::Result<bool> {
    let good = checked.findings.is_empty();
    if json {
        output::json(&json!({
            "consistent": good,
            "registered": good && dataset.is_some(),
            "root": checked.description.as_ref().map(|description| description.root),
            "findings": checked.findings,
        }))?;
        return Ok(good);
    }
    for finding in &checked.findings {
        output::line(format!("{} {}: {}", finding.code, finding.subject, finding.message))?;
    }
    if let (true, Some(description)) = (good, &checked.description) {
        output::line(format!("{} items under root {}", description.items, description.root))?;
        match dataset {
            Some(id) => say(format!("they are those of the registered dataset {id}")),
            None => say("with --dataset ID, they are compared with the registered version too"),
        }
    }
    Ok(good)
}

pub(super) async fn tally(
    counted: Counted,
    file: &Path,
    signer: &Signer,
    json: bool,
) -> anyhow::Result<bool> {
    let counts = counts(file)?;
    let counted = match counted {
        Counted::Votes => weights::Counted::Votes,
        Counted::Usage => weights::Counted::Usage,
    };
    let (mut workspace, key) = settings::signer(signer).await?;
    let statement = workspace.publish_tally(&key, counted, &counts).await?;
    if json {
        output::json(&json!({ "statement": statement, "works": counts.len() }))?;
    } else {
        output::line(statement)?;
    }
    Ok(true)
}

/// `digest,count` lines.
fn counts(file: &Path) -> anyhow::Result<BTreeMap<Digest, u64>> {
    let bytes = settings::read(file)?;
    let name = file.display();
    let text = std::str::from_utf8(&bytes).with_context(|| format!("`{name}` is not text"))?;
    let mut counts = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let parsed = line.split_once(',').and_then(|(work, count)| {
            Some((work.trim().parse().ok()?, count.trim().parse().ok()?))
        });
        let (work, count): (Digest, u64) = parsed.with_context(|| {
            format!("line {number} of `{name}`: expected a digest and a count, got `{line}`")
        })?;
        let is_new = counts.insert(work, count).is_none();
        ensure!(is_new, "line {number} of `{name}`: work `{work}` is there twice");
    }
    Ok(counts)
}
