//! The log of a run: what a command wrote, line by line while it ran, in a hash chain that begins at
//! the run's record and ends with the command's exit.
//!
//! Each line is an entry in canonical JSON and names the digest of the line before it. While the
//! command runs, the chain's head is signed from time to time ([`RunMark`]) and put in the statement
//! log: whoever later changes, drops or reorders a line, or stops writing, is found out at the next
//! mark. A log without an end is the log of a run that did not end.
//!
//! ```
//! use alloy_primitives::B256;
//! use probity_provenance::run_log::{Event, Exit, Writer, read};
//!
//! let run = B256::repeat_byte(7);
//! let mut writer = Writer::new(run);
//! let mut log = writer.append(100, Event::Started)?;
//! log.extend(writer.append(101, Event::Stdout("loss 0.5".into()))?);
//! log.extend(writer.append(102, Event::Ended(Exit::Code(0)))?);
//! let (log, problem) = read(run, &log);
//! assert_eq!((log.entries(), log.exit, problem), (3, Some(Exit::Code(0)), None));
//! # Ok::<(), probity_core::json::JsonError>(())
//! ```

use std::fmt;

use alloy_primitives::{Address, B256};
use probity_core::{
    Digest, Finding,
    json::{self, JsonError},
};
use serde::{Deserialize, Serialize};

/// Predicate type of a signed mark. Its subjects are the run's statement and the chain's head.
pub const RUN_MARK_TYPE: &str = "https://probity.dev/run-mark/v1";
/// Longest text of an entry, in bytes; longer lines become several entries.
pub const MAX_TEXT: usize = 16 << 10;
/// Longest line of a log, in bytes: a text whose every byte is escaped, and the rest of the entry.
const MAX_LINE: usize = 8 * MAX_TEXT;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl Exit {
    /// Whether the command says that it succeeded.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// The command was started.
    Started,
    /// It wrote a line to its standard output. What is not UTF-8 is replaced.
    Stdout(String),
    /// It wrote a line to its standard error.
    Stderr(String),
    /// It is still running.
    Alive,
    /// It ended.
    Ended(Exit),
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its place, from 0.
    pub number: u64,
    /// Digest of the line before it; of the first, the run's record id.
    pub previous: Digest,
    /// When, Unix seconds.
    pub time: u64,
    /// What.
    pub event: Event,
}

/// A signed head of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunMark {
    /// Who runs it.
    pub author: Address,
    /// Id of the run record.
    pub run: B256,
    /// How many entries there were.
    pub entries: u64,
    /// Digest of the last of them.
    pub head: Digest,
    /// When, Unix seconds.
    pub time: u64,
}

/// A head of the chain that is on the blockchain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnchoredHead {
    /// How many entries there were.
    pub entries: u64,
    /// Digest of the last of them.
    pub head: Digest,
    /// Time of its block, Unix seconds.
    pub time: u64,
}

/// How much later than promised a head may be on chain, in seconds: transactions wait for blocks.
pub const ANCHOR_GRACE: u64 = 300;

/// Makes the lines of a log.
#[derive(Debug, Clone)]
pub struct Writer {
    entries: u64,
    head: Digest,
}

impl Writer {
    /// The log of a run, by its record id.
    pub fn new(run: B256) -> Self {
        Self { entries: 0, head: run.into() }
    }

    /// The next line, with its line end.
    pub fn append(&mut self, time: u64, event: Event) -> Result<Vec<u8>, JsonError> {
        let entry = Entry { number: self.entries, previous: self.head, time, event };
        let mut line = json::canonical(&entry)?;
        self.entries += 1;
        self.head = Digest::of(&line);
        line.push(b'\n');
        Ok(line)
    }

    /// How many entries there are, and the digest of the last.
    pub fn head(&self) -> (u64, Digest) {
        (self.entries, self.head)
    }
}

/// What is wrong with a log, at the first entry that is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogProblem {
    /// The last line has no end: whoever wrote it was stopped.
    #[error("entry {0} is cut off")]
    Cut(u64),
    /// Not an entry, or not in its one spelling.
    #[error("line {0} is not an entry")]
    Malformed(u64),
    /// It does not follow the line before it.
    #[error("entry {0} does not follow the line before it")]
    Broken(u64),
    /// Time goes back.
    #[error("entry {0} is earlier than the one before it")]
    Earlier(u64),
    /// Nothing starts, or something starts twice, or goes on after the end.
    #[error("entry {0} is before the start, starts again, or is after the end")]
    Order(u64),
}

