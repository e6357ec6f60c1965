//! Revenue and payouts.

use alloy_primitives::{Address, B256, Bytes, U256};
use probity_chain::{ChainError, Client, PayoutVault, Payouts, Receipt, Token, convert};
use probity_core::{
    Digest,
    dsse::Envelope,
    json,
    keys::SecretKey,
    money::Bps,
    records::{Checkpoint, Contract, Dataset, Model, PayoutRuling, record_id, signing_hash},
    statement::Statement,
};
use probity_provenance::{
    claim::ClaimProof,
    dataset::Manifest,
    payout::{Before, Computation, Entry, Inputs, PAYOUT_TYPE, Terms, compute},
};
use serde_json::json;

use crate::{
    Decision, NodeError, Workspace,
    indexer::{accepted_mark, text},
};

/// A paid claim.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Who was paid.
    pub account: Address,
    /// How much, in the token's smallest unit.
    pub amount: u128,
    /// The transaction.
    pub receipt: Receipt,
}

impl Workspace {
    /// Pays revenue to a model. `reference` ties it to an invoice or usage record.
    pub async fn pay(
        &self,
        payer: &SecretKey,
        model: B256,
        token: Address,
        amount: u128,
        reference: B256,
    ) -> Result<Receipt, NodeError> {
        let payouts = self.chain().contracts().payouts;
        let amount = U256::from(amount);
        let call = Payouts::payCall { model, token, amount, reference_: reference };
        if token.is_zero() {
            return Ok(self.chain().send_with(payer, payouts, &call, amount).await?);
        }
        self.approve(payer, token, payouts, amount).await?;
        Ok(self.chain().send(payer, payouts, &call).await?)
    }

    pub(crate) async fn approve(
        &self,
        owner: &SecretKey,
        token: Address,
        spender: Address,
        amount: U256,
    ) -> Result<(), NodeError> {
        let call = Token::approveCall { spender, value: amount };
        self.chain().send(owner, token, &call).await?;
        Ok(())
    }

    /// Computes the next epoch of a model's payouts in a token. Changes nothing.
    pub async fn compute_payout(
        &self,
        model: B256,
        token: Address,
    ) -> Result<Computation, NodeError> {
        self.compute_payout_of(model, token, None).await
    }

    /// As `compute_payout`, of the revenue as it stood when a root was proposed.
    async fn compute_payout_of(
        &self,
        model: B256,
        token: Address,
        received: Option<u128>,
    ) -> Result<Computation, NodeError> {
        self.sync().await?;
        let (record, checkpoint, dataset_id, dataset) = self.head(model).await?;
        let manifest = self.manifest(&Digest::from(dataset.manifest)).await?;
        let call = Payouts::poolOfCall { model, token };
        let pool = self.chain().call(self.chain().contracts().payouts, &call).await?;
        let terms = Terms {
            model,
            dataset: dataset_id,
            token,
            owner: record.author,
            data: Bps::new(record.dataBps)?,
            treasury: dataset.treasury,
            treasury_share: Bps::new(dataset.treasuryBps)?,
        };
        let received = received.unwrap_or(pool.received);
        let before = Before { received, accounted: pool.accounted, held: pool.held };
        let payees = self.payees(&manifest).await?;
        let previous = self.previous_entries(model, token, pool.epoch).await?;
        Ok(compute(&Inputs {
            epoch: pool.epoch + 1,
            terms: &terms,
            before,
            manifest: &manifest,
            payees: &payees,
            removed: &self.removed_items(dataset_id, &manifest).await?,
            inherited_taint: self.has_inherited_taint(&text(&record_id(&checkpoint))).await?,
            previous: &previous,
        })?)
    }

    /// The model, its newest checkpoint, and the dataset that was trained on.
    pub(crate) async fn head(
        &self,
        model: B256,
    ) -> Result<(Model, Checkpoint, B256, Dataset), NodeError> {
        let record: Model = self.record(model).await?;
        let call = probity_chain::Registry::headOfCall { model };
        let head = self.chain().call(self.chain().contracts().registry, &call).await?;
        if head.is_zero() {
            return Err(NodeError::NoModel(model.to_string()));
        }
        let checkpoint: Checkpoint = self.record(head).await?;
        let id = checkpoint.dataset;
        let dataset = self.dataset(id).await?;
        Ok((record, checkpoint, id, dataset))
    }

    /// Whether a checkpoint is tainted by a parent.
    async fn has_inherited_taint(&self, checkpoint: &str) -> Result<bool, NodeError> {
        let marks = self.index.marks(checkpoint).await?;
        Ok(marks.iter().any(|mark| mark.mark == "taint inherited"))
    }

