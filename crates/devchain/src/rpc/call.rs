//! Executing without a transaction: `eth_call`, `eth_estimateGas`, `eth_createAccessList`.

use alloy::consensus::{Header, Sealed};
use alloy::eips::eip2930::{AccessList, AccessListItem, AccessListResult};
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::rpc::types::TransactionRequest;
use alloy_primitives::{Address, B256, Bytes, TxKind, U64, U256};
use revm::ExecuteEvm;
use revm::context::TxEnv;
use revm::context::either::Either;
use revm::context::result::{
    EVMError, ExecutionResult, HaltReason, InvalidTransaction, ResultAndState,
};
use serde_json::Value;

use super::params::Params;
use super::state::latest;
use super::{Answer, RpcError, json};
use crate::DevChain;
use crate::db::Snapshot;
use crate::execute::{evm, next_header};
use crate::state::View;
use crate::transaction::rejection;

/// Gas of a plain transfer.
const TRANSFER_GAS: u64 = 21_000;
/// An estimate may be this much above the least gas that works, as a fraction: it saves rounds.
const TOLERANCE: u64 = 64;

/// A call, ready to be executed any number of times against one state.
struct Simulation<'a> {
    chain: &'a DevChain,
    snapshot: &'a Snapshot<'a>,
    header: Header,
    environment: TxEnv,
}

enum Failure {
    Invalid(InvalidTransaction),
    Other(RpcError),
}

impl DevChain {
    pub(super) fn call(&self, params: &Params) -> Answer {
        let snapshot = self.inner().store.snapshot()?;
        let simulation = self.simulation(&snapshot, params, BlockNumberOrTag::Latest)?;
        match simulation.run()?.result {
            ExecutionResult::Success { output, .. } => json(output.data()),
            failed => Err(failure(&failed)),
        }
    }

    pub(super) fn estimate_gas(&self, params: &Params) -> Answer {
        let snapshot = self.inner().store.snapshot()?;
        let simulation = self.simulation(&snapshot, params, BlockNumberOrTag::Pending)?;
        json(&U64::from(simulation.estimate()?))
    }

    /// EIP-2930: what the call touches beside its sender, its target and the precompiles.
    pub(super) fn create_access_list(&self, params: &Params) -> Answer {
        let snapshot = self.inner().store.snapshot()?;
        let mut simulation = self.simulation(&snapshot, params, BlockNumberOrTag::Pending)?;
        let touched = simulation.run()?;
        let access_list = simulation.access_list(&touched);
        simulation.environment.access_list = access_list.clone();
        if simulation.environment.tx_type == 0 {
            simulation.environment.tx_type = 1;
        }
        let result = simulation.run()?.result;
        let error = (!result.is_success()).then(|| failure(&result).into_payload().message.into());
        let gas_used = U256::from(result.tx_gas_used());
        json(&AccessListResult { access_list, gas_used, error })
    }

    fn simulation<'a>(
        &'a self,
        snapshot: &'a Snapshot<'a>,
        params: &Params,
        default: BlockNumberOrTag,
    ) -> Result<Simulation<'a>, RpcError> {
        let request: TransactionRequest = params.required(0, "transaction")?;
        let block: BlockId = params.optional(1, "block")?.unwrap_or(default.into());
        for (index, what) in [(2, "state overrides"), (3, "block overrides")] {
            let given: Option<Value> = params.optional(index, what)?;
            if given.is_some_and(|given| given.as_object().is_none_or(|map| !map.is_empty())) {
                return Err(RpcError::params(format!("{what} are not supported")));
            }
        }
        let head = latest(snapshot, Some(block))?;
        let header = self.simulated_header(&head, block);
        let environment = environment(snapshot, &request, &header)?;
        Ok(Simulation { chain: self, snapshot, header, environment })
    }

    /// Calls see the time that a transaction sent now would see: on a quiet chain the newest
    /// block's own time may be long past, and a deadline would seem not to have come. Otherwise
    /// they see the newest block, or with `pending` the one after it.
    fn simulated_header(&self, head: &Sealed<Header>, block: BlockId) -> Header {
        let now = self.inner().clock.unix_seconds();
        if block == BlockId::Number(BlockNumberOrTag::Pending) {
            return next_header(head, now, &self.inner().rules);
        }
        let mut header = head.inner().clone();
        header.timestamp = now.max(header.timestamp);
        header
    }
}

