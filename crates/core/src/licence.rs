//! Licence terms that a machine can decide on.

use serde::{Deserialize, Serialize};

use crate::{Digest, json, money::Bps};

/// Whether a use is permitted (the vocabulary of CAWG training-mining assertions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Permitted.
    Allow,
    /// Permitted under the constraints named in the terms.
    Constrained,
    /// Not permitted.
    Deny,
}

/// Licence terms: an SPDX expression and what it means for training.
///
/// ```
/// use probity_core::licence::LicenceTerms;
/// let terms = LicenceTerms::open("CC-BY-4.0").unwrap();
/// assert!(terms.allows_training());
/// assert!(LicenceTerms::open("CC-BY-SPAM").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LicenceTerms {
    /// SPDX licence expression (SPDX 2.3 annex D); `LicenseRef-` names are permitted.
    pub spdx: String,
    /// Use for training models.
    pub train: Permission,
    /// Commercial use of what was made from it.
    pub commercial: bool,
    /// Derivative works.
    pub derivatives: bool,
    /// Naming the author is required.
    pub attribution: bool,
    /// Part of the revenue the licence asks for at least, in 1/10,000.
    pub revenue_share: Bps,
}

/// Why terms are refused.
#[derive(Debug, thiserror::Error)]
pub enum LicenceError {
    /// Not an SPDX expression, or an unknown licence id.
    #[error("`{expression}` is not an SPDX licence expression: {reason}")]
    Unknown {
        /// The refused text.
        expression: String,
        /// What the SPDX parser said.
        reason: String,
    },
    /// No canonical form.
    #[error(transparent)]
    Json(#[from] json::JsonError),
}

impl LicenceTerms {
    /// Terms of a licence that permits training, commercial use and derivatives with attribution.
    pub fn open(spdx: &str) -> Result<Self, LicenceError> {
        let terms = Self {
            spdx: spdx.to_owned(),
            train: Permission::Allow,
            commercial: true,
            derivatives: true,
            attribution: true,
            revenue_share: Bps::ZERO,
        };
        terms.check()?;
        Ok(terms)
    }

    /// Checks that the SPDX expression parses and every licence in it is known.
    pub fn check(&self) -> Result<(), LicenceError> {
        spdx::Expression::parse(&self.spdx).map(|_| ()).map_err(|error| LicenceError::Unknown {
            expression: self.spdx.clone(),
            reason: error.reason.to_string(),
        })
    }

    /// Whether a dataset builder may take the content without asking further.
    pub fn allows_training(&self) -> bool {
        self.train == Permission::Allow
    }

    /// The licence's id: the digest of its canonical JSON.
    pub fn id(&self) -> Result<Digest, LicenceError> {
        Ok(json::canonical_digest(self)?)
    }
}
