//! Random small networks: what the interpreter computes is what can be proved, and nothing else.

use probity_zk::{
    Labels, Model, ModelKey, Network, Operation, Rejection, Shape, Table, Term, Window,
    model::Weights, verify,
};
use probity_zk_prover::{ProvingKey, prove};
use proptest::prelude::*;

/// Requantisation, `ReLU`, and an exact `ReLU` for differences.
pub(crate) const TABLES: [Table; 3] =
    [Table::clamp(16, 7, true), Table::clamp(15, 7, false), Table::clamp(10, 9, false)];

/// One step of a random network, made to fit the shape it meets.
#[derive(Debug, Clone)]
enum Step {
    Dense {
        outputs: u32,
        kept: bool,
        relu: bool,
    },
    Conv {
        channels: u32,
        kernel: [u8; 2],
        stride: [u8; 2],
        pad: [i8; 2],
        relu: bool,
    },
    Average {
        kernel: [u8; 2],
        stride: [u8; 2],
        pad: [i8; 2],
    },
    Maximum {
        stride: u8,
    },
    Residual {
        coefficients: [i32; 2],
    },
    /// The tensor times itself, position by position, or row with row.
    Product {
        rows: bool,
    },
    /// Dimensions in reverse order, plus the sum over the last repeated along it.
    Turn {
        coefficient: i32,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let pair = |range: std::ops::RangeInclusive<u8>| [range.clone(), range];
    prop_oneof![
        (1..9u32, any::<bool>(), any::<bool>()).prop_map(|(outputs, kept, relu)| Step::Dense {
            outputs,
            kept,
            relu
        }),
        (1..5u32, pair(1..=3), pair(1..=2), [0..2i8, 0..2i8], any::<bool>()).prop_map(
            |(channels, kernel, stride, pad, relu)| Step::Conv {
                channels,
                kernel,
                stride,
                pad,
                relu
            }
        ),
        (pair(1..=3), pair(1..=2), [-1..2i8, -1..2i8])
            .prop_map(|(kernel, stride, pad)| Step::Average { kernel, stride, pad }),
        (1..3u8).prop_map(|stride| Step::Maximum { stride }),
        [-200..200i32, -200..200i32].prop_map(|coefficients| Step::Residual { coefficients }),
        any::<bool>().prop_map(|rows| Step::Product { rows }),
        (-200..200i32).prop_map(|coefficient| Step::Turn { coefficient }),
    ]
}

struct Builder {
    network: Network,
    weights: Vec<Weights>,
    seed: u64,
}

impl Builder {
    fn random(&mut self, count: usize) -> Vec<i8> {
        let mut next = || {
            self.seed = self
                .seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((self.seed >> 56) as u8).cast_signed()
        };
        (0..count).map(|_| next()).collect()
    }

    fn shape(&self) -> Vec<u32> {
        self.network.output().dimensions().to_vec()
    }

    fn last(&self) -> u16 {
        u16::try_from(self.network.operations.len()).unwrap()
    }

    fn push(
        &mut self,
        shape: &[u32],
        terms: Vec<Term>,
        shift: u8,
        table: Option<u8>,
        biased: bool,
    ) {
        let shape = Shape::new(shape).unwrap();
        let mut operation = Operation { shape, terms, bias: None, shift, table };
        let axis = probity_zk::model::channel_axes(&operation).start;
        let channels = operation.shape.dimensions()[axis] as usize;
        let mut weights = Weights::default();
        for term in &operation.terms {
            let shape = term.weights(&operation.shape, self.network.tensor(term.input()));
            let count = shape.map_or(0, |shape| shape.iter().map(|s| *s as usize).product());
            weights.terms.push(self.random(count));
        }
        if weights.terms.iter().any(|values| !values.is_empty()) {
            weights.multipliers =
                self.random(channels).iter().map(|v| i32::from(v.unsigned_abs()) + 1).collect();
        }
        if biased {
            operation.bias = Some(u8::try_from(axis).unwrap());
            weights.bias = self.random(channels).iter().map(|v| i32::from(*v) * 50).collect();
        }
        self.network.operations.push(operation);
        self.weights.push(weights);
    }

