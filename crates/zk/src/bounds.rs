//! What accumulators may reach, whatever the input: interval arithmetic over a network.

use crate::{
    Model, ModelError, Operation, Table, Term,
    labels::{SUMMED, product_indices},
    model::{MAX_ACCUMULATOR, Weights, bias_channel, channels, scaled_bias},
    table::clamp_range,
};

/// Most magnitude of a bias times its multiplier, and of an output that is committed.
const MAX_BIAS: i128 = 1 << 47;
const MAX_COMMITTED: i64 = i32::MAX as i64;

/// Smallest and largest value.
type Range = (i128, i128);

/// Refuses networks with accumulators that could leave their table or the arithmetic's range.
pub(crate) fn check(model: &Model) -> Result<(), ModelError> {
    let network = model.network();
    let mut bounds = Bounds { model, ranges: vec![(-128, 127)], maxima: vec![] };
    for (index, (operation, weights)) in network.operations.iter().zip(model.weights()).enumerate()
    {
        let (low, high) = bounds.operation(index, operation, weights);
        let reach = low.unsigned_abs().max(high.unsigned_abs());
        let overflow = |bound: i64| {
            let reach = i64::try_from(reach >> operation.shift).unwrap_or(i64::MAX);
            Err(ModelError::Overflow { operation: index, reach, bound })
        };
        if reach >= MAX_ACCUMULATOR.unsigned_abs().into() {
            return overflow(MAX_ACCUMULATOR >> operation.shift);
        }
        let table = operation.table.and_then(|table| network.tables.get(usize::from(table)));
        let range = match table {
            None if index + 1 < network.operations.len()
                && reach > MAX_COMMITTED.unsigned_abs().into() =>
            {
                return overflow(MAX_COMMITTED);
            }
            None => (low, high),
            Some(table) => {
                let (low, high) = (low >> operation.shift, high >> operation.shift);
                if low < table.min().into() || high >= table.end().into() {
                    return overflow(table.end());
                }
                results(model, operation.table.map_or(0, usize::from), *table, (low, high))
            }
        };
        bounds.ranges.push(range);
    }
    Ok(())
}

/// What a table makes of a range within it.
fn results(model: &Model, index: usize, table: Table, (low, high): Range) -> Range {
    if let Table::Clamp { low: bits, signed, .. } = table {
        let (floor, ceiling) = clamp_range(bits, signed);
        let clamp = |value: i128| value.clamp(floor.into(), ceiling.into());
        return (clamp(low), clamp(high));
    }
    let place = |u: i128| i64::try_from(u).ok().and_then(|u| table.index(u)).unwrap_or(0);
    let listed = model.tables().get(index).map_or(&[][..], Vec::as_slice);
    let met = listed.get(place(low)..=place(high)).unwrap_or_default().iter().copied();
    // Padding, which windows meet, is 0.
    let (low, high) = met.fold((0, 0), |(low, high), value| (value.min(low), value.max(high)));
    (low.into(), high.into())
}

struct Bounds<'a> {
    model: &'a Model,
    /// Per tensor.
    ranges: Vec<Range>,
    /// Sums of terms that are maxima, and their ranges: intervals alone would not see that
    /// `a + relu(b − a)` stays within the range of `a` and `b`.
    maxima: Vec<(Vec<Term>, Range)>,
}

