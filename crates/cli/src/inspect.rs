//! `probity content inspect`.

use std::{ffi::OsString, path::Path};

use anyhow::Context as _;
use probity_core::{Digest, Finding, Label};
use probity_provenance::{
    media_type::MediaType,
    reservation::Decisions,
    sidecar::{Inspection, SUFFIX, inspect},
};
use serde_json::json;

use crate::{audit, media, output, reservation, settings};

pub(crate) fn run(
    file: &Path,
    sidecar: Option<&Path>,
    trust: Option<&Path>,
    json: bool,
) -> anyhow::Result<bool> {
    let bytes = settings::read(file)?;
    let inspection = look(file, sidecar, &bytes, trust)?;
    let decisions = Decisions::of(inspection.statements.clone());
    let says = inspection.claims.iter().any(|claim| claim.label > Label::Missing);
    let answer = says && inspection.holds();
    if json {
        output::json(&json!({
            "work": Digest::of(&bytes),
            "mediaType": MediaType::of(&bytes).map(MediaType::name),
            "claims": inspection.claims,
            "reservesTraining": decisions.reserve_training(),
            "decisions": decisions,
            "findings": inspection.findings,
            "holds": answer,
        }))?;
        return Ok(answer);
    }
    for claim in &inspection.claims {
        output::line(format!("{:<12} {}: {}", output::label(claim.label), claim.name, claim.text))?;
    }
    reservation::show(&decisions)?;
    audit::findings(&inspection.findings)?;
    output::line(match (inspection.holds(), says) {
        (false, _) => "FAIL: a claim is broken",
        (true, true) => "PASS: every claim holds as labelled",
        (true, false) => "nothing is said about this work",
    })?;
    Ok(answer)
}

/// Looks into the file, and at the sidecar beside it.
fn look(
    file: &Path,
    sidecar: Option<&Path>,
    bytes: &[u8],
    trust: Option<&Path>,
) -> anyhow::Result<Inspection> {
    let mut inspection = Inspection::default();
    let mut usual = OsString::from(file);
    usual.push(SUFFIX);
    let has_sidecar = sidecar.is_some() || Path::new(&usual).exists();
    let sidecar = sidecar.unwrap_or(Path::new(&usual));
    if let Some(media_type) = MediaType::of(bytes) {
        let anchors = trust.map(anchors).transpose()?;
        match media::inspect(bytes, media_type, anchors.as_deref()) {
            Ok((_, manifest)) => inspection.extend(manifest),
            // The sidecar can be told about without a manifest.
            Err(error) if has_sidecar && error.is::<media::Unsupported>() => {
                let code = "media.unsupported";
                inspection.findings.push(Finding::warning(code, media_type, error));
            }
            Err(error) => return Err(error),
        }
    }
    if has_sidecar {
        inspection.extend(inspect(&settings::read(sidecar)?, Digest::of(bytes)));
    } else if MediaType::of(bytes).is_none() {
        let text = format!("there is no sidecar `{}`", sidecar.display());
        inspection.claim("content.sidecar", Label::Missing, text);
    }
    Ok(inspection)
}

fn anchors(path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    let text = String::from_utf8(settings::read(path)?);
    let text = text.with_context(|| format!("`{name}` is not text"))?;
    anyhow::ensure!(
        text.contains("-----BEGIN CERTIFICATE-----"),
        "`{name}` holds no certificate in PEM"
    );
    Ok(text)
}
