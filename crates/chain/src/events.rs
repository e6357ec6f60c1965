//! What the contracts said, in order.

use alloy::{
    providers::Provider,
    rpc::types::{Filter, Log},
};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolEvent, SolValue};
use probity_core::records::{
    Anchor, Checkpoint, Content, Dataset, Licence, Model, ModelKey, OptOut, Run,
};

use crate::{
    ChainError, Client,
    bindings::{IChallenges, IInferences, IPayoutVault, IPayouts, IRegistry, convert},
};

/// Blocks asked for at once; many public nodes refuse more.
const BLOCKS_PER_QUERY: u64 = 10_000;

/// Where an event stands on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Block number.
    pub block: u64,
    /// Block hash.
    pub block_hash: B256,
    /// Block time, Unix seconds.
    pub time: u64,
    /// Position among the block's logs.
    pub log_index: u64,
    /// Transaction hash.
    pub transaction: B256,
}

/// An event with its origin.
#[derive(Debug, Clone)]
pub struct Event {
    /// Where it stands.
    pub origin: Origin,
    /// What it says.
    pub kind: EventKind,
}

/// What the contracts can say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are those of the Solidity events")]
pub enum EventKind {
    Content {
        id: B256,
        record: Content,
    },
    OptOut {
        id: B256,
        record: OptOut,
    },
    Licence {
        id: B256,
        record: Licence,
    },
    Dataset {
        id: B256,
        line: B256,
        version: u64,
        record: Dataset,
    },
    Run {
        id: B256,
        record: Run,
    },
    Model {
        id: B256,
        record: Model,
    },
    Checkpoint {
        id: B256,
        record: Checkpoint,
    },
    ModelKey {
        id: B256,
        record: ModelKey,
    },
    Anchor {
        record: Anchor,
    },
    Revoked {
        id: B256,
        author: Address,
        reason: B256,
    },
    Challenged {
        id: B256,
        dataset: B256,
        content: B256,
        index: u64,
        challenger: Address,
    },
    ChallengeSettled {
        id: B256,
        status: u8,
    },
    ItemRemoved {
        dataset: B256,
        content: B256,
        index: u64,
        weight: u64,
    },
    TaintInherited {
        checkpoint: B256,
        parent: B256,
    },
    Revenue {
        model: B256,
        token: Address,
        payer: Address,
        amount: U256,
        reference: B256,
    },
    RootProposed {
        model: B256,
        token: Address,
        epoch: u64,
        root: B256,
        total: u128,
        statement: B256,
    },
    RootDisputed {
        model: B256,
        token: Address,
        epoch: u64,
        root: B256,
        total: u128,
    },
    RootAccepted {
        model: B256,
        token: Address,
        epoch: u64,
        root: B256,
        total: u128,
        held: u128,
        vault: Address,
    },
    RootDropped {
        model: B256,
        token: Address,
        epoch: u64,
        root: B256,
    },
    InferenceProved {
        id: B256,
        context: B256,
        output: B256,
    },
    Claimed {
        vault: Address,
        account: Address,
        amount: U256,
    },
}

impl Client {
    /// All events of the contracts and their vaults from block `from` to block `to`, in order.
    ///
    /// Vaults are contracts of their own that this client learns of from `RootAccepted`; `vaults`
    /// names those learnt before, and is extended.
    pub async fn events(
        &self,
        from: u64,
        to: u64,
        vaults: &mut Vec<Address>,
    ) -> Result<Vec<Event>, ChainError> {
        let mut events = Vec::new();
        let mut start = from;
        while start <= to {
            let end = to.min(start.saturating_add(BLOCKS_PER_QUERY - 1));
            let own = self.contracts();
            let addresses = vec![own.registry, own.challenges, own.payouts, own.inferences];
            let mut page = self.page(addresses, start, end).await?;
            for event in &page {
                if let EventKind::RootAccepted { vault, .. } = &event.kind
                    && !vaults.contains(vault)
                {
                    vaults.push(*vault);
                }
            }
            if !vaults.is_empty() {
                page.extend(self.page(vaults.clone(), start, end).await?);
            }
            page.sort_by_key(|event| (event.origin.block, event.origin.log_index));
            events.extend(page);
            start = end + 1;
        }
        Ok(events)
    }