impl LogProblem {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cut(_) => "run.log.cut",
            Self::Malformed(_) => "run.log.malformed",
            Self::Broken(_) => "run.log.broken",
            Self::Earlier(_) => "run.log.time",
            Self::Order(_) => "run.log.order",
        }
    }
}

/// A log, as far as it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLog {
    run: B256,
    heads: Vec<Digest>,
    /// When it started, Unix seconds; zero where it did not.
    pub started: u64,
    /// When the last entry was written.
    pub last: u64,
    /// Seconds of the longest silence between two entries.
    pub longest_gap: u64,
    /// How the command ended, if it did.
    pub exit: Option<Exit>,
}

/// Reads a run's log up to the first problem. Total on any bytes.
pub fn read(run: B256, bytes: &[u8]) -> (RunLog, Option<LogProblem>) {
    let mut log =
        RunLog { run, heads: Vec::new(), started: 0, last: 0, longest_gap: 0, exit: None };
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if let Err(problem) = log.take(line) {
            return (log, Some(problem));
        }
    }
    (log, None)
}

impl RunLog {
    fn take(&mut self, line: &[u8]) -> Result<(), LogProblem> {
        let at = self.entries();
        let line = line.strip_suffix(b"\n").ok_or(LogProblem::Cut(at))?;
        if line.len() > MAX_LINE {
            return Err(LogProblem::Malformed(at));
        }
        let entry: Entry = json::decode(line).map_err(|_| LogProblem::Malformed(at))?;
        if json::canonical(&entry).ok().as_deref() != Some(line) {
            return Err(LogProblem::Malformed(at));
        }
        if entry.number != at || entry.previous != self.head() {
            return Err(LogProblem::Broken(at));
        }
        let is_first = at == 0;
        if (entry.event == Event::Started) != is_first || self.exit.is_some() {
            return Err(LogProblem::Order(at));
        }
        if is_first {
            (self.started, self.last) = (entry.time, entry.time);
        }
        let gap = entry.time.checked_sub(self.last).ok_or(LogProblem::Earlier(at))?;
        self.longest_gap = self.longest_gap.max(gap);
        self.last = entry.time;
        if let Event::Ended(exit) = entry.event {
            self.exit = Some(exit);
        }
        self.heads.push(Digest::of(line));
        Ok(())
    }

    /// How many entries hold.
    pub fn entries(&self) -> u64 {
        self.heads.len() as u64
    }

    /// The digest of the last of them, or the run's id.
    pub fn head(&self) -> Digest {
        self.heads.last().copied().unwrap_or(self.run.into())
    }

    /// Whether a mark was made of this log: its head was the last of as many entries.
    pub fn has(&self, mark: &RunMark) -> bool {
        mark.run == self.run && self.had(mark.entries, &mark.head)
    }

    /// Whether this was the last of as many entries.
    fn had(&self, entries: u64, head: &Digest) -> bool {
        let index = entries.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| self.heads.get(index)) == Some(head)
    }

    /// What the marks say that the log does not: lines that were changed or taken away since.
    pub fn compare(&self, marks: &[RunMark]) -> Vec<Finding> {
        let missing = marks.iter().filter(|mark| !self.has(mark));
        let finding = |mark: &RunMark| {
            let text = format!("entry {} was another when it was signed", mark.entries);
            Finding::error("run.log.mark.mismatch", mark.run, text)
        };
        missing.map(finding).collect()
    }
}

