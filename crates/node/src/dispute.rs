//! Challenges of dataset items: staked, answered, ruled on, settled.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolValue as _;
use probity_chain::{Challenges, Receipt, convert};
use probity_core::{
    Digest,
    keys::SecretKey,
    records::{Contract, Dataset, DatasetItem, Ruling, record_id, signing_hash},
};

use crate::{NodeError, Workspace};

/// Why an item should not be in a dataset (`Reason` of the contracts, in their order).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// Its author reserved it.
    OptedOut,
    /// Its licence does not permit this use.
    LicenceMismatch,
    /// Another item is the same.
    Duplicate,
    /// It says what is not so.
    FakeLabel,
    /// Its author does not hold the rights.
    Stolen,
}

/// A challenge of one item: everything its contract calls need.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// The case's id.
    pub id: B256,
    dataset: Dataset,
    item: DatasetItem,
}

/// A court's decision, to be signed by its arbiters.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Whether the item goes.
    pub upheld: bool,
    /// Digest of the opinion, an object of the workspace.
    pub opinion: Digest,
}

impl Workspace {
    /// Challenges an item of a dataset, staking the court's bond. The evidence becomes an object.
    pub async fn challenge(
        &self,
        challenger: &SecretKey,
        dataset: B256,
        index: u64,
        reason: Reason,
        evidence: Vec<u8>,
    ) -> Result<(Challenge, Receipt), NodeError> {
        let record = self.dataset(dataset).await?;
        let manifest = self.manifest(&record.manifest.into()).await?;
        let unknown = || NodeError::Unknown(format!("item {index} of dataset {dataset}"));
        let item = manifest.items.iter().find(|item| item.index == index).ok_or_else(unknown)?;
        let proof = manifest.tree()?.proof(&item.leaf()).ok_or_else(unknown)?;
        let item = item.record();
        let challenges = self.chain().contracts().challenges;
        self.stake(challenger, &record, challenges).await?;
        let call = Challenges::challengeCall {
            dataset: convert(&record)?,
            item: convert(&item)?,
            proof,
            reason: reason as u8,
            evidence: self.objects.put(evidence).await?.into(),
        };
        let receipt = self.chain().send(challenger, challenges, &call).await?;
        Ok((self.case(record, item).await?, receipt))
    }

    /// The newest challenge of an item.
    pub async fn challenge_of(&self, dataset: B256, index: u64) -> Result<Challenge, NodeError> {
        let record = self.dataset(dataset).await?;
        let manifest = self.manifest(&record.manifest.into()).await?;
        let item = manifest.items.iter().find(|item| item.index == index);
        let unknown = || NodeError::Unknown(format!("item {index} of dataset {dataset}"));
        self.case(record, item.ok_or_else(unknown)?.record()).await
    }

    async fn case(&self, dataset: Dataset, item: DatasetItem) -> Result<Challenge, NodeError> {
        let id = record_id(&dataset);
        let call = Challenges::roundOfCall { dataset: id, item: convert(&item)? };
        let round = self.chain().call(self.chain().contracts().challenges, &call).await?;
        let values = (id, item.index, item.content, item.weight, round);
        Ok(Challenge { id: keccak256(values.abi_encode()), dataset, item })
    }

    /// Defends a challenged item, staking the same bond.
    pub async fn answer_challenge(
        &self,
        responder: &SecretKey,
        challenge: &Challenge,
        rebuttal: Vec<u8>,
    ) -> Result<Receipt, NodeError> {
        let challenges = self.chain().contracts().challenges;
        self.stake(responder, &challenge.dataset, challenges).await?;
        let call = Challenges::answerCall {
            id: challenge.id,
            dataset: convert(&challenge.dataset)?,
            item: convert(&challenge.item)?,
            rebuttal: self.objects.put(rebuttal).await?.into(),
        };
        Ok(self.chain().send(responder, challenges, &call).await?)
    }

    /// An arbiter's signature under a decision.
    pub fn sign_ruling(
        &self,
        arbiter: &SecretKey,
        challenge: &Challenge,
        decision: &Decision,
    ) -> Result<(Address, Bytes), NodeError> {
        let ruling =
            Ruling { id: challenge.id, upheld: decision.upheld, opinion: decision.opinion.into() };
        let challenges = self.chain().contracts().challenges;
        let domain = Contract::Challenges.domain(self.chain().chain_id(), challenges);
        let signature = arbiter.sign_hash(&signing_hash(&ruling, &domain))?;
        Ok((arbiter.address()?, Bytes::copy_from_slice(&signature)))
    }

    /// Carries out a decision that enough arbiters signed.
    pub async fn rule_challenge(
        &self,
        payer: &SecretKey,
        challenge: &Challenge,
        decision: &Decision,
        signed: &[(Address, Bytes)],
    ) -> Result<Receipt, NodeError> {
        let arbiters = challenge.dataset.court.arbiters.iter();
        let of = |arbiter: &Address| signed.iter().find(|(signer, _)| signer == arbiter);
        let signatures =
            arbiters.map(|arbiter| of(arbiter).map(|found| found.1.clone()).unwrap_or_default());
        let call = Challenges::ruleCall {
            id: challenge.id,
            dataset: convert(&challenge.dataset)?,
            item: convert(&challenge.item)?,
            upheld: decision.upheld,
            opinion: decision.opinion.into(),
            signatures: signatures.collect(),
        };
        Ok(self.chain().send(payer, self.chain().contracts().challenges, &call).await?)
    }

    /// Ends a case whose window is over: unanswered, the item goes; unruled, everybody gets their
    /// bond back.
    pub async fn settle_challenge(
        &self,
        payer: &SecretKey,
        challenge: &Challenge,
    ) -> Result<Receipt, NodeError> {
        let call = Challenges::settleCall {
            id: challenge.id,
            dataset: convert(&challenge.dataset)?,
            item: convert(&challenge.item)?,
        };
        Ok(self.chain().send(payer, self.chain().contracts().challenges, &call).await?)
    }

    /// Until when the case's present window runs, Unix seconds.
    pub async fn challenge_deadline(&self, challenge: &Challenge) -> Result<u64, NodeError> {
        let call = Challenges::caseOfCall { id: challenge.id };
        let case = self.chain().call(self.chain().contracts().challenges, &call).await?;
        Ok(case.deadline.to::<u64>())
    }

    /// Pays out the bonds that cases left to an account; `None` where there are none.
    pub async fn withdraw_bonds(
        &self,
        key: &SecretKey,
        token: Address,
    ) -> Result<Option<(U256, Receipt)>, NodeError> {
        let challenges = self.chain().contracts().challenges;
        let owed = Challenges::owedCall { token, account: key.address()? };
        let owed = self.chain().call(challenges, &owed).await?;
        if owed.is_zero() {
            return Ok(None);
        }
        let call = Challenges::withdrawCall { token };
        Ok(Some((owed, self.chain().send(key, challenges, &call).await?)))
    }

    /// Whether the model's newest checkpoint is tainted.
    pub async fn is_model_tainted(&self, model: B256) -> Result<bool, NodeError> {
        let call = Challenges::isModelTaintedCall { model };
        Ok(self.chain().call(self.chain().contracts().challenges, &call).await?)
    }

    async fn stake(
        &self,
        key: &SecretKey,
        dataset: &Dataset,
        challenges: Address,
    ) -> Result<(), NodeError> {
        let (token, bond) = (dataset.court.bondToken, U256::from(dataset.court.bond));
        self.approve(key, token, challenges, bond).await
    }
}
