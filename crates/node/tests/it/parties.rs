//! Several parties on one chain: what others do there must not hinder anybody.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolCall as _;
use probity_chain::{Payouts, Registry, convert};
use probity_compute::{MlpConfig, SAMPLE_MEDIA_TYPE};
use probity_core::{
    Digest, Label, SystemClock,
    keys::{KeyType, SecretKey},
    keystore::Cost,
    licence::LicenceTerms,
    money::Bps,
    records::{Anchor, Checkpoint, Court, Dataset, Model, OptOut, Run, record_id},
    statement::Statement,
};
use probity_node::{
    ChainChoice, DatasetPlan, Decision, ModelPlan, NodeError, Reason, Work, Workspace, audit_bundle,
};
use probity_provenance::{
    audit::Report,
    claim::ClaimProof,
    content::{CONTENT_SUBJECT, Payee},
    dataset::{DATASET_TYPE, DatasetPredicate, Manifest, Policy},
    optout::{OPT_OUT_SUBJECT, SCOPE_TRAIN},
};

const WINDOW: u32 = 1;

/// One operator with their own folder and log, on a chain they share.
pub(crate) struct Party {
    pub(crate) workspace: Workspace,
    pub(crate) key: SecretKey,
    token: Address,
}

impl Party {
    pub(crate) async fn first(dir: &Path, all: &[SecretKey]) -> Self {
        let coins = U256::from(10).pow(U256::from(20));
        let alloc = all.iter().map(|key| (key.address().unwrap(), coins)).collect();
        Self::with(dir, ChainChoice::Embedded(alloc), all[0].clone()).await
    }

    async fn with(dir: &Path, choice: ChainChoice, key: SecretKey) -> Self {
        let clock = Arc::new(SystemClock);
        let workspace =
            Workspace::create(dir, choice, true, "pass", Cost::Light, clock).await.unwrap();
        workspace.chain().deploy(&key).await.unwrap();
        let token = workspace.chain().deploy_dev_token(&key).await.unwrap();
        let party = Self { workspace, key, token };
        party.mint(1_000_000).await;
        party
    }

    fn address(&self) -> Address {
        self.key.address().unwrap()
    }

    async fn mint(&self, amount: u64) {
        let call =
            probity_chain::Token::mintCall { account: self.address(), amount: U256::from(amount) };
        self.workspace.chain().send(&self.key, self.token, &call).await.unwrap();
    }

    fn court(&self) -> Court {
        Court {
            arbiters: vec![self.address()],
            threshold: 1,
            bondToken: self.token,
            bond: alloy_primitives::Uint::from(10_u64),
            responseWindow: WINDOW,
            rulingWindow: WINDOW,
        }
    }

    /// Registers ten samples of two classes.
    pub(crate) async fn contribute(&mut self, salt: u8) {
        let work = |index: u8| Work {
            name: format!("row-{index}"),
            bytes: format!("{},{salt},{}\n", index * 20, index % 2).into_bytes(),
        };
        let works: Vec<Work> = (0..10).map(work).collect();
        let payees = vec![Payee { account: self.address(), bps: Bps::WHOLE }];
        let terms = LicenceTerms::open("CC0-1.0").unwrap();
        let key = self.key.clone();
        self.workspace.contribute(&key, terms, payees, SAMPLE_MEDIA_TYPE, &works).await.unwrap();
    }

    pub(crate) async fn dataset(&mut self, name: &str, previous: B256) -> (B256, Manifest) {
        let policy = Policy::default();
        let manifest = self.workspace.plan_dataset(name, &policy, previous).await.unwrap();
        let plan = DatasetPlan {
            name: name.to_owned(),
            policy,
            previous,
            treasury: Address::ZERO,
            treasury_bps: 0,
            court: self.court(),
        };
        let key = self.key.clone();
        let (id, ..) = self.workspace.register_dataset(&key, &manifest, &plan).await.unwrap();
        (id, manifest)
    }

