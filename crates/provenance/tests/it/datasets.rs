//! Building datasets: each reason for leaving a work out, evidence that cannot be changed, and
//! folders that name what was changed in them.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::Address;
use bytes::Bytes;
use probity_core::{
    Digest,
    keys::{KeyType, PublicKey, SecretKey},
    licence::LicenceTerms,
    money::Bps,
    statement::{Signed, Statement},
};
use probity_provenance::{
    content::{Batch, CONTENT_TYPE, ContentPredicate, Payee},
    croissant::Description,
    dataset::{Difference, Exclusion, Inputs, Manifest, Policy, RemovedWorks, Resemblances},
    folder::{Folder, check},
    near::{Fingerprint, NearPolicy, ShingleRule},
    optout::DenyList,
    table::{self, Row},
    weights::{Counted, Formula, TALLY_TYPE, Tallies, Tally, TallyPredicate},
};
use proptest::prelude::*;

fn account(number: u8) -> Address {
    Address::with_last_byte(number)
}

fn batch(author: Address, texts: &[&str]) -> Batch {
    let predicate = ContentPredicate {
        author,
        licence: LicenceTerms::open("CC-BY-4.0").unwrap(),
        media_type: "text/plain".to_owned(),
        payees: vec![Payee { account: author, bps: Bps::WHOLE }],
        time: 1,
    };
    let works = texts.iter().map(|text| ((*text).to_owned(), Digest::of(text.as_bytes())));
    let statement = Statement::new(CONTENT_TYPE, works, &predicate).unwrap();
    let digest = Digest::of(&serde_json::to_vec(&statement).unwrap());
    let signers = vec![PublicKey::Account(author)];
    Batch::open(&Signed { statement, digest, signers, findings: vec![] }).unwrap()
}

/// What a test changes of the inputs.
#[derive(Default)]
struct World {
    batches: Vec<Batch>,
    prints: BTreeMap<Digest, Fingerprint>,
    removed: RemovedWorks,
    not_selected: BTreeSet<Digest>,
    known_authors: BTreeSet<Address>,
    tallies: Tallies,
}

impl World {
    fn build(&self, policy: &Policy) -> Manifest {
        self.build_from(policy, Resemblances::Computed(&self.prints))
    }

    fn build_from(&self, policy: &Policy, resemblances: Resemblances<'_>) -> Manifest {
        let inputs = Inputs {
            batches: &self.batches,
            deny_list: &DenyList::default(),
            removed: &self.removed,
            not_selected: &self.not_selected,
            known_authors: &self.known_authors,
            resemblances,
            tallies: &self.tallies,
        };
        Manifest::build("test", policy, &inputs).unwrap()
    }
}

const LONG: &str = "The quick brown fox jumps over the lazy dog and runs through the deep forest \
                    until the moon rises above the hills, where it sleeps beneath an old oak tree.";

fn near_policy() -> Policy {
    let near = NearPolicy { text: Some(ShingleRule { min_matches: 40 }), ..NearPolicy::default() };
    Policy { near: Some(near), ..Policy::default() }
}

/// Two authors; the second has a text that resembles one of the first's.
fn near_world() -> World {
    let copy = LONG.replace("old oak", "old elm");
    let texts = ["a short note", LONG, &copy, "another note"];
    let policy = near_policy();
    let print = |text: &&str| {
        let print = policy.near.as_ref()?.fingerprint("text/plain", text.as_bytes())?;
        Some((Digest::of(text.as_bytes()), print))
    };
    World {
        batches: vec![batch(account(1), &texts[..2]), batch(account(2), &texts[2..])],
        prints: texts.iter().filter_map(print).collect(),
        ..World::default()
    }
}

#[test]
fn near_duplicates_are_left_out_with_evidence_that_replays() {
    let (world, policy) = (near_world(), near_policy());
    let manifest = world.build(&policy);
    assert_eq!(manifest.exclusion_counts(), [("near-duplicate", 1)].into());
    let [excluded] = manifest.excluded.as_slice() else { panic!() };
    let Exclusion::NearDuplicate { of, .. } = &excluded.exclusion else { panic!() };
    assert_eq!((*of, excluded.author), (manifest.items[1].content, account(2)));
    let again = world.build_from(&policy, Resemblances::Claimed(&manifest.excluded));
    assert_eq!(again, manifest);
}

