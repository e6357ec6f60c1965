//! Contracts on an embedded chain whose clock the test holds.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolCall;
use probity_chain::{ChainError, Client, Receipt, Registry, Token, convert};
use probity_core::{
    keys::{KeyType, SecretKey},
    merkle::StandardTree,
    records::{
        Checkpoint, Contract, Court, Dataset, DatasetItem, Model, Run, record_id, signing_hash,
    },
};
use probity_devchain::{DevChain, Genesis};
use probity_testkit::FakeClock;
use tempfile::TempDir;

/// Seconds of both windows of the court.
pub(crate) const WINDOW: u64 = 20;
/// The court's bond.
pub(crate) const BOND: u128 = 7;

pub(crate) struct World {
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) client: Client,
    pub(crate) token: Address,
    pub(crate) court: Court,
    /// The first makes all records; each has coins, tokens, and lets the contracts take them.
    pub(crate) keys: Vec<SecretKey>,
    arbiters: Vec<SecretKey>,
    _chain: DevChain,
    _dir: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::at(1_700_000_000));
        let keys: Vec<SecretKey> =
            (0..4).map(|_| SecretKey::generate(KeyType::Secp256k1).unwrap()).collect();
        let coins = U256::from(10).pow(U256::from(21));
        let alloc = keys.iter().map(|key| (key.address().unwrap(), coins)).collect();
        let genesis = Genesis { alloc, timestamp: 1_700_000_000, ..Genesis::default() };
        let chain = DevChain::create(dir.path(), &genesis, clock.clone()).unwrap();
        let client = Client::with_transport("embedded", chain.transport()).await.unwrap();
        client.deploy(&keys[0]).await.unwrap();
        let token = client.deploy_dev_token(&keys[0]).await.unwrap();
        let mut arbiters: Vec<SecretKey> =
            (0..3).map(|_| SecretKey::generate(KeyType::Secp256k1).unwrap()).collect();
        arbiters.sort_by_key(|key| key.address().unwrap());
        let court = Court {
            arbiters: arbiters.iter().map(|key| key.address().unwrap()).collect(),
            threshold: 2,
            bondToken: token,
            bond: BOND.try_into().unwrap(),
            responseWindow: u32::try_from(WINDOW).unwrap(),
            rulingWindow: u32::try_from(WINDOW).unwrap(),
        };
        let world = Self { clock, client, token, court, keys, arbiters, _chain: chain, _dir: dir };
        for index in 0..world.keys.len() {
            world.fund(index).await;
        }
        world
    }

    async fn fund(&self, index: usize) {
        let amount = U256::from(u64::MAX);
        let account = self.address(index);
        self.send(index, self.token, &Token::mintCall { account, amount }).await.unwrap();
        let contracts = *self.client.contracts();
        for spender in [contracts.challenges, contracts.payouts] {
            let call = Token::approveCall { spender, value: amount };
            self.send(index, self.token, &call).await.unwrap();
        }
    }

    pub(crate) fn address(&self, index: usize) -> Address {
        self.keys[index].address().unwrap()
    }

    pub(crate) async fn send<C: SolCall>(
        &self,
        from: usize,
        to: Address,
        call: &C,
    ) -> Result<Receipt, ChainError> {
        self.client.send(&self.keys[from], to, call).await
    }

    /// Registers a dataset version with items of these weights.
    pub(crate) async fn dataset(
        &self,
        previous: B256,
        treasury_bps: u16,
        weights: &[u64],
    ) -> (Dataset, Vec<DatasetItem>, StandardTree) {
        let item = |(index, weight): (usize, &u64)| {
            let content = keccak256([previous.as_slice(), &index.to_be_bytes()].concat());
            DatasetItem { index: index as u64, content, weight: *weight }
        };
        let items: Vec<DatasetItem> = weights.iter().enumerate().map(item).collect();
        let tree = StandardTree::new(items.iter().map(DatasetItem::leaf).collect()).unwrap();
        let treasury = if treasury_bps == 0 { Address::ZERO } else { self.address(1) };
        let dataset = Dataset {
            root: tree.root(),
            items: items.len() as u64,
            totalWeight: weights.iter().sum(),
            manifest: keccak256(previous),
            previous,
            treasury,
            treasuryBps: treasury_bps,
            court: self.court.clone(),
            author: self.address(0),
        };
        let record = convert(&dataset).unwrap();
        let call = Registry::registerDatasetCall { dataset: record, signature: Bytes::new() };
        self.send(0, self.client.contracts().registry, &call).await.unwrap();
        (dataset, items, tree)
    }

    pub(crate) async fn model(&self, data_bps: u16) -> Model {
        let model = Model {
            name: keccak256("model"),
            accountant: self.address(0),
            dataBps: data_bps,
            court: self.court.clone(),
            statement: keccak256("model statement"),
            author: self.address(0),
        };
        let record = convert(&model).unwrap();
        let call = Registry::registerModelCall { model: record, signature: Bytes::new() };
        self.send(0, self.client.contracts().registry, &call).await.unwrap();
        model
    }

    /// Registers a run on a dataset and its checkpoint: the model's head from now on.
    pub(crate) async fn checkpoint(
        &self,
        model: B256,
        dataset: B256,
        parents: Vec<B256>,
    ) -> Checkpoint {
        let registry = self.client.contracts().registry;
        // Differs from one checkpoint to the next.
        let digest = keccak256([dataset.as_slice(), parents.concat().as_slice()].concat());
        let author = self.address(0);
        let run = Run { dataset, commitment: digest, statement: digest, author };
        let record = convert(&run).unwrap();
        let call = Registry::commitRunCall { run: record, signature: Bytes::new() };
        self.send(0, registry, &call).await.unwrap();
        let checkpoint = Checkpoint {
            model,
            digest,
            dataset,
            run: record_id(&run),
            parents,
            statement: digest,
            author,
        };
        let call = Registry::registerCheckpointCall {
            checkpoint: convert(&checkpoint).unwrap(),
            run: convert(&run).unwrap(),
            signature: Bytes::new(),
        };
        self.send(0, registry, &call).await.unwrap();
        checkpoint
    }

    /// A ruling's signatures by the first and the last arbiter.
    pub(crate) fn signatures<S: alloy_sol_types::SolStruct>(
        &self,
        contract: Contract,
        address: Address,
        ruling: &S,
    ) -> Vec<Bytes> {
        let hash = signing_hash(ruling, &contract.domain(self.client.chain_id(), address));
        let sign = |index: usize| self.arbiters[index].sign_hash(&hash).unwrap().to_vec().into();
        vec![sign(0), Bytes::new(), sign(2)]
    }
}