    /// What a curator would do to whom opt-outs are nothing: by hand, past the workspace.
    async fn register_regardless(&mut self, manifest: &Manifest) -> B256 {
        let (key, author) = (self.key.clone(), self.address());
        let list = self.workspace.store_object(b"[]".to_vec()).await.unwrap();
        let registry = self.workspace.chain().contracts().registry;
        let call = Registry::anchorCall {
            subject: OPT_OUT_SUBJECT,
            root: manifest.deny_list.into(),
            size: 0,
            statement: list.into(),
        };
        self.workspace.chain().send(&key, registry, &call).await.unwrap();
        let digest = self.workspace.store_object(manifest.to_json().unwrap()).await.unwrap();
        let predicate = DatasetPredicate {
            author,
            name: manifest.name.clone(),
            deny_list: manifest.deny_list,
            time: self.workspace.now(),
        };
        let subject = [("manifest".to_owned(), digest)];
        let statement = Statement::new(DATASET_TYPE, subject, &predicate).unwrap();
        self.workspace.publish(&[statement.sign(&[&key]).unwrap()]).await.unwrap();
        let dataset = Dataset {
            root: manifest.tree().unwrap().root(),
            items: manifest.items.len() as u64,
            totalWeight: manifest.total_weight(),
            manifest: digest.into(),
            previous: B256::ZERO,
            treasury: Address::ZERO,
            treasuryBps: 0,
            court: self.court(),
            author,
        };
        let record = convert(&dataset).unwrap();
        let call = Registry::registerDatasetCall { dataset: record, signature: Bytes::new() };
        self.workspace.chain().send(&key, registry, &call).await.unwrap();
        record_id(&dataset)
    }

    pub(crate) async fn model(&mut self) -> B256 {
        self.model_called("tiny").await
    }

    pub(crate) async fn model_called(&mut self, name: &str) -> B256 {
        let plan = ModelPlan {
            name: name.to_owned(),
            description: "two classes".to_owned(),
            accountant: self.address(),
            data_bps: 5_000,
            court: self.court(),
        };
        let key = self.key.clone();
        self.workspace.register_model(&key, &plan).await.unwrap().0
    }

    async fn train(&mut self, model: B256, dataset: B256, manifest: &Manifest) {
        let (key, config) = (self.key.clone(), MlpConfig { epochs: 2, ..MlpConfig::default() });
        let workspace = &mut self.workspace;
        let (_, run, _) = workspace.commit_run(&key, dataset, manifest, &config).await.unwrap();
        let trained = workspace.train(manifest, &config, &mut |_| {}).await.unwrap();
        let metrics = BTreeMap::new();
        workspace.register_checkpoint(&key, model, &run, &trained, metrics).await.unwrap();
    }

    async fn audit(&mut self, model: B256) -> Report {
        let log = self.workspace.keyring().unlock("log", "pass").unwrap();
        self.workspace.anchor_log(&log, &self.key).await.unwrap();
        let files = self.workspace.export_bundle(model, &self.key).await.unwrap();
        let report = audit_bundle(&files, Some(self.workspace.chain())).await.unwrap();
        assert!(report.passed(), "{:?}", report.findings);
        assert!(self.workspace.explain(&model.to_string(), &self.key).await.is_ok());
        report
    }
}

fn label(report: &Report, name: &str) -> Option<Label> {
    report.claims.iter().find(|claim| claim.name == name).map(|claim| claim.label)
}

