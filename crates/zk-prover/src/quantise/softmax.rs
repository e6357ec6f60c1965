//! Softmax: exponentials of the distance to a row's largest value, by their sum's reciprocal; and the
//! sum's logarithm.

use probity_zk::{Labels, Operation, Shape, Term, Window, model::Weights, network::bits};

use super::{
    QuantiseError, Value,
    builder::{Builder, fixed, fixed_small},
    round_i32,
    tables::{CLAMP, POSITIVE},
    terms::row,
};
use crate::graph::{Mask, Node, identity};

/// The largest exponential, that of the row's maximum.
const ONE: u16 = 1023;
/// Most that a reciprocal is.
const RECIPROCAL: u16 = 32767;
/// Bits of a sum of exponentials as an index: of short rows, and of each row beside its length.
const SUM_BITS: u8 = 12;
const SUM_BITS_EACH: u8 = 9;
/// Parts of the scores' unit that a logarithm of a sum is counted in.
const LOG_PARTS: f32 = 8.0;

impl Builder<'_> {
    pub(super) fn softmax(
        &mut self,
        node: &Node,
        input: usize,
        mask: Option<&Mask>,
    ) -> Result<(), QuantiseError> {
        let shape = of_rows(&node.shape);
        let mut scores = self.scores(node, input, &shape)?;
        let mask = mask.map(|mask| self.mask(node, mask, &shape)).transpose()?;
        if let Some(mask) = &mask {
            scores = self.masked(node, mask, scores, &shape)?;
        }
        let largest = self.row_maximum(node, scores, &shape)?;
        let mut powers = self.exponentials(node, scores, largest, &shape)?;
        if let Some((mask, labels)) = mask {
            let labels = [labels, identity(shape.len())];
            let inputs = [mask.tensor, powers.tensor];
            let terms = vec![Term::Product { inputs, coefficient: 1, labels }];
            powers = self.emit(node, &shape, (terms, None), (0, None), powers)?;
        }
        let (reciprocals, unit) = self.reciprocals(node, powers, &shape)?;
        // A share of one, in units of its own.
        let top = f32::from((1u16 << self.low) - 1);
        let (coefficient, shift) = fixed_small(node, top * unit)?;
        let labels = back(shape.len(), node.shape.len());
        let inputs = [powers.tensor, reciprocals.tensor];
        let term = Term::Product { inputs, coefficient, labels };
        let value = Value { tensor: 0, scale: 1.0 / top, negative: false, reach: 1 << self.low };
        self.push(node, vec![term], shift, Some(CLAMP), value)
    }

    /// `m + ln Σ exp(x − m)` of each row.
    pub(super) fn log_sum(&mut self, node: &Node, input: usize) -> Result<(), QuantiseError> {
        let own = self.graph.shape(input).to_vec();
        let shape = of_rows(&own);
        let scores = self.scores(node, input, &shape)?;
        let largest = self.row_maximum(node, scores, &shape)?;
        let powers = self.exponentials(node, scores, largest, &shape)?;
        let sum = Sum::of(node, &shape)?;
        let [unit, least] = [scores.scale / LOG_PARTS, sum.least].map(f64::from);
        // No less than the largest exponential alone; at most a row of them.
        #[expect(clippy::cast_precision_loss, reason = "indices are small")]
        let listing = move |u: i64| libm::log(u as f64 / least).max(0.0) / unit;
        let logarithm = self.of_sum(node, powers, &shape, &sum, listing)?;
        let [largest_labels, logarithm_labels] = back(shape.len(), own.len());
        let term = |input, coefficient, labels| Term::Arrange { input, coefficient, labels };
        let parts = round_i32(LOG_PARTS);
        let terms = vec![
            term(largest.tensor, parts, largest_labels),
            term(logarithm.tensor, 1, logarithm_labels),
        ];
        let scale = scores.scale / LOG_PARTS;
        let reach = scores.reach * i64::from(parts) + logarithm.reach;
        self.push(node, terms, 0, None, Value { tensor: 0, scale, negative: true, reach })
    }

    /// The scores over three dimensions, with no more bits than activations have.
    fn scores(&mut self, node: &Node, input: usize, shape: &[u32]) -> Result<Value, QuantiseError> {
        let from = self.narrow(node, input)?;
        let own = self.graph.shape(input).len();
        if shape.len() == own {
            // The maximum is cut off at activations' limits, whatever the scores' are.
            let reach = from.reach.max(1 << self.low);
            return Ok(Value { reach, ..from });
        }
        let labels: Vec<u8> = (0..3).skip(shape.len() - own).collect();
        let labels = Labels::new(&labels);
        let terms = vec![Term::Arrange { input: from.tensor, coefficient: 1, labels }];
        self.emit(node, shape, (terms, None), (0, None), from)
    }

    /// A mask as a tensor of zeros and ones, and its dimensions' labels.
    fn mask(
        &mut self,
        node: &Node,
        mask: &Mask,
        shape: &[u32],
    ) -> Result<(Value, Labels), QuantiseError> {
        let rank = mask.shape.len();
        let own: Vec<u8> = (0..4).take(shape.len()).skip(shape.len() - rank).collect();
        let units = mask.kept.iter().map(|kept| i32::from(*kept)).collect();
        let everywhere = u8::try_from(16 * (rank - 1)).unwrap_or(0);
        let one = Value { tensor: 0, scale: 1.0, negative: false, reach: 1 };
        let bias = Some((everywhere, units));
        let value = self.emit(node, &mask.shape, (vec![], bias), (0, None), one)?;
        Ok((value, Labels::new(&own)))
    }

    /// Scores from 0 on, 0 where they do not count: no other is below.
    fn masked(
        &mut self,
        node: &Node,
        (mask, labels): &(Value, Labels),
        scores: Value,
        shape: &[u32],
    ) -> Result<Value, QuantiseError> {
        let inputs = [mask.tensor, scores.tensor];
        let both = [*labels, identity(shape.len())];
        let reach = i32::try_from(scores.reach).unwrap_or(i32::MAX);
        let terms = vec![
            Term::Product { inputs, coefficient: 1, labels: both },
            Term::Arrange { input: mask.tensor, coefficient: reach, labels: *labels },
        ];
        let value = Value { negative: false, ..scores };
        self.emit(node, shape, (terms, None), (0, Some(POSITIVE)), value)
    }

    /// As [`Self::row_maximum`], of four dimensions: taps are products with zeros and ones.
    fn row_maximum_of_four(
        &mut self,
        node: &Node,
        mut value: Value,
        shape: &[u32],
    ) -> Result<Value, QuantiseError> {
        let mut shape = shape.to_vec();
        while shape[3] > 1 {
            let (length, half) = (shape[3] as usize, shape[3].div_ceil(2) as usize);
            shape[3] = shape[3].div_ceil(2);
            let tap = |this: &mut Self, far: i8, near: i8, table, more: Option<Value>| {
                let mut weights = vec![0; half * length];
                for place in 0..half {
                    weights[place * length + place + length - half] = far;
                    weights[place * length + place] += near;
                }
                let mut terms = vec![Term::Dense { input: value.tensor, kept: 3 }];
                terms.extend(more.map(|m| Term::Scale { input: m.tensor, coefficient: 1 }));
                let mut own = vec![weights];
                own.resize(terms.len(), vec![]);
                let weights = Weights { terms: own, multipliers: vec![1; half], bias: vec![] };
                let (bias, table) = (None, Some(table));
                let shape = Shape::new(&shape)?;
                let operation = Operation { shape, terms, bias, shift: 0, table };
                Ok::<_, QuantiseError>(this.add(node, operation, weights, value))
            };
            let more = tap(self, 1, -1, POSITIVE, None)?;
            // What is larger by as much as it is is within the range again, and the table says so.
            let table = if value.negative { CLAMP } else { POSITIVE };
            value = tap(self, 0, 1, table, Some(more))?;
        }
        Ok(value)
    }

    /// The largest of each row, by halves that overlap where a row is odd.
    fn row_maximum(
        &mut self,
        node: &Node,
        mut value: Value,
        shape: &[u32],
    ) -> Result<Value, QuantiseError> {
        if shape.len() == 4 {
            return self.row_maximum_of_four(node, value, shape);
        }
        let mut shape = shape.to_vec();
        while shape[2] > 1 {
            // How far apart the two taps are, and their steps. A window skips by at most 127.
            let (apart, step, length) = match shape[2] {
                size @ ..=254 => (size - size.div_ceil(2), 1, size.div_ceil(2)),
                size if size.is_multiple_of(2) => (1, 2, size / 2),
                size => (1, 1, size - 1),
            };
            shape[2] = length;
            let tap = |skip: u32, coefficient: i32| {
                let skip = i8::try_from(skip).unwrap_or(0);
                let window = Window { kernel: [1, 1], stride: [1, step], pad: [0, -skip] };
                Term::Window { input: value.tensor, coefficient, window }
            };
            let terms = vec![tap(apart, 1), tap(0, -1)];
            let more = self.emit(node, &shape, (terms, None), (0, Some(POSITIVE)), value)?;
            let more = Term::Scale { input: more.tensor, coefficient: 1 };
            value = self.emit(node, &shape, (vec![tap(0, 1), more], None), (0, None), value)?;
        }
        Ok(value)
    }

    /// `E · exp(s − m)`; distances start at 1, for 0 is the padding's.
    fn exponentials(
        &mut self,
        node: &Node,
        scores: Value,
        largest: Value,
        shape: &[u32],
    ) -> Result<Value, QuantiseError> {
        let nearest = 2 * scores.reach;
        let unit = f64::from(scores.scale);
        #[expect(clippy::cast_precision_loss, reason = "distances are small")]
        let listing =
            move |u: i64| f64::from(ONE) * libm::exp(((u - nearest) as f64 * unit).min(0.0));
        let size = bits(u32::try_from(2 * nearest).unwrap_or(u32::MAX));
        let table = self.tables.list(u8::try_from(size).unwrap_or(u8::MAX), false, listing);
        let own = Term::Scale { input: scores.tensor, coefficient: 1 };
        let labels = row(shape.len());
        let less = Term::Arrange { input: largest.tensor, coefficient: -1, labels };
        let last = shape.len() - 1;
        let bias = vec![i32::try_from(nearest).unwrap_or(i32::MAX); shape[last] as usize];
        let bias = Some((u8::try_from(last).unwrap_or(0), bias));
        let value = Value {
            tensor: 0,
            scale: 1.0 / f32::from(ONE),
            negative: false,
            reach: i64::from(ONE),
        };
        self.emit(node, shape, (vec![own, less], bias), (0, Some(table)), value)
    }

    /// The reciprocal of each row's sum, and what its product with an exponential stands for.
    fn reciprocals(
        &mut self,
        node: &Node,
        powers: Value,
        shape: &[u32],
    ) -> Result<(Value, f32), QuantiseError> {
        let sum = Sum::of(node, shape)?;
        let (top, nearest) = (f64::from(RECIPROCAL), f64::from(sum.least).floor());
        #[expect(clippy::cast_precision_loss, reason = "indices are small")]
        let listing = move |u: i64| top * nearest / (u as f64).max(nearest);
        let value = self.of_sum(node, powers, shape, &sum, listing)?;
        // e / Σe = e · factor / index, and the entry is top · nearest / index.
        #[expect(clippy::cast_possible_truncation, reason = "scales are f32")]
        let unit = sum.factor / (top * nearest) as f32;
        Ok((value, unit))
    }

    /// What a table lists for each row's sum.
    fn of_sum(
        &mut self,
        node: &Node,
        powers: Value,
        shape: &[u32],
        sum: &Sum,
        listing: impl Fn(i64) -> f64 + 'static,
    ) -> Result<Value, QuantiseError> {
        let table = self.tables.list(sum.bits, false, listing);
        let last = shape.len() - 1;
        let labels = row(last + 1);
        let terms =
            vec![Term::Arrange { input: powers.tensor, coefficient: sum.coefficient, labels }];
        let reach = i64::from(RECIPROCAL);
        let value = Value { tensor: 0, scale: 1.0, negative: false, reach };
        self.emit(node, &shape[..last], (terms, None), (16, Some(table)), value)
    }
}

