//! Operators over channels, rows and columns.

use probity_zk::{Window, labels::SUMMED, network::MAX_KERNEL};

use super::{
    ImportError, MAX_PARAMETERS,
    constants::{from_behind, listed},
    nodes::{Context, Read, attribute, integer, misfit, unsupported},
    proto::NodeProto,
    value::{Pending, Value},
};
use crate::graph::Kind;

/// A window of one number.
pub(super) const SINGLE: Window = Window { kernel: [1, 1], stride: [1, 1], pad: [0, 0] };

impl Context {
    pub(super) fn conv(&mut self, node: &NodeProto) -> Read<()> {
        let value = self.image(node)?;
        let (shape, values) = self.floats(node, 1)?;
        let (outputs, per_group, rows, columns) = match *shape {
            [outputs, per_group, columns] => (outputs, per_group, 1, columns),
            [outputs, per_group, rows, columns] => (outputs, per_group, rows, columns),
            _ => return unsupported(node, "a convolution over more than two dimensions"),
        };
        if shape.len() != self.raw(node, 0)?.shape.len() + 1 {
            return misfit(node, format!("a kernel of {shape:?} over {:?}", value.shape));
        }
        let apart = match attribute(node, "dilations").map(|a| a.ints.as_slice()) {
            None | Some([]) => [1; 2],
            Some(&[across]) => [1, usize::try_from(across).unwrap_or(0)],
            Some(&[down, across]) => [down, across].map(|step| usize::try_from(step).unwrap_or(0)),
            Some(_) => return unsupported(node, "these dilations"),
        };
        let Some(spread) = spread([rows, columns], apart) else {
            return unsupported(node, "a window this large");
        };
        let most = (outputs * per_group).checked_mul(spread[0] * spread[1]);
        most.filter(|size| *size <= MAX_PARAMETERS).ok_or(ImportError::Size)?;
        let values = dilate(values, [rows, columns], apart, spread);
        let [rows, columns] = spread;
        let groups = usize::try_from(integer(node, "group", 1)).unwrap_or(0);
        if groups == 0 || outputs == 0 || outputs % groups != 0 || per_group * rows * columns == 0 {
            return misfit(node, format!("{groups} groups of {outputs} outputs"));
        }
        // Those of other groups are zeros, which a file does not hold.
        let most = values.len().checked_mul(groups).filter(|size| *size <= MAX_PARAMETERS);
        most.ok_or(ImportError::Size)?;
        let weights = ungroup(&values, groups, outputs, per_group * rows * columns);
        let channels = groups * per_group;
        let Windowed { window, shape, .. } = window(node, &value, Some([rows, columns]))?;
        let (input, window) = self.without_padding(value.index, window);
        let bias = self.optional(node, 2, vec![0.0; outputs])?;
        if value.shape[0] as usize != channels || bias.len() != outputs || outputs == 0 {
            return misfit(node, format!("{channels} channels of weights for {:?}", value.shape));
        }
        let shape = [&[u32::try_from(outputs).unwrap_or(u32::MAX)][..], &shape[1..]].concat();
        let made = self.make(node, shape, Kind::Conv { input, window, weights, bias })?;
        self.pictured(node, made)
    }

    /// What came of the first input, without rows if that has none.
    fn pictured(&mut self, node: &NodeProto, mut made: Value) -> Read<()> {
        if self.raw(node, 0)?.shape.len() == 2 {
            made.shape.remove(1);
        }
        self.alias(node, made)
    }

