//! The main job on real data: creators register handwritten digits, a curator builds a dataset, a
//! trainer trains a model on it; fake labels are challenged and removed, which taints the model until
//! it is trained anew; revenue comes in and is paid out, and everything is audited.
//!
//! Development only: the keys' passphrase is public and the token is worthless.

mod challenges;
mod copies;
mod inference;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall as _;
use probity_chain::Token;
pub use probity_compute::Progress as TrainingProgress;
use probity_compute::{MlpConfig, SAMPLE_MEDIA_TYPE, Sample};
use probity_core::{
    Clock, Digest,
    keys::{KeyType, SecretKey},
    keystore::Cost,
    licence::{LicenceTerms, Permission},
    money::Bps,
    records::Court,
};
use probity_provenance::{audit::Report, content::Payee, dataset::Policy};

use crate::{
    ChainChoice, DatasetPlan, ModelPlan, NodeError, Work, Workspace, archive, audit_bundle,
    workspace::{MAX_INPUT, read_file},
};

/// Passphrase of the demo's keys. Public: they hold nothing of worth.
pub const PASSPHRASE: &str = "probity-demo-insecure";
/// The digits, shipped with the program.
pub(crate) const DIGITS: &[u8] = include_bytes!("../../../examples/digits/digits.csv");
/// Every fifth row is held out and never registered.
const HELD_OUT_EVERY: usize = 5;
/// Fewest seconds of the demo's dispute windows. Real ones are days.
const WINDOW: u32 = 2;
/// Worthless dollars of usage revenue: while the model is tainted, and afterwards.
const REVENUE: [u128; 2] = [100_000_000_000, 150_000_000_000];
/// Works that mallory registers with another label than the digit's.
const FAKES: usize = 12;
/// 100.000000.
const BOND: u64 = 100_000_000;

/// The people of the story, by key name.
const PEOPLE: [&str; 11] = [
    "alice",
    "bob",
    "carol",
    "dave",
    "mallory",
    "curator",
    "trainer",
    "accountant",
    "customer",
    "auditor",
    "judge",
];

/// What happens, for whoever shows it.
#[derive(Debug, Clone)]
pub enum Step {
    /// A new part begins.
    Title(String),
    /// Something was done.
    Done(String),
    /// Training goes on.
    Training(TrainingProgress),
    /// Waiting for a window to pass, this many seconds.
    Waiting(u64),
}

/// What the demo ends with.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The model.
    pub model: B256,
    /// Correctly classified held-out samples, and how many there are.
    pub accuracy: (usize, usize),
    /// What became of the fake labels.
    pub labels: Labels,
    /// The audit of the exported bundle.
    pub report: Report,
}

/// What became of the fake labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labels {
    /// Fake labels in the first dataset.
    pub fake: usize,
    /// Of them, removed.
    pub caught: usize,
    /// True labels that were challenged; the court kept them.
    pub wrongly_challenged: usize,
}

/// How the demo runs.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// An EVM chain instead of an embedded one.
    pub rpc: Option<String>,
    /// A funded key on that chain, needed with `rpc`.
    pub funder: Option<SecretKey>,
    /// Another data file of the digits' form.
    pub data: Option<std::path::PathBuf>,
}

/// Runs the story in a new folder and leaves the folder usable.
pub async fn run(
    dir: &Path,
    options: &Options,
    clock: Arc<dyn Clock>,
    show: &mut (dyn FnMut(Step) + Send),
) -> Result<Outcome, NodeError> {
    let samples = samples(options)?;
    let mut story = Story::begin(dir, options, clock, show).await?;
    story.fund(options).await?;
    story.contribute(&samples).await?;
    story.curate("digits-v1", &samples).await?;
    story.register_model().await?;
    story.train(&samples).await?;
    let labels = story.challenge_labels(&samples).await?;
    story.earn(REVENUE[0]).await?;
    story.curate("digits-v2", &samples).await?;
    let accuracy = story.train(&samples).await?;
    story.prove_inference(&samples).await?;
    story.earn(REVENUE[1]).await?;
    let report = story.audit().await?;
    Ok(Outcome { model: story.model, accuracy, labels, report })
}