fn environment(
    snapshot: &Snapshot<'_>,
    request: &TransactionRequest,
    header: &Header,
) -> Result<TxEnv, RpcError> {
    let caller = request.from.unwrap_or_default();
    let price = request.max_fee_per_gas.or(request.gas_price).unwrap_or(0);
    let value = request.value.unwrap_or_default();
    let mut gas_limit = request.gas.unwrap_or(header.gas_limit).min(header.gas_limit);
    if price > 0 && request.gas.is_none() {
        let balance = snapshot.account(caller)?.unwrap_or_default().balance;
        let affordable = balance.saturating_sub(value) / U256::from(price);
        gas_limit = gas_limit.min(affordable.saturating_to());
    }
    let authorizations = request.authorization_list.clone().unwrap_or_default();
    let access_list = request.access_list.clone();
    Ok(TxEnv {
        tx_type: transaction_type(request),
        caller,
        gas_limit,
        gas_price: price,
        kind: request.to.unwrap_or(TxKind::Create),
        value,
        data: request.input.input().cloned().unwrap_or_default(),
        nonce: 0,
        chain_id: None,
        access_list: access_list.unwrap_or_default(),
        gas_priority_fee: request
            .max_fee_per_gas
            .map(|_| request.max_priority_fee_per_gas.unwrap_or(0)),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: authorizations.into_iter().map(Either::Left).collect(),
    })
}

fn transaction_type(request: &TransactionRequest) -> u8 {
    if request.authorization_list.as_ref().is_some_and(|list| !list.is_empty()) {
        4
    } else if request.max_fee_per_gas.is_some() {
        2
    } else {
        u8::from(request.access_list.is_some())
    }
}