impl RunLog {
    /// What the heads on chain say that the log does not, and which of them are missing that the run
    /// committed to: of its start, of its end, and one every so many seconds.
    pub fn compare_anchors(&self, every: Option<u64>, anchors: &[AnchoredHead]) -> Vec<Finding> {
        let contradicted = anchors.iter().filter(|anchor| !self.had(anchor.entries, &anchor.head));
        let mismatch = |anchor: &AnchoredHead| {
            let text = format!("entry {} was another when it was put on chain", anchor.entries);
            Finding::error("run.log.anchor.mismatch", self.run, text)
        };
        let mut findings: Vec<Finding> = contradicted.map(mismatch).collect();
        let Some(every) = every else { return findings };
        let mut missing = |what: String| {
            findings.push(Finding::warning("run.log.anchor.missing", self.run, what));
        };
        let mut anchors = anchors.to_vec();
        anchors.sort_by_key(|anchor| (anchor.entries, anchor.time));
        let ends = (anchors.first(), anchors.last());
        if ends.0.is_none_or(|first| first.entries != 1) {
            missing("the head of its start is not on chain".to_owned());
        }
        if ends.1.is_none_or(|last| last.entries != self.entries()) {
            missing("the head of its end is not on chain".to_owned());
        }
        let most = every.saturating_add(ANCHOR_GRACE);
        for pair in anchors.windows(2) {
            let [before, after] = pair else { continue };
            let gap = after.time.saturating_sub(before.time);
            if gap > most {
                missing(format!(
                    "no head is on chain between entries {} and {}, for {gap} s; it was to be one \
                     every {every} s",
                    before.entries, after.entries
                ));
            }
        }
        findings
    }
}

