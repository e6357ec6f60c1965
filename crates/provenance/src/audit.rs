//! The offline audit of an evidence bundle: every claim checked again, each with its label.
//!
//! Pure and total: any files in, a report out. What cannot be checked is said to be missing or only
//! asserted; nothing is shown as stronger than its evidence.

mod answers;
mod checkpoints;
mod data;
mod inference;
mod ledger_checks;
mod money;
mod relations;
mod runs;
mod signed;

use alloy_primitives::{Address, B256};
use probity_core::{Finding, Label, Severity, finding::plain};
use serde::{Deserialize, Serialize};

use crate::{
    bundle::{self, Files, Records, Sealed},
    inference::Checks,
    ledger::Ledger,
};
pub use answers::{Answer, Point, Question};

/// What the auditor knows without the bundle.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The contracts' addresses: registry, challenges, payouts.
    pub contracts: [Address; 3],
    /// The vault of a model's pool in a token.
    pub vault_of: &'a dyn Fn(B256, Address) -> Address,
    /// The checks of proofs of inference.
    pub inference: Checks<'a>,
    /// What the chain itself says of the bundle's block, if it could be asked.
    pub chain: Option<ChainNow>,
}

/// What a chain says when an audit asks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainNow {
    /// EIP-155 id.
    pub chain_id: u64,
    /// Hash of its block at the bundle's height.
    pub hash: B256,
    /// Blocks since.
    pub behind: u64,
    /// Records, challenges, payments and claims since, of anything.
    pub events: u64,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("chain", &self.chain).finish_non_exhaustive()
    }
}

/// One checked claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Stable dotted name, for example `dataset.policy`.
    pub name: String,
    /// How strong it is.
    pub label: Label,
    /// What it says.
    pub text: String,
}

/// What an audit says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The model, if the bundle could be read.
    pub model: Option<B256>,
    /// The claims in the order they build on each other.
    pub claims: Vec<Claim>,
    /// The six questions.
    pub answers: Vec<Answer>,
    /// What is wrong or weak.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is broken.
    pub fn passed(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity < Severity::Error)
    }
}

/// Collects claims and findings while the checks run.
pub(crate) struct Audit<'a> {
    sealed: Sealed<'a>,
    context: Context<'a>,
    records: Records,
    ledger: Ledger,
    /// What the chain's word counts for: verified against a known block, else attested.
    chain_label: Label,
    claims: Vec<Claim>,
    findings: Vec<Finding>,
}

impl Audit<'_> {
    fn claim(&mut self, name: &str, label: Label, text: impl Into<String>) {
        let text = plain(&text.into());
        self.claims.push(Claim { name: name.to_owned(), label, text });
    }

    fn broken(
        &mut self,
        code: &str,
        subject: impl std::fmt::Display,
        message: impl std::fmt::Display,
    ) {
        self.findings.push(Finding::error(code, subject, message));
    }

    /// The report as far as the checks came.
    fn stopped(self) -> Report {
        let Self { sealed, claims, findings, .. } = self;
        Report { model: Some(sealed.index.model), claims, answers: vec![], findings }
    }

    fn file(&self, name: &str) -> Option<&[u8]> {
        self.sealed.files.get(name).map(Vec::as_slice)
    }

    /// A file that every bundle has; a finding where it is missing or malformed.
    fn json_file<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        self.decoded_file(name, probity_core::json::decode)
    }

    /// As [`Audit::json_file`], of a kind that is decoded in a way of its own.
    fn decoded_file<T>(
        &mut self,
        name: &str,
        decode: impl FnOnce(&[u8]) -> Result<T, probity_core::json::JsonError>,
    ) -> Option<T> {
        let Some(bytes) = self.file(name) else {
            self.broken("bundle.file.missing", name, "the audit needs it");
            return None;
        };
        match decode(bytes) {
            Ok(value) => Some(value),
            Err(error) => {
                self.broken("bundle.file.malformed", name, error);
                None
            }
        }
    }
}

/// Audits a bundle.
pub fn audit(files: &Files, context: Context<'_>) -> Report {
    let sealed = match bundle::unseal(files) {
        Ok(sealed) => sealed,
        Err(findings) => {
            return Report { model: None, claims: vec![], answers: vec![], findings };
        }
    };
    let mut audit = Audit {
        sealed,
        context,
        records: Records::default(),
        ledger: Ledger::default(),
        chain_label: Label::Asserted,
        claims: vec![],
        findings: vec![],
    };
    let (exporter, count) = (audit.sealed.exporter, files.len());
    audit.claim(
        "bundle.integrity",
        Label::Verified,
        format!("all {count} files are as `{exporter}` signed them"),
    );
    if let Some(records) = audit.json_file(bundle::RECORDS) {
        audit.records = records;
    }
    if audit.records.is_excessive() {
        audit.broken("record.too-many", bundle::RECORDS, "more versions than any model has");
        return audit.stopped();
    }
    audit.check_chain();
    audit.check_records();
    audit.check_complete();
    let statements = audit.check_statements();
    let batches = audit.check_batches(&statements);
    audit.check_erasures(&statements, &batches);
    let manifests = audit.check_datasets(&statements, &batches);
    audit.check_training(&statements, &manifests);
    let inferences = audit.check_inference(&statements);
    let payouts = audit.check_payouts(&statements, &manifests, &batches);
    audit.check_model(&statements);
    let facts = answers::Facts { statements, batches, manifests, inferences, payouts };
    audit.check_curators(&facts);
    audit.check_relations(&facts);
    let answers = answers::answer(&audit, &facts);
    let Audit { sealed, claims, findings, .. } = audit;
    Report { model: Some(sealed.index.model), claims, answers, findings }
}
