//! Models: networks with weights, and the interpreter that defines what they compute (reference §1).

use std::ops::Range;

use crate::{
    Table, bounds, labels,
    network::{Network, NetworkError, Operation, Shape, Term, Window},
};

/// Accumulators stay below this magnitude, far from the field's order.
pub const MAX_ACCUMULATOR: i64 = 1 << 62;

/// Why a model is refused, or cannot be run. Operations are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The network is refused.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Weights, multipliers or biases of another number than the shapes need.
    #[error("operation `{0}`: weights, multipliers or bias do not fit its shapes")]
    Weights(usize),
    /// Listed values of another number, for a table that lists none, or not 0 for 0.
    #[error("table `{0}`: its values do not fit its size, or 0 does not become 0")]
    Table(usize),
    /// Some input could make an accumulator leave its range.
    #[error("operation `{operation}`: accumulators may reach `{reach}`, beyond `{bound}`")]
    Overflow {
        /// Which operation.
        operation: usize,
        /// Largest magnitude that an input could cause, saturated.
        reach: i64,
        /// What the table or the arithmetic holds.
        bound: i64,
    },
    /// An input of another length.
    #[error("expected `{expected}` input values, got `{got}`")]
    Input {
        /// What the network needs.
        expected: usize,
        /// What there is.
        got: usize,
    },
}

/// Weights of one operation, without padding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Weights {
    /// Per term: `[channel, …]` in row-major order; empty for terms without weights.
    pub terms: Vec<Vec<i8>>,
    /// Fixed-point multiplier of each channel; empty for operations without weights.
    pub multipliers: Vec<i32>,
    /// Bias of each channel, in units of the accumulator before the multiplier.
    pub bias: Vec<i32>,
}

/// A network with its weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    network: Network,
    weights: Vec<Weights>,
    /// Per table: what is listed; empty for saturating tables.
    tables: Vec<Vec<i32>>,
}

/// All that a run computed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// Per operation: accumulators with bias and rounding.
    pub accumulators: Vec<Vec<i64>>,
    /// Per operation: outputs.
    pub outputs: Vec<Vec<i64>>,
}

impl Model {
    /// A model without listed tables, whose accumulators cannot overflow, whatever the input.
    pub fn new(network: Network, weights: Vec<Weights>) -> Result<Self, ModelError> {
        let tables = vec![vec![]; network.tables.len()];
        Self::with_tables(network, weights, tables)
    }

    /// A model whose accumulators cannot overflow, whatever the input.
    pub fn with_tables(
        network: Network,
        weights: Vec<Weights>,
        tables: Vec<Vec<i32>>,
    ) -> Result<Self, ModelError> {
        network.check()?;
        let model = Self { network, weights, tables };
        model.check_tables()?;
        model.check_weights()?;
        bounds::check(&model)?;
        Ok(model)
    }

    /// What the tables list, in order; nothing for saturating tables.
    pub fn tables(&self) -> &[Vec<i32>] {
        &self.tables
    }

    /// What a table makes of `u`; `None` outside.
    pub fn entry(&self, table: usize, u: i64) -> Option<i64> {
        let of_network = self.network.tables.get(table)?;
        if !of_network.is_listed() {
            return of_network.get(u);
        }
        self.tables.get(table)?.get(of_network.index(u)?).map(|value| i64::from(*value))
    }

