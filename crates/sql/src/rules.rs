//! A policy as SQL.

use probity_provenance::{dataset::Policy, weights::Formula};

use crate::SqlError;

/// More items than anybody has: no limit.
const UNLIMITED: u64 = i64::MAX.cast_unsigned();

/// The statements of `src/sql` with a policy's figures filled in. Each is made of those before it, as
/// common table expressions, so that it runs alone wherever the tables are.
#[derive(Debug)]
pub(crate) struct Rules {
    values: Vec<(&'static str, String)>,
    author_cap: u64,
    new_author_cap: u64,
    new_authors_cap: u64,
    every_item_weighs: bool,
}

/// Statements that others are made of: name, text.
const JUDGED: (&str, &str) = ("judged", include_str!("sql/judged.sql"));
const CANDIDATES: (&str, &str) = ("candidates", include_str!("sql/candidates.sql"));
const PASSING: (&str, &str) = ("passing", include_str!("sql/passing.sql"));
const ADMITTED: (&str, &str) = ("admitted", include_str!("sql/admitted.sql"));
const DECIDED: (&str, &str) = ("decided", include_str!("sql/decided.sql"));

/// The sources' statement.
pub(crate) const SOURCES: &str = include_str!("sql/sources.sql");
/// The opt-out list's statement.
pub(crate) const OPT_OUT_LIST: &str = include_str!("sql/opt_outs.sql");
/// The leaves' statement.
pub(crate) const LEAVES: &str = include_str!("sql/leaves.sql");

/// A text literal.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A weight: tables hold weights as unsigned 64-bit numbers.
fn number(value: u64) -> String {
    format!("CAST({value} AS BIGINT UNSIGNED)")
}

/// A count that is never reached where the policy has no limit.
fn limit(cap: u64) -> u64 {
    if cap == 0 { UNLIMITED } else { cap.min(UNLIMITED) }
}

fn weight(formula: &Formula) -> Result<String, SqlError> {
    match formula {
        Formula::Contribution { per_item } => Ok(number(*per_item)),
        Formula::Fixed { authors, others } if authors.is_empty() => Ok(number(*others)),
        Formula::Fixed { authors, others } => {
            let case = |(author, weight): (&alloy_primitives::Address, &u64)| {
                format!(" WHEN {} THEN {}", quoted(&author.to_string()), number(*weight))
            };
            let cases: String = authors.iter().map(case).collect();
            Ok(format!("CASE works.author{cases} ELSE {} END", number(*others)))
        }
        Formula::Votes { .. } | Formula::Usage { .. } => Err(SqlError::Formula(formula.name())),
    }
}

impl Rules {
    pub(crate) fn new(policy: &Policy) -> Result<Self, SqlError> {
        if policy.near.is_some() {
            return Err(SqlError::NearDuplicates);
        }
        let licences: Vec<String> = policy.licences.iter().map(|spdx| quoted(spdx)).collect();
        let licence_refused = if licences.is_empty() {
            "FALSE".to_owned()
        } else {
            format!("works.spdx NOT IN ({})", licences.join(", "))
        };
        let (author, new_author) =
            (limit(policy.max_items_per_author), limit(policy.max_items_per_new_author));
        let full = |cap: u64, limit: u64| {
            if cap == 0 { "FALSE".to_owned() } else { format!("has >= {limit}") }
        };
        let values = vec![
            (":commercial", policy.commercial.to_string().to_uppercase()),
            (":licence_refused", licence_refused),
            (":weight", weight(&policy.weights)?),
            (":author_limit", author.to_string()),
            (":new_author_limit", author.min(new_author).to_string()),
            (":author_full", full(policy.max_items_per_author, author)),
            (":new_author_full", full(policy.max_items_per_new_author, new_author)),
            (
                ":last_of_new_authors",
                limit(policy.max_items_of_new_authors).saturating_sub(1).to_string(),
            ),
        ];
        Ok(Self {
            values,
            author_cap: policy.max_items_per_author,
            new_author_cap: policy.max_items_per_new_author,
            new_authors_cap: policy.max_items_of_new_authors,
            every_item_weighs: match &policy.weights {
                Formula::Contribution { per_item } => *per_item > 0,
                Formula::Fixed { authors, others } => {
                    *others > 0 && authors.values().all(|weight| *weight > 0)
                }
                Formula::Votes { .. } | Formula::Usage { .. } => false,
            },
        })
    }

    /// Whether the first of several equal works may be left out for what came before it, so that the
    /// next one is in.
    pub(crate) fn firsts_may_fall(&self) -> bool {
        let caps = self.author_cap | self.new_author_cap | self.new_authors_cap;
        caps > 0 || !self.every_item_weighs
    }

    /// Whether new authors together are limited.
    pub(crate) fn limits_new_authors(&self) -> bool {
        self.new_authors_cap > 0
    }

    pub(crate) fn contended(&self) -> String {
        self.statement(&[JUDGED], include_str!("sql/contended.sql"), None)
    }

    pub(crate) fn cutoff(&self) -> String {
        self.statement(&[JUDGED, CANDIDATES, PASSING], include_str!("sql/cutoff.sql"), None)
    }

    pub(crate) fn firsts(&self, cutoff: Option<u64>) -> String {
        let parts = [JUDGED, CANDIDATES, PASSING, ADMITTED];
        self.statement(&parts, include_str!("sql/firsts.sql"), cutoff)
    }

    pub(crate) fn works(&self, cutoff: Option<u64>) -> String {
        let parts = [JUDGED, CANDIDATES, PASSING, ADMITTED, DECIDED];
        self.statement(&parts, include_str!("sql/works.sql"), cutoff)
    }

    fn statement(&self, parts: &[(&str, &str)], last: &str, cutoff: Option<u64>) -> String {
        let parts: Vec<String> =
            parts.iter().map(|(name, text)| format!("{name} AS (\n{text})")).collect();
        let past_cutoff =
            cutoff.map_or("FALSE".to_owned(), |cutoff| format!("position > {cutoff}"));
        let text = format!("WITH {}\n{last}", parts.join(",\n"));
        let past = (":past_cutoff", past_cutoff);
        (self.values.iter().chain([&past]))
            .fold(text, |text, (name, value)| text.replace(name, value))
    }
}