impl Simulation<'_> {
    fn run(&self) -> Result<ResultAndState, RpcError> {
        self.run_with_gas(self.environment.gas_limit)
    }

    fn run_with_gas(&self, gas_limit: u64) -> Result<ResultAndState, RpcError> {
        self.try_with_gas(gas_limit).map_err(|failure| match failure {
            Failure::Other(error) => error,
            Failure::Invalid(invalid) => {
                let base_fee = self.header.base_fee_per_gas.unwrap_or_default();
                let TxEnv { caller, gas_price, .. } = self.environment;
                rejection(invalid, caller, gas_price, base_fee).into()
            }
        })
    }

    fn try_with_gas(&self, gas_limit: u64) -> Result<ResultAndState, Failure> {
        let inner = self.chain.inner();
        let mut configuration = inner.rules.configuration();
        configuration.disable_nonce_check = true;
        configuration.disable_eip3607 = true;
        configuration.tx_chain_id_check = false;
        let mut header = self.header.clone();
        if self.environment.gas_price == 0 {
            // As in go-ethereum: a call that offers no price is not held to the base fee.
            header.base_fee_per_gas = Some(0);
        }
        let mut evm = evm(View::new(self.snapshot, &inner.codes), &header, configuration);
        let environment = TxEnv { gas_limit, ..self.environment.clone() };
        evm.transact(environment).map_err(|error| match error {
            EVMError::Transaction(invalid) => Failure::Invalid(invalid),
            EVMError::Database(error) => Failure::Other(error.into()),
            other => Failure::Other(RpcError::server(other.to_string())),
        })
    }

    /// Whether the call succeeds with this much gas.
    fn succeeds(&self, gas_limit: u64) -> Result<bool, RpcError> {
        match self.try_with_gas(gas_limit) {
            Ok(outcome) => Ok(outcome.result.is_success()),
            Err(Failure::Invalid(
                InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
                | InvalidTransaction::GasFloorMoreThanGasLimit { .. },
            )) => Ok(false),
            Err(Failure::Invalid(invalid)) => Err(RpcError::server(invalid.to_string())),
            Err(Failure::Other(error)) => Err(error),
        }
    }

    /// The gas limit that the call needs, found by bisection: refunds come only at the end, and
    /// each level of calls keeps back a 64th, so what was used says too little.
    fn estimate(&self) -> Result<u64, RpcError> {
        if self.is_transfer()? && self.environment.gas_limit >= TRANSFER_GAS {
            return Ok(TRANSFER_GAS);
        }
        let most = self.environment.gas_limit;
        let outcome = self.run()?.result;
        if !outcome.is_success() {
            return Err(failure(&outcome));
        }
        let spent = outcome.gas().total_gas_spent().max(outcome.tx_gas_used());
        let mut low = outcome.tx_gas_used().saturating_sub(1);
        let mut high = most;
        // Most calls work with what they spend before refunds, plus the stipend and the 64th.
        let guess = spent.saturating_add(2_300).saturating_mul(64) / 63;
        if guess < high {
            if self.succeeds(guess)? { high = guess } else { low = guess }
        }
        while low + 1 < high && high - low > low / TOLERANCE {
            // Needs are close to use, far from the limit: lean towards the low end.
            let middle = low.midpoint(high).min(low.saturating_mul(2));
            if self.succeeds(middle)? { high = middle } else { low = middle }
        }
        Ok(high)
    }

    fn is_transfer(&self) -> Result<bool, RpcError> {
        let environment = &self.environment;
        let TxKind::Call(to) = environment.kind else { return Ok(false) };
        let plain = environment.data.is_empty()
            && environment.access_list.is_empty()
            && environment.authorization_list.is_empty();
        if !plain || revm::precompile::Precompiles::prague().contains(&to) {
            return Ok(false);
        }
        let account = self.snapshot.account(to)?.unwrap_or_default();
        Ok(account.code_hash == alloy_trie::KECCAK_EMPTY && self.succeeds(TRANSFER_GAS)?)
    }

    fn access_list(&self, touched: &ResultAndState) -> AccessList {
        let caller = self.environment.caller;
        let target = match self.environment.kind {
            TxKind::Call(to) => to,
            TxKind::Create => caller.create(self.nonce(caller)),
        };
        let known = |address: &Address| {
            *address == caller
                || *address == self.header.beneficiary
                || revm::precompile::Precompiles::prague().contains(address)
        };
        let mut items: Vec<AccessListItem> = touched
            .state
            .iter()
            .filter(|(address, _)| !known(address))
            .map(|(address, account)| {
                let mut storage_keys: Vec<B256> =
                    account.storage.keys().map(|slot| B256::from(*slot)).collect();
                storage_keys.sort_unstable();
                AccessListItem { address: *address, storage_keys }
            })
            .filter(|item| item.address != target || !item.storage_keys.is_empty())
            .collect();
        items.sort_unstable_by_key(|item| item.address);
        AccessList(items)
    }

    fn nonce(&self, address: Address) -> u64 {
        self.snapshot.account(address).ok().flatten().map_or(0, |account| account.nonce)
    }
}

fn failure(result: &ExecutionResult) -> RpcError {
    match result {
        ExecutionResult::Revert { output, .. } => RpcError::reverted(output),
        ExecutionResult::Halt { reason: HaltReason::OutOfGas(_), .. } => {
            RpcError::server("out of gas")
        }
        ExecutionResult::Halt { reason, .. } => {
            RpcError::server(format!("execution failed: {reason:?}"))
        }
        ExecutionResult::Success { .. } => RpcError::reverted(&Bytes::new()),
    }
}
