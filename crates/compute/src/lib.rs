//! Training and inference backends, and the tensors of model files. The built-in one is a small multilayer perceptron on the CPU,
//! deterministic by seed: the same samples and configuration give the same bytes on every machine.

mod mlp;
mod outliers;
mod samples;
mod tensors;

pub use mlp::{BUILDER, Mlp, MlpConfig, Progress, TrainError, WeightsError};
pub use outliers::{Outlier, outliers};
pub use samples::{SAMPLE_MEDIA_TYPE, Sample, SampleError};
pub use tensors::{
    Beside, Change, Format, ListedTensor, Tensor, TensorDiff, TensorError, compare, tensors,
};
