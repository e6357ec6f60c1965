//! ONNX's nodes, one by one.

use std::collections::{HashMap, HashSet};

use super::{
    ImportError, MAX_PARAMETERS,
    constants::{from_behind, ones},
    elementwise::Binary,
    proto::{Attribute, GraphProto, NodeProto},
    tensor::{self, Constant, DOUBLE, FLOAT},
    value::{Pending, Value},
};
use crate::graph::{Graph, Kind, Mask};

/// Most characters of a node's name that messages tell, and most dimensions.
const MAX_NAME: usize = 200;
const MAX_TOLD: usize = 8;

/// What is known while nodes are read.
pub(super) struct Context {
    pub(super) graph: Graph,
    pub(super) constants: HashMap<String, Constant>,
    /// What a name stands for.
    values: HashMap<String, Value>,
    /// Scores that only softmax may read, and which of them count.
    pub(super) masked: HashMap<String, (Value, Mask)>,
    /// Values of all nodes so far.
    pub(super) made: usize,
    /// Numbers of all constants and nodes so far: a file may have one read by many.
    held: usize,
    /// Names of values from which all dimensions of one were taken, the batch's too.
    bare: HashSet<String>,
    /// How often a name is read.
    readers: HashMap<String, usize>,
}

pub(super) type Read<T> = Result<T, ImportError>;

/// The node's name for messages, or its output's.
pub(super) fn name(node: &NodeProto) -> String {
    let named = Some(&node.name).filter(|name| !name.is_empty()).or(node.output.first());
    named.map(|name| name.chars().take(MAX_NAME).collect()).unwrap_or_default()
}

pub(super) fn unsupported<T>(node: &NodeProto, what: impl Into<String>) -> Read<T> {
    Err(ImportError::Unsupported { node: name(node), what: what.into() })
}

pub(super) fn misfit<T>(node: &NodeProto, what: impl Into<String>) -> Read<T> {
    Err(ImportError::Shape { node: name(node), what: what.into() })
}

pub(super) fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a Attribute> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

pub(super) fn integer(node: &NodeProto, name: &str, default: i64) -> i64 {
    attribute(node, name).map_or(default, |attribute| attribute.i)
}

pub(super) fn float(node: &NodeProto, name: &str, default: f32) -> f32 {
    attribute(node, name).map_or(default, |attribute| attribute.f)
}

pub(super) fn product(shape: &[u32]) -> usize {
    shape.iter().map(|size| *size as usize).product()
}

impl Context {
    pub(super) fn new(
        graph: Graph,
        constants: HashMap<String, Constant>,
        input: &str,
        file: &GraphProto,
    ) -> Self {
        let value = Value::plain(0, graph.input.clone());
        let mut readers = HashMap::new();
        // A shape is known without the value.
        let read = file.node.iter().filter(|node| node.op_type != "Shape");
        let inputs = read.flat_map(|node| &node.input);
        for name in inputs.chain(file.output.iter().map(|output| &output.name)) {
            *readers.entry(name.clone()).or_insert(0) += 1;
        }
        let values = HashMap::from([(input.to_owned(), value)]);
        Self {
            graph,
            constants,
            values,
            masked: HashMap::new(),
            made: 0,
            held: 0,
            bare: HashSet::new(),
            readers,
        }
    }

    /// How often a value of the graph is read, under whatever names: each name but the first was made
    /// by reading another.
    pub(super) fn reads(&self, index: usize) -> usize {
        let names = self.values.iter().filter(|(_, value)| value.index == index);
        let read = |name: &String| self.readers.get(name).copied().unwrap_or(0);
        let count = |(all, made): (usize, usize), name: &String| (all + read(name), made + 1);
        let (all, made) = names.map(|(name, _)| name).fold((0, 0), count);
        all.saturating_sub(made - usize::from(made > 0))
    }

    pub(super) fn finish(mut self, output: &str) -> Read<Graph> {
        let value = self.values.get(output).cloned().ok_or(ImportError::Graph)?;
        let node = NodeProto { name: output.to_owned(), ..NodeProto::default() };
        let value = self.settle(&node, value)?;
        if value.index == 0 {
            return Err(ImportError::Graph);
        }
        // What comes after the output does not matter.
        self.graph.nodes.truncate(value.index);
        Ok(self.graph)
    }

