//! Where everything lies: columns of the key's and the witness's vectors, and the lookups' leaves
//! (reference §2 and §4). Both prover and verifier derive it from the network and the batch.

use crate::{
    network::{MAX_TENSOR_BITS, Network, bits, bits_of},
    opening::Vector,
    table::BYTE_BITS,
};

/// A tensor's place in a vector: `2^bits` values from `offset` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Binary logarithm of the padded length.
    pub bits: u32,
    /// First index; a multiple of the length.
    pub offset: usize,
}

/// Columns of a vector.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Columns(Vec<Column>);

impl Columns {
    /// Places columns by descending size, ties in order.
    fn place(sizes: &[u32]) -> Self {
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(sizes.get(*index)));
        let mut columns = vec![Column { bits: 0, offset: 0 }; sizes.len()];
        let mut offset = 0;
        for index in order {
            if let (Some(column), Some(bits)) = (columns.get_mut(index), sizes.get(index)) {
                *column = Column { bits: *bits, offset };
                offset += 1 << bits;
            }
        }
        Self(columns)
    }

    /// The columns in the order listed.
    pub fn all(&self) -> &[Column] {
        &self.0
    }

    /// Where a column lies; one that was never listed is empty.
    pub fn get(&self, index: usize) -> Column {
        self.0.get(index).copied().unwrap_or(Column { bits: 0, offset: 0 })
    }

    /// Values up to the last column's end.
    pub fn len(&self) -> usize {
        self.0.iter().map(|column| column.offset + (1 << column.bits)).max().unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Committed rows.
    pub fn rows(&self, row_bits: u8) -> usize {
        self.len().div_ceil(1 << row_bits)
    }
}

/// Which columns and leaves an operation has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperationPlan {
    /// Weights of each term, among the key's columns.
    pub weights: Vec<Option<usize>>,
    /// The bias, among the key's columns.
    pub bias: Option<usize>,
    /// The output, among the witness's columns, unless it is the network's.
    pub output: Option<usize>,
    /// The remainder's bytes, among the witness's columns.
    pub remainder: Vec<usize>,
    /// The remainder's bytes, among the leaves.
    pub byte_leaves: Vec<usize>,
    /// The table's lookups, among the leaves.
    pub table_leaves: Option<usize>,
    /// Bits of the output, batch included.
    pub bits: u32,
}

/// A lookup table's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TablePlan {
    /// Multiplicities, among the witness's columns.
    pub multiplicity: usize,
    /// The table, among the leaves.
    pub leaves: usize,
    /// Listed values, among the key's columns.
    pub values: Option<usize>,
}

/// Public inputs of at least as many bits, batch included, are committed: the verifier then reads many
/// values at once instead of evaluating their extension.
const COMMITTED_INPUT_BITS: u32 = 9;

/// A committed input's places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputPlan {
    /// The vector that has the input: the witness's if it is public, else its own.
    pub vector: Vector,
    /// Its column there.
    pub column: Column,
    /// Its lookups, among the leaves.
    pub leaves: usize,
    /// How it is shown that padding is zero, if the input is hidden.
    pub hidden: Option<PaddingPlan>,
}

/// Padding of a hidden input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaddingPlan {
    /// The leaf of the tuple that padded positions look up.
    pub zero: usize,
    /// Padded positions.
    pub count: usize,
}

/// Why a batch is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// No input.
    #[error("a batch needs at least one input")]
    Empty,
    /// A tensor of the batch, or all of them, is too large.
    #[error("a batch of `{0}` needs tensors beyond 2^{MAX_TENSOR_BITS} values")]
    Size(u32),
}

/// Places of everything for a network and a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Bits of the batch's index.
    pub batch_bits: u32,
    /// The input, if it is committed.
    pub input: Option<InputPlan>,
    /// Per operation.
    pub operations: Vec<OperationPlan>,
    /// The byte table, if any remainder exists or the input is committed.
    pub bytes: Option<TablePlan>,
    /// Per table.
    pub tables: Vec<TablePlan>,
    /// Weights and biases.
    pub key: Columns,
    /// Outputs, remainders, multiplicities.
    pub witness: Columns,
    /// Lookups and tables.
    pub leaves: Columns,
    /// Bits of the leaves' index.
    pub leaf_bits: u32,
}

/// Collects sizes and hands out their indices.
#[derive(Default)]
pub(crate) struct Sizes(Vec<u32>);

