//! Registered works, decided in memory and as tables.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    path::{Path, PathBuf},
};

use alloy_primitives::Address;
use probity_core::{
    Digest,
    keys::PublicKey,
    licence::{LicenceTerms, Permission},
    money::Bps,
    statement::{Signed, Statement},
};
use probity_provenance::{
    content::{Batch, CONTENT_TYPE, ContentPredicate, Payee},
    croissant::{CROISSANT, Description, ITEMS, MANIFEST},
    dataset::{DatasetError, Inputs, Manifest, Policy, RemovedWorks, Resemblances},
    optout::DenyList,
    table::{self, Row},
    tables::{self, KNOWN_AUTHORS, OPT_OUTS, REMOVED, WORKS},
    weights::Tallies,
};
use probity_sql::{Built, Engine, Settings, SqlError, build};

/// What decides about a dataset.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) batches: Vec<Batch>,
    pub(crate) deny_list: DenyList,
    pub(crate) removed: RemovedWorks,
    pub(crate) known_authors: BTreeSet<Address>,
}

pub(crate) fn account(number: u64) -> Address {
    let mut bytes = [0x5a; 20];
    for (byte, value) in bytes.iter_mut().zip(number.to_be_bytes()) {
        *byte ^= value;
    }
    Address::from(bytes)
}

pub(crate) fn terms(spdx: &str, train: Permission, commercial: bool) -> LicenceTerms {
    LicenceTerms { train, commercial, ..LicenceTerms::open(spdx).unwrap() }
}

/// A batch as it is read from its statement. `number` tells statements apart.
pub(crate) fn batch(
    number: u64,
    author: Address,
    licence: LicenceTerms,
    works: Vec<(String, Digest)>,
) -> Batch {
    let predicate = ContentPredicate {
        author,
        licence,
        media_type: "text/csv".to_owned(),
        payees: vec![Payee { account: author, bps: Bps::WHOLE }],
        time: number,
    };
    let statement = Statement::new(CONTENT_TYPE, works, &predicate).unwrap();
    // Nobody signs here: the number stands for the signed statement.
    let digest = Digest::of(&number.to_be_bytes());
    let signers = vec![PublicKey::Account(author)];
    Batch::open(&Signed { statement, digest, signers, findings: vec![] }).unwrap()
}

impl World {
    /// How large the table of works is, in bytes.
    pub(crate) fn table_size(&self) -> u64 {
        let mut table = Vec::new();
        tables::write_works(&self.batches, 0, &mut table).unwrap();
        table.len() as u64
    }

    /// Whether nothing passes the policy.
    pub(crate) fn is_empty(&self, policy: &Policy) -> bool {
        self.decide("", policy).is_err()
    }

    fn decide(&self, name: &str, policy: &Policy) -> Result<Manifest, DatasetError> {
        let inputs = Inputs {
            batches: &self.batches,
            deny_list: &self.deny_list,
            removed: &self.removed,
            not_selected: &BTreeSet::new(),
            known_authors: &self.known_authors,
            resemblances: Resemblances::Computed(&BTreeMap::new()),
            tallies: &Tallies::default(),
        };
        Manifest::build(name, policy, &inputs)
    }

    /// The dataset's folder as it is built in memory.
    pub(crate) fn in_memory(&self, name: &str, policy: &Policy, dir: &Path) -> Manifest {
        let manifest = self.decide(name, policy).unwrap();
        fs::create_dir_all(dir).unwrap();
        let items = dir.join(ITEMS);
        table::write(self.rows(&manifest).into_iter(), File::create(&items).unwrap()).unwrap();
        let json = manifest.to_json().unwrap();
        let description = Description {
            name: name.to_owned(),
            licences: self.rows(&manifest).into_iter().map(|row| row.spdx).collect(),
            items: manifest.items.len() as u64,
            total_weight: manifest.total_weight(),
            formula: policy.weights.name().to_owned(),
            root: manifest.tree().unwrap().root(),
            table: Digest::of(&fs::read(&items).unwrap()),
            manifest: Digest::of(&json),
        };
        fs::write(dir.join(MANIFEST), json).unwrap();
        fs::write(dir.join(CROISSANT), description.to_json().unwrap()).unwrap();
        manifest
    }