pub(crate) fn keys(count: usize) -> Vec<SecretKey> {
    (0..count).map(|_| SecretKey::generate(KeyType::Secp256k1).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_on_the_same_chain_do_not_hinder() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(2);
    let mut ours = Party::first(&folder.path().join("ours"), &keys).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let chain = ours.workspace.embedded().unwrap().clone();
    tokio::spawn(async move { chain.serve(listener).await });
    let theirs_dir = folder.path().join("theirs");
    let mut theirs = Party::with(&theirs_dir, ChainChoice::Rpc(url), keys[1].clone()).await;

    // Both work on the one chain, each with their own log.
    ours.contribute(1).await;
    theirs.contribute(2).await;
    junk(&theirs).await;
    let (dataset, manifest) = ours.dataset("ours-v1", B256::ZERO).await;
    assert_eq!((manifest.items.len(), manifest.excluded.len()), (10, 0));
    let (sham, of_theirs) = theirs.dataset("theirs-v1", B256::ZERO).await;
    let (model, their_model) = (ours.model().await, theirs.model().await);
    ours.train(model, dataset, &manifest).await;
    theirs.train(their_model, sham, &of_theirs).await;
    assert_eq!(label(&ours.audit(model).await, "payout.tokens"), Some(Label::Missing));
    theirs.audit(their_model).await;

    // Money comes in, from anybody and in any coin, before any root is accepted.
    let call =
        Payouts::payCall { model, token: Address::ZERO, amount: U256::ONE, reference_: B256::ZERO };
    let payouts = ours.workspace.chain().contracts().payouts;
    let data = Bytes::from(call.abi_encode());
    theirs.workspace.chain().send_raw(&theirs.key, payouts, data, U256::ONE).await.unwrap();
    pointed_junk(&theirs, &ours, dataset, model, &manifest).await;
    let report = ours.audit(model).await;
    assert_eq!(label(&report, "payout.accepted"), Some(Label::Verified));
    assert_eq!(label(&report, "chain.block"), Some(Label::Verified));
    let records = report.claims.iter().find(|claim| claim.name == "records.registered").unwrap();
    // Batch, opt-out list and the opt-out on it, dataset, run, model, checkpoint; nothing of others.
    assert_eq!(records.text, "7 records are on chain");
    let explained = ours.workspace.explain(&dataset.to_string(), &ours.key).await.unwrap();
    assert_eq!(explained.report.model, Some(model), "others' checkpoints do not lead away");
    ours.contribute(5).await;
    assert_eq!(ours.dataset("ours-v2", dataset).await.1.items.len(), 20);
}

/// Records that name somebody else's: their lists, statements, dataset, in sizes that no JSON holds.
async fn pointed_junk(
    from: &Party,
    victim: &Party,
    dataset: B256,
    model: B256,
    manifest: &Manifest,
) {
    let chain = from.workspace.chain();
    let registry = chain.contracts().registry;
    let (junk, author) = (keccak256("junk"), from.address());
    let source = B256::from(manifest.sources[0]);
    let record = victim.workspace.dataset(dataset).await.unwrap();
    let anchor = |root, size, statement| Registry::anchorCall {
        subject: if size == 7 { OPT_OUT_SUBJECT } else { CONTENT_SUBJECT },
        root,
        size,
        statement,
    };
    let deny_list = B256::from(manifest.deny_list);
    for call in [
        anchor(junk, u64::MAX, junk),
        anchor(deny_list, 7, junk),
        anchor(deny_list, 7, record.manifest),
        anchor(junk, 1, source),
    ] {
        chain.send(&from.key, registry, &call).await.unwrap();
    }
    let call =
        Registry::announceCall { subject: CONTENT_SUBJECT, root: junk, size: 1, statement: source };
    chain.send(&from.key, registry, &call).await.unwrap();
    // An opt-out of a work that nobody has, naming a statement of the victim's.
    let opt_out = OptOut { digest: junk, scope: OPT_OUT_SCOPE, statement: source, author };
    let opt_out = convert(&opt_out).unwrap();
    let call = Registry::registerOptOutCall { optOut: opt_out, signature: Bytes::new() };
    chain.send(&from.key, registry, &call).await.unwrap();
    let huge = Dataset {
        root: junk,
        items: u64::MAX,
        totalWeight: u64::MAX,
        manifest: record.manifest,
        previous: B256::ZERO,
        treasury: Address::ZERO,
        treasuryBps: 0,
        court: from.court(),
        author,
    };
    let huge = convert(&huge).unwrap();
    let call = Registry::registerDatasetCall { dataset: huge, signature: Bytes::new() };
    chain.send(&from.key, registry, &call).await.unwrap();
    let of_model =
        Payouts::payCall { model, token: from.token, amount: U256::from(5), reference_: junk };
    let approve = probity_chain::Token::approveCall {
        spender: chain.contracts().payouts,
        value: U256::from(5),
    };
    chain.send(&from.key, from.token, &approve).await.unwrap();
    chain.send(&from.key, chain.contracts().payouts, &of_model).await.unwrap();
    train_elsewhere(from, dataset, record.manifest).await;
}

/// A stranger's model and checkpoint on the victim's dataset.
async fn train_elsewhere(from: &Party, dataset: B256, named: B256) {
    let chain = from.workspace.chain();
    let (registry, author) = (chain.contracts().registry, from.address());
    let model = Model {
        name: named,
        accountant: author,
        dataBps: 1,
        court: from.court(),
        statement: named,
        author,
    };
    let record = convert(&model).unwrap();
    let call = Registry::registerModelCall { model: record, signature: Bytes::new() };
    chain.send(&from.key, registry, &call).await.unwrap();
    let run = Run { dataset, commitment: named, statement: named, author };
    let record = convert(&run).unwrap();
    let call = Registry::commitRunCall { run: record, signature: Bytes::new() };
    chain.send(&from.key, registry, &call).await.unwrap();
    for salt in 0..4_u8 {
        let checkpoint = Checkpoint {
            model: record_id(&model),
            digest: B256::repeat_byte(salt),
            dataset,
            run: record_id(&run),
            parents: vec![],
            statement: named,
            author,
        };
        let call = Registry::registerCheckpointCall {
            checkpoint: convert(&checkpoint).unwrap(),
            run: convert(&run).unwrap(),
            signature: Bytes::new(),
        };
        chain.send(&from.key, registry, &call).await.unwrap();
    }
}

/// Records whose statements nobody here has.
async fn junk(party: &Party) {
    let registry = party.workspace.chain().contracts().registry;
    let unknown = keccak256("nobody has this");
    let opt_out = OptOut {
        digest: unknown,
        scope: OPT_OUT_SCOPE,
        statement: unknown,
        author: party.address(),
    };
    let opt_out = convert(&opt_out).unwrap();
    let call = Registry::registerOptOutCall { optOut: opt_out, signature: Bytes::new() };
    party.workspace.chain().send(&party.key, registry, &call).await.unwrap();
    for subject in [CONTENT_SUBJECT, OPT_OUT_SUBJECT] {
        let anchor =
            Anchor { subject, root: unknown, size: 3, statement: unknown, author: party.address() };
        let call = Registry::anchorCall {
            subject: anchor.subject,
            root: anchor.root,
            size: anchor.size,
            statement: anchor.statement,
        };
        party.workspace.chain().send(&party.key, registry, &call).await.unwrap();
    }
}

/// `ai-train` as the contracts' tag: ASCII, left-aligned.
const OPT_OUT_SCOPE: B256 = {
    let mut word = [0; 32];
    let text = SCOPE_TRAIN.as_bytes();
    let mut at = 0;
    while at < text.len() {
        word[at] = text[at];
        at += 1;
    }
    B256::new(word)
};

/// An item removed from a version, as a duplicate, stays out of the next, and the audit follows.
#[tokio::test(flavor = "multi_thread")]
async fn removed_works_stay_out_of_the_next_version_only() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(1);
    let mut ours = Party::first(&folder.path().join("ours"), &keys).await;
    ours.contribute(1).await;
    let (first, manifest) = ours.dataset("v1", B256::ZERO).await;
    let model = ours.model().await;
    ours.train(model, first, &manifest).await;
    let evidence = b"it is item 2 again".to_vec();
    let (case, _) =
        ours.workspace.challenge(&ours.key, first, 3, Reason::Duplicate, evidence).await.unwrap();
    let deadline = ours.workspace.challenge_deadline(&case).await.unwrap();
    while ours.workspace.now() <= deadline {
        tokio::task::yield_now().await;
    }
    ours.workspace.settle_challenge(&ours.key, &case).await.unwrap();
    assert!(ours.workspace.is_model_tainted(model).await.unwrap());
    let (second, next) = ours.dataset("v2", first).await;
    assert_eq!((next.items.len(), next.excluded.len()), (9, 1));
    ours.train(model, second, &next).await;
    ours.audit(model).await;
    // Another line knows nothing of it.
    let (_, other) = ours.dataset("other", B256::ZERO).await;
    assert_eq!(other.items.len(), 10);
}

