//! Post-training quantisation: int8 activations per tensor, int8 weights per channel, multipliers in
//! fixed point, ranges from calibration.

use probity_zk::{
    Model, ModelError, ModelFileError, Network, NetworkError, Operation, Shape, Table, Term,
    Window,
    model::Weights,
    plan::{BatchError, Plan},
    table::MAX_TABLE_BITS,
};

use crate::graph::{Graph, Kind, Node};

/// First bytes of a quantised model.
const QUANTISED_MAGIC: &[u8; 4] = b"PZQ1";
/// Largest int8 magnitude used: symmetric.
const TOP: f32 = 127.0;
/// Bits after the point of multipliers that are not weights.
const SHIFT: u8 = 16;
/// Least multiplier: rounding it up then costs at most an eighth of the weights' range.
const LEAST_MULTIPLIER: f32 = 8.0;
/// Most committed rows for which shorter rows are used: these open faster and verify slower.
const ROWS: usize = 8;
const ROW_BITS: std::ops::RangeInclusive<u8> = 8..=12;

/// The tables every quantised network uses.
const CLAMP: u8 = 0;
const RELU: u8 = 1;
const POSITIVE: u8 = 2;

/// Why a network cannot be quantised.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantiseError {
    /// Nothing to calibrate on, or of another length.
    #[error("expected calibration inputs of `{expected}` values")]
    Calibration {
        /// What the network needs.
        expected: usize,
    },
    /// A value that is not finite, reached in calibration.
    #[error("layer `{0}`: calibration reaches a value that is not finite")]
    NotFinite(String),
    /// A maximum over padding that could exceed the values.
    #[error("layer `{0}`: a padded maximum of values below zero is not supported")]
    PaddedMaximum(String),
    /// A multiplier that is not a fixed-point number of 24 bits.
    #[error("layer `{layer}`: its scale `{scale}` leaves the range of multipliers")]
    Scale {
        /// Name of the layer.
        layer: String,
        /// Output units per unit of the accumulator.
        scale: f32,
    },
    /// Accumulators that could leave their range.
    #[error("layer `{layer}`: values may reach `{reach}` where `{bound}` is the limit")]
    Overflow {
        /// Name of the layer.
        layer: String,
        /// Largest magnitude that an input could cause.
        reach: i64,
        /// The limit.
        bound: i64,
    },
    /// A network that is refused.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A network that is too large.
    #[error(transparent)]
    Size(#[from] BatchError),
    /// Weights that do not fit.
    #[error(transparent)]
    Model(ModelError),
}

/// A quantised model, and what its integers mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantised {
    /// The integer model.
    pub model: Model,
    /// Input per unit.
    pub input_scale: f32,
    /// Output per unit.
    pub output_scale: f64,
}

