//! Provers that cheat, and what the verifier says to each. `docs/reference/zk-protocol.md` §7.

#[path = "../tests/it/attention.rs"]
mod attention;
mod forged;
mod hiding;
mod products;

use ff::Field;
use probity_zk::{
    Model, ModelKey, Network, Operation, Rejection, Shape, Statement, Table, Term, Window,
    curve::POINT_BYTES,
    field::{Fr, SCALAR_BYTES},
    model::Weights,
    plan::Plan,
    verify,
};

use crate::{ProvingKey, outgoing::Outgoing, prove, prove::prove_witness, witness::Witness};

/// Some columns fill several rows, some share one.
const ROW_BITS: u8 = 8;

fn shape(dimensions: &[u32]) -> Shape {
    Shape::new(dimensions).unwrap()
}

fn pattern(count: usize, seed: usize) -> Vec<i8> {
    (0..count)
        .map(|i| i8::try_from((i * 37 + seed * 11 + i * i * (seed + 3)) % 61).unwrap() - 28)
        .collect()
}

/// Convolution, `ReLU`, maximum, average, residual (twice the same tensor), two equal dense layers,
/// logits: every term, both tables, paddings of odd sizes.
fn network() -> Network {
    let tap = |column: i8, coefficient| Term::Window {
        input: 1,
        coefficient,
        window: Window { kernel: [1, 1], stride: [1, 2], pad: [0, -column] },
    };
    let scale = |input, coefficient| Term::Scale { input, coefficient };
    let window = |kernel, pad| Window { kernel, stride: [1, 1], pad };
    let operation = |dimensions: &[u32], terms, bias, shift, table| Operation {
        shape: shape(dimensions),
        terms,
        bias,
        shift,
        table,
    };
    let dense = |input| vec![Term::Dense { input, kept: 0 }];
    let average = Term::Window { input: 3, coefficient: 60, window: window([2, 2], [1, 0]) };
    let conv = Term::Conv { input: 0, window: window([3, 2], [1, 0]) };
    let operations = vec![
        operation(&[3, 5, 6], vec![conv], Some(0), 8, Some(1)),
        operation(&[3, 5, 3], vec![tap(1, 1), tap(0, -1)], None, 0, Some(2)),
        operation(&[3, 5, 3], vec![tap(0, 1), scale(2, 1)], None, 0, None),
        operation(&[3, 5, 2], vec![average], None, 8, Some(0)),
        operation(&[3, 5, 2], vec![scale(4, 100), scale(4, 55)], None, 8, Some(0)),
        operation(&[6], dense(5), Some(0), 16, Some(0)),
        operation(&[6], dense(6), Some(0), 16, Some(0)),
        operation(&[6], dense(7), Some(0), 16, Some(0)),
        operation(&[3], dense(8), Some(0), 0, None),
    ];
    let table = Table::clamp;
    let tables = vec![table(14, 7, true), table(13, 7, false), table(9, 8, false)];
    Network { row_bits: ROW_BITS, input: shape(&[2, 5, 7]), operations, tables }
}

fn model() -> Model {
    let network = network();
    let weights = network.operations.iter().enumerate().map(|(seed, operation)| {
        let counts = operation.terms.iter().map(|term| {
            let shape = term.weights(&operation.shape, network.tensor(term.input()));
            shape.map_or(0, |s| s.iter().product::<u32>() as usize)
        });
        let terms: Vec<_> = counts.map(|count| pattern(count, seed)).collect();
        let channels =
            if operation.bias.is_some() { operation.shape.dimensions()[0] as usize } else { 0 };
        let multipliers = (0..channels)
            .map(|c| {
                (1 + i32::try_from((c + seed) % 7).unwrap())
                    << (if operation.shift == 16 { 10 } else { 2 })
            })
            .collect();
        let bias = pattern(channels, seed + 5).into_iter().map(|b| i32::from(b) * 9).collect();
        Weights { terms, multipliers, bias }
    });
    Model::new(network.clone(), weights.collect()).unwrap()
}

/// A key, an honest plan and a statement, to be cheated with.
struct Case {
    key: ProvingKey,
    plan: Plan,
    statement: Statement,
    proof: Vec<u8>,
}

impl Case {
    fn new(batch: u32) -> Self {
        Self::of(model(), batch)
    }

