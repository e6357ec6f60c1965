//! How fast statements are checked, against another implementation of the same curve: prints
//! `bench/audit/RESULTS.md`. One thread.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement that cannot go on should stop, and its figures are rounded"
)]

use std::{
    collections::BTreeMap,
    fs,
    hint::black_box,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, eip191_hash_message, keccak256};
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use probity_core::{
    Digest,
    dsse::pae,
    keys::{KeyType, SecretKey, recover},
    log::{Checkpoint, InclusionProof, MemoryTree, SignerKey, leaf_hash},
    statement::{self, PAYLOAD_TYPE, Statement},
};
use probity_provenance::{
    audit::{Context, audit},
    bundle::{self, ChainReference, FORMAT, Files, Inclusions, Index, LogReference, seal},
    inference::{Checks, Derivation},
};

const STATEMENTS: usize = 100_000;
const KEYS: usize = 100;

/// A signed statement as it is in a file, and its parts.
struct Signed {
    json: Vec<u8>,
    digest: Digest,
    hash: B256,
    signature: Vec<u8>,
    author: Address,
}

fn make(keys: &[SecretKey]) -> Vec<Signed> {
    let mut signed = Vec::with_capacity(STATEMENTS);
    for (index, key) in (0..STATEMENTS).zip(keys.iter().cycle()) {
        let author = key.address().unwrap();
        let predicate = serde_json::json!({ "author": author, "time": 1_700_000_000 + index });
        let subject = [("work".to_owned(), Digest::of(&index.to_le_bytes()))];
        let statement = Statement::new("https://example.org/p/v1", subject, &predicate).unwrap();
        let envelope = statement.sign(&[key]).unwrap();
        signed.push(Signed {
            json: envelope.to_json().unwrap(),
            digest: envelope.payload_digest(),
            hash: eip191_hash_message(pae(PAYLOAD_TYPE, &envelope.payload)),
            signature: envelope.signatures[0].bytes.clone(),
            author,
        });
    }
    signed
}

/// Time that this thread was on a core: on a machine that others use too, the figure of one core.
/// Elsewhere than on Linux, the time that passed.
fn on_core(since: Instant) -> Duration {
    let said = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = said.split(' ').next().and_then(|text| text.parse().ok());
    nanoseconds.map_or_else(|| since.elapsed(), Duration::from_nanos)
}

/// Runs something on every statement, three times; the best time.
fn best(signed: &[Signed], check: impl Fn(&Signed) -> bool) -> Duration {
    let run = || {
        let start = Instant::now();
        let before = on_core(start);
        assert!(signed.iter().all(|signed| black_box(check(black_box(signed)))));
        on_core(start).saturating_sub(before)
    };
    (0..3).map(|_| run()).min().unwrap()
}

/// What [`recover`] does, by k256: the key recovered, and its address.
fn recover_by_k256(signed: &Signed) -> Option<Address> {
    let signature = Signature::from_slice(signed.signature.get(..64)?).ok()?;
    let recovery = RecoveryId::from_byte(signed.signature.get(64)?.checked_sub(27)?)?;
    let hash = signed.hash.as_slice();
    let key = VerifyingKey::recover_from_prehash(hash, &signature, recovery).ok()?;
    let point = key.to_encoded_point(false);
    Some(Address::from_word(keccak256(point.as_bytes().get(1..)?)))
}

