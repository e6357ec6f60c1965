//! The operations' equations: evaluations, batched sumchecks, claims (reference §5).

use std::collections::HashMap;

use ff::Field;

use crate::{
    Rejection, Statement,
    field::{Fr, eq_table, from_i64, less_than, powers},
    labels::{index_bits, product_indices},
    network::{Network, Operation, Term, Window, bits, bits_of},
    opening::{Claim, Vector},
    operands::{ProductPoint, arranged},
    plan::{Column, InputPlan, Plan},
    statement::packed_point,
    sumcheck::{self, suffix},
    transcript::{Dialogue, Tag},
    value::Value,
    weights,
};

/// An operation's values at its point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationValues<V = Fr> {
    /// The point: batch, then each dimension.
    pub point: Vec<Fr>,
    /// The output.
    pub output: V,
    /// Before the table; the output if there is none.
    pub quotient: V,
    /// The remainder's bytes.
    pub remainder: Vec<V>,
    /// The bias.
    pub bias: V,
    /// Sum of the scales and arrangements.
    pub scales: V,
}

/// All values at the point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtPoint<V = Fr> {
    /// A committed input, and 1 where its values are looked up as bytes, 0 where as nothing but zero.
    pub input: Option<(V, Fr)>,
    /// Per operation.
    pub operations: Vec<OperationValues<V>>,
    /// Multiplicities of the bytes.
    pub bytes: Option<V>,
    /// Multiplicities of each table, and what a listed one holds.
    pub tables: Vec<(V, Option<V>)>,
}

/// A term that needs a sumcheck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    /// Which operation.
    pub operation: usize,
    /// Which of its terms.
    pub term: usize,
    /// Variables summed over.
    pub variables: usize,
    /// Whether the dense term or window before this one that reads the same tensor does so at the
    /// same point, as those of operations of one size do: the value is sent and claimed once.
    pub repeated: bool,
}

/// The last `count` coordinates.
pub fn last(point: &[Fr], count: u32) -> &[Fr] {
    point.split_at(point.len().saturating_sub(count as usize)).1
}

/// Cuts a tensor's point into batch and dimensions.
pub fn cut<'a>(mut point: &'a [Fr], dimensions: &[u32]) -> (&'a [Fr], Vec<&'a [Fr]>) {
    let mut parts = vec![];
    for size in dimensions.iter().rev() {
        let (rest, part) = point.split_at(point.len().saturating_sub(bits(*size) as usize));
        parts.push(part);
        point = rest;
    }
    parts.reverse();
    (point, parts)
}

/// The part of an operation's point that its bias is evaluated at.
pub fn bias_point<'a>(operation: &Operation, point: &'a [Fr]) -> &'a [Fr] {
    let (sizes, axes) = (operation.shape.dimensions(), operation.bias_axes().unwrap_or(0..0));
    let behind = sizes.get(axes.end..).map_or(0, bits_of) as usize;
    let own = sizes.get(axes).map_or(0, bits_of);
    last(point.split_at(point.len().saturating_sub(behind)).0, own)
}

/// The terms that need a sumcheck, in order.
pub fn instances(network: &Network, batch_bits: u32) -> Vec<Instance> {
    let (mut instances, mut read) = (vec![], HashMap::new());
    for (operation, op) in network.operations.iter().enumerate() {
        for (term, kind) in op.terms.iter().enumerate() {
            let from = network.tensor(kind.input()).dimensions();
            let summed = match kind {
                Term::Scale { .. } | Term::Arrange { .. } => continue,
                Term::Product { inputs: [_, second], labels, .. } => {
                    let second = network.tensor(usize::from(*second)).dimensions();
                    batch_bits + index_bits(&product_indices(labels, [from, second]))
                }
                Term::Dense { kept, .. } => from.get(usize::from(*kept)..).map_or(0, bits_of),
                Term::Conv { window, .. } => {
                    from.first().map_or(0, |size| bits(*size))
                        + bits_of(&window.kernel.map(u32::from))
                }
                Term::Window { .. } => from.get(1..).map_or(0, bits_of),
            };
            let point = (op.shape.bits(), summed);
            let reads = matches!(kind, Term::Dense { .. } | Term::Window { .. });
            let repeated = reads && read.insert(kind.input(), point) == Some(point);
            instances.push(Instance { operation, term, variables: summed as usize, repeated });
        }
    }
    instances
}