struct Samples {
    /// Rows that are registered, as their bytes.
    rows: Vec<String>,
    /// Rows that nobody registers.
    held_out: Vec<Sample>,
}

fn samples(options: &Options) -> Result<Samples, NodeError> {
    let (path, bytes) = match &options.data {
        Some(path) => (path.clone(), read_file(path, MAX_INPUT)?),
        None => ("digits.csv".into(), DIGITS.to_vec()),
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut samples = Samples { rows: vec![], held_out: vec![] };
    for (index, row) in text.lines().enumerate() {
        let sample = Sample::parse(row).map_err(|source| NodeError::Sample {
            path: path.clone(),
            line: index + 1,
            source,
        })?;
        if index % HELD_OUT_EVERY == 0 {
            samples.held_out.push(sample);
        } else {
            samples.rows.push(format!("{row}\n"));
        }
    }
    Ok(samples)
}

struct Story<'a> {
    workspace: Workspace,
    keys: BTreeMap<&'static str, SecretKey>,
    log_key: SecretKey,
    token: Address,
    dataset: B256,
    model: B256,
    checkpoint: B256,
    /// When the story began, Unix seconds.
    began: u64,
    show: &'a mut (dyn FnMut(Step) + Send),
}

impl<'a> Story<'a> {
    async fn begin(
        dir: &Path,
        options: &Options,
        clock: Arc<dyn Clock>,
        show: &'a mut (dyn FnMut(Step) + Send),
    ) -> Result<Self, NodeError> {
        let began = clock.unix_seconds();
        show(Step::Title("A workspace with its chain, log and keys".to_owned()));
        let mut keys = BTreeMap::new();
        for name in PEOPLE {
            keys.insert(name, SecretKey::generate(KeyType::Secp256k1)?);
        }
        let choice = if let Some(url) = &options.rpc {
            ChainChoice::Rpc(url.clone())
        } else {
            let ether = U256::from(10u64).pow(U256::from(18));
            let fund =
                |key: &SecretKey| Ok::<_, NodeError>((key.address()?, U256::from(1000u64) * ether));
            ChainChoice::Embedded(keys.values().map(fund).collect::<Result<_, _>>()?)
        };
        let workspace =
            Workspace::create(dir, choice, true, PASSPHRASE, Cost::Light, clock).await?;
        let keyring = workspace.keyring();
        for (name, key) in &keys {
            keyring.store(name, key, PASSPHRASE, Cost::Light)?;
        }
        let log_key = keyring.unlock("log", PASSPHRASE)?;
        show(Step::Done(format!(
            "{} in {}; {} keys, encrypted (development passphrase)",
            if options.rpc.is_some() { "chain at an RPC URL" } else { "embedded chain" },
            dir.display(),
            PEOPLE.len() + 1
        )));
        Ok(Self {
            workspace,
            keys,
            log_key,
            token: Address::ZERO,
            dataset: B256::ZERO,
            model: B256::ZERO,
            checkpoint: B256::ZERO,
            began,
            show,
        })
    }

    fn title(&mut self, text: &str) {
        (self.show)(Step::Title(text.to_owned()));
    }

    fn done(&mut self, text: impl Into<String>) {
        (self.show)(Step::Done(text.into()));
    }

    fn key(&self, name: &str) -> Result<SecretKey, NodeError> {
        self.keys.get(name).cloned().ok_or_else(|| NodeError::KeyUnknown(name.to_owned()))
    }

    fn address(&self, name: &str) -> Result<Address, NodeError> {
        Ok(self.key(name)?.address()?)
    }

    async fn fund(&mut self, options: &Options) -> Result<(), NodeError> {
        if let Some(funder) = &options.funder {
            let tenth = U256::from(10u64).pow(U256::from(17));
            for name in PEOPLE {
                let to = self.address(name)?;
                self.workspace.chain().send_raw(funder, to, Bytes::new(), tenth).await?;
            }
        }
        let customer = self.key("customer")?;
        let receipts = self.workspace.chain().deploy(&customer).await?;
        let gas: u64 = receipts.iter().map(|receipt| receipt.gas).sum();
        self.token = self.workspace.chain().deploy_dev_token(&customer).await?;
        let chain = self.workspace.chain();
        let (id, registry) = (chain.chain_id(), chain.contracts().registry);
        self.done(format!("chain {id}; contracts deployed for {gas} gas, registry at {registry}"));
        self.mint("customer", REVENUE.iter().sum()).await?;
        self.mint("accountant", 2 * u128::from(BOND)).await?;
        let token = self.token;
        self.done(format!("worthless development token at {token}"));
        Ok(())
    }