    fn of(model: Model, batch: u32) -> Self {
        let key = ProvingKey::new(model).unwrap();
        let plan = Plan::new(key.model.network(), batch).unwrap();
        let input = pattern(key.model.network().input.len() * batch as usize, 3);
        let (statement, proof) = prove(&key, [9; 32], &input).unwrap();
        assert_eq!(verify(key.model_key(), &statement, &proof), Ok(()));
        // The tests change values: they must depend on the input.
        assert!(
            batch == 1 || statement.output[..3] != statement.output[3..6],
            "{:?}",
            statement.output
        );
        Self { key, plan, statement, proof }
    }

    fn outgoing(&self, statement: &Statement) -> Outgoing {
        Outgoing::new(statement.transcript(self.key.key.digest()))
    }

    /// What is said to the proof of another model under this model's key.
    fn cheat_with(&self, other: Model) -> Rejection {
        let forged = ProvingKey { key: self.key.key.clone(), ..ProvingKey::new(other).unwrap() };
        let (statement, proof) = prove(&forged, [9; 32], &self.statement.input).unwrap();
        verify(self.key.model_key(), &statement, &proof).unwrap_err()
    }

    fn check(&self, proof: &[u8]) -> Result<(), Rejection> {
        verify(self.key.model_key(), &self.statement, proof)
    }

    fn witness(&self) -> Witness<'_> {
        Witness::new(&self.key.model, &self.plan, &self.statement.input).unwrap()
    }

    /// What is said to the proof of a witness that was tampered with.
    fn cheat(&self, tamper: impl FnOnce(&mut Witness<'_>)) -> Rejection {
        let mut witness = self.witness();
        tamper(&mut witness);
        self.check(&prove_witness(&self.key, &witness, self.outgoing(&self.statement))).unwrap_err()
    }

    /// Where a value of an operation's column lies in the committed vector.
    fn at(&self, column: usize, index: usize) -> usize {
        self.plan.witness.get(column).offset + index
    }
}

/// Changes an operation's output, and with it its quotient so that the table holds the pair.
fn set_output(
    case: &Case,
    witness: &mut Witness<'_>,
    operation: usize,
    index: usize,
    y: i32,
    u: i32,
) {
    let plan = &case.plan.operations[operation];
    let old = witness.quotients[operation][index];
    witness.quotients[operation][index] = u;
    witness.outputs[operation][index] = y;
    witness.values[case.at(plan.output.unwrap(), index)] = y;
    let table = usize::from(case.key.model.network().operations[operation].table.unwrap());
    let (counts, of_network) =
        (case.plan.tables[table].multiplicity, case.key.model.network().tables[table]);
    let entry = |u: i32| case.at(counts, of_network.index(i64::from(u)).unwrap());
    witness.values[entry(old)] -= 1;
    witness.values[entry(u)] += 1;
}

/// Commits to another value of the input than what the operations are proved of, and counts it.
fn set_input(case: &Case, witness: &mut Witness<'_>, index: usize, change: i32) {
    let at = case.plan.input.unwrap().column.offset + index;
    let old = witness.values[at];
    let new = if old + change > 127 { old - change } else { old + change };
    witness.values[at] = new;
    let counts = case.plan.bytes.unwrap().multiplicity;
    for (value, count) in [(old, -1), (new, 1)] {
        witness.values[case.at(counts, usize::try_from(value + 128).unwrap())] += count;
    }
}

#[test]
fn values_that_no_table_holds() {
    let case = Case::new(1);
    let plan = &case.plan.operations;
    let output = |operation: usize| plan[operation].output.unwrap();
    // An output one too large; a negative value passed by ReLU; another table's result.
    for (operation, y) in [(0, 1), (7, -3), (3, 0), (5, 128)] {
        let rejection = case.cheat(|w| {
            w.outputs[operation][1] += y + 1;
            w.values[case.at(output(operation), 1)] += y + 1;
        });
        assert_eq!(rejection, Rejection::LookupSum, "{operation}");
    }
    // Remainder out of range upwards and downwards, the accumulator kept by the next byte.
    let [low, high] = [plan[6].remainder[0], plan[6].remainder[1]];
    for carry in [1, -1] {
        let rejection = case.cheat(|w| {
            w.values[case.at(low, 2)] += 256 * carry;
            w.values[case.at(high, 2)] -= carry;
        });
        assert_eq!(rejection, Rejection::LookupSum);
    }
    // Quotient and remainder trade 2^16: the top byte leaves its range.
    let rejection = case.cheat(|w| {
        let u = w.quotients[6][2] + 1;
        set_output(&case, w, 6, 2, u.clamp(0, 127), u);
        w.values[case.at(high, 2)] -= 256;
    });
    assert_eq!(rejection, Rejection::LookupSum);
    // A quotient beyond the table.
    let rejection = case.cheat(|w| w.quotients[5][0] = 1 << 15);
    assert_eq!(rejection, Rejection::LookupSum);
}

