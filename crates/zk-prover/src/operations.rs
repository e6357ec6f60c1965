//! The operations' equations, prover's side.

use std::borrow::Cow;

use ff::Field;
use probity_zk::{
    Network, Term, Window,
    field::{Fr, eq_table, from_i64, powers},
    labels::{SUMMED, product_indices},
    network::{Shape, bits, bits_of},
    opening::{Claim, Vector},
    operands::{ProductPoint, arranged},
    operations::{Instance, bias_point, cut, instances, last},
    plan::{Column, Plan},
    statement::packed_point,
    transcript::Tag,
    weights,
};

use crate::{
    fold::{fold_rows, inner_product},
    outgoing::Outgoing,
    product::Layout,
    setup::ProvingKey,
    sumcheck::{self, Product},
    witness::Witness,
};

/// The prover's walk through the operations: it sends what the verifier's walk reads.
pub(crate) struct Walk<'a> {
    pub(crate) key: &'a ProvingKey,
    pub(crate) witness: &'a Witness<'a>,
    pub(crate) claims: Vec<Claim>,
}

/// A convolution after sumcheck A.
struct Gathered {
    instance: Instance,
    point: Vec<Fr>,
}

impl<'a> Walk<'a> {
    fn network(&self) -> &'a Network {
        self.witness.network
    }

    fn plan(&self) -> &'a Plan {
        self.witness.plan
    }

    fn claim(&mut self, vector: Vector, column: Column, point: &[Fr], value: Fr) -> Fr {
        self.claims.push(Claim { vector, column, point: point.to_vec(), value });
        value
    }

    fn key_column(&self, column: usize) -> &'a [i64] {
        let place = self.plan().key.get(column);
        &self.key.values[place.offset..place.offset + (1 << place.bits)]
    }

    /// An instance's weights as its tensor has them; none if it has no weights.
    fn weights(&self, instance: &Instance) -> Cow<'a, [i64]> {
        let column = self.plan().operations[instance.operation].weights[instance.term];
        let column = column.map_or(&[][..], |column| self.key_column(column));
        let shape = self.network().weights(instance).unwrap_or_default();
        match weights::places(&shape) {
            None => Cow::Borrowed(column),
            Some(places) => places.into_iter().map(|place| column[place]).collect(),
        }
    }

    /// Padded values of a tensor before the last.
    fn tensor(&self, tensor: usize) -> &'a [i32] {
        let outputs = &self.witness.outputs;
        tensor.checked_sub(1).map_or(&self.witness.input, |operation| &outputs[operation])
    }

    /// Claims a tensor's value unless it is public.
    fn send_tensor(&mut self, tensor: usize, point: &[Fr], value: Fr, message: &mut Vec<Fr>) {
        if let Some((vector, column)) = self.plan().tensor(tensor) {
            message.push(value);
            self.claim(vector, column, point, value);
        }
    }

    fn send_witness(&mut self, column: usize, point: &[Fr], eq: &[Fr], message: &mut Vec<Fr>) {
        let value = inner_product(self.witness.column(column), eq);
        message.push(self.claim(Vector::Witness, self.plan().witness.get(column), point, value));
    }

    fn send_key(&mut self, column: usize, point: &[Fr], eq: &[Fr], message: &mut Vec<Fr>) {
        let value = inner_product(self.key_column(column), eq);
        message.push(self.claim(Vector::Key, self.plan().key.get(column), point, value));
    }

    /// Sends the values at the point; returns the batching challenge.
    pub(crate) fn at_point(&mut self, outgoing: &mut Outgoing, point: &[Fr]) -> Fr {
        let mut message = vec![];
        if let Some(input) = self.plan().input {
            let own = last(point, input.column.bits);
            let values = self.witness.committed_input(input);
            self.send_tensor(0, own, inner_product(values, &eq_table(own)), &mut message);
            if input.hidden.is_none() {
                let packed = packed_point(self.network(), own);
                let value = inner_product(values, &eq_table(&packed));
                self.claim(input.vector, input.column, &packed, value);
            }
        }
        for index in 0..self.network().operations.len() {
            self.operation(index, point, &mut message);
        }
        let plan = self.plan();
        for table in plan.bytes.iter().chain(&plan.tables) {
            let own = last(point, plan.witness.get(table.multiplicity).bits);
            let eq = eq_table(own);
            self.send_witness(table.multiplicity, own, &eq, &mut message);
            if let Some(column) = table.values {
                self.send_key(column, own, &eq, &mut message);
            }
        }
        outgoing.scalars(Tag::AtPoint, &message)
    }

    fn operation(&mut self, index: usize, point: &[Fr], message: &mut Vec<Fr>) {
        let (operation, plan) = (&self.network().operations[index], &self.plan().operations[index]);
        let point = last(point, plan.bits);
        let eq = eq_table(point);
        if let Some(column) = plan.output {
            self.send_witness(column, point, &eq, message);
        }
        if operation.table.is_some() {
            message.push(inner_product(&self.witness.quotients[index], &eq));
        }
        for column in &plan.remainder {
            self.send_witness(*column, point, &eq, message);
        }
        if let Some(column) = plan.bias {
            let part = bias_point(operation, point);
            self.send_key(column, part, &eq_table(part), message);
        }
        let to = operation.shape.dimensions();
        for term in &operation.terms {
            if let Term::Arrange { input, labels, coefficient } = term {
                let tensor = usize::from(*input);
                let from = self.network().tensor(tensor).dimensions();
                let (at, _) = arranged(point, to, labels, from, *coefficient);
                let value = inner_product(self.tensor(tensor), &eq_table(&at));
                self.send_tensor(tensor, &at, value, message);
            }
        }
    }

    /// Proves that the terms add up to their targets; returns the opening's batching challenge.
    pub(crate) fn terms(&mut self, outgoing: &mut Outgoing, point: &[Fr], batching: Fr) -> Fr {
        let network = self.network();
        let weights = powers(batching, network.operations.len());
        let instances = instances(network, self.plan().batch_bits);
        let rho =
            |instance: &Instance| last(point, self.plan().operations[instance.operation].bits);
        let mut products: Vec<Product> = instances
            .iter()
            .map(|instance| self.product(instance, rho(instance), weights[instance.operation]))
            .collect();
        let at = sumcheck::prove(outgoing, &mut products);
        let (mut message, mut gathered) = (vec![], vec![]);
        for (instance, product) in instances.iter().zip(&products) {
            let own = last(&at, u32::try_from(instance.variables).unwrap_or(0)).to_vec();
            let rho = last(point, self.plan().operations[instance.operation].bits);
            self.after_a(instance, rho, &own, &product.values(), &mut message);
            if let Term::Conv { .. } = self.term(instance) {
                gathered.push(Gathered { instance: *instance, point: own });
            }
        }
        let batching = outgoing.scalars(Tag::AfterA, &message);
        self.convolutions(outgoing, point, batching, &gathered)
    }

    fn term(&self, instance: &Instance) -> Term {
        self.network().operations[instance.operation].terms[instance.term]
    }

    fn shapes(&self, instance: &Instance) -> (&'a Shape, &'a Shape) {
        let input = self.term(instance).input();
        (&self.network().operations[instance.operation].shape, self.network().tensor(input))
    }

    fn product(&self, instance: &Instance, rho: &[Fr], weight: Fr) -> Product {
        let (term, (to, from)) = (self.term(instance), self.shapes(instance));
        let tensor = self.tensor(term.input());
        let weights = self.weights(instance);
        match term {
            Term::Product { coefficient, .. } => {
                let factors = self.product_factors(instance, rho);
                Product::new(weight * from_i64(i64::from(coefficient)), factors)
            }
            Term::Dense { kept, .. } => {
                let channel = bits_of(&to.dimensions()[usize::from(kept)..]);
                let (kept, channel) = rho.split_at(rho.len() - channel as usize);
                let folded = fold_rows(&weights, &eq_table(channel));
                Product::new(weight, vec![folded, fold_rows(tensor, &eq_table(kept))])
            }
            Term::Conv { window, .. } => {
                let (batch, parts) = cut(rho, to.dimensions());
                let folded = fold_rows(&weights, &eq_table(parts[0]));
                let data = fold_rows(tensor, &eq_table(batch));
                let gathered = gather(window, &data, from.dimensions(), &parts, to.dimensions());
                Product::new(weight, vec![folded, gathered])
            }
            Term::Window { coefficient, window, .. } => {
                let (batch, parts) = cut(rho, to.dimensions());
                let ones = [Fr::ONE; 16];
                let reach = reach_plane(window, &parts, to, from, [&ones, &ones]);
                let factors = eq_table(&[batch, parts[0]].concat());
                let weight = weight * from_i64(i64::from(coefficient));
                Product::new(weight, vec![reach, fold_rows(tensor, &factors)])
            }
            Term::Scale { .. } | Term::Arrange { .. } => Product::new(weight, vec![]),
        }
    }

    fn operands(&self, inputs: [u16; 2]) -> [&'a [u32]; 2] {
        inputs.map(|input| self.network().tensor(usize::from(input)).dimensions())
    }

    /// `eq` and both operands over a product's indices.
    fn product_factors(&self, instance: &Instance, rho: &[Fr]) -> Vec<Vec<Fr>> {
        let Term::Product { inputs, labels, .. } = self.term(instance) else { return vec![] };
        let (to, _) = self.shapes(instance);
        let dimensions = self.operands(inputs);
        let indices = product_indices(&labels, dimensions);
        let (batch, parts) = cut(rho, to.dimensions());
        let mut shared = batch.to_vec();
        let own = indices.iter().filter(|(label, _)| *label < SUMMED);
        shared.extend(own.flat_map(|(label, _)| parts[usize::from(*label)]));
        let summed = instance.variables - shared.len();
        let eq = eq_table(&shared);
        let mut factors = vec![eq.iter().flat_map(|eq| vec![*eq; 1 << summed]).collect()];
        for (i, input) in inputs.into_iter().enumerate() {
            let tensor = self.tensor(usize::from(input));
            let layout = Layout::new(labels[i], dimensions[i], &indices, &parts);
            factors.push(layout.fold(tensor, instance.variables, batch.len()));
        }
        factors
    }

    fn after_a(
        &mut self,
        instance: &Instance,
        rho: &[Fr],
        own: &[Fr],
        values: &[Fr],
        message: &mut Vec<Fr>,
    ) {
        let (term, (to, _)) = (self.term(instance), self.shapes(instance));
        let [first, second] = [0, 1].map(|i| values.get(i).copied().unwrap_or(Fr::ZERO));
        let (batch, parts) = cut(rho, to.dimensions());
        let weights = self.plan().operations[instance.operation].weights[instance.term];
        let channel = match term {
            Term::Dense { kept, .. } => last(rho, bits_of(&to.dimensions()[usize::from(kept)..])),
            _ => parts[0],
        };
        if let Some((column, shape)) = weights.zip(self.network().weights(instance)) {
            message.push(first);
            let point = weights::point(&shape, &[channel, own].concat());
            self.claim(Vector::Key, self.plan().key.get(column), &point, first);
        }
        match term {
            Term::Dense { input, .. } if !instance.repeated => {
                let kept = &rho[..rho.len() - channel.len()];
                self.send_tensor(usize::from(input), &[kept, own].concat(), second, message);
            }
            Term::Conv { .. } => message.push(second),
            Term::Product { inputs, labels, .. } => {
                let dimensions = self.operands(inputs);
                let indices = product_indices(&labels, dimensions);
                let at = ProductPoint::new(rho, to.dimensions(), own, &indices);
                // The first factor is `eq`.
                for (i, input) in inputs.into_iter().enumerate() {
                    let point = at.operand(&labels[i], dimensions[i]);
                    let value = values.get(1 + i).copied().unwrap_or(Fr::ZERO);
                    self.send_tensor(usize::from(input), &point, value, message);
                }
            }
            Term::Window { input, .. } if !instance.repeated => {
                self.send_tensor(
                    usize::from(input),
                    &[batch, channel, own].concat(),
                    second,
                    message,
                );
            }
            _ => {}
        }
    }

    fn convolutions(
        &mut self,
        outgoing: &mut Outgoing,
        point: &[Fr],
        batching: Fr,
        convs: &[Gathered],
    ) -> Fr {
        let weights = powers(batching, convs.len());
        let mut points = vec![];
        let mut products = vec![];
        for (conv, weight) in convs.iter().zip(weights) {
            let (to, from) = self.shapes(&conv.instance);
            let Term::Conv { input, window } = self.term(&conv.instance) else { continue };
            let rho = last(point, self.plan().operations[conv.instance.operation].bits);
            let (batch, parts) = cut(rho, to.dimensions());
            let (channel, taps) = cut(&conv.point, &window.kernel.map(u32::from));
            let taps: Vec<Vec<Fr>> = taps.into_iter().map(eq_table).collect();
            let reach = reach_plane(window, &parts, to, from, [&taps[0], &taps[1]]);
            let prefix = [batch, channel].concat();
            let data = fold_rows(self.tensor(usize::from(input)), &eq_table(&prefix));
            products.push(Product::new(weight, vec![reach, data]));
            points.push((usize::from(input), prefix, bits_of(&from.dimensions()[1..])));
        }
        let at = sumcheck::prove(outgoing, &mut products);
        let mut message = vec![];
        for ((input, prefix, variables), product) in points.into_iter().zip(&products) {
            let point = [&prefix, last(&at, variables)].concat();
            let value = product.values().get(1).copied().unwrap_or(Fr::ZERO);
            self.send_tensor(input, &point, value, &mut message);
        }
        outgoing.scalars(Tag::AfterB, &message)
    }
}

