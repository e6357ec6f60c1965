//! Fake labels: registered, found, challenged, defended, ruled on.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use probity_compute::{Outlier, Sample, outliers};
use probity_core::{Digest, json};
use probity_provenance::dataset::Item;
use serde_json::json;

use super::{BOND, FAKES, Labels, Samples, Story, dollars};
use crate::{Challenge, Decision, NodeError, Reason};

/// Neighbours that must all contradict a label.
const NEIGHBOURS: usize = 5;

/// Every so many rows say the next digit.
pub(super) fn with_fake_labels(mut rows: Vec<String>) -> Vec<String> {
    let step = (rows.len() / FAKES).max(1);
    for row in rows.iter_mut().step_by(step).take(FAKES) {
        if let Some((features, label)) = row.trim_end().rsplit_once(',')
            && let Ok(label) = label.parse::<u8>()
        {
            *row = format!("{features},{}\n", (label + 1) % 10);
        }
    }
    rows
}

/// A challenged item and what the story knows of it.
struct Case {
    challenge: Challenge,
    author: Address,
    is_true: bool,
}

impl Story<'_> {
    /// An auditor challenges labels that contradict their neighbourhood. Authors of true ones
    /// answer, and the court keeps them; mallory defends one fake and loses; the rest go unanswered.
    pub(super) async fn challenge_labels(
        &mut self,
        samples: &Samples,
    ) -> Result<Labels, NodeError> {
        self.title("An auditor challenges labels that contradict their neighbourhood");
        let truth: BTreeSet<Digest> =
            samples.rows.iter().map(|row| Digest::of(row.as_bytes())).collect();
        let (items, parsed) = self.dataset_samples().await?;
        let found = outliers(&parsed, NEIGHBOURS);
        self.done(format!(
            "{} of {} items have a label that their {NEIGHBOURS} nearest neighbours contradict",
            found.len(),
            items.len()
        ));
        self.mint("auditor", u128::from(BOND) * found.len() as u128).await?;
        let mut cases = Vec::with_capacity(found.len());
        let mut unanswered = Vec::new();
        for outlier in &found {
            let case = self.challenge_one(&items, outlier, &truth).await?;
            // At once, while its window is open: authors watch for challenges of their works.
            let is_first_fake = !case.is_true && cases.iter().all(|case: &Case| case.is_true);
            if case.is_true || is_first_fake {
                self.answer_and_rule(&case).await?;
            } else {
                unanswered.push(case.challenge.clone());
            }
            cases.push(case);
        }
        self.done(format!("challenged {}, {} at stake each", cases.len(), dollars(BOND.into())));
        self.settle_unanswered(&unanswered).await?;
        let auditor = self.key("auditor")?;
        if let Some((owed, _)) = self.workspace.withdraw_bonds(&auditor, self.token).await? {
            self.done(format!("bonds worth {} go to the auditor", dollars(owed.saturating_to())));
        }
        let labels = Labels {
            fake: items.iter().filter(|item| !truth.contains(&item.digest)).count(),
            caught: cases.iter().filter(|case| !case.is_true).count(),
            wrongly_challenged: cases.iter().filter(|case| case.is_true).count(),
        };
        self.done(format!(
            "{} of {} fake labels were caught; {} true ones were challenged and kept",
            labels.caught, labels.fake, labels.wrongly_challenged
        ));
        if self.workspace.is_model_tainted(self.model).await? {
            self.done("the model's checkpoint is tainted until it is trained on a new version");
        }
        Ok(labels)
    }

    async fn dataset_samples(&self) -> Result<(Vec<Item>, Vec<Sample>), NodeError> {
        let record = self.workspace.dataset(self.dataset).await?;
        let items = self.workspace.manifest(&record.manifest.into()).await?.items;
        let mut samples = Vec::with_capacity(items.len());
        for item in &items {
            samples.push(self.workspace.sample(item).await?);
        }
        Ok((items, samples))
    }

    async fn challenge_one(
        &self,
        items: &[Item],
        outlier: &Outlier,
        truth: &BTreeSet<Digest>,
    ) -> Result<Case, NodeError> {
        let item = items.get(outlier.index);
        let item = item.ok_or_else(|| NodeError::Unknown(format!("item {}", outlier.index)))?;
        let neighbours: Vec<Digest> =
            outlier.neighbours.iter().filter_map(|at| Some(items.get(*at)?.digest)).collect();
        let evidence = json::canonical(&json!({
            "item": item.digest,
            "method": "nearest neighbours by squared Euclidean distance, unanimous",
            "neighbours": neighbours,
            "expectedLabel": outlier.expected,
        }))?;
        // The author's bond too, so that answering takes no longer than it has to.
        self.mint(&self.name_of(item.author)?, BOND.into()).await?;
        let auditor = self.key("auditor")?;
        let (challenge, _) = self
            .workspace
            .challenge(&auditor, self.dataset, item.index, Reason::FakeLabel, evidence)
            .await?;
        Ok(Case { challenge, author: item.author, is_true: truth.contains(&item.digest) })
    }

    async fn answer_and_rule(&mut self, case: &Case) -> Result<(), NodeError> {
        let name = self.name_of(case.author)?;
        let rebuttal = b"look at the picture: the label is right".to_vec();
        let author = self.key(&name)?;
        self.workspace.answer_challenge(&author, &case.challenge, rebuttal).await?;
        self.rule(case).await?;
        let kept = if case.is_true { "it stays" } else { "it goes" };
        self.done(format!("{name} answers; two of three arbiters looked at it: {kept}"));
        self.workspace.withdraw_bonds(&author, self.token).await?;
        Ok(())
    }

    async fn rule(&self, case: &Case) -> Result<(), NodeError> {
        let opinion = if case.is_true { "the label is right" } else { "the label is wrong" };
        let opinion = self.workspace.store_object(opinion.as_bytes().to_vec()).await?;
        let decision = Decision { upheld: !case.is_true, opinion };
        let mut signed = Vec::new();
        for arbiter in ["judge", "customer"] {
            let key = self.key(arbiter)?;
            signed.push(self.workspace.sign_ruling(&key, &case.challenge, &decision)?);
        }
        let judge = self.key("judge")?;
        self.workspace.rule_challenge(&judge, &case.challenge, &decision, &signed).await?;
        Ok(())
    }

    async fn settle_unanswered(&mut self, open: &[Challenge]) -> Result<(), NodeError> {
        let Some(last) = open.last() else { return Ok(()) };
        let deadline = self.workspace.challenge_deadline(last).await?;
        self.wait_until_after(deadline).await?;
        let auditor = self.key("auditor")?;
        for challenge in open {
            self.workspace.settle_challenge(&auditor, challenge).await?;
        }
        self.done(format!("{} went unanswered: removed from the dataset", open.len()));
        Ok(())
    }
}