    pub(super) fn pool(&mut self, node: &NodeProto) -> Read<()> {
        let value = self.image(node)?;
        let whole = match value.shape.as_slice() {
            [channels, rows, columns] if node.op_type.starts_with("Global") => {
                let small = rows.max(columns) <= &u32::from(MAX_KERNEL);
                if !small && node.op_type == "GlobalAveragePool" {
                    let shape = vec![*channels, 1, 1];
                    let value = self.mean(node, &value, shape, &[0, SUMMED, SUMMED + 1])?;
                    return self.pictured(node, value);
                }
                Some([*rows as usize, *columns as usize])
            }
            _ => None,
        };
        if attribute(node, "dilations").is_some_and(|a| a.ints.iter().any(|step| *step != 1)) {
            return unsupported(node, "dilations of a pool");
        }
        let Windowed { window, shape, padded, beyond } = window(node, &value, whole)?;
        let input = value.index;
        if node.op_type.ends_with("MaxPool") {
            let made = self.make(node, shape, Kind::MaxPool { input, window })?;
            return self.pictured(node, made);
        }
        if integer(node, "count_include_pad", 0) == 0 && (padded || beyond) {
            let factors = shares(window, &shape, &value.shape);
            let Some(factors) = factors else {
                return unsupported(node, "an average of nothing but padding");
            };
            let made = self.make(node, shape, Kind::AveragePool { input, window })?;
            let made = self.times_constant(node, &made, made.shape[1..].to_vec(), &factors)?;
            return self.pictured(node, made);
        }
        if beyond {
            return unsupported(node, "an average beyond the padding");
        }
        let (input, window) = self.without_padding(input, window);
        let made = self.make(node, shape, Kind::AveragePool { input, window })?;
        self.pictured(node, made)
    }

    /// Zeros around images, or less of them: a window of one that goes beyond them, or not as far.
    pub(super) fn pad(&mut self, node: &NodeProto) -> Read<()> {
        let list = |place: usize| match node.input.get(place).filter(|name| !name.is_empty()) {
            Some(name) => Some(self.constants.get(name).and_then(listed).map(<[i64]>::to_vec)),
            None => None,
        };
        let rank = self.raw(node, 0)?.shape.len() + 1;
        let axes = list(3).unwrap_or_else(|| Some((0..).take(rank).collect()));
        let (Some(Some(given)), Some(axes)) = (list(1), axes) else {
            return unsupported(node, "padding that is not constant");
        };
        // Before and behind, of the batch, channels, rows and columns.
        let mut pads = [[0; 2]; 4];
        for (at, axis) in axes.iter().enumerate() {
            let place = from_behind(*axis, rank).filter(|place| *place < rank);
            // One dimension is a row.
            let place = place.map(|place| place + usize::from(rank == 3 && place == 2));
            let (Some(before), Some(behind), Some(pad)) =
                (given.get(at), given.get(at + axes.len()), place.and_then(|p| pads.get_mut(p)))
            else {
                return misfit(node, format!("padding of {rank} dimensions by {given:?}"));
            };
            *pad = [*before, *behind];
        }
        if given.iter().all(|pad| *pad == 0) {
            let value = self.raw(node, 0)?;
            return self.alias(node, value);
        }
        let zeros = match node.input.get(2) {
            Some(name) if !name.is_empty() => self.floats(node, 2)?.1.iter().all(|x| *x == 0.0),
            _ => true,
        };
        let mode = attribute(node, "mode").map_or(&b"constant"[..], |mode| mode.s.as_slice());
        let ([[0, 0], [0, 0], [above, below], [left, right]], true, b"constant") =
            (pads, zeros, mode)
        else {
            return unsupported(node, "padding other than with zeros around images");
        };
        let value = self.image(node)?;
        let &[channels, rows, columns] = value.shape.as_slice() else {
            return misfit(node, format!("{:?} is not channels, rows, columns", value.shape));
        };
        let size = |size: u32, before: i64, after: i64| {
            let all = i64::from(size).checked_add(before)?.checked_add(after)?;
            u32::try_from(all).ok().filter(|size| *size > 0)
        };
        let pad = [above, left].map(i8::try_from);
        let ([Ok(above), Ok(left)], Some(rows), Some(columns)) =
            (pad, size(rows, above, below), size(columns, left, right))
        else {
            return unsupported(node, format!("padding by {pads:?}"));
        };
        let window = Window { pad: [above, left], ..SINGLE };
        let shape = vec![channels, rows, columns];
        let made = self.make(node, shape, Kind::AveragePool { input: value.index, window })?;
        self.pictured(node, made)
    }

