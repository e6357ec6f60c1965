//! Brings the index up to the chain and the log. Everything in it is derived: it can be thrown away
//! and made again, with the same content.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use probity_chain::{Event, EventKind, Origin};
use probity_core::{Digest, keys::PublicKey, records::record_id, statement};
use probity_store::index::{Batch, Cursor, Link, Mark, Money, Record, Statement};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{NodeError, Workspace};

impl Workspace {
    /// Takes in what is new on chain and in the log.
    pub async fn sync(&self) -> Result<(), NodeError> {
        let from = self.index.cursor().await?;
        let head = self.chain().newest_header().await?;
        let first = from.as_ref().map_or(0, |cursor| cursor.block + 1);
        let logged = from.as_ref().map_or(0, |cursor| cursor.log_size);
        let to = Cursor {
            block: head.number,
            block_hash: head.hash.to_string(),
            log_size: self.log().size(),
        };
        if from.as_ref() == Some(&to) {
            return Ok(());
        }
        let mut pools = self.known_pools().await?;
        let mut batch = Batch::to(from, to);
        let mut vaults: Vec<Address> = pools.keys().copied().collect();
        for event in self.chain().events(first, head.number, &mut vaults).await? {
            if !self.is_repeated(&batch, &event).await? {
                take_event(&mut batch, &mut pools, &event)?;
            }
        }
        for index in logged..self.log().size() {
            let row = self.statement_row(index).await?;
            // A statement logged twice keeps its first place.
            let known = batch.statements.iter().any(|known| known.digest == row.digest)
                || self.index.statement(&row.digest).await?.is_some();
            if !known {
                batch.statements.push(row);
            }
        }
        Ok(self.index.apply(&batch).await?)
    }

    /// Throws the index away and makes it again.
    pub async fn rebuild_index(&self) -> Result<(), NodeError> {
        self.index.clear().await?;
        self.sync().await
    }

    /// Whether the event announces a root that was announced before.
    async fn is_repeated(&self, batch: &Batch, event: &Event) -> Result<bool, NodeError> {
        let EventKind::Anchor { record } = &event.kind else { return Ok(false) };
        let id = text(&record_id(record));
        let known = batch.records.iter().any(|known| known.id == id);
        Ok(known || self.index.record(&id).await?.is_some())
    }

    async fn statement_row(&self, log_index: u64) -> Result<Statement, NodeError> {
        let entry = self.log().entry(log_index)?;
        let unknown = || NodeError::Unknown(format!("log entry {log_index}"));
        let envelope = Digest::from_bytes(entry.try_into().map_err(|_| unknown())?);
        let signed = statement::open(&self.objects.get(&envelope).await?)?;
        let mut subjects: Vec<Digest> =
            signed.statement.subject.iter().map(|subject| subject.digest.sha256).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let author = signed.signers.first().map(PublicKey::key_id).unwrap_or_default();
        Ok(Statement {
            digest: signed.digest,
            predicate_type: signed.statement.predicate_type,
            author,
            log_index,
            envelope,
            subjects,
        })
    }

    /// Vaults learnt before, with their model and token.
    async fn known_pools(&self) -> Result<Pools, NodeError> {
        let mut pools = Pools::new();
        for model in self.index.records("model", None, u32::MAX).await? {
            for money in self.index.money_of_model(&model.id).await? {
                if money.kind == "accept"
                    && let Ok(vault) = money.account.parse()
                {
                    pools.insert(vault, (money.model, money.token));
                }
            }
        }
        Ok(pools)
    }
}

/// Model and token by vault.
type Pools = BTreeMap<Address, (String, String)>;

