//! Float networks: what is imported, calibrated and quantised.

use probity_zk::{
    Labels, Window,
    labels::{self, SUMMED},
};

use crate::function::Function;

/// Computes one value from earlier ones. Value 0 is the input, value `i + 1` node `i`'s.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The name in the file, for messages.
    pub name: String,
    /// Dimensions of the value, without the batch.
    pub shape: Vec<u32>,
    /// What it computes.
    pub kind: Kind,
}

/// What a node computes.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A matrix product over all but the first `kept` dimensions.
    Dense {
        /// Value read.
        input: usize,
        /// Dimensions kept.
        kept: u8,
        /// `[outputs, inputs]`, row-major.
        weights: Vec<f32>,
        /// One per output, or one per output and position.
        bias: Vec<f32>,
    },
    /// A convolution of `[channels, rows, columns]`.
    Conv {
        /// Value read.
        input: usize,
        /// Kernel, stride, padding.
        window: Window,
        /// `[outputs, channels, rows, columns]`, row-major.
        weights: Vec<f32>,
        /// One per output channel.
        bias: Vec<f32>,
    },
    /// The largest value under a window.
    MaxPool {
        /// Value read.
        input: usize,
        /// Kernel, stride, padding.
        window: Window,
    },
    /// The sum under a window divided by the window's size.
    AveragePool {
        /// Value read.
        input: usize,
        /// Kernel, stride, padding.
        window: Window,
    },
    /// The sum of values, each times a factor, with dimensions put elsewhere, summed or repeated.
    Combine {
        /// The values.
        parts: Vec<Part>,
        /// Added at each position; empty for nothing.
        bias: Vec<f32>,
    },
    /// A product of two values, summed over what the result lacks, times a factor.
    Product {
        /// Values read.
        inputs: [usize; 2],
        /// Their dimensions' labels.
        labels: [Labels; 2],
        /// Times this.
        factor: f32,
    },
    /// A function of each number.
    Function {
        /// Value read.
        input: usize,
        /// Which.
        function: Function,
    },
    /// Exponentials along the last dimension, divided by their sum.
    Softmax {
        /// Value read.
        input: usize,
        /// Which numbers count, where not all do.
        mask: Option<Mask>,
    },
    /// The logarithm of the sum of exponentials along the last dimension, of which one is left.
    LogSumExp {
        /// Value read.
        input: usize,
    },
    /// A row of a table for each number; zeros for one that names none.
    Embedding {
        /// Value read.
        input: usize,
        /// Row-major.
        weights: Vec<f32>,
    },
    /// Values side by side along a dimension: the first of three, else the last.
    Concat {
        /// Values read.
        inputs: Vec<usize>,
        /// Which dimension.
        axis: usize,
    },
    /// The same for every input.
    Constant {
        /// Its numbers.
        values: Vec<f32>,
    },
    /// `max(0, x)`, at most `limit` if there is one.
    Relu {
        /// Value read.
        input: usize,
        /// Upper limit.
        limit: Option<f32>,
    },
}

/// Which numbers of a value count; the same for all dimensions in front of the mask's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    /// The value's last dimensions.
    pub shape: Vec<u32>,
    /// Row-major; each row keeps something.
    pub kept: Vec<bool>,
}

impl Mask {
    /// Whether the number at a place of the whole value counts.
    fn keeps(&self, at: usize) -> bool {
        self.kept.get(at % self.kept.len().max(1)).copied().unwrap_or(true)
    }
}

/// A value in a sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Which value.
    pub input: usize,
    /// Its dimensions' labels.
    pub labels: Labels,
    /// Times this.
    pub factor: f32,
}

impl Part {
    /// A value in its own shape.
    pub fn whole(input: usize, dimensions: usize, factor: f32) -> Self {
        Self { input, labels: identity(dimensions), factor }
    }
}

