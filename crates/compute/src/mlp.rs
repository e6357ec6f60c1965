//! A multilayer perceptron with one hidden layer: `ReLU`, softmax, cross-entropy, momentum SGD.
//!
//! Determinism: one thread, a fixed order of operations in `f32`, `exp` and `ln` from `libm` rather
//! than the platform, randomness from SplitMix64. Rust does not contract or reorder float
//! operations, so the weights are bit-identical wherever IEEE 754 holds.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use crate::Sample;

/// Name and version of this trainer; a change of its arithmetic is a new version.
pub const BUILDER: &str = "probity-mlp/1";
/// Most weights a network may have.
const MAX_WEIGHTS: usize = 1 << 24;

/// What a run commits to. Integers only, so that the canonical JSON is exact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MlpConfig {
    /// Always [`BUILDER`].
    pub builder: String,
    /// Hidden units.
    pub hidden: u32,
    /// Number of classes.
    pub classes: u32,
    /// Largest feature value; features are divided by it.
    pub feature_max: u32,
    /// Passes over the samples.
    pub epochs: u32,
    /// Samples per step.
    pub batch: u32,
    /// Learning rate in millionths, falling linearly to a tenth.
    pub learning_rate_ppm: u32,
    /// Momentum in millionths.
    pub momentum_ppm: u32,
    /// Weight decay in millionths.
    pub weight_decay_ppm: u32,
    /// Seed of initialisation and order.
    pub seed: u64,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            builder: BUILDER.to_owned(),
            hidden: 64,
            classes: 10,
            feature_max: 16,
            epochs: 60,
            batch: 16,
            learning_rate_ppm: 50_000,
            momentum_ppm: 900_000,
            weight_decay_ppm: 100,
            seed: 1,
        }
    }
}

/// Why training is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    /// Another trainer's configuration.
    #[error("expected builder `{BUILDER}`, got `{0}`")]
    Builder(String),
    /// A size that is zero or too large.
    #[error("field `{0}` of the configuration is out of range")]
    Config(&'static str),
    /// Nothing to train on.
    #[error("there are no samples")]
    NoSamples,
    /// Samples of different widths.
    #[error("sample {index} has {got} features, expected {expected}")]
    Width {
        /// Which sample, from 0.
        index: usize,
        /// What the first sample has.
        expected: usize,
        /// What it has.
        got: usize,
    },
    /// A label beyond the classes.
    #[error("sample {index} has label {label}, expected less than {classes}")]
    Label {
        /// Which sample, from 0.
        index: usize,
        /// Its label.
        label: u8,
        /// Number of classes.
        classes: u32,
    },
}

/// Why bytes are not weights of this network.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// Not safetensors.
    #[error("malformed safetensors")]
    Safetensors(#[from] safetensors::SafeTensorError),
    /// A tensor of another type or shape.
    #[error("tensor `{0}` has not the expected type or shape")]
    Tensor(&'static str),
}

/// How training goes.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Epochs done.
    pub epoch: u32,
    /// Epochs in all.
    pub epochs: u32,
    /// Mean cross-entropy of the epoch, in nats.
    pub loss: f32,
}

/// A trained network. Shapes: `w1` is `[hidden, inputs]`, `w2` is `[classes, hidden]`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Mlp {
    inputs: usize,
    hidden: usize,
    classes: usize,
    feature_max: f32,
    /// `w1`, `b1`, `w2`, `b2` in one vector, so that one loop updates all.
    weights: Vec<f32>,
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [-1, 1), on a grid of 2^-23.
    #[expect(clippy::cast_precision_loss, reason = "24 bits are exact in f32")]
    fn signed_unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 8_388_608.0 - 1.0
    }

    fn shuffle(&mut self, order: &mut [usize]) {
        for i in (1..order.len()).rev() {
            // The bias of a 64-bit remainder is below 2^-40 for any sample count in memory.
            let j = usize::try_from(self.next() % (i as u64 + 1)).unwrap_or(i);
            order.swap(i, j);
        }
    }
}

/// Values kept between forward and backward pass.
struct Scratch {
    input: Vec<f32>,
    hidden: Vec<f32>,
    output: Vec<f32>,
    hidden_gradient: Vec<f32>,
}

