//! `eth_getLogs` over a long chain: one transfer in each block.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, U256, keccak256};
use probity_devchain::Options;

use crate::Outcome;
use crate::report::Report;
use crate::targets::{InProcess, Target};
use crate::token::Token;

/// Transfers go round so many recipients.
const RECIPIENTS: u64 = 1_000;
const RANGE: u64 = 10_000;
const QUERIES: u64 = 101;

pub(crate) fn measure(blocks: u64, report: &mut Report) -> Outcome {
    let bulk = Options {
        max_block_transactions: 1,
        sync_every: NonZeroU32::new(1_000).ok_or("zero")?,
        ..Options::default()
    };
    let mut target = InProcess::start()?.reopen(bulk)?;
    let mut token = Token::deploy(&mut target)?;
    let start = Instant::now();
    let mut made = 0;
    while made < blocks {
        let count = 1_000.min(blocks - made);
        let group: Vec<String> =
            (made..made + count).map(|index| token.transfer_to(recipient(index))).collect();
        target.send_group(&group)?;
        made += count;
        if made % 100_000 == 0 {
            println!("{made} blocks after {:.0?}", start.elapsed());
        }
    }
    let mut target = target.reopen(Options::default())?;
    let sparse = median(&mut target, &token, blocks, true)?;
    let dense = median(&mut target, &token, blocks, false)?;
    println!("eth_getLogs: {sparse:?} with a recipient, {dense:?} without");
    report.logs(blocks, target.bytes()?, sparse, dense);
    Ok(())
}

fn recipient(index: u64) -> Address {
    Address::from_word(U256::from((1 << 60) + index % RECIPIENTS).into())
}

/// Median time of a query over [`RANGE`] blocks at varying places: by token, event and (sparse)
/// recipient.
fn median(
    target: &mut InProcess,
    token: &Token,
    blocks: u64,
    sparse: bool,
) -> Outcome<(Duration, usize)> {
    let event = keccak256("Transfer(address,address,uint256)");
    let mut times = Vec::new();
    for query in 0..QUERIES {
        let first = blocks.saturating_sub(RANGE) * query / QUERIES + 3;
        let last = first + RANGE - 1;
        let topics = if sparse {
            format!(r#"["{event}",null,"{}"]"#, recipient(query * 7).into_word())
        } else {
            format!(r#"["{event}"]"#)
        };
        let filter = format!(
            r#"[{{"fromBlock":"{first:#x}","toBlock":"{last:#x}","address":"{}","topics":{topics}}}]"#,
            token.address
        );
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":{filter}}}"#);
        let start = Instant::now();
        let answer = target.post(&body)?;
        let elapsed = start.elapsed();
        times.push((elapsed, String::from_utf8(answer)?.matches("logIndex").count()));
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