#[test]
fn a_near_duplicate_that_is_none_does_not_replay() {
    let (world, policy) = (near_world(), near_policy());
    let manifest = world.build(&policy);
    let replays = |change: &dyn Fn(&mut Manifest)| {
        let mut changed = manifest.clone();
        change(&mut changed);
        world.build_from(&policy, Resemblances::Claimed(&changed.excluded)) == changed
    };
    assert!(replays(&|_| {}));
    // Of an item that is not in, or that comes later.
    for of in [manifest.excluded[0].content, manifest.items[2].content] {
        assert!(!replays(&move |manifest| {
            if let Exclusion::NearDuplicate { of: named, .. } = &mut manifest.excluded[0].exclusion
            {
                *named = of;
            }
        }));
    }
    // An honest work, left out with evidence about another.
    assert!(!replays(&|manifest| {
        let item = manifest.items.remove(0);
        let exclusion = manifest.excluded[0].exclusion.clone();
        let excluded = probity_provenance::dataset::Excluded {
            content: item.content,
            digest: item.digest,
            author: item.author,
            exclusion,
        };
        manifest.excluded.insert(0, excluded);
    }));
    // Under a policy that asks for more.
    let rule = ShingleRule { min_matches: 64 };
    let near = NearPolicy { text: Some(rule), ..NearPolicy::default() };
    let strict = Policy { near: Some(near), ..Policy::default() };
    let again = world.build_from(&strict, Resemblances::Claimed(&manifest.excluded));
    assert_eq!(again.items.len(), 4);
}

#[test]
fn new_authors_are_capped_alone_and_together() {
    let texts: Vec<String> = (0..40).map(|n| format!("work {n}")).collect();
    let of =
        |range: std::ops::Range<usize>| texts[range].iter().map(String::as_str).collect::<Vec<_>>();
    let world = World {
        batches: vec![
            batch(account(1), &of(0..10)),
            batch(account(2), &of(10..20)),
            batch(account(3), &of(20..30)),
            batch(account(4), &of(30..40)),
        ],
        known_authors: [account(1)].into(),
        ..World::default()
    };
    let policy = Policy {
        max_items_per_author: 8,
        max_items_per_new_author: 3,
        max_items_of_new_authors: 7,
        ..Policy::default()
    };
    let manifest = world.build(&policy);
    let of = |author| manifest.items.iter().filter(|item| item.author == account(author)).count();
    assert_eq!([of(1), of(2), of(3), of(4)], [8, 3, 3, 1]);
    let counts = [("author-over-cap", 2), ("new-author-over-cap", 14), ("new-authors-over-cap", 9)];
    assert_eq!(manifest.exclusion_counts(), counts.into());
}

#[test]
fn works_that_were_not_chosen_stay_out_and_are_named() {
    let mut world = near_world();
    world.not_selected = [Digest::of(LONG.as_bytes())].into();
    let manifest = world.build(&near_policy());
    // What resembles it has nothing left to resemble.
    assert_eq!(manifest.exclusion_counts(), [("not-selected", 1)].into());
    assert_eq!(manifest.items.len(), 3);
}

fn tally(author: &SecretKey, counted: Counted, counts: &[(&str, u64)]) -> Tally {
    let predicate = TallyPredicate {
        author: author.address().unwrap(),
        counted,
        counts: counts.iter().map(|(_, count)| *count).collect(),
        time: 1,
    };
    let works = counts.iter().map(|(text, _)| ((*text).to_owned(), Digest::of(text.as_bytes())));
    let statement = Statement::new(TALLY_TYPE, works, &predicate).unwrap();
    let envelope = statement.sign(&[author]).unwrap();
    Tally::open(&probity_core::statement::open(&envelope.to_json().unwrap()).unwrap()).unwrap()
}

