//! Durable ERC-20 transfers and log queries, against `anvil` in the same run with the same client.
//!
//! `cargo bench -p probity-devchain` writes `bench/devchain/RESULTS.md`. Smaller runs:
//! `DEVCHAIN_BENCH_HOLDERS=0,3000 DEVCHAIN_BENCH_BLOCKS=20000`. Asserts nothing about time.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark reports on its standard output and stops at the first failure"
)]

mod disk;
mod logs;
mod report;
mod targets;
mod token;

use std::error::Error;

use report::Report;
use targets::{Anvil, HttpChain, InProcess, Target};
use token::Token;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Transfers sent one after another, each acknowledged before the next.
const SINGLES: usize = 600;
/// Groups of [`GROUP`] transfers, each group acknowledged before the next: over two checkpoints.
const GROUPS: usize = 250;
const GROUP: usize = 100;

fn main() -> Outcome {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let holders = numbers("DEVCHAIN_BENCH_HOLDERS", &[0, 3_000, 100_000, 1_000_000]);
    let blocks = numbers("DEVCHAIN_BENCH_BLOCKS", &[1_000_000])[0];
    let mut report = Report::new(disk::measure()?);
    let upto = |most| holders.iter().copied().filter(|count| *count <= most).collect::<Vec<u64>>();
    let in_process = upto(100_000);
    measure_transfers("devchain in process", &mut InProcess::start()?, &in_process, &mut report)?;
    measure_transfers("devchain over HTTP", &mut HttpChain::start()?, &holders, &mut report)?;
    // Beyond this anvil slows down until a run would take hours.
    measure_transfers("anvil", &mut Anvil::start()?, &upto(3_000), &mut report)?;
    logs::measure(blocks, &mut report)?;
    report.write()
}

fn numbers(variable: &str, default: &[u64]) -> Vec<u64> {
    let given = std::env::var(variable).ok();
    let parsed = given.map(|list| list.split(',').filter_map(|n| n.trim().parse().ok()).collect());
    parsed.filter(|list: &Vec<u64>| !list.is_empty()).unwrap_or_else(|| default.to_vec())
}

fn measure_transfers(
    name: &str,
    target: &mut dyn Target,
    holders: &[u64],
    report: &mut Report,
) -> Outcome {
    if holders.is_empty() {
        return Ok(());
    }
    disk::settle()?;
    let mut token = Token::deploy(target)?;
    for count in holders {
        token.raise_holders(target, *count)?;
        // Making holders is not what is measured, nor is the disk's work on them.
        disk::settle()?;
        let singles = token.transfers(SINGLES);
        let one_by_one = targets::rate(SINGLES, || {
            singles.iter().try_for_each(|raw| target.send_and_confirm(raw))
        })?;
        let groups: Vec<Vec<String>> = (0..GROUPS).map(|_| token.transfers(GROUP)).collect();
        let grouped = targets::rate(GROUPS * GROUP, || {
            groups.iter().try_for_each(|group| target.send_group(group))
        })?;
        println!("{name}: {count} holders: {one_by_one:.0}/s one by one, {grouped:.0}/s in groups");
        report.transfers(name, *count, one_by_one, grouped);
    }
    token.check(target)
}