    async fn mint(&self, name: &str, amount: u128) -> Result<(), NodeError> {
        let call = Token::mintCall { account: self.address(name)?, amount: U256::from(amount) };
        let data = Bytes::from(call.abi_encode());
        let key = self.key(name)?;
        self.workspace.chain().send_raw(&key, self.token, data, U256::ZERO).await?;
        Ok(())
    }

    /// Five creators share the rows out; dave also hands in forty rows of alice's again and copies of
    /// bob's that differ a little, bob opts twenty of his own out, and mallory gives the wrong label to
    /// some of hers.
    async fn contribute(&mut self, samples: &Samples) -> Result<(), NodeError> {
        self.title("Creators sign and register handwritten digits");
        let fifth = samples.rows.len().div_ceil(5);
        let rows: Vec<&[String]> = samples.rows.chunks(fifth).collect();
        let share = |index: usize| rows.get(index).copied().unwrap_or_default().to_vec();
        let no_training = LicenceTerms {
            train: Permission::Deny,
            ..LicenceTerms::open("CC-BY-NC-ND-4.0").map_err(content)?
        };
        let mut repeated = share(3);
        repeated.extend(share(0).into_iter().take(40));
        repeated.extend(copies::of(&share(1)));
        // Carol's last thirty rows are under a licence that does not permit training.
        let mut of_carol = share(2);
        let reserved = of_carol.split_off(of_carol.len().saturating_sub(30));
        for (name, spdx, rows) in [
            ("alice", "CC-BY-4.0", share(0)),
            ("bob", "CC0-1.0", share(1)),
            ("carol", "CC-BY-4.0", of_carol),
            ("dave", "CC-BY-SA-4.0", repeated),
            ("mallory", "CC-BY-4.0", challenges::with_fake_labels(share(4))),
        ] {
            let terms = LicenceTerms::open(spdx).map_err(content)?;
            self.contribute_batch(name, terms, rows).await?;
        }
        self.contribute_batch("carol", no_training, reserved).await?;
        let opted: Vec<(String, Digest)> = share(1)
            .iter()
            .take(20)
            .enumerate()
            .map(|(index, row)| (format!("row-{index}"), Digest::of(row.as_bytes())))
            .collect();
        let bob = self.key("bob")?;
        let receipts = self.workspace.opt_out(&bob, &opted).await?;
        self.done(format!("bob opts {} of his works out of training", receipts.len()));
        Ok(())
    }

    async fn contribute_batch(
        &mut self,
        name: &str,
        terms: LicenceTerms,
        rows: Vec<String>,
    ) -> Result<(), NodeError> {
        let works: Vec<Work> = rows
            .into_iter()
            .enumerate()
            .map(|(index, row)| Work { name: format!("row-{index}"), bytes: row.into_bytes() })
            .collect();
        let key = self.key(name)?;
        // Alice shares with carol: splits are part of what she signs.
        let payees = match name {
            "alice" => vec![
                Payee { account: key.address()?, bps: Bps::new(8_000)? },
                Payee { account: self.address("carol")?, bps: Bps::new(2_000)? },
            ],
            _ => vec![Payee { account: key.address()?, bps: Bps::WHOLE }],
        };
        let spdx = terms.spdx.clone();
        self.workspace.register_licence(&key, &terms).await?;
        let done =
            self.workspace.contribute(&key, terms, payees, SAMPLE_MEDIA_TYPE, &works).await?;
        self.done(format!(
            "{name}: {} works under {spdx}, one anchor for {} gas",
            works.len(),
            done.receipt.gas
        ));
        if name == "alice" {
            let relayer = self.key("customer")?;
            let (id, receipt) =
                self.workspace.register_content(&done.batch, 0, &key, &relayer).await?;
            self.done(format!(
                "alice's first work also by itself ({id}), relayed by the customer for {} gas",
                receipt.gas
            ));
        }
        Ok(())
    }