    fn step(&mut self, step: &Step) {
        let (shape, input) = (self.shape(), self.last());
        let table = |relu: bool| Some(u8::from(relu));
        match (step, shape.as_slice()) {
            (Step::Dense { outputs, kept, relu }, _) => {
                let kept = usize::from(*kept && shape.len() > 1);
                let to = [&shape[..kept], &[*outputs]].concat();
                let term = Term::Dense { input, kept: u8::try_from(kept).unwrap() };
                self.push(&to, vec![term], 16, table(*relu), true);
            }
            (Step::Conv { channels, kernel, stride, pad, relu }, [_, rows, columns]) => {
                let window = Window { kernel: *kernel, stride: *stride, pad: *pad };
                if let Some([rows, columns]) = size(window, [*rows, *columns]) {
                    let terms = vec![Term::Conv { input, window }];
                    self.push(&[*channels, rows, columns], terms, 16, table(*relu), true);
                }
            }
            (Step::Average { kernel, stride, pad }, [channels, rows, columns]) => {
                let window = Window { kernel: *kernel, stride: *stride, pad: *pad };
                if let Some([rows, columns]) = size(window, [*rows, *columns]) {
                    let terms = vec![Term::Window { input, coefficient: 77, window }];
                    self.push(&[*channels, rows, columns], terms, 8, Some(0), false);
                }
            }
            (Step::Maximum { stride }, [channels, rows, columns]) if *columns > 1 => {
                let to = [*channels, *rows, (columns - 2) / u32::from(*stride) + 1];
                let tap = |offset: i8, coefficient| Term::Window {
                    input,
                    coefficient,
                    window: Window { kernel: [1, 1], stride: [1, *stride], pad: [0, -offset] },
                };
                self.push(&to, vec![tap(1, 1), tap(0, -1)], 0, Some(2), false);
                let difference = Term::Scale { input: input + 1, coefficient: 1 };
                self.push(&to, vec![tap(0, 1), difference], 0, None, false);
            }
            (Step::Residual { coefficients: [a, b] }, _) => {
                let same = (0..input)
                    .rev()
                    .find(|t| self.network.tensor(usize::from(*t)).dimensions() == shape);
                let terms = vec![
                    Term::Scale { input, coefficient: *a },
                    Term::Scale { input: same.unwrap_or(input), coefficient: *b },
                ];
                self.push(&shape, terms, 8, Some(0), false);
            }
            (Step::Product { rows }, _) => {
                let count = u8::try_from(shape.len()).unwrap();
                let own: Vec<u8> = (0..count).collect();
                let summed = |row: u8| [&[row][..], &[4, 5, 6][..shape.len() - 1]].concat();
                let (to, labels) = if *rows {
                    (vec![shape[0]; 2], [summed(0), summed(1)])
                } else {
                    (shape.clone(), [own.clone(), own])
                };
                let labels = labels.map(|labels| Labels::new(&labels));
                let term = Term::Product { inputs: [input; 2], coefficient: 3, labels };
                self.push(&to, vec![term], 16, Some(0), true);
            }
            (Step::Turn { coefficient }, _) => {
                let count = u8::try_from(shape.len()).unwrap();
                let to: Vec<u32> = shape.iter().rev().copied().collect();
                let mut labels: Vec<u8> = (0..count).rev().collect();
                let turned = Term::Arrange {
                    input,
                    coefficient: *coefficient,
                    labels: Labels::new(&labels),
                };
                labels[shape.len() - 1] = 4;
                let summed = Term::Arrange { input, coefficient: 7, labels: Labels::new(&labels) };
                self.push(&to, vec![turned, summed], 8, Some(0), false);
            }
            _ => {}
        }
    }
}

fn size(window: Window, from: [u32; 2]) -> Option<[u32; 2]> {
    let axis = |i: usize| {
        let room = i64::from(from[i]) + 2 * i64::from(window.pad[i]) - i64::from(window.kernel[i]);
        (room >= 0).then(|| u32::try_from(room / i64::from(window.stride[i])).unwrap() + 1)
    };
    Some([axis(0)?, axis(1)?])
}

fn model() -> impl Strategy<Value = Model> {
    let vector = (1..20u32).prop_map(|n| vec![n]);
    let matrix = (1..5u32, 1..9u32).prop_map(|(a, b)| vec![a, b]);
    let image = (1..4u32, 1..8u32, 1..8u32).prop_map(|(c, h, w)| vec![c, h, w]);
    let steps = prop::collection::vec(step(), 1..5);
    (prop_oneof![vector, matrix, image.clone(), image], steps, 6..9u8, any::<u64>(), any::<bool>())
        .prop_map(|(input, steps, row_bits, seed, raw)| {
            let input = Shape::new(&input).unwrap();
            let network = Network { row_bits, input, operations: vec![], tables: TABLES.to_vec() };
            let mut builder = Builder { network, weights: vec![], seed };
            for step in &steps {
                builder.step(step);
            }
            // The last operation leaves its accumulators, or not.
            let (shape, input) = (builder.shape(), builder.last());
            let (kept, last) = (u8::try_from(shape.len() - 1).unwrap(), shape.len() - 1);
            let to = [&shape[..last], &[3]].concat();
            let (shift, table) = if raw { (0, None) } else { (24, Some(0)) };
            builder.push(&to, vec![Term::Dense { input, kept }], shift, table, true);
            Model::new(builder.network, builder.weights).unwrap()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_the_interpreter_computes_is_proved(model in model(), batch in 1..4usize, seed in any::<u64>()) {
        prop_assert_eq!(&Model::decode(&model.encode()).unwrap(), &model);
        prop_assert!(Model::decode(&model.encode()[1..]).is_err());
        let size = model.network().input.len();
        let mut builder = Builder { network: model.network().clone(), weights: vec![], seed };
        let input = builder.random(size * batch);
        let key = ProvingKey::new(model).unwrap();
        let (statement, proof) = prove(&key, [1; 32], &input).unwrap();
        for (one, output) in input.chunks(size).zip(statement.output.chunks(statement.output.len() / batch)) {
            let trace = key.model().run(one).unwrap();
            prop_assert_eq!(trace.outputs.last().unwrap(), output);
        }
        prop_assert_eq!(verify(key.model_key(), &statement, &proof), Ok(()));

        let decoded = ModelKey::decode(&key.model_key().encode()).unwrap();
        prop_assert_eq!(&decoded, key.model_key());
        prop_assert_eq!(verify(&decoded, &statement, &proof), Ok(()));

        let mut wrong = statement.clone();
        wrong.output[0] += 1;
        prop_assert!(verify(&decoded, &wrong, &proof).is_err());
        let mut short = proof.clone();
        short.pop();
        prop_assert_eq!(verify(&decoded, &statement, &short), Err(Rejection::ProofLength));
    }
}