#[test]
fn forged_multiplicities() {
    let case = Case::new(1);
    let bytes = case.plan.bytes.unwrap().multiplicity;
    for column in case.plan.tables.iter().map(|t| t.multiplicity).chain([bytes]) {
        for change in [1, -1, i32::MAX] {
            let rejection = case.cheat(|w| {
                w.values[case.at(column, 7)] =
                    change.wrapping_add(w.values[case.at(column, 7)]).max(-5);
            });
            assert_eq!(rejection, Rejection::LookupSum);
        }
    }
}

#[test]
fn values_that_the_tables_hold_but_the_operations_do_not_give() {
    let case = Case::new(2);
    // Another entry of the table: the accumulator differs.
    for (operation, index, u) in [(0, 0, 100), (0, 3, -40), (3, 5, 77), (5, 1, 3), (1, 0, 9)] {
        let rejection = case.cheat(|w| {
            let u = if w.quotients[operation][index] == u { u + 1 } else { u };
            let table = case.key.model.network().operations[operation].table.unwrap();
            let y = case.key.model.entry(usize::from(table), i64::from(u)).unwrap();
            set_output(&case, w, operation, index, i32::try_from(y).unwrap(), u);
        });
        assert_eq!(rejection, Rejection::Operations, "{operation}");
    }
    // Non-zero padding: beyond the columns, rows, channels and units.
    for (operation, index) in [(0, 7), (0, 5 << 3), (0, 3 << 6), (5, 6), (4, 3 << 4)] {
        let rejection = case.cheat(|w| {
            assert_eq!(w.outputs[operation][index], 0);
            set_output(&case, w, operation, index, 5, 5);
        });
        assert_eq!(rejection, Rejection::Operations, "{operation} {index}");
    }
    // An output without a table, as maxima have.
    let rejection = case.cheat(|w| {
        w.outputs[2][0] += 1;
        w.values[case.at(case.plan.operations[2].output.unwrap(), 0)] += 1;
    });
    assert_eq!(rejection, Rejection::Operations);
    // A remainder that is a byte, but another one.
    let column = case.plan.operations[7].remainder[0];
    let rejection = case.cheat(|w| {
        let old = w.values[case.at(column, 0)];
        let new = (old + 1) & 255;
        w.values[case.at(column, 0)] = new;
        let counts = case.plan.bytes.unwrap().multiplicity;
        w.values[case.at(counts, usize::try_from(old).unwrap())] -= 1;
        w.values[case.at(counts, usize::try_from(new).unwrap())] += 1;
    });
    assert_eq!(rejection, Rejection::Operations);
}

