//! The model key: a network and the commitments of its weights, as bytes (reference §2).

use alloy_primitives::keccak256;

use crate::{
    Stage,
    curve::{self, CEREMONY, G1Affine, POINT_BYTES},
    labels::Labels,
    network::{MAX_DIMENSIONS, Network, NetworkError, Operation, Shape, Term, Window},
    plan::{BatchError, Plan},
    table::Table,
};

/// First bytes of a key.
pub const KEY_MAGIC: &[u8; 4] = b"PZK1";
const NO_BIAS: u8 = 255;

/// Why bytes are not a model key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Too short, too long, or of another kind.
    #[error("malformed key: expected {0}")]
    Malformed(&'static str),
    /// Made with another ceremony.
    #[error("the key was made with another ceremony")]
    Ceremony,
    /// A network that is refused.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A network that is too large.
    #[error(transparent)]
    Size(#[from] BatchError),
    /// A point that is not canonical, not on the curve or not in the subgroup.
    #[error("a commitment is not a point of the group")]
    Point,
    /// Commitments missing or too many.
    #[error("expected `{expected}` commitments, got `{got}`")]
    Rows {
        /// What the weights need.
        expected: usize,
        /// What there is.
        got: usize,
    },
}

/// What a verifier knows of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelKey {
    stage: Stage,
    network: Network,
    rows: Vec<G1Affine>,
    digest: [u8; 32],
}

impl ModelKey {
    /// A key from a network and the commitments of its weights' rows.
    pub fn new(network: Network, rows: Vec<G1Affine>) -> Result<Self, KeyError> {
        Self::of(Stage::Succinct, network, rows)
    }

    /// The same with commitments that are blinded, so that the key hides the weights.
    pub fn hiding(network: Network, rows: Vec<G1Affine>) -> Result<Self, KeyError> {
        Self::of(Stage::Hiding, network, rows)
    }

    fn of(stage: Stage, network: Network, rows: Vec<G1Affine>) -> Result<Self, KeyError> {
        network.check()?;
        let expected = Plan::new(&network, 1)?.key.rows(network.row_bits);
        if rows.len() != expected {
            return Err(KeyError::Rows { expected, got: rows.len() });
        }
        let mut key = Self { stage, network, rows, digest: [0; 32] };
        key.digest = keccak256(key.encode()).0;
        Ok(key)
    }

    /// Whether the weights' commitments are blinded. Only hiding proofs speak of a hiding key.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Commitments of the weights' rows.
    pub fn rows(&self) -> &[G1Affine] {
        &self.rows
    }

    /// Keccak-256 of the bytes: what a registry stores.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The key's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = KEY_MAGIC.to_vec();
        bytes.extend([self.stage as u8, self.network.row_bits]);
        bytes.extend(CEREMONY);
        write_network(&mut bytes, &self.network);
        bytes.extend(u32::try_from(self.rows.len()).unwrap_or(u32::MAX).to_be_bytes());
        for row in &self.rows {
            bytes.extend(curve::encode_point(row));
        }
        bytes
    }

    /// Reads a key. Every key has one encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut reader = Reader(bytes);
        if reader.array::<4>()? != *KEY_MAGIC {
            return Err(KeyError::Malformed("a key of version 1"));
        }
        let stage = Stage::from_byte(reader.byte()?);
        let stage = stage.ok_or(KeyError::Malformed("a key of a known stage"))?;
        let row_bits = reader.byte()?;
        if reader.array::<32>()? != CEREMONY {
            return Err(KeyError::Ceremony);
        }
        let network = reader.network(row_bits)?;
        let expected = Plan::new(&network, 1)?.key.rows(row_bits);
        let got = u32::from_be_bytes(reader.array()?) as usize;
        if got != expected {
            return Err(KeyError::Rows { expected, got });
        }
        if reader.0.len() != expected * POINT_BYTES {
            return Err(KeyError::Malformed("nothing but its commitments at the end"));
        }
        let rows = curve::decode_points(reader.0).ok_or(KeyError::Point)?;
        Ok(Self { stage, network, rows, digest: keccak256(bytes).0 })
    }
}

// INVARIANT: `Network::check` bounds what the encoding counts in one or two bytes.
fn byte(value: usize) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

fn count(value: usize) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

/// Writes a network but for its rows' length.
pub(crate) fn write_network(bytes: &mut Vec<u8>, network: &Network) {
    write_shape(bytes, &network.input);
    bytes.extend(count(network.operations.len()).to_be_bytes());
    for operation in &network.operations {
        write_operation(bytes, operation);
    }
    bytes.push(byte(network.tables.len()));
    for table in &network.tables {
        match *table {
            Table::Clamp { bits, low, signed } => bytes.extend([0, bits, low, u8::from(signed)]),
            Table::Listed { bits, signed } => bytes.extend([1, bits, 0, u8::from(signed)]),
        }
    }
}

fn write_shape(bytes: &mut Vec<u8>, shape: &Shape) {
    bytes.push(byte(shape.dimensions().len()));
    bytes.extend(shape.dimensions().iter().flat_map(|size| size.to_be_bytes()));
}

