//! The results as a Markdown file.

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use crate::disk::{Disk, LARGE, SMALL};
use crate::logs::Medians;
use crate::{GROUP, GROUPS, Outcome, SINGLES};

pub(crate) struct Report {
    disk: Disk,
    load: String,
    transfers: Vec<Transfers>,
    logs: String,
}

struct Transfers {
    name: String,
    holders: u64,
    one_by_one: f64,
    grouped: f64,
}

impl Report {
    pub(crate) fn new(disk: Disk) -> Self {
        let average = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = format!(
            "Load average when it began, of everything else on the machine: {}.",
            average.split(' ').next().unwrap_or("unknown")
        );
        Self { disk, load, transfers: Vec::new(), logs: String::new() }
    }

    pub(crate) fn transfers(&mut self, name: &str, holders: u64, one_by_one: f64, grouped: f64) {
        self.transfers.push(Transfers { name: name.to_owned(), holders, one_by_one, grouped });
    }

    pub(crate) fn logs(&mut self, blocks: u64, bytes: u64, sparse: Medians, dense: Medians) {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let row = |by: &str, times: Medians| {
            let Medians { first, again, results } = times;
            format!("| {by} | {results} | {:.2} ms | {:.2} ms |\n", ms(first), ms(again))
        };
        self.logs = format!(
            "`eth_getLogs` over 10,000 of {blocks} blocks ({} MiB on disk), in process, medians of \
             101 places: of blocks that nobody has asked for before, most of which come from the \
             disk a page at a time, and again.\n\n\
             | By | Results | First | Again |\n|---|--:|--:|--:|\n{}{}\nThe bar is 5 ms.\n",
            bytes >> 20,
            row("token, event and recipient", sparse),
            row("token and event", dense),
        );
    }

    pub(crate) fn write(&self) -> Outcome {
        let text = self.text()?;
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/devchain");
        fs::create_dir_all(dir)?;
        fs::write(format!("{dir}/RESULTS.md"), &text)?;
        println!("{text}");
        Ok(())
    }

    fn text(&self) -> Outcome<String> {
        let mut text = String::from("# devchain against anvil\n\n");
        writeln!(text, "Written by `cargo bench -p probity-devchain` on {}.\n", machine())?;
        writeln!(text, "{}\n", self.load)?;
        writeln!(
            text,
            "Transfers of OpenZeppelin's ERC-20, each to an account that held nothing: {SINGLES} one \
             by one (sent, acknowledged, receipt read), then {GROUPS} groups of {GROUP} (one JSON-RPC \
             batch each). One client on one connection, the same for all. devchain acknowledges a \
             transaction once its block is flushed to disk; anvil 1.7.1 keeps everything in memory. \
             Anvil's groups are mined as one block by `evm_mine`, which is faster for it than its \
             default of one block for each transaction.\n"
        )?;
        writeln!(text, "| Chain | Holders | One by one /s | × anvil | In groups /s | × anvil |")?;
        writeln!(text, "|---|--:|--:|--:|--:|--:|")?;
        for row in &self.transfers {
            let anvil = self.transfers.iter().find(|other| {
                other.name == "anvil" && other.holders == row.holders && row.name != "anvil"
            });
            let ratio = |own: f64, theirs: fn(&Transfers) -> f64| match anvil {
                Some(anvil) => format!("{:.1}", own / theirs(anvil)),
                None => "–".to_owned(),
            };
            writeln!(
                text,
                "| {} | {} | {:.0} | {} | {:.0} | {} |",
                row.name,
                row.holders,
                row.one_by_one,
                ratio(row.one_by_one, |anvil| anvil.one_by_one),
                row.grouped,
                ratio(row.grouped, |anvil| anvil.grouped)
            )?;
        }
        writeln!(
            text,
            "\nBars: 300/s one by one and 2,000/s in groups, flat to a million holders.\n"
        )?;
        let (small, large) = (self.disk.small.as_secs_f64(), self.disk.large.as_secs_f64());
        writeln!(
            text,
            "The disk's own limit, measured in the same run: writing and flushing {} KiB takes {:.2} \
             ms ({:.0}/s), {} KiB {:.2} ms ({:.0}/s).{}\n",
            SMALL / 1024,
            small * 1e3,
            1.0 / small,
            LARGE / 1024,
            large * 1e3,
            1.0 / large,
            self.share_of_limit(small)
        )?;
        text.push_str(&self.logs);
        Ok(text)
    }

    /// How near one-by-one comes to one flush for each transaction.
    fn share_of_limit(&self, flush: f64) -> String {
        let best = self.transfers.iter().find(|row| row.name == "devchain in process");
        best.map_or_else(String::new, |row| {
            let share = row.one_by_one * flush * 100.0;
            format!(" One by one in process reaches {share:.0} % of the former.")
        })
    }
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{} ({cores} cores)", model.unwrap_or("an unknown processor"))
}