fn take_event(batch: &mut Batch, pools: &mut Pools, event: &Event) -> Result<(), NodeError> {
    let origin = &event.origin;
    match &event.kind {
        EventKind::Content { id, record } => {
            push(batch, origin, *id, "content", record.author, record)?;
            if !record.supersedes.is_zero() {
                mark(batch, origin, record.supersedes, "superseded", *id);
            }
        }
        EventKind::OptOut { id, record } => {
            push(batch, origin, *id, "opt-out", record.author, record)?;
        }
        EventKind::Licence { id, record } => {
            push(batch, origin, *id, "licence", record.author, record)?;
        }
        EventKind::Dataset { id, record, .. } => {
            push(batch, origin, *id, "dataset", record.author, record)?;
            if !record.previous.is_zero() {
                link(batch, *id, "previous", record.previous);
                mark(batch, origin, record.previous, "superseded", *id);
            }
        }
        EventKind::Run { id, record } => {
            push(batch, origin, *id, "run", record.author, record)?;
            link(batch, *id, "dataset", record.dataset);
        }
        EventKind::Model { id, record } => {
            push(batch, origin, *id, "model", record.author, record)?;
        }
        EventKind::Checkpoint { id, record } => {
            push(batch, origin, *id, "checkpoint", record.author, record)?;
            link(batch, *id, "model", record.model);
            link(batch, *id, "run", record.run);
            link(batch, *id, "dataset", record.dataset);
            for parent in &record.parents {
                link(batch, *id, "parent", *parent);
            }
        }
        EventKind::ModelKey { id, record } => {
            push(batch, origin, *id, "model-key", record.author, record)?;
            link(batch, *id, "checkpoint", record.checkpoint);
        }
        EventKind::InferenceProved { id, context, output } => {
            mark(batch, origin, *id, &format!("proved in context {}", text(context)), *output);
        }
        EventKind::Anchor { record } => {
            push(batch, origin, record_id(record), "anchor", record.author, record)?;
        }
        EventKind::Revoked { id, .. } => mark(batch, origin, *id, "revoked", origin.transaction),
        EventKind::ItemRemoved { dataset, content, index, .. } => {
            mark(batch, origin, *dataset, &format!("removed {index}"), *content);
        }
        EventKind::TaintInherited { checkpoint, parent } => {
            mark(batch, origin, *checkpoint, "taint inherited", *parent);
        }
        EventKind::RootAccepted { model, token, epoch, root, .. } => {
            mark(batch, origin, *model, &accepted_mark(*token, *epoch), *root);
            take_money(batch, pools, event);
        }
        _ => take_money(batch, pools, event),
    }
    Ok(())
}

/// What marks a model with the root of an accepted epoch.
pub(crate) fn accepted_mark(token: Address, epoch: u64) -> String {
    format!("accepted {} {epoch}", text(&token))
}

fn take_money(batch: &mut Batch, pools: &mut Pools, event: &Event) {
    let (pool, kind, epoch, account, amount) = match &event.kind {
        EventKind::Revenue { model, token, payer, amount, .. } => {
            ((text(model), text(token)), "pay", 0, *payer, amount.to_string())
        }
        EventKind::RootAccepted { model, token, epoch, total, vault, .. } => {
            let pool = (text(model), text(token));
            pools.insert(*vault, pool.clone());
            (pool, "accept", *epoch, *vault, total.to_string())
        }
        EventKind::Claimed { vault, account, amount } => match pools.get(vault) {
            Some(pool) => (pool.clone(), "claim", 0, *account, amount.to_string()),
            None => return,
        },
        _ => return,
    };
    batch.money.push(Money {
        model: pool.0,
        token: pool.1,
        kind: kind.to_owned(),
        epoch,
        account: text(&account),
        amount,
        block: event.origin.block,
        log_index: event.origin.log_index,
        tx: text(&event.origin.transaction),
    });
}

fn push<R: Serialize>(
    batch: &mut Batch,
    origin: &Origin,
    id: B256,
    kind: &str,
    author: Address,
    record: &R,
) -> Result<(), NodeError> {
    let body: Value = serde_json::to_value(record).map_err(probity_core::json::JsonError::from)?;
    batch.records.push(Record {
        id: text(&id),
        kind: kind.to_owned(),
        author: text(&author),
        block: origin.block,
        log_index: origin.log_index,
        time: origin.time,
        body: json!({ "record": body, "transaction": text(&origin.transaction) }),
    });
    Ok(())
}

fn link(batch: &mut Batch, from: B256, rel: &str, to: B256) {
    batch.links.push(Link { from: text(&from), rel: rel.to_owned(), to: text(&to) });
}

fn mark(batch: &mut Batch, origin: &Origin, id: B256, mark: &str, by: B256) {
    batch.marks.push(Mark {
        id: text(&id),
        mark: mark.to_owned(),
        by: text(&by),
        block: origin.block,
        log_index: origin.log_index,
    });
}

/// The one spelling of ids and addresses in the index: lower-case hexadecimal with `0x`.
pub(crate) fn text(bytes: &(impl AsRef<[u8]> + ?Sized)) -> String {
    alloy_primitives::hex::encode_prefixed(bytes.as_ref())
}
