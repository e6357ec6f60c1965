//! The ERC-20 token that everything here moves: `OpenZeppelin`'s, as the contracts use it.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol;
use alloy::sol_types::SolCall;
use alloy_primitives::{Address, Bytes, TxKind, U256, hex};

use crate::Outcome;
use crate::targets::Target;

sol! {
    function mint(address account, uint256 amount) external;
    function transfer(address to, uint256 amount) external returns (bool);
    function balanceOf(address account) external view returns (uint256);
}

/// Anvil's first account, funded there by default and here by the genesis.
const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const FIRST_HOLDER: u64 = 1 << 40;
/// Under half of the gas limit, so that the base fee falls.
const HOLDERS_PER_CALL: u64 = 500;

pub(crate) fn signer() -> PrivateKeySigner {
    KEY.parse().expect("a valid key")
}

pub(crate) struct Token {
    signer: PrivateKeySigner,
    chain_id: u64,
    nonce: u64,
    pub(crate) address: Address,
    holders: u64,
    /// Recipients of transfers: new ones, beside the holders made in bulk.
    sent: u64,
}

impl Token {
    pub(crate) fn deploy(target: &mut dyn Target) -> Outcome<Self> {
        let signer = signer();
        let address = signer.address().create(0);
        let chain_id = target.chain_id()?;
        let mut token = Self { signer, chain_id, nonce: 0, address, holders: 0, sent: 0 };
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/out-abi/DevToken.json");
        let artifact: serde_json::Value = serde_json::from_slice(&std::fs::read(path)?)?;
        let code = hex::decode(artifact["bytecode"].as_str().unwrap_or_default())?;
        let create = token.sign(TxKind::Create, code.into(), 5_000_000);
        target.send_and_confirm(&create)?;
        let owner = token.signer.address();
        let mint = mintCall { account: owner, amount: U256::from(u128::MAX) }.abi_encode();
        let mint = token.sign(TxKind::Call(address), mint.into(), 200_000);
        target.send_and_confirm(&mint)?;
        Ok(token)
    }

    fn sign(&mut self, to: TxKind, input: Bytes, gas_limit: u64) -> String {
        let transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit,
            max_fee_per_gas: 10_000_000_000,
            max_priority_fee_per_gas: 1,
            to,
            value: U256::ZERO,
            access_list: <_>::default(),
            input,
        };
        self.nonce += 1;
        let signature = self.signer.sign_hash_sync(&transaction.signature_hash());
        let signed = transaction.into_signed(signature.expect("signing works"));
        hex::encode_prefixed(TxEnvelope::from(signed).encoded_2718())
    }

    /// Signed transfers, each to an account that holds nothing yet.
    pub(crate) fn transfers(&mut self, count: usize) -> Vec<String> {
        (0..count)
            .map(|_| {
                self.sent += 1;
                let mut to = [0x11; 20];
                to[12..].copy_from_slice(&self.sent.to_be_bytes());
                self.transfer_to(to.into())
            })
            .collect()
    }

    pub(crate) fn transfer_to(&mut self, to: Address) -> String {
        let call = transferCall { to, amount: U256::from(1) }.abi_encode();
        self.sign(TxKind::Call(self.address), call.into(), 100_000)
    }

    /// Creates holders until there are so many.
    pub(crate) fn raise_holders(&mut self, target: &mut dyn Target, count: u64) -> Outcome {
        while self.holders < count {
            let more = HOLDERS_PER_CALL.min(count - self.holders);
            let start = FIRST_HOLDER + self.holders;
            let code = mint_many(self.address, start, start + more);
            let create = self.sign(TxKind::Create, code, 28_000_000);
            target.send_and_confirm(&create)?;
            self.holders += more;
        }
        Ok(())
    }

    /// Whether everything sent has arrived.
    pub(crate) fn check(&self, target: &mut dyn Target) -> Outcome {
        let mut last = [0x11; 20];
        last[12..].copy_from_slice(&self.sent.to_be_bytes());
        let mut accounts: Vec<Address> = vec![last.into()];
        if self.holders > 0 {
            accounts.push(
                U256::from(FIRST_HOLDER + self.holders - 1).to_be_bytes::<32>()[12..].try_into()?,
            );
        }
        for account in accounts {
            let call = hex::encode_prefixed(balanceOfCall { account }.abi_encode());
            let params = format!(r#"[{{"to":"{}","data":"{call}"}},"latest"]"#, self.address);
            let balance: U256 = serde_json::from_str(&target.request("eth_call", &params)?)?;
            if balance != U256::from(1) {
                return Err(format!("{account} holds {balance}, expected 1").into());
            }
        }
        Ok(())
    }
}

/// Creation code that calls `mint(account, 1)` for the accounts numbered `start..end`.
fn mint_many(token: Address, start: u64, end: u64) -> Bytes {
    let mut code = vec![0x63];
    code.extend(mintCall::SELECTOR);
    code.extend(hex!("60e01b5f52")); // shl 224, mstore at 0
    code.extend(hex!("6001602452")); // amount 1 at 36
    code.push(0x67);
    code.extend(start.to_be_bytes());
    let top = u8::try_from(code.len()).expect("short code");
    code.extend(hex!("5b80600452")); // jumpdest; account at 4
    code.extend(hex!("5f5f60445f5f73")); // call(gas, token, 0, 0, 68, 0, 0)
    code.extend(token);
    code.extend(hex!("5af150600101")); // pop; next account
    code.extend(hex!("8067"));
    code.extend(end.to_be_bytes());
    code.extend([0x11, 0x60, top, 0x57, 0x00]); // while end > account
    code.into()
}