/// Labels of a value in its own shape.
pub fn identity(dimensions: usize) -> Labels {
    let labels: Vec<u8> = (0..4).take(dimensions).collect();
    Labels::new(&labels)
}

impl Kind {
    /// How many numbers come from the file.
    pub fn parameters(&self) -> usize {
        match self {
            Self::Dense { weights, bias, .. } | Self::Conv { weights, bias, .. } => {
                weights.len() + bias.len()
            }
            Self::Combine { bias, .. } => bias.len(),
            Self::Constant { values } | Self::Embedding { weights: values, .. } => values.len(),
            _ => 0,
        }
    }

    /// Values read.
    pub fn inputs(&self) -> Vec<usize> {
        match self {
            Self::Dense { input, .. }
            | Self::Conv { input, .. }
            | Self::MaxPool { input, .. }
            | Self::AveragePool { input, .. }
            | Self::Function { input, .. }
            | Self::Softmax { input, .. }
            | Self::LogSumExp { input }
            | Self::Embedding { input, .. }
            | Self::Relu { input, .. } => vec![*input],
            Self::Combine { parts, .. } => parts.iter().map(|part| part.input).collect(),
            Self::Product { inputs, .. } => inputs.to_vec(),
            Self::Concat { inputs, .. } => inputs.clone(),
            Self::Constant { .. } => vec![],
        }
    }
}

impl Kind {
    /// Values read, to be numbered anew.
    pub(crate) fn inputs_mut(&mut self) -> Vec<&mut usize> {
        match self {
            Self::Dense { input, .. }
            | Self::Conv { input, .. }
            | Self::MaxPool { input, .. }
            | Self::AveragePool { input, .. }
            | Self::Function { input, .. }
            | Self::Softmax { input, .. }
            | Self::LogSumExp { input }
            | Self::Embedding { input, .. }
            | Self::Relu { input, .. } => vec![input],
            Self::Combine { parts, .. } => parts.iter_mut().map(|part| &mut part.input).collect(),
            Self::Product { inputs, .. } => inputs.iter_mut().collect(),
            Self::Concat { inputs, .. } => inputs.iter_mut().collect(),
            Self::Constant { .. } => vec![],
        }
    }
}

/// A float network. The last node's value is the output.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// Dimensions of the input, without the batch.
    pub input: Vec<u32>,
    /// The nodes, in order of computation.
    pub nodes: Vec<Node>,
}

fn size(shape: &[u32]) -> usize {
    shape.iter().map(|size| *size as usize).product()
}

impl Graph {
    /// Dimensions of a value.
    pub fn shape(&self, value: usize) -> &[u32] {
        match value.checked_sub(1).and_then(|node| self.nodes.get(node)) {
            Some(node) => &node.shape,
            None => &self.input,
        }
    }

    /// Weights and biases.
    pub fn parameters(&self) -> usize {
        self.nodes.iter().map(|node| node.kind.parameters()).sum()
    }

    /// Multiplications of one run, and values that it makes, at most: whoever runs a stranger's model
    /// looks at these first.
    pub fn work(&self) -> (u64, u64) {
        let count = |shape: &[u32]| -> u64 { shape.iter().map(|size| u64::from(*size)).product() };
        let (mut work, mut values) = (0u64, count(&self.input));
        for node in &self.nodes {
            let own = count(&node.shape);
            let steps = |labels: &Labels, input: usize| {
                let summed = labels.of(self.shape(input)).filter(|(label, _)| *label >= SUMMED);
                summed.fold(own, |steps, (_, size)| steps.saturating_mul(u64::from(size)))
            };
            let more = match &node.kind {
                Kind::Dense { input, kept, .. } => {
                    let inner = self.shape(*input).get(usize::from(*kept)..).unwrap_or_default();
                    own.saturating_mul(count(inner))
                }
                Kind::Conv { weights, bias, .. } => {
                    own.saturating_mul((weights.len() / bias.len().max(1)) as u64)
                }
                Kind::MaxPool { window, .. } | Kind::AveragePool { window, .. } => {
                    own.saturating_mul(window.kernel.map(u64::from).iter().product())
                }
                Kind::Combine { parts, .. } => {
                    let steps = parts.iter().map(|part| steps(&part.labels, part.input));
                    steps.fold(0, u64::saturating_add)
                }
                Kind::Product { inputs: [a, b], labels, .. } => {
                    steps(&labels[0], *a).max(steps(&labels[1], *b))
                }
                Kind::LogSumExp { input } => count(self.shape(*input)),
                _ => own,
            };
            work = work.saturating_add(more);
            values = values.saturating_add(own);
        }
        (work, values)
    }

