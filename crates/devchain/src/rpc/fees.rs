//! Fees: what to offer, and what blocks took.

use alloy::consensus::{Header, Sealed};
use alloy::eips::BlockNumberOrTag;
use alloy::eips::eip1559::BaseFeeParams;
use alloy::rpc::types::FeeHistory;
use alloy_primitives::{U64, U256};

use super::params::Params;
use super::{Answer, RpcError, blocks, json};
use crate::DevChain;
use crate::db::Snapshot;

/// The suggested priority fee, in wei per gas. Blocks are never contested, so any would do; this
/// one is what wallets are used to.
pub(super) const TIP: u64 = 1_000_000_000;

const MAX_BLOCKS: u64 = 1_024;
const MAX_PERCENTILES: usize = 100;

impl DevChain {
    pub(super) fn gas_price(&self) -> Answer {
        let head = self.inner().store.snapshot()?.head()?;
        json(&U64::from(next_base_fee(&head).saturating_add(TIP)))
    }

    pub(super) fn fee_history(&self, params: &Params) -> Answer {
        let count: U256 = params.required(0, "block count")?;
        let newest: BlockNumberOrTag = params.required(1, "newest block")?;
        let percentiles: Option<Vec<f64>> = params.optional(2, "reward percentiles")?;
        let percentiles = percentiles.unwrap_or_default();
        check_percentiles(&percentiles)?;
        let snapshot = self.inner().store.snapshot()?;
        let newest = blocks::resolve(&snapshot, newest);
        if newest > snapshot.head_number() {
            return Err(RpcError::server("request beyond head block"));
        }
        let count = count.saturating_to::<u64>().clamp(1, MAX_BLOCKS).min(newest + 1);
        let mut history = FeeHistory { oldest_block: newest + 1 - count, ..FeeHistory::default() };
        let mut rewards = Vec::new();
        for number in history.oldest_block..=newest {
            let header = snapshot.header(number)?;
            let header = header.ok_or_else(|| RpcError::internal("a block is missing"))?;
            history.base_fee_per_gas.push(header.base_fee_per_gas.unwrap_or_default().into());
            history.gas_used_ratio.push(ratio(header.gas_used, header.gas_limit));
            history.base_fee_per_blob_gas.push(1);
            history.blob_gas_used_ratio.push(0.0);
            if !percentiles.is_empty() {
                rewards.push(block_rewards(&snapshot, &header, &percentiles)?);
            }
            if number == newest {
                history.base_fee_per_gas.push(next_base_fee(&header).into());
                history.base_fee_per_blob_gas.push(1);
            }
        }
        history.reward = (!percentiles.is_empty()).then_some(rewards);
        json(&history)
    }
}

fn next_base_fee(header: &Header) -> u64 {
    header.next_block_base_fee(BaseFeeParams::ethereum()).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people to look at")]
fn ratio(used: u64, limit: u64) -> f64 {
    used as f64 / limit.max(1) as f64
}

fn check_percentiles(percentiles: &[f64]) -> Result<(), RpcError> {
    let in_range = percentiles.iter().all(|value| (0.0..=100.0).contains(value));
    if percentiles.len() > MAX_PERCENTILES || !in_range || !percentiles.is_sorted() {
        let what = "invalid reward percentiles: up to 100 ascending values from 0 to 100";
        return Err(RpcError::params(what));
    }
    Ok(())
}

/// The priority fee at each percentile of the block's gas.
fn block_rewards(
    snapshot: &Snapshot<'_>,
    header: &Sealed<Header>,
    percentiles: &[f64],
) -> Result<Vec<u128>, RpcError> {
    let base_fee = u128::from(header.base_fee_per_gas.unwrap_or_default());
    let receipts = snapshot.receipts(header.number)?;
    let mut tips: Vec<(u128, u64)> = receipts
        .iter()
        .map(|receipt| (receipt.effective_gas_price.saturating_sub(base_fee), receipt.gas_used))
        .collect();
    tips.sort_unstable();
    let reward = |percentile: &f64| {
        let mut share = 0;
        tips.iter()
            .find(|(_, gas)| {
                share += gas;
                ratio(share, header.gas_used) * 100.0 >= *percentile
            })
            .or(tips.last())
            .map_or(0, |(tip, _)| *tip)
    };
    Ok(percentiles.iter().map(reward).collect())
}
