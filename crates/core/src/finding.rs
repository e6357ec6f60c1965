//! What a check of untrusted material says: data with stable codes, collected rather than thrown.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How much stands behind a claim. Ordered from weakest to strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// There should be a claim and there is none.
    Missing,
    /// Claimed, unchecked.
    Asserted,
    /// Somebody accountable signed it.
    Attested,
    /// Checked here and now, from bytes and chain state.
    Verified,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Asserted => "asserted",
            Self::Attested => "attested",
            Self::Verified => "verified",
        })
    }
}

/// Whether a finding makes the answer negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Something is weaker than it could be.
    Warning,
    /// A claim is broken.
    Error,
}

/// One thing a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable dotted code, for example `dsse.signature.invalid`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// The file, record or field it is about.
    pub subject: String,
    /// One sentence for people.
    pub message: String,
}

impl Finding {
    /// A broken claim.
    pub fn error(code: &str, subject: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self::new(code, Severity::Error, subject, message)
    }

    /// A weakness.
    pub fn warning(code: &str, subject: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self::new(code, Severity::Warning, subject, message)
    }

    /// A remark.
    pub fn info(code: &str, subject: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self::new(code, Severity::Info, subject, message)
    }

    fn new(
        code: &str,
        severity: Severity,
        subject: impl fmt::Display,
        message: impl fmt::Display,
    ) -> Self {
        Self {
            code: code.to_owned(),
            severity,
            subject: plain(&subject.to_string()),
            message: plain(&message.to_string()),
        }
    }
}

/// Text of others as people may read it: what ends lines, moves the cursor or turns the direction of
/// writing becomes U+FFFD, so that it cannot pass for words of ours.
///
/// ```
/// assert_eq!(probity_core::finding::plain("a\n[verified] b"), "a\u{fffd}[verified] b");
/// ```
pub fn plain(text: &str) -> String {
    let is_plain = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200f}')
            && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if is_plain(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}