impl Quantised {
    /// The model's bytes after both scales: input f32, output f64, big-endian bits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let scales = [&QUANTISED_MAGIC[..], &self.input_scale.to_bits().to_be_bytes()].concat();
        [scales, self.output_scale.to_bits().to_be_bytes().to_vec(), self.model.encode()].concat()
    }

    /// Reads what [`Quantised::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelFileError> {
        let scales = ModelFileError::Malformed("a quantised model with positive scales");
        let (head, model) = bytes.split_first_chunk::<16>().ok_or(scales.clone())?;
        let (magic, rest) = head.split_at(4);
        let word = |range: std::ops::Range<usize>| {
            let bytes = rest.get(range).unwrap_or_default();
            bytes.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte))
        };
        let input_scale = f32::from_bits(u32::try_from(word(0..4)).unwrap_or(0));
        let output_scale = f64::from_bits(word(4..12));
        let positive = input_scale.is_normal() && input_scale > 0.0;
        if magic != QUANTISED_MAGIC || !positive || !output_scale.is_normal() || output_scale < 0.0
        {
            return Err(scales);
        }
        Ok(Self { model: Model::decode(model)?, input_scale, output_scale })
    }

    /// Rounds an input to int8, saturating.
    pub fn encode(&self, input: &[f32]) -> Vec<i8> {
        input.iter().map(|x| round_i8(x / self.input_scale)).collect()
    }

    /// What integer outputs stand for.
    #[expect(
        clippy::cast_precision_loss,
        reason = "outputs are below 2^53 in magnitude or rounded"
    )]
    pub fn decode(&self, output: &[i64]) -> Vec<f64> {
        output.iter().map(|y| *y as f64 * self.output_scale).collect()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the range of int8")]
fn round_i8(x: f32) -> i8 {
    x.round().clamp(-TOP, TOP) as i8
}

#[expect(clippy::cast_possible_truncation, reason = "a float converted saturates")]
fn round_i32(x: f32) -> i32 {
    x.round() as i32
}

/// Calibrates on inputs and quantises.
pub fn quantise(graph: &Graph, calibration: &[Vec<f32>]) -> Result<Quantised, QuantiseError> {
    let largest = calibrate(graph, calibration)?;
    let input = Shape::new(&graph.input)?;
    let tables =
        vec![Table::clamp(9, 7, true), Table::clamp(9, 7, false), Table::clamp(9, 8, false)];
    let network = Network { row_bits: *ROW_BITS.end(), input, operations: vec![], tables };
    let scale = unit(largest.first().copied().unwrap_or(0.0));
    let mut builder =
        Builder { graph, largest, network, weights: vec![], names: vec![], values: vec![] };
    builder.values.push(Value { tensor: 0, scale, negative: true });
    for index in 0..graph.nodes.len() {
        builder.node(index)?;
    }
    builder.finish()
}

/// Largest magnitude of each value over the calibration inputs.
fn calibrate(graph: &Graph, calibration: &[Vec<f32>]) -> Result<Vec<f32>, QuantiseError> {
    let expected = graph.input.iter().map(|size| *size as usize).product();
    let wrong = QuantiseError::Calibration { expected };
    if calibration.is_empty() {
        return Err(wrong);
    }
    let mut largest = vec![0.0f32; graph.nodes.len() + 1];
    for input in calibration {
        let values = graph.run(input).ok_or(wrong.clone())?;
        for (index, (largest, values)) in largest.iter_mut().zip(values).enumerate() {
            if values.iter().any(|x| !x.is_finite()) {
                let node = index.checked_sub(1).and_then(|i| graph.nodes.get(i));
                return Err(QuantiseError::NotFinite(node.map_or("input", |n| &n.name).to_owned()));
            }
            *largest = values.iter().fold(*largest, |largest, x| largest.max(x.abs()));
        }
    }
    Ok(largest)
}

fn unit(largest: f32) -> f32 {
    if largest > 0.0 { largest / TOP } else { 1.0 / TOP }
}

/// Where a float value's integers are.
#[derive(Debug, Clone, Copy)]
struct Value {
    tensor: u16,
    scale: f32,
    negative: bool,
}

struct Builder<'a> {
    graph: &'a Graph,
    largest: Vec<f32>,
    network: Network,
    weights: Vec<Weights>,
    /// Name of the layer of each operation.
    names: Vec<String>,
    values: Vec<Value>,
}

/// Integers of a layer with weights.
struct Layer {
    weights: Weights,
    shift: u8,
    scale: f32,
}