/// An opt-out that a curator passed over fails the audit; one that came later does not.
#[tokio::test(flavor = "multi_thread")]
async fn ignored_opt_outs_are_told_from_later_ones() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(1);
    let mut ours = Party::first(&folder.path().join("ours"), &keys).await;
    ours.contribute(1).await;
    let policy = Policy::default();
    let stale = ours.workspace.plan_dataset("v1", &policy, B256::ZERO).await.unwrap();
    let work = stale.items[0].digest;
    let key = ours.key.clone();
    ours.workspace.opt_out(&key, &[("row-0".to_owned(), work)]).await.unwrap();
    wait_a_second(&ours).await;
    let plan = DatasetPlan {
        name: "v1".to_owned(),
        policy,
        previous: B256::ZERO,
        treasury: Address::ZERO,
        treasury_bps: 0,
        court: ours.court(),
    };
    let refused = ours.workspace.register_dataset(&key, &stale, &plan).await.unwrap_err();
    assert_eq!(refused.to_string(), "works were opted out since dataset `v1` was planned");
    let dataset = ours.register_regardless(&stale).await;
    let model = ours.model().await;
    ours.train(model, dataset, &stale).await;
    wait_a_second(&ours).await;
    let later: Digest = stale.items[1].digest;
    ours.workspace.opt_out(&key, &[("row-1".to_owned(), later)]).await.unwrap();
    let log = ours.workspace.keyring().unlock("log", "pass").unwrap();
    ours.workspace.anchor_log(&log, &key).await.unwrap();
    let files = ours.workspace.export_bundle(model, &key).await.unwrap();
    let report = audit_bundle(&files, None).await.unwrap();
    let errors = report.findings.iter().filter(|f| f.severity == probity_core::Severity::Error);
    assert_eq!(errors.count(), 1, "{:?}", report.findings);
    for (code, item) in [("dataset.opt-out.ignored", 0), ("dataset.opted-out-since", 1)] {
        let found = report.findings.iter().filter(|found| found.code == code);
        let subjects: Vec<&str> = found.map(|found| found.subject.as_str()).collect();
        assert_eq!(subjects, [stale.items[item].content.to_string()], "{code}");
    }
    assert!(!report.passed());
}

