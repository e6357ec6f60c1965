//! A network being made, node by node.

use probity_zk::{
    Model, ModelError, Network, Operation, Shape, Term, Window, model::Weights, plan::Plan,
};

use super::{
    LEAST_MULTIPLIER, QuantiseError, Quantised, Range, SHIFT, TOP, Value, round_i32,
    tables::{CLAMP, POSITIVE, RELU, Tables},
    unit,
    weights::{Floats, layer, raw_layer},
};
use crate::graph::{Graph, Kind, Node};

/// Most committed rows for which shorter rows are used: these open faster and verify slower.
const ROWS: usize = 8;
const ROW_BITS: std::ops::RangeInclusive<u8> = 8..=12;

pub(super) struct Builder<'a> {
    pub(super) graph: &'a Graph,
    pub(super) tables: Tables,
    /// Bits of activations below the sign.
    pub(super) low: u8,
    ranges: Vec<Range>,
    network: Network,
    weights: Vec<Weights>,
    /// Name of the layer of each operation.
    names: Vec<String>,
    /// Per value of the graph.
    values: Vec<Value>,
}

/// What follows an operation at once: the table, and what its results stand for.
#[derive(Clone, Copy)]
pub(super) struct After {
    pub(super) table: u8,
    /// What one of its indices stands for.
    pub(super) unit: f32,
    pub(super) value: Value,
    /// The value of the graph that is then computed.
    pub(super) target: usize,
    /// What is missing at each position.
    pub(super) offset: f32,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        graph: &'a Graph,
        ranges: Vec<Range>,
        low: u8,
    ) -> Result<Self, QuantiseError> {
        let tables = Tables::new(low);
        let input = Shape::new(&graph.input)?;
        let row_bits = *ROW_BITS.end();
        let network = Network { row_bits, input, operations: vec![], tables: tables.tables() };
        // Numbers of rows are themselves.
        let is_table = |node: &Node| matches!(node.kind, Kind::Embedding { .. });
        let is_numbers = graph.nodes.iter().any(is_table);
        let of_ranges = || unit(ranges.first().map_or(0.0, |range| range.largest()));
        let scale = if is_numbers { 1.0 } else { of_ranges() };
        let input = Value { tensor: 0, scale, negative: true, reach: 128 };
        let (weights, names, values) = (vec![], vec![], vec![input]);
        Ok(Self { graph, tables, low, ranges, network, weights, names, values })
    }

    /// The only reader of a value, if it comes next.
    fn reader(&self, value: usize) -> Option<&'a Node> {
        let mut readers = self.graph.nodes.iter().filter(|n| n.kind.inputs().contains(&value));
        let next = self.graph.nodes.get(value)?;
        let only = readers.next().filter(|node| std::ptr::eq(*node, next))?;
        readers.next().is_none().then_some(only)
    }

    pub(super) fn value(&self, index: usize) -> Value {
        let none = Value { tensor: 0, scale: 1.0, negative: true, reach: 128 };
        self.values.get(index).copied().unwrap_or(none)
    }

    pub(super) fn range(&self, value: usize) -> Range {
        self.ranges.get(value).copied().unwrap_or(Range { low: 0.0, high: 0.0 })
    }

    /// What activations of this magnitude have per unit.
    pub(super) fn unit(&self, largest: f32) -> f32 {
        unit(largest) * TOP / f32::from((1u16 << self.low) - 1)
    }

    /// What is done to a node's value at once: a `Relu` or function that alone reads it joins it.
    pub(super) fn after(&mut self, index: usize, positive: bool) -> After {
        let own = index + 1;
        let reach = 1 << self.low;
        let (mut target, mut table, mut largest) = (own, CLAMP, self.range(own).largest());
        match self.reader(own).map(|node| &node.kind) {
            Some(Kind::Relu { limit, .. }) => {
                (target, table) = (own + 1, RELU);
                // A limit far beyond what calibration met would leave few steps below it.
                let met = self.range(target).largest();
                largest = limit.filter(|limit| *limit <= 2.0 * met).unwrap_or(met);
            }
            Some(Kind::Function { function, .. }) => {
                return self.looked_up(function, own, positive);
            }
            _ => {}
        }
        let scale = self.unit(largest);
        let negative = table != RELU && !positive;
        let value = Value { tensor: 0, scale, negative, reach };
        After { table, unit: scale, value, target, offset: 0.0 }
    }

    pub(super) fn node(&mut self, index: usize) -> Result<(), QuantiseError> {
        let graph = self.graph;
        let Some(node) = graph.nodes.get(index) else { return Ok(()) };
        if self.values.len() > index + 1 {
            return Ok(());
        }
        match &node.kind {
            Kind::Dense { input, kept, weights, bias } => {
                let term = Term::Dense { input: self.value(*input).tensor, kept: *kept };
                let channels = &node.shape[usize::from(*kept)..];
                let channels = channels.iter().map(|size| *size as usize).product();
                self.layer(index, term, self.value(*input), Floats { weights, bias, channels })
            }
            Kind::Conv { input, window, weights, bias } => {
                let term = Term::Conv { input: self.value(*input).tensor, window: *window };
                let floats = Floats { weights, bias, channels: bias.len() };
                self.layer(index, term, self.value(*input), floats)
            }
            Kind::AveragePool { input, window } => {
                let from = self.value(*input);
                let after = self.after(index, !from.negative);
                let taps = f32::from(u16::from(window.kernel[0]) * u16::from(window.kernel[1]));
                let coefficient = fixed(node, from.scale / after.unit / taps)?;
                let term = Term::Window { input: from.tensor, coefficient, window: *window };
                self.settle(node, vec![term], SHIFT, after)
            }
            Kind::Relu { input, .. } => {
                let from = self.value(*input);
                let scale = self.unit(self.range(index + 1).largest());
                let coefficient = fixed(node, from.scale / scale)?;
                let term = Term::Scale { input: from.tensor, coefficient };
                let value = Value { tensor: 0, scale, negative: false, reach: 1 << self.low };
                self.push(node, vec![term], SHIFT, Some(RELU), value)
            }
            Kind::MaxPool { input, window } => self.maximum(node, *input, *window),
            Kind::Combine { parts, bias } => self.combine(index, parts, bias),
            Kind::Product { inputs, labels, factor } => {
                self.product(index, *inputs, *labels, *factor)
            }
            Kind::Function { input, function } => self.function(index, *input, function),
            Kind::Softmax { input, mask } => self.softmax(node, *input, mask.as_ref()),
            Kind::LogSumExp { input } => self.log_sum(node, *input),
            Kind::Embedding { input, weights } => self.embedding(index, *input, weights),
            Kind::Concat { inputs, axis } => self.concat(index, inputs, *axis),
            Kind::Constant { values } => self.constant(index, values),
        }
    }

    /// Pushes an operation, and what its value still lacks.
    pub(super) fn settle(
        &mut self,
        node: &Node,
        terms: Vec<Term>,
        shift: u8,
        after: After,
    ) -> Result<(), QuantiseError> {
        self.push(node, terms, shift, Some(after.table), after.value)?;
        self.reached(node, after)
    }

    /// Gives the value to the joined node too; whatever lies between is not read.
    pub(super) fn reached(&mut self, node: &Node, after: After) -> Result<(), QuantiseError> {
        let mut value = self.values.pop().unwrap_or(after.value);
        if after.offset != 0.0 {
            value = self.shifted(node, value, after.offset)?;
        }
        self.values.resize(after.target + 1, value);
        Ok(())
    }

    pub(super) fn push(
        &mut self,
        node: &Node,
        terms: Vec<Term>,
        shift: u8,
        table: Option<u8>,
        value: Value,
    ) -> Result<(), QuantiseError> {
        let value = self.emit(node, &node.shape, (terms, None), (shift, table), value)?;
        self.values.push(value);
        Ok(())
    }

    /// Gives a node's value to one that was computed before.
    pub(super) fn alias(&mut self, value: Value) {
        self.values.push(value);
    }

    /// Pushes an operation without weights, of any shape, with a bias along some dimensions; its
    /// value is no node's yet.
    pub(super) fn emit(
        &mut self,
        node: &Node,
        shape: &[u32],
        (terms, bias): (Vec<Term>, Option<(u8, Vec<i32>)>),
        (shift, table): (u8, Option<u8>),
        value: Value,
    ) -> Result<Value, QuantiseError> {
        let (axes, bias) = bias.unzip();
        let weights = Weights {
            terms: vec![vec![]; terms.len()],
            bias: bias.unwrap_or_default(),
            ..Weights::default()
        };
        let shape = Shape::new(shape)?;
        let operation = Operation { shape, terms, bias: axes, shift, table };
        Ok(self.add(node, operation, weights, value))
    }

    pub(super) fn add(
        &mut self,
        node: &Node,
        operation: Operation,
        weights: Weights,
        value: Value,
    ) -> Value {
        self.network.operations.push(operation);
        self.weights.push(weights);
        self.names.push(node.name.clone());
        let tensor = u16::try_from(self.network.operations.len()).unwrap_or(u16::MAX);
        Value { tensor, ..value }
    }

    pub(super) fn layer(
        &mut self,
        index: usize,
        term: Term,
        from: Value,
        floats: Floats<'_>,
    ) -> Result<(), QuantiseError> {
        let Some(node) = self.graph.nodes.get(index) else { return Ok(()) };
        let after = self.after(index, false);
        // The network's own output keeps its accumulators: nothing is lost on logits.
        let raw = index + 1 == self.graph.nodes.len();
        let layer = if raw {
            raw_layer(node, floats, from)?
        } else {
            layer(node, floats, from, after.unit)?
        };
        let own = match term {
            Term::Dense { kept, .. } => usize::from(kept)..node.shape.len(),
            _ => 0..1,
        };
        let first = if floats.bias.len() > floats.channels { 0 } else { own.start };
        let operation = Operation {
            shape: Shape::new(&node.shape)?,
            terms: vec![term],
            bias: u8::try_from(first + 16 * (own.end - first - 1)).ok(),
            shift: layer.shift,
            table: (!raw).then_some(after.table),
        };
        let scale = if raw { layer.scale } else { after.value.scale };
        let value = self.add(node, operation, layer.weights, Value { scale, ..after.value });
        self.values.push(value);
        self.reached(node, after)
    }

    /// The largest under a window: of rows first and of columns of those where that is less work.
    fn maximum(&mut self, node: &Node, input: usize, window: Window) -> Result<(), QuantiseError> {
        let from = self.narrow(node, input)?;
        let shape = self.graph.shape(input).to_vec();
        // Padding is zero, which has to be no more than any value.
        let lifted = from.negative && overhangs(window, &node.shape, &shape);
        let value = if lifted { self.lifted(node, &shape, from, from.reach)? } else { from };
        let value = if window.kernel[0] > 1 && window.kernel[1] > 1 && window.kernel != [2, 2] {
            let [rows, columns] = [0, 1].map(|axis| along(window, axis));
            let middle = [node.shape[0], node.shape[1], shape[2]];
            let value = self.largest(node, &middle, value, rows)?;
            self.largest(node, &node.shape, value, columns)?
        } else {
            self.largest(node, &node.shape, value, window)?
        };
        let value =
            if lifted { self.lifted(node, &node.shape, value, -from.reach)? } else { value };
        self.alias(Value { tensor: value.tensor, ..from });
        Ok(())
    }

    /// A value plus the same everywhere, in its units.
    fn lifted(
        &mut self,
        node: &Node,
        shape: &[u32],
        value: Value,
        by: i64,
    ) -> Result<Value, QuantiseError> {
        let last = shape.len() - 1;
        let bias = vec![i32::try_from(by).unwrap_or(i32::MAX); shape[last] as usize];
        let bias = Some((u8::try_from(last).unwrap_or(0), bias));
        let terms = vec![Term::Scale { input: value.tensor, coefficient: 1 }];
        self.emit(node, shape, (terms, bias), (0, None), Value { negative: by < 0, ..value })
    }

    /// `max(m, x) = m + relu(x − m)`, one tap after the other.
    fn largest(
        &mut self,
        node: &Node,
        shape: &[u32],
        from: Value,
        window: Window,
    ) -> Result<Value, QuantiseError> {
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
            let tensor = self.emit(node, shape, (terms, None), (0, Some(POSITIVE)), from)?.tensor;
            maximum.push(Term::Scale { input: tensor, coefficient: 1 });
            minus.push(Term::Scale { input: tensor, coefficient: -1 });
        }
        self.emit(node, shape, (maximum, None), (0, None), from)
    }

    pub(super) fn finish(mut self) -> Result<Quantised, QuantiseError> {
        let output = self.values.last().map_or(1.0, |value| value.scale);
        let input_scale = self.value(0).scale;
        self.tables.keep_used(&mut self.network);
        // Tables grow until they hold whatever any input could cause.
        let model = loop {
            self.network.tables = self.tables.tables();
            match self.model() {
                Ok(model) => break model,
                Err(ModelError::Overflow { operation, reach, bound }) => {
                    let table = self.network.operations.get(operation).and_then(|op| op.table);
                    if !table.is_some_and(|t| self.tables.grow(t.into(), reach, bound)) {
                        let layer = self.names.get(operation).cloned().unwrap_or_default();
                        return Err(QuantiseError::Overflow { layer, reach, bound });
                    }
                }
                Err(error) => return Err(QuantiseError::Model(error)),
            }
        };
        // What was made is what was asked for, but for the rows' length.
        self.network.row_bits = row_bits(model.network())?;
        let model = self.model().map_err(QuantiseError::Model)?;
        Ok(Quantised { model, input_scale, output_scale: output.into() })
    }

    fn model(&self) -> Result<Model, ModelError> {
        Model::with_tables(self.network.clone(), self.weights.clone(), self.tables.listed())
    }
}