impl Network {
    /// Shape of an instance's weights, if it has any.
    pub fn weights(&self, instance: &Instance) -> Option<Vec<u32>> {
        let operation = self.operations.get(instance.operation)?;
        let term = operation.terms.get(instance.term)?;
        term.weights(&operation.shape, self.tensor(term.input()))
    }
}

/// `Σ_{y, tap: source within size} eq(out, y) · taps[tap] · eq(at, source)` (reference §5, `Φ`).
pub fn reach(window: Window, axis: usize, out: (&[Fr], u32), at: (&[Fr], u32), taps: &[Fr]) -> Fr {
    let (eq_out, eq_at) = (eq_table(out.0), eq_table(at.0));
    let mut sum = Fr::ZERO;
    for (y, eq_y) in eq_out.iter().enumerate().take(out.1 as usize) {
        let hits = taps.iter().enumerate().take(usize::from(window.kernel[axis]));
        let inner: Fr = hits
            .filter_map(|(tap, weight)| {
                Some(eq_at.get(window.source(axis, y, tap, at.1)?)? * weight)
            })
            .sum();
        sum += eq_y * inner;
    }
    sum
}

/// `Σ eq(point, i)` over a tensor's valid positions, but for dimensions left out.
pub fn mask(point: &[Fr], dimensions: &[u32], batch: u32, without: &std::ops::Range<usize>) -> Fr {
    let (batch_point, parts) = cut(point, dimensions);
    let sizes = parts.iter().zip(dimensions).enumerate();
    sizes
        .filter(|(axis, _)| !without.contains(axis))
        .fold(less_than(batch_point, batch as usize), |mask, (_, (part, size))| {
            mask * less_than(part, *size as usize)
        })
}

/// The verifier's walk through the operations.
pub(crate) struct Walk<'a, V> {
    pub(crate) network: &'a Network,
    pub(crate) plan: &'a Plan,
    /// Without inputs where they are committed.
    pub(crate) statement: &'a Statement,
    pub(crate) claims: Vec<Claim<V>>,
    /// What a dense term or a window read last of a tensor.
    pub(crate) read: HashMap<usize, V>,
}

/// Values of a message, handed out in order.
struct Values<V>(std::vec::IntoIter<V>);

impl<V> Values<V> {
    fn next(&mut self) -> Result<V, Rejection> {
        self.0.next().ok_or(Rejection::ProofLength)
    }
}