impl Builder<'_> {
    /// The `Relu` that alone reads a value, if there is one: it joins the operation before it.
    fn relu_after(&self, index: usize) -> Option<(usize, Option<f32>)> {
        let mut readers = self
            .graph
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, n)| n.kind.inputs().contains(&(index + 1)));
        match (readers.next(), readers.next()) {
            (Some((at, Node { kind: Kind::Relu { limit, .. }, .. })), None) if at == index + 1 => {
                Some((at, *limit))
            }
            _ => None,
        }
    }

    fn value(&self, index: usize) -> Value {
        self.values.get(index).copied().unwrap_or(Value { tensor: 0, scale: 1.0, negative: true })
    }

    fn node(&mut self, index: usize) -> Result<(), QuantiseError> {
        let graph = self.graph;
        let Some(node) = graph.nodes.get(index) else { return Ok(()) };
        if self.values.len() > index + 1 {
            return Ok(());
        }
        let last = index + 1 == graph.nodes.len();
        let relu = self.relu_after(index);
        let target = relu.map_or(index, |(at, _)| at);
        let mut largest = self.largest.get(target + 1).copied().unwrap_or(0.0);
        if let Some((_, Some(limit))) = relu {
            largest = limit;
        }
        let out = Value { tensor: 0, scale: unit(largest), negative: relu.is_none() };
        let table = if relu.is_some() { RELU } else { CLAMP };
        match &node.kind {
            Kind::Dense { input, kept, weights, bias } => {
                let from = self.value(*input);
                let term = Term::Dense { input: from.tensor, kept: *kept };
                self.layer(node, term, (weights, bias, from), (out, table, last))?;
            }
            Kind::Conv { input, window, weights, bias } => {
                let from = self.value(*input);
                let term = Term::Conv { input: from.tensor, window: *window };
                self.layer(node, term, (weights, bias, from), (out, table, last))?;
            }
            Kind::AveragePool { input, window } => {
                let from = self.value(*input);
                let taps = f32::from(u16::from(window.kernel[0]) * u16::from(window.kernel[1]));
                let coefficient = fixed(node, from.scale / out.scale / taps)?;
                let term = Term::Window { input: from.tensor, coefficient, window: *window };
                self.push(node, vec![term], SHIFT, Some(table), out)?;
            }
            Kind::Add { a, b } => {
                let terms: [Result<Term, QuantiseError>; 2] = [*a, *b].map(|value| {
                    let from = self.value(value);
                    let coefficient = fixed(node, from.scale / out.scale)?;
                    Ok(Term::Scale { input: from.tensor, coefficient })
                });
                let [a, b] = terms;
                self.push(node, vec![a?, b?], SHIFT, Some(table), out)?;
            }
            Kind::Relu { input, .. } => {
                let from = self.value(*input);
                let coefficient = fixed(node, from.scale / out.scale)?;
                let term = Term::Scale { input: from.tensor, coefficient };
                let out = Value { negative: false, ..out };
                self.push(node, vec![term], SHIFT, Some(RELU), out)?;
            }
            Kind::MaxPool { input, window } => return self.maximum(node, *input, *window),
        }
        if relu.is_some() {
            // The joined `Relu`'s value; whatever lies between is not read.
            let value = self.value(index + 1);
            self.values.resize(target + 2, value);
        }
        Ok(())
    }

    fn push(
        &mut self,
        node: &Node,
        terms: Vec<Term>,
        shift: u8,
        table: Option<u8>,
        value: Value,
    ) -> Result<(), QuantiseError> {
        let weights = Weights { terms: vec![vec![]; terms.len()], ..Weights::default() };
        let operation =
            Operation { shape: Shape::new(&node.shape)?, terms, bias: None, shift, table };
        self.add(node, operation, weights, value);
        Ok(())
    }

    fn add(&mut self, node: &Node, operation: Operation, weights: Weights, value: Value) {
        self.network.operations.push(operation);
        self.weights.push(weights);
        self.names.push(node.name.clone());
        let tensor = u16::try_from(self.network.operations.len()).unwrap_or(u16::MAX);
        self.values.push(Value { tensor, ..value });
    }

    fn layer(
        &mut self,
        node: &Node,
        term: Term,
        (weights, bias, from): (&[f32], &[f32], Value),
        (out, table, last): (Value, u8, bool),
    ) -> Result<(), QuantiseError> {
        // The network's own output keeps its accumulators: nothing is lost on logits.
        let raw = last && table == CLAMP;
        let layer = if raw {
            raw_layer(node, weights, bias, from)?
        } else {
            layer(node, weights, bias, from, out)?
        };
        let axis = if matches!(term, Term::Conv { .. }) { 0 } else { node.shape.len() - 1 };
        let operation = Operation {
            shape: Shape::new(&node.shape)?,
            terms: vec![term],
            bias: u8::try_from(axis).ok(),
            shift: layer.shift,
            table: (!raw).then_some(table),
        };
        self.add(node, operation, layer.weights, Value { scale: layer.scale, ..out });
        Ok(())
    }

    /// `max(m, x) = m + relu(x − m)`, one tap after the other.
    fn maximum(&mut self, node: &Node, input: usize, window: Window) -> Result<(), QuantiseError> {
        let from = self.value(input);
        if from.negative && overhangs(window, &node.shape, self.graph.shape(input)) {
            return Err(QuantiseError::PaddedMaximum(node.name.clone()));
        }
        let tap = |row: u8, column: u8, coefficient: i32| {
            let offset = |axis: usize, tap: u8| window.pad[axis].saturating_sub_unsigned(tap);
            let pad = [offset(0, row), offset(1, column)];
            let window = Window { kernel: [1, 1], pad, ..window };
            Term::Window { input: from.tensor, coefficient, window }
        };
        let taps =
            (0..window.kernel[0]).flat_map(|row| (0..window.kernel[1]).map(move |c| (row, c)));
        let (mut maximum, mut minus) = (vec![tap(0, 0, 1)], vec![tap(0, 0, -1)]);
        for (row, column) in taps.skip(1) {
            let terms = [&[tap(row, column, 1)], minus.as_slice()].concat();
            self.push(node, terms, 0, Some(POSITIVE), from)?;
            let tensor = self.values.pop().map_or(0, |value| value.tensor);
            maximum.push(Term::Scale { input: tensor, coefficient: 1 });
            minus.push(Term::Scale { input: tensor, coefficient: -1 });
        }
        self.push(node, maximum, 0, None, from)
    }

    fn finish(mut self) -> Result<Quantised, QuantiseError> {
        let output = self.values.last().map_or(1.0, |value| value.scale);
        let input = self.value(0).scale;
        // Tables grow until they hold whatever any input could cause.
        let model = loop {
            match Model::new(self.network.clone(), self.weights.clone()) {
                Ok(model) => break model,
                Err(ModelError::Overflow { operation, reach, bound }) => {
                    self.grow(operation, reach, bound)?;
                }
                Err(error) => return Err(QuantiseError::Model(error)),
            }
        };
        let network = fit(model.network().clone())?;
        let model = Model::new(network, self.weights).map_err(QuantiseError::Model)?;
        Ok(Quantised { model, input_scale: input, output_scale: output.into() })
    }

    fn grow(&mut self, operation: usize, reach: i64, bound: i64) -> Result<(), QuantiseError> {
        let layer = self.names.get(operation).cloned().unwrap_or_default();
        let table = self.network.operations.get(operation).and_then(|operation| operation.table);
        match table.and_then(|table| self.network.tables.get_mut(usize::from(table))) {
            Some(table) if bound == table.end() && table.bits() < MAX_TABLE_BITS => {
                while reach >= table.end() && table.bits() < MAX_TABLE_BITS {
                    let (Table::Clamp { bits, .. } | Table::Listed { bits, .. }) = table;
                    *bits += 1;
                }
                Ok(())
            }
            _ => Err(QuantiseError::Overflow { layer, reach, bound }),
        }
    }
}

