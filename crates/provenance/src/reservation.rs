//! Reservations that rights holders publish in other people's formats, and the one decision that
//! follows from them.
//!
//! | Module | Standard |
//! |---|---|
//! | [`cawg`] | CAWG training and data mining assertion 1.1; C2PA 1.4 §"Training and data mining" |
//! | [`tdmrep`] | W3C TDM Reservation Protocol: file on the origin server, HTTP header, HTML metadata |
//! | [`publication`] | the same in EPUB and PDF |
//! | [`aipref`] | IETF draft-ietf-aipref-vocab and draft-ietf-aipref-attach: `Content-Usage` |
//! | [`robots`] | the same draft's rules in `robots.txt` |
//!
//! Every reader is total on any bytes and bounded; what it does not understand is a [`Finding`].
//! Where sources disagree the most restrictive one wins, and the disagreement is recorded.
//!
//! ```
//! use probity_provenance::reservation::{Decisions, aipref, tdmrep};
//! let mut read = tdmrep::read(br#"[{"location": "/", "tdm-reservation": 1}]"#, "/a.png").unwrap();
//! read.extend(aipref::read(b"train-ai=y").unwrap());
//! let decisions = Decisions::of(read.statements);
//! assert!(decisions.reserve_training());
//! assert_eq!(decisions.conflicts.len(), 1);
//! ```

pub mod aipref;
pub mod cawg;
mod path;
pub mod publication;
pub mod robots;
pub mod tdmrep;

use std::{collections::BTreeMap, fmt};

use probity_core::{Digest, Finding, finding::plain, licence::Permission};
use serde::{Deserialize, Serialize};

/// Largest file that is read as a reservation, in bytes; `robots.txt` has the same limit (RFC 9309
/// §2.5).
pub const MAX_BYTES: usize = 500 << 10;
/// Most statements that one file may make.
pub const MAX_STATEMENTS: usize = 10_000;
/// Longest note that is kept of a source, in characters.
const MAX_NOTE: usize = 500;

/// A use that may be reserved, in the vocabulary of the CAWG assertion, with `search` of aipref.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// Training models that generate nothing, such as classifiers.
    AiTraining,
    /// Training models that generate content.
    AiGenerativeTraining,
    /// Input of a trained model.
    AiInference,
    /// Finding patterns, trends and correlations.
    DataMining,
    /// Applications that lead people to the work.
    Search,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AiTraining => "AI training",
            Self::AiGenerativeTraining => "generative AI training",
            Self::AiInference => "AI inference",
            Self::DataMining => "data mining",
            Self::Search => "search",
        })
    }
}

/// The form in which something was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Standard {
    /// CAWG training and data mining assertion 1.1.
    #[serde(rename = "cawg.training-mining")]
    Cawg,
    /// Its predecessor in C2PA 1.x.
    #[serde(rename = "c2pa.training-mining")]
    C2pa,
    /// TDMRep file on the origin server.
    #[serde(rename = "tdmrep.json")]
    TdmRepFile,
    /// TDMRep fields of an HTTP response.
    #[serde(rename = "tdmrep.http")]
    TdmRepHeader,
    /// TDMRep metadata of an HTML document.
    #[serde(rename = "tdmrep.html")]
    TdmRepHtml,
    /// TDMRep metadata of an EPUB's package document.
    #[serde(rename = "tdmrep.epub")]
    TdmRepEpub,
    /// TDMRep metadata in XMP, as PDF has it.
    #[serde(rename = "tdmrep.xmp")]
    TdmRepXmp,
    /// `Content-Usage` of an HTTP message.
    #[serde(rename = "aipref.content-usage")]
    Aipref,
    /// `Content-Usage` rules of a `robots.txt`.
    #[serde(rename = "aipref.robots")]
    Robots,
    /// Licence terms that an author signed (see [`crate::content`]).
    #[serde(rename = "probity.content")]
    Probity,
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cawg => "cawg.training-mining",
            Self::C2pa => "c2pa.training-mining",
            Self::TdmRepFile => "tdmrep.json",
            Self::TdmRepHeader => "tdm-reservation header",
            Self::TdmRepHtml => "tdm-reservation metadata",
            Self::TdmRepEpub => "tdm:reservation of an EPUB",
            Self::TdmRepXmp => "tdm:reservation in XMP",
            Self::Aipref => "Content-Usage",
            Self::Robots => "robots.txt",
            Self::Probity => "the author's terms",
        })
    }
}

/// A kind of document that reservations are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A training and data mining assertion in JSON, of CAWG or of C2PA 1.x.
    Cawg,
    /// The same in a C2PA manifest store: the JUMBF bytes that a media file embeds.
    C2pa,
    /// Any of the forms of TDMRep.
    Tdmrep,
    /// `Content-Usage`.
    Aipref,
    /// `Content-Usage` rules of a `robots.txt`.
    Robots,
}

impl Source {
    /// Reads a document of this kind again; `None` where that takes more than this crate, which is a
    /// C2PA manifest store.
    ///
    /// # Errors
    /// If it is no such document.
    pub fn read(self, bytes: &[u8], location: &str) -> Option<Result<Read, ReservationError>> {
        match self {
            Self::Cawg => Some(cawg::read(bytes)),
            Self::C2pa => None,
            Self::Tdmrep => Some(tdmrep::read(bytes, location)),
            Self::Aipref => Some(aipref::read(bytes)),
            Self::Robots => Some(robots::read(bytes, location)),
        }
    }

