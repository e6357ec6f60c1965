//! Models: networks with weights, and the interpreter that defines what they compute (reference §1).

use crate::bounds;
use crate::network::{Network, NetworkError, Operation, Shape, Term, Window};

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
    /// A model whose accumulators cannot overflow, whatever the input.
    pub fn new(network: Network, weights: Vec<Weights>) -> Result<Self, ModelError> {
        network.check()?;
        let model = Self { network, weights };
        model.check_weights()?;
        bounds::check(&model.network, &model.weights)?;
        Ok(model)
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
            let bias = operation.bias.map_or(0, |_| channels);
            let along =
                operation.bias.is_none_or(|axis| usize::from(axis) == channel_axis(operation));
            if terms != shapes
                || weights.multipliers.len() != multipliers
                || weights.bias.len() != bias
                || !along
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
        let inner: usize =
            dimensions.iter().skip(channel_axis(operation) + 1).map(|s| *s as usize).product();
        let channels = channels(operation);
        for (index, sum) in sums.iter_mut().enumerate() {
            let channel = index / inner % channels;
            let multiplier = weights.multipliers.get(channel).copied().map_or(1, i64::from);
            let bias = weights.bias.get(channel).copied().map_or(0, i64::from);
            *sum += bias * multiplier + operation.rounding();
        }
        sums
    }

    fn requantise(
        &self,
        index: usize,
        operation: &Operation,
        sums: &[i64],
    ) -> Result<Vec<i64>, ModelError> {
        let Some(table) =
            operation.table.and_then(|table| self.network.tables.get(usize::from(table)))
        else {
            return Ok(sums.to_vec());
        };
        let lookup = |sum: &i64| {
            let u = sum >> operation.shift;
            let bound = -table.min();
            table.get(u).ok_or(ModelError::Overflow { operation: index, reach: u, bound })
        };
        sums.iter().map(lookup).collect()
    }
}

/// The dimension of the channels: the first after a convolution or window, else the last.
pub fn channel_axis(operation: &Operation) -> usize {
    let first = |term: &Term| matches!(term, Term::Conv { .. } | Term::Window { .. });
    if operation.terms.iter().any(first) { 0 } else { operation.shape.dimensions().len() - 1 }
}

pub(crate) fn channels(operation: &Operation) -> usize {
    operation.shape.dimensions().get(channel_axis(operation)).map_or(0, |size| *size as usize)
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