/// Whether a window meets padding, in front or behind.
fn overhangs(window: Window, to: &[u32], from: &[u32]) -> bool {
    let behind = |axis: usize| {
        let last = to.get(axis + 1).map_or(0, |size| size.saturating_sub(1));
        let end = last * u32::from(window.stride[axis]) + u32::from(window.kernel[axis]);
        i64::from(end) - i64::from(window.pad[axis])
            > from.get(axis + 1).copied().unwrap_or(0).into()
    };
    window.pad != [0, 0] || behind(0) || behind(1)
}

/// Drops tables that nothing uses and chooses the rows' length.
fn fit(mut network: Network) -> Result<Network, QuantiseError> {
    let used =
        |table: &u8| network.operations.iter().any(|operation| operation.table == Some(*table));
    let kept: Vec<u8> = [CLAMP, RELU, POSITIVE].into_iter().filter(used).collect();
    for operation in &mut network.operations {
        let place = kept.iter().position(|table| Some(*table) == operation.table);
        operation.table = place.and_then(|place| u8::try_from(place).ok());
    }
    let tables = kept.iter().filter_map(|table| network.tables.get(usize::from(*table)).copied());
    network.tables = tables.collect();
    let plan = Plan::new(&network, 1)?;
    let rows = |bits: u8| plan.key.rows(bits) + plan.witness.rows(bits);
    network.row_bits =
        ROW_BITS.into_iter().find(|bits| rows(*bits) <= ROWS).unwrap_or(*ROW_BITS.end());
    Ok(network)
}