    pub(super) fn node(&mut self, node: &NodeProto) -> Read<()> {
        let standard = node.domain.is_empty() || node.domain == "ai.onnx";
        let operator = if standard { node.op_type.as_str() } else { "" };
        let known = |name: &String| {
            self.values.contains_key(name)
                || self.constants.contains_key(name)
                || self.masked.contains_key(name)
        };
        if node.output.iter().any(|name| !name.is_empty() && known(name)) {
            return misfit(node, "it gives a name to a second value");
        }
        if self.computed(node, operator)? {
            return Ok(());
        }
        match operator {
            "Constant" => self.constant(node),
            "Identity" | "Dropout" => self.identity(node),
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => self.reshape(node),
            "Gemm" => self.gemm(node),
            "MatMul" => self.matmul(node),
            "Add" => self.binary(node, Binary::Add),
            "Sub" => self.binary(node, Binary::Sub),
            "Mul" => self.binary(node, Binary::Mul),
            "Div" => self.binary(node, Binary::Div),
            "Neg" => self.negative(node),
            "Abs" | "Celu" | "Elu" | "Erf" | "Exp" | "Gelu" | "Log" | "Mish" | "Pow"
            | "Reciprocal" | "Selu" | "Sigmoid" | "Softplus" | "Softsign" | "Sqrt" | "Tanh" => {
                self.unary(node)
            }
            "Cast" if [FLOAT, DOUBLE].map(i64::from).contains(&integer(node, "to", 0)) => {
                self.identity(node)
            }
            "Concat" => self.concat(node),
            "QuantizeLinear" => self.requantise(node),
            "DequantizeLinear" => self.dequantise(node),
            "QLinearConv" | "QLinearMatMul" => self.quantised_layer(node),
            "Transpose" => self.transpose(node),
            "Gather" => self.gather(node),
            "Softmax" | "LogSoftmax" => self.softmax(node),
            "Split" => self.split_into(node),
            "Where" => self.choose(node),
            "LayerNormalization" => self.layer_normalization(node),
            "ReduceSum" => self.reduce(node),
            "Relu" => {
                let input = self.value(node, 0)?;
                let value = self.rectified(node, &input, None)?;
                self.alias(node, value)
            }
            "LeakyRelu" => self.leaky(node, float(node, "alpha", 0.01)),
            "PRelu" => self.sloped(node),
            "HardSigmoid" | "HardSwish" => self.hard(node),
            "Clip" => self.clip(node),
            "Max" | "Min" => self.extreme(node),
            "Conv" => self.conv(node),
            "BatchNormalization" => self.batch_normalization(node),
            "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool" => self.pool(node),
            "Pad" => self.pad(node),
            "Shape" => self.dimensions(node),
            "Slice" => self.slice(node),
            "Sum" => self.sum(node),
            "ReduceMean" => self.reduce_mean(node),
            _ => Err(ImportError::Operator { node: name(node), operator: node.op_type.clone() }),
        }
    }

    pub(super) fn input(node: &NodeProto, place: usize) -> Read<&str> {
        match node.input.get(place).filter(|input| !input.is_empty()) {
            Some(input) => Ok(input),
            None => misfit(node, format!("input {place} is missing")),
        }
    }

    /// A value with nothing pending, read as it lies in the graph.
    pub(super) fn value(&mut self, node: &NodeProto, place: usize) -> Read<Value> {
        let value = self.raw(node, place)?;
        self.settle(node, value)
    }

    /// A value as it is.
    pub(super) fn raw(&self, node: &NodeProto, place: usize) -> Read<Value> {
        let value = Self::input(node, place)?;
        if self.masked.contains_key(value) {
            return unsupported(node, "masked scores where only Softmax may read them");
        }
        if self.constants.get(value).is_some_and(|constant| !constant.is_finite()) {
            return Err(ImportError::NotFinite(value.to_owned()));
        }
        if self.bare.contains(value) && !matches!(node.op_type.as_str(), "Unsqueeze" | "Reshape") {
            return unsupported(node, "a value without its batch");
        }
        let unknown = || ImportError::Unknown { node: name(node), value: value.to_owned() };
        self.values.get(value).cloned().ok_or_else(unknown)
    }

