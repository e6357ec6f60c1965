use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    ConsistencyProof, InclusionProof, MAX_TREE_SIZE, NoteError, ProofError, SignedNote, SignerKey,
    VerifierKey,
};
use crate::Digest;

/// Why a checkpoint is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it is malformed or not signed by the key.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is not origin, size, root and optional extension lines, in their one spelling.
    #[error("the {line} line of the checkpoint is malformed")]
    Line {
        /// `origin`, `size`, `root` or `extension`.
        line: &'static str,
    },
    /// The checkpoint is of another log.
    #[error("expected the origin `{expected}`, got `{got}`")]
    Origin {
        /// The log asked for.
        expected: String,
        /// The log in the checkpoint.
        got: String,
    },
}

impl CheckpointError {
    /// A stable name for findings and exit reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Note(error) => error.code(),
            Self::Line { .. } => "log.checkpoint.malformed",
            Self::Origin { .. } => "log.checkpoint.origin",
        }
    }
}

/// What a log commits to: its size and root (C2SP tlog-checkpoint).
///
/// ```
/// use probity_core::log::{Checkpoint, SignerKey, empty_root};
/// let key = SignerKey::from_seed("log.example/statements", &[7; 32])?;
/// let checkpoint = Checkpoint::new("log.example/statements", 0, empty_root())?;
/// let note = checkpoint.sign(&key)?;
/// assert_eq!(Checkpoint::verify(note.as_bytes(), key.verifier())?, checkpoint);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Digest,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// The checkpoint of the log `origin` at `size` leaves.
    pub fn new(origin: &str, size: u64, root: Digest) -> Result<Self, CheckpointError> {
        if !is_line(origin) {
            return Err(CheckpointError::Line { line: "origin" });
        }
        if size > MAX_TREE_SIZE {
            return Err(CheckpointError::Line { line: "size" });
        }
        Ok(Self { origin: origin.to_owned(), size, root, extensions: Vec::new() })
    }

    /// Adds an extension line. tlog-checkpoint advises against them: monitors cannot audit them.
    pub fn with_extension(mut self, line: &str) -> Result<Self, CheckpointError> {
        if !is_line(line) {
            return Err(CheckpointError::Line { line: "extension" });
        }
        self.extensions.push(line.to_owned());
        Ok(self)
    }

    /// The log's identity.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The Merkle tree hash at that size.
    pub const fn root(&self) -> &Digest {
        &self.root
    }

    /// The lines after the root, opaque.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// The text that is signed.
    pub fn text(&self) -> String {
        let root = BASE64_STANDARD.encode(self.root.as_bytes());
        let mut text = format!("{}\n{}\n{root}\n", self.origin, self.size);
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Checks that `leaf`, a leaf's hash, is in the tree of this checkpoint.
    ///
    /// A root does not say how many leaves are under it; the checkpoint does, so the proof's size
    /// must be the checkpoint's.
    pub fn verify_inclusion(
        &self,
        leaf: &Digest,
        proof: &InclusionProof,
    ) -> Result<(), ProofError> {
        check_size(self.size, proof.size)?;
        proof.verify(leaf, &self.root)
    }

    /// Checks that the log of `newer` begins with the whole log of this checkpoint. Two checkpoints
    /// of one log for which no such proof exists convict its keeper.
    pub fn verify_growth(&self, newer: &Self, proof: &ConsistencyProof) -> Result<(), ProofError> {
        check_size(self.size, proof.old_size)?;
        check_size(newer.size, proof.new_size)?;
        proof.verify(&self.root, &newer.root)
    }

    /// Signs the checkpoint. The log never signs two that are inconsistent: its keeper sees to it.
    pub fn sign(&self, key: &SignerKey) -> Result<String, CheckpointError> {
        Ok(SignedNote::sign(&self.text(), &[key])?.to_string())
    }

    /// Checks a signed checkpoint of the log that is named like its key, the custom.
    pub fn verify(bytes: &[u8], key: &VerifierKey) -> Result<Self, CheckpointError> {
        Self::verify_origin(bytes, key, key.name())
    }

    /// Checks a signed checkpoint of the log `origin`.
    pub fn verify_origin(
        bytes: &[u8],
        key: &VerifierKey,
        origin: &str,
    ) -> Result<Self, CheckpointError> {
        let note = SignedNote::parse(bytes)?;
        note.verify(key)?;
        let checkpoint = Self::parse_text(note.text())?;
        if checkpoint.origin == origin {
            return Ok(checkpoint);
        }
        let (expected, got) = (origin.to_owned(), checkpoint.origin);
        Err(CheckpointError::Origin { expected, got })
    }

    /// Reads a signed checkpoint without checking who signed it: asserted, not verified.
    pub fn parse_unverified(bytes: &[u8]) -> Result<Self, CheckpointError> {
        Self::parse_text(SignedNote::parse(bytes)?.text())
    }

    fn parse_text(text: &str) -> Result<Self, CheckpointError> {
        let malformed = |line| CheckpointError::Line { line };
        let mut lines = text.strip_suffix('\n').ok_or(malformed("root"))?.split('\n');
        let origin = lines.next().ok_or(malformed("origin"))?;
        let digits = lines.next().ok_or(malformed("size"))?;
        let size: u64 = digits.parse().map_err(|_| malformed("size"))?;
        if size.to_string() != digits {
            return Err(malformed("size"));
        }
        let encoded = lines.next().ok_or(malformed("root"))?;
        let root = BASE64_STANDARD.decode(encoded).map_err(|_| malformed("root"))?;
        let root = root.try_into().map_err(|_| malformed("root"))?;
        let checkpoint = Self::new(origin, size, Digest::from_bytes(root))?;
        lines.try_fold(checkpoint, Self::with_extension)
    }
}

fn check_size(expected: u64, got: u64) -> Result<(), ProofError> {
    if expected == got { Ok(()) } else { Err(ProofError::Size { expected, got }) }
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte >= 0x20)
}
