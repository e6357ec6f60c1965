//! Creators: signing and registering works, and opting out.

use std::collections::BTreeSet;

use alloy_primitives::{B256, Bytes};
use probity_chain::{Receipt, Registry, convert};
use probity_core::{
    Digest,
    keys::SecretKey,
    licence::LicenceTerms,
    records::{Anchor, Contract, Licence, record_id, signing_hash},
    statement::Statement,
};
use probity_provenance::{
    content::{Batch, CONTENT_SUBJECT, ContentPredicate, Payee},
    optout::{self, Evidence, OPT_OUT_TYPE, OptOutPredicate, SCOPE_TRAIN},
    reservation::Source,
};

use crate::{NodeError, Workspace};

/// A work to be registered.
#[derive(Debug, Clone)]
pub struct Work {
    /// A name for people, unique in its batch.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A document that an opt-out rests on.
#[derive(Debug, Clone)]
pub struct Grounds {
    /// What it is.
    pub source: Source,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Path of the works' URL, where the document tells paths apart.
    pub location: Option<String>,
}

/// A registered batch.
#[derive(Debug, Clone)]
pub struct Contribution {
    /// The batch.
    pub batch: Batch,
    /// Id of its anchor record.
    pub anchor: B256,
    /// The anchor's transaction.
    pub receipt: Receipt,
}

impl Workspace {
    /// Signs a batch of works, stores and logs everything, and anchors its root on chain. Refuses
    /// works that were registered before by the same author.
    pub async fn contribute(
        &mut self,
        author: &SecretKey,
        licence: LicenceTerms,
        payees: Vec<Payee>,
        media_type: &str,
        works: &[Work],
    ) -> Result<Contribution, NodeError> {
        let predicate = ContentPredicate {
            author: author.address()?,
            licence,
            media_type: media_type.to_owned(),
            payees,
            time: self.now(),
        };
        let named = works.iter().map(|work| (work.name.clone(), Digest::of(&work.bytes))).collect();
        let (batch, envelope) = Batch::sign(&predicate, named, author)?;
        self.refuse_duplicates(&batch).await?;
        let anchor = batch.anchor();
        for work in works {
            self.objects.put(work.bytes.clone()).await?;
        }
        let registry = self.chain().contracts().registry;
        let receipt =
            self.publish_and_send(author, envelope, registry, &anchor_call(&anchor)).await?;
        Ok(Contribution { batch, anchor: record_id(&anchor), receipt })
    }

    async fn refuse_duplicates(&self, batch: &Batch) -> Result<(), NodeError> {
        let anchored: BTreeSet<Digest> =
            self.anchored().await?.iter().map(|batch| batch.statement).collect();
        let mine = probity_core::keys::PublicKey::Account(batch.predicate.author).key_id();
        for (_, work) in &batch.works {
            let before = self.index.statements_about(work).await?;
            let registered = before
                .into_iter()
                .find(|statement| statement.author == mine && anchored.contains(&statement.digest));
            if let Some(statement) = registered {
                return Err(NodeError::Duplicate { work: *work, statement: statement.digest });
            }
        }
        Ok(())
    }

    /// The batches that anchors of their authors commit to, in the order of the chain. Statements
    /// without an anchor are what a crash or a refused transaction left in the log; anchors without
    /// a statement here are other parties'; revoked ones are withdrawn. None of them counts.
    pub(crate) async fn anchored(&self) -> Result<Vec<Batch>, NodeError> {
        self.sync().await?;
        let mut batches = Vec::new();
        for row in self.index.records("anchor", None, u32::MAX).await? {
            let Ok(anchor) = Self::body::<Anchor>(&row) else { continue };
            let statement = Digest::from(anchor.statement);
            if anchor.subject != CONTENT_SUBJECT
                || self.index.statement(&statement).await?.is_none()
            {
                continue;
            }
            let (signed, _) = self.statement(&statement).await?;
            let Ok(batch) = Batch::open(&signed) else { continue };
            let marks = self.index.marks(&row.id).await?;
            if batch.anchor() == anchor && !marks.iter().any(|mark| mark.mark == "revoked") {
                batches.push(batch);
            }
        }
        Ok(batches)
    }

    /// The registered batches that hold a work.
    pub async fn registrations(&self, work: &Digest) -> Result<Vec<Batch>, NodeError> {
        let mut batches = self.anchored().await?;
        batches.retain(|batch| batch.works.iter().any(|(_, held)| held == work));
        Ok(batches)
    }

