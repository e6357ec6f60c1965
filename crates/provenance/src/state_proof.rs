//! Contract storage proved against a block header (EIP-1186), offline.

use alloy_primitives::{Address, B256, Bytes, U256, b256, keccak256};
use alloy_rlp::{Decodable, Encodable};
use alloy_trie::TrieAccount;
use serde::{Deserialize, Serialize};

use crate::trie::{self, Shown};

/// Hash of no code.
const KECCAK_EMPTY: B256 =
    b256!("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");

/// Longest proof looked at, in nodes: a path has at most 64 nibbles.
const MAX_NODES: usize = 65;

/// An account and some of its storage, with Merkle-Patricia proofs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountProof {
    /// The account.
    pub address: Address,
    /// Its balance.
    pub balance: U256,
    /// Its nonce.
    pub nonce: u64,
    /// Hash of its code.
    pub code_hash: B256,
    /// Root of its storage.
    pub storage_hash: B256,
    /// Nodes from the state root down.
    pub account_proof: Vec<Bytes>,
    /// Its slots.
    pub storage_proof: Vec<SlotProof>,
}

/// A storage slot with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotProof {
    /// The slot.
    pub key: B256,
    /// What it holds; zero where it was never written.
    pub value: U256,
    /// Nodes from the storage root down.
    pub proof: Vec<Bytes>,
}

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateProofError {
    /// Account part.
    #[error("the account proof of `{0}` does not lead to the state root")]
    Account(Address),
    /// Storage part.
    #[error("the storage proof of slot `{1}` of `{0}` does not lead to the storage root")]
    Slot(Address, B256),
}

impl AccountProof {
    /// Checks account and slots against a state root. Total on any input. An account that the state
    /// does not have is proved too: everything about it is then zero or empty.
    pub fn verify(&self, state_root: B256) -> Result<(), StateProofError> {
        if self.is_empty()
            && check(state_root, keccak256(self.address), &Shown::Absent, &self.account_proof)
                .is_some()
        {
            let filled = self.storage_proof.iter().find(|slot| !slot.value.is_zero());
            return filled
                .map_or(Ok(()), |slot| Err(StateProofError::Slot(self.address, slot.key)));
        }
        let account = TrieAccount {
            nonce: self.nonce,
            balance: self.balance,
            storage_root: self.storage_hash,
            code_hash: self.code_hash,
        };
        let mut leaf = Vec::new();
        account.encode(&mut leaf);
        check(state_root, keccak256(self.address), &Shown::Value(leaf), &self.account_proof)
            .ok_or(StateProofError::Account(self.address))?;
        for slot in &self.storage_proof {
            let shown = trie::prove(self.storage_hash, keccak256(slot.key), &slot.proof)
                .filter(|_| slot.proof.len() <= MAX_NODES);
            // A zero has no leaf by the standard; anvil keeps leaves of zeros, which say the same.
            let is_zero = slot.value.is_zero() && shown == Some(Shown::Absent);
            let is_leaf = || shown == Some(Shown::Value(alloy_rlp::encode(slot.value)));
            let proved = (is_zero || is_leaf()).then_some(());
            proved.ok_or(StateProofError::Slot(self.address, slot.key))?;
        }
        Ok(())
    }

    /// Whether nothing is claimed of the account; nodes say so with zeros or with empty hashes.
    fn is_empty(&self) -> bool {
        self.balance.is_zero()
            && self.nonce == 0
            && (self.code_hash.is_zero() || self.code_hash == KECCAK_EMPTY)
            && (self.storage_hash.is_zero() || self.storage_hash == trie::EMPTY_ROOT)
    }

    /// The proved value of a slot, if it is among them.
    pub fn slot(&self, key: B256) -> Option<U256> {
        self.storage_proof.iter().find(|slot| slot.key == key).map(|slot| slot.value)
    }
}

fn check(root: B256, key: B256, expected: &Shown, proof: &[Bytes]) -> Option<()> {
    (proof.len() <= MAX_NODES).then_some(())?;
    (trie::prove(root, key, proof)? == *expected).then_some(())
}

/// The slot of `map[key]` for a mapping at `position` (Solidity storage layout).
pub fn mapping_slot(key: B256, position: u64) -> B256 {
    let mut input = [0; 64];
    let (left, right) = input.split_at_mut(32);
    left.copy_from_slice(key.as_slice());
    right.copy_from_slice(&U256::from(position).to_be_bytes::<32>());
    keccak256(input)
}

/// What a block header says that proofs need; decoded from its RLP without trusting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderSummary {
    /// Keccak-256 of the RLP.
    pub hash: B256,
    /// Root of all accounts.
    pub state_root: B256,
    /// Height.
    pub number: u64,
    /// Unix seconds.
    pub timestamp: u64,
}

impl HeaderSummary {
    /// Decodes a header's RLP; `None` where it is none, or has bytes to spare.
    pub fn decode(rlp: &[u8]) -> Option<Self> {
        let mut rest = rlp;
        let list = alloy_rlp::Header::decode(&mut rest).ok().filter(|header| header.list)?;
        let mut fields =
            rest.get(..list.payload_length).filter(|_| rest.len() == list.payload_length)?;
        let mut values: Vec<&[u8]> = Vec::new();
        while !fields.is_empty() && values.len() < 32 {
            values.push(alloy_rlp::Header::decode_bytes(&mut fields, false).ok()?);
        }
        // Yellow paper §4.3: parent, ommers, beneficiary, state root, ..., number (8), ..., time (11).
        Some(Self {
            hash: keccak256(rlp),
            state_root: B256::try_from(*values.get(3)?).ok()?,
            number: integer(values.get(8)?)?,
            timestamp: integer(values.get(11)?)?,
        })
    }
}

fn integer(bytes: &[u8]) -> Option<u64> {
    let mut encoded = Vec::new();
    bytes.encode(&mut encoded);
    u64::decode(&mut encoded.as_slice()).ok()
}