#[test]
fn weights_follow_the_formula_and_only_from_those_it_names() {
    let keys: Vec<SecretKey> =
        (0..3).map(|_| SecretKey::generate(KeyType::Secp256k1).unwrap()).collect();
    let curators = keys[..2].iter().map(|key| key.address().unwrap()).collect();
    let tallies = [
        tally(&keys[0], Counted::Votes, &[("a", 1), ("b", 1)]),
        tally(&keys[1], Counted::Votes, &[("a", 1), ("c", 0)]),
        tally(&keys[1], Counted::Usage, &[("c", 900)]),
        // Not a curator.
        tally(&keys[2], Counted::Votes, &[("c", 1)]),
        // The newest vote counts.
        tally(&keys[0], Counted::Votes, &[("b", 0)]),
    ];
    let weights = |formula: Formula| {
        let mut world = World {
            batches: vec![batch(account(1), &["a", "b"]), batch(account(2), &["c"])],
            ..World::default()
        };
        world.tallies = Tallies::count(&formula, &tallies);
        let manifest = world.build(&Policy { weights: formula, ..Policy::default() });
        let weights: Vec<u64> = manifest.items.iter().map(|item| item.weight).collect();
        (weights, manifest.tallies.len(), manifest.excluded.len())
    };
    let votes = Formula::Votes { base: 2, per_vote: 5, curators };
    assert_eq!(weights(votes), (vec![12, 2, 2], 3, 0));
    let meters = [keys[1].address().unwrap()].into();
    let usage = Formula::Usage { base: 1, per_use: 3, max_uses: 100, meters };
    assert_eq!(weights(usage), (vec![1, 1, 301], 1, 0));
    let fixed = Formula::Fixed { authors: [(account(2), 7)].into(), others: 0 };
    assert_eq!(weights(fixed), (vec![7], 0, 2));
    assert_eq!(weights(Formula::default()), (vec![1, 1, 1], 0, 0));
}

#[test]
fn the_difference_names_what_changed_and_why() {
    let mut world = near_world();
    let before = world.build(&Policy::default());
    let after = world.build(&near_policy());
    let difference = Difference::between(&before, &after);
    let [(item, Some(Exclusion::NearDuplicate { .. }))] = difference.removed.as_slice() else {
        panic!("{difference:?}")
    };
    assert_eq!(item.author, account(2));
    assert!(difference.policy_changed && difference.added.is_empty());
    assert!(Difference::between(&before, &before).is_empty());
    world.batches.push(batch(account(3), &["one more"]));
    let more = Difference::between(&before, &world.build(&Policy::default()));
    assert_eq!((more.added.len(), more.removed.len()), (1, 0));
}

fn rows(manifest: &Manifest, batches: &[Batch]) -> Vec<Row> {
    let row = |item: &probity_provenance::dataset::Item| {
        let batch = batches.iter().find(|batch| batch.statement == item.statement).unwrap();
        Row {
            item: item.clone(),
            licence: batch.predicate.licence.id().unwrap(),
            spdx: batch.predicate.licence.spdx.clone(),
            media_type: batch.predicate.media_type.clone(),
            name: "ä, \"quoted\"".to_owned(),
        }
    };
    manifest.items.iter().map(row).collect()
}

fn folder_of(manifest: &Manifest, rows: Vec<Row>) -> Folder {
    let mut table = vec![];
    table::write(rows.into_iter(), &mut table).unwrap();
    let json = manifest.to_json().unwrap();
    let description = Description {
        name: manifest.name.clone(),
        licences: ["CC-BY-4.0".to_owned()].into(),
        items: manifest.items.len() as u64,
        total_weight: manifest.total_weight(),
        formula: manifest.policy.weights.name().to_owned(),
        root: manifest.tree().unwrap().root(),
        table: Digest::of(&table),
        manifest: Digest::of(&json),
    };
    Folder { description: description.to_json().unwrap(), table: table.into(), manifest: json }
}

fn good_folder() -> (Manifest, Vec<Row>, Folder) {
    let world = near_world();
    let manifest = world.build(&near_policy());
    let rows = rows(&manifest, &world.batches);
    let folder = folder_of(&manifest, rows.clone());
    (manifest, rows, folder)
}

fn codes(folder: &Folder) -> BTreeSet<String> {
    check(folder).findings.into_iter().map(|finding| finding.code).collect()
}

/// A manifest beyond the limit of other JSON.
#[test]
fn large_manifests_are_read_and_compared() {
    let digest = |n: u32| Digest::of(&n.to_be_bytes());
    let works = (0..60_000).map(|n| (format!("{n}.txt"), digest(n)));
    let predicate = batch(account(1), &["x"]).predicate;
    let statement = Statement::new(CONTENT_TYPE, works, &predicate).unwrap();
    let signers = vec![PublicKey::Account(account(1))];
    let signed = Signed { statement, digest: Digest::of(b"large"), signers, findings: vec![] };
    let world = World { batches: vec![Batch::open(&signed).unwrap()], ..World::default() };
    let manifest = world.build(&Policy::default());
    let json = manifest.to_json().unwrap();
    assert!(json.len() > probity_core::json::MAX_JSON_BYTES);
    assert_eq!(Manifest::from_json(&json).unwrap(), manifest);
    let rows = rows(&manifest, &world.batches);
    assert_eq!(codes(&folder_of(&manifest, rows.clone())), BTreeSet::new());
    // Whoever changes an item of it, and signs for the changed file, is found out.
    let mut changed = manifest;
    changed.items[40_000].weight = 2;
    let folder = folder_of(&changed, rows);
    assert!(codes(&folder).contains("dataset.item.changed"));
}

