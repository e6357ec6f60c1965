//! Building a dataset of a million items, and searching among a million codes. Writes
//! `bench/datasets/RESULTS.md`.
//!
//! `FAISS_PYTHON` names a Python interpreter that has `faiss-cpu` and `numpy`; without it, faiss is
//! left out of the comparison.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    reason = "a measurement that cannot go on stops, and its figures are rounded"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    io::BufWriter,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, keccak256};
use probity_core::{
    Digest,
    keys::PublicKey,
    licence::LicenceTerms,
    money::Bps,
    statement::{Signed, Statement},
};
use probity_provenance::{
    content::{Batch, CONTENT_TYPE, ContentPredicate, Payee},
    croissant::Description,
    dataset::{Inputs, Manifest, Policy, Resemblances},
    near::{Fingerprint, HammingIndex, NearPolicy, PictureRule, ShingleRule},
    optout::DenyList,
    table::{self, Row},
    weights::Tallies,
};

const CODES: u64 = 1_000_000;
const QUERIES: u64 = 200_000;
const ITEMS: usize = 1_000_000;
const BATCH: usize = 1_000;
const RADII: [u32; 3] = [3, 7, 10];

fn main() {
    // `cargo bench --bench datasets -- search` measures the search alone, and writes nothing.
    if std::env::args().any(|argument| argument == "search") {
        println!("{}", search());
        return;
    }
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    let mut page = format!(
        "# Datasets\n\nWritten by `cargo bench -p probity-provenance` on {} ({} cores).\n\n\
         Load average when it began, of everything else on the machine: {load}.\n",
        processor(),
        thread::available_parallelism().unwrap(),
    );
    // The build first: its peak of memory is its own.
    page += &build();
    page += &search();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/datasets/RESULTS.md");
    fs::write(path, &page).unwrap();
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name"));
    name.map_or("unknown", |name| name.trim_start_matches(['\t', ' ', ':'])).to_owned()
}

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (work(), start.elapsed())
}

/// Processor time of all threads so far: what other programs on the machine do not change much.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    // User and system time, in hundredths of a second.
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

// --- search ---

/// Half the queries are a code with four bits changed, half are random.
fn codes_and_queries() -> (Vec<u64>, Vec<u64>) {
    let mut state = 7;
    let codes: Vec<u64> = (0..CODES).map(|_| random(&mut state)).collect();
    let query = |index: u64, state: &mut u64| {
        let near = codes[random(state) as usize % codes.len()];
        let bits = random(state);
        let flipped = (0..4).fold(near, |code, bit| code ^ 1 << (bits >> (8 * bit) & 63));
        if index.is_multiple_of(2) { flipped } else { bits }
    };
    let queries = (0..QUERIES).map(|index| query(index, &mut state)).collect();
    (codes, queries)
}

fn found(index: &HammingIndex, queries: &[u64], radius: u32) -> u64 {
    let mut count = 0;
    for query in queries {
        index.search(*query, radius, &mut |_, _| count += 1);
    }
    count
}

fn brute_force(codes: &[u64], queries: &[u64], radius: u32) -> u64 {
    let mut count = 0;
    for query in queries {
        count += codes.iter().filter(|code| (*code ^ query).count_ones() <= radius).count() as u64;
    }
    count
}

fn search() -> String {
    let (codes, queries) = codes_and_queries();
    let mut index = HammingIndex::default();
    let ((), made) = timed(|| codes.iter().for_each(|code| index.insert(*code)));
    let mut page = format!(
        "\n## Near-duplicate search\n\n{CODES} random 64-bit codes, {QUERIES} queries, half of them \
         four bits from a code. Every index finds all codes within the radius; queries per second \
         on one thread, and on two for ours; and queries per second of processor time, which other \
         programs change less. Ours took {:.2} s to make.\n\n\
         | Radius | Ours /s | per processor s | × brute force | two threads /s | Brute force /s | faiss BinaryFlat /s | faiss BinaryMultiHash /s |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|\n",
        made.as_secs_f64()
    );
    for radius in RADII {
        let before = processor_time();
        let (ours, took) = timed(|| found(&index, &queries, radius));
        let spent = processor_time().saturating_sub(before).as_secs_f64().max(0.01);
        let rate = QUERIES as f64 / took.as_secs_f64();
        let half = queries.len() / 2;
        let (both, two) = timed(|| {
            thread::scope(|scope| {
                let other = scope.spawn(|| found(&index, &queries[..half], radius));
                found(&index, &queries[half..], radius) + other.join().unwrap()
            })
        });
        assert_eq!(ours, both);
        let few = &queries[..200];
        let (plain, brute) = timed(|| brute_force(&codes, few, radius));
        assert_eq!(plain, found(&index, few, radius), "another result than brute force");
        let brute = few.len() as f64 / brute.as_secs_f64();
        let some = found(&index, &queries[..2000], radius);
        let faiss = faiss(&codes, &queries, radius, (plain, some));
        writeln!(
            page,
            "| {radius} | {rate:.0} | {:.0} | {:.0} | {:.0} | {brute:.0} | {} | {} |",
            QUERIES as f64 / spent,
            rate / brute,
            QUERIES as f64 / two.as_secs_f64(),
            faiss.0,
            faiss.1
        )
        .unwrap();
    }
    page += "\nThe bar is 50,000 queries a second.\n";
    page
}