    fn check_tables(&self) -> Result<(), ModelError> {
        for (index, table) in self.network.tables.iter().enumerate() {
            let listed = self.tables.get(index).map_or(0, Vec::len);
            let expected = if table.is_listed() { table.size() } else { 0 };
            // Padding looks up 0.
            if listed != expected || self.entry(index, 0) != Some(0) {
                return Err(ModelError::Table(index));
            }
        }
        let count = self.network.tables.len();
        if self.tables.len() == count { Ok(()) } else { Err(ModelError::Table(count)) }
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Weights per operation.
    pub fn weights(&self) -> &[Weights] {
        &self.weights
    }

    fn check_weights(&self) -> Result<(), ModelError> {
        for (index, operation) in self.network.operations.iter().enumerate() {
            let weights = self.weights.get(index).ok_or(ModelError::Weights(index))?;
            let shapes: Vec<_> = operation
                .terms
                .iter()
                .map(|term| {
                    let shape = term.weights(&operation.shape, self.network.tensor(term.input()));
                    shape.map_or(0, |s| s.iter().map(|size| *size as usize).product::<usize>())
                })
                .collect();
            let terms: Vec<_> = weights.terms.iter().map(Vec::len).collect();
            let channels = channels(operation);
            let multipliers = if shapes.iter().any(|count| *count > 0) { channels } else { 0 };
            let dimensions = operation.shape.dimensions();
            let bias = operation.bias_axes().map_or(0, |axes| product(dimensions, axes));
            let own = channel_axes(operation);
            // A bias is in units of its channel's multiplier.
            let along = operation.bias_axes().is_none_or(|axes| {
                multipliers == 0 || (axes.start <= own.start && own.end <= axes.end)
            });
            if terms != shapes
                || weights.multipliers.len() != multipliers
                || weights.bias.len() != bias
                || !along
                || !same_channels(operation)
            {
                return Err(ModelError::Weights(index));
            }
        }
        if self.weights.len() == self.network.operations.len() {
            Ok(())
        } else {
            Err(ModelError::Weights(self.network.operations.len()))
        }
    }

    /// Runs the network on one input.
    pub fn run(&self, input: &[i8]) -> Result<Trace, ModelError> {
        let expected = self.network.input.len();
        if input.len() != expected {
            return Err(ModelError::Input { expected, got: input.len() });
        }
        let input: Vec<i64> = input.iter().copied().map(i64::from).collect();
        let mut trace = Trace::default();
        for (index, (operation, weights)) in
            self.network.operations.iter().zip(&self.weights).enumerate()
        {
            let tensor = |tensor: usize| match tensor.checked_sub(1) {
                None => input.as_slice(),
                Some(earlier) => trace.outputs.get(earlier).map_or(&[][..], Vec::as_slice),
            };
            let accumulators = self.accumulate(operation, weights, &tensor);
            let output = self.requantise(index, operation, &accumulators)?;
            trace.accumulators.push(accumulators);
            trace.outputs.push(output);
        }
        Ok(trace)
    }

    fn accumulate<'a>(
        &self,
        operation: &Operation,
        weights: &Weights,
        tensor: &dyn Fn(usize) -> &'a [i64],
    ) -> Vec<i64> {
        let mut sums = vec![0; operation.shape.len()];
        for (term, values) in operation.terms.iter().zip(&weights.terms) {
            let (from, data) = (self.network.tensor(term.input()), tensor(term.input()));
            match term {
                Term::Scale { coefficient, .. } => {
                    sums.iter_mut().zip(data).for_each(|(sum, value)| {
                        *sum += i64::from(*coefficient) * value;
                    });
                }
                Term::Dense { kept, .. } => {
                    dense(&mut sums, *kept, from, data, values, &weights.multipliers);
                }
                Term::Conv { window, .. } => {
                    conv(
                        &mut sums,
                        &operation.shape,
                        from,
                        data,
                        (*window, values, &weights.multipliers),
                    );
                }
                Term::Product { inputs: [_, second], coefficient, labels } => {
                    let second = usize::from(*second);
                    let (other, other_data) = (self.network.tensor(second), tensor(second));
                    let operands =
                        [(&labels[0], from.dimensions()), (&labels[1], other.dimensions())];
                    labels::walk(operation.shape.dimensions(), operands, |at, [a, b]| {
                        sums[at] += i64::from(*coefficient) * data[a] * other_data[b];
                    });
                }
                Term::Arrange { coefficient, labels, .. } => {
                    let operand = [(labels, from.dimensions())];
                    labels::walk(operation.shape.dimensions(), operand, |at, [a]| {
                        sums[at] += i64::from(*coefficient) * data[a];
                    });
                }
                Term::Window { coefficient, window, .. } => {
                    pool(
                        &mut sums,
                        &operation.shape,
                        from,
                        data,
                        (*window, i64::from(*coefficient)),
                    );
                }
            }
        }
        let dimensions = operation.shape.dimensions();
        let scaled = scaled_bias(operation, weights);
        let inner = operation.bias_axes().map_or(1, |a| product(dimensions, a.end..MAX));
        for (index, sum) in sums.iter_mut().enumerate() {
            let bias = scaled.get(index / inner % scaled.len().max(1)).copied().unwrap_or(0);
            *sum += bias + operation.rounding();
        }
        sums
    }

    fn requantise(
        &self,
        index: usize,
        operation: &Operation,
        sums: &[i64],
    ) -> Result<Vec<i64>, ModelError> {
        let Some(table) = operation.table.map(usize::from) else {
            return Ok(sums.to_vec());
        };
        let lookup = |sum: &i64| {
            let u = sum >> operation.shift;
            let bound = self.network.tables.get(table).map_or(0, Table::end);
            self.entry(table, u).ok_or(ModelError::Overflow { operation: index, reach: u, bound })
        };
        sums.iter().map(lookup).collect()
    }
}