#[test]
fn a_folder_is_read_as_it_was_written() {
    let (_, rows, folder) = good_folder();
    assert_eq!(codes(&folder), BTreeSet::new());
    let mut read = vec![];
    table::read(folder.table, &mut |row| read.push(row)).unwrap();
    assert_eq!(read, rows);
}

type Change = fn(&mut Row);

/// Whoever changes a row and writes table and description anew is found out by the item.
#[test]
fn a_changed_item_is_named() {
    let (manifest, rows, folder) = good_folder();
    let changes: [(&str, Change); 6] = [
        ("dataset.item.invalid", |row| row.item.digest = Digest::of(b"another")),
        ("dataset.item.invalid", |row| row.item.author = account(9)),
        ("dataset.item.invalid", |row| row.licence = Digest::of(b"another")),
        ("dataset.item.invalid", |row| row.item.statement = Digest::of(b"another")),
        ("dataset.item.invalid", |row| row.item.content = alloy_primitives::B256::ZERO),
        ("dataset.item.changed", |row| row.item.weight = 100),
    ];
    for (code, change) in changes {
        let mut rows = rows.clone();
        change(&mut rows[1]);
        let mut changed = folder_of(&manifest, rows);
        // The description still names the root: that is what was registered.
        let found = check(&changed).findings;
        let named = found.iter().find(|finding| finding.code == code).unwrap();
        assert!(named.subject.starts_with("item 1 "), "{named:?}");
        // Only the table changed: its digest says so first.
        changed.description = folder.description.clone();
        assert!(codes(&changed).contains("dataset.file.changed"));
    }
}

#[test]
fn items_added_dropped_or_reordered_are_refused() {
    let (manifest, rows, _) = good_folder();
    let dropped = rows[..2].to_vec();
    let doubled: Vec<Row> = rows.iter().chain(&rows[2..]).cloned().collect();
    let reordered: Vec<Row> = rows.iter().rev().cloned().collect();
    for (rows, code) in [
        (dropped, "dataset.root.mismatch"),
        (doubled, "dataset.table.malformed"),
        (reordered, "dataset.table.malformed"),
    ] {
        let found = codes(&folder_of(&manifest, rows));
        assert!(found.contains(code), "{found:?}");
    }
}

#[test]
fn other_files_and_descriptions_are_refused() {
    let (manifest, _, folder) = good_folder();
    let mut other = folder.clone();
    other.manifest = Manifest { name: "other".to_owned(), ..manifest }.to_json().unwrap();
    let found = codes(&other);
    assert!(found.contains("dataset.file.changed") && found.contains("dataset.manifest.mismatch"));
    let text = String::from_utf8(folder.description.clone()).unwrap();
    for (from, to) in [
        ("\"sc:Dataset\"", "\"sc:Datasets\""),
        ("CC-BY-4.0\"", "CC0-1.0\""),
        ("\"version\":\"1.0.0\"", "\"version\":\"1.0.0\",\"x\":1"),
        ("contribution/v1", "votes/v1"),
        ("{", " {"),
    ] {
        let mut changed = folder.clone();
        changed.description = text.replacen(from, to, 1).into_bytes();
        assert_ne!(codes(&changed), BTreeSet::new(), "{to}");
    }
    let empty = Folder { description: vec![], table: Bytes::new(), manifest: vec![] };
    assert_eq!(codes(&empty), ["dataset.description.malformed".to_owned()].into());
}

proptest! {
    /// Any change to the table's bytes gives findings, and no panic.
    #[test]
    fn any_table_is_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (_, rows, folder) = good_folder();
        let mut bytes = folder.table.to_vec();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let same = *bytes == *folder.table;
        let mut read = vec![];
        let result = table::read(bytes.clone().into(), &mut |row| read.push(row));
        prop_assert!(!same || result.is_ok() && read == rows);
        let changed = Folder { table: bytes.into(), ..folder };
        prop_assert_eq!(codes(&changed).is_empty(), same);
    }

    #[test]
    fn any_bytes_are_no_table(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let read = table::read(bytes.clone().into(), &mut drop);
        prop_assert!(read.is_err());
        prop_assert!(Description::decode(&bytes).is_err());
    }
}
