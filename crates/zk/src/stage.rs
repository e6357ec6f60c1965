//! What a proof or a key hides.

/// The two kinds of proofs and keys. A proof of one is never taken for one of the other: the byte is
/// part of a key's digest, and each stage's transcript starts from its own text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Stage {
    /// Succinct and sound; hides nothing.
    Succinct = 0,
    /// A proof that shows nothing of the input beyond the output, a key that shows nothing of the
    /// weights beyond the network's shape (reference §8).
    Hiding = 1,
}

impl Stage {
    /// Reads a stage's byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Succinct),
            1 => Some(Self::Hiding),
            _ => None,
        }
    }

    /// The stage's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succinct => "succinct",
            Self::Hiding => "hiding",
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