impl<V: Value> Walk<'_, V> {
    fn claim(&mut self, vector: Vector, column: Column, point: &[Fr], value: V) -> V {
        self.claims.push(Claim { vector, column, point: point.to_vec(), value: value.clone() });
        value
    }

    fn witness(&mut self, column: usize, point: &[Fr], value: V) -> V {
        self.claim(Vector::Witness, self.plan.witness.get(column), point, value)
    }

    fn key(&mut self, column: usize, point: &[Fr], value: V) -> V {
        self.claim(Vector::Key, self.plan.key.get(column), point, value)
    }

    /// A tensor's value: evaluated here if public, else sent and claimed.
    fn tensor(
        &mut self,
        tensor: usize,
        point: &[Fr],
        values: &mut Values<V>,
    ) -> Result<V, Rejection> {
        match self.plan.tensor(tensor) {
            Some((vector, column)) => {
                values.next().map(|value| self.claim(vector, column, point, value))
            }
            None if tensor == 0 => Ok(self.statement.input_at(self.network, point).into()),
            None => Ok(self.statement.output_at(self.network, point).into()),
        }
    }

    /// Reads the values at `point`; returns them and the batching challenge.
    pub(crate) fn at_point<D: Dialogue<Value = V>>(
        &mut self,
        messages: &mut D,
        point: &[Fr],
    ) -> Result<(AtPoint<V>, Fr), Rejection> {
        let (values, challenge) = messages.scalars(Tag::AtPoint, self.count_at_point())?;
        let mut values = Values(values.into_iter());
        let input = self.plan.input.map(|input| self.input(input, point, &mut values));
        let input = input.transpose()?;
        let of_input = input.as_ref().map(|(value, _)| value);
        let mut operations = vec![];
        for index in 0..self.network.operations.len() {
            let value = self.operation(index, point, (of_input, &operations), &mut values)?;
            operations.push(value);
        }
        let table = |walk: &mut Self, column: usize, values: &mut Values<V>| {
            let bits = walk.plan.witness.get(column).bits;
            values.next().map(|value| walk.witness(column, last(point, bits), value))
        };
        let bytes = self.plan.bytes;
        let bytes = bytes.map(|plan| table(self, plan.multiplicity, &mut values)).transpose()?;
        let mut tables = vec![];
        for plan in &self.plan.tables {
            let count = table(self, plan.multiplicity, &mut values)?;
            let listed = plan.values.map(|column| {
                let bits = self.plan.key.get(column).bits;
                values.next().map(|value| self.key(column, last(point, bits), value))
            });
            tables.push((count, listed.transpose()?));
        }
        Ok((AtPoint { input, operations, bytes, tables }, challenge))
    }

    /// A committed input's value. Of a public one, that its packed chunks are those of the statement;
    /// of a hidden one, which positions have values.
    fn input(
        &mut self,
        input: InputPlan,
        point: &[Fr],
        values: &mut Values<V>,
    ) -> Result<(V, Fr), Rejection> {
        let point = last(point, input.column.bits);
        let value = self.tensor(0, point, values)?;
        if input.hidden.is_some() {
            let sizes = self.network.input.dimensions();
            return Ok((value, mask(point, sizes, self.statement.batch, &(0..0))));
        }
        let packed = packed_point(self.network, point);
        let expected = self.statement.input_at(self.network, &packed);
        self.claim(input.vector, input.column, &packed, expected.into());
        Ok((value, Fr::ONE))
    }

    fn count_at_point(&self) -> usize {
        let operations = self.network.operations.iter().zip(&self.plan.operations);
        let counts = operations.map(|(operation, plan)| {
            let sent = |term: &&Term| {
                matches!(term, Term::Arrange { .. }) && self.plan.tensor(term.input()).is_some()
            };
            usize::from(plan.output.is_some())
                + usize::from(operation.table.is_some())
                + plan.remainder.len()
                + usize::from(plan.bias.is_some())
                + operation.terms.iter().filter(sent).count()
        });
        let tables = self.plan.tables.iter().map(|table| 1 + usize::from(table.values.is_some()));
        counts.sum::<usize>()
            + usize::from(self.plan.input.is_some())
            + usize::from(self.plan.bytes.is_some())
            + tables.sum::<usize>()
    }

    fn operation(
        &mut self,
        index: usize,
        point: &[Fr],
        (network_input, earlier): (Option<&V>, &[OperationValues<V>]),
        values: &mut Values<V>,
    ) -> Result<OperationValues<V>, Rejection> {
        let (Some(operation), Some(plan)) =
            (self.network.operations.get(index), self.plan.operations.get(index))
        else {
            return Err(Rejection::ProofLength);
        };
        let point = last(point, plan.bits);
        let output = self.tensor(index + 1, point, values)?;
        let quotient = if operation.table.is_some() { values.next()? } else { output.clone() };
        let mut remainder = vec![];
        for column in &plan.remainder {
            let value = values.next()?;
            remainder.push(self.witness(*column, point, value));
        }
        let mut bias = V::from(Fr::ZERO);
        if let Some(column) = plan.bias {
            let part = bias_point(operation, point);
            let value = values.next()?;
            bias = self.key(column, part, value);
        }
        let mut scales = V::from(Fr::ZERO);
        for term in &operation.terms {
            let to = operation.shape.dimensions();
            match term {
                Term::Scale { input, coefficient } => {
                    // The same shape, so the same point: its value is known.
                    let value = match usize::from(*input).checked_sub(1) {
                        Some(index) => earlier.get(index).map(|values| &values.output),
                        None => network_input,
                    };
                    let public = || self.statement.input_at(self.network, point).into();
                    let value = value.cloned().unwrap_or_else(public);
                    scales = scales + value * from_i64(i64::from(*coefficient));
                }
                Term::Arrange { input, coefficient, labels } => {
                    let from = self.network.tensor(usize::from(*input)).dimensions();
                    let (at, factor) = arranged(point, to, labels, from, *coefficient);
                    scales = scales + self.tensor(usize::from(*input), &at, values)? * factor;
                }
                _ => {}
            }
        }
        Ok(OperationValues { point: point.to_vec(), output, quotient, remainder, bias, scales })
    }

    /// `2^s u + r − rounding − bias − scales`: what the other terms add up to.
    fn target(&self, index: usize, values: &OperationValues<V>) -> V {
        let Some(operation) = self.network.operations.get(index) else { return Fr::ZERO.into() };
        let mask = |without| {
            mask(&values.point, operation.shape.dimensions(), self.statement.batch, &without)
        };
        let bytes = values.remainder.iter().cloned().rev();
        let remainder = bytes.fold(V::from(Fr::ZERO), |sum, byte| sum * Fr::from(256) + byte);
        let mut target = values.quotient.clone() * from_i64(1 << operation.shift) + remainder;
        if operation.rounding() > 0 {
            target = target - V::from(from_i64(operation.rounding()) * mask(0..0));
        }
        if let Some(axes) = operation.bias_axes() {
            target = target - values.bias.clone() * mask(axes);
        }
        target - values.scales.clone()
    }

    /// Verifies that the terms add up to their targets; what is left are claims.
    pub(crate) fn terms<D: Dialogue<Value = V>>(
        &mut self,
        messages: &mut D,
        at: &AtPoint<V>,
        batching: Fr,
    ) -> Result<Fr, Rejection> {
        let instances = instances(self.network, self.plan.batch_bits);
        let weights = powers(batching, at.operations.len());
        let targets = at.operations.iter().enumerate().map(|(i, values)| self.target(i, values));
        let claim = V::total(targets.zip(&weights).map(|(target, weight)| target * *weight));
        let rounds = instances.iter().map(|instance| instance.variables).max().unwrap_or(0);
        let cubic = |instance| matches!(self.term(instance), Some(Term::Product { .. }));
        let degree = if instances.iter().any(cubic) { 3 } else { 2 };
        let (point, left) = sumcheck::verify(messages, claim, rounds, degree)?;
        let count = instances.iter().map(|instance| self.values_after(instance)).sum();
        let (values, challenge) = messages.scalars(Tag::AfterA, count)?;
        let (mut values, mut convs) = (Values(values.into_iter()), vec![]);
        let mut sum = V::from(Fr::ZERO);
        for instance in &instances {
            let (Some(weight), Some(op)) =
                (weights.get(instance.operation), at.operations.get(instance.operation))
            else {
                continue;
            };
            let (factor, own) = suffix(&point, instance.variables);
            let product = self.instance(instance, &op.point, own, &mut values, &mut convs)?;
            sum = sum + product * (weight * factor);
        }
        messages.zero(sum - left, Rejection::Operations)?;
        self.convolutions(messages, at, challenge, &convs)
    }

    /// What a dense term or a window reads.
    fn read(
        &mut self,
        instance: &Instance,
        tensor: usize,
        point: &[Fr],
        values: &mut Values<V>,
    ) -> Result<V, Rejection> {
        if let Some(value) = self.read.get(&tensor).filter(|_| instance.repeated) {
            return Ok(value.clone());
        }
        let value = self.tensor(tensor, point, values)?;
        self.read.insert(tensor, value.clone());
        Ok(value)
    }

    fn term(&self, instance: &Instance) -> Option<&Term> {
        self.network.operations.get(instance.operation)?.terms.get(instance.term)
    }

    fn values_after(&self, instance: &Instance) -> usize {
        let sent = |input: u16| self.plan.tensor(input.into()).is_some();
        let read = |input: u16| usize::from(sent(input) && !instance.repeated);
        match self.term(instance) {
            Some(Term::Dense { input, .. }) => 1 + read(*input),
            Some(Term::Conv { .. }) => 2,
            Some(Term::Window { input, .. }) => read(*input),
            Some(Term::Product { inputs, .. }) => {
                inputs.iter().filter(|input| sent(**input)).count()
            }
            Some(Term::Scale { .. } | Term::Arrange { .. }) | None => 0,
        }
    }

    fn weights(&mut self, instance: &Instance, point: &[Fr], value: V) -> V {
        let plan = self.plan.operations.get(instance.operation);
        let column = plan.and_then(|plan| *plan.weights.get(instance.term)?);
        match column.zip(self.network.weights(instance)) {
            Some((column, shape)) => self.key(column, &weights::point(&shape, point), value),
            None => value,
        }
    }

    /// An instance's product at its own part of A's point.
    fn instance(
        &mut self,
        instance: &Instance,
        rho: &[Fr],
        own: &[Fr],
        values: &mut Values<V>,
        convs: &mut Vec<ConvClaim<V>>,
    ) -> Result<V, Rejection> {
        let (Some(operation), Some(term)) =
            (self.network.operations.get(instance.operation), self.term(instance).copied())
        else {
            return Err(Rejection::Operations);
        };
        let to = operation.shape.dimensions();
        let from = self.network.tensor(term.input()).dimensions();
        match term {
            Term::Scale { .. } | Term::Arrange { .. } => Ok(Fr::ZERO.into()),
            Term::Product { inputs, coefficient, labels } => {
                let dimensions = inputs.map(|i| self.network.tensor(usize::from(i)).dimensions());
                let indices = product_indices(&labels, dimensions);
                let at = ProductPoint::new(rho, to, own, &indices);
                let mut product = V::from(from_i64(i64::from(coefficient)) * at.factor());
                for ((input, labels), dimensions) in inputs.iter().zip(&labels).zip(dimensions) {
                    let point = at.operand(labels, dimensions);
                    product = product.times(&self.tensor(usize::from(*input), &point, values)?);
                }
                Ok(product)
            }
            Term::Dense { input, kept } => {
                let channel = to.get(usize::from(kept)..).map_or(0, bits_of);
                let (kept, channel) = rho.split_at(rho.len().saturating_sub(channel as usize));
                let value = values.next()?;
                let weight = self.weights(instance, &[channel, own].concat(), value);
                let point = [kept, own].concat();
                Ok(weight.times(&self.read(instance, usize::from(input), &point, values)?))
            }
            Term::Conv { .. } => {
                let (_, parts) = cut(rho, to);
                let channel = parts.first().copied().unwrap_or_default();
                let value = values.next()?;
                let weight = self.weights(instance, &[channel, own].concat(), value);
                let gathered = values.next()?;
                let product = weight.times(&gathered);
                convs.push(ConvClaim { instance: *instance, point: own.to_vec(), gathered });
                Ok(product)
            }
            Term::Window { input, coefficient, window } => {
                let (_, at) = cut(own, from.get(1..).unwrap_or_default());
                let (batch, parts) = cut(rho, to);
                let ones = vec![Fr::ONE; usize::from(crate::network::MAX_KERNEL)];
                let reach = reach_both(window, &parts, to, &at, from, [&ones, &ones]);
                let channel = parts.first().copied().unwrap_or_default();
                let point = [batch, channel, own].concat();
                let value = self.read(instance, usize::from(input), &point, values)?;
                Ok(value * (from_i64(i64::from(coefficient)) * reach))
            }
        }
    }

    /// Verifies what the convolutions gathered from their inputs.
    fn convolutions<D: Dialogue<Value = V>>(
        &mut self,
        messages: &mut D,
        at: &AtPoint<V>,
        batching: Fr,
        convs: &[ConvClaim<V>],
    ) -> Result<Fr, Rejection> {
        let weights = powers(batching, convs.len());
        let gathered = convs.iter().zip(&weights).map(|(c, weight)| c.gathered.clone() * *weight);
        let variables = |conv: &ConvClaim<V>| {
            let input = self.term(&conv.instance).map_or(0, Term::input);
            self.network.tensor(input).dimensions().get(1..).map_or(0, bits_of) as usize
        };
        let sizes: Vec<usize> = convs.iter().map(variables).collect();
        let rounds = sizes.iter().copied().max().unwrap_or(0);
        let (point, left) = sumcheck::verify(messages, V::total(gathered), rounds, 2)?;
        let inputs = convs.iter().filter_map(|conv| self.term(&conv.instance));
        let count = inputs.filter(|term| self.plan.tensor(term.input()).is_some()).count();
        let (values, challenge) = messages.scalars(Tag::AfterB, count)?;
        let (mut values, mut sum) = (Values(values.into_iter()), V::from(Fr::ZERO));
        for ((conv, weight), variables) in convs.iter().zip(&weights).zip(sizes) {
            let (factor, own) = suffix(&point, variables);
            sum = sum + self.gathered(conv, at, own, &mut values)? * (weight * factor);
        }
        messages.zero(sum - left, Rejection::Convolutions)?;
        Ok(challenge)
    }

    fn gathered(
        &mut self,
        conv: &ConvClaim<V>,
        at: &AtPoint<V>,
        own: &[Fr],
        values: &mut Values<V>,
    ) -> Result<V, Rejection> {
        let index = conv.instance.operation;
        let (Some(operation), Some(Term::Conv { input, window }), Some(op)) = (
            self.network.operations.get(index),
            self.term(&conv.instance).copied(),
            at.operations.get(index),
        ) else {
            return Err(Rejection::Convolutions);
        };
        let to = operation.shape.dimensions();
        let from = self.network.tensor(usize::from(input)).dimensions();
        let [rows, columns] = window.kernel.map(u32::from);
        let (channel, taps) = cut(&conv.point, &[rows, columns]);
        let taps: Vec<Vec<Fr>> = taps.into_iter().map(eq_table).collect();
        let [rows, columns] = [0, 1].map(|axis| taps.get(axis).map_or(&[][..], Vec::as_slice));
        let (_, source) = cut(own, from.get(1..).unwrap_or_default());
        let (batch, parts) = cut(&op.point, to);
        let reach = reach_both(window, &parts, to, &source, from, [rows, columns]);
        let point = [batch, channel, own].concat();
        Ok(self.tensor(usize::from(input), &point, values)? * reach)
    }
}

/// `Φ(row) · Ψ(column)` of a window from an output's to an input's rows and columns.
fn reach_both(
    window: Window,
    parts: &[&[Fr]],
    to: &[u32],
    at: &[&[Fr]],
    from: &[u32],
    taps: [&[Fr]; 2],
) -> Fr {
    let axes = taps.into_iter().enumerate().zip(at);
    axes.map(|((axis, taps), at)| {
        let out = parts.get(axis + 1).copied().unwrap_or_default();
        let sizes = [to, from].map(|sizes| sizes.get(axis + 1).copied().unwrap_or(0));
        let [out_size, in_size] = sizes;
        reach(window, axis, (out, out_size), (at, in_size), taps)
    })
    .product()
}

/// What a convolution gathered, at its own part of A's point.
struct ConvClaim<V> {
    instance: Instance,
    point: Vec<Fr>,
    gathered: V,
}
