//! Authors: erasing works while every proof over them stays.

use std::collections::BTreeSet;

use probity_core::{Digest, keys::SecretKey, records::OptOut, salted, statement::Statement};
use probity_provenance::{
    erasure::{ERASURE_TYPE, Erasure, ErasurePredicate},
    optout,
};

use crate::{NodeError, Workspace};

/// What an erasure did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// Works whose bytes were here and are deleted.
    pub deleted: u64,
    /// Those of them that had no salt: whoever can guess such a work can confirm it by its digest.
    pub unsalted: u64,
    /// Works that were opted out with it.
    pub opted_out: u64,
}

impl Workspace {
    /// The bytes of a work, without its salt if it has one.
    pub(crate) async fn work(&self, digest: &Digest) -> Result<Vec<u8>, NodeError> {
        if self.objects.size(digest).await?.is_none() {
            return Err(NodeError::ItemMissing(*digest));
        }
        Ok(salted::open(&self.objects.get(digest).await?).to_vec())
    }

    /// Erases works of an author: opts them out of training, states the erasure in the log, and
    /// deletes their bytes here. Run again after a crash, it goes on from there.
    ///
    /// # Errors
    /// [`NodeError::NotTheirs`] names a work that the author did not register.
    pub async fn erase(
        &mut self,
        author: &SecretKey,
        works: &BTreeSet<Digest>,
    ) -> Result<Erased, NodeError> {
        let account = author.address()?;
        let batches = self.anchored().await?;
        let theirs = batches.iter().filter(|batch| batch.predicate.author == account);
        let theirs: BTreeSet<Digest> =
            theirs.flat_map(|batch| batch.works.iter().map(|(_, work)| *work)).collect();
        if let Some(work) = works.iter().find(|work| !theirs.contains(*work)) {
            return Err(NodeError::NotTheirs { work: *work, account });
        }
        let reserved = self.reserved().await?;
        let open: Vec<(String, Digest)> =
            (works.difference(&reserved)).map(|work| (work.to_string(), *work)).collect();
        if !open.is_empty() {
            self.opt_out(author, &open).await?;
        }
        self.state_erasure(author, works).await?;
        let mut erased = Erased { deleted: 0, unsalted: 0, opted_out: open.len() as u64 };
        for work in works {
            if self.objects.size(work).await?.is_none() {
                continue;
            }
            let is_salted = salted::is_salted(&self.objects.get(work).await?);
            erased.deleted += u64::from(self.objects.delete(work).await?);
            erased.unsalted += u64::from(!is_salted);
        }
        Ok(erased)
    }

    /// Works that anybody opted out of training.
    async fn reserved(&self) -> Result<BTreeSet<Digest>, NodeError> {
        let rows = self.index.records("opt-out", None, u32::MAX).await?;
        let records = rows.iter().filter_map(|row| Self::body::<OptOut>(row).ok());
        let reserved = records.filter(optout::is_of_training);
        Ok(reserved.map(|record| Digest::from(record.digest)).collect())
    }

    /// Erasures in the log.
    pub(crate) async fn erasures(&self) -> Result<Vec<(Digest, Erasure)>, NodeError> {
        let signed = self.statements_of(ERASURE_TYPE).await?;
        let opened =
            signed.iter().filter_map(|signed| Some((signed.digest, Erasure::open(signed).ok()?)));
        Ok(opened.collect())
    }

    /// Signs and logs an erasure, unless its author has said so before.
    async fn state_erasure(
        &mut self,
        author: &SecretKey,
        works: &BTreeSet<Digest>,
    ) -> Result<(), NodeError> {
        let account = author.address()?;
        let stated = self.erasures().await?;
        let mut left = works.clone();
        for (_, erasure) in stated.iter().filter(|(_, it)| it.predicate.author == account) {
            left.retain(|work| !erasure.works.contains(work));
        }
        if left.is_empty() {
            return Ok(());
        }
        let predicate = ErasurePredicate { author: account, time: self.now() };
        let subjects = left.iter().map(|work| (work.to_string(), *work));
        let envelope = Statement::new(ERASURE_TYPE, subjects, &predicate)?.sign(&[author])?;
        self.publish(&[envelope]).await?;
        Ok(())
    }
}