/// How a row's sum of exponentials is an index.
struct Sum {
    bits: u8,
    /// Per exponential, and as it is with 16 bits after the point.
    factor: f32,
    coefficient: i32,
    /// The index of the largest exponential alone: no row's sum is less.
    least: f32,
}

impl Sum {
    fn of(node: &Node, shape: &[u32]) -> Result<Self, QuantiseError> {
        let row = shape.last().copied().unwrap_or(1);
        let length = u8::try_from(bits(row)).unwrap_or(u8::MAX);
        let bits = SUM_BITS.max(SUM_BITS_EACH + length);
        #[expect(clippy::cast_precision_loss, reason = "rows are short")]
        let most = f32::from(ONE) * row as f32;
        let coefficient = fixed(node, (2f32.powi(bits.into()) - 2.0) / most)?;
        #[expect(clippy::cast_precision_loss, reason = "below 2^24")]
        let factor = coefficient as f32 / 2f32.powi(16);
        Ok(Self { bits, factor, coefficient, least: f32::from(ONE) * factor })
    }
}

/// A shape with three dimensions at least, and rows the last.
fn of_rows(shape: &[u32]) -> Vec<u32> {
    match shape {
        [columns] => vec![1, 1, *columns],
        [rows, columns] => vec![1, *rows, *columns],
        _ => shape.to_vec(),
    }
}

/// Labels from a value of rows, and from one number for each row, to a shape without ones in front.
fn back(dimensions: usize, own: usize) -> [Labels; 2] {
    let labels: Vec<u8> = [4, 5].into_iter().take(dimensions - own).chain(0..4).collect();
    [Labels::new(&labels[..dimensions]), Labels::new(&labels[..dimensions - 1])]
}