#[test]
fn another_network_than_the_key_s() {
    let case = Case::new(1);
    let key = case.key.model_key();
    // Weights, biases and whole layers, changed consistently in witness and sums.
    let forge = |change: &dyn Fn(&mut Vec<Weights>)| {
        let mut weights = case.key.model.weights().to_vec();
        change(&mut weights);
        let forged = ProvingKey::new(Model::new(network(), weights).unwrap()).unwrap();
        assert_ne!(forged.key.digest(), key.digest());
        let forged = ProvingKey { key: key.clone(), ..forged };
        let (statement, proof) = prove(&forged, [9; 32], &case.statement.input).unwrap();
        verify(key, &statement, &proof).unwrap_err()
    };
    assert_eq!(forge(&|w| w[0].terms[0][3] += 1), Rejection::Opening);
    assert_eq!(forge(&|w| w[5].bias[2] += 1), Rejection::Opening);
    assert_eq!(forge(&|w| w[8].multipliers[1] += 1), Rejection::Opening);
    assert_eq!(forge(&|w| w.swap(6, 7)), Rejection::Opening);
    assert_eq!(forge(&|w| w[5].terms[0].rotate_left(1)), Rejection::Opening);

    // Architecture: coefficients, windows, tables, order of terms.
    let reshape = |change: &dyn Fn(&mut Network)| {
        let mut other = network();
        change(&mut other);
        let model = Model::new(other, case.key.model.weights().to_vec()).unwrap();
        let forged = ProvingKey { key: key.clone(), ..ProvingKey::new(model).unwrap() };
        let (statement, proof) = prove(&forged, [9; 32], &case.statement.input).unwrap();
        verify(key, &statement, &proof).unwrap_err()
    };
    let scale = reshape(&|n| n.operations[4].terms[0] = Term::Scale { input: 4, coefficient: 101 });
    assert_eq!(scale, Rejection::Operations);
    let table = reshape(&|n| n.operations[7].table = Some(1));
    assert_eq!(table, Rejection::LookupLeaves);
    let stride = reshape(&|n| {
        if let Term::Window { window, .. } = &mut n.operations[3].terms[0] {
            window.pad = [0, 1];
        }
    });
    assert_eq!(stride, Rejection::Operations);
    let pad = reshape(&|n| {
        if let Term::Conv { window, .. } = &mut n.operations[0].terms[0] {
            window.pad = [0, 0];
        }
    });
    assert_eq!(pad, Rejection::Convolutions);
    // The same weights read another tensor of the same size.
    let reread = reshape(&|n| n.operations[8].terms[0] = Term::Dense { input: 7, kept: 0 });
    assert_eq!(reread, Rejection::Evaluations);
}

#[test]
fn statements_that_were_not_proved() {
    let case = Case::new(3);
    let key = case.key.model_key();
    let reject = |change: &dyn Fn(&mut Statement)| {
        let mut statement = case.statement.clone();
        change(&mut statement);
        // As it was proved, and by a prover that knew the false statement all along.
        assert!(verify(key, &statement, &case.proof).is_err());
        let proof = prove_witness(&case.key, &case.witness(), case.outgoing(&statement));
        verify(key, &statement, &proof)
    };
    assert_eq!(reject(&|s| s.output[0] += 1), Err(Rejection::Operations));
    assert_eq!(reject(&|s| s.output.swap(0, 3)), Err(Rejection::Operations));
    assert_eq!(reject(&|s| s.output[8] = i64::MIN), Err(Rejection::Operations));
    assert_eq!(reject(&|s| s.input[69] ^= 1), Err(Rejection::Evaluations));
    assert_eq!(reject(&|s| s.input.swap(0, 70)), Err(Rejection::Evaluations));
    assert!(matches!(reject(&|s| s.batch = 2), Err(Rejection::PublicValues { what: "input", .. })));
    assert!(matches!(reject(&|s| s.batch = 0), Err(Rejection::Batch(_))));
    assert!(matches!(reject(&|s| s.batch = u32::MAX), Err(Rejection::Batch(_))));
    assert!(matches!(
        reject(&|s| s.output.truncate(8)),
        Err(Rejection::PublicValues { what: "output", .. })
    ));
    // Another context is another statement: an honest prover can prove it, but the old proof fails.
    let replayed = Statement { context: [8; 32], ..case.statement.clone() };
    assert!(verify(key, &replayed, &case.proof).is_err());
}

/// The input of a small batch is not committed.
#[test]
fn an_input_that_was_not_proved() {
    let case = Case::new(1);
    assert_eq!(case.plan.input, None);
    for changed in [0, 69] {
        let mut statement = case.statement.clone();
        statement.input[changed] ^= 1;
        let proof = prove_witness(&case.key, &case.witness(), case.outgoing(&statement));
        let verdict = verify(case.key.model_key(), &statement, &proof);
        assert_eq!(verdict, Err(Rejection::Convolutions));
    }
}