/// A window along one axis alone.
fn along(window: Window, axis: usize) -> Window {
    let mut own = Window { kernel: [1, 1], stride: [1, 1], pad: [0, 0] };
    own.kernel[axis] = window.kernel[axis];
    own.stride[axis] = window.stride[axis];
    own.pad[axis] = window.pad[axis];
    own
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

/// The rows' length for a network.
fn row_bits(network: &Network) -> Result<u8, QuantiseError> {
    let plan = Plan::new(network, 1)?;
    let rows = |bits: u8| plan.key.rows(bits) + plan.witness.rows(bits);
    Ok(ROW_BITS.into_iter().find(|bits| rows(*bits) <= ROWS).unwrap_or(*ROW_BITS.end()))
}

/// A factor below 2^7 with 16 bits after the point.
pub(super) fn fixed(node: &Node, factor: f32) -> Result<i32, QuantiseError> {
    let scaled = factor * 2f32.powi(SHIFT.into());
    if (1.0..8_388_608.0).contains(&scaled.abs()) {
        Ok(round_i32(scaled))
    } else {
        Err(QuantiseError::Scale { layer: node.name.clone(), scale: factor })
    }
}

/// Bits after the point of factors that 16 would round too much.
pub(super) const SMALL_SHIFT: u8 = 24;

/// Whether a factor is one of these.
pub(super) fn is_small(factor: f32) -> bool {
    factor.abs() * 2f32.powi(SHIFT.into()) < 64.0 * LEAST_MULTIPLIER
}

/// A factor with 16 bits after the point, or 24 if it is small, and how many.
pub(super) fn fixed_small(node: &Node, factor: f32) -> Result<(i32, u8), QuantiseError> {
    if !is_small(factor) {
        return Ok((fixed(node, factor)?, SHIFT));
    }
    let scaled = factor * 2f32.powi(SMALL_SHIFT.into());
    if scaled.abs() >= 1.0 {
        Ok((round_i32(scaled), SMALL_SHIFT))
    } else {
        Err(QuantiseError::Scale { layer: node.name.clone(), scale: factor })
    }
}