async fn wait_a_second(party: &Party) {
    let now = party.workspace.now();
    while party.workspace.now() == now {
        tokio::task::yield_now().await;
    }
}

/// An accountant who pays themselves is disputed with a recomputed root, and the court accepts that.
#[tokio::test(flavor = "multi_thread")]
async fn a_false_payout_root_is_disputed_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(1);
    let mut ours = Party::first(&folder.path().join("ours"), &keys).await;
    ours.contribute(1).await;
    let (dataset, manifest) = ours.dataset("v1", B256::ZERO).await;
    let model = ours.model().await;
    ours.train(model, dataset, &manifest).await;
    let (key, token) = (ours.key.clone(), ours.token);
    ours.workspace.pay(&key, model, token, 1_000, B256::ZERO).await.unwrap();
    let right = ours.workspace.compute_payout(model, token).await.unwrap();
    let mut wrong = right.clone();
    wrong.entries[0].account = Address::repeat_byte(0xee);
    ours.workspace.propose_payout(&key, &wrong).await.unwrap();
    // Revenue that comes in meanwhile is not part of what was proposed.
    ours.workspace.pay(&key, model, token, 77, B256::ZERO).await.unwrap();
    let disputed = ours.workspace.dispute_payout(&key, model, token).await.unwrap();
    assert_eq!(disputed.unwrap().0, right);
    let opinion = ours.workspace.store_object(b"recomputed".to_vec()).await.unwrap();
    let decision = Decision { upheld: true, opinion };
    let arbiters = [key.clone()];
    ours.workspace.rule_payout(&key, model, token, &decision, &arbiters).await.unwrap();
    let entry = &right.entries[0];
    let proof = ours.workspace.prove_claim(model, token, entry.account).await.unwrap().unwrap();
    for forged in forgeries(&proof) {
        let refused = ours.workspace.claim(&key, &forged).await.unwrap_err();
        assert!(matches!(refused, NodeError::RootNotAccepted(_)), "{refused}: {forged:?}");
    }
    let claimed = ours.workspace.claim(&key, &proof).await.unwrap();
    assert_eq!(claimed.unwrap().amount, entry.cumulative);
    assert!(ours.workspace.claim(&key, &proof).await.unwrap().is_none());
    let report = ours.audit(model).await;
    assert_eq!(label(&report, "payout.computed"), Some(Label::Verified));

    // The next one is right, and nobody can dispute it.
    let next = ours.workspace.compute_payout(model, token).await.unwrap();
    ours.workspace.propose_payout(&key, &next).await.unwrap();
    assert!(ours.workspace.dispute_payout(&key, model, token).await.unwrap().is_none());
}

/// The proof with each field but the epoch, which nothing is decided by, changed.
fn forgeries(proof: &ClaimProof) -> Vec<ClaimProof> {
    let with = |change: &dyn Fn(&mut ClaimProof)| {
        let mut forged = proof.clone();
        change(&mut forged);
        forged
    };
    vec![
        with(&|proof| proof.vault = Address::repeat_byte(1)),
        with(&|proof| proof.model = B256::repeat_byte(1)),
        with(&|proof| proof.token = Address::repeat_byte(1)),
        with(&|proof| proof.root = B256::repeat_byte(1)),
        with(&|proof| proof.account = Address::repeat_byte(1)),
        with(&|proof| proof.cumulative += 1),
        with(&|proof| proof.proof.push(B256::ZERO)),
    ]
}
