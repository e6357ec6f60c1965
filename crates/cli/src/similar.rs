//! `probity content similar`.

use std::path::Path;

use alloy_primitives::B256;
use anyhow::Context as _;
use probity_core::Digest;
use probity_node::{Similar, SimilarWorks, Sought};
use probity_provenance::{
    dataset::Policy,
    near::{NearPolicy, Resemblance, View},
};

use crate::{
    args::Folder,
    output::{self, say},
    settings,
};

/// What is looked for: a file, or a digest or id.
fn sought(text: &str) -> anyhow::Result<Sought> {
    if !Path::new(text).exists() {
        let digest = text.parse::<Digest>().map(B256::from);
        if let Ok(id) = digest.or_else(|_| text.parse()) {
            return Ok(Sought::Registered(id));
        }
    }
    Ok(Sought::Bytes(settings::read(Path::new(text))?))
}

fn near(policy: Option<&Path>) -> anyhow::Result<NearPolicy> {
    let Some(path) = policy else { return Ok(NearPolicy::all_kinds()) };
    let policy: Policy = settings::toml(path)?;
    policy.near.with_context(|| format!("`{}` has no `[near]`", path.display()))
}

pub(crate) async fn run(
    work: &str,
    policy: Option<&Path>,
    media_type: Option<&str>,
    folder: &Folder,
    json: bool,
) -> anyhow::Result<bool> {
    let (sought, near) = (sought(work)?, near(policy)?);
    let said = settings::open(folder).await?.similar(&near, sought, media_type).await?;
    if json {
        output::json(&said)?;
    } else {
        show(&said)?;
    }
    Ok(!said.found.is_empty())
}

/// As evidence has it.
fn name_of(view: View) -> anyhow::Result<String> {
    Ok(serde_json::to_value(view)?.as_str().unwrap_or_default().to_owned())
}

fn show(said: &SimilarWorks) -> anyhow::Result<()> {
    for Similar { digest, name, author, resemblance, .. } in &said.found {
        let how = match resemblance {
            None => "the same bytes".to_owned(),
            Some(Resemblance::IsccImage { view, of_view, distance, difference, .. }) => format!(
                "iscc-image {distance} of 64 bits differ, small copies by {difference}: {} like {}",
                name_of(*view)?,
                name_of(*of_view)?
            ),
            Some(Resemblance::IsccText { matches, .. }) => {
                format!("iscc-text {matches} of 64 agree")
            }
            Some(Resemblance::IsccData { matches, .. }) => {
                format!("iscc-data {matches} of 64 agree")
            }
        };
        output::line(format!("{digest} {how}; `{name}` of {author}"))?;
    }
    if said.found.is_empty() {
        output::line(format!("{} resembles nothing that is registered", said.work))?;
    }
    if !said.comparable {
        say(
            "only equal bytes were looked for: its kind is not compared, or it is too small or flat",
        );
    }
    say(format!("compared with {} works; {} are not kept here", said.compared, said.missing));
    Ok(())
}
