//! What the contracts' proved storage says: slots of `Registry`, `Challenges`, `Payouts` and the
//! vaults, by the Solidity storage layout that the contracts' build fixes.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolValue;
use probity_core::records::DatasetItem;

use crate::state_proof::{AccountProof, mapping_slot};

/// `Registry._records`.
const RECORDS: u64 = 2;
/// `Registry._heads`.
const HEADS: u64 = 5;
/// `Challenges._items`.
const ITEMS: u64 = 4;
/// `Challenges._removed`.
const REMOVED: u64 = 5;
/// `Challenges._inherited`.
const INHERITED: u64 = 7;
/// `Payouts._pools`.
const POOLS: u64 = 3;
/// `PayoutVault.claimed`; its root is slot 0.
const CLAIMED: u64 = 1;

/// What a record is (`Kind` of the contracts).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the Solidity enumeration documents the kinds")]
pub enum Kind {
    Content = 1,
    OptOut,
    Licence,
    Dataset,
    Run,
    Model,
    Checkpoint,
    Anchor,
    Revocation,
    ModelKey,
}

/// The stored part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredRecord {
    /// Who made it.
    pub author: Address,
    /// Block time, Unix seconds.
    pub time: u64,
    /// [`Kind`] as a number; 0 where there is no record.
    pub kind: u8,
    /// For a dataset, its version.
    pub version: u64,
}

/// The stored figures of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPool {
    /// All revenue ever.
    pub received: u128,
    /// Handed to the vault.
    pub funded: u128,
    /// Taken into account.
    pub accounted: u128,
    /// Withheld.
    pub held: u128,
    /// Accepted roots.
    pub epoch: u64,
}

/// Storage slot of a record.
pub fn record_slot(id: B256) -> B256 {
    mapping_slot(id, RECORDS)
}

/// Storage slot of an item's state.
pub fn item_slot(dataset: B256, item: &DatasetItem) -> B256 {
    let key = (dataset, item.index, item.content, item.weight).abi_encode();
    mapping_slot(keccak256(key), ITEMS)
}

/// Storage slot of a model's newest checkpoint.
pub fn head_slot(model: B256) -> B256 {
    mapping_slot(model, HEADS)
}

/// Id of the revocation of a record (`Registry`, EIP-712 `Revocation(bytes32 target)`).
pub fn revocation_id(target: B256) -> B256 {
    keccak256((keccak256("Revocation(bytes32 target)"), target).abi_encode())
}

/// Storage slot of what challenges removed from a dataset.
pub fn removed_slot(dataset: B256) -> B256 {
    mapping_slot(dataset, REMOVED)
}

/// Storage slot of a checkpoint's inherited taint.
pub fn inherited_slot(checkpoint: B256) -> B256 {
    mapping_slot(checkpoint, INHERITED)
}

/// Storage slots of a pool.
pub fn pool_slots(model: B256, token: Address) -> [B256; 3] {
    let key = keccak256((model, token).abi_encode());
    let base = U256::from_be_bytes(mapping_slot(key, POOLS).0);
    [0u64, 1, 2].map(|offset| B256::from(base.wrapping_add(U256::from(offset))))
}

/// Storage slot of a vault's root.
pub const VAULT_ROOT_SLOT: B256 = B256::ZERO;

/// Storage slot of what an account claimed from a vault.
pub fn claimed_slot(account: Address) -> B256 {
    mapping_slot(account.into_word(), CLAIMED)
}

/// Proved storage of several contracts. What was not proved is `None`, never a default.
#[derive(Debug, Clone, Default)]
pub struct Ledger(BTreeMap<Address, BTreeMap<B256, U256>>);

impl Ledger {
    /// Takes the slots of proofs that were verified.
    pub fn new(proofs: &[AccountProof]) -> Self {
        let mut accounts: BTreeMap<Address, BTreeMap<B256, U256>> = BTreeMap::new();
        for proof in proofs {
            let slots = accounts.entry(proof.address).or_default();
            slots.extend(proof.storage_proof.iter().map(|slot| (slot.key, slot.value)));
        }
        Self(accounts)
    }

    /// The value of a slot.
    pub fn slot(&self, address: Address, key: B256) -> Option<U256> {
        self.0.get(&address)?.get(&key).copied()
    }

    /// A record of `Registry`; `kind` 0 says that there is none.
    pub fn record(&self, registry: Address, id: B256) -> Option<StoredRecord> {
        let word = self.slot(registry, record_slot(id))?;
        Some(StoredRecord {
            author: Address::from_word(B256::from(word & ((U256::ONE << 160) - U256::ONE))),
            time: bits(word, 160, 48),
            kind: u8::try_from(bits(word, 208, 8)).unwrap_or(u8::MAX),
            version: bits(word, 216, 40),
        })
    }

    /// Number and weight of the items removed from a dataset.
    pub fn removed(&self, challenges: Address, dataset: B256) -> Option<(u64, u64)> {
        let word = self.slot(challenges, removed_slot(dataset))?;
        Some((bits(word, 0, 64), bits(word, 64, 64)))
    }

    /// Whether a challenge removed an item.
    pub fn is_removed(
        &self,
        challenges: Address,
        dataset: B256,
        item: &DatasetItem,
    ) -> Option<bool> {
        let word = self.slot(challenges, item_slot(dataset, item))?;
        Some(bits(word, 32, 8) == 1)
    }

    /// A pool of `Payouts`.
    pub fn pool(&self, payouts: Address, model: B256, token: Address) -> Option<StoredPool> {
        let [first, second, third] = pool_slots(model, token);
        let (first, second) = (self.slot(payouts, first)?, self.slot(payouts, second)?);
        let third = self.slot(payouts, third)?;
        Some(StoredPool {
            received: half(first, 0),
            funded: half(first, 128),
            accounted: half(second, 0),
            held: half(second, 128),
            epoch: bits(third, 0, 64),
        })
    }
}

fn bits(word: U256, offset: usize, width: usize) -> u64 {
    ((word >> offset) & ((U256::ONE << width) - U256::ONE)).saturating_to()
}

fn half(word: U256, offset: usize) -> u128 {
    ((word >> offset) & U256::from(u128::MAX)).saturating_to()
}