/// A factor below 2^7 with 16 bits after the point.
fn fixed(node: &Node, factor: f32) -> Result<i32, QuantiseError> {
    let scaled = factor * 2f32.powi(SHIFT.into());
    if (1.0..8_388_608.0).contains(&scaled) {
        Ok(round_i32(scaled))
    } else {
        Err(QuantiseError::Scale { layer: node.name.clone(), scale: factor })
    }
}

/// Multipliers are rounded up and weights' scales follow them, so that nothing but the weights'
/// and biases' own rounding is lost.
fn integers(
    node: &Node,
    weights: &[f32],
    bias: &[f32],
    from: Value,
    per_multiplier: f32,
) -> Result<Weights, QuantiseError> {
    let inner = weights.len() / bias.len();
    let mut out = Weights { terms: vec![vec![]], ..Weights::default() };
    for (row, bias) in weights.chunks(inner).zip(bias) {
        let largest = unit(row.iter().fold(0.0, |largest: f32, w| largest.max(w.abs())));
        // A bias has to fit 31 bits at the weights' scale.
        let least = largest.max(bias.abs() / from.scale / 1e9);
        let multiplier = (least * from.scale / per_multiplier).ceil().max(1.0);
        if multiplier > 8_388_607.0 {
            return Err(QuantiseError::Scale {
                layer: node.name.clone(),
                scale: multiplier * per_multiplier,
            });
        }
        let scale = multiplier * per_multiplier / from.scale;
        if let Some(term) = out.terms.first_mut() {
            term.extend(row.iter().map(|w| round_i8(w / scale)));
        }
        out.multipliers.push(round_i32(multiplier));
        out.bias.push(round_i32(bias / scale / from.scale));
    }
    Ok(out)
}

fn layer(
    node: &Node,
    weights: &[f32],
    bias: &[f32],
    from: Value,
    out: Value,
) -> Result<Layer, QuantiseError> {
    let typical = unit(weights.iter().fold(0.0, |largest: f32, w| largest.max(w.abs())));
    let multiplier = typical * from.scale / out.scale * 2f32.powi(16);
    let shift: u8 = if multiplier < LEAST_MULTIPLIER { 24 } else { 16 };
    let per_multiplier = out.scale / 2f32.powi(shift.into());
    let weights = integers(node, weights, bias, from, per_multiplier)?;
    Ok(Layer { weights, shift, scale: out.scale })
}

fn raw_layer(
    node: &Node,
    weights: &[f32],
    bias: &[f32],
    from: Value,
) -> Result<Layer, QuantiseError> {
    let inner = weights.len() / bias.len();
    let least = weights
        .chunks(inner)
        .map(|row| unit(row.iter().fold(0.0, |largest: f32, w| largest.max(w.abs()))))
        .fold(f32::INFINITY, f32::min);
    let scale = least * from.scale / LEAST_MULTIPLIER;
    Ok(Layer { weights: integers(node, weights, bias, from, scale)?, shift: 0, scale })
}