/// Past every dimension.
const MAX: usize = crate::network::MAX_DIMENSIONS;

fn product(dimensions: &[u32], axes: Range<usize>) -> usize {
    let own = dimensions.iter().take(axes.end).skip(axes.start);
    own.map(|size| *size as usize).product()
}

/// The dimensions of the channels: the first after a convolution or window, those that the weights
/// bring after a matrix product, else the last.
pub fn channel_axes(operation: &Operation) -> Range<usize> {
    let count = operation.shape.dimensions().len();
    let of_term = |term: &Term| match term {
        Term::Conv { .. } | Term::Window { .. } => Some(0..1),
        Term::Dense { kept, .. } => Some(usize::from(*kept)..count),
        _ => None,
    };
    operation.terms.iter().find_map(of_term).unwrap_or(count - 1..count)
}

pub(crate) fn channels(operation: &Operation) -> usize {
    product(operation.shape.dimensions(), channel_axes(operation))
}

/// Terms with weights share multipliers, so they have the same channels.
fn same_channels(operation: &Operation) -> bool {
    let kind = |term: &Term| match term {
        Term::Dense { kept, .. } => Some(usize::from(*kept)),
        Term::Conv { .. } => Some(MAX),
        _ => None,
    };
    let mut kinds = operation.terms.iter().filter_map(kind);
    let first = kinds.next();
    let alone = first.is_none_or(|kind| kind == MAX)
        || !operation.terms.iter().any(|term| matches!(term, Term::Window { .. }));
    alone && kinds.all(|kind| Some(kind) == first)
}

/// The channel of a bias's index.
pub(crate) fn bias_channel(operation: &Operation, index: usize) -> usize {
    let axes = operation.bias_axes().unwrap_or(0..0);
    let inner = product(operation.shape.dimensions(), channel_axes(operation).end..axes.end);
    index / inner.max(1) % channels(operation).max(1)
}

/// The bias times its channel's multiplier, as accumulators and keys hold it.
pub fn scaled_bias(operation: &Operation, weights: &Weights) -> Vec<i64> {
    let scaled = |(index, bias): (usize, &i32)| {
        let multiplier = weights.multipliers.get(bias_channel(operation, index)).copied();
        i64::from(*bias) * multiplier.map_or(1, i64::from)
    };
    weights.bias.iter().enumerate().map(scaled).collect()
}

fn dense(
    sums: &mut [i64],
    kept: u8,
    from: &Shape,
    data: &[i64],
    weights: &[i8],
    multipliers: &[i32],
) {
    let inner: usize =
        from.dimensions().iter().skip(usize::from(kept)).map(|size| *size as usize).product();
    for (sums, data) in sums.chunks_mut(multipliers.len()).zip(data.chunks(inner)) {
        for ((sum, row), multiplier) in sums.iter_mut().zip(weights.chunks(inner)).zip(multipliers)
        {
            let products = row.iter().zip(data).map(|(weight, value)| i64::from(*weight) * value);
            *sum += products.sum::<i64>() * i64::from(*multiplier);
        }
    }
}

fn planes(shape: &Shape) -> usize {
    shape.dimensions().iter().skip(1).map(|size| *size as usize).product()
}

fn conv(
    sums: &mut [i64],
    to: &Shape,
    from: &Shape,
    data: &[i64],
    (window, weights, multipliers): (Window, &[i8], &[i32]),
) {
    let taps = usize::from(window.kernel[0]) * usize::from(window.kernel[1]);
    let (plane, in_plane) = (planes(to), planes(from));
    let kernels = weights.chunks(taps * (data.len() / in_plane).max(1));
    for ((sums, kernel), multiplier) in sums.chunks_mut(plane).zip(kernels).zip(multipliers) {
        let mut plane = vec![0i64; sums.len()];
        for (kernel, data) in kernel.chunks(taps).zip(data.chunks(in_plane)) {
            window.slide(to.dimensions(), from.dimensions(), |at, tap, source| {
                plane[at] += i64::from(kernel[tap]) * data[source];
            });
        }
        for (sum, value) in sums.iter_mut().zip(plane) {
            *sum += value * i64::from(*multiplier);
        }
    }
}

fn pool(
    sums: &mut [i64],
    to: &Shape,
    from: &Shape,
    data: &[i64],
    (window, coefficient): (Window, i64),
) {
    for (sums, data) in sums.chunks_mut(planes(to)).zip(data.chunks(planes(from))) {
        window.slide(to.dimensions(), from.dimensions(), |at, _, source| {
            sums[at] += coefficient * data[source];
        });
    }
}