impl Sizes {
    pub(crate) fn add(&mut self, bits: u32) -> usize {
        self.0.push(bits);
        self.0.len() - 1
    }

    pub(crate) fn place(&self) -> Columns {
        Columns::place(&self.0)
    }
}

impl Plan {
    /// Where a tensor is committed, if it is.
    pub fn tensor(&self, tensor: usize) -> Option<(Vector, Column)> {
        match tensor.checked_sub(1) {
            None => self.input.map(|input| (input.vector, input.column)),
            Some(operation) => {
                let column = self.operations.get(operation)?.output?;
                Some((Vector::Witness, self.witness.get(column)))
            }
        }
    }

    /// Places everything for `batch` inputs of a network that was checked.
    pub fn new(network: &Network, batch: u32) -> Result<Self, BatchError> {
        Self::place(network, batch, false)
    }

    /// Places everything for a hiding proof: the input is committed, and looked up.
    pub fn hiding(network: &Network, batch: u32) -> Result<Self, BatchError> {
        Self::place(network, batch, true)
    }

    fn place(network: &Network, batch: u32, hiding: bool) -> Result<Self, BatchError> {
        if batch == 0 {
            return Err(BatchError::Empty);
        }
        let (mut key, mut witness, mut leaves) =
            (Sizes::default(), Sizes::default(), Sizes::default());
        let batch_bits = if batch > 1 << MAX_TENSOR_BITS { 32 } else { bits(batch) };
        let input_bits = batch_bits + network.input.bits();
        if input_bits > MAX_TENSOR_BITS {
            return Err(BatchError::Size(batch));
        }
        let column =
            (!hiding && input_bits >= COMMITTED_INPUT_BITS).then(|| witness.add(input_bits));
        let input = (hiding || column.is_some()).then(|| InputPlan {
            vector: if hiding { Vector::Input } else { Vector::Witness },
            column: Column { bits: input_bits, offset: 0 },
            leaves: leaves.add(input_bits),
            hidden: hiding.then(|| PaddingPlan {
                zero: leaves.add(0),
                count: (1usize << input_bits)
                    .saturating_sub((batch as usize).saturating_mul(network.input.len())),
            }),
        });
        let last = network.operations.len().saturating_sub(1);
        let mut operations = vec![];
        for (index, operation) in network.operations.iter().enumerate() {
            let bits = batch_bits + operation.shape.bits();
            if bits > MAX_TENSOR_BITS {
                return Err(BatchError::Size(batch));
            }
            let mut plan = OperationPlan { bits, ..OperationPlan::default() };
            for term in &operation.terms {
                let shape = term.weights(&operation.shape, network.tensor(term.input()));
                plan.weights.push(shape.map(|shape| key.add(bits_of(&shape))));
            }
            plan.bias = operation
                .bias_axes()
                .and_then(|axes| operation.shape.dimensions().get(axes))
                .map(|sizes| key.add(bits_of(sizes)));
            plan.output = (index < last).then(|| witness.add(bits));
            for _ in 0..operation.remainder_bytes() {
                plan.remainder.push(witness.add(bits));
                plan.byte_leaves.push(leaves.add(bits));
            }
            plan.table_leaves = operation.table.map(|_| leaves.add(bits));
            operations.push(plan);
        }
        let mut table = |bits, values| TablePlan {
            multiplicity: witness.add(bits),
            leaves: leaves.add(bits),
            values,
        };
        let bytes = operations.iter().any(|plan| !plan.remainder.is_empty()) || input.is_some();
        let bytes = bytes.then(|| table(BYTE_BITS, None));
        let tables = network.tables.iter().map(|t| {
            let bits = u32::from(t.bits());
            table(bits, t.is_listed().then(|| key.add(bits)))
        });
        let tables = tables.collect();
        let [key, witness, leaves] = [key, witness, leaves].map(|sizes| sizes.place());
        if witness.len() >> (MAX_TENSOR_BITS + 2) > 0 || leaves.len() >> (MAX_TENSOR_BITS + 2) > 0 {
            return Err(BatchError::Size(batch));
        }
        let place = |input: InputPlan| match column {
            Some(column) => InputPlan { column: witness.get(column), ..input },
            None => input,
        };
        let input = input.map(place);
        let leaf_bits = leaves.len().max(1).next_power_of_two().trailing_zeros();
        Ok(Self { batch_bits, input, operations, bytes, tables, key, witness, leaves, leaf_bits })
    }
}