/// `Φ` over a padded axis.
fn reach_axis(window: Window, axis: usize, out: (&[Fr], u32), size: u32, taps: &[Fr]) -> Vec<Fr> {
    let mut reach = vec![Fr::ZERO; 1 << bits(size)];
    for (y, eq) in eq_table(out.0).iter().enumerate().take(out.1 as usize) {
        for (tap, weight) in taps.iter().enumerate().take(usize::from(window.kernel[axis])) {
            if let Some(source) = window.source(axis, y, tap, size) {
                reach[source] += eq * weight;
            }
        }
    }
    reach
}

/// `Φ(row) Ψ(column)` over an input's padded plane.
fn reach_plane(
    window: Window,
    parts: &[&[Fr]],
    to: &Shape,
    from: &Shape,
    taps: [&[Fr]; 2],
) -> Vec<Fr> {
    let axis = |axis: usize| {
        let out = (parts[axis + 1], to.dimensions()[axis + 1]);
        reach_axis(window, axis, out, from.dimensions()[axis + 1], taps[axis])
    };
    let columns = axis(1);
    axis(0).iter().flat_map(|row| columns.iter().map(move |column| row * column)).collect()
}

/// `G`: what every tap of every channel meets, weighted by the output's position.
fn gather(window: Window, data: &[Fr], from: &[u32], parts: &[&[Fr]], to: &[u32]) -> Vec<Fr> {
    let kernel = window.kernel.map(usize::from);
    let padded = window.kernel.map(|size| 1usize << bits(u32::from(size)));
    let [rows, columns] = [1, 2].map(|axis| 1usize << bits(from[axis]));
    let eq = [1, 2].map(|axis| eq_table(parts[axis]));
    let mut gathered = vec![];
    for plane in data.chunks(rows * columns) {
        let mut out = vec![Fr::ZERO; padded[0] * padded[1]];
        for tap in 0..kernel[1] {
            let sources: Vec<_> = (0..to[2] as usize)
                .filter_map(|x| Some((window.source(1, x, tap, from[2])?, eq[1][x])))
                .collect();
            let sum = |row: &[Fr]| sources.iter().map(|(source, eq)| row[*source] * eq).sum::<Fr>();
            let line: Vec<Fr> = plane.chunks(columns).map(sum).collect();
            for row_tap in 0..kernel[0] {
                let hits = (0..to[1] as usize)
                    .filter_map(|y| Some(line[window.source(0, y, row_tap, from[1])?] * eq[0][y]));
                out[row_tap * padded[1] + tap] = hits.sum();
            }
        }
        gathered.extend(out);
    }
    gathered
}