fn write_operation(bytes: &mut Vec<u8>, operation: &Operation) {
    write_shape(bytes, &operation.shape);
    let table = operation.table.map_or(0, |table| table.saturating_add(1));
    bytes.extend([operation.shift, table, operation.bias.unwrap_or(NO_BIAS)]);
    bytes.push(byte(operation.terms.len()));
    for term in &operation.terms {
        let (kind, input) = match term {
            Term::Scale { input, .. } => (0, input),
            Term::Dense { input, .. } => (1, input),
            Term::Conv { input, .. } => (2, input),
            Term::Window { input, .. } => (3, input),
            Term::Product { inputs: [input, _], .. } => (4, input),
            Term::Arrange { input, .. } => (5, input),
        };
        bytes.push(kind);
        bytes.extend(input.to_be_bytes());
        match term {
            Term::Scale { coefficient, .. } => bytes.extend(coefficient.to_be_bytes()),
            Term::Dense { kept, .. } => bytes.push(*kept),
            Term::Conv { window, .. } => write_window(bytes, *window),
            Term::Window { coefficient, window, .. } => {
                bytes.extend(coefficient.to_be_bytes());
                write_window(bytes, *window);
            }
            Term::Product { inputs: [_, second], coefficient, labels } => {
                bytes.extend(coefficient.to_be_bytes());
                bytes.extend(labels[0].bytes());
                bytes.extend(second.to_be_bytes());
                bytes.extend(labels[1].bytes());
            }
            Term::Arrange { coefficient, labels, .. } => {
                bytes.extend(coefficient.to_be_bytes());
                bytes.extend(labels.bytes());
            }
        }
    }
}

fn write_window(bytes: &mut Vec<u8>, window: Window) {
    bytes.extend(window.kernel.iter().chain(&window.stride));
    bytes.extend(window.pad.iter().flat_map(|pad| pad.to_be_bytes()));
}

/// What is left of the bytes being read.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    /// A network that is not refused.
    pub(crate) fn network(&mut self, row_bits: u8) -> Result<Network, KeyError> {
        let input = self.shape()?;
        let operations = usize::from(u16::from_be_bytes(self.array()?));
        let operations = (0..operations).map(|_| self.operation()).collect::<Result<_, _>>()?;
        let tables = self.byte()?;
        let tables = (0..tables).map(|_| self.table()).collect::<Result<_, _>>()?;
        let network = Network { row_bits, input, operations, tables };
        network.check()?;
        Ok(network)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], KeyError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(KeyError::Malformed("more bytes"))?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, KeyError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn shape(&mut self) -> Result<Shape, KeyError> {
        let count = usize::from(self.byte()?);
        if count > MAX_DIMENSIONS {
            return Err(NetworkError::Shape.into());
        }
        let sizes = (0..count).map(|_| self.array().map(u32::from_be_bytes));
        Ok(Shape::new(&sizes.collect::<Result<Vec<_>, _>>()?)?)
    }

    fn operation(&mut self) -> Result<Operation, KeyError> {
        let shape = self.shape()?;
        let [shift, table, bias, terms] = self.array()?;
        let terms = (0..terms).map(|_| self.term()).collect::<Result<_, _>>()?;
        let bias = (bias != NO_BIAS).then_some(bias);
        Ok(Operation { shape, terms, bias, shift, table: table.checked_sub(1) })
    }

    fn term(&mut self) -> Result<Term, KeyError> {
        let kind = self.byte()?;
        let input = u16::from_be_bytes(self.array()?);
        match kind {
            0 => Ok(Term::Scale { input, coefficient: i32::from_be_bytes(self.array()?) }),
            1 => Ok(Term::Dense { input, kept: self.byte()? }),
            2 => Ok(Term::Conv { input, window: self.window()? }),
            3 => Ok(Term::Window {
                input,
                coefficient: i32::from_be_bytes(self.array()?),
                window: self.window()?,
            }),
            4 => {
                let coefficient = i32::from_be_bytes(self.array()?);
                let first = self.labels()?;
                let second = u16::from_be_bytes(self.array()?);
                let labels = [first, self.labels()?];
                Ok(Term::Product { inputs: [input, second], coefficient, labels })
            }
            5 => Ok(Term::Arrange {
                input,
                coefficient: i32::from_be_bytes(self.array()?),
                labels: self.labels()?,
            }),
            _ => Err(KeyError::Malformed("a known term")),
        }
    }

    fn labels(&mut self) -> Result<Labels, KeyError> {
        Ok(Labels::new(&self.array::<MAX_DIMENSIONS>()?))
    }

    fn window(&mut self) -> Result<Window, KeyError> {
        let (kernel, stride) = (self.array()?, self.array()?);
        let pad = self.array::<2>()?.map(|pad| i8::from_be_bytes([pad]));
        Ok(Window { kernel, stride, pad })
    }

    fn table(&mut self) -> Result<Table, KeyError> {
        match self.array()? {
            [0, bits, low, signed @ (0 | 1)] => Ok(Table::clamp(bits, low, signed == 1)),
            [1, bits, 0, signed @ (0 | 1)] => Ok(Table::Listed { bits, signed: signed == 1 }),
            _ => Err(KeyError::Malformed("a known table")),
        }
    }
}
