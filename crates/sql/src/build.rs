//! The order of the statements, and what their answers become.

use std::{collections::BTreeMap, path::Path};

use probity_core::{Digest, absence::StreamedSet, digest::Hasher, merkle::StreamedRoot};
use probity_provenance::{
    croissant::Description,
    dataset::{DatasetError, Policy},
    tables::{KNOWN_AUTHORS, OPT_OUTS, REMOVED, WORKS},
};

use crate::{
    Engine, SqlError,
    folder::{self, Heading, JsonList, Parts, Written},
    rows::{Answer, decisions},
    rules::{LEAVES, OPT_OUT_LIST, Rules, SOURCES},
};

/// Rounds after which a build gives up. Where a work is left out for a cap, the next work of the same
/// bytes is in, which may push another one over its author's cap, and so on: each round settles one link
/// of such chains. Data that nobody made for the purpose needs two rounds or three.
pub const MAX_ROUNDS: usize = 64;

/// A dataset that was built.
#[derive(Debug)]
pub struct Built {
    /// Its description, with the Merkle root.
    pub description: Description,
    /// How many works were left out, by reason.
    pub excluded: BTreeMap<&'static str, u64>,
    /// Rounds until it was settled which of equal works are first.
    pub rounds: usize,
    /// Bytes that did not fit into memory in this process.
    pub spilled: u64,
}

/// The statements that a policy becomes, to be run elsewhere or looked at: what each is for, and its text.
/// Where new authors together are limited, the text is that without a cut-off.
pub fn statements(policy: &Policy) -> Result<Vec<(&'static str, String)>, SqlError> {
    let rules = Rules::new(policy)?;
    let mut statements = vec![("contended", rules.contended())];
    if rules.limits_new_authors() {
        statements.push(("cutoff", rules.cutoff()));
    }
    if rules.firsts_may_fall() {
        statements.push(("firsts", rules.firsts(None)));
    }
    let fixed = [("sources", SOURCES.to_owned()), ("opt_outs", OPT_OUT_LIST.to_owned())];
    statements.push(("works", rules.works(None)));
    statements.extend(fixed);
    Ok(statements)
}

/// Applies a policy to the tables in a folder and writes the dataset into a new one.
pub async fn build(
    engine: &Engine,
    tables: &Path,
    name: &str,
    policy: &Policy,
    output: &Path,
) -> Result<Built, SqlError> {
    let rules = Rules::new(policy)?;
    let names = [("works", WORKS), ("opt_outs", OPT_OUTS), ("removed", REMOVED)];
    for (name, file) in names.into_iter().chain([("known_authors", KNOWN_AUTHORS)]) {
        engine.register(name, &tables.join(file)).await?;
    }
    let scratch = tempfile::Builder::new().prefix("probity-sql-").tempdir_in(engine.scratch());
    let scratch = scratch.map_err(SqlError::file("write", engine.scratch()))?;
    let staged = folder::stage(output)?;
    let run = Run { engine, rules, scratch: scratch.path() };
    let built = run.build(name, policy, &staged).await;
    folder::finish(&staged, output, built)
}

struct Run<'a> {
    engine: &'a Engine,
    rules: Rules,
    scratch: &'a Path,
}

/// Which of equal works are first, as a table.
struct Firsts {
    /// Over its rows: the same digest is the same answer.
    digest: Digest,
    rows: usize,
}