    /// A sum of products over what only got padding reads what that was made of.
    fn without_padding(&self, input: usize, window: Window) -> (usize, Window) {
        let before = input.checked_sub(1).and_then(|at| self.graph.nodes.get(at));
        let Some(Kind::AveragePool { input: inner, window: padding }) = before.map(|n| &n.kind)
        else {
            return (input, window);
        };
        // Nothing may be cut off: the window would find it behind the edge.
        let (own, from) = (self.graph.shape(input), self.graph.shape(*inner));
        let is_whole = |axis: usize| {
            let size =
                from.get(axis + 1).map(|size| i64::from(*size) + i64::from(padding.pad[axis]));
            padding.pad[axis] >= 0 && own.get(axis + 1).map(|size| i64::from(*size)) >= size
        };
        let single = Window { pad: [0, 0], ..*padding } == SINGLE && is_whole(0) && is_whole(1);
        let pad = |axis: usize| window.pad[axis].checked_add(padding.pad[axis]);
        match (single, pad(0), pad(1)) {
            (true, Some(rows), Some(columns)) => {
                (*inner, Window { pad: [rows, columns], ..window })
            }
            _ => (input, window),
        }
    }

    /// The first input, as channels, rows and columns: one row where it has none.
    pub(super) fn image(&mut self, node: &NodeProto) -> Read<Value> {
        let value = self.value(node, 0)?;
        let value = self.picture(node, value)?;
        if self.graph.shape(value.index) == value.shape {
            Ok(value)
        } else {
            unsupported(node, "a window over a reshaped value")
        }
    }

    /// Channels over one dimension as an image of one row.
    pub(super) fn picture(&mut self, node: &NodeProto, mut value: Value) -> Read<Value> {
        if value.shape.len() == 2 && value.axes.is_none() {
            value.shape.insert(1, 1);
        }
        self.laid_out(node, value)
    }

    /// Times, then plus, one number for each channel: by the product or convolution right before it if
    /// nothing else reads that, else by a convolution of single pixels, or where the last dimension has
    /// the channels.
    pub(super) fn by_channel(
        &mut self,
        node: &NodeProto,
        value: Value,
        scale: &[f32],
        shift: &[f32],
    ) -> Read<Value> {
        if self.fold(&value, scale, shift) {
            return Ok(value);
        }
        let value = self.settle(node, value)?;
        let (channels, shape) = (scale.len(), value.shape.clone());
        if shape.first().is_none_or(|own| *own as usize != channels) {
            return misfit(node, format!("{channels} channels of {shape:?}"));
        }
        if shape.len() == 1 {
            return self.scaled(node, value, scale, shift);
        }
        // Whatever the other dimensions are seen as, the graph's image has the same channels.
        let own = self.graph.shape(value.index).to_vec();
        let image = if own.len() == 3 && own[0] == shape[0] {
            Value::plain(value.index, own)
        } else {
            self.picture(node, value)?
        };
        if image.shape.len() != 3 || !self.is_whole(&image) {
            return unsupported(node, "channels of a reshaped value");
        }
        let own: Vec<(usize, f32)> = scale.iter().copied().enumerate().collect();
        let mixed = self.mixed(node, &image, &own, shift.to_vec())?;
        Ok(Value::plain(mixed.index, shape))
    }

    /// Channels that are each one of an image's, times a factor: a convolution of single pixels.
    pub(super) fn mixed(
        &mut self,
        node: &NodeProto,
        value: &Value,
        from: &[(usize, f32)],
        bias: Vec<f32>,
    ) -> Read<Value> {
        let mut shape = value.shape.clone();
        let channels =
            std::mem::replace(&mut shape[0], u32::try_from(from.len()).unwrap_or(u32::MAX));
        let channels = channels as usize;
        if channels.saturating_mul(from.len()) > MAX_PARAMETERS {
            return Err(ImportError::Size);
        }
        let mut weights = vec![0.0; channels * from.len()];
        for (row, (channel, factor)) in weights.chunks_mut(channels).zip(from) {
            row[*channel] = *factor;
        }
        self.make(node, shape, Kind::Conv { input: value.index, window: SINGLE, weights, bias })
    }