    fn rows(&self, manifest: &Manifest) -> Vec<Row> {
        let of: HashMap<Digest, &Batch> =
            self.batches.iter().map(|batch| (batch.statement, batch)).collect();
        let row = |item: &probity_provenance::dataset::Item| {
            let batch = of[&item.statement];
            let (name, _) = batch.works.iter().find(|(_, work)| *work == item.digest).unwrap();
            Row {
                item: item.clone(),
                licence: batch.predicate.licence.id().unwrap(),
                spdx: batch.predicate.licence.spdx.clone(),
                media_type: batch.predicate.media_type.clone(),
                name: name.clone(),
            }
        };
        manifest.items.iter().map(row).collect()
    }

    /// The same as tables; the works in a folder of several files.
    pub(crate) fn tables(&self, dir: &Path) -> PathBuf {
        let create = |name: &str| File::create(dir.join(name)).unwrap();
        fs::create_dir_all(dir.join(WORKS)).unwrap();
        let mut first = 0;
        for (number, part) in self.batches.chunks(self.batches.len().div_ceil(3)).enumerate() {
            let file = create(&format!("{WORKS}/part-{number}.parquet"));
            tables::write_works(part, first, file).unwrap();
            first += part.iter().map(|batch| batch.works.len() as u64).sum::<u64>();
        }
        tables::write_opt_outs(&self.deny_list, create(OPT_OUTS)).unwrap();
        tables::write_removed(&self.removed, create(REMOVED)).unwrap();
        tables::write_known_authors(self.known_authors.iter(), create(KNOWN_AUTHORS)).unwrap();
        dir.to_owned()
    }

    /// Builds both ways, and compares the folders byte by byte.
    pub(crate) async fn compare(
        &self,
        policy: &Policy,
        scheduler: Option<String>,
    ) -> (Manifest, Built) {
        self.compare_within(64 << 20, policy, scheduler).await
    }

    pub(crate) async fn compare_within(
        &self,
        memory: usize,
        policy: &Policy,
        scheduler: Option<String>,
    ) -> (Manifest, Built) {
        let dir = tempfile::tempdir().unwrap();
        let manifest = self.in_memory("digits", policy, &dir.path().join("memory"));
        fs::create_dir(dir.path().join("tables")).unwrap();
        let tables = self.tables(&dir.path().join("tables"));
        let output = dir.path().join("sql");
        let built = run(dir.path(), &tables, &output, memory, policy, scheduler).await.unwrap();
        assert_eq!(built.description.root, manifest.tree().unwrap().root());
        let counts = manifest.exclusion_counts();
        let counts = counts.into_iter().map(|(reason, count)| (reason, count as u64)).collect();
        assert_eq!(built.excluded, counts);
        for name in [MANIFEST, ITEMS, CROISSANT] {
            let read = |folder: &str| fs::read(dir.path().join(folder).join(name)).unwrap();
            assert!(read("memory") == read("sql"), "{name} is another");
        }
        let left: BTreeSet<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 3, "something was left behind: {left:?}");
        (manifest, built)
    }
}

/// Runs a test on threads with room for plans: without optimisation each level of one takes much stack.
pub(crate) fn on_deep_stacks<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).thread_stack_size(32 << 20).enable_all().build();
    runtime.unwrap().block_on(test)
}

pub(crate) async fn run(
    scratch: &Path,
    tables: &Path,
    output: &Path,
    memory: usize,
    policy: &Policy,
    scheduler: Option<String>,
) -> Result<Built, SqlError> {
    let settings = Settings { memory, partitions: 2, scratch: scratch.to_owned(), scheduler };
    let engine = Engine::start(&settings).await?;
    build(&engine, tables, "digits", policy, output).await
}