/// faiss's rates, if it is installed; it must find as many codes.
fn faiss(codes: &[u64], queries: &[u64], radius: u32, expected: (u64, u64)) -> (String, String) {
    let absent = || ("–".to_owned(), "–".to_owned());
    let Some(python) = std::env::var_os("FAISS_PYTHON") else { return absent() };
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, values: &[u64]| {
        let path = folder.path().join(name);
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        fs::write(&path, bytes).unwrap();
        path
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/datasets/faiss_search.py");
    let output = Command::new(python)
        .arg(script)
        .args([write("codes", codes), write("queries", queries)])
        .arg(radius.to_string())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["flat"]["found"], expected.0, "faiss finds others");
    let rate = |name: &str| format!("{:.0}", said[name]["perSecond"].as_f64().unwrap());
    let all = said["multiHash"]["found"] == expected.1;
    (rate("flat"), rate("multiHash") + if all { "" } else { " (misses some)" })
}

// --- build ---

/// A text of its own; one in fifty is another's with a word changed, one in a hundred a copy.
fn text(number: usize) -> String {
    let of = match number % 100 {
        7 | 57 => number - 3,
        // In another statement: one statement names a work once.
        11 if number > BATCH => number - BATCH - 5,
        _ => number,
    };
    let mut words = String::new();
    let mut state = of as u64;
    for _ in 0..8 {
        write!(words, "{:x} ", random(&mut state)).unwrap();
    }
    if number % 50 == 7 {
        words.push_str("again");
    }
    words
}

fn batches(texts: &[String]) -> Vec<Batch> {
    let batch = |(at, texts): (usize, &[String])| {
        let author = Address::from_word(keccak256(at.to_be_bytes()));
        let predicate = ContentPredicate {
            author,
            licence: LicenceTerms::open(if at % 2 == 0 { "CC-BY-4.0" } else { "CC0-1.0" }).unwrap(),
            media_type: "text/plain".to_owned(),
            payees: vec![Payee { account: author, bps: Bps::WHOLE }],
            time: 1,
        };
        let works = texts.iter().enumerate();
        let works = works.map(|(at, text)| (format!("{at}.txt"), Digest::of(text.as_bytes())));
        let statement = Statement::new(CONTENT_TYPE, works, &predicate).unwrap();
        let digest = Digest::of(&at.to_be_bytes());
        let signers = vec![PublicKey::Account(author)];
        Batch::open(&Signed { statement, digest, signers, findings: vec![] }).unwrap()
    };
    texts.chunks(BATCH).enumerate().map(batch).collect()
}

fn fingerprints(policy: &NearPolicy, texts: &[String]) -> BTreeMap<Digest, Fingerprint> {
    let one = |texts: &[String]| -> Vec<(Digest, Fingerprint)> {
        let print = |text: &String| {
            let bytes = text.as_bytes();
            Some((Digest::of(bytes), policy.fingerprint("text/plain", bytes)?))
        };
        texts.iter().filter_map(print).collect()
    };
    let (first, second) = texts.split_at(texts.len() / 2);
    thread::scope(|scope| {
        let other = scope.spawn(|| one(second));
        let mut prints: BTreeMap<_, _> = one(first).into_iter().collect();
        prints.extend(other.join().unwrap());
        prints
    })
}

fn rows<'a>(manifest: &'a Manifest, batches: &'a [Batch]) -> impl Iterator<Item = Row> + 'a {
    let of: BTreeMap<Digest, (&Batch, Digest)> = batches
        .iter()
        .map(|batch| (batch.statement, (batch, batch.predicate.licence.id().unwrap())))
        .collect();
    manifest.items.iter().map(move |item| {
        let (batch, licence) = of[&item.statement];
        Row {
            item: item.clone(),
            licence,
            spdx: batch.predicate.licence.spdx.clone(),
            media_type: batch.predicate.media_type.clone(),
            name: format!("{}.txt", item.index as usize % BATCH),
        }
    })
}