    /// Whether the product or convolution right before did it.
    fn fold(&mut self, value: &Value, scale: &[f32], shift: &[f32]) -> bool {
        let alone = value.index == self.graph.nodes.len()
            && value.pending == Pending::Nothing
            && value.axes.is_none()
            && self.reads(value.index) <= 1;
        let before = self.graph.nodes.last_mut().filter(|_| alone).map(|node| &mut node.kind);
        // A product's outputs are its last dimension: channels only where it is the first too.
        let Some(Kind::Dense { kept: 0, weights, bias, .. } | Kind::Conv { weights, bias, .. }) =
            before
        else {
            return false;
        };
        let along = value.shape.first().is_some_and(|size| *size as usize == scale.len());
        if bias.len() != scale.len() || !along {
            return false;
        }
        let inner = weights.len() / bias.len();
        for (channel, (bias, row)) in bias.iter_mut().zip(weights.chunks_mut(inner)).enumerate() {
            for weight in row {
                *weight *= scale[channel];
            }
            *bias = *bias * scale[channel] + shift[channel];
        }
        true
    }

    /// A mean; over both spatial dimensions it is a global average.
    pub(super) fn reduce_mean(&mut self, node: &NodeProto) -> Read<()> {
        let value = self.raw(node, 0)?;
        let &[channels, rows, columns] = value.shape.as_slice() else {
            return self.reduce(node);
        };
        let axes = self.axes(node)?.unwrap_or_default();
        let plain = value.pending == Pending::Nothing && value.axes.is_none();
        let small = rows.max(columns) <= u32::from(MAX_KERNEL);
        if !matches!(axes.as_slice(), [2, 3] | [3, 2] | [-1, -2] | [-2, -1]) || !plain || !small {
            return self.reduce(node);
        }
        let whole = Some([rows as usize, columns as usize]);
        if self.graph.shape(value.index) != value.shape {
            return self.reduce(node);
        }
        let Windowed { window, shape: pooled, .. } = window(node, &value, whole)?;
        self.push(node, pooled.clone(), Kind::AveragePool { input: value.index, window })?;
        let shape = if integer(node, "keepdims", 1) == 0 { vec![channels] } else { pooled };
        let index = self.graph.nodes.len();
        self.alias(node, Value::plain(index, shape))
    }
}

/// How an operator moves over rows and columns.
struct Windowed {
    window: Window,
    /// What comes out.
    shape: Vec<u32>,
    /// Whether there is padding, and whether a window goes on beyond it.
    padded: bool,
    beyond: bool,
}

