//! Who gets what of a model's revenue: the computation that every payout root can be held against.
//!
//! Of fresh revenue `F`, the model's owner gets `floor(F * (1 - data))`; of the rest, the dataset's
//! treasury gets `floor(F * data * treasury)`; `held` is withheld for removed items; what remains is
//! split among the contents' payees by largest remainder. Money held earlier and released goes to
//! the payees too. Nothing is lost to rounding: the parts add up to what is distributed.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use probity_core::{
    json::{self, JsonError},
    merkle::{self, EmptyTree, StandardTree},
    money::{self, Bps, MoneyError, split},
};
use serde::{Deserialize, Serialize};

use crate::{
    dataset::{Manifest, PayeesByStatement},
    weights::Formula,
};

/// Predicate type of an accountant's statement about a payout computation.
pub const PAYOUT_TYPE: &str = "https://probity.dev/payout/v1";

/// Amounts are decimal strings in JSON.
pub(crate) mod decimal {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value: u128 = text.parse().map_err(serde::de::Error::custom)?;
        // One spelling per amount.
        if value.to_string() == text {
            Ok(value)
        } else {
            Err(serde::de::Error::custom("not a canonical decimal"))
        }
    }
}

/// Why a payout cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum PayoutError {
    /// Arithmetic that does not fit, or nobody to pay.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// An item whose statement names no payees here.
    #[error("no payees are known for statement `{0}`")]
    PayeesUnknown(probity_core::Digest),
    /// Pool figures that contradict each other.
    #[error("the pool's figures contradict each other: {0}")]
    PoolInvalid(&'static str),
    /// Nobody is owed anything yet.
    #[error("there is nothing to distribute")]
    Nothing,
    /// No canonical form.
    #[error(transparent)]
    Json(#[from] JsonError),
}

impl From<EmptyTree> for PayoutError {
    fn from(_: EmptyTree) -> Self {
        Self::Nothing
    }
}

/// The terms that revenue is divided by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Terms {
    /// Model record.
    pub model: B256,
    /// Dataset record of the model's head.
    pub dataset: B256,
    /// Token, zero for the native coin.
    pub token: Address,
    /// The model's owner.
    pub owner: Address,
    /// Data's part of the revenue.
    pub data: Bps,
    /// Data-DAO treasury, zero for none.
    pub treasury: Address,
    /// Treasury's part of the data's part.
    pub treasury_share: Bps,
}

/// The pool's figures before this epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Before {
    /// All revenue ever.
    #[serde(with = "decimal")]
    pub received: u128,
    /// Revenue that earlier epochs took into account.
    #[serde(with = "decimal")]
    pub accounted: u128,
    /// Of that, withheld.
    #[serde(with = "decimal")]
    pub held: u128,
}

/// One line of the explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Who is paid.
    pub account: Address,
    /// For what.
    pub role: Role,
    /// Weight among the payees (items' weights times basis points), 0 for owner and treasury.
    #[serde(with = "decimal")]
    pub weight: u128,
    /// How much, this epoch.
    #[serde(with = "decimal")]
    pub amount: u128,
}

/// What somebody is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The model.
    Owner,
    /// The data DAO.
    Treasury,
    /// Content in the dataset.
    Contributor,
}

/// Somebody's cumulative amount: a leaf of the payout tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Who is paid.
    pub account: Address,
    /// Everything ever.
    #[serde(with = "decimal")]
    pub cumulative: u128,
}

impl Entry {
    /// The leaf that the vault checks: `["address", "uint256"]`.
    pub fn leaf(&self) -> B256 {
        merkle::leaf(&(self.account, U256::from(self.cumulative)))
    }
}

/// A payout epoch, computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Computation {
    /// The rule's name and version.
    pub formula: String,
    /// Epoch, from 1.
    pub epoch: u64,
    /// The terms applied.
    pub terms: Terms,
    /// What the dataset's items weigh, as its policy says.
    pub weights: Formula,
    /// The figures before.
    pub before: Before,
    /// Positions of the dataset's items that challenges had removed, ascending.
    pub removed: Vec<u64>,
    /// Their weight.
    pub removed_weight: u64,
    /// Whether the model's head was tainted by a parent: nothing held back is then released.
    pub inherited_taint: bool,
    /// What is withheld after this epoch.
    #[serde(with = "decimal")]
    pub held: u128,
    /// Sum of all cumulative amounts: what the root distributes in all.
    #[serde(with = "decimal")]
    pub total: u128,
    /// This epoch, line by line.
    pub lines: Vec<Line>,
    /// Everybody's cumulative amount, by account.
    pub entries: Vec<Entry>,
}

/// Name of the rule this module implements.
pub const FORMULA: &str = "contribution-weight/v1";

/// Everything an epoch is computed from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Epoch, from 1.
    pub epoch: u64,
    /// The terms.
    pub terms: &'a Terms,
    /// The pool's figures.
    pub before: Before,
    /// The dataset of the model's head.
    pub manifest: &'a Manifest,
    /// Who earns from its contents.
    pub payees: &'a PayeesByStatement,
    /// Positions of the items that challenges removed, ascending.
    pub removed: &'a [u64],
    /// Whether the model's head is tainted by a parent.
    pub inherited_taint: bool,
    /// Cumulative amounts of the epoch before.
    pub previous: &'a [Entry],
}