    /// Positions of the items that challenges removed from a dataset version.
    pub(crate) async fn removed_items(
        &self,
        dataset: B256,
        manifest: &Manifest,
    ) -> Result<Vec<u64>, NodeError> {
        let marks = self.index.marks(&text(&dataset)).await?;
        let removed =
            |index: &u64| marks.iter().any(|mark| mark.mark == format!("removed {index}"));
        Ok(manifest.items.iter().map(|item| item.index).filter(removed).collect())
    }

    /// Cumulative amounts as of an accepted epoch.
    async fn previous_entries(
        &self,
        model: B256,
        token: Address,
        epoch: u64,
    ) -> Result<Vec<Entry>, NodeError> {
        if epoch == 0 {
            return Ok(vec![]);
        }
        let all = self.computations(model, token).await?;
        let found = all.into_iter().find(|computation| computation.epoch == epoch);
        let unknown = || NodeError::Unknown(format!("payout epoch {epoch} of {model}"));
        Ok(found.ok_or_else(unknown)?.entries)
    }

    /// The accepted computations of a pool, oldest first.
    pub(crate) async fn computations(
        &self,
        model: B256,
        token: Address,
    ) -> Result<Vec<Computation>, NodeError> {
        let marks = self.index.marks(&text(&model)).await?;
        let mut computations = Vec::new();
        for signed in self.statements_of(PAYOUT_TYPE).await? {
            let Some(subject) = signed.statement.subject.first() else { continue };
            let bytes = self.objects.get(&subject.digest.sha256).await?;
            let computation: Computation = json::decode(&bytes)?;
            if computation.terms.model != model || computation.terms.token != token {
                continue;
            }
            let (name, root) =
                (accepted_mark(token, computation.epoch), computation.tree()?.root());
            if marks.iter().any(|mark| mark.mark == name && mark.by == text(&root)) {
                computations.push(computation);
            }
        }
        computations.sort_by_key(|computation| computation.epoch);
        computations.dedup_by_key(|computation| computation.epoch);
        Ok(computations)
    }

    /// Signs and logs a computation and proposes its root, staking the court's bond.
    pub async fn propose_payout(
        &mut self,
        accountant: &SecretKey,
        computation: &Computation,
    ) -> Result<Receipt, NodeError> {
        let (envelope, model, dataset) = self.sign_payout(accountant, computation).await?;
        let payouts = self.chain().contracts().payouts;
        let call = Payouts::proposeCall {
            model: convert(&model)?,
            dataset: convert(&dataset)?,
            token: computation.terms.token,
            root: computation.tree()?.root(),
            total: computation.total,
            statement: envelope.payload_digest().into(),
        };
        self.publish_and_send(accountant, envelope, payouts, &call).await
    }

    /// Stores and signs a computation, and approves the court's bond.
    async fn sign_payout(
        &self,
        author: &SecretKey,
        computation: &Computation,
    ) -> Result<(Envelope, Model, Dataset), NodeError> {
        let digest = self.objects.put(computation.to_json()?).await?;
        let subject = [(format!("epoch-{}", computation.epoch), digest)];
        let predicate = json!({ "author": author.address()?, "model": computation.terms.model });
        let envelope = Statement::new(PAYOUT_TYPE, subject, &predicate)?.sign(&[author])?;
        let (model, _, _, dataset) = self.head(computation.terms.model).await?;
        let (payouts, bond) = (self.chain().contracts().payouts, U256::from(model.court.bond));
        self.approve(author, model.court.bondToken, payouts, bond).await?;
        Ok((envelope, model, dataset))
    }

    /// Recomputes a proposed root and disputes it, staking the same bond; `None` where it is right.
    pub async fn dispute_payout(
        &mut self,
        disputer: &SecretKey,
        model: B256,
        token: Address,
    ) -> Result<Option<(Computation, Receipt)>, NodeError> {
        let payouts = self.chain().contracts().payouts;
        let call = Payouts::proposalOfCall { model, token };
        let proposal = self.chain().call(payouts, &call).await?;
        let ours = self.compute_payout_of(model, token, Some(proposal.received)).await?;
        let root = ours.tree()?.root();
        if (root, ours.total) == (proposal.root, proposal.total) {
            return Ok(None);
        }
        let (envelope, record, _) = self.sign_payout(disputer, &ours).await?;
        let call = Payouts::disputeCall {
            model: convert(&record)?,
            token,
            root,
            total: ours.total,
            statement: envelope.payload_digest().into(),
        };
        let receipt = self.publish_and_send(disputer, envelope, payouts, &call).await?;
        Ok(Some((ours, receipt)))
    }

