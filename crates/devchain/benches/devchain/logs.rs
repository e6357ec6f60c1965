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
    let sparse = medians(&mut target, &token, blocks, true)?;
    let dense = medians(&mut target, &token, blocks, false)?;
    println!("eth_getLogs: {sparse:?} with a recipient, {dense:?} without");
    report.logs(blocks, target.bytes()?, sparse, dense);
    Ok(())
}

fn recipient(index: u64) -> Address {
    Address::from_word(U256::from((1 << 60) + index % RECIPIENTS).into())
}

/// Of a query over [`RANGE`] blocks at varying places, by token, event and (sparse) recipient.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Medians {
    /// Of blocks that nobody has asked for before.
    pub(crate) first: Duration,
    /// The same query again.
    pub(crate) again: Duration,
    pub(crate) results: usize,
}

fn medians(target: &mut InProcess, token: &Token, blocks: u64, sparse: bool) -> Outcome<Medians> {
    let mut times = (Vec::new(), Vec::new());
    let mut results = 0;
    for query in 0..QUERIES {
        let first = blocks.saturating_sub(RANGE) * query / QUERIES + 3;
        let body = body(token, first, sparse.then(|| recipient(query * 7)));
        for times in [&mut times.0, &mut times.1] {
            let start = Instant::now();
            let answer = target.post(&body)?;
            times.push(start.elapsed());
            results = String::from_utf8(answer)?.matches("logIndex").count();
        }
    }
    times.0.sort_unstable();
    times.1.sort_unstable();
    let middle = times.0.len() / 2;
    Ok(Medians { first: times.0[middle], again: times.1[middle], results })
}

fn body(token: &Token, first: u64, recipient: Option<Address>) -> String {
    let event = keccak256("Transfer(address,address,uint256)");
    let topics = match recipient {
        Some(recipient) => format!(r#"["{event}",null,"{}"]"#, recipient.into_word()),
        None => format!(r#"["{event}"]"#),
    };
    let filter = format!(
        r#"[{{"fromBlock":"{first:#x}","toBlock":"{:#x}","address":"{}","topics":{topics}}}]"#,
        first + RANGE - 1,
        token.address
    );
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":{filter}}}"#)
}
