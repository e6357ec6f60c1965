//! A block of attention over three tokens with every term that a transformer adds: products of
//! activations (a square and one of public values among them), arrangements, listed tables with and
//! without negative indices, a maximum over a row, biases by position, a constant.

use probity_zk::{Labels, Model, Network, Operation, Shape, Table, Term, Window, model::Weights};

/// First and number of the dimensions that a bias goes along.
const fn along(first: u8, count: u8) -> u8 {
    first | (count - 1) << 4
}

fn pattern(count: usize, seed: usize) -> Vec<i8> {
    (0..count)
        .map(|i| i8::try_from((i * 37 + seed * 11 + i * i * (seed + 3)) % 61).unwrap() - 28)
        .collect()
}

fn product(inputs: [u16; 2], coefficient: i32, labels: [&[u8]; 2]) -> Term {
    Term::Product { inputs, coefficient, labels: labels.map(Labels::new) }
}

fn arrange(input: u16, coefficient: i32, labels: &[u8]) -> Term {
    Term::Arrange { input, coefficient, labels: Labels::new(labels) }
}

fn scale(input: u16, coefficient: i32) -> Term {
    Term::Scale { input, coefficient }
}

fn tap(input: u16, column: i8, coefficient: i32) -> Term {
    let window = Window { kernel: [1, 1], stride: [1, 1], pad: [0, -column] };
    Term::Window { input, coefficient, window }
}

/// Saturating to int8, the positive part, and two listed: from 0, and from below.
const TABLES: [Table; 4] = [
    Table::clamp(13, 7, true),
    Table::clamp(9, 8, false),
    Table::Listed { bits: 10, signed: false },
    Table::Listed { bits: 10, signed: true },
];

fn operations() -> Vec<Operation> {
    let operation = |shape: &[u32], terms, bias, shift, table| Operation {
        shape: Shape::new(shape).unwrap(),
        terms,
        bias,
        shift,
        table,
    };
    let dense = |input, kept| Term::Dense { input, kept };
    let heads = Some(along(1, 2));
    vec![
        // 1 to 3: queries, keys, values.
        operation(&[3, 2, 4], vec![dense(0, 1)], heads, 16, Some(0)),
        operation(&[3, 2, 4], vec![dense(0, 1)], heads, 16, Some(0)),
        operation(&[3, 2, 3], vec![dense(0, 1)], heads, 16, Some(0)),
        // 4: head, query, key.
        operation(&[2, 3, 3], vec![product([1, 2], 3, [&[1, 0, 4], &[2, 0, 4]])], None, 8, Some(0)),
        // 5 to 8: the largest of each row.
        operation(&[2, 3, 2], vec![tap(4, 1, 1), tap(4, 0, -1)], None, 0, Some(1)),
        operation(&[2, 3, 2], vec![tap(4, 0, 1), scale(5, 1)], None, 0, None),
        operation(&[2, 3, 1], vec![tap(6, 1, 1), tap(6, 0, -1)], None, 0, Some(1)),
        operation(&[2, 3, 1], vec![tap(6, 0, 1), scale(7, 1)], None, 0, None),
        // 9, 10: a function of the distance to it, and of the sum.
        operation(
            &[2, 3, 3],
            vec![scale(4, 1), arrange(8, -1, &[0, 1, 4])],
            Some(along(2, 1)),
            0,
            Some(2),
        ),
        operation(&[2, 3], vec![arrange(9, 40, &[0, 1, 4])], None, 8, Some(2)),
        // 11, 12: what each key's value counts; the values.
        operation(&[2, 3, 3], vec![product([9, 10], 9, [&[0, 1, 2], &[0, 1]])], None, 8, Some(0)),
        operation(
            &[3, 2, 3],
            vec![product([11, 3], 7, [&[1, 0, 4], &[4, 1, 2]])],
            None,
            8,
            Some(0),
        ),
        // 13: projected and added to the input, with a bias for each position.
        operation(&[3, 5], vec![dense(12, 1), scale(0, 7000)], Some(along(0, 2)), 16, Some(0)),
        // 14, 15: divided by a function of the sum of squares.
        operation(&[3], vec![product([13, 13], 1, [&[0, 4], &[0, 4]])], None, 8, Some(2)),
        operation(&[3, 5], vec![product([13, 14], 5, [&[0, 1], &[0]])], None, 8, Some(0)),
        // 16, 17: a constant for each feature; a function with negative indices.
        operation(&[5], vec![], Some(0), 0, None),
        operation(&[5, 3], vec![product([15, 16], 2, [&[1, 0], &[0]])], None, 8, Some(3)),
        // 18: of public values alone.
        operation(&[3, 3], vec![product([0, 0], 1, [&[0, 4], &[1, 4]])], None, 0, None),
        // 19: all added up.
        operation(
            &[3],
            vec![dense(17, 0), arrange(18, 5, &[4, 0]), arrange(0, -3, &[0, 4])],
            Some(0),
            0,
            None,
        ),
    ]
}

/// The block with weights by pattern.
pub(crate) fn model(row_bits: u8) -> Model {
    let input = Shape::new(&[3, 5]).unwrap();
    let network = Network { row_bits, input, operations: operations(), tables: TABLES.to_vec() };
    let weights = network.operations.iter().enumerate().map(|(seed, operation)| {
        let sizes: Vec<Option<usize>> = operation
            .terms
            .iter()
            .map(|term| term.weights(&operation.shape, network.tensor(term.input())))
            .map(|shape| Some(shape?.iter().product::<u32>() as usize))
            .collect();
        let terms = sizes.iter().map(|size| pattern(size.unwrap_or(0), seed)).collect();
        let axes = probity_zk::model::channel_axes(operation);
        let sizes_of = |axes: std::ops::Range<usize>| -> usize {
            operation.shape.dimensions()[axes].iter().map(|size| *size as usize).product()
        };
        let weighted = sizes.iter().any(Option::is_some);
        let count = if weighted { sizes_of(axes) } else { 0 };
        let up = if operation.shift == 16 { 8 } else { 0 };
        let multipliers =
            (0..count).map(|c| (1 + i32::try_from((c + seed) % 5).unwrap()) << up).collect();
        let bias: Vec<i32> = match (seed, operation.bias_axes()) {
            // So that no distance to the maximum becomes 0.
            (8, _) => vec![400; 3],
            (_, axes) => {
                let count = axes.map_or(0, sizes_of);
                pattern(count, seed + 5).into_iter().map(|b| i32::from(b) * 9).collect()
            }
        };
        Weights { terms, multipliers, bias }
    });
    let listed = |table: &Table| -> Vec<i32> {
        let value = |u: i64| i32::try_from((u * u * 7 + u * 13).rem_euclid(301)).unwrap();
        let range = if table.is_listed() { table.min()..table.end() } else { 0..0 };
        range.map(value).collect()
    };
    let tables = network.tables.iter().map(listed).collect();
    Model::with_tables(network.clone(), weights.collect(), tables).unwrap()
}