    /// Seconds in which a challenge is answered, or ruled on: two transactions of the dozens that were
    /// sent since the story began, so half of the time that those took is plenty on any machine.
    fn window(&self) -> u32 {
        let took = self.workspace.now().saturating_sub(self.began);
        u32::try_from(took / 2).unwrap_or(u32::MAX).max(WINDOW)
    }

    fn court(&self, window: u32) -> Result<Court, NodeError> {
        let mut arbiters =
            vec![self.address("judge")?, self.address("curator")?, self.address("customer")?];
        arbiters.sort_unstable();
        Ok(Court {
            arbiters,
            threshold: 2,
            bondToken: self.token,
            bond: alloy_primitives::Uint::from(BOND),
            responseWindow: window,
            rulingWindow: window,
        })
    }

    async fn curate(&mut self, name: &str, samples: &Samples) -> Result<(), NodeError> {
        self.title(&format!("A curator builds the dataset `{name}`"));
        let policy = Policy { commercial: true, near: Some(copies::policy()), ..Policy::default() };
        let manifest = self.workspace.plan_dataset(name, &policy, self.dataset).await?;
        self.done(format!("{} items accepted", manifest.items.len()));
        for (reason, count) in manifest.exclusion_counts() {
            self.done(format!("{count} left out: {reason}"));
        }
        self.show_copies(&manifest, samples)?;
        let curator = self.key("curator")?;
        let plan = DatasetPlan {
            name: manifest.name.clone(),
            policy,
            previous: self.dataset,
            treasury: self.address("curator")?,
            treasury_bps: 1_000,
            court: self.court(self.window())?,
        };
        let (id, record, receipt) =
            self.workspace.register_dataset(&curator, &manifest, &plan).await?;
        self.dataset = id;
        self.done(format!("dataset {id} with root {} for {} gas", record.root, receipt.gas));
        Ok(())
    }

    async fn register_model(&mut self) -> Result<(), NodeError> {
        let trainer = self.key("trainer")?;
        let plan = ModelPlan {
            name: "digits-mlp".to_owned(),
            description: "classifies 8x8 handwritten digits".to_owned(),
            accountant: self.address("accountant")?,
            data_bps: 7_000,
            // Nobody disputes a payout here, so nobody can be late.
            court: self.court(WINDOW)?,
        };
        (self.model, ..) = self.workspace.register_model(&trainer, &plan).await?;
        Ok(())
    }

    async fn train(&mut self, samples: &Samples) -> Result<(usize, usize), NodeError> {
        self.title("A trainer commits to a run, trains, and registers the checkpoint");
        let (trainer, model) = (self.key("trainer")?, self.model);
        let record = self.workspace.dataset(self.dataset).await?;
        let manifest = self.workspace.manifest(&record.manifest.into()).await?;
        let config = MlpConfig::default();
        let (id, run, _) =
            self.workspace.commit_run(&trainer, self.dataset, &manifest, &config).await?;
        self.done(format!("run {id} committed: configuration, seed {} and data", config.seed));
        let trained = {
            let (workspace, show) = (&self.workspace, &mut self.show);
            workspace.train(&manifest, &config, &mut |p| show(Step::Training(p))).await?
        };
        let correct = trained.mlp.correct(&samples.held_out);
        let accuracy = (correct, samples.held_out.len());
        let percent = percent(accuracy);
        self.done(format!("held-out accuracy {percent} % ({correct} of {})", accuracy.1));
        let metrics = BTreeMap::from([
            ("heldOutAccuracyPercent".to_owned(), percent),
            ("heldOutSamples".to_owned(), accuracy.1.to_string()),
        ]);
        let (id, _, receipt) =
            self.workspace.register_checkpoint(&trainer, model, &run, &trained, metrics).await?;
        self.checkpoint = id;
        self.done(format!("checkpoint {id} of model {model} for {} gas", receipt.gas));
        Ok(accuracy)
    }