    /// Decides a dispute: for the disputer's root or for the accountant's.
    pub async fn rule_payout(
        &self,
        payer: &SecretKey,
        model: B256,
        token: Address,
        decision: &Decision,
        arbiters: &[SecretKey],
    ) -> Result<Receipt, NodeError> {
        let record: Model = self.record(model).await?;
        let payouts = self.chain().contracts().payouts;
        let call = Payouts::proposalOfCall { model, token };
        let proposal = self.chain().call(payouts, &call).await?;
        let pool = self.chain().call(payouts, &Payouts::poolOfCall { model, token }).await?;
        let ruling = PayoutRuling {
            model,
            token,
            epoch: pool.epoch + 1,
            root: proposal.root,
            otherRoot: proposal.otherRoot,
            deadline: proposal.deadline,
            upheld: decision.upheld,
            opinion: decision.opinion.into(),
        };
        let domain = Contract::Payouts.domain(self.chain().chain_id(), payouts);
        let hash = signing_hash(&ruling, &domain);
        let mut signatures = vec![Bytes::new(); record.court.arbiters.len()];
        for arbiter in arbiters {
            let address = arbiter.address()?;
            let place = record.court.arbiters.iter().position(|known| *known == address);
            if let Some(signature) = place.and_then(|place| signatures.get_mut(place)) {
                *signature = arbiter.sign_hash(&hash)?.to_vec().into();
            }
        }
        let call = Payouts::ruleCall {
            model: convert(&record)?,
            token,
            upheld: decision.upheld,
            opinion: decision.opinion.into(),
            signatures,
        };
        Ok(self.chain().send(payer, payouts, &call).await?)
    }

    /// Accepts an undisputed root after its window. Anybody may.
    pub async fn settle_payout(
        &self,
        payer: &SecretKey,
        model: B256,
        token: Address,
    ) -> Result<Receipt, NodeError> {
        let record: Model = self.record(model).await?;
        debug_assert_eq!(record_id(&record), model);
        let call = Payouts::settleCall { model: convert(&record)?, token };
        Ok(self.chain().send(payer, self.chain().contracts().payouts, &call).await?)
    }

    /// What the newest accepted root owes an account in all; `None` where that is nothing.
    pub async fn prove_claim(
        &self,
        model: B256,
        token: Address,
        account: Address,
    ) -> Result<Option<ClaimProof>, NodeError> {
        self.sync().await?;
        let Some(computation) = self.computations(model, token).await?.pop() else {
            return Ok(None);
        };
        let Some((cumulative, proof)) = computation.claim(account)? else { return Ok(None) };
        Ok(Some(ClaimProof {
            chain_id: self.chain().chain_id(),
            vault: self.chain().contracts().vault(model, token),
            model,
            token,
            epoch: computation.epoch,
            root: computation.tree()?.root(),
            account,
            cumulative,
            proof,
        }))
    }

    /// Pays an account what a proof says it is owed; `None` where it has all of it.
    pub async fn claim(
        &self,
        payer: &SecretKey,
        proof: &ClaimProof,
    ) -> Result<Option<Claimed>, NodeError> {
        let ClaimProof { account, cumulative, .. } = *proof;
        let claimable = claimable(self.chain(), proof).await?;
        let amount = claimable.ok_or(NodeError::RootNotAccepted(proof.root))?;
        if amount == 0 {
            return Ok(None);
        }
        let cumulative = U256::from(cumulative);
        let call = PayoutVault::claimCall { account, cumulative, proof: proof.proof.clone() };
        let vault = self.chain().contracts().vault(proof.model, proof.token);
        let receipt = self.chain().send(payer, vault, &call).await?;
        Ok(Some(Claimed { account, amount, receipt }))
    }
}

/// What is left to claim of a proof on its chain; `None` unless its root is the one that the pool's
/// vault has accepted last.
///
/// # Errors
/// [`probity_chain::ChainError::ChainId`] where the proof is of another chain.
pub async fn claimable(chain: &Client, proof: &ClaimProof) -> Result<Option<u128>, NodeError> {
    chain.expect_chain_id(proof.chain_id)?;
    // Not the address that the proof names: anybody can deploy something that answers.
    let vault = chain.contracts().vault(proof.model, proof.token);
    let root = match chain.call(vault, &PayoutVault::rootCall {}).await {
        // Nothing was ever paid out there.
        Err(ChainError::NotDeployed(_)) => return Ok(None),
        root => root?,
    };
    if root != proof.root || vault != proof.vault || !proof.leads_to_root() {
        return Ok(None);
    }
    let account = proof.account;
    let before = chain.call(vault, &PayoutVault::claimedCall { account }).await?;
    Ok(Some(U256::from(proof.cumulative).saturating_sub(before).saturating_to()))
}
