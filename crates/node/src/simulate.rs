//! What it costs to get fake items into a dataset: an attack on the digits data, decided by the same
//! rules that build real datasets.
//!
//! The attacker is new, has any number of accounts, and registers items of four kinds. What the
//! policy lets in is then looked at by two checks that people run: canaries (items whose true labels
//! somebody knows: an account with a wrong one loses all its items) and challenges of labels that
//! contradict their neighbourhood. A court that is right decides them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use alloy_primitives::Address;
use probity_compute::{SAMPLE_MEDIA_TYPE, Sample, outliers};
use probity_core::{
    Digest,
    keys::PublicKey,
    licence::LicenceTerms,
    money::Bps,
    statement::{Signed, Statement},
};
use probity_provenance::{
    content::{Batch, CONTENT_TYPE, ContentError, ContentPredicate, Payee},
    dataset::{Inputs, Manifest, Policy, Resemblances},
    near::Fingerprint,
    optout::DenyList,
    weights::Tallies,
};
use serde::Serialize;

use crate::{
    NodeError, demo,
    workspace::{MAX_INPUT, read_file},
};

/// Neighbours that must all contradict a label.
const NEIGHBOURS: usize = 5;

/// What is simulated. Costs are in any one unit.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The curator's policy.
    pub policy: Policy,
    /// Items that the attacker registers.
    pub fakes: usize,
    /// Accounts that the attacker spreads them over.
    pub accounts: usize,
    /// Honest authors, who have items in the version before.
    pub authors: usize,
    /// Items in 1/1,000 whose true labels somebody knows.
    pub canaries: u16,
    /// What an account costs.
    pub account_cost: u64,
    /// What registering an item costs.
    pub item_cost: u64,
    /// What an item loses its author when it is removed: the stake of a challenge.
    pub bond: u64,
    /// What is locked with each item when it is registered. It comes back unless the item is removed;
    /// items that the policy leaves out were never in, and get it back.
    pub item_bond: u64,
    /// Chooses items and canaries.
    pub seed: u64,
}

/// How a fake item is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fake {
    /// A registered digit once more, byte for byte.
    Copy,
    /// A registered digit with two pixels changed, under a wrong label.
    Altered,
    /// A digit that nobody registered, under a wrong label.
    Mislabelled,
    /// The mean of two registered digits, under either label plus one.
    Blended,
}

const KINDS: [Fake; 4] = [Fake::Copy, Fake::Altered, Fake::Mislabelled, Fake::Blended];

/// What became of the fakes of one kind, or of the true items.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fate {
    /// Registered.
    pub registered: usize,
    /// Left out by the policy, by reason.
    pub excluded: BTreeMap<&'static str, usize>,
    /// Removed because of a canary.
    pub by_canary: usize,
    /// Removed after a challenge of the label.
    pub by_challenge: usize,
    /// In the dataset at the end.
    pub accepted: usize,
}

/// What a simulation says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Fakes by kind.
    pub fakes: BTreeMap<Fake, Fate>,
    /// True items.
    pub honest: Fate,
    /// Fakes that were kept out or removed.
    pub caught: usize,
    /// Fakes in the dataset at the end.
    pub missed: usize,
    /// True items that were kept out or removed.
    pub wrongly_excluded: usize,
    /// True labels that were challenged, and kept.
    pub wrongly_challenged: usize,
    /// What the attacker paid and lost.
    pub cost: u64,
    /// What the attacker had to lock at once, with every item registered.
    pub locked: u64,
    /// Of that, what was lost with items that were removed; `cost` has it too.
    pub forfeited: u64,
    /// What the honest had to lock, and got back.
    pub honest_locked: u64,
    /// Of `cost`, for each accepted fake, rounded up; nothing if none was accepted.
    pub cost_per_accepted: Option<u64>,
}

/// A registered item and what is true of it.
struct Entry {
    row: String,
    fake: Option<Fake>,
    author: Address,
}

/// Reads the digits that are shipped, or another file of their form, and simulates.
pub fn simulate(setting: &Setting, data: Option<&Path>) -> Result<Figures, NodeError> {
    let text = match data {
        Some(path) => String::from_utf8_lossy(&read_file(path, MAX_INPUT)?).into_owned(),
        None => String::from_utf8_lossy(demo::DIGITS).into_owned(),
    };
    let path = data.unwrap_or(Path::new("digits.csv"));
    for (index, row) in text.lines().enumerate() {
        parse(row, path, index + 1)?;
    }
    let rows: Vec<&str> = text.lines().collect();
    let entries = register(&rows, setting);
    let manifest = build(&entries, setting)?;
    Ok(judge(&entries, &manifest, setting))
}