    async fn earn(&mut self, revenue: u128) -> Result<(), NodeError> {
        let (customer, accountant) = (self.key("customer")?, self.key("accountant")?);
        let (model, token) = (self.model, self.token);
        let tainted = self.workspace.is_model_tainted(model).await?;
        self.title(if tainted {
            "Usage revenue comes in; the removed works' share is held back"
        } else {
            "More revenue comes in; what was held back is paid out too"
        });
        let reference = Digest::of(format!("invoice over {revenue}").as_bytes()).into();
        self.workspace.pay(&customer, model, token, revenue, reference).await?;
        self.done(format!("the customer pays {}", dollars(revenue)));
        let computation = self.workspace.compute_payout(model, token).await?;
        self.workspace.propose_payout(&accountant, &computation).await?;
        self.done(format!(
            "the accountant proposes epoch {}: {} in all for {} payees, {} held back, bond {}",
            computation.epoch,
            dollars(computation.total),
            computation.entries.len(),
            dollars(computation.held),
            dollars(BOND.into())
        ));
        self.wait_for_window(model).await?;
        let receipt = self.workspace.settle_payout(&customer, model, token).await?;
        self.done(format!("nobody disputed it: accepted for {} gas", receipt.gas));
        for entry in &computation.entries {
            let Some(proof) = self.workspace.prove_claim(model, token, entry.account).await? else {
                continue;
            };
            if let Some(claimed) = self.workspace.claim(&customer, &proof).await? {
                let who = self.name_of(claimed.account)?;
                self.done(format!(
                    "{who} gets {} for {} gas",
                    dollars(claimed.amount),
                    claimed.receipt.gas
                ));
            }
        }
        Ok(())
    }

    fn name_of(&self, account: Address) -> Result<String, NodeError> {
        for (name, key) in &self.keys {
            if key.address()? == account {
                return Ok((*name).to_owned());
            }
        }
        Ok(account.to_string())
    }

    /// Waits until the chain's time is past the proposal's deadline.
    async fn wait_for_window(&mut self, model: B256) -> Result<(), NodeError> {
        let call = probity_chain::Payouts::proposalOfCall { model, token: self.token };
        let payouts = self.workspace.chain().contracts().payouts;
        let proposal = self.workspace.chain().call(payouts, &call).await?;
        self.wait_until_after(proposal.deadline.to::<u64>()).await
    }

    async fn wait_until_after(&mut self, deadline: u64) -> Result<(), NodeError> {
        (self.show)(Step::Waiting(deadline.saturating_sub(self.workspace.now()) + 1));
        // A chain's next block has its own clock; nothing can be asked of it but the time now.
        while self.workspace.now() <= deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn audit(&mut self) -> Result<Report, NodeError> {
        self.title("Everything is exported and audited offline");
        let (log_key, trainer) = (self.log_key.clone(), self.key("trainer")?);
        let checkpoint = self.workspace.anchor_log(&log_key, &trainer).await?;
        self.done(format!("log of {} statements signed and anchored", checkpoint.size()));
        let files = self.workspace.export_bundle(self.model, &trainer).await?;
        let path = self.workspace.dir().join("evidence.tar");
        let size = archive::write(&path, &files)?;
        self.done(format!("{}: {} files, {size} bytes", path.display(), files.len()));
        let report = audit_bundle(&archive::read(&path)?, None).await?;
        for claim in &report.claims {
            self.done(format!("[{}] {}", claim.label, claim.text));
        }
        for finding in &report.findings {
            self.done(format!("{}: {}", finding.code, finding.message));
        }
        Ok(report)
    }
}

fn content(error: probity_core::licence::LicenceError) -> NodeError {
    probity_provenance::content::ContentError::from(error).into()
}

/// A percentage with two decimals, in integers.
fn percent((part, whole): (usize, usize)) -> String {
    let hundredths = part * 10_000 / whole.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// An amount of a token with six decimals.
fn dollars(amount: u128) -> String {
    format!("{}.{:06}", amount / 1_000_000, amount % 1_000_000)
}
