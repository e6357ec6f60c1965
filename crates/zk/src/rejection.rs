//! Why a proof is rejected, with stable codes.

use probity_core::Finding;

use crate::Stage;

/// The first check that failed. Nothing after it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Not a proof of this version, or of another kind.
    #[error("expected a proof of version 1")]
    Version,
    /// Of another stage than is demanded.
    #[error("expected a proof of stage `{expected}`, got one of stage `{got}`")]
    Stage {
        /// What is demanded.
        expected: Stage,
        /// What it is.
        got: Stage,
    },
    /// Bytes missing or left over.
    #[error("the proof's length does not fit the model and the batch")]
    ProofLength,
    /// A field element that is not below the order.
    #[error("a field element at or after byte `{at}` is not canonical")]
    ScalarEncoding {
        /// First byte of the message.
        at: usize,
    },
    /// A point that is not canonical, not on the curve or not in the subgroup.
    #[error("a point at or after byte `{at}` is not of the group")]
    PointEncoding {
        /// First byte of the message.
        at: usize,
    },
    /// The batch is empty or too large.
    #[error("the batch does not fit the model: {0}")]
    Batch(#[from] crate::plan::BatchError),
    /// Public values of another number.
    #[error("expected `{expected}` {what} values, got `{got}`")]
    PublicValues {
        /// Input or output.
        what: &'static str,
        /// What model and batch need.
        expected: usize,
        /// What there is.
        got: usize,
    },
    /// Some looked-up value is in no table, or multiplicities are wrong.
    #[error("the lookups do not add up to zero")]
    LookupSum,
    /// A fraction's denominator is zero.
    #[error("a lookup's denominator is zero")]
    LookupDenominator,
    /// A layer of the lookups' tree contradicts the next.
    #[error("layer `{0}` of the lookups does not follow from the next")]
    LookupLayer(usize),
    /// The tree's leaves are not the values claimed.
    #[error("the lookups' leaves are not the network's values")]
    LookupLeaves,
    /// The weights' range does not keep an operation's sums within the field.
    #[error("operation `{0}`: sums of weights of 48 bits could wrap around the field")]
    Bounds(usize),
    /// The operations' sums are not the values claimed.
    #[error("the operations' equations do not hold")]
    Operations,
    /// The convolutions' inputs are not the values claimed.
    #[error("the convolutions' inputs do not fit")]
    Convolutions,
    /// Evaluations contradict each other under the commitments.
    #[error("the evaluations are not those of the committed rows")]
    Evaluations,
    /// What a hiding proof's masks leave does not satisfy the checks.
    #[error("the hidden values do not satisfy the verifier's checks")]
    Relation,
    /// The pairing equation fails.
    #[error("the opening of the commitments does not verify")]
    Opening,
}

impl Rejection {
    /// Stable dotted code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Version => "zk.proof.version",
            Self::Stage { .. } => "zk.proof.stage",
            Self::ProofLength => "zk.proof.length",
            Self::ScalarEncoding { .. } => "zk.proof.scalar",
            Self::PointEncoding { .. } => "zk.proof.point",
            Self::Batch(_) => "zk.statement.batch",
            Self::PublicValues { .. } => "zk.statement.values",
            Self::LookupSum => "zk.lookup.sum",
            Self::LookupDenominator => "zk.lookup.denominator",
            Self::LookupLayer(_) => "zk.lookup.layer",
            Self::LookupLeaves => "zk.lookup.leaves",
            Self::Bounds(_) => "zk.range.bounds",
            Self::Operations => "zk.operations",
            Self::Convolutions => "zk.convolutions",
            Self::Evaluations => "zk.opening.evaluations",
            Self::Relation => "zk.hiding.relation",
            Self::Opening => "zk.opening.pairing",
        }
    }

    /// The finding about a proof.
    pub fn finding(&self, subject: &str) -> Finding {
        Finding::error(self.code(), subject, self)
    }
}
