//! Integer networks: shapes and operations, without weights (reference §1).

use std::ops::Range;

use crate::{
    labels::{self, Labels},
    table::Table,
};

/// Most operations, and terms of one operation.
pub const MAX_OPERATIONS: usize = 512;
/// Most terms of one operation.
pub const MAX_TERMS: usize = 64;
/// Most bits of a padded tensor, batch included.
pub const MAX_TENSOR_BITS: u32 = 26;
/// Most dimensions of a tensor.
pub const MAX_DIMENSIONS: usize = 4;
/// Largest kernel of a convolution or window.
pub const MAX_KERNEL: u8 = 16;

/// Why a network is refused. Operations are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// A shape without dimensions, with too many, or with one that is zero or too large.
    #[error(
        "a shape needs 1 to {MAX_DIMENSIONS} dimensions from 1 to 65536, below 2^{MAX_TENSOR_BITS} padded values"
    )]
    Shape,
    /// None, or more than [`MAX_OPERATIONS`].
    #[error("expected 1 to {MAX_OPERATIONS} operations, got `{0}`")]
    Operations(usize),
    /// Rows of another size than the ceremony allows.
    #[error("expected rows of 2^6 to 2^12 values, got 2^`{0}`")]
    RowBits(u8),
    /// A table with impossible sizes.
    #[error("table `{0}` has impossible sizes")]
    Table(usize),
    /// Shift, table and bias that do not go together.
    #[error("operation `{0}`: a shift is 0, 8, 16 or 24, and needs a table of the network")]
    Requantisation(usize),
    /// The bias is not along a dimension.
    #[error("operation `{0}`: the bias's axis does not exist")]
    Bias(usize),
    /// A term that reads a later tensor, or shapes that do not fit.
    #[error("operation `{operation}`: term `{term}` does not fit its input's shape")]
    Term {
        /// Which operation.
        operation: usize,
        /// Which of its terms.
        term: usize,
    },
}

/// The dimensions of a tensor, each padded by itself to a power of two.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape(Vec<u32>);

impl Shape {
    /// From 1 to 4 dimensions of 1 to 65536.
    pub fn new(dimensions: &[u32]) -> Result<Self, NetworkError> {
        let count = 1..=MAX_DIMENSIONS;
        let fine = dimensions.iter().all(|size| (1..=1 << 16).contains(size));
        let shape = Self(dimensions.to_vec());
        if count.contains(&dimensions.len()) && fine && shape.bits() <= MAX_TENSOR_BITS {
            Ok(shape)
        } else {
            Err(NetworkError::Shape)
        }
    }

    /// The dimensions.
    pub fn dimensions(&self) -> &[u32] {
        &self.0
    }

    /// Values without padding.
    pub fn len(&self) -> usize {
        self.0.iter().map(|size| *size as usize).product()
    }

    /// Never: every dimension is at least 1.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bits of the padded index.
    pub fn bits(&self) -> u32 {
        bits_of(&self.0)
    }

    /// Where each value lies in the padded tensor, in row-major order of the values.
    pub fn padded(&self) -> Vec<usize> {
        self.0.iter().fold(vec![0], |indices, size| {
            let bits = bits(*size);
            let spread = |index: &usize| {
                let base = index << bits;
                (0..*size as usize).map(move |i| base | i)
            };
            indices.iter().flat_map(spread).collect()
        })
    }
}

/// Bits of an index below `size`.
pub fn bits(size: u32) -> u32 {
    size.max(1).next_power_of_two().trailing_zeros()
}

/// Bits of the padded index over dimensions.
pub fn bits_of(dimensions: &[u32]) -> u32 {
    dimensions.iter().map(|size| bits(*size)).sum()
}

/// A sliding window over the last two of three dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Rows and columns of the kernel.
    pub kernel: [u8; 2],
    /// Steps between positions.
    pub stride: [u8; 2],
    /// Zeros in front; negative values skip.
    pub pad: [i8; 2],
}

impl Window {
    /// Where output position `at` meets the input under tap `tap`, if within `size`.
    pub fn source(self, axis: usize, at: usize, tap: usize, size: u32) -> Option<usize> {
        let from = (at * usize::from(self.stride[axis]) + tap)
            .checked_add_signed(-isize::from(self.pad[axis]))?;
        (from < size as usize).then_some(from)
    }