    pub(super) fn floats(&self, node: &NodeProto, place: usize) -> Read<(&[usize], &[f32])> {
        match self.constants.get(Self::input(node, place)?) {
            Some(constant) if !constant.is_finite() => {
                Err(ImportError::NotFinite(Self::input(node, place)?.to_owned()))
            }
            Some(Constant::Floats { shape, values }) => Ok((shape, values)),
            _ => unsupported(node, format!("input {place} that is not a constant of floats")),
        }
    }

    pub(super) fn optional(
        &self,
        node: &NodeProto,
        place: usize,
        default: Vec<f32>,
    ) -> Read<Vec<f32>> {
        match node.input.get(place) {
            Some(input) if !input.is_empty() => Ok(self.floats(node, place)?.1.to_vec()),
            _ => Ok(default),
        }
    }

    pub(super) fn output(node: &NodeProto) -> Read<&str> {
        match node.output.as_slice() {
            [output, rest @ ..] if rest.iter().all(String::is_empty) => Ok(output),
            [output, ..] if node.op_type == "Dropout" => Ok(output),
            _ => unsupported(node, "more than one output"),
        }
    }

    pub(super) fn alias(&mut self, node: &NodeProto, value: Value) -> Read<()> {
        let output = Self::output(node)?.to_owned();
        self.values.insert(output, value);
        Ok(())
    }

    pub(super) fn push(&mut self, node: &NodeProto, shape: Vec<u32>, kind: Kind) -> Read<()> {
        // A node reads its inputs in the shape they were computed in; only a matrix product may
        // read them flattened.
        let value = self.make(node, shape, kind)?;
        self.alias(node, value)
    }

    fn constant(&mut self, node: &NodeProto) -> Read<()> {
        let [attribute] = node.attribute.as_slice() else {
            return unsupported(node, "a constant of several attributes");
        };
        let floats = |shape, values| Constant::Floats { shape, values };
        let integers = |shape, values| Constant::Integers { shape, values, least: i64::MIN };
        let constant = match (attribute.name.as_str(), &attribute.t) {
            ("value", Some(tensor)) => tensor::read(tensor.clone())?,
            ("value_float", _) => floats(vec![], vec![attribute.f]),
            ("value_floats", _) => floats(vec![attribute.floats.len()], attribute.floats.clone()),
            ("value_int", _) => integers(vec![], vec![attribute.i]),
            ("value_ints", _) => integers(vec![attribute.ints.len()], attribute.ints.clone()),
            _ => return unsupported(node, "a constant without numbers"),
        };
        self.define(node, constant)
    }

    /// Makes room for so many more numbers.
    pub(super) fn hold(&mut self, count: usize) -> Read<()> {
        self.held = self.held.saturating_add(count);
        if self.held > 2 * MAX_PARAMETERS { Err(ImportError::Size) } else { Ok(()) }
    }

    /// Another name, of a value or of a constant that exporters name twice.
    fn identity(&mut self, node: &NodeProto) -> Read<()> {
        if let Some(constant) = self.constants.get(Self::input(node, 0)?).cloned() {
            return self.define(node, constant);
        }
        let value = self.raw(node, 0)?;
        self.alias(node, value)
    }

    /// Gives a name to a constant.
    pub(super) fn define(&mut self, node: &NodeProto, constant: Constant) -> Read<()> {
        self.hold(constant.len())?;
        self.constants.insert(Self::output(node)?.to_owned(), constant);
        Ok(())
    }