    /// Stores a Merkle root on chain.
    pub(crate) async fn anchor(
        &self,
        author: &SecretKey,
        anchor: &Anchor,
    ) -> Result<Receipt, NodeError> {
        let call = anchor_call(anchor);
        Ok(self.chain().send(author, self.chain().contracts().registry, &call).await?)
    }

    /// Registers licence terms; does nothing where they are registered already.
    pub async fn register_licence(
        &self,
        author: &SecretKey,
        terms: &LicenceTerms,
    ) -> Result<Option<Receipt>, NodeError> {
        let id = terms.id().map_err(probity_provenance::content::ContentError::from)?;
        let record =
            Licence { terms: id.into(), spdx: terms.spdx.clone(), author: author.address()? };
        if self.is_registered(record_id(&record)).await? {
            return Ok(None);
        }
        let call =
            Registry::registerLicenceCall { licence: convert(&record)?, signature: Bytes::new() };
        let registry = self.chain().contracts().registry;
        Ok(Some(self.chain().send(author, registry, &call).await?))
    }

    /// Registers one content of a batch by itself. The creator signs the typed data; `relayer`
    /// sends it and pays for it.
    pub async fn register_content(
        &self,
        batch: &Batch,
        position: usize,
        author: &SecretKey,
        relayer: &SecretKey,
    ) -> Result<(B256, Receipt), NodeError> {
        let content = batch
            .contents
            .get(position)
            .ok_or_else(|| NodeError::Unknown(format!("work {position} of the batch")))?;
        let registry = self.chain().contracts().registry;
        let domain = Contract::Registry.domain(self.chain().chain_id(), registry);
        let signature = author.sign_hash(&signing_hash(content, &domain))?;
        let call = Registry::registerContentCall {
            content: convert(content)?,
            signature: Bytes::copy_from_slice(&signature),
        };
        let receipt = self.chain().send(relayer, registry, &call).await?;
        Ok((record_id(content), receipt))
    }

    /// Reserves works against training: one signed statement, one record per work.
    pub async fn opt_out(
        &mut self,
        author: &SecretKey,
        works: &[(String, Digest)],
    ) -> Result<Vec<Receipt>, NodeError> {
        self.opt_out_by(author, works, &[]).await
    }

    /// The same because of documents that say so, which are stored and named in the statement.
    pub async fn opt_out_by(
        &mut self,
        author: &SecretKey,
        works: &[(String, Digest)],
        grounds: &[Grounds],
    ) -> Result<Vec<Receipt>, NodeError> {
        let mut evidence = Vec::with_capacity(grounds.len());
        for Grounds { source, bytes, location } in grounds {
            let digest = self.objects.put(bytes.clone()).await?;
            evidence.push(Evidence { source: *source, digest, location: location.clone() });
        }
        let predicate = OptOutPredicate {
            author: author.address()?,
            scope: SCOPE_TRAIN.to_owned(),
            time: self.now(),
            evidence,
        };
        let statement = Statement::new(OPT_OUT_TYPE, works.iter().cloned(), &predicate)?;
        let envelope = statement.sign(&[author])?;
        let json = envelope.to_json().map_err(probity_core::statement::StatementError::from)?;
        let records = optout::open(&probity_core::statement::open(&json)?)?;
        let registry = self.chain().contracts().registry;
        let mut calls = Vec::with_capacity(records.len());
        for record in &records {
            let opt_out = convert(record)?;
            calls.push(Registry::registerOptOutCall { optOut: opt_out, signature: Bytes::new() });
        }
        let mut receipts = Vec::with_capacity(calls.len());
        if let Some((first, rest)) = calls.split_first() {
            receipts.push(self.publish_and_send(author, envelope, registry, first).await?);
            for call in rest {
                receipts.push(self.chain().send(author, registry, call).await?);
            }
        }
        Ok(receipts)
    }

    pub(crate) async fn is_registered(&self, id: B256) -> Result<bool, NodeError> {
        let call = Registry::recordOfCall { id };
        let record = self.chain().call(self.chain().contracts().registry, &call).await?;
        Ok(record.kind != 0)
    }
}

pub(crate) fn anchor_call(anchor: &Anchor) -> Registry::anchorCall {
    Registry::anchorCall {
        subject: anchor.subject,
        root: anchor.root,
        size: anchor.size,
        statement: anchor.statement,
    }
}