    /// Whether documents of this kind tell paths apart.
    pub fn has_paths(self) -> bool {
        matches!(self, Self::Tdmrep | Self::Robots)
    }
}

/// What one source says about one use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Statement {
    /// About what.
    #[serde(rename = "use")]
    pub usage: Use,
    /// What it permits.
    pub permission: Permission,
    /// In which form.
    pub standard: Standard,
    /// Digest of the bytes it was read from.
    pub evidence: Digest,
    /// Which part of them said it: an entry, a rule's location, a label.
    pub part: String,
    /// Its conditions in its own words: the constraint's text, or the address of a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What was read from one or more sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// Everything said about any use.
    pub statements: Vec<Statement>,
    /// What was not understood, or is unusual.
    pub findings: Vec<Finding>,
}

impl Read {
    /// Adds what another source says.
    pub fn extend(&mut self, other: Self) {
        self.statements.extend(other.statements);
        self.findings.extend(other.findings);
    }
}

/// Why bytes are no reservation at all.
#[derive(Debug, thiserror::Error)]
pub enum ReservationError {
    /// Beyond every use.
    #[error("a reservation of {0} bytes is over the limit of {MAX_BYTES}")]
    TooLarge(usize),
    /// More than anybody has to say.
    #[error("a reservation makes at most {MAX_STATEMENTS} statements, got {0}")]
    TooMany(usize),
    /// Not JSON of the expected form.
    #[error("malformed `{standard}`")]
    Json {
        /// What was expected.
        standard: Standard,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// An assertion of another kind.
    #[error("expected an assertion labelled `cawg.training-mining`, got `{0}`")]
    Label(String),
    /// Neither UTF-8 nor ASCII where text is expected.
    #[error("a `{0}` is text, and this is not")]
    NotText(Standard),
    /// An EPUB or PDF of which nothing can be read.
    #[error("the publication {0}")]
    Publication(&'static str),
    /// A path that no URL has.
    #[error("expected the path of a URL, starting with `/`, of at most 2048 bytes, got `{0}`")]
    Location(String),
}

/// What follows for one use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The most restrictive permission of the sources.
    pub permission: Permission,
    /// All that was said about the use, the most restrictive first.
    pub sources: Vec<Statement>,
}

/// Two sources that disagree about a use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// What holds.
    pub stricter: Statement,
    /// What it overrides.
    pub looser: Statement,
}

/// The decision for each use that a source speaks of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decisions {
    /// By use. Nothing is decided about the others.
    pub uses: BTreeMap<Use, Decision>,
    /// Every source that is overridden, with one that overrides it.
    pub conflicts: Vec<Conflict>,
}

impl Decisions {
    /// Combines statements: for each use the most restrictive one holds
    /// (draft-ietf-aipref-vocab §"Combining Preferences"), in whatever order they come.
    pub fn of(statements: impl IntoIterator<Item = Statement>) -> Self {
        let mut by_use: BTreeMap<Use, Vec<Statement>> = BTreeMap::new();
        for statement in statements {
            by_use.entry(statement.usage).or_default().push(statement);
        }
        let mut decisions = Self::default();
        for (usage, mut sources) in by_use {
            sources.sort_by(|a, b| order(a).cmp(&order(b)));
            let Some(strictest) = sources.first().cloned() else { continue };
            let looser = sources.iter().filter(|s| s.permission != strictest.permission);
            decisions.conflicts.extend(
                looser
                    .map(|looser| Conflict { stricter: strictest.clone(), looser: looser.clone() }),
            );
            let permission = strictest.permission;
            decisions.uses.insert(usage, Decision { permission, sources });
        }
        decisions
    }

    /// What is decided about a use; `None` where nobody said anything.
    pub fn permission(&self, usage: Use) -> Option<Permission> {
        self.uses.get(&usage).map(|decision| decision.permission)
    }

    /// Whether training models of either kind is not plainly allowed. CAWG: without more
    /// information, `constrained` is as `notAllowed`.
    pub fn reserve_training(&self) -> bool {
        [Use::AiTraining, Use::AiGenerativeTraining]
            .into_iter()
            .any(|usage| self.permission(usage).is_some_and(|it| it != Permission::Allow))
    }
}

/// The most restrictive first; the rest makes the order independent of how sources came in.
fn order(statement: &Statement) -> (u8, Standard, Digest, &str, Option<&str>) {
    let looseness = match statement.permission {
        Permission::Deny => 0,
        Permission::Constrained => 1,
        Permission::Allow => 2,
    };
    let Statement { standard, evidence, part, note, .. } = statement;
    (looseness, *standard, *evidence, part, note.as_deref())
}

/// Refuses what is too large, and names the rest.
fn evidence(bytes: &[u8]) -> Result<Digest, ReservationError> {
    if bytes.len() > MAX_BYTES {
        return Err(ReservationError::TooLarge(bytes.len()));
    }
    Ok(Digest::of(bytes))
}

fn text(bytes: &[u8], standard: Standard) -> Result<&str, ReservationError> {
    std::str::from_utf8(bytes).map_err(|_| ReservationError::NotText(standard))
}

/// Words of others, shortened and without control characters.
fn quoted(text: &str) -> String {
    plain(&text.chars().take(MAX_NOTE).collect::<String>())
}
