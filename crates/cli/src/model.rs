//! `probity model`.

mod checkpoint;
pub(crate) mod lineage;
mod sign;

use std::collections::BTreeMap;

use probity_node::ModelPlan;
use probity_provenance::permission::{Node, Obstacle, Use, decide};
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
        Model::Permits { model, commercial, derivatives, folder } => {
            let workspace = settings::open(&folder).await?;
            let revenue_share = workspace.revenue_share(model).await?;
            let lineage = workspace.licence_lineage(model).await?;
            let intended = Use { commercial, derivatives, revenue_share };
            permits(&lineage, intended, json)
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

/// What a use meets in a lineage: the nearest conflict with the way to it, and what it obliges to.
fn permits(lineage: &[Node], intended: Use, json: bool) -> anyhow::Result<bool> {
    let answer = decide(lineage, intended);
    if json {
        let permitted = answer.is_permitted();
        output::json(&json!({
            "permitted": permitted,
            "use": intended,
            "answer": answer,
            "lineage": lineage,
        }))?;
        return Ok(permitted);
    }
    if let Some(conflict) = answer.conflicts.first() {
        output::line(format!("not permitted: {}", obstacle(&conflict.obstacle, intended)))?;
        for node in conflict.path.iter().filter_map(|position| lineage.get(*position)) {
            let terms = node.terms.as_ref();
            let terms = terms.map(|(author, terms)| format!(" under {} by {author}", terms.spdx));
            let kind = format!("{:?}", node.kind).to_lowercase();
            output::line(format!("  {kind} {}{}", node.id, terms.unwrap_or_default()))?;
        }
        output::line(format!("{} sources forbid it in all", answer.conflicts.len()))?;
    } else {
        output::line("permitted")?;
    }
    for author in &answer.attribution {
        output::line(format!("name {author}"))?;
    }
    for spdx in &answer.copyleft {
        output::line(format!("look at what {spdx} passes on"))?;
    }
    Ok(answer.is_permitted())
}

fn obstacle(obstacle: &Obstacle, intended: Use) -> String {
    match obstacle {
        Obstacle::TrainingDenied => "training is denied".to_owned(),
        Obstacle::TrainingConstrained => "training is constrained: ask the author".to_owned(),
        Obstacle::NonCommercial => "commercial use is forbidden".to_owned(),
        Obstacle::NoDerivatives => "derivatives are forbidden".to_owned(),
        Obstacle::RevenueShare { asked } => format!(
            "the terms ask for {} of 10000 of the revenue, the data gets {}",
            asked.get(),
            intended.revenue_share.get()
        ),
        Obstacle::OriginUnknown => "nobody here knows what this was made from".to_owned(),
    }
}
