//! `probity model lineage` and `diff`.

use std::path::Path;

use alloy_primitives::B256;
use anyhow::{Context as _, bail};
use probity_compute::ListedTensor;
use probity_node::{Listed, ModelDiff, NodeError, Workspace, archive};
use probity_provenance::lineage::Lineage;

use crate::{args::Folder, output, settings};

pub(super) async fn lineage(
    model: B256,
    svg: Option<&Path>,
    folder: &Folder,
    json: bool,
) -> anyhow::Result<bool> {
    let lineage = drawn(&settings::open(folder).await?, model, svg).await?;
    if json {
        output::json(&lineage)?;
    } else {
        output::line(lineage.text().trim_end())?;
    }
    Ok(true)
}

/// The lineage, which is drawn into a new file if one is named.
pub(crate) async fn drawn(
    workspace: &Workspace,
    model: B256,
    svg: Option<&Path>,
) -> anyhow::Result<Lineage> {
    if let Some(path) = svg.filter(|path| path.exists()) {
        return Err(NodeError::Exists(path.to_owned()).into());
    }
    let lineage = workspace.lineage(model).await?;
    if let Some(path) = svg {
        archive::write_new(path, lineage.svg().as_bytes())?;
    }
    Ok(lineage)
}

pub(super) async fn diff(
    first: &str,
    second: &str,
    folder: &Folder,
    json: bool,
) -> anyhow::Result<bool> {
    let mut workspace = None;
    let first = listed(first, folder, &mut workspace).await?;
    let second = listed(second, folder, &mut workspace).await?;
    let diff = ModelDiff::of(&first, &second);
    if json {
        output::json(&diff)?;
    } else {
        show(&diff)?;
    }
    Ok(diff.is_empty())
}

/// The model at a path, or of a checkpoint in the workspace, which is opened where it is needed.
async fn listed(
    text: &str,
    folder: &Folder,
    workspace: &mut Option<Workspace>,
) -> anyhow::Result<Listed> {
    let path = Path::new(text);
    if path.exists() {
        return Ok(Listed::at(path)?);
    }
    let Ok(id) = text.parse::<B256>() else {
        bail!("`{text}` is neither a file, nor a folder, nor the id of a checkpoint");
    };
    if workspace.is_none() {
        *workspace = Some(settings::open(folder).await?);
    }
    let workspace = workspace.as_ref().context("the workspace was just opened")?;
    Ok(workspace.list_checkpoint(id).await?)
}

fn show(diff: &ModelDiff) -> anyhow::Result<()> {
    for file in &diff.files {
        let what = match (file.from, file.to) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        output::line(format!("{what:<8} file {}", file.name))?;
    }
    let tensor = |listed: &ListedTensor| {
        let tensor = &listed.tensor;
        format!("{} {:?}", tensor.dtype, tensor.shape)
    };
    let named = |what: &str, listed: &ListedTensor, text: String| {
        output::line(format!("{what:<8} tensor {} ({}): {text}", listed.tensor.name, listed.file))
    };
    for listed in &diff.tensors.added {
        named("added", listed, tensor(listed))?;
    }
    for listed in &diff.tensors.removed {
        named("removed", listed, tensor(listed))?;
    }
    for change in &diff.tensors.changed {
        let (from, to) = (tensor(&change.from), tensor(&change.to));
        let text =
            if from == to { format!("{to}, other values") } else { format!("{from} -> {to}") };
        named("changed", &change.to, text)?;
    }
    output::line(format!("{} tensors are the same", diff.tensors.same))
}