    /// Every value for an input, the input first; `None` if it has another length.
    pub fn run(&self, input: &[f32]) -> Option<Vec<Vec<f32>>> {
        if input.len() != size(&self.input) {
            return None;
        }
        let mut values = vec![input.to_vec()];
        for node in &self.nodes {
            let value = self.compute(node, &values)?;
            values.push(value);
        }
        Some(values)
    }

    fn compute(&self, node: &Node, values: &[Vec<f32>]) -> Option<Vec<f32>> {
        match &node.kind {
            Kind::Dense { input, kept, weights, bias } => {
                let inner = size(self.shape(*input).get(usize::from(*kept)..)?);
                let rows = values.get(*input)?.chunks(inner);
                let unit = |data: &[f32], (row, bias): (&[f32], &f32)| {
                    row.iter().zip(data).fold(*bias, |sum, (w, x)| sum + w * x)
                };
                let products = rows.flat_map(|data| weights.chunks(inner).map(move |w| (data, w)));
                let units = products.zip(bias.iter().cycle());
                Some(units.map(|((data, row), bias)| unit(data, (row, bias))).collect())
            }
            Kind::Conv { input, window, weights, bias } => {
                let (shape, data) = (self.shape(*input), values.get(*input)?);
                Some(convolve(node, (shape, data), *window, weights, bias))
            }
            Kind::MaxPool { input, window } => {
                Some(self.pool(node, values.get(*input)?, *input, *window, f32::MIN, f32::max))
            }
            Kind::AveragePool { input, window } => {
                let taps = f32::from(u16::from(window.kernel[0]) * u16::from(window.kernel[1]));
                let sums = self.pool(node, values.get(*input)?, *input, *window, 0.0, |a, b| a + b);
                Some(sums.into_iter().map(|sum| sum / taps).collect())
            }
            Kind::Combine { parts, bias } => {
                let mut sums = bias.clone();
                sums.resize(size(&node.shape), 0.0);
                for part in parts {
                    let (data, shape) = (values.get(part.input)?, self.shape(part.input));
                    labels::walk(&node.shape, [(&part.labels, shape)], |at, [from]| {
                        sums[at] += part.factor * data[from];
                    });
                }
                Some(sums)
            }
            Kind::Product { inputs: [a, b], labels, factor } => {
                let mut sums = vec![0.0; size(&node.shape)];
                let (data, other) = (values.get(*a)?, values.get(*b)?);
                let operands = [(&labels[0], self.shape(*a)), (&labels[1], self.shape(*b))];
                labels::walk(&node.shape, operands, |at, [a, b]| sums[at] += data[a] * other[b]);
                Some(sums.into_iter().map(|sum| sum * factor).collect())
            }
            #[expect(clippy::cast_possible_truncation, reason = "values are f32")]
            Kind::Function { input, function } => {
                let of = |x: &f32| function.at(f64::from(*x)) as f32;
                Some(values.get(*input)?.iter().map(of).collect())
            }
            Kind::Softmax { input, mask } => {
                let row = *node.shape.last()? as usize;
                let keeps = |at: usize| mask.as_ref().is_none_or(|mask| mask.keeps(at));
                let rows = values.get(*input)?.chunks(row).enumerate();
                let rows = rows.map(|(i, scores)| softmax(scores, |place| keeps(i * row + place)));
                Some(rows.flatten().collect())
            }
            Kind::LogSumExp { input } => {
                let row = *self.shape(*input).last()? as usize;
                Some(values.get(*input)?.chunks(row).map(log_sum).collect())
            }
            Kind::Embedding { input, weights } => {
                let width = *node.shape.last()? as usize;
                let row = |x: &f32| {
                    let row = weights.chunks(width).enumerate().find(|(at, _)| is_number(*x, *at));
                    row.map_or_else(|| vec![0.0; width], |(_, row)| row.to_vec())
                };
                Some(values.get(*input)?.iter().flat_map(row).collect())
            }
            Kind::Concat { inputs, axis } => self.side_by_side(node, values, inputs, *axis),
            Kind::Constant { values } => Some(values.clone()),
            Kind::Relu { input, limit } => {
                let limit = limit.unwrap_or(f32::MAX);
                Some(values.get(*input)?.iter().map(|x| x.clamp(0.0, limit)).collect())
            }
        }
    }