fn parse(row: &str, path: &Path, line: usize) -> Result<Sample, NodeError> {
    Sample::parse(row).map_err(|source| NodeError::Sample { path: path.to_owned(), line, source })
}

/// A number below `below` that the seed and two more numbers choose.
fn choose(seed: u64, what: &str, number: usize, below: usize) -> usize {
    let number = (number as u64).to_be_bytes();
    let digest = Digest::of_parts(&[b"simulate", &seed.to_be_bytes(), what.as_bytes(), &number]);
    let [a, b, c, d, ..] = *digest.as_bytes();
    u32::from_be_bytes([a, b, c, d]) as usize % below.max(1)
}

fn account(kind: u8, number: usize) -> Address {
    let mut bytes = [kind; 20];
    for (byte, value) in bytes.iter_mut().rev().zip(number.to_le_bytes()) {
        *byte = value;
    }
    Address::from(bytes)
}

/// Four of five rows are shared out among the honest; the attacker draws on them and on the others.
fn register(rows: &[&str], setting: &Setting) -> Vec<Entry> {
    let (mut honest, mut unseen) = (vec![], vec![]);
    for (index, row) in rows.iter().enumerate() {
        if index % 5 == 0 { unseen.push(*row) } else { honest.push(*row) }
    }
    let author = |at: usize| account(0xa0, at % setting.authors.max(1));
    let mut entries: Vec<Entry> = (honest.iter().enumerate())
        .map(|(at, row)| Entry { row: format!("{row}\n"), fake: None, author: author(at) })
        .collect();
    let mut seen: BTreeSet<(Address, String)> = BTreeSet::new();
    for number in 0..setting.fakes {
        let kind = KINDS[number % KINDS.len()];
        let pick = |what: &str, rows: &[&str]| {
            let at = choose(setting.seed, what, number, rows.len());
            rows.get(at).copied().unwrap_or_default().to_owned()
        };
        let first = pick("first", &honest);
        let row = match kind {
            Fake::Copy => format!("{first}\n"),
            Fake::Altered => relabelled(&altered(&first, number)),
            Fake::Mislabelled => relabelled(&pick("unseen", &unseen)),
            Fake::Blended => relabelled(&blended(&first, &pick("second", &honest))),
        };
        // Every account gets fakes of every kind.
        let author = account(0xee, number / KINDS.len() % setting.accounts.max(1));
        // One statement names a work once.
        if seen.insert((author, row.clone())) {
            entries.push(Entry { row, fake: Some(kind), author });
        }
    }
    entries
}

fn values(row: &str) -> Vec<u8> {
    row.trim_end().split(',').filter_map(|value| value.parse().ok()).collect()
}

fn joined(values: &[u8]) -> String {
    values.iter().map(u8::to_string).collect::<Vec<_>>().join(",")
}

fn altered(row: &str, number: usize) -> String {
    let mut values = values(row);
    for at in [number * 7 % 64, (number * 7 + 29) % 64] {
        if let Some(value) = values.get_mut(at) {
            *value = if *value > 0 { *value - 1 } else { 1 };
        }
    }
    joined(&values)
}

fn blended(first: &str, second: &str) -> String {
    let mean = |(a, b): (u8, u8)| u8::midpoint(a, b);
    let mut mixed: Vec<u8> = values(first).into_iter().zip(values(second)).map(mean).collect();
    if let (Some(label), Some(of)) = (mixed.last_mut(), values(first).last()) {
        *label = *of;
    }
    joined(&mixed)
}

fn relabelled(row: &str) -> String {
    let mut values = values(row);
    if let Some(label) = values.last_mut() {
        *label = (*label + 1) % 10;
    }
    format!("{}\n", joined(&values))
}

/// The dataset that the policy makes of it.
fn build(entries: &[Entry], setting: &Setting) -> Result<Manifest, NodeError> {
    let mut by_author: BTreeMap<(bool, Address), Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        by_author.entry((entry.fake.is_some(), entry.author)).or_default().push(entry);
    }
    let batches = by_author.iter().map(|((_, author), of)| batch(*author, of));
    let batches: Vec<Batch> = batches.collect::<Result<_, _>>()?;
    let honest = entries.iter().filter(|entry| entry.fake.is_none());
    let mut prints: BTreeMap<Digest, Fingerprint> = BTreeMap::new();
    if let Some(near) = &setting.policy.near {
        for entry in entries {
            let bytes = entry.row.as_bytes();
            if let Some(print) = near.fingerprint(SAMPLE_MEDIA_TYPE, bytes) {
                prints.insert(Digest::of(bytes), print);
            }
        }
    }
    let inputs = Inputs {
        batches: &batches,
        deny_list: &DenyList::default(),
        removed: &BTreeSet::new(),
        not_selected: &BTreeSet::new(),
        known_authors: &honest.map(|entry| entry.author).collect(),
        resemblances: Resemblances::Computed(&prints),
        tallies: &Tallies::default(),
    };
    Ok(Manifest::build("simulated", &setting.policy, &inputs)?)
}

