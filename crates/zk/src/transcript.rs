//! Fiat–Shamir with Keccak-256 (reference: `docs/reference/zk-protocol.md` §3), and the proof's
//! bytes read along with it.

use alloy_primitives::keccak256;
use ff::Field;

use crate::{
    Rejection,
    curve::{G1Affine, POINT_BYTES, decode_point},
    field::{self, Fr, SCALAR_BYTES},
    value::Value,
};

/// What the transcript starts with.
pub const PROTOCOL: &[u8] = b"probity-zk/1";
/// What the transcript of a hiding proof starts with.
pub const HIDING_PROTOCOL: &[u8] = b"probity-zk/1/hiding";

/// What a message of the protocol is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the reference's table of messages says what each is")]
pub enum Tag {
    Statement = 1,
    Witness = 2,
    LookupShift = 3,
    LookupLayer = 4,
    LookupBatch = 5,
    Round = 6,
    Extend = 7,
    AtPoint = 8,
    AfterA = 9,
    AfterB = 10,
    Groups = 11,
    Symmetric = 12,
    Ends = 13,
    Quotient = 14,
    Pads = 15,
    Inverses = 16,
    Products = 17,
    Factors = 18,
    Fresh = 19,
    FreshValue = 20,
    Blinding = 21,
}

impl Tag {
    /// Whether a hiding proof's scalars of the message are multiplied with each other by the checks.
    pub fn is_factor(self) -> bool {
        self.pads() == 2
    }

    /// How many pads a hiding proof has for each scalar of the message: the first is added to it,
    /// the second of a factor serves to show the products.
    pub fn pads(self) -> usize {
        match self {
            Self::LookupLayer | Self::Inverses | Self::AfterA => 2,
            Self::Round | Self::AtPoint | Self::AfterB | Self::Groups => 1,
            _ => 0,
        }
    }
}

/// The verifier's coins: what answers a message. [`Transcript`] makes the proof non-interactive.
pub trait Coins {
    /// Absorbs a message and returns the challenge that answers it.
    fn exchange(&mut self, tag: Tag, data: &[u8]) -> Fr;
}

/// The running state. Every challenge depends on every byte exchanged before it.
#[derive(Debug, Clone)]
pub struct Transcript {
    state: [u8; 32],
}

impl Default for Transcript {
    fn default() -> Self {
        Self::starting(PROTOCOL)
    }
}

impl Coins for Transcript {
    fn exchange(&mut self, tag: Tag, data: &[u8]) -> Fr {
        Self::exchange(self, tag, data)
    }
}

impl Transcript {
    /// The transcript of a hiding proof.
    pub fn hiding() -> Self {
        Self::starting(HIDING_PROTOCOL)
    }

    /// The transcript of a protocol.
    pub(crate) fn starting(protocol: &[u8]) -> Self {
        Self { state: keccak256(protocol).0 }
    }

    /// Absorbs a message and returns the challenge that answers it.
    pub fn exchange(&mut self, tag: Tag, data: &[u8]) -> Fr {
        let mut bytes = Vec::with_capacity(37 + data.len());
        bytes.extend_from_slice(&self.state);
        bytes.push(tag as u8);
        bytes.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(data);
        self.state = keccak256(&bytes).0;
        field::reduce(&self.state)
    }
}

/// What the verifier's checks need of a proof, whether its scalars are sent as they are or masked.
pub(crate) trait Dialogue {
    /// What a scalar is to the checks.
    type Value: Value;

    /// A message of field elements, and its challenge.
    fn scalars(&mut self, tag: Tag, count: usize) -> Result<(Vec<Self::Value>, Fr), Rejection>;

    /// A challenge without a message.
    fn challenge(&mut self, tag: Tag) -> Fr;

    /// Demands that a value is zero.
    fn zero(&mut self, value: Self::Value, otherwise: Rejection) -> Result<(), Rejection>;

    /// Demands that neither of two values is zero.
    fn nonzero(&mut self, values: [&Self::Value; 2], otherwise: Rejection)
    -> Result<(), Rejection>;

    /// A message of exactly `N` field elements, and its challenge.
    fn array<const N: usize>(&mut self, tag: Tag) -> Result<([Self::Value; N], Fr), Rejection> {
        let (values, challenge) = self.scalars(tag, N)?;
        let values = values.try_into().map_err(|_| Rejection::ProofLength)?;
        Ok((values, challenge))
    }
}

/// A proof being read: each message is taken from the bytes and exchanged.
#[derive(Debug)]
pub struct Messages<'a, C = Transcript> {
    coins: C,
    rest: &'a [u8],
    length: usize,
}

impl<C: Coins> Dialogue for Messages<'_, C> {
    type Value = Fr;

    fn scalars(&mut self, tag: Tag, count: usize) -> Result<(Vec<Fr>, Fr), Rejection> {
        Messages::scalars(self, tag, count)
    }

    fn challenge(&mut self, tag: Tag) -> Fr {
        Messages::challenge(self, tag)
    }

    fn zero(&mut self, value: Fr, otherwise: Rejection) -> Result<(), Rejection> {
        if bool::from(value.is_zero()) { Ok(()) } else { Err(otherwise) }
    }

    fn nonzero(&mut self, [a, b]: [&Fr; 2], otherwise: Rejection) -> Result<(), Rejection> {
        if bool::from(a.is_zero() | b.is_zero()) { Err(otherwise) } else { Ok(()) }
    }
}

impl<'a, C: Coins> Messages<'a, C> {
    /// Starts at the first message, after the statement was exchanged.
    pub fn new(coins: C, bytes: &'a [u8]) -> Self {
        Self { coins, rest: bytes, length: bytes.len() }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Rejection> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Rejection::ProofLength)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Where the next message starts.
    fn position(&self) -> usize {
        self.length - self.rest.len()
    }

    /// A message of field elements, and its challenge.
    pub fn scalars(&mut self, tag: Tag, count: usize) -> Result<(Vec<Fr>, Fr), Rejection> {
        let at = self.position();
        let bytes = self.take(count.saturating_mul(SCALAR_BYTES))?;
        let values = bytes
            .chunks_exact(SCALAR_BYTES)
            .map(field::decode)
            .collect::<Option<Vec<_>>>()
            .ok_or(Rejection::ScalarEncoding { at })?;
        Ok((values, self.coins.exchange(tag, bytes)))
    }

    /// A message of points, and its challenge.
    pub fn points(&mut self, tag: Tag, count: usize) -> Result<(Vec<G1Affine>, Fr), Rejection> {
        let at = self.position();
        let bytes = self.take(count.saturating_mul(POINT_BYTES))?;
        let points = bytes
            .chunks_exact(POINT_BYTES)
            .map(decode_point)
            .collect::<Option<Vec<_>>>()
            .ok_or(Rejection::PointEncoding { at })?;
        Ok((points, self.coins.exchange(tag, bytes)))
    }

    /// A challenge without a message.
    pub fn challenge(&mut self, tag: Tag) -> Fr {
        self.coins.exchange(tag, &[])
    }

    /// Fails unless everything was read.
    pub fn finish(self) -> Result<(), Rejection> {
        if self.rest.is_empty() { Ok(()) } else { Err(Rejection::ProofLength) }
    }
}