    /// Output positions, taps and sources along one axis.
    fn meetings(self, axis: usize, out: u32, size: u32) -> Vec<[usize; 3]> {
        let taps = 0..usize::from(self.kernel[axis]);
        let meet = |at: usize| {
            let source = move |tap| Some([at, tap, self.source(axis, at, tap, size)?]);
            taps.clone().filter_map(source)
        };
        (0..out as usize).flat_map(meet).collect()
    }

    /// Visits every position of an output's plane, with each tap and the place in the input's plane
    /// that it meets, for tensors of `[channels, rows, columns]`.
    pub fn slide(self, to: &[u32], from: &[u32], mut visit: impl FnMut(usize, usize, usize)) {
        let (&[_, rows, columns], &[_, in_rows, in_columns]) = (to, from) else { return };
        let across = self.meetings(1, columns, in_columns);
        let (width, out, size) =
            (usize::from(self.kernel[1]), columns as usize, in_columns as usize);
        for [y, i, row] in self.meetings(0, rows, in_rows) {
            for [x, j, column] in &across {
                visit(y * out + x, i * width + j, row * size + column);
            }
        }
    }

    fn is_valid(self) -> bool {
        let sizes = self.kernel.iter().chain(&self.stride);
        sizes.copied().all(|size| (1..=MAX_KERNEL).contains(&size))
    }
}

/// What an operation adds up. Tensor 0 is the network's input, tensor `i + 1` operation `i`'s output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Term {
    /// `coefficient · input`, of the same shape.
    Scale {
        /// Tensor read.
        input: u16,
        /// Factor.
        coefficient: i32,
    },
    /// A matrix product: the first `kept` dimensions stay, the others are summed; the output's
    /// dimensions from there on are the weights'.
    Dense {
        /// Tensor read.
        input: u16,
        /// Dimensions kept.
        kept: u8,
    },
    /// A convolution of `[channels, rows, columns]`.
    Conv {
        /// Tensor read.
        input: u16,
        /// Kernel, stride, padding.
        window: Window,
    },
    /// `coefficient` times the sum under a window, channel by channel.
    Window {
        /// Tensor read.
        input: u16,
        /// Factor.
        coefficient: i32,
        /// Kernel, stride, padding.
        window: Window,
    },
    /// `coefficient` times the product of two tensors, summed over indices that the output lacks.
    Product {
        /// Tensors read.
        inputs: [u16; 2],
        /// Factor.
        coefficient: i32,
        /// Their dimensions' labels.
        labels: [Labels; 2],
    },
    /// `coefficient` times a tensor with its dimensions put elsewhere, summed, or repeated.
    Arrange {
        /// Tensor read.
        input: u16,
        /// Factor.
        coefficient: i32,
        /// Its dimensions' labels.
        labels: Labels,
    },
}

impl Term {
    /// The tensor read; the first of two.
    pub fn input(&self) -> usize {
        match self {
            Self::Scale { input, .. }
            | Self::Dense { input, .. }
            | Self::Conv { input, .. }
            | Self::Window { input, .. }
            | Self::Product { inputs: [input, _], .. }
            | Self::Arrange { input, .. } => usize::from(*input),
        }
    }

    /// The tensors read.
    pub fn inputs(&self) -> impl Iterator<Item = usize> {
        let second = match self {
            Self::Product { inputs: [_, second], .. } => Some(usize::from(*second)),
            _ => None,
        };
        std::iter::once(self.input()).chain(second)
    }

    /// Whether its sum needs a sumcheck.
    pub fn is_summed(&self) -> bool {
        !matches!(self, Self::Scale { .. } | Self::Arrange { .. })
    }

    /// Shape of the weights for an output and an input, if the term has weights.
    pub fn weights(&self, output: &Shape, input: &Shape) -> Option<Vec<u32>> {
        match self {
            Self::Dense { kept, .. } => {
                let [own, summed] =
                    [output, input].map(|s| s.dimensions().iter().skip(usize::from(*kept)));
                Some(own.chain(summed).copied().collect())
            }
            Self::Conv { window, .. } => Some(vec![
                *output.dimensions().first()?,
                *input.dimensions().first()?,
                u32::from(window.kernel[0]),
                u32::from(window.kernel[1]),
            ]),
            _ => None,
        }
    }