    async fn page(
        &self,
        addresses: Vec<Address>,
        from: u64,
        to: u64,
    ) -> Result<Vec<Event>, ChainError> {
        let filter = Filter::new().address(addresses).from_block(from).to_block(to);
        let logs =
            self.provider().get_logs(&filter).await.map_err(|error| self.refused(None, error))?;
        let mut events = Vec::with_capacity(logs.len());
        for log in logs {
            if let Some(kind) = decode(&log)? {
                events.push(Event { origin: self.origin(&log).await?, kind });
            }
        }
        Ok(events)
    }

    async fn origin(&self, log: &Log) -> Result<Origin, ChainError> {
        let missing = || ChainError::Inconsistent("a log without a block".to_owned());
        let block = log.block_number.ok_or_else(missing)?;
        // Not every node adds the time to its logs.
        let time = match log.block_timestamp {
            Some(time) => time,
            None => self.block(block).await?.timestamp,
        };
        Ok(Origin {
            block,
            block_hash: log.block_hash.ok_or_else(missing)?,
            time,
            log_index: log.log_index.ok_or_else(missing)?,
            transaction: log.transaction_hash.ok_or_else(missing)?,
        })
    }
}

fn data<E: SolEvent>(log: &Log) -> Result<E, ChainError> {
    E::decode_log(&log.inner)
        .map(|decoded| decoded.data)
        .map_err(|error| ChainError::Inconsistent(format!("a log does not decode: {error}")))
}

fn same<A: SolValue, B>(value: &A) -> Result<B, ChainError>
where
    B: SolValue + From<<B::SolType as alloy_sol_types::SolType>::RustType>,
{
    convert(value)
}

/// `None` for events that say nothing the index needs (bond withdrawals, answers).
fn decode(log: &Log) -> Result<Option<EventKind>, ChainError> {
    let Some(topic) = log.topic0() else { return Ok(None) };
    let record = decode_record(*topic, log)?;
    Ok(if record.is_some() { record } else { decode_money(*topic, log)? })
}

fn decode_record(topic: B256, log: &Log) -> Result<Option<EventKind>, ChainError> {
    use IRegistry as R;
    Ok(Some(match topic {
        R::ContentRegistered::SIGNATURE_HASH => {
            let e: R::ContentRegistered = data(log)?;
            let record = Content {
                digest: e.digest,
                licence: e.licence,
                statement: e.statement,
                supersedes: e.supersedes,
                author: e.author,
            };
            EventKind::Content { id: e.id, record }
        }
        R::OptOutRegistered::SIGNATURE_HASH => {
            let e: R::OptOutRegistered = data(log)?;
            let record = OptOut {
                digest: e.digest,
                scope: e.scope,
                statement: e.statement,
                author: e.author,
            };
            EventKind::OptOut { id: e.id, record }
        }
        R::LicenceRegistered::SIGNATURE_HASH => {
            let e: R::LicenceRegistered = data(log)?;
            let record = Licence { terms: e.terms, spdx: e.spdx, author: e.author };
            EventKind::Licence { id: e.id, record }
        }
        R::DatasetRegistered::SIGNATURE_HASH => {
            let e: R::DatasetRegistered = data(log)?;
            let (line, version) = (e.line, e.version.to::<u64>());
            EventKind::Dataset { id: e.id, line, version, record: same(&e.dataset)? }
        }
        R::RunCommitted::SIGNATURE_HASH => {
            let e: R::RunCommitted = data(log)?;
            let record = Run {
                dataset: e.dataset,
                commitment: e.commitment,
                statement: e.statement,
                author: e.author,
            };
            EventKind::Run { id: e.id, record }
        }
        R::ModelRegistered::SIGNATURE_HASH => {
            let e: R::ModelRegistered = data(log)?;
            EventKind::Model { id: e.id, record: same(&e.model)? }
        }
        R::CheckpointRegistered::SIGNATURE_HASH => {
            let e: R::CheckpointRegistered = data(log)?;
            EventKind::Checkpoint { id: e.id, record: same(&e.checkpoint)? }
        }
        R::ModelKeyRegistered::SIGNATURE_HASH => {
            let e: R::ModelKeyRegistered = data(log)?;
            let record = ModelKey {
                checkpoint: e.checkpoint,
                key: e.key,
                statement: e.statement,
                author: e.author,
            };
            EventKind::ModelKey { id: e.id, record }
        }
        R::Anchored::SIGNATURE_HASH => {
            let e: R::Anchored = data(log)?;
            let record = Anchor {
                subject: e.subject,
                root: e.root,
                size: e.size,
                statement: e.statement,
                author: e.author,
            };
            EventKind::Anchor { record }
        }
        R::Revoked::SIGNATURE_HASH => {
            let e: R::Revoked = data(log)?;
            EventKind::Revoked { id: e.id, author: e.author, reason: e.reason }
        }
        _ => return Ok(None),
    }))
}

