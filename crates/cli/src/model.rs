//! `probity model`.

mod checkpoint;
mod lineage;
mod sign;

use std::collections::BTreeMap;

use probity_node::ModelPlan;
use serde_json::json;

use crate::{args::Model, output, settings};

pub(crate) async fn run(command: Model, json: bool) -> anyhow::Result<bool> {
    match command {
        Model::Register { name, description, accountant, data_bps, court, signer } => {
            let court = settings::court(&court)?;
            let (mut workspace, key) = settings::signer(&signer).await?;
            let accountant = match accountant {
                Some(account) => account,
                None => key.address()?,
            };
            let plan = ModelPlan { name, description, accountant, data_bps, court };
            let (id, _, receipt) = workspace.register_model(&key, &plan).await?;
            if json {
                output::json(&json!({ "model": id, "gas": receipt.gas }))?;
            } else {
                output::line(id)?;
            }
            Ok(true)
        }
        Model::Train { model, dataset, config, signer } => {
            let config = config.as_deref().map(settings::toml).transpose()?.unwrap_or_default();
            let (mut workspace, key) = settings::signer(&signer).await?;
            let record = workspace.dataset(dataset).await?;
            let manifest = workspace.manifest(&record.manifest.into()).await?;
            let (run_id, run, _) = workspace.commit_run(&key, dataset, &manifest, &config).await?;
            output::say(format!("run {run_id} committed"));
            let bar = output::bar("training");
            bar.set_length(config.epochs.into());
            let trained = workspace
                .train(&manifest, &config, &mut |progress| {
                    bar.set_position(progress.epoch.into());
                })
                .await?;
            bar.finish_and_clear();
            let (id, checkpoint, _) =
                workspace.register_checkpoint(&key, model, &run, &trained, BTreeMap::new()).await?;
            if json {
                output::json(
                    &json!({ "checkpoint": id, "run": run_id, "digest": checkpoint.digest }),
                )?;
            } else {
                output::line(id)?;
            }
            Ok(true)
        }
        Model::Checkpoint(checkpoint) => checkpoint::run(checkpoint, json).await,
        Model::Lineage { model, svg, folder } => {
            lineage::lineage(model, svg.as_deref(), &folder, json).await
        }
        Model::Diff { first, second, folder } => {
            lineage::diff(&first, &second, &folder, json).await
        }
        Model::ExportBom { model, folder } => {
            output::json(&settings::open(&folder).await?.bill_of_materials(model).await?)?;
            Ok(true)
        }
        Model::Sign { model, output, ignore, signer } => {
            sign::sign(&model, output, &ignore, &signer, json)
        }
        Model::Verify { model, signature, public_key } => {
            sign::verify(&model, signature, &public_key, json)
        }
        Model::Taint { model, folder } => {
            let tainted = settings::open(&folder).await?.is_model_tainted(model).await?;
            if json {
                output::json(&json!({ "model": model, "tainted": tainted }))?;
            } else {
                output::line(if tainted { "tainted" } else { "not tainted" })?;
            }
            Ok(!tainted)
        }
    }
}