fn batch(author: Address, entries: &[&Entry]) -> Result<Batch, ContentError> {
    let predicate = ContentPredicate {
        author,
        licence: LicenceTerms::open("CC-BY-4.0")?,
        media_type: SAMPLE_MEDIA_TYPE.to_owned(),
        payees: vec![Payee { account: author, bps: Bps::WHOLE }],
        time: 0,
    };
    let works = entries.iter().enumerate();
    let works = works.map(|(at, entry)| (format!("row-{at}"), Digest::of(entry.row.as_bytes())));
    let statement = Statement::new(CONTENT_TYPE, works, &predicate)?;
    // Nobody signs in a simulation: the statement stands for a signed one.
    Batch::open(&Signed {
        statement,
        digest: Digest::of(author.as_slice()),
        signers: vec![PublicKey::Account(author)],
        findings: vec![],
    })
}

/// What canaries and challenges find in the dataset, and what it cost.
fn judge(entries: &[Entry], manifest: &Manifest, setting: &Setting) -> Figures {
    let of: BTreeMap<(Address, Digest), &Entry> = (entries.iter())
        .map(|entry| ((entry.author, Digest::of(entry.row.as_bytes())), entry))
        .collect();
    let mut fates: BTreeMap<Option<Fake>, Fate> = BTreeMap::new();
    for entry in entries {
        fates.entry(entry.fake).or_default().registered += 1;
    }
    for excluded in &manifest.excluded {
        let Some(entry) = of.get(&(excluded.author, excluded.digest)) else { continue };
        let reasons = &mut fates.entry(entry.fake).or_default().excluded;
        *reasons.entry(excluded.exclusion.name()).or_default() += 1;
    }
    let items: Vec<&Entry> = (manifest.items.iter())
        .filter_map(|item| of.get(&(item.author, item.digest)).copied())
        .collect();
    let samples: Vec<Sample> =
        items.iter().filter_map(|entry| Sample::parse(entry.row.trim_end()).ok()).collect();
    let is_canary = |at: usize| choose(setting.seed, "canary", at, 1000) < setting.canaries.into();
    let betrayed: BTreeSet<Address> = (items.iter().enumerate())
        .filter(|(at, entry)| entry.fake.is_some() && is_canary(*at))
        .map(|(_, entry)| entry.author)
        .collect();
    let challenged: BTreeSet<usize> =
        outliers(&samples, NEIGHBOURS).into_iter().map(|outlier| outlier.index).collect();
    let mut wrongly_challenged = 0;
    for (at, entry) in items.iter().enumerate() {
        let fate = fates.entry(entry.fake).or_default();
        if betrayed.contains(&entry.author) {
            fate.by_canary += 1;
        } else if challenged.contains(&at) && entry.fake.is_some() {
            fate.by_challenge += 1;
        } else {
            wrongly_challenged += usize::from(challenged.contains(&at));
            fate.accepted += 1;
        }
    }
    figures(fates, wrongly_challenged, setting)
}

fn figures(
    mut fates: BTreeMap<Option<Fake>, Fate>,
    wrongly_challenged: usize,
    setting: &Setting,
) -> Figures {
    let honest = fates.remove(&None).unwrap_or_default();
    let fakes: BTreeMap<Fake, Fate> =
        fates.into_iter().filter_map(|(kind, fate)| Some((kind?, fate))).collect();
    let sum = |of: fn(&Fate) -> usize| fakes.values().map(of).sum::<usize>();
    let (registered, missed) = (sum(|fate| fate.registered), sum(|fate| fate.accepted));
    let removed = sum(|fate| fate.by_canary + fate.by_challenge);
    let times = |count: usize, each: u64| each.saturating_mul(count as u64);
    let cost = times(setting.accounts, setting.account_cost)
        .saturating_add(times(registered, setting.item_cost))
        .saturating_add(times(removed, setting.bond))
        .saturating_add(times(removed, setting.item_bond));
    Figures {
        caught: registered - missed,
        missed,
        wrongly_excluded: honest.registered - honest.accepted,
        wrongly_challenged,
        cost,
        locked: times(registered, setting.item_bond),
        forfeited: times(removed, setting.item_bond),
        honest_locked: times(honest.registered, setting.item_bond),
        cost_per_accepted: (missed > 0).then(|| cost.div_ceil(missed as u64)),
        fakes,
        honest,
    }
}