/// Splits what a command wrote into texts that an entry may hold.
pub fn texts(line: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(line);
    let mut texts = Vec::new();
    let mut rest = text.as_ref();
    while rest.len() > MAX_TEXT {
        // A character has at most four bytes.
        let at = (MAX_TEXT - 3..=MAX_TEXT).rev().find(|at| rest.is_char_boundary(*at));
        let (first, other) = rest.split_at_checked(at.unwrap_or(MAX_TEXT)).unwrap_or((rest, ""));
        texts.push(first.to_owned());
        rest = other;
    }
    texts.push(rest.to_owned());
    texts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RUN: B256 = B256::repeat_byte(7);

    fn mark(writer: &Writer) -> RunMark {
        let (entries, head) = writer.head();
        RunMark { author: Address::ZERO, run: RUN, entries, head, time: 9 }
    }

    /// Five entries, and a mark after each.
    fn log() -> (Vec<Vec<u8>>, Vec<RunMark>) {
        let mut writer = Writer::new(RUN);
        let events = [
            Event::Started,
            Event::Stdout("a\u{0}\"b".to_owned()),
            Event::Stderr("ä".to_owned()),
            Event::Alive,
            Event::Ended(Exit::Signal(9)),
        ];
        let lines = events.into_iter().zip(10..).map(|(event, time)| {
            let line = writer.append(time * time, event).unwrap();
            (line, mark(&writer))
        });
        lines.unzip()
    }

    fn problem(lines: &[Vec<u8>]) -> Option<LogProblem> {
        read(RUN, &lines.concat()).1
    }

    #[test]
    fn a_log_is_read_with_its_end_and_its_longest_silence() {
        let (lines, marks) = log();
        let (read, problem) = read(RUN, &lines.concat());
        assert_eq!((problem, read.exit), (None, Some(Exit::Signal(9))));
        assert_eq!((read.started, read.last, read.longest_gap), (100, 196, 27));
        assert!(read.compare(&marks).is_empty());
    }

    #[test]
    fn changed_dropped_swapped_and_added_lines_are_found() {
        let (lines, marks) = log();
        for at in 0..lines.len() {
            let mut dropped = lines.clone();
            dropped.remove(at);
            let (short, found) = read(RUN, &dropped.concat());
            if at == lines.len() - 1 {
                // A cut at a line's end is no broken chain, but the end is missing and the mark tells.
                assert_eq!((found, short.exit), (None, None));
                assert_eq!(short.compare(&marks).len(), 1);
            } else {
                assert!(matches!(found, Some(LogProblem::Broken(_))), "{at}: {found:?}");
            }
            let mut doubled = lines.clone();
            doubled.insert(at, lines[at].clone());
            assert!(problem(&doubled).is_some(), "{at} doubled");
        }
        let mut swapped = lines.clone();
        swapped.swap(1, 2);
        assert_eq!(problem(&swapped), Some(LogProblem::Broken(1)));
        let other = read(B256::repeat_byte(8), &lines.concat()).1;
        assert_eq!(other, Some(LogProblem::Broken(0)), "another run's log");
        let mut cut = lines.clone();
        cut[4].pop();
        assert_eq!(problem(&cut), Some(LogProblem::Cut(4)));
    }

    /// Whoever writes the whole log anew is found by any mark made before.
    #[test]
    fn a_log_written_anew_does_not_fit_its_marks() {
        let (_, marks) = log();
        let mut writer = Writer::new(RUN);
        let mut forged = writer.append(100, Event::Started).unwrap();
        forged.extend(writer.append(196, Event::Ended(Exit::Code(0))).unwrap());
        let (read, problem) = read(RUN, &forged);
        assert_eq!(problem, None);
        assert_eq!(read.compare(&marks).len(), 4, "all but the first line's");
    }

    #[test]
    fn heads_on_chain_that_are_missing_or_contradict_are_found() {
        let (lines, marks) = log();
        let (read, _) = read(RUN, &lines.concat());
        let on_chain = |at: usize, time: u64| {
            let RunMark { entries, head, .. } = marks[at];
            AnchoredHead { entries, head, time }
        };
        let codes = |anchors: &[AnchoredHead]| -> Vec<String> {
            let found = read.compare_anchors(Some(600), anchors);
            found.into_iter().map(|finding| finding.code).collect()
        };
        let (missing, mismatch) = ("run.log.anchor.missing", "run.log.anchor.mismatch");
        let whole = [on_chain(0, 100), on_chain(2, 700), on_chain(4, 1600)];
        assert_eq!(codes(&whole), Vec::<String>::new());
        assert_eq!(codes(&[whole[0], whole[2]]), [missing], "one between is missing");
        assert_eq!(codes(&whole[1..]), [missing], "the start is missing");
        assert_eq!(codes(&whole[..2]), [missing], "the end is missing");
        assert_eq!(codes(&[]), [missing, missing]);
        let mut other = whole;
        other[1].head = Digest::of(b"another line");
        assert_eq!(codes(&other), [mismatch]);
        other[1] = AnchoredHead { entries: 6, ..whole[1] };
        assert_eq!(codes(&other), [mismatch, missing, missing], "of entries that it does not have");
        // Nothing was promised, but what is there counts.
        assert!(read.compare_anchors(None, &[]).is_empty());
        assert_eq!(read.compare_anchors(None, &other).len(), 1);
    }

    #[test]
    fn order_time_and_spelling_are_held() {
        let lines = |events: &[(u64, Event)]| -> Option<LogProblem> {
            let mut writer = Writer::new(RUN);
            let lines =
                events.iter().map(|(time, event)| writer.append(*time, event.clone()).unwrap());
            problem(&lines.collect::<Vec<_>>())
        };
        let ended = Event::Ended(Exit::Code(0));
        assert_eq!(lines(&[(1, Event::Alive)]), Some(LogProblem::Order(0)));
        assert_eq!(lines(&[(1, Event::Started), (1, Event::Started)]), Some(LogProblem::Order(1)));
        assert_eq!(
            lines(&[(1, Event::Started), (1, ended), (1, Event::Alive)]),
            Some(LogProblem::Order(2))
        );
        assert_eq!(lines(&[(2, Event::Started), (1, Event::Alive)]), Some(LogProblem::Earlier(1)));
        let (good, _) = log();
        let spaced = String::from_utf8(good[0].clone()).unwrap().replace(':', ": ");
        assert_eq!(read(RUN, spaced.as_bytes()).1, Some(LogProblem::Malformed(0)));
    }

    #[test]
    fn long_lines_become_several_texts() {
        assert_eq!(texts(b"a\xffb"), ["a\u{fffd}b"]);
        let long = format!("a{}", "ä".repeat(MAX_TEXT));
        let texts = texts(long.as_bytes());
        assert!(texts.len() == 3 && texts.iter().all(|text| text.len() <= MAX_TEXT));
        assert_eq!(texts.concat(), long);
        let mut writer = Writer::new(RUN);
        let mut log = writer.append(1, Event::Started).unwrap();
        log.extend(writer.append(1, Event::Stdout("\u{1}".repeat(MAX_TEXT))).unwrap());
        assert_eq!(read(RUN, &log).1, None, "the worst escapes still fit");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            read(RUN, &bytes);
        }

        #[test]
        fn every_flipped_bit_is_found(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let (lines, marks) = log();
            let mut bad = lines.concat();
            let at = at.index(bad.len());
            bad[at] ^= 1 << bit;
            let (read, problem) = read(RUN, &bad);
            prop_assert!(problem.is_some() || !read.compare(&marks).is_empty());
        }
    }
}
