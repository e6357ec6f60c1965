//! The witness: every column that is committed, from the interpreter's traces.

use probity_zk::{
    Model, ModelError, Network,
    lookup::INPUT_OFFSET,
    model::Trace,
    opening::Vector,
    plan::{InputPlan, Plan},
};

/// Padded values of a batch.
#[derive(Debug)]
pub(crate) struct Witness<'a> {
    pub(crate) model: &'a Model,
    pub(crate) network: &'a Network,
    pub(crate) plan: &'a Plan,
    /// The committed vector.
    pub(crate) values: Vec<i32>,
    /// The inputs.
    pub(crate) input: Vec<i32>,
    /// Of committed inputs: 1 where the value is looked up as a byte, 0 where it is a hidden one's padding.
    pub(crate) valid: Vec<i32>,
    /// Per operation: what is looked up, before the table; empty without a table.
    pub(crate) quotients: Vec<Vec<i32>>,
    /// Per operation: outputs; empty for the last one without a table.
    pub(crate) outputs: Vec<Vec<i32>>,
    /// The network's outputs, without padding.
    pub(crate) result: Vec<i64>,
}

impl<'a> Witness<'a> {
    /// Runs the model on each input of the batch.
    pub(crate) fn new(model: &'a Model, plan: &'a Plan, input: &[i8]) -> Result<Self, ModelError> {
        let network = model.network();
        let size = network.input.len();
        let traces = input.chunks(size).map(|one| model.run(one)).collect::<Result<Vec<_>, _>>()?;
        let mut witness = Self {
            model,
            network,
            plan,
            values: vec![0; plan.witness.len()],
            input: pad_input(network, plan.batch_bits, input),
            valid: vec![],
            quotients: vec![],
            outputs: vec![],
            result: vec![],
        };
        match plan.input {
            Some(place) if place.hidden.is_some() => {
                witness.valid = pad_input(network, plan.batch_bits, &vec![1; input.len()]);
            }
            Some(place) => {
                let from = place.column.offset;
                witness.values[from..from + witness.input.len()].copy_from_slice(&witness.input);
                witness.valid = vec![1; witness.input.len()];
            }
            None => {}
        }
        let last = network.operations.len() - 1;
        for index in 0..=last {
            witness.operation(index, &traces);
        }
        witness.result =
            traces.iter().filter_map(|trace| trace.outputs.last()).flatten().copied().collect();
        witness.count();
        Ok(witness)
    }

    /// A column of the committed vector.
    pub(crate) fn column(&self, column: usize) -> &[i32] {
        let place = self.plan.witness.get(column);
        &self.values[place.offset..place.offset + (1 << place.bits)]
    }

    fn put(&mut self, column: usize, values: &[i32]) {
        let place = self.plan.witness.get(column);
        self.values[place.offset..place.offset + values.len()].copy_from_slice(values);
    }

    /// Pads a batch of tensors by zero.
    fn spread<T: Iterator<Item = i32>>(
        &self,
        tensor: usize,
        batch: impl Iterator<Item = T>,
    ) -> Vec<i32> {
        let shape = self.network.tensor(tensor);
        let (places, size) = (shape.padded(), 1 << shape.bits());
        let mut padded = vec![0; size << self.plan.batch_bits];
        for (values, padded) in batch.zip(padded.chunks_mut(size)) {
            for (place, value) in places.iter().zip(values) {
                padded[*place] = value;
            }
        }
        padded
    }

    fn operation(&mut self, index: usize, traces: &[Trace]) {
        let (network, plan) = (self.network, self.plan);
        let (Some(operation), Some(plan)) =
            (network.operations.get(index), plan.operations.get(index))
        else {
            return;
        };
        let accumulators = || traces.iter().filter_map(|trace| trace.accumulators.get(index));
        let (mut quotient, mut output) = (vec![], vec![]);
        if operation.table.is_some() {
            let shifted = |sum: &i64| narrow(sum >> operation.shift);
            quotient = self.spread(index + 1, accumulators().map(|sums| sums.iter().map(shifted)));
        }
        if operation.table.is_some() || plan.output.is_some() {
            let outputs = traces.iter().filter_map(|trace| trace.outputs.get(index));
            output =
                self.spread(index + 1, outputs.map(|values| values.iter().copied().map(narrow)));
        }
        if let Some(column) = plan.output {
            self.put(column, &output);
        }
        for (chunk, column) in plan.remainder.iter().enumerate() {
            let byte = |sum: &i64| narrow(sum >> (8 * chunk) & 255);
            let bytes = self.spread(index + 1, accumulators().map(|sums| sums.iter().map(byte)));
            self.put(*column, &bytes);
        }
        self.quotients.push(quotient);
        self.outputs.push(output);
    }

    /// A committed input as its vector has it.
    pub(crate) fn committed_input(&self, input: InputPlan) -> &[i32] {
        match input.vector {
            Vector::Input => &self.input,
            _ => &self.values[input.column.offset..input.column.offset + (1 << input.column.bits)],
        }
    }

    /// Counts how often each table's entry is looked up, padding included.
    fn count(&mut self) {
        let plan = self.plan;
        if let Some(table) = plan.bytes {
            let mut counts = vec![0; 256];
            let inputs = plan.input.iter().flat_map(|place| self.committed_input(*place));
            let looked_up = inputs.zip(&self.valid).filter(|(_, valid)| **valid == 1);
            for (value, _) in looked_up {
                counts[(value + i32::from(INPUT_OFFSET)).unsigned_abs() as usize & 255] += 1;
            }
            for column in plan.operations.iter().flat_map(|operation| &operation.remainder) {
                for byte in self.column(*column) {
                    counts[byte.unsigned_abs() as usize & 255] += 1;
                }
            }
            self.put(table.multiplicity, &counts);
        }
        for (index, (table, plan_of)) in self.network.tables.iter().zip(&plan.tables).enumerate() {
            let mut counts = vec![0; table.size()];
            let users = self.network.operations.iter().zip(&self.quotients);
            let users = users.filter(|(op, _)| op.table.map(usize::from) == Some(index));
            for u in users.flat_map(|(_, quotients)| quotients) {
                if let Some(entry) = table.index(i64::from(*u)) {
                    counts[entry] += 1;
                }
            }
            self.put(plan_of.multiplicity, &counts);
        }
    }
}

/// Pads a batch of inputs by zero.
pub(crate) fn pad_input(network: &Network, batch_bits: u32, input: &[i8]) -> Vec<i32> {
    let (places, size) = (network.input.padded(), 1 << network.input.bits());
    let mut padded = vec![0; size << batch_bits];
    for (values, padded) in input.chunks(network.input.len()).zip(padded.chunks_mut(size)) {
        for (place, value) in places.iter().zip(values) {
            padded[*place] = i32::from(*value);
        }
    }
    padded
}

// INVARIANT: tables bound what is narrowed; `Model::new` refuses what could leave them, and outputs
// without a table beyond 31 bits unless they are the network's.
fn narrow(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
