//! The author's signed statement that comes with one work: in a file beside it, or inside it.
//!
//! It is the statement of [`crate::content`], so the author may register the very same words.

use probity_core::{
    Digest, Finding, Label,
    licence::{LicenceTerms, Permission},
    statement,
};

use crate::{
    audit::Claim,
    content::Batch,
    reservation::{Standard, Statement, Use},
};

/// What a sidecar's name adds to the name of the file it is about.
pub const SUFFIX: &str = ".probity.json";

/// What is known about one work, and how well.
#[derive(Debug, Clone, Default)]
pub struct Inspection {
    /// The claims, each with its label.
    pub claims: Vec<Claim>,
    /// What all sources say about the uses of the work.
    pub statements: Vec<Statement>,
    /// What is wrong or weak.
    pub findings: Vec<Finding>,
}

impl Inspection {
    /// Adds a claim.
    pub fn claim(&mut self, name: &str, label: Label, text: impl Into<String>) {
        let text = probity_core::finding::plain(&text.into());
        self.claims.push(Claim { name: name.to_owned(), label, text });
    }

    /// Whether no claim is broken.
    pub fn holds(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != probity_core::Severity::Error)
    }

    /// Adds what another source says.
    pub fn extend(&mut self, other: Self) {
        self.claims.extend(other.claims);
        self.statements.extend(other.statements);
        self.findings.extend(other.findings);
    }
}

/// Checks an author's statement against the digest of the work it comes with. Total on any bytes.
///
/// Codes: `content.statement.malformed`, `content.statement.other-work`, and those of
/// [`probity_core::dsse`].
pub fn inspect(envelope: &[u8], work: Digest) -> Inspection {
    let mut inspection = Inspection::default();
    let malformed =
        |error: &dyn std::error::Error| Finding::error("content.statement.malformed", work, error);
    let signed = match statement::open(envelope) {
        Ok(signed) => signed,
        Err(error) => {
            inspection.findings.push(malformed(&error));
            return inspection;
        }
    };
    inspection.findings.extend(signed.findings.iter().cloned());
    let batch = match Batch::open(&signed) {
        Ok(batch) => batch,
        Err(error) => {
            inspection.findings.push(malformed(&error));
            return inspection;
        }
    };
    if !signed.is_about(&work) {
        let message = "the author's statement is about other works";
        inspection.findings.push(Finding::error("content.statement.other-work", work, message));
        return inspection;
    }
    if !inspection.holds() {
        return inspection;
    }
    describe(&mut inspection, &batch, work);
    inspection
}

fn describe(inspection: &mut Inspection, batch: &Batch, work: Digest) {
    let predicate = &batch.predicate;
    let bound = format!("the statement names these bytes, SHA-256 {work}");
    inspection.claim("content.work", Label::Verified, bound);
    let author = format!("account {} signed statement {}", predicate.author, batch.statement);
    inspection.claim("content.author", Label::Attested, author);
    inspection.claim("content.terms", Label::Attested, terms(&predicate.licence));
    let payees = predicate.payees.iter();
    let payees = payees.map(|payee| format!("{} {}/10000", payee.account, payee.bps.get()));
    let payees = payees.collect::<Vec<_>>().join(", ");
    inspection.claim("content.payees", Label::Attested, payees);
    let rights = "that the author holds the rights is the author's word";
    inspection.claim("content.rights", Label::Asserted, rights);
    inspection.statements.extend(reservations(batch));
}

fn terms(licence: &LicenceTerms) -> String {
    let word = |permitted: bool| if permitted { "yes" } else { "no" };
    let train = match licence.train {
        Permission::Allow => "allowed",
        Permission::Constrained => "constrained",
        Permission::Deny => "not allowed",
    };
    format!(
        "{}; training {train}, commercial use {}, derivatives {}, attribution {}, revenue share {}/10000",
        licence.spdx,
        word(licence.commercial),
        word(licence.derivatives),
        word(licence.attribution),
        licence.revenue_share.get()
    )
}

/// What the terms say about training, beside what other sources do.
fn reservations(batch: &Batch) -> impl Iterator<Item = Statement> {
    let licence = &batch.predicate.licence;
    let (permission, note) = (licence.train, licence.spdx.clone());
    let evidence = batch.statement;
    [Use::AiTraining, Use::AiGenerativeTraining].into_iter().map(move |usage| Statement {
        usage,
        permission,
        standard: Standard::Probity,
        evidence,
        part: "licence.train".to_owned(),
        note: Some(note.clone()),
    })
}

#[cfg(test)]
mod tests {
    use probity_core::{
        dsse::Envelope,
        keys::{KeyType, SecretKey},
        money::Bps,
    };

    use super::*;
    use crate::content::{ContentPredicate, Payee};

    fn envelope(key: &SecretKey, work: &[u8]) -> Vec<u8> {
        let author = key.address().unwrap();
        let licence =
            LicenceTerms { train: Permission::Deny, ..LicenceTerms::open("CC-BY-4.0").unwrap() };
        let payees = vec![Payee { account: author, bps: Bps::WHOLE }];
        let media_type = "text/plain".to_owned();
        let predicate = ContentPredicate { author, licence, media_type, payees, time: 7 };
        let works = vec![("poem.txt".to_owned(), Digest::of(work))];
        Batch::sign(&predicate, works, key).unwrap().1.to_json().unwrap()
    }

    fn codes(inspection: &Inspection) -> Vec<&str> {
        inspection.findings.iter().map(|finding| finding.code.as_str()).collect()
    }

    #[test]
    fn labels_are_no_stronger_than_their_evidence() {
        let key = SecretKey::generate(KeyType::Secp256k1).unwrap();
        let inspection = inspect(&envelope(&key, b"poem"), Digest::of(b"poem"));
        assert!(inspection.holds());
        let labels: Vec<_> =
            inspection.claims.iter().map(|claim| (claim.name.as_str(), claim.label)).collect();
        assert_eq!(
            labels,
            [
                ("content.work", Label::Verified),
                ("content.author", Label::Attested),
                ("content.terms", Label::Attested),
                ("content.payees", Label::Attested),
                ("content.rights", Label::Asserted),
            ]
        );
        let decisions = crate::reservation::Decisions::of(inspection.statements);
        assert!(decisions.reserve_training());
    }

    #[test]
    fn each_tampering_has_its_finding_and_leaves_no_claim() {
        let key = SecretKey::generate(KeyType::Secp256k1).unwrap();
        let good = envelope(&key, b"poem");
        let work = Digest::of(b"poem");
        let other = inspect(&good, Digest::of(b"another"));
        assert_eq!(codes(&other), ["content.statement.other-work"]);
        let mut envelope = Envelope::from_json(&good).unwrap();
        let payload = String::from_utf8(envelope.payload.clone()).unwrap();
        envelope.payload = payload.replace("\"deny\"", "\"allow\"").into_bytes();
        let changed = inspect(&envelope.to_json().unwrap(), work);
        assert_eq!(codes(&changed), ["dsse.signature.invalid", "content.statement.malformed"]);
        let stranger = SecretKey::generate(KeyType::Secp256k1).unwrap();
        let statement = statement::open(&good).unwrap().statement;
        let signed = statement.sign(&[&stranger]).unwrap().to_json().unwrap();
        assert_eq!(codes(&inspect(&signed, work)), ["content.statement.malformed"]);
        for end in 0..good.len() {
            let cut = inspect(&good[..end], work);
            assert!(!cut.holds() && cut.claims.is_empty() && cut.statements.is_empty());
        }
        for bad in [other, changed] {
            assert!(bad.claims.is_empty() && bad.statements.is_empty());
        }
    }
}
