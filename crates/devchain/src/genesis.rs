//! How a chain begins.

use alloy::consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy::consensus::{EMPTY_ROOT_HASH, Header, Sealable, Sealed};
use alloy::eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B64, B256, Bytes, U256, address, bytes, keccak256};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The [deterministic deployment proxy](https://github.com/Arachnid/deterministic-deployment-proxy):
/// it deploys with CREATE2 whatever it is called with, so a contract gets the same address on every
/// chain. Predeployed, because the transaction that deploys it elsewhere has no replay protection.
pub const DEPLOYMENT_PROXY: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

const DEPLOYMENT_PROXY_CODE: Bytes = bytes!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

/// A contract that exists from block 0 on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenesisContract {
    /// Where it lives.
    pub address: Address,
    /// Its runtime bytecode.
    pub code: Bytes,
    /// Its storage: slot and value; zero values are left out.
    pub storage: Vec<(U256, U256)>,
}

/// Everything that block 0 is made of. The chain id is derived from it, so two chains have the same
/// id only when everything here is the same: put something unique into `extra_data` when chains of
/// one shape must not share one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Genesis {
    /// Funded accounts: address and balance in wei.
    pub alloc: Vec<(Address, U256)>,
    /// Contracts beside the deployment proxy.
    pub contracts: Vec<GenesisContract>,
    /// Unix seconds of block 0.
    pub timestamp: u64,
    /// Gas that one block may use; also the most that one transaction may ask for.
    pub gas_limit: u64,
    /// EIP-1559 base fee of block 0, in wei per gas.
    pub base_fee: u64,
    /// Who receives the priority fees. The base fee is burnt.
    pub beneficiary: Address,
    /// Up to 32 free bytes.
    pub extra_data: Bytes,
}

impl Default for Genesis {
    fn default() -> Self {
        Self {
            alloc: Vec::new(),
            contracts: Vec::new(),
            timestamp: 0,
            gas_limit: 60_000_000,
            base_fee: 1_000_000_000,
            beneficiary: Address::ZERO,
            extra_data: Bytes::new(),
        }
    }
}

impl Genesis {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.extra_data.len() > 32 {
            return Err(Error::Genesis("`extra_data` is longer than 32 bytes"));
        }
        if !(5_000_000..=1_000_000_000).contains(&self.gas_limit) {
            return Err(Error::Genesis("`gas_limit` is not between 5 million and 1 billion"));
        }
        let total =
            self.alloc.iter().try_fold(U256::ZERO, |sum, (_, balance)| sum.checked_add(*balance));
        if total.is_none() {
            return Err(Error::Genesis("the balances in `alloc` overflow 256 bits"));
        }
        Ok(())
    }

    /// The contracts including the deployment proxy.
    pub(crate) fn all_contracts(&self) -> Vec<GenesisContract> {
        let proxy = GenesisContract {
            address: DEPLOYMENT_PROXY,
            code: DEPLOYMENT_PROXY_CODE,
            storage: Vec::new(),
        };
        std::iter::once(proxy).chain(self.contracts.iter().cloned()).collect()
    }

    /// Header of block 0 over the given state.
    pub(crate) fn header(&self, state_root: B256) -> Sealed<Header> {
        Header {
            beneficiary: self.beneficiary,
            state_root,
            gas_limit: self.gas_limit,
            timestamp: self.timestamp,
            extra_data: self.extra_data.clone(),
            base_fee_per_gas: Some(self.base_fee),
            ..empty_header()
        }
        .seal_slow()
    }
}

/// A Prague header with no content.
pub(crate) fn empty_header() -> Header {
    Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        nonce: B64::ZERO,
        ..Header::default()
    }
}

/// The chain id of the chain that starts with this block: 2^51 plus 51 bits of the block's hash.
/// That is far from any registered id and, as wallets require, small enough that `2 * id + 36` (the
/// EIP-155 signature value) is exact in a JSON double.
pub(crate) fn chain_id(genesis_hash: B256) -> u64 {
    const BASE: u64 = 1 << 51;
    let digest =
        keccak256([b"probity-devchain chain id".as_slice(), genesis_hash.as_slice()].concat());
    let mut word = [0; 8];
    word.copy_from_slice(&digest[..8]);
    BASE + u64::from_be_bytes(word) % (BASE - 64)
}