impl Mlp {
    /// Trains on samples in the given order (shuffled by the seed).
    pub fn train(
        config: &MlpConfig,
        samples: &[Sample],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, TrainError> {
        check(config, samples)?;
        let inputs = samples.first().map_or(0, |sample| sample.features.len());
        let mut random = SplitMix64(config.seed);
        let mut mlp = Self::initial(config, inputs, &mut random)?;
        let mut velocity = vec![0.0f32; mlp.weights.len()];
        let mut gradient = vec![0.0f32; mlp.weights.len()];
        let mut scratch = mlp.scratch();
        let mut order: Vec<usize> = (0..samples.len()).collect();
        for epoch in 0..config.epochs {
            random.shuffle(&mut order);
            let rate = learning_rate(config, epoch);
            let mut loss = 0.0f32;
            for batch in order.chunks(config.batch as usize) {
                gradient.fill(0.0);
                for sample in batch.iter().filter_map(|index| samples.get(*index)) {
                    loss += mlp.accumulate(sample, &mut scratch, &mut gradient);
                }
                mlp.step(config, rate, batch.len(), &gradient, &mut velocity);
            }
            #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
            let loss = loss / samples.len() as f32;
            progress(Progress { epoch: epoch + 1, epochs: config.epochs, loss });
        }
        Ok(mlp)
    }

    /// He initialisation: uniform in ±sqrt(6 / inputs).
    #[expect(clippy::cast_precision_loss, reason = "layer widths are small")]
    fn initial(
        config: &MlpConfig,
        inputs: usize,
        random: &mut SplitMix64,
    ) -> Result<Self, TrainError> {
        let (hidden, classes) = (config.hidden as usize, config.classes as usize);
        let count = hidden
            .checked_mul(inputs + 1)
            .and_then(|first| first.checked_add(classes.checked_mul(hidden + 1)?))
            .filter(|count| *count <= MAX_WEIGHTS)
            .ok_or(TrainError::Config("hidden"))?;
        let mut weights = vec![0.0; count];
        let feature_max = config.feature_max as f32;
        let mut mlp = Self { inputs, hidden, classes, feature_max, weights: vec![] };
        let (first, second) = (libm::sqrtf(6.0 / inputs as f32), libm::sqrtf(6.0 / hidden as f32));
        let (w2_from, w2_to) = (hidden * (inputs + 1), hidden * (inputs + 1) + classes * hidden);
        for weight in &mut weights[..hidden * inputs] {
            *weight = random.signed_unit() * first;
        }
        for weight in &mut weights[w2_from..w2_to] {
            *weight = random.signed_unit() * second;
        }
        mlp.weights = weights;
        Ok(mlp)
    }

    fn scratch(&self) -> Scratch {
        Scratch {
            input: vec![0.0; self.inputs],
            hidden: vec![0.0; self.hidden],
            output: vec![0.0; self.classes],
            hidden_gradient: vec![0.0; self.hidden],
        }
    }

    /// `w1`, `b1`, `w2`, `b2`.
    fn layers<'a>(&self, all: &'a [f32]) -> [&'a [f32]; 4] {
        let (w1, rest) = all.split_at(self.hidden * self.inputs);
        let (b1, rest) = rest.split_at(self.hidden);
        let (w2, b2) = rest.split_at(self.classes * self.hidden);
        [w1, b1, w2, b2]
    }

    /// Fills `scratch.output` with the classes' probabilities.
    fn forward(&self, features: &[u8], scratch: &mut Scratch) {
        let [w1, b1, w2, b2] = self.layers(&self.weights);
        for (value, feature) in scratch.input.iter_mut().zip(features) {
            *value = f32::from(*feature) / self.feature_max;
        }
        for ((unit, row), bias) in scratch.hidden.iter_mut().zip(w1.chunks(self.inputs)).zip(b1) {
            *unit = dot(row, &scratch.input, *bias).max(0.0);
        }
        for ((unit, row), bias) in scratch.output.iter_mut().zip(w2.chunks(self.hidden)).zip(b2) {
            *unit = dot(row, &scratch.hidden, *bias);
        }
        let largest = scratch.output.iter().copied().fold(f32::MIN, f32::max);
        let mut sum = 0.0;
        for unit in &mut scratch.output {
            *unit = libm::expf(*unit - largest);
            sum += *unit;
        }
        for unit in &mut scratch.output {
            *unit /= sum;
        }
    }