    /// Only flattening, and what leaves the shape but for ones, can be read as another shape, and
    /// what splits a matrix product's own dimensions.
    fn reshape(&mut self, node: &NodeProto) -> Read<()> {
        let value = self.value(node, 0)?;
        let count = product(&value.shape);
        let shape = match node.op_type.as_str() {
            "Flatten"
                if [1, -i64::try_from(value.shape.len()).unwrap_or(0)]
                    .contains(&integer(node, "axis", 1)) =>
            {
                vec![count]
            }
            "Reshape" => {
                let Some(Constant::Integers { values: wanted, .. }) =
                    self.constants.get(Self::input(node, 1)?)
                else {
                    return unsupported(node, "a shape that is not constant");
                };
                let wanted = wanted.clone();
                let shape = resolve(&wanted, &value.shape);
                let shape = shape.map_or_else(
                    || misfit(node, format!("{:?}", &wanted[..wanted.len().min(MAX_TOLD)])),
                    Ok,
                )?;
                let grouped = self.is_whole(&value) && groups(&value.shape, &shape);
                if !merges(&value.shape, &shape) && !grouped && !self.split(&value, &shape) {
                    return unsupported(node, format!("reshaping {:?} to {shape:?}", value.shape));
                }
                shape.into_iter().map(|size| size as usize).collect()
            }
            "Squeeze" | "Unsqueeze" => self.ones(node, &value)?,
            operator => return unsupported(node, format!("this {operator}")),
        };
        let shape: Vec<u32> =
            shape.into_iter().map(|size| u32::try_from(size).unwrap_or(u32::MAX)).collect();
        self.alias(node, Value::plain(value.index, shape))
    }

    /// Axes by attribute or by a constant; `None` if there are none.
    pub(super) fn axes(&self, node: &NodeProto) -> Read<Option<Vec<i64>>> {
        match (attribute(node, "axes"), node.input.get(1).filter(|name| !name.is_empty())) {
            (Some(axes), _) => Ok(Some(axes.ints.clone())),
            (None, None) => Ok(None),
            (None, Some(name)) => match self.constants.get(name) {
                Some(Constant::Integers { values, .. }) => Ok(Some(values.clone())),
                _ => unsupported(node, "axes that are not constant"),
            },
        }
    }

    /// The shape with ones put in or taken out, but for the batch's.
    fn ones(&mut self, node: &NodeProto, value: &Value) -> Read<Vec<usize>> {
        let axes = match self.axes(node)? {
            Some(axes) => axes,
            None if node.op_type == "Squeeze" => {
                self.bare.insert(Self::output(node)?.to_owned());
                let ones = (1..).zip(&value.shape).filter(|(_, size)| **size == 1);
                ones.map(|(axis, _)| axis).collect()
            }
            None => return unsupported(node, format!("this {}", node.op_type)),
        };
        if self.bare.contains(Self::input(node, 0)?) {
            return match axes.as_slice() {
                [0] => Ok(value.shape.iter().map(|size| *size as usize).collect()),
                _ => unsupported(node, "a value without its batch"),
            };
        }
        // The batch stays in front.
        let sizes = value.shape.iter().map(|size| *size as usize);
        let with_batch: Vec<usize> = [1].into_iter().chain(sizes).collect();
        let more = if node.op_type == "Unsqueeze" { axes.len() } else { 0 };
        let rank = with_batch.len() + more;
        let found = ones(&node.op_type, &with_batch, &axes);
        let found = found.filter(|_| axes.iter().all(|axis| from_behind(*axis, rank) != Some(0)));
        let Some([_, shape @ ..]) = found.as_deref() else {
            return misfit(node, format!("{} of {:?}", node.op_type, value.shape));
        };
        let mut shape = shape.to_vec();
        if shape.is_empty() {
            shape.push(1);
        }
        Ok(shape)
    }