impl Bounds<'_> {
    fn range(&self, tensor: usize) -> Range {
        self.ranges.get(tensor).copied().unwrap_or((0, 0))
    }

    fn operation(&mut self, index: usize, operation: &Operation, weights: &Weights) -> Range {
        if operation.shift == 0 && operation.bias.is_none() {
            if let Some(range) = self.maximum(&operation.terms) {
                return range;
            }
            if let Some(range) = self.difference(index, operation) {
                return range;
            }
        }
        // What the bias adds to each channel's accumulators.
        let mut biases = vec![(i128::MAX, i128::MIN); channels(operation)];
        let scaled = scaled_bias(operation, weights);
        for (index, bias) in scaled.iter().copied().map(i128::from).enumerate() {
            if let Some(own) = biases.get_mut(bias_channel(operation, index)) {
                *own = (own.0.min(bias), own.1.max(bias));
            }
        }
        let mut reach = (i128::MAX, i128::MIN);
        for (channel, bias) in biases.into_iter().enumerate() {
            let bias = if bias.0 > bias.1 { (0, 0) } else { bias };
            let (low, high) = self.channel(channel, bias, operation, weights);
            reach = (reach.0.min(low), reach.1.max(high));
        }
        reach
    }

    /// The range of terms known to be a maximum; one tap alone is one.
    fn maximum(&self, terms: &[Term]) -> Option<Range> {
        if let [Term::Window { input, coefficient: 1, window }] = terms
            && window.kernel == [1, 1]
        {
            return Some(with_zero(self.range(usize::from(*input))));
        }
        self.maxima.iter().find(|(known, _)| known == terms).map(|(_, range)| *range)
    }

    /// `tap − maximum`, whose positive part completes the maximum of both.
    fn difference(&mut self, index: usize, operation: &Operation) -> Option<Range> {
        let (tap, rest) = operation.terms.split_first()?;
        let mut terms = rest.iter().map(negate).collect::<Option<Vec<_>>>()?;
        let (a, b) = (self.maximum(std::slice::from_ref(tap))?, self.maximum(&terms)?);
        terms.push(Term::Scale { input: u16::try_from(index + 1).ok()?, coefficient: 1 });
        self.maxima.push((terms, (a.0.min(b.0), a.1.max(b.1))));
        Some((a.0 - b.1, a.1 - b.0))
    }

    fn channel(
        &self,
        channel: usize,
        bias: Range,
        operation: &Operation,
        weights: &Weights,
    ) -> Range {
        let beyond = (-i128::from(MAX_ACCUMULATOR), i128::from(MAX_ACCUMULATOR));
        let multiplier = weights.multipliers.get(channel).copied().map_or(1, i128::from);
        if bias.0.abs().max(bias.1.abs()) >= MAX_BIAS {
            return beyond;
        }
        let rounding = i128::from(operation.rounding());
        let mut sum = (bias.0 + rounding, bias.1 + rounding);
        let mut reach = sum.0.abs().max(sum.1.abs());
        for (term, values) in operation.terms.iter().zip(&weights.terms) {
            let count = values.len() / channels(operation).max(1);
            let own = values.get(channel * count..(channel + 1) * count).unwrap_or_default();
            let (low, high) = self.term(term, own, multiplier);
            sum = (sum.0 + low, sum.1 + high);
            reach += low.abs().max(high.abs());
        }
        // No partial sum leaves the range either, in whatever order the terms are added.
        if reach >= MAX_ACCUMULATOR.into() { beyond } else { sum }
    }

    fn term(&self, term: &Term, weights: &[i8], multiplier: i128) -> Range {
        let range = self.range(term.input());
        let shape = |tensor: u16| self.model.network().tensor(usize::from(tensor)).dimensions();
        let times = |indices: &[(u8, u32)]| -> i128 {
            let summed = indices.iter().filter(|(label, _)| *label >= SUMMED);
            summed.map(|(_, size)| i128::from(*size)).product()
        };
        match term {
            Term::Product { inputs: [a, b], coefficient, labels } => {
                let indices = product_indices(labels, [shape(*a), shape(*b)]);
                let mut range = product(range, self.range(usize::from(*b)));
                if a == b && labels[0] == labels[1] {
                    // A square.
                    range.0 = range.0.max(0);
                }
                scale(range, i128::from(*coefficient) * times(&indices))
            }
            Term::Arrange { input, coefficient, labels } => {
                let indices: Vec<_> = labels.of(shape(*input)).collect();
                scale(range, i128::from(*coefficient) * times(&indices))
            }
            Term::Scale { coefficient, .. } => scale(range, i128::from(*coefficient)),
            Term::Window { coefficient, window, .. } => {
                let taps = i128::from(window.kernel[0]) * i128::from(window.kernel[1]);
                with_zero(scale(range, i128::from(*coefficient) * taps))
            }
            Term::Dense { .. } => weighted(weights, multiplier, range),
            Term::Conv { .. } => weighted(weights, multiplier, with_zero(range)),
        }
    }
}

fn negate(term: &Term) -> Option<Term> {
    match *term {
        Term::Scale { input, coefficient } => {
            Some(Term::Scale { input, coefficient: coefficient.checked_neg()? })
        }
        Term::Window { input, coefficient, window } => {
            Some(Term::Window { input, coefficient: coefficient.checked_neg()?, window })
        }
        _ => None,
    }
}

fn product(a: Range, b: Range) -> Range {
    let corners = [a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1];
    corners
        .iter()
        .fold((i128::MAX, i128::MIN), |(low, high), corner| (low.min(*corner), high.max(*corner)))
}

/// Zeros of the padding may stand in for any value under a window.
fn with_zero((low, high): Range) -> Range {
    (low.min(0), high.max(0))
}

fn scale((low, high): Range, factor: i128) -> Range {
    if factor < 0 { (high * factor, low * factor) } else { (low * factor, high * factor) }
}

fn weighted(values: &[i8], multiplier: i128, (low, high): Range) -> Range {
    let sum = |positive: bool| -> i128 {
        let own = values.iter().filter(|value| (**value > 0) == positive);
        own.map(|value| i128::from(*value)).sum()
    };
    let (positive, negative) = (sum(true), sum(false));
    scale((positive * low + negative * high, positive * high + negative * low), multiplier)
}