impl Run<'_> {
    async fn build(&self, name: &str, policy: &Policy, staged: &Path) -> Result<Built, SqlError> {
        let (cutoff, rounds) = self.settle().await?;
        let written = self.decide(cutoff, staged).await?;
        let excluded = written.counted.excluded.clone();
        if written.counted.items == 0 {
            let all = usize::try_from(written.counted.excluded()).unwrap_or(usize::MAX);
            return Err(DatasetError::Empty(all).into());
        }
        let heading = Heading {
            name,
            policy,
            deny_list: self.deny_list().await?,
            sources: self.sources(&written).await?,
            root: self.root(&written).await?,
        };
        let description = written.describe(&heading)?;
        Ok(Built { description, excluded, rounds, spilled: self.engine.spilled() })
    }

    /// Finds out which of equal works are first: whether a work is in depends on those that were
    /// registered before it only, so that an answer which reproduces itself is the one answer.
    async fn settle(&self) -> Result<(Option<u64>, usize), SqlError> {
        let mut firsts = self.firsts("contended", &self.rules.contended(), 0).await?;
        self.engine.register("contended", &self.scratch.join("firsts-0.parquet")).await?;
        for round in 1..=MAX_ROUNDS {
            let cutoff = self.cutoff().await?;
            if firsts.rows == 0 || !self.rules.firsts_may_fall() {
                return Ok((cutoff, round));
            }
            let next = self.firsts("firsts", &self.rules.firsts(cutoff), round).await?;
            if next.digest == firsts.digest {
                return Ok((cutoff, round));
            }
            firsts.digest = next.digest;
        }
        Err(SqlError::Unsettled(MAX_ROUNDS))
    }

    /// Answers which works are first, and makes the answer the table `firsts`.
    async fn firsts(
        &self,
        name: &'static str,
        sql: &str,
        round: usize,
    ) -> Result<Firsts, SqlError> {
        let path = self.scratch.join(format!("firsts-{round}.parquet"));
        let (mut hasher, mut rows) = (Hasher::default(), 0);
        self.engine
            .save(name, sql, &path, &mut |batch| {
                let answer = Answer::new(name, batch, rows as u64);
                let (works, positions) = (answer.texts("sha256")?, answer.numbers("position")?);
                for (at, position) in positions.values().iter().enumerate() {
                    let work: Digest = works.parse(at, "a SHA-256 digest")?;
                    hasher.update(work.as_bytes());
                    hasher.update(&position.to_be_bytes());
                }
                rows += batch.num_rows();
                Ok(())
            })
            .await?;
        self.engine.register("firsts", &path).await?;
        Ok(Firsts { digest: hasher.finish(), rows })
    }

    async fn cutoff(&self) -> Result<Option<u64>, SqlError> {
        let mut cutoff = None;
        if self.rules.limits_new_authors() {
            self.engine
                .query("cutoff", &self.rules.cutoff(), &mut |batch| {
                    let positions = Answer::new("cutoff", batch, 0).numbers("position")?;
                    cutoff = cutoff.or(positions.values().first().copied());
                    Ok(())
                })
                .await?;
        }
        Ok(cutoff)
    }

    /// Decides about every work, and writes items, exclusions and leaves.
    async fn decide(&self, cutoff: Option<u64>, staged: &Path) -> Result<Written, SqlError> {
        let mut parts = Parts::begin(staged, self.scratch)?;
        let mut decided = 0;
        self.engine
            .query("works", &self.rules.works(cutoff), &mut |batch| {
                decisions("works", batch, decided, &mut |decision| parts.add(decision))?;
                decided += batch.num_rows() as u64;
                Ok(())
            })
            .await?;
        parts.end()
    }

    /// The statements whose works were considered.
    async fn sources(&self, written: &Written) -> Result<std::path::PathBuf, SqlError> {
        let mut list: JsonList = written.sources()?;
        let (mut before, mut works) = (0, 0u64);
        self.engine
            .query("sources", SOURCES, &mut |batch| {
                let answer = Answer::new("sources", batch, before);
                let (statements, counts) = (answer.texts("statement")?, answer.numbers("works")?);
                for (at, count) in counts.values().iter().enumerate() {
                    list.push(&statements.parse::<Digest>(at, "a SHA-256 digest")?)?;
                    works = works.saturating_add(*count);
                }
                before += batch.num_rows() as u64;
                Ok(())
            })
            .await?;
        let decided = written.counted.items + written.counted.excluded();
        if works != decided {
            return Err(SqlError::Works { expected: works, got: decided });
        }
        list.end()
    }

    /// Commitment to the opt-out list.
    async fn deny_list(&self) -> Result<Digest, SqlError> {
        let (mut set, mut before) = (StreamedSet::default(), 0);
        self.engine
            .query("opt_outs", OPT_OUT_LIST, &mut |batch| {
                let works = Answer::new("opt_outs", batch, before).texts("sha256")?;
                for at in 0..batch.num_rows() {
                    set.push(works.parse(at, "a SHA-256 digest")?)?;
                }
                before += batch.num_rows() as u64;
                Ok(())
            })
            .await?;
        Ok(set.commitment())
    }

    /// The Merkle root, of leaves that are sorted on disk.
    async fn root(&self, written: &Written) -> Result<alloy_primitives::B256, SqlError> {
        let mut root = StreamedRoot::new(written.counted.items)?;
        self.engine
            .query_local("leaves", &written.leaves, LEAVES, &mut |batch| {
                for leaf in Answer::new("leaves", batch, 0).words("leaf")? {
                    root.push(leaf)?;
                }
                Ok(())
            })
            .await?;
        Ok(root.finish()?)
    }
}