    /// Adds the sample's gradient and returns its loss.
    fn accumulate(&self, sample: &Sample, scratch: &mut Scratch, gradient: &mut [f32]) -> f32 {
        self.forward(&sample.features, scratch);
        let label = usize::from(sample.label);
        let loss = -libm::logf(scratch.output[label].max(1e-30));
        scratch.output[label] -= 1.0;
        let [_, _, w2, _] = self.layers(&self.weights);
        let (first, second) = gradient.split_at_mut(self.hidden * (self.inputs + 1));
        let (g_w2, g_b2) = second.split_at_mut(self.classes * self.hidden);
        scratch.hidden_gradient.fill(0.0);
        for (class, delta) in scratch.output.iter().enumerate() {
            g_b2[class] += delta;
            let row = class * self.hidden..(class + 1) * self.hidden;
            add_scaled(&mut g_w2[row.clone()], &scratch.hidden, *delta);
            add_scaled(&mut scratch.hidden_gradient, &w2[row], *delta);
        }
        let (g_w1, g_b1) = first.split_at_mut(self.hidden * self.inputs);
        for (unit, delta) in scratch.hidden_gradient.iter().enumerate() {
            if scratch.hidden[unit] > 0.0 {
                g_b1[unit] += delta;
                let row = unit * self.inputs..(unit + 1) * self.inputs;
                add_scaled(&mut g_w1[row], &scratch.input, *delta);
            }
        }
        loss
    }

    #[expect(clippy::cast_precision_loss, reason = "batches are small")]
    fn step(
        &mut self,
        config: &MlpConfig,
        rate: f32,
        batch: usize,
        gradient: &[f32],
        velocity: &mut [f32],
    ) {
        let (momentum, decay) =
            (millionths(config.momentum_ppm), millionths(config.weight_decay_ppm));
        let scale = 1.0 / batch as f32;
        for ((weight, gradient), velocity) in self.weights.iter_mut().zip(gradient).zip(velocity) {
            *velocity = *velocity * momentum - rate * (gradient * scale + decay * *weight);
            *weight += *velocity;
        }
    }

    /// The most probable class of each sample's features, or `None` where the width differs.
    pub fn predict(&self, features: &[u8]) -> Option<u8> {
        if features.len() != self.inputs {
            return None;
        }
        let mut scratch = self.scratch();
        self.forward(features, &mut scratch);
        let best = |best: usize, class: usize| {
            if scratch.output[class] > scratch.output[best] { class } else { best }
        };
        u8::try_from((0..self.classes).fold(0, best)).ok()
    }

    /// How many samples are classified as labelled.
    pub fn correct(&self, samples: &[Sample]) -> usize {
        let right = |sample: &&Sample| self.predict(&sample.features) == Some(sample.label);
        samples.iter().filter(right).count()
    }

    /// The weights as safetensors: `fc1.weight`, `fc1.bias`, `fc2.weight`, `fc2.bias`, F32.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, WeightsError> {
        let bytes = self
            .layers(&self.weights)
            .map(|layer| layer.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
        let views = NAMES
            .iter()
            .zip(self.shapes())
            .zip(&bytes)
            .map(|((name, shape), bytes)| Ok((*name, TensorView::new(Dtype::F32, shape, bytes)?)))
            .collect::<Result<BTreeMap<_, _>, WeightsError>>()?;
        Ok(safetensors::serialize(views, None)?)
    }

    /// Reads what [`Mlp::to_safetensors`] wrote. `feature_max` comes from the configuration.
    #[expect(clippy::cast_precision_loss, reason = "feature ranges are small")]
    pub fn from_safetensors(bytes: &[u8], feature_max: u32) -> Result<Self, WeightsError> {
        let tensors = SafeTensors::deserialize(bytes)?;
        let shape = |name| {
            let tensor = tensors.tensor(name)?;
            match tensor.shape() {
                [rows, columns] if *rows > 0 && *columns > 0 => Ok((*rows, *columns)),
                _ => Err(WeightsError::Tensor(name)),
            }
        };
        let ((hidden, inputs), (classes, _)) = (shape(NAMES[0])?, shape(NAMES[2])?);
        let feature_max = feature_max as f32;
        let mut mlp = Self { inputs, hidden, classes, feature_max, weights: vec![] };
        for (name, shape) in NAMES.iter().zip(mlp.shapes()) {
            let tensor = tensors.tensor(name)?;
            if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
                return Err(WeightsError::Tensor(name));
            }
            let words = tensor.data().chunks_exact(4);
            mlp.weights.extend(words.map(|word| {
                f32::from_le_bytes(std::array::from_fn(|i| word.get(i).copied().unwrap_or(0)))
            }));
        }
        Ok(mlp)
    }

    fn shapes(&self) -> [Vec<usize>; 4] {
        [
            vec![self.hidden, self.inputs],
            vec![self.hidden],
            vec![self.classes, self.hidden],
            vec![self.classes],
        ]
    }
}

const NAMES: [&str; 4] = ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"];