    fn side_by_side(
        &self,
        node: &Node,
        values: &[Vec<f32>],
        inputs: &[usize],
        axis: usize,
    ) -> Option<Vec<f32>> {
        let run = |input: &usize| size(self.shape(*input).get(axis..).unwrap_or_default());
        let mut joined = vec![];
        for row in 0..size(node.shape.get(..axis)?) {
            for input in inputs {
                let run = run(input);
                joined.extend(values.get(*input)?.get(row * run..(row + 1) * run)?);
            }
        }
        Some(joined)
    }

    fn pool(
        &self,
        node: &Node,
        data: &[f32],
        input: usize,
        window: Window,
        start: f32,
        join: impl Fn(f32, f32) -> f32,
    ) -> Vec<f32> {
        let shape = self.shape(input);
        let mut out = vec![];
        for plane in data.chunks(size(&shape[1..])) {
            let mut sums = vec![start; size(&node.shape[1..])];
            window.slide(&node.shape, shape, |at, _, source| {
                sums[at] = join(sums[at], plane[source]);
            });
            out.extend(sums);
        }
        out
    }
}

/// Whether a float rounds to a whole number.
fn is_number(x: f32, number: usize) -> bool {
    u8::try_from(number).is_ok_and(|number| x.round().total_cmp(&f32::from(number)).is_eq())
}

fn softmax(row: &[f32], keeps: impl Fn(usize) -> bool) -> Vec<f32> {
    let kept = row.iter().enumerate().filter(|(place, _)| keeps(*place));
    let largest = kept.fold(f32::NEG_INFINITY, |largest, (_, x)| largest.max(*x));
    let power =
        |(place, x): (usize, &f32)| if keeps(place) { libm::expf(x - largest) } else { 0.0 };
    let powers: Vec<f32> = row.iter().enumerate().map(power).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

fn log_sum(row: &[f32]) -> f32 {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = row.iter().map(|x| libm::expf(x - largest)).sum();
    largest + libm::logf(sum)
}

fn convolve(
    node: &Node,
    (shape, data): (&[u32], &[f32]),
    window: Window,
    weights: &[f32],
    bias: &[f32],
) -> Vec<f32> {
    let mut out = vec![];
    for (kernel, bias) in weights.chunks(weights.len() / bias.len()).zip(bias) {
        let mut sums = vec![*bias; size(&node.shape[1..])];
        let taps = kernel.chunks(kernel.len() / shape[0] as usize);
        for (taps, plane) in taps.zip(data.chunks(size(&shape[1..]))) {
            window.slide(&node.shape, shape, |at, tap, source| {
                sums[at] += taps[tap] * plane[source];
            });
        }
        out.extend(sums);
    }
    out
}
