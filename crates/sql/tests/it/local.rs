//! In this process: real data, random tables, more than memory holds, and tables that are wrong.

use std::{collections::BTreeMap, fs::File};

use probity_core::{Digest, licence::Permission};
use probity_provenance::{
    dataset::Policy,
    near::NearPolicy,
    tables::{self, OPT_OUTS, REMOVED, WORKS},
    weights::Formula,
};
use probity_sql::{SqlError, statements};

use crate::world::{World, account, batch, run, terms};

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn digits() -> Vec<(String, Digest)> {
    let rows = include_str!("../../../../examples/digits/digits.csv");
    let rows = rows.split_inclusive('\n').enumerate();
    rows.map(|(at, row)| (format!("digits.csv:{}", at + 1), Digest::of(row.as_bytes()))).collect()
}

/// The digits of five authors under different terms; two of them register others' digits again.
pub(crate) fn digits_world() -> World {
    let digits = digits();
    let licences = [
        terms("CC-BY-4.0", Permission::Allow, true),
        terms("CC0-1.0", Permission::Allow, true),
        terms("CC-BY-NC-4.0", Permission::Allow, false),
        terms("CC-BY-4.0", Permission::Deny, true),
        terms("MIT", Permission::Constrained, true),
    ];
    let mut world = World::default();
    for (number, works) in digits.chunks(90).enumerate() {
        let author = number % 5;
        let mut works = works.to_vec();
        if author < 2 {
            let again = digits.iter().skip(number * 31).step_by(47).take(12);
            works.extend(again.filter(|work| !works.contains(work)).cloned().collect::<Vec<_>>());
        }
        let (number, licence) = (number as u64, licences[author].clone());
        world.batches.push(batch(number, account(author as u64), licence, works));
    }
    world.deny_list.extend(digits.iter().step_by(40).map(|(_, work)| *work));
    world.removed.extend(digits.iter().step_by(71).map(|(_, work)| (account(0), *work)));
    world.known_authors.extend([account(0), account(1)]);
    world
}