    fn fits(&self, output: &Shape, input: &Shape, second: &Shape) -> bool {
        let (to, from) = (output.dimensions(), input.dimensions());
        match self {
            Self::Scale { .. } => to == from,
            Self::Dense { kept, .. } => {
                let kept = usize::from(*kept);
                kept < from.len()
                    && kept < to.len()
                    && to.iter().zip(from).take(kept).all(|(a, b)| a == b)
            }
            Self::Conv { window, .. } => to.len() == 3 && from.len() == 3 && window.is_valid(),
            Self::Window { window, .. } => {
                to.len() == 3 && from.len() == 3 && to.first() == from.first() && window.is_valid()
            }
            Self::Product { labels, .. } => {
                labels::product_fits(labels, to, [from, second.dimensions()])
            }
            Self::Arrange { labels, .. } => labels.fit(to, from),
        }
    }
}

/// One operation: terms, bias, requantisation, table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Operation {
    /// Shape of the output.
    pub shape: Shape,
    /// The terms that are added up.
    pub terms: Vec<Term>,
    /// Dimensions along which the bias goes: the first, plus 16 for each that follows it.
    pub bias: Option<u8>,
    /// Bits dropped after rounding: 0, 8, 16 or 24.
    pub shift: u8,
    /// Table applied, from 0.
    pub table: Option<u8>,
}

impl Operation {
    /// Dimensions along which the bias goes.
    pub fn bias_axes(&self) -> Option<Range<usize>> {
        let (first, more) = (usize::from(self.bias? & 15), usize::from(self.bias? >> 4));
        Some(first..first + more + 1)
    }

    /// Bytes of the remainder.
    pub fn remainder_bytes(&self) -> usize {
        usize::from(self.shift / 8)
    }

    /// Added before the shift, so that it rounds half up.
    pub fn rounding(&self) -> i64 {
        if self.shift == 0 { 0 } else { 1 << (self.shift - 1) }
    }
}

/// A network without its weights.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Network {
    /// Committed rows have `2^row_bits` values.
    pub row_bits: u8,
    /// Shape of the input.
    pub input: Shape,
    /// The operations; the last one's output is the network's.
    pub operations: Vec<Operation>,
    /// The tables they use.
    pub tables: Vec<Table>,
}

impl Network {
    /// Shape of a tensor.
    pub fn tensor(&self, tensor: usize) -> &Shape {
        match tensor.checked_sub(1).and_then(|operation| self.operations.get(operation)) {
            Some(operation) => &operation.shape,
            None => &self.input,
        }
    }

    /// Shape of the output.
    pub fn output(&self) -> &Shape {
        self.tensor(self.operations.len())
    }

    /// Whether every operation can be carried out.
    pub fn check(&self) -> Result<(), NetworkError> {
        if !(6..=crate::curve::MAX_ROW_BITS).contains(&self.row_bits) {
            return Err(NetworkError::RowBits(self.row_bits));
        }
        let count = self.operations.len();
        if count == 0 || count > MAX_OPERATIONS {
            return Err(NetworkError::Operations(count));
        }
        if let Some(table) = self.tables.iter().position(|table| !table.is_valid()) {
            return Err(NetworkError::Table(table));
        }
        self.operations
            .iter()
            .enumerate()
            .try_for_each(|(i, operation)| self.check_one(i, operation))
    }

    fn check_one(&self, index: usize, operation: &Operation) -> Result<(), NetworkError> {
        let table = operation.table.map(usize::from);
        if !matches!(operation.shift, 0 | 8 | 16 | 24)
            || (operation.shift > 0 && table.is_none())
            || table.is_some_and(|table| table >= self.tables.len())
        {
            return Err(NetworkError::Requantisation(index));
        }
        let dimensions = operation.shape.dimensions().len();
        if operation.bias_axes().is_some_and(|axes| axes.end > dimensions) {
            return Err(NetworkError::Bias(index));
        }
        let terms = &operation.terms;
        let bad = terms.iter().position(|term| {
            let second = self.tensor(term.inputs().last().unwrap_or(0));
            term.inputs().any(|input| input > index)
                || !term.fits(&operation.shape, self.tensor(term.input()), second)
                || term
                    .weights(&operation.shape, self.tensor(term.input()))
                    .is_some_and(|shape| bits_of(&shape) > MAX_TENSOR_BITS)
        });
        match bad {
            Some(term) => Err(NetworkError::Term { operation: index, term }),
            // Without terms an operation is a constant.
            None if (terms.is_empty() && operation.bias.is_none()) || terms.len() > MAX_TERMS => {
                Err(NetworkError::Term { operation: index, term: terms.len() })
            }
            None => Ok(()),
        }
    }
}