/// Peak resident memory so far, in MiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn build() -> String {
    let texts: Vec<String> = (0..ITEMS).map(text).collect();
    let batches = batches(&texts);
    let near = NearPolicy { text: Some(ShingleRule { min_matches: 44 }), ..NearPolicy::default() };
    let policy =
        Policy { near: Some(near.clone()), max_items_per_author: 990, ..Policy::default() };
    let mut deny_list = DenyList::default();
    deny_list.extend(texts.iter().step_by(100).map(|text| Digest::of(text.as_bytes())));
    let mut marks = vec![processor_time()];
    let (prints, compared) = timed(|| fingerprints(&near, &texts));
    marks.push(processor_time());
    drop(texts);
    let (manifest, applied) = timed(|| {
        let inputs = Inputs {
            batches: &batches,
            deny_list: &deny_list,
            removed: &BTreeSet::new(),
            not_selected: &BTreeSet::new(),
            known_authors: &BTreeSet::new(),
            resemblances: Resemblances::Computed(&prints),
            tallies: &Tallies::default(),
        };
        Manifest::build("bench", &policy, &inputs).unwrap()
    });
    marks.push(processor_time());
    drop(prints);
    let (root, hashed) = timed(|| manifest.tree().unwrap().root());
    marks.push(processor_time());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("items.parquet");
    let (table, written) = timed(|| {
        table::write(rows(&manifest, &batches), BufWriter::new(fs::File::create(&path).unwrap()))
            .unwrap();
        Digest::of(&fs::read(&path).unwrap())
    });
    marks.push(processor_time());
    let (size, described) = timed(|| {
        let json = manifest.to_json().unwrap();
        let description = Description {
            name: manifest.name.clone(),
            licences: ["CC-BY-4.0".to_owned(), "CC0-1.0".to_owned()].into(),
            items: manifest.items.len() as u64,
            total_weight: manifest.total_weight(),
            formula: manifest.policy.weights.name().to_owned(),
            root,
            table,
            manifest: Digest::of(&json),
        };
        json.len() + description.to_json().unwrap().len()
    });
    marks.push(processor_time());
    let total = compared + applied + hashed + written + described;
    let mut page = format!(
        "\n## Building a dataset\n\n{ITEMS} registered texts of {} statements: opt-out list, exact \
         and near duplicates, a cap for each author, Merkle tree, Parquet table, manifest and \
         Croissant description. The bar is 60 s and 2048 MiB on 2 cores.\n\n\
         | Step | s | processor s |\n|---|--:|--:|\n",
        batches.len()
    );
    let steps = [
        ("ISCC text codes of all texts, two threads", compared),
        ("Policy, one thread", applied),
        ("Merkle tree", hashed),
        ("Parquet table, with its digest", written),
        ("Manifest and Croissant description", described),
        ("**Together**", total),
    ];
    page += &steps_table(&steps, &marks);
    let mib = |bytes: usize| bytes >> 20;
    writeln!(
        page,
        "\n{} items; left out: {:?}. Table {} MiB, manifest {} MiB. Peak memory: {} MiB, the \
         registered statements included.",
        manifest.items.len(),
        manifest.exclusion_counts(),
        mib(fs::metadata(&path).unwrap().len() as usize),
        mib(size),
        peak()
    )
    .unwrap();
    page + &pictures()
}

fn steps_table(steps: &[(&str, Duration)], marks: &[Duration]) -> String {
    let mut page = String::new();
    let spent = marks.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    let whole = marks[marks.len() - 1].saturating_sub(marks[0]);
    for ((step, time), spent) in steps.iter().zip(spent.chain([whole])) {
        let (time, spent) = (time.as_secs_f64(), spent.as_secs_f64());
        writeln!(page, "| {step} | {time:.2} | {spent:.2} |").unwrap();
    }
    page
}

/// Pictures are dearer: fourteen codes each.
fn pictures() -> String {
    let rule = PictureRule { max_distance: 7, max_difference: 180, sample_max: 16 };
    let policy = NearPolicy { image: Some(rule), ..NearPolicy::default() };
    let digits = include_str!("../../../examples/digits/digits.csv");
    let (prints, took) = timed(|| {
        digits
            .lines()
            .filter(|row| policy.fingerprint("text/csv", row.as_bytes()).is_some())
            .count()
    });
    format!(
        "\nPictures take longer to compare: {:.0} a second on one thread, with 14 ISCC image codes \
         of turns and crops each (8 × 8 digits).\n",
        prints as f64 / took.as_secs_f64()
    )
}