pub(crate) fn digits_policy() -> Policy {
    Policy {
        licences: ["CC-BY-4.0", "CC0-1.0"].map(str::to_owned).into(),
        commercial: true,
        max_items_per_author: 300,
        ..Policy::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digits_give_the_same_folder() {
    let (manifest, built) = digits_world().compare(&digits_policy(), None).await;
    let reasons = [
        "author-over-cap",
        "commercial-not-permitted",
        "exact-duplicate",
        "opted-out",
        "removed-by-challenge",
        "training-not-permitted",
    ];
    assert_eq!(manifest.exclusion_counts().into_keys().collect::<Vec<_>>(), reasons);
    assert!(built.description.items > 500);
}

/// Few works, authors and caps, so that duplicates and caps meet in every way.
fn random_world(random: &mut Random) -> World {
    let licences = [
        terms("CC-BY-4.0", Permission::Allow, true),
        terms("MIT OR Apache-2.0", Permission::Allow, false),
        terms("LicenseRef-its", Permission::Allow, true),
        terms("CC0-1.0", Permission::Deny, true),
    ];
    let (kinds, authors) = (4 + random.below(40), 1 + random.below(8));
    let mut world = World::default();
    for number in 0..=random.below(14) {
        let mut works: BTreeMap<Digest, String> = BTreeMap::new();
        for _ in 0..=random.below(12) {
            let work = random.below(kinds);
            works.insert(Digest::of(&work.to_be_bytes()), format!("\"ä\", {work}"));
        }
        let works = works.into_iter().map(|(digest, name)| (name, digest)).collect();
        let licence = licences[usize::try_from(random.below(16).min(3)).unwrap()].clone();
        world.batches.push(batch(number, account(random.below(authors)), licence, works));
    }
    let work = |random: &mut Random| Digest::of(&random.below(kinds).to_be_bytes());
    for _ in 0..random.below(4) {
        let digest = work(random);
        world.deny_list.extend([digest]);
        let digest = work(random);
        world.removed.insert((account(random.below(authors)), digest));
    }
    world.known_authors.extend((0..random.below(authors + 1)).map(account));
    world
}

fn random_policy(random: &mut Random) -> Policy {
    let mut cap = |most: u64| if random.below(3) == 0 { 0 } else { 1 + random.below(most) };
    let (author, new, all_new) = (cap(10), cap(5), cap(12));
    let licences: &[&str] = match random.below(3) {
        0 => &["CC-BY-4.0", "no licence's", "LicenseRef-its"],
        _ => &[],
    };
    let weights = match random.below(3) {
        0 => Formula::Fixed {
            authors: [(account(1), 0), (account(2), u64::MAX)].into(),
            others: random.below(3),
        },
        _ => Formula::Contribution { per_item: 1 + random.below(9) },
    };
    Policy {
        licences: licences.iter().map(|spdx| (*spdx).to_owned()).collect(),
        commercial: random.below(3) == 0,
        max_items_per_author: author,
        max_items_per_new_author: new,
        max_items_of_new_authors: all_new,
        near: None,
        weights,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_tables_give_the_same_folder() {
    let mut random = Random(42);
    let (mut compared, mut rounds) = (0, 0);
    while compared < 40 {
        let (world, policy) = (random_world(&mut random), random_policy(&mut random));
        if world.is_empty(&policy) {
            continue;
        }
        let (_, built) = world.compare(&policy, None).await;
        compared += 1;
        rounds = rounds.max(built.rounds);
    }
    assert!(rounds > 2, "no cap decided about a duplicate: the worlds are too tame");
}

/// Each author's cap lets the next author's copy in, which pushes the next one out.
#[tokio::test(flavor = "multi_thread")]
async fn chains_of_caps_and_copies_settle() {
    let work = |number: u64| (number.to_string(), Digest::of(&number.to_be_bytes()));
    let open = terms("CC-BY-4.0", Permission::Allow, true);
    let link = |n: u64| batch(n, account(n), open.clone(), vec![work(n), work(n + 1)]);
    let world = World { batches: (0..6).map(link).collect(), ..World::default() };
    let policy = Policy { max_items_per_author: 1, ..Policy::default() };
    let (manifest, built) = world.compare(&policy, None).await;
    assert_eq!(manifest.items.len(), 6);
    assert!(built.rounds > 5, "{}", built.rounds);
}

/// Works several times as large as the memory that sorts and joins may use.
#[tokio::test(flavor = "multi_thread")]
async fn more_than_memory_gives_the_same_folder() {
    let memory = 16 << 20;
    let mut random = Random(7);
    let open = terms("CC-BY-4.0", Permission::Allow, true);
    let mut world = World::default();
    for number in 0..40u64 {
        let works = (0..1000u64).map(|at| {
            let copied = at > 990 && number > 0;
            let name = if copied { random.below(number * 1000) } else { number * 1000 + at };
            (format!("a/long/path/to/{name:01200}.txt"), Digest::of(&name.to_be_bytes()))
        });
        let works: BTreeMap<Digest, String> = works.map(|(name, digest)| (digest, name)).collect();
        let works = works.into_iter().map(|(digest, name)| (name, digest)).collect();
        world.batches.push(batch(number, account(number % 10), open.clone(), works));
    }
    let opted_out = (0..40_000u64).step_by(10).map(|work| Digest::of(&work.to_be_bytes()));
    world.deny_list.extend(opted_out);
    let policy = Policy { max_items_per_author: 3_300, ..Policy::default() };
    let size = world.table_size();
    assert!(size > 3 * memory as u64, "the works are only {size} bytes");
    let (manifest, built) = world.compare_within(memory, &policy, None).await;
    assert!(built.spilled > memory as u64, "only {} bytes went to disk", built.spilled);
    assert_eq!(manifest.exclusion_counts().len(), 3, "{:?}", manifest.exclusion_counts());
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_wrong_are_refused_and_leave_nothing() {
    let world = digits_world();
    let refused = async |change: &dyn Fn(&std::path::Path)| {
        let dir = tempfile::tempdir().unwrap();
        let tables = world.tables(dir.path());
        change(&tables);
        let output = dir.path().join("out");
        let policy = digits_policy();
        let error = run(dir.path(), &tables, &output, 64 << 20, &policy, None).await.unwrap_err();
        assert!(!output.exists() && !dir.path().join("out.new").exists());
        error
    };
    let missing = refused(&|dir| std::fs::remove_file(dir.join(REMOVED)).unwrap()).await;
    assert!(matches!(missing, SqlError::Missing(_)), "{missing}");
    // The same positions twice.
    let doubled = refused(&|dir| {
        let file = File::create(dir.join(WORKS).join("again.parquet")).unwrap();
        tables::write_works(&world.batches[..1], 0, file).unwrap();
    })
    .await;
    assert!(matches!(doubled, SqlError::Order(_)), "{doubled}");
    // Another table's columns.
    let other = refused(&|dir| {
        std::fs::copy(dir.join(OPT_OUTS), dir.join(REMOVED)).unwrap();
    })
    .await;
    assert!(matches!(other, SqlError::Engine(..)), "{other}");
    let damaged = refused(&|dir| {
        let path = dir.join(WORKS).join("part-0.parquet");
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 64].fill(0xff);
        std::fs::write(path, bytes).unwrap();
    })
    .await;
    assert!(!damaged.to_string().is_empty(), "{damaged}");
}

#[test]
fn policies_that_tables_cannot_answer_are_refused() {
    let near = Policy { near: Some(NearPolicy::default()), ..Policy::default() };
    assert!(matches!(statements(&near), Err(SqlError::NearDuplicates)));
    let votes = Formula::Votes { base: 1, per_vote: 1, curators: [account(1)].into() };
    let votes = Policy { weights: votes, ..Policy::default() };
    assert!(matches!(statements(&votes), Err(SqlError::Formula("votes/v1"))));
    for (name, sql) in statements(&digits_policy()).unwrap() {
        assert!(!sql.contains(" :"), "{name} has a value missing: {sql}");
    }
}