    fn gemm(&mut self, node: &NodeProto) -> Read<()> {
        let value = self.raw(node, 0)?;
        let (shape, values) = self.floats(node, 1)?;
        let &[rows, columns] = shape else { return misfit(node, "weights are not a matrix") };
        if integer(node, "transA", 0) != 0 {
            return unsupported(node, "transA");
        }
        let turned = integer(node, "transB", 0) != 0;
        let alpha = float(node, "alpha", 1.0);
        let weights = if turned { values.to_vec() } else { transposed(values, rows, columns) };
        let (outputs, inputs) = if turned { (rows, columns) } else { (columns, rows) };
        let beta = float(node, "beta", 1.0);
        let bias = self.optional(node, 2, vec![0.0; outputs])?;
        let bias = if bias.len() == 1 { vec![bias[0]; outputs] } else { bias };
        let weights = weights.into_iter().map(|w| w * alpha).collect();
        let bias = bias.into_iter().map(|b| b * beta).collect();
        self.dense(node, value, 0, (outputs, inputs), weights, bias)
    }

    fn dense(
        &mut self,
        node: &NodeProto,
        value: Value,
        kept: usize,
        (outputs, inputs): (usize, usize),
        mut weights: Vec<f32>,
        mut bias: Vec<f32>,
    ) -> Read<()> {
        let fits = product(&value.shape[kept..]) == inputs
            && bias.len() == outputs
            && outputs > 0
            && inputs > 0;
        if !fits || value.shape.len() != kept + 1 {
            return misfit(node, format!("{:?} times [{outputs}, {inputs}]", value.shape));
        }
        // Factors and shifts of the inputs are the weights' and the bias's.
        let value = match &value.pending {
            Pending::Affine { scale, shift } if value.axes.is_none() => {
                let at = |values: &[f32], i: usize| {
                    if values.len() == 1 { values[0] } else { values[i] }
                };
                for (row, bias) in weights.chunks_mut(inputs).zip(&mut bias) {
                    for (i, weight) in row.iter_mut().enumerate() {
                        *bias += *weight * at(shift, i);
                        *weight *= at(scale, i);
                    }
                }
                Value { pending: Pending::Nothing, ..value }
            }
            _ => self.settle(node, value)?,
        };
        if self.graph.shape(value.index).get(..kept) != value.shape.get(..kept) {
            return unsupported(node, "a product of a reshaped value");
        }
        let mut shape = value.shape[..kept].to_vec();
        shape.push(u32::try_from(outputs).unwrap_or(u32::MAX));
        let kept = u8::try_from(kept).unwrap_or(u8::MAX);
        self.push(node, shape, Kind::Dense { input: value.index, kept, weights, bias })
    }

    fn matmul(&mut self, node: &NodeProto) -> Read<()> {
        if node.input.iter().all(|input| self.values.contains_key(input)) {
            return self.product(node);
        }
        let value = self.raw(node, 0)?;
        let (shape, values) = self.floats(node, 1)?;
        let &[inputs, outputs] = shape else { return misfit(node, "weights are not a matrix") };
        let weights = transposed(values, inputs, outputs);
        let kept = value.shape.len() - 1;
        self.dense(node, value, kept, (outputs, inputs), weights, vec![0.0; outputs])
    }

    /// Values side by side, along the channels of images or the last dimension of others.
    fn concat(&mut self, node: &NodeProto) -> Read<()> {
        let mut values = vec![];
        // Channels over one dimension are joined as those of images.
        let mut flat = false;
        for place in 0..node.input.len() {
            let value = self.value(node, place)?;
            flat |= value.shape.len() == 2 && [1, -2].contains(&integer(node, "axis", 0));
            let value = if flat { self.picture(node, value)? } else { value };
            let value = self.laid_out(node, value)?;
            values.push(self.merged(node, value)?);
        }
        let Some(first) = values.first() else { return misfit(node, "nothing to join") };
        let mut shape = first.shape.clone();
        let axis = if shape.len() == 3 { 0 } else { shape.len() - 1 };
        let wanted = if flat { 1 } else { integer(node, "axis", 0) };
        let own = i64::try_from(axis + 1).unwrap_or(i64::MAX);
        let from_behind = wanted.saturating_add(i64::try_from(shape.len() + 1).unwrap_or(i64::MAX));
        if shape.len() > 3 || (wanted != own && from_behind != own) {
            return unsupported(node, format!("joining along dimension {wanted}"));
        }
        shape[axis] = 0;
        for value in &values {
            let rest = |shape: &[u32]| {
                let others = shape.iter().enumerate().filter(|(place, _)| *place != axis);
                others.map(|(_, size)| *size).collect::<Vec<_>>()
            };
            if !self.is_whole(value) {
                return unsupported(node, "joining reshaped values");
            }
            if rest(&value.shape) != rest(&first.shape) {
                return misfit(node, format!("{:?} beside {:?}", value.shape, first.shape));
            }
            shape[axis] = shape[axis].saturating_add(value.shape[axis]);
        }
        let inputs = values.iter().map(|value| value.index).collect();
        let mut made = self.make(node, shape, Kind::Concat { inputs, axis })?;
        if flat {
            made.shape.remove(1);
        }
        self.alias(node, made)
    }

