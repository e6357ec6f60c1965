//! `probity audit`, and reports in general.

use probity_chain::Client;
use probity_core::{Finding, Severity};
use probity_node::{NodeError, archive, audit_bundle};
use probity_provenance::audit::Report;

use crate::{args::Audit, output};

pub(crate) async fn run(args: Audit, json: bool) -> anyhow::Result<bool> {
    let files = match archive::read(&args.file) {
        Ok(files) => files,
        // A bundle that is no bundle is a broken claim, not a failure of ours.
        Err(error @ NodeError::Archive { .. }) => {
            let finding = Finding::error("bundle.archive.invalid", args.file.display(), error);
            let report =
                Report { model: None, claims: vec![], answers: vec![], findings: vec![finding] };
            return show(&report, json);
        }
        Err(error) => return Err(error.into()),
    };
    let chain = match &args.rpc {
        Some(url) => Some(Client::http(url).await.map_err(NodeError::from)?),
        None => None,
    };
    show(&audit_bundle(&files, chain.as_ref()).await?, json)
}

fn show(report: &Report, json: bool) -> anyhow::Result<bool> {
    if json {
        output::json(report)?;
        return Ok(report.passed());
    }
    for claim in &report.claims {
        output::line(format!("{:<12} {}", output::label(claim.label), claim.text))?;
    }
    findings(&report.findings)?;
    let broken = report.findings.iter().filter(|f| f.severity == Severity::Error).count();
    if broken == 0 {
        output::line("PASS: every claim in the bundle holds as labelled")?;
    } else {
        output::line(format!("FAIL: {broken} broken"))?;
    }
    Ok(report.passed())
}

/// Prints what is broken or weak.
pub(crate) fn findings(findings: &[Finding]) -> anyhow::Result<()> {
    for finding in findings {
        let severity = match finding.severity {
            Severity::Error => "broken",
            Severity::Warning => "weak",
            Severity::Info => "note",
        };
        output::line(format!(
            "{severity} {}: {}: {}",
            finding.code, finding.subject, finding.message
        ))?;
    }
    Ok(())
}
