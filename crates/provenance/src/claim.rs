//! What an accepted payout root owes one account: all that a payee needs to be paid, without the
//! accountant's workspace.

use alloy_primitives::{Address, B256};
use probity_core::merkle;
use serde::{Deserialize, Serialize};

use crate::payout::{Entry, decimal};

/// An account's place under a payout root.
///
/// ```
/// use probity_core::merkle::StandardTree;
/// use probity_provenance::{claim::ClaimProof, payout::Entry};
/// # use alloy_primitives::{Address, B256};
/// let account = Address::repeat_byte(1);
/// let tree = StandardTree::new(vec![Entry { account, cumulative: 7 }.leaf()]).unwrap();
/// let mut proof = ClaimProof {
///     chain_id: 1,
///     vault: Address::ZERO,
///     model: B256::ZERO,
///     token: Address::ZERO,
///     epoch: 1,
///     root: tree.root(),
///     account,
///     cumulative: 7,
///     proof: vec![],
/// };
/// assert!(proof.leads_to_root());
/// proof.cumulative = 8;
/// assert!(!proof.leads_to_root());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimProof {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// The pool's vault, which pays.
    pub vault: Address,
    /// Model record.
    pub model: B256,
    /// Token, zero for the native coin.
    pub token: Address,
    /// The epoch whose root it is.
    pub epoch: u64,
    /// That root. Whether the chain accepted it is for the chain to say.
    pub root: B256,
    /// Who is paid.
    pub account: Address,
    /// Everything ever owed, in the token's smallest unit.
    #[serde(with = "decimal")]
    pub cumulative: u128,
    /// Siblings from the leaf up, as `PayoutVault.claim` takes them.
    pub proof: Vec<B256>,
}

impl ClaimProof {
    /// Whether the account and its amount are under the root.
    pub fn leads_to_root(&self) -> bool {
        let entry = Entry { account: self.account, cumulative: self.cumulative };
        merkle::verify(&self.proof, &self.root, &entry.leaf())
    }
}