fn window(node: &NodeProto, value: &Value, kernel: Option<[usize; 2]>) -> Read<Windowed> {
    let &[channels, rows, columns] = value.shape.as_slice() else {
        return misfit(node, format!("{:?} is not channels, rows, columns", value.shape));
    };
    let ints =
        |name: &str| attribute(node, name).map_or(&[][..], |attribute| attribute.ints.as_slice());
    let pair = |values: &[i64], default: i64| match values {
        [] => Some([default; 2]),
        [a] => Some([default, *a]),
        [a, b] => Some([*a, *b]),
        _ => None,
    };
    let kernel = kernel.map_or_else(
        || pair(ints("kernel_shape"), 1),
        |kernel| Some(kernel.map(|size| i64::try_from(size).unwrap_or(i64::MAX))),
    );
    let pads = match ints("pads") {
        [] => Some([0; 4]),
        [a, b] => Some([0, *a, 0, *b]),
        [a, b, c, d] => Some([*a, *b, *c, *d]),
        _ => None,
    };
    let (Some(kernel), Some(stride), Some(pads)) = (kernel, pair(ints("strides"), 1), pads) else {
        return unsupported(node, "a window of other than two dimensions");
    };
    let auto = attribute(node, "auto_pad").map_or(&b""[..], |a| a.s.as_slice());
    let small = |value: &i64| (1..=i64::from(MAX_KERNEL)).contains(value);
    if !kernel.iter().chain(&stride).all(small) || !pads.iter().all(|pad| (-128..128).contains(pad))
    {
        return unsupported(node, "a window this large");
    }
    let (mut shape, mut pad, mut padded, mut beyond) = (vec![channels], [0; 2], false, false);
    for (axis, size) in [rows, columns].map(i64::from).into_iter().enumerate() {
        let (kernel, stride) = (kernel[axis], stride[axis]);
        let lacking = ((size + stride - 1) / stride - 1) * stride + kernel - size;
        let half = lacking.max(0) / 2;
        let [before, after] = match auto {
            b"" | b"NOTSET" => [pads[axis], pads[axis + 2]],
            b"VALID" => [0, 0],
            b"SAME_UPPER" => [half, lacking.max(0) - half],
            b"SAME_LOWER" => [lacking.max(0) - half, half],
            _ => return unsupported(node, "this auto_pad"),
        };
        if node.op_type == "MaxPool" && before.max(after) >= kernel {
            return unsupported(node, "a maximum over nothing but padding");
        }
        let room = size + before + after - kernel;
        if room < 0 {
            return misfit(node, format!("a kernel of {kernel:?} over {:?}", value.shape));
        }
        let mut count = room / stride + 1;
        // One more that starts within the values or the padding before them.
        let more = integer(node, "ceil_mode", 0) != 0 && room % stride > 0;
        if more && count * stride < size + before {
            (count, beyond) = (count + 1, true);
        }
        shape.push(u32::try_from(count).unwrap_or(u32::MAX));
        pad[axis] = i8::try_from(before).unwrap_or(i8::MAX);
        padded |= before != 0 || after != 0;
    }
    let narrow = |values: [i64; 2]| values.map(|value| u8::try_from(value).unwrap_or(u8::MAX));
    let window = Window { kernel: narrow(kernel), stride: narrow(stride), pad };
    Ok(Windowed { window, shape, padded, beyond })
}

/// What a window's mean is times where padding does not count: its size by how many it holds.
fn shares(window: Window, to: &[u32], from: &[u32]) -> Option<Vec<f32>> {
    let counts = |axis: usize| -> Vec<i64> {
        let (size, kernel) = (i64::from(from[axis + 1]), i64::from(window.kernel[axis]));
        let first =
            |at: u32| i64::from(at) * i64::from(window.stride[axis]) - i64::from(window.pad[axis]);
        let count = |at: u32| (first(at) + kernel).min(size) - first(at).max(0);
        (0..to[axis + 1]).map(count).collect()
    };
    let all = f32::from(window.kernel[0]) * f32::from(window.kernel[1]);
    let (rows, columns) = (counts(0), counts(1));
    let held = rows.iter().flat_map(|rows| columns.iter().map(move |columns| (rows, columns)));
    let share = |(rows, columns): (&i64, &i64)| {
        let (rows, columns) = (u16::try_from(*rows).ok()?, u16::try_from(*columns).ok()?);
        (rows > 0 && columns > 0).then(|| all / (f32::from(rows) * f32::from(columns)))
    };
    held.map(share).collect()
}

/// A kernel's size with so many steps from one weight to the next; `None` if it is too large.
fn spread(kernel: [usize; 2], apart: [usize; 2]) -> Option<[usize; 2]> {
    let one = |size: usize, step: usize| {
        let size = size.checked_sub(1)?.checked_mul(step)?.checked_add(1)?;
        (size <= usize::from(MAX_KERNEL) && step > 0).then_some(size)
    };
    Some([one(kernel[0], apart[0])?, one(kernel[1], apart[1])?])
}

/// Kernels spread out: zeros stand between their weights.
fn dilate(values: &[f32], from: [usize; 2], apart: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    let [own, spread] = [from, to].map(|[rows, columns]| rows * columns);
    let mut spaced = vec![0.0; values.len() / own * spread];
    for (spaced, kernel) in spaced.chunks_mut(spread).zip(values.chunks(own)) {
        for (place, weight) in kernel.iter().enumerate() {
            let [row, column] = [place / from[1] * apart[0], place % from[1] * apart[1]];
            spaced[row * to[1] + column] = *weight;
        }
    }
    spaced
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