/// What a removed weight withholds of fresh revenue: `ceil(fresh * data * (1 - treasury) * w / W)`.
pub fn held_share(fresh: u128, data: Bps, treasury: Bps, removed: u64, total: u64) -> Option<u128> {
    let factors = [u64::from(data.get()) * u64::from(treasury.rest().get()), removed, 1];
    money::mul_div_ceil(fresh, factors, [100_000_000, total])
}

/// Computes an epoch.
pub fn compute(inputs: &Inputs<'_>) -> Result<Computation, PayoutError> {
    let (terms, before) = (inputs.terms, inputs.before);
    let invalid = PayoutError::PoolInvalid;
    let fresh = before
        .received
        .checked_sub(before.accounted)
        .ok_or(invalid("more accounted than received"))?;
    let removed_weight = removed_weight(inputs);
    let is_tainted = inputs.inherited_taint || !inputs.removed.is_empty();
    let (withheld, released) = if is_tainted {
        let total = inputs.manifest.total_weight();
        let share = held_share(fresh, terms.data, terms.treasury_share, removed_weight, total);
        (share.ok_or(MoneyError::Overflow)?, 0)
    } else {
        (0, before.held)
    };
    let owner = terms.data.rest().of(fresh);
    let treasury = treasury_share(terms, fresh);
    let rest = fresh
        .checked_sub(owner)
        .and_then(|rest| rest.checked_sub(treasury))
        .and_then(|rest| rest.checked_sub(withheld))
        .ok_or(invalid("the shares exceed the revenue"))?;
    let mut lines = vec![
        Line { account: terms.owner, role: Role::Owner, weight: 0, amount: owner },
        Line { account: terms.treasury, role: Role::Treasury, weight: 0, amount: treasury },
    ];
    lines.retain(|line| line.amount > 0);
    lines.extend(contributor_lines(inputs, money::add(rest, released)?)?);
    let entries = accumulate(inputs.previous, &lines)?;
    let total = entries.iter().try_fold(0, |sum, entry| money::add(sum, entry.cumulative))?;
    let held = money::add(before.held - released, withheld)?;
    Ok(Computation {
        formula: FORMULA.to_owned(),
        epoch: inputs.epoch,
        terms: terms.clone(),
        weights: inputs.manifest.policy.weights.clone(),
        before,
        removed: inputs.removed.to_vec(),
        removed_weight,
        inherited_taint: inputs.inherited_taint,
        held,
        total,
        lines,
        entries,
    })
}

fn removed_weight(inputs: &Inputs<'_>) -> u64 {
    let items = &inputs.manifest.items;
    let removed = items.iter().filter(|item| inputs.removed.contains(&item.index));
    removed.fold(0, |sum, item| sum.saturating_add(item.weight))
}

fn treasury_share(terms: &Terms, fresh: u128) -> u128 {
    if terms.treasury.is_zero() {
        return 0;
    }
    // floor(F * data * treasury) in one step: two roundings would differ from the contract's share.
    let product =
        U256::from(fresh) * U256::from(terms.data.get()) * U256::from(terms.treasury_share.get());
    (product / U256::from(100_000_000u64)).saturating_to()
}

/// Splits an amount among the payees of the items that are still in.
fn contributor_lines(inputs: &Inputs<'_>, amount: u128) -> Result<Vec<Line>, PayoutError> {
    let mut weights: BTreeMap<Address, u128> = BTreeMap::new();
    for item in &inputs.manifest.items {
        if inputs.removed.contains(&item.index) {
            continue;
        }
        let payees =
            inputs.payees.get(&item.statement).ok_or(PayoutError::PayeesUnknown(item.statement))?;
        for payee in payees {
            let weight = u128::from(item.weight) * u128::from(payee.bps.get());
            *weights.entry(payee.account).or_default() += weight;
        }
    }
    if amount == 0 {
        return Ok(vec![]);
    }
    if weights.values().all(|weight| *weight == 0) {
        // Every item was removed: what rounding left over goes to the owner.
        let account = inputs.terms.owner;
        return Ok(vec![Line { account, role: Role::Owner, weight: 0, amount }]);
    }
    let parts = split(amount, &weights.values().copied().collect::<Vec<_>>())?;
    let line =
        |((account, weight), amount)| Line { account, role: Role::Contributor, weight, amount };
    Ok(weights.into_iter().zip(parts).map(line).filter(|line| line.amount > 0).collect())
}

fn accumulate(previous: &[Entry], lines: &[Line]) -> Result<Vec<Entry>, PayoutError> {
    let mut cumulative: BTreeMap<Address, u128> =
        previous.iter().map(|entry| (entry.account, entry.cumulative)).collect();
    for line in lines {
        let sum = cumulative.entry(line.account).or_default();
        *sum = money::add(*sum, line.amount)?;
    }
    cumulative.retain(|_, sum| *sum > 0);
    Ok(cumulative.into_iter().map(|(account, cumulative)| Entry { account, cumulative }).collect())
}