/// That of a large one is, and its values have to be bytes: those of the statement, and zero behind them.
#[test]
fn committed_inputs() {
    let case = Case::new(3);
    let column = case.plan.input.unwrap().column;
    // Values, padding of columns, rows, channels and the batch.
    for index in [0, 1, 6, 7, 5 << 3, (1 << 7) + 9, 3 << 7] {
        for change in [1, 100] {
            let rejection = case.cheat(|w| set_input(&case, w, index, change));
            assert_eq!(rejection, Rejection::Evaluations, "{index}");
        }
    }
    // Padding of columns and rows, which no operation reads, wrong in the operations alike: only the
    // packed claim differs.
    for index in [7, 6 << 3, (1 << 7) + (5 << 3) + 7] {
        let rejection = case.cheat(|w| {
            set_input(&case, w, index, 5);
            w.input[index] = w.values[column.offset + index];
        });
        assert_eq!(rejection, Rejection::Evaluations, "{index}");
    }
    // Two values whose packed number stays the same, and one that only the sum of both could be.
    for (index, change) in [(0, 1), (2, -1), (5, 1)] {
        let rejection = case.cheat(|w| {
            for (index, change) in [(index, change), (index + 1, -256 * change)] {
                w.values[column.offset + index] += change;
                w.input[index] += change;
            }
        });
        assert_eq!(rejection, Rejection::LookupSum, "{index}");
    }
}

#[test]
fn another_model_and_another_version() {
    let case = Case::new(1);
    let mut weights = case.key.model.weights().to_vec();
    weights[5].terms[0][0] ^= 1;
    let other = ProvingKey::new(Model::new(network(), weights).unwrap()).unwrap();
    assert!(verify(other.model_key(), &case.statement, &case.proof).is_err());
    for (at, flip) in [(0, 1), (1, 1), (2, 1), (3, 1), (4, 2)] {
        let mut proof = case.proof.clone();
        proof[at] ^= flip;
        assert_eq!(case.check(&proof), Err(Rejection::Version));
    }
    // Every byte of the key before its commitments makes it another key or none.
    let bytes = case.key.model_key().encode();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        if let Ok(key) = ModelKey::decode(&changed) {
            assert_ne!(key.digest(), case.key.model_key().digest());
            assert_eq!(key.encode(), changed);
            assert!(verify(&key, &case.statement, &case.proof).is_err(), "byte {at}");
        }
    }
}

#[test]
fn a_transcript_that_leaves_a_message_out() {
    let case = Case::new(1);
    let mut omitted = 0;
    loop {
        let mut outgoing = case.outgoing(&case.statement);
        outgoing.omit = Some(omitted);
        let proof = prove_witness(&case.key, &case.witness(), outgoing);
        // The last message answers nothing: leaving it out changes nothing.
        let last = proof == case.proof;
        assert_eq!(case.check(&proof).is_ok(), last, "message {omitted}");
        if last {
            break;
        }
        omitted += 1;
    }
    assert!(omitted > 60, "{omitted}");
    // Nor does a transcript do that leaves a part of the statement out.
    for part in 0..4 {
        let mut statement = case.statement.clone();
        let mut digest = *case.key.key.digest();
        match part {
            0 => digest = [0; 32],
            1 => statement.context = [0; 32],
            2 => statement.input.clear(),
            _ => statement.output.clear(),
        }
        let outgoing = Outgoing::new(statement.transcript(&digest));
        let proof = prove_witness(&case.key, &case.witness(), outgoing);
        assert!(case.check(&proof).is_err());
    }
}

#[test]
fn points_and_scalars_that_are_none() {
    let case = Case::new(1);
    // A row that is not zero.
    let points = case.proof[5..].chunks(POINT_BYTES);
    let row = points
        .take(case.plan.witness.rows(ROW_BITS))
        .position(|row| row != [0; POINT_BYTES])
        .unwrap();
    let start = 5 + row * POINT_BYTES;
    let put = |at: usize, bytes: &[u8]| {
        let mut proof = case.proof.clone();
        proof[at..at + bytes.len()].copy_from_slice(bytes);
        case.check(&proof).unwrap_err()
    };
    let rows = case.plan.witness.rows(ROW_BITS) * POINT_BYTES;
    let tree = 5 + rows;
    // Off the curve: a changed ordinate. On the curve, off the subgroup: x = 4 has the order-11
    // component that the cofactor leaves.
    let mut off = case.proof[start..start + POINT_BYTES].to_vec();
    off[POINT_BYTES - 1] ^= 1;
    assert_eq!(put(start, &off), Rejection::PointEncoding { at: 0 });
    let stray = off_subgroup();
    assert_eq!(put(start, &stray), Rejection::PointEncoding { at: 0 });
    // Flags of the compressed encodings, the infinity flag, a coordinate of p or more.
    for flag in [0x80, 0x40, 0x20, 0xff] {
        let mut flagged = case.proof[start..start + POINT_BYTES].to_vec();
        flagged[0] |= flag;
        assert_eq!(put(start, &flagged), Rejection::PointEncoding { at: 0 });
    }
    // The identity is a point, but not the row's commitment.
    assert!(matches!(
        put(start, &[0; POINT_BYTES]),
        Rejection::LookupLayer(_) | Rejection::LookupSum | Rejection::LookupLeaves
    ));
    let mut order = (-Fr::ONE).to_bytes_be();
    order[31] += 1;
    for value in [order, [0xff; 32]] {
        let rejection = put(tree, &value);
        assert_eq!(rejection, Rejection::ScalarEncoding { at: rows });
    }
    // Zero denominators at the root.
    let mut zeros = case.proof.clone();
    zeros[tree..tree + 4 * SCALAR_BYTES].fill(0);
    assert_eq!(case.check(&zeros), Err(Rejection::LookupDenominator));
}