fn check(config: &MlpConfig, samples: &[Sample]) -> Result<(), TrainError> {
    if config.builder != BUILDER {
        return Err(TrainError::Builder(config.builder.clone()));
    }
    for (name, value) in [
        ("hidden", config.hidden),
        ("classes", config.classes),
        ("featureMax", config.feature_max),
        ("epochs", config.epochs),
        ("batch", config.batch),
    ] {
        if value == 0 {
            return Err(TrainError::Config(name));
        }
    }
    if config.classes > 256 {
        return Err(TrainError::Config("classes"));
    }
    let expected = samples.first().ok_or(TrainError::NoSamples)?.features.len();
    for (index, sample) in samples.iter().enumerate() {
        let (got, label, classes) = (sample.features.len(), sample.label, config.classes);
        if got != expected {
            return Err(TrainError::Width { index, expected, got });
        }
        if u32::from(label) >= classes {
            return Err(TrainError::Label { index, label, classes });
        }
    }
    Ok(())
}

/// Falls linearly from the configured rate to a tenth of it.
#[expect(clippy::cast_precision_loss, reason = "epoch counts are small")]
fn learning_rate(config: &MlpConfig, epoch: u32) -> f32 {
    let done = epoch as f32 / config.epochs as f32;
    millionths(config.learning_rate_ppm) * (1.0 - 0.9 * done)
}

#[expect(clippy::cast_precision_loss, reason = "rates need no more than 24 bits")]
fn millionths(ppm: u32) -> f32 {
    ppm as f32 / 1_000_000.0
}

fn dot(a: &[f32], b: &[f32], start: f32) -> f32 {
    a.iter().zip(b).fold(start, |sum, (a, b)| sum + a * b)
}

fn add_scaled(target: &mut [f32], source: &[f32], factor: f32) {
    for (target, source) in target.iter_mut().zip(source) {
        *target += source * factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Sample> {
        // Three classes told apart by where the light is.
        (0..90u8)
            .map(|n| {
                let label = n % 3;
                let at = |i: u8| if i / 4 == label { 8 + (n % 8 * 7 + i) % 9 } else { (n + i) % 4 };
                Sample { features: (0..12).map(at).collect(), label }
            })
            .collect()
    }

    fn config() -> MlpConfig {
        MlpConfig { hidden: 8, classes: 3, epochs: 30, ..MlpConfig::default() }
    }

    #[test]
    fn learns_and_is_deterministic_by_seed() {
        let samples = samples();
        let mut losses = vec![];
        let mlp = Mlp::train(&config(), &samples, &mut |p| losses.push(p.loss)).unwrap();
        assert_eq!(mlp.correct(&samples), samples.len());
        assert!(losses.last() < losses.first());
        let again = Mlp::train(&config(), &samples, &mut |_| {}).unwrap();
        assert_eq!(mlp.to_safetensors().unwrap(), again.to_safetensors().unwrap());
        let other = MlpConfig { seed: 2, ..config() };
        assert_ne!(mlp, Mlp::train(&other, &samples, &mut |_| {}).unwrap());
    }

    #[test]
    fn weights_round_trip_through_safetensors() {
        let mlp = Mlp::train(&config(), &samples(), &mut |_| {}).unwrap();
        let bytes = mlp.to_safetensors().unwrap();
        assert_eq!(Mlp::from_safetensors(&bytes, 16).unwrap(), mlp);
        assert!(Mlp::from_safetensors(&bytes[..bytes.len() - 1], 16).is_err());
    }

    #[test]
    fn bad_samples_and_configurations_are_named() {
        let train = |config: &MlpConfig, samples: &[Sample]| {
            Mlp::train(config, samples, &mut |_| {}).unwrap_err()
        };
        assert_eq!(train(&config(), &[]), TrainError::NoSamples);
        let mut bad = samples();
        bad[4].label = 3;
        assert_eq!(train(&config(), &bad), TrainError::Label { index: 4, label: 3, classes: 3 });
        bad[2].features.pop();
        assert_eq!(train(&config(), &bad), TrainError::Width { index: 2, expected: 12, got: 11 });
        let zero = MlpConfig { batch: 0, ..config() };
        assert_eq!(train(&zero, &samples()), TrainError::Config("batch"));
        let huge = MlpConfig { hidden: u32::MAX, ..config() };
        assert_eq!(train(&huge, &samples()), TrainError::Config("hidden"));
        for line in ["", "1", "1,256", "a,1", "1,,2"] {
            assert!(Sample::parse(line).is_err(), "{line}");
        }
    }
}
