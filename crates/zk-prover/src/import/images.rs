//! Operators over channels, rows and columns.

use probity_zk::{Window, network::MAX_KERNEL};

use super::{
    ImportError, MAX_PARAMETERS,
    nodes::{Context, Read, attribute, integer, misfit, unsupported},
    proto::NodeProto,
    tensor::Constant,
    value::{Pending, Value},
};
use crate::graph::Kind;

impl Context {
    pub(super) fn conv(&mut self, node: &NodeProto) -> Read<()> {
        let value = self.value(node, 0)?;
        let (shape, values) = self.floats(node, 1)?;
        let &[outputs, per_group, rows, columns] = shape else {
            return unsupported(node, "a convolution over other than two dimensions");
        };
        let groups = usize::try_from(integer(node, "group", 1)).unwrap_or(0);
        if groups == 0 || outputs % groups != 0 || per_group * rows * columns == 0 {
            return misfit(node, format!("{groups} groups of {outputs} outputs"));
        }
        // Those of other groups are zeros, which a file does not hold.
        let most = values.len().checked_mul(groups).filter(|size| *size <= MAX_PARAMETERS);
        most.ok_or(ImportError::Size)?;
        let weights = ungroup(values, groups, outputs, per_group * rows * columns);
        let channels = groups * per_group;
        let (window, shape) = self.window(node, &value, Some([rows, columns]))?;
        let bias = self.optional(node, 2, vec![0.0; outputs])?;
        if value.shape[0] as usize != channels || bias.len() != outputs || outputs == 0 {
            return misfit(node, format!("{channels} channels of weights for {:?}", value.shape));
        }
        let shape = [&[u32::try_from(outputs).unwrap_or(u32::MAX)][..], &shape[1..]].concat();
        self.push(node, shape, Kind::Conv { input: value.index, window, weights, bias })
    }

    pub(super) fn pool(&mut self, node: &NodeProto) -> Read<()> {
        let value = self.value(node, 0)?;
        let whole = match value.shape.as_slice() {
            [_, rows, columns] if node.op_type == "GlobalAveragePool" => {
                Some([*rows as usize, *columns as usize])
            }
            _ => None,
        };
        let (window, shape) = self.window(node, &value, whole)?;
        let input = value.index;
        if node.op_type == "MaxPool" {
            return self.push(node, shape, Kind::MaxPool { input, window });
        }
        let padded =
            attribute(node, "pads").is_some_and(|pads| pads.ints.iter().any(|pad| *pad != 0));
        if padded && integer(node, "count_include_pad", 0) == 0 {
            return unsupported(node, "an average that leaves padding out");
        }
        self.push(node, shape, Kind::AveragePool { input, window })
    }

    /// A mean; over both spatial dimensions it is a global average.
    pub(super) fn reduce_mean(&mut self, node: &NodeProto) -> Read<()> {
        let value = self.raw(node, 0)?;
        let &[channels, rows, columns] = value.shape.as_slice() else {
            return self.reduce(node);
        };
        let axes = match (attribute(node, "axes"), node.input.get(1)) {
            (Some(axes), _) => axes.ints.clone(),
            (None, Some(name)) => match self.constants.get(name) {
                Some(Constant::Integers { values, .. }) => values.clone(),
                _ => return unsupported(node, "axes that are not constant"),
            },
            (None, None) => vec![],
        };
        let plain = value.pending == Pending::Nothing && value.axes.is_none();
        let small = rows.max(columns) <= u32::from(MAX_KERNEL);
        if !matches!(axes.as_slice(), [2, 3] | [3, 2] | [-1, -2] | [-2, -1]) || !plain || !small {
            return self.reduce(node);
        }
        let whole = Some([rows as usize, columns as usize]);
        let (window, pooled) = self.window(node, &value, whole)?;
        self.push(node, pooled.clone(), Kind::AveragePool { input: value.index, window })?;
        let shape = if integer(node, "keepdims", 1) == 0 { vec![channels] } else { pooled };
        let index = self.graph.nodes.len();
        self.alias(node, Value::plain(index, shape))
    }

    /// Kernel, stride and padding; and the shape that comes out.
    fn window(
        &self,
        node: &NodeProto,
        value: &Value,
        kernel: Option<[usize; 2]>,
    ) -> Read<(Window, Vec<u32>)> {
        let &[channels, rows, columns] = value.shape.as_slice() else {
            return misfit(node, format!("{:?} is not channels, rows, columns", value.shape));
        };
        if self.graph.shape(value.index) != value.shape {
            return unsupported(node, "a window over a reshaped value");
        }
        let ints = |name: &str| {
            attribute(node, name).map_or(&[][..], |attribute| attribute.ints.as_slice())
        };
        let plain = |name: &str, allowed: &[i64]| ints(name).iter().all(|v| allowed.contains(v));
        let auto = attribute(node, "auto_pad")
            .is_none_or(|a| matches!(a.s.as_slice(), b"" | b"NOTSET" | b"VALID"));
        if !plain("dilations", &[1]) || integer(node, "ceil_mode", 0) != 0 || !auto {
            return unsupported(node, "dilations, ceil_mode or auto_pad");
        }
        let pair = |values: &[i64], default: i64| match values {
            [] => Some([default; 2]),
            [a, b] => Some([*a, *b]),
            _ => None,
        };
        let kernel = kernel.map_or_else(
            || pair(ints("kernel_shape"), 1),
            |kernel| Some(kernel.map(|size| i64::try_from(size).unwrap_or(i64::MAX))),
        );
        let pads = match ints("pads") {
            [] => Some([0; 4]),
            [a, b, c, d] => Some([*a, *b, *c, *d]),
            _ => None,
        };
        let (Some(kernel), Some(stride), Some(pads)) = (kernel, pair(ints("strides"), 1), pads)
        else {
            return unsupported(node, "a window of other than two dimensions");
        };
        let mut shape = vec![channels];
        for (axis, size) in [rows, columns].into_iter().enumerate() {
            let room = i64::from(size) + pads[axis] + pads[axis + 2] - kernel[axis];
            if room < 0 || stride[axis] < 1 {
                return misfit(node, format!("a kernel of {kernel:?} over {:?}", value.shape));
            }
            shape.push(u32::try_from(room / stride[axis] + 1).unwrap_or(u32::MAX));
        }
        let narrow =
            |values: [i64; 2]| Some([u8::try_from(values[0]).ok()?, u8::try_from(values[1]).ok()?]);
        let pad = [i8::try_from(pads[0]), i8::try_from(pads[1])];
        match (narrow(kernel), narrow(stride), pad) {
            (Some(kernel), Some(stride), [Ok(top), Ok(left)]) => {
                Ok((Window { kernel, stride, pad: [top, left] }, shape))
            }
            _ => unsupported(node, "a window this large"),
        }
    }
}

/// A grouped convolution's weights as a plain one's: zeros for the other groups' channels.
fn ungroup(values: &[f32], groups: usize, outputs: usize, size: usize) -> Vec<f32> {
    let mut weights = vec![];
    for (output, own) in values.chunks(size).enumerate() {
        let group = output * groups / outputs;
        weights.resize(weights.len() + group * size, 0.0);
        weights.extend_from_slice(own);
        weights.resize(weights.len() + (groups - 1 - group) * size, 0.0);
    }
    weights
}