fn decode_money(topic: B256, log: &Log) -> Result<Option<EventKind>, ChainError> {
    use {IChallenges as C, IPayouts as P};
    Ok(Some(match topic {
        C::Challenged::SIGNATURE_HASH => {
            let e: C::Challenged = data(log)?;
            let (index, challenger) = (e.item.index, e.challenger);
            EventKind::Challenged {
                id: e.id,
                dataset: e.dataset,
                content: e.content,
                index,
                challenger,
            }
        }
        C::ChallengeSettled::SIGNATURE_HASH => {
            let e: C::ChallengeSettled = data(log)?;
            EventKind::ChallengeSettled { id: e.id, status: e.status }
        }
        C::ItemRemoved::SIGNATURE_HASH => {
            let e: C::ItemRemoved = data(log)?;
            let (index, weight) = (e.index, e.weight);
            EventKind::ItemRemoved { dataset: e.dataset, content: e.content, index, weight }
        }
        C::TaintInherited::SIGNATURE_HASH => {
            let e: C::TaintInherited = data(log)?;
            EventKind::TaintInherited { checkpoint: e.checkpoint, parent: e.parent }
        }
        P::RevenueReceived::SIGNATURE_HASH => {
            let e: P::RevenueReceived = data(log)?;
            let (amount, reference) = (e.amount, e.reference_);
            EventKind::Revenue { model: e.model, token: e.token, payer: e.payer, amount, reference }
        }
        P::RootProposed::SIGNATURE_HASH => {
            let e: P::RootProposed = data(log)?;
            let (root, total, statement) = (e.root, e.total, e.statement);
            EventKind::RootProposed {
                model: e.model,
                token: e.token,
                epoch: e.epoch,
                root,
                total,
                statement,
            }
        }
        P::RootDisputed::SIGNATURE_HASH => {
            let e: P::RootDisputed = data(log)?;
            let (root, total) = (e.root, e.total);
            EventKind::RootDisputed { model: e.model, token: e.token, epoch: e.epoch, root, total }
        }
        P::RootAccepted::SIGNATURE_HASH => {
            let e: P::RootAccepted = data(log)?;
            let (root, total, held, vault) = (e.root, e.total, e.held, e.vault);
            EventKind::RootAccepted {
                model: e.model,
                token: e.token,
                epoch: e.epoch,
                root,
                total,
                held,
                vault,
            }
        }
        P::RootDropped::SIGNATURE_HASH => {
            let e: P::RootDropped = data(log)?;
            EventKind::RootDropped { model: e.model, token: e.token, epoch: e.epoch, root: e.root }
        }
        IInferences::InferenceProved::SIGNATURE_HASH => {
            let e: IInferences::InferenceProved = data(log)?;
            EventKind::InferenceProved { id: e.id, context: e.context, output: e.output }
        }
        IPayoutVault::Claimed::SIGNATURE_HASH => {
            let e: IPayoutVault::Claimed = data(log)?;
            EventKind::Claimed { vault: log.address(), account: e.account, amount: e.amount }
        }
        _ => return Ok(None),
    }))
}
