//! A typed client of one chain.

use std::time::Duration;

use alloy::{
    network::{EthereumWallet, TransactionBuilder},
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::{client::RpcClient, types::TransactionRequest},
    signers::local::PrivateKeySigner,
    transports::{IntoBoxTransport, RpcError, TransportErrorKind},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolInterface};
use probity_core::keys::SecretKey;

use crate::{
    ChainError, Contracts, Rehearsal,
    bindings::{IChallenges, IInferences, IPayoutVault, IPayouts, IRegistry, IZk, IZkKeys},
    contracts::{DEPLOYMENT_PROXY, Deployable, deployables, dev_token},
};

/// How often a pending transaction's receipt is asked for.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long a receipt is waited for.
const RECEIPT_TIMEOUT: Duration = Duration::from_mins(2);

/// A chain and the contracts on it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    endpoint: String,
    rpc: RpcClient,
    provider: DynProvider,
    chain_id: u64,
    contracts: Contracts,
    rehearsing: bool,
}

/// A transaction that was included and succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Transaction hash.
    pub transaction: B256,
    /// Block number.
    pub block: u64,
    /// Gas it used.
    pub gas: u64,
}

impl Client {
    /// A client of the chain at an `http://` or `https://` URL.
    pub async fn http(url: &str) -> Result<Self, ChainError> {
        let parsed = url.parse().map_err(|_| ChainError::Url(url.to_owned()))?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(ChainError::Url(url.to_owned()));
        }
        Self::new(url.to_owned(), RpcClient::new_http(parsed)).await
    }

    /// A client over a transport, such as the embedded chain's.
    pub async fn with_transport(
        endpoint: &str,
        transport: impl IntoBoxTransport,
    ) -> Result<Self, ChainError> {
        Self::new(endpoint.to_owned(), RpcClient::new(transport, true)).await
    }

    async fn new(endpoint: String, rpc: RpcClient) -> Result<Self, ChainError> {
        rpc.set_poll_interval(POLL_INTERVAL);
        let provider = ProviderBuilder::new().connect_client(rpc.clone()).erased();
        let chain_id = provider.get_chain_id().await.map_err(|source| ChainError::Unreachable {
            endpoint: endpoint.clone(),
            source: Box::new(source),
        })?;
        let contracts = Contracts::deterministic();
        Ok(Self { endpoint, rpc, provider, chain_id, contracts, rehearsing: false })
    }

    /// The chain's id.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Where the chain is: a URL, or a name for an embedded one.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The contracts' addresses.
    pub fn contracts(&self) -> &Contracts {
        &self.contracts
    }

    /// The alloy provider, for everything this client has no method for.
    pub fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Fails unless this is the chain a workspace belongs to.
    pub fn expect_chain_id(&self, expected: u64) -> Result<(), ChainError> {
        if self.chain_id == expected {
            Ok(())
        } else {
            Err(ChainError::ChainId { expected, got: self.chain_id })
        }
    }

    /// Deploys the contracts that are not there yet. Anybody may; the addresses do not depend on it.
    pub async fn deploy(&self, payer: &SecretKey) -> Result<Vec<Receipt>, ChainError> {
        let mut receipts = Vec::new();
        for deployable in deployables() {
            receipts.extend(self.deploy_one(payer, &deployable).await?);
        }
        Ok(receipts)
    }

    /// Deploys the worthless development token and returns its address.
    pub async fn deploy_dev_token(&self, payer: &SecretKey) -> Result<Address, ChainError> {
        let token = dev_token();
        self.deploy_one(payer, &token).await?;
        Ok(token.address)
    }

    async fn deploy_one(
        &self,
        payer: &SecretKey,
        deployable: &Deployable,
    ) -> Result<Option<Receipt>, ChainError> {
        if self.has_code(deployable.address).await? {
            return Ok(None);
        }
        if !self.has_code(DEPLOYMENT_PROXY).await? {
            return Err(ChainError::NotDeployed(DEPLOYMENT_PROXY));
        }
        let receipt =
            self.send_raw(payer, DEPLOYMENT_PROXY, deployable.call_data(), U256::ZERO).await?;
        if self.has_code(deployable.address).await? {
            Ok(Some(receipt))
        } else {
            Err(ChainError::NotDeployed(deployable.address))
        }
    }

    /// Fails unless all contracts are on the chain.
    pub async fn expect_contracts(&self) -> Result<(), ChainError> {
        for address in [self.contracts.registry, self.contracts.challenges, self.contracts.payouts]
        {
            if !self.has_code(address).await? {
                return Err(ChainError::NotDeployed(address));
            }
        }
        Ok(())
    }

    async fn has_code(&self, address: Address) -> Result<bool, ChainError> {
        let code = self.provider.get_code_at(address).await;
        Ok(!code.map_err(|error| self.refused(None, error))?.is_empty())
    }

    /// A client that sends nothing: what would be sent is rehearsed, and fails with
    /// [`ChainError::Rehearsed`] where it would succeed.
    #[must_use]
    pub fn rehearsing(self) -> Self {
        Self { rehearsing: true, ..self }
    }

    /// Whether a call would succeed now and its sender can pay for it. Changes nothing.
    pub async fn rehearse<C: SolCall>(
        &self,
        from: Address,
        to: Address,
        call: &C,
    ) -> Result<(), ChainError> {
        self.rehearse_with(from, to, call, U256::ZERO).await
    }

    async fn rehearse_with<C: SolCall>(
        &self,
        from: Address,
        to: Address,
        call: &C,
        value: U256,
    ) -> Result<(), ChainError> {
        let mut request =
            TransactionRequest::default().with_from(from).with_to(to).with_value(value);
        request.set_input(call.abi_encode());
        let refused = |error| self.refused(Some(from), error);
        let gas = self.provider.estimate_gas(request).await.map_err(refused)?;
        let fees = self.provider.estimate_eip1559_fees().await.map_err(refused)?;
        let cost = U256::from(gas) * U256::from(fees.max_fee_per_gas);
        let needed = cost.saturating_add(value);
        let balance = self.balance(from).await?;
        if balance < needed {
            let reason = format!("it has {balance} wei, the call may take {needed} wei");
            return Err(ChainError::InsufficientFunds { account: from, reason });
        }
        if self.rehearsing {
            let function = C::SIGNATURE;
            let rehearsal = Rehearsal { from, to, function, value, gas, cost };
            return Err(ChainError::Rehearsed(Box::new(rehearsal)));
        }
        Ok(())
    }

    /// Sends a contract call and waits for its receipt.
    pub async fn send<C: SolCall>(
        &self,
        key: &SecretKey,
        to: Address,
        call: &C,
    ) -> Result<Receipt, ChainError> {
        self.send_with(key, to, call, U256::ZERO).await
    }

    /// Sends a contract call with native coin, in wei, and waits for its receipt.
    pub async fn send_with<C: SolCall>(
        &self,
        key: &SecretKey,
        to: Address,
        call: &C,
        value: U256,
    ) -> Result<Receipt, ChainError> {
        if self.rehearsing {
            self.rehearse_with(key.address()?, to, call, value).await?;
        }
        self.send_raw(key, to, call.abi_encode().into(), value).await
    }

    /// Sends a transaction with native coin and waits for its receipt.
    ///
    /// # Errors
    /// [`ChainError::Refused`] from a client that only rehearses.
    pub async fn send_raw(
        &self,
        key: &SecretKey,
        to: Address,
        data: Bytes,
        value: U256,
    ) -> Result<Receipt, ChainError> {
        if self.rehearsing {
            return Err(ChainError::Refused("this client only rehearses".to_owned()));
        }
        let from = key.address()?;
        let signer = PrivateKeySigner::from_slice(key.expose().as_slice())
            .map_err(|_| probity_core::keys::KeyError::SecretInvalid(key.kind()))?;
        let provider = ProviderBuilder::new()
            .wallet(EthereumWallet::from(signer))
            .connect_client(self.rpc.clone());
        let mut request =
            TransactionRequest::default().with_from(from).with_to(to).with_value(value);
        request.set_input(data);
        let pending = provider
            .send_transaction(request)
            .await
            .map_err(|error| self.refused(Some(from), error))?;
        let hash = *pending.tx_hash();
        let receipt = pending
            .with_timeout(Some(RECEIPT_TIMEOUT))
            .get_receipt()
            .await
            .map_err(|error| ChainError::Refused(format!("no receipt of `{hash}`: {error}")))?;
        if !receipt.status() {
            return Err(ChainError::Failed(hash));
        }
        let block = receipt
            .block_number
            .ok_or_else(|| ChainError::Inconsistent(format!("receipt of `{hash}` has no block")))?;
        Ok(Receipt { transaction: hash, block, gas: receipt.gas_used })
    }

    /// Calls a view function at the newest block.
    pub async fn call<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return, ChainError> {
        let mut request = TransactionRequest::default().with_to(to);
        request.set_input(call.abi_encode());
        let output =
            self.provider.call(request).await.map_err(|error| self.refused(None, error))?;
        C::abi_decode_returns(&output).map_err(|_| ChainError::NotDeployed(to))
    }

    /// The native coin an account holds, in wei.
    pub async fn balance(&self, account: Address) -> Result<U256, ChainError> {
        self.provider.get_balance(account).await.map_err(|error| self.refused(None, error))
    }

    pub(crate) fn refused(
        &self,
        account: Option<Address>,
        error: RpcError<TransportErrorKind>,
    ) -> ChainError {
        let Some(payload) = error.as_error_resp() else {
            return ChainError::Unreachable {
                endpoint: self.endpoint.clone(),
                source: Box::new(error),
            };
        };
        let message = payload.message.to_string();
        let lower = message.to_lowercase();
        if let Some(data) = payload.as_revert_data() {
            return ChainError::Reverted(revert_reason(&data, &message));
        }
        match account {
            Some(account)
                if lower.contains("insufficient funds") || lower.contains("out of funds") =>
            {
                ChainError::InsufficientFunds { account, reason: message }
            }
            Some(account)
                if lower.contains("nonce")
                    || lower.contains("underpriced")
                    || lower.contains("already known") =>
            {
                ChainError::NonceRace { account, reason: message }
            }
            _ => ChainError::Refused(message),
        }
    }
}

/// The contract's custom error by name and values, or what the chain said.
fn revert_reason(data: &[u8], message: &str) -> String {
    let known = IRegistry::IRegistryErrors::abi_decode(data)
        .map(|error| format!("{error:?}"))
        .or_else(|_| IChallenges::IChallengesErrors::abi_decode(data).map(|e| format!("{e:?}")))
        .or_else(|_| IPayouts::IPayoutsErrors::abi_decode(data).map(|e| format!("{e:?}")))
        .or_else(|_| IPayoutVault::IPayoutVaultErrors::abi_decode(data).map(|e| format!("{e:?}")))
        .or_else(|_| IInferences::IInferencesErrors::abi_decode(data).map(|e| format!("{e:?}")))
        .or_else(|_| IZk::IZkErrors::abi_decode(data).map(|e| format!("{e:?}")))
        .or_else(|_| IZkKeys::IZkKeysErrors::abi_decode(data).map(|e| format!("{e:?}")));
    match known {
        // `RecordExists(RecordExists { id: 0x.. })` says the name twice.
        Ok(text) => text
            .split_once('(')
            .map_or(text.clone(), |(_, inner)| inner.strip_suffix(')').unwrap_or(inner).to_owned()),
        Err(_) => message.to_owned(),
    }
}