impl Computation {
    /// The tree whose root goes on chain.
    pub fn tree(&self) -> Result<StandardTree, PayoutError> {
        Ok(StandardTree::new(self.entries.iter().map(Entry::leaf).collect())?)
    }

    /// The canonical bytes that anybody recomputes bit for bit.
    pub fn to_json(&self) -> Result<Vec<u8>, PayoutError> {
        Ok(json::canonical(self)?)
    }

    /// What an account may claim in all, with its proof.
    pub fn claim(&self, account: Address) -> Result<Option<(u128, Vec<B256>)>, PayoutError> {
        let tree = self.tree()?;
        let entry = self.entries.iter().find(|entry| entry.account == account);
        Ok(entry.and_then(|entry| Some((entry.cumulative, tree.proof(&entry.leaf())?))))
    }
}

#[cfg(test)]
mod tests {
    use probity_core::Digest;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        content::Payee,
        dataset::{Item, Policy},
    };

    fn manifest(weights: &[u64]) -> Manifest {
        let item = |(index, weight): (usize, &u64)| Item {
            index: index as u64,
            content: B256::with_last_byte(u8::try_from(index).unwrap()),
            digest: Digest::of(&[u8::try_from(index).unwrap()]),
            author: Address::with_last_byte(9),
            statement: Digest::of(&[u8::try_from(index % 3).unwrap()]),
            weight: *weight,
        };
        Manifest {
            name: "test".into(),
            policy: Policy::default(),
            deny_list: Digest::default(),
            sources: vec![],
            tallies: vec![],
            items: weights.iter().enumerate().map(item).collect(),
            excluded: vec![],
        }
    }

    fn payees() -> PayeesByStatement {
        let payee = |byte, bps| Payee {
            account: Address::with_last_byte(byte),
            bps: Bps::new(bps).unwrap(),
        };
        [
            (Digest::of(&[0]), vec![payee(10, 10_000)]),
            (Digest::of(&[1]), vec![payee(11, 3_333), payee(12, 6_667)]),
            (Digest::of(&[2]), vec![payee(10, 1), payee(13, 9_999)]),
        ]
        .into()
    }

    fn terms(data: u16, treasury_share: u16) -> Terms {
        Terms {
            model: B256::ZERO,
            dataset: B256::ZERO,
            token: Address::ZERO,
            owner: Address::with_last_byte(1),
            data: Bps::new(data).unwrap(),
            treasury: Address::with_last_byte(2),
            treasury_share: Bps::new(treasury_share).unwrap(),
        }
    }

    proptest! {
        /// Whatever comes in is paid or held, over any sequence of epochs, and cumulative amounts
        /// never fall.
        #[test]
        fn epochs_conserve_every_unit(
            weights in prop::collection::vec(1u64..1_000_000, 1..12),
            epochs in prop::collection::vec((0u128..1 << 100, any::<u16>()), 1..6),
            data in 0u16..=10_000,
            treasury_share in 0u16..=10_000,
        ) {
            let (manifest, payees, terms) = (manifest(&weights), payees(), terms(data, treasury_share));
            let mut before = Before { received: 0, accounted: 0, held: 0 };
            let mut entries: Vec<Entry> = vec![];
            for (epoch, (revenue, mask)) in epochs.into_iter().enumerate() {
                before.received += revenue;
                let removed: Vec<u64> =
                    (0..weights.len() as u64).filter(|i| mask >> (i % 16) & 1 == 1).collect();
                let done = compute(&Inputs {
                    epoch: epoch as u64 + 1, terms: &terms, before, manifest: &manifest,
                    payees: &payees, removed: &removed, inherited_taint: false, previous: &entries,
                }).unwrap();
                prop_assert_eq!(done.total + done.held, before.received);
                for entry in &entries {
                    let now = done.entries.iter().find(|e| e.account == entry.account).unwrap();
                    prop_assert!(now.cumulative >= entry.cumulative);
                }
                before = Before { received: before.received, accounted: before.received, held: done.held };
                let bytes = done.to_json().unwrap();
                prop_assert_eq!(&json::decode::<Computation>(&bytes).unwrap(), &done);
                entries = done.entries;
            }
        }
    }

    #[test]
    fn every_entry_is_claimable() {
        let (manifest, payees, terms) = (manifest(&[5, 3, 2]), payees(), terms(4_000, 1_000));
        let before = Before { received: 1_000_003, accounted: 0, held: 0 };
        let done = compute(&Inputs {
            epoch: 1,
            terms: &terms,
            before,
            manifest: &manifest,
            payees: &payees,
            removed: &[],
            inherited_taint: false,
            previous: &[],
        })
        .unwrap();
        let root = done.tree().unwrap().root();
        for entry in &done.entries {
            let (cumulative, proof) = done.claim(entry.account).unwrap().unwrap();
            assert_eq!(cumulative, entry.cumulative);
            assert!(merkle::verify(&proof, &root, &entry.leaf()));
        }
        assert_eq!(done.claim(Address::ZERO).unwrap(), None);
    }
}