    /// Folded into the product or convolution before it, where there is one.
    fn batch_normalization(&mut self, node: &NodeProto) -> Read<()> {
        let value = self.value(node, 0)?;
        let epsilon = float(node, "epsilon", 1e-5);
        let [scale, shift, mean, variance] =
            [1, 2, 3, 4].map(|place| self.optional(node, place, vec![]));
        let (scale, shift, mean, variance) = (scale?, shift?, mean?, variance?);
        if [&shift, &mean, &variance].iter().any(|values| values.len() != scale.len()) {
            return misfit(node, "as many parameters as channels are needed");
        }
        let deviations = variance.iter().map(|variance| (variance + epsilon).sqrt());
        let factors: Vec<f32> = scale.iter().zip(deviations).map(|(s, d)| s / d).collect();
        let means = mean.iter().zip(&factors).map(|(mean, factor)| mean * factor);
        let shifts: Vec<f32> = shift.iter().zip(means).map(|(shift, mean)| shift - mean).collect();
        if factors.iter().chain(&shifts).any(|value| !value.is_finite()) {
            return Err(ImportError::NotFinite(name(node)));
        }
        let value = self.by_channel(node, value, &factors, &shifts)?;
        self.alias(node, value)
    }
}

/// Whether a shape's dimensions are runs of another's, each multiplied.
fn merges(from: &[u32], to: &[u32]) -> bool {
    let mut rest = from.iter().map(|size| u64::from(*size));
    for wanted in to {
        let mut size = 1;
        while size < u64::from(*wanted) {
            size *= rest.next().unwrap_or(u64::MAX >> 32);
        }
        if size != u64::from(*wanted) {
            return false;
        }
    }
    rest.all(|size| size == 1)
}

/// Whether an image's channels become groups of channels.
fn groups(from: &[u32], to: &[u32]) -> bool {
    match (from, to) {
        ([channels, rest @ ..], [groups, each, more @ ..]) => {
            rest.len() == 2 && rest == more && groups.checked_mul(*each) == Some(*channels)
        }
        _ => false,
    }
}

/// A reshape's target without the batch.
fn resolve(wanted: &[i64], shape: &[u32]) -> Option<Vec<u32>> {
    let (batch, rest) = wanted.split_first().filter(|(batch, _)| (-1..=1).contains(*batch))?;
    let count = product(shape);
    // 0 copies; one -1, unless the batch has it, takes what is left.
    let copied = |(place, size): (usize, &i64)| {
        if *size == 0 { shape.get(place).map(|size| i64::from(*size)) } else { Some(*size) }
    };
    let sizes: Vec<i64> = rest.iter().enumerate().map(copied).collect::<Option<_>>()?;
    let known = sizes.iter().filter(|size| **size != -1);
    let known = known
        .map(|size| usize::try_from(*size).ok())
        .try_fold(1usize, |all, size| all.checked_mul(size?))?;
    let unknown = sizes.iter().filter(|size| **size == -1).count();
    if known == 0 || unknown > 1 || (unknown == 1 && *batch == -1) {
        return None;
    }
    let left = count / known;
    let size =
        |size: &i64| if *size == -1 { u32::try_from(left).ok() } else { u32::try_from(*size).ok() };
    let sizes: Vec<u32> = sizes.iter().map(size).collect::<Option<_>>()?;
    (!sizes.is_empty() && product(&sizes) == count).then_some(sizes)
}

pub(super) fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect()
}
