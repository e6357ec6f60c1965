//! A chain in a temporary folder, and small helpers around it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::EthereumWallet;
use alloy::providers::{DynProvider, Provider, ProviderBuilder};
use alloy::rpc::client::RpcClient;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};
use probity_core::Clock;
use probity_devchain::{DevChain, Genesis};
use serde_json::{Value, json};
use tempfile::TempDir;

sol! {
    #[sol(rpc)]
    contract DevToken {
        event Transfer(address indexed from, address indexed to, uint256 value);
        error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
        function mint(address account, uint256 amount) external;
        function transfer(address to, uint256 amount) external returns (bool);
        function balanceOf(address account) external view returns (uint256);
        function totalSupply() external view returns (uint256);
    }
}

/// Time that moves only when told to.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn unix_seconds(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) const START: u64 = 1_800_000_000;

pub(crate) fn clock() -> Arc<TestClock> {
    Arc::new(TestClock(AtomicU64::new(START)))
}

/// The numbered test key.
pub(crate) fn key(number: u64) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&U256::from(number + 1).into()).unwrap()
}

pub(crate) fn ether(amount: u64) -> U256 {
    U256::from(amount) * U256::from(10).pow(U256::from(18))
}

/// Ten funded keys.
pub(crate) fn genesis() -> Genesis {
    let alloc = (0..10).map(|number| (key(number).address(), ether(1_000))).collect();
    Genesis { alloc, timestamp: START, ..Genesis::default() }
}

pub(crate) struct World {
    pub(crate) chain: DevChain,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&genesis())
    }

    pub(crate) fn with(genesis: &Genesis) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = clock();
        let chain = DevChain::create(dir.path(), genesis, Arc::<TestClock>::clone(&clock)).unwrap();
        Self { chain, clock, dir }
    }

    /// Closes the chain and opens it again.
    pub(crate) fn reopen(self) -> Self {
        let Self { chain, clock, dir } = self;
        drop(chain);
        let chain = DevChain::open(dir.path(), Arc::<TestClock>::clone(&clock)).unwrap();
        Self { chain, clock, dir }
    }

    pub(crate) fn provider(&self, signer: PrivateKeySigner) -> DynProvider {
        let client = RpcClient::new(self.chain.transport(), true);
        let wallet = EthereumWallet::from(signer);
        ProviderBuilder::new().wallet(wallet).connect_client(client).erased()
    }

    pub(crate) async fn rpc(&self, method: &str, params: Value) -> Result<Value, Value> {
        rpc(&self.chain, method, params).await
    }

    pub(crate) async fn ok(&self, method: &str, params: Value) -> Value {
        let shown = params.to_string();
        match self.rpc(method, params).await {
            Ok(result) => result,
            Err(error) => panic!("{method} {shown}: {error}"),
        }
    }

    /// Sends, and returns the hash or the error's message.
    pub(crate) async fn send(&self, raw: &Bytes) -> Result<B256, String> {
        match self.rpc("eth_sendRawTransaction", json!([raw])).await {
            Ok(hash) => Ok(serde_json::from_value(hash).unwrap()),
            Err(error) => Err(error["message"].as_str().unwrap().to_owned()),
        }
    }

    pub(crate) async fn receipt(&self, hash: B256) -> Value {
        self.ok("eth_getTransactionReceipt", json!([hash])).await
    }

    pub(crate) async fn head(&self) -> u64 {
        number(&self.ok("eth_blockNumber", json!([])).await)
    }

    /// An unsigned transfer of one wei with enough of everything.
    pub(crate) fn transfer(&self, nonce: u64) -> TxEip1559 {
        TxEip1559 {
            chain_id: self.chain.chain_id(),
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: 5_000_000_000,
            max_priority_fee_per_gas: 1_000_000,
            to: TxKind::Call(Address::repeat_byte(0x77)),
            value: U256::from(1),
            access_list: <_>::default(),
            input: Bytes::new(),
        }
    }

    /// Deploys creation code from the numbered key and returns where it lives.
    pub(crate) async fn deploy(&self, from: u64, nonce: u64, code: Bytes) -> Address {
        let create = TxEip1559 {
            to: TxKind::Create,
            value: U256::ZERO,
            gas_limit: 10_000_000,
            input: code,
            ..self.transfer(nonce)
        };
        let hash = self.send(&sign(create, &key(from))).await.unwrap();
        let receipt = self.receipt(hash).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        serde_json::from_value(receipt["contractAddress"].clone()).unwrap()
    }
}

pub(crate) async fn rpc(chain: &DevChain, method: &str, params: Value) -> Result<Value, Value> {
    let request = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let answer = chain.handle_bytes(request.to_string().as_bytes()).await;
    let mut answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["id"], 7);
    match answer.get_mut("error") {
        Some(error) => Err(error.take()),
        None => Ok(answer["result"].take()),
    }
}

/// Signs and encodes (EIP-2718).
pub(crate) fn sign<T>(transaction: T, signer: &PrivateKeySigner) -> Bytes
where
    T: SignableTransaction<alloy_primitives::Signature>,
    TxEnvelope: From<alloy::consensus::Signed<T>>,
{
    let signature = signer.sign_hash_sync(&transaction.signature_hash()).unwrap();
    TxEnvelope::from(transaction.into_signed(signature)).encoded_2718().into()
}

/// A JSON-RPC quantity.
pub(crate) fn number(value: &Value) -> u64 {
    quantity(value).to()
}

pub(crate) fn quantity(value: &Value) -> U256 {
    serde_json::from_value(value.clone()).unwrap()
}

/// `OpenZeppelin`'s ERC-20, compiled with the contracts.
pub(crate) fn token_code() -> Bytes {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/out-abi/DevToken.json");
    let artifact: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    hex::decode(artifact["bytecode"].as_str().unwrap()).unwrap().into()
}

/// Creation code for the given runtime code (up to 255 bytes).
pub(crate) fn creation_code(runtime: &[u8]) -> Bytes {
    let length = u8::try_from(runtime.len()).unwrap();
    // codecopy(0, 11, length); return(0, length)
    let mut code = vec![0x60, length, 0x80, 0x60, 0x0b, 0x60, 0x00, 0x39, 0x60, 0x00, 0xf3];
    code.extend(runtime);
    code.into()
}