/// A bundle of statements in a log, without records: the audit names what is missing, and checks every
/// signature and inclusion proof.
fn bundle_of(signed: &[Signed]) -> Files {
    let mut files = Files::new();
    let leaves: Vec<Digest> =
        signed.iter().map(|signed| leaf_hash(Digest::of(&signed.json).as_bytes())).collect();
    let tree: MemoryTree = leaves.iter().copied().collect();
    let mut inclusions = Inclusions::default();
    for (index, signed) in signed.iter().enumerate() {
        let proof = InclusionProof::prove(&tree, index as u64, tree.size()).unwrap();
        inclusions.0.insert(signed.digest, proof);
        files.insert(format!("{}{}.json", bundle::STATEMENTS, signed.digest), signed.json.clone());
    }
    let key = SignerKey::from_seed("example.org/log", &[7; 32]).unwrap();
    let checkpoint = Checkpoint::new("example.org/log", tree.size(), tree.root()).unwrap();
    files.insert(bundle::LOG_CHECKPOINT.to_owned(), checkpoint.sign(&key).unwrap().into_bytes());
    inclusions.write(&mut files).unwrap();
    let index = Index {
        format: FORMAT.to_owned(),
        model: B256::ZERO,
        chain: ChainReference {
            chain_id: 1,
            registry: Address::ZERO,
            challenges: Address::ZERO,
            payouts: Address::ZERO,
            block: 0,
            block_hash: B256::ZERO,
            vaults: BTreeMap::default(),
        },
        log: LogReference { origin: "example.org/log".to_owned(), key: key.verifier().to_string() },
        time: 0,
        files: BTreeMap::default(),
    };
    seal(index, files, &SecretKey::generate(KeyType::Secp256k1).unwrap()).unwrap()
}

fn audit_whole(files: &Files) -> Duration {
    let vault_of = |_, _| Address::ZERO;
    let run = || {
        let inference = Checks {
            verify: &|_, _| Err(vec![]),
            derive: &|_, _, _| Derivation::Failed(String::new()),
        };
        let context =
            Context { contracts: [Address::ZERO; 3], vault_of: &vault_of, inference, chain: None };
        let start = Instant::now();
        let before = on_core(start);
        let report = audit(files, context);
        let took = on_core(start).saturating_sub(before);
        let signed = report.claims.iter().find(|claim| claim.name == "statements.signed").unwrap();
        assert!(signed.text.starts_with(&STATEMENTS.to_string()), "{}", signed.text);
        assert!(!report.findings.iter().any(|found| found.code.starts_with("log.")));
        took
    };
    (0..3).map(|_| run()).min().unwrap()
}

fn main() {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let keys: Vec<SecretKey> =
        (0..KEYS).map(|_| SecretKey::generate(KeyType::Secp256k1).unwrap()).collect();
    let signed = make(&keys);
    let opened = best(&signed, |signed| {
        statement::open(&signed.json).is_ok_and(|opened| opened.findings.is_empty())
    });
    let ours = best(&signed, |s| recover(&s.hash, &s.signature) == Some(s.author));
    let theirs = best(&signed, |s| recover_by_k256(s) == Some(s.author));
    let whole = audit_whole(&bundle_of(&signed));
    let rate = |count: usize, took: Duration| count as f64 / took.as_secs_f64();
    let per = |took| rate(STATEMENTS, took);
    println!("# Checking statements\n");
    println!(
        "Written by `cargo bench -p probity-provenance` on {}. Load average when it began, of \
         everything on the machine: {}. One thread; time on the core, the best of three.\n",
        machine(),
        load.split(' ').next().unwrap_or_default()
    );
    println!("| {STATEMENTS} statements by {KEYS} accounts | /s on one core | × k256 |");
    println!("|---|--:|--:|");
    let row = |name: &str, took: Duration| {
        println!("| {name} | {:.0} | {:.2} |", per(took), per(took) / per(theirs));
    };
    row("signer recovered by libsecp256k1 (ours)", ours);
    row("signer recovered by k256 0.13, pure Rust", theirs);
    row("statement opened: JSON, base64, PAE, hash, signature", opened);
    println!(
        "\nThe whole audit of a bundle of {STATEMENTS} logged statements, with every file's digest and \
         every inclusion proof: {:.0} statements/s.\n",
        per(whole)
    );
    println!("Bar: 10,000 signatures/s on one core.");
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{} ({cores} cores)", model.unwrap_or("an unknown processor"))
}