/// A point of the curve that is not of the subgroup of order r, by trial of abscissae.
fn off_subgroup() -> Vec<u8> {
    (1..=u8::MAX)
        .find_map(|x| {
            let mut compressed = [0u8; 48];
            compressed[0] = 0x80;
            compressed[47] = x;
            let point = probity_zk::curve::G1Affine::from_compressed_unchecked(&compressed)
                .into_option()?;
            (!bool::from(point.is_torsion_free())).then(|| point.to_uncompressed().to_vec())
        })
        .unwrap()
}

#[test]
fn rounds_dropped_reordered_repeated() {
    let case = Case::new(1);
    let rows = case.plan.witness.rows(ROW_BITS) * POINT_BYTES;
    let (round, layer) = (3 * SCALAR_BYTES, 4 * SCALAR_BYTES);
    // Layer 3 of the tree has three rounds, after the root, one round, a layer, two, a layer.
    let first = 5 + rows + layer + round + layer + 2 * round + layer;
    let cut = |from: usize, to: usize| [&case.proof[..from], &case.proof[to..]].concat();
    assert!(case.check(&cut(first, first + round)).is_err());
    assert!(case.check(&cut(first, first + layer)).is_err());
    let mut swapped = case.proof.clone();
    let (a, b) = swapped.split_at_mut(first + round);
    a[first..].swap_with_slice(&mut b[..round]);
    assert!(matches!(case.check(&swapped), Err(Rejection::LookupLayer(3))));
    let mut repeated = case.proof.clone();
    repeated.copy_within(first..first + round, first + round);
    assert!(matches!(case.check(&repeated), Err(Rejection::LookupLayer(3))));
    for length in [0, 4, 5, 6, rows, case.proof.len() - 1] {
        assert!(case.check(&case.proof[..length]).is_err());
    }
    assert_eq!(case.check(&[case.proof.as_slice(), &[0]].concat()), Err(Rejection::ProofLength));
}

#[test]
fn a_thousand_corrupted_bytes() {
    let cases = [Case::new(1), Case::new(2)];
    let mut random = 0x1234_5678_9abc_def1_u64;
    for round in 0..1000 {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let case = &cases[round % 2];
        let mut proof = case.proof.clone();
        let at = usize::try_from(random >> 33).unwrap() % proof.len();
        let flip = random.to_le_bytes()[3];
        proof[at] ^= if flip == 0 { 1 } else { flip };
        assert!(case.check(&proof).is_err(), "byte {at} xor {flip}");
    }
}

#[test]
fn constant_and_zero_networks_are_proved_like_others() {
    let zero = |weights: &Weights| Weights {
        terms: weights.terms.iter().map(|values| vec![0; values.len()]).collect(),
        multipliers: weights.multipliers.clone(),
        bias: vec![0; weights.bias.len()],
    };
    let weights = model().weights().iter().map(zero).collect();
    let key = ProvingKey::new(Model::new(network(), weights).unwrap()).unwrap();
    let (mut statement, proof) = prove(&key, [0; 32], &[0; 70]).unwrap();
    assert_eq!(statement.output, [0; 3]);
    assert_eq!(verify(key.model_key(), &statement, &proof), Ok(()));
    statement.output[1] = 1;
    let forged = prove_witness(
        &key,
        &Witness::new(&key.model, &Plan::new(key.model.network(), 1).unwrap(), &[0; 70]).unwrap(),
        Outgoing::new(statement.transcript(key.key.digest())),
    );
    assert_eq!(verify(key.model_key(), &statement, &forged), Err(Rejection::Operations));
}
