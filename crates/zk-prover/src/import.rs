//! Reading models: ONNX (opset 13 to 21) and the built-in trainer's safetensors.

mod constants;
mod elementwise;
mod functions;
mod gather;
mod images;
mod masks;
mod nodes;
mod proto;
mod quantised;
mod tensor;
#[cfg(test)]
mod tests;
mod tokens;
mod value;

use std::collections::HashMap;

use probity_zk::Shape;
use prost::Message;
use safetensors::{Dtype, SafeTensors};

use crate::{
    fuse::fuse,
    graph::{Graph, Kind, Node},
};
use nodes::Context;
use proto::{GraphProto, ModelProto, ValueInfo};

/// Operators that are read.
pub const SUPPORTED: &str = "Abs, Add, AveragePool, BatchNormalization, Celu, Clip, Concat, Constant, Conv, \
     DequantizeLinear, Div, Dropout, Elu, Erf, Exp, Flatten, Gather, Gelu, Gemm, GlobalAveragePool, \
     GlobalMaxPool, HardSigmoid, HardSwish, Identity, LayerNormalization, LeakyRelu, Log, LogSoftmax, \
     MatMul, Max, MaxPool, Min, Mish, Mul, Neg, PRelu, Pad, Pow, QLinearConv, QLinearMatMul, \
     QuantizeLinear, Reciprocal, ReduceMean, ReduceSum, Relu, Reshape, Selu, Shape, Sigmoid, Slice, Softmax, \
     Softplus, Softsign, Split, Sqrt, Squeeze, Sub, Sum, Tanh, Transpose, Unsqueeze, Where; and Cast, \
     ConstantOfShape of constants";
/// Most weights of a model.
const MAX_PARAMETERS: usize = 1 << 26;

/// Why a model cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Not ONNX's protobuf.
    #[error("malformed ONNX")]
    Protobuf(#[from] prost::DecodeError),
    /// Not safetensors.
    #[error("malformed safetensors")]
    Safetensors(#[from] safetensors::SafeTensorError),
    /// No graph, or not one input and one output.
    #[error("expected a graph with one input and one output")]
    Graph,
    /// An operator set that is not read.
    #[error("expected operator set 13 to 21, got `{0}`")]
    Opset(i64),
    /// An operator that is not read.
    #[error("node `{node}`: operator `{operator}` is not supported; supported are {SUPPORTED}")]
    Operator {
        /// Name of the node.
        node: String,
        /// Its operator.
        operator: String,
    },
    /// An attribute's value that is not read.
    #[error("node `{node}`: `{what}` is not supported")]
    Unsupported {
        /// Name of the node.
        node: String,
        /// What about it.
        what: String,
    },
    /// Shapes that do not fit.
    #[error("node `{node}`: shapes do not fit: {what}")]
    Shape {
        /// Name of the node.
        node: String,
        /// Which.
        what: String,
    },
    /// A value that no earlier node computes.
    #[error("node `{node}`: value `{value}` is not known before it")]
    Unknown {
        /// Name of the node.
        node: String,
        /// Name of the value.
        value: String,
    },
    /// A dimension without a fixed size, or a fixed batch of several.
    #[error("input `{0}` has a dimension without a fixed size, or a batch fixed to more than one")]
    Dynamic(String),
    /// A tensor stored in another file.
    #[error("tensor `{0}` is stored in another file: save the model as one file")]
    External(String),
    /// A tensor whose data do not fit its type and shape.
    #[error("tensor `{0}` has not the expected type, shape or length")]
    Tensor(String),
    /// A weight that is not a number or infinite.
    #[error("tensor `{0}` has a value that is not finite")]
    NotFinite(String),
    /// Too many weights.
    #[error("expected at most {MAX_PARAMETERS} weights")]
    Size,
}

impl Graph {
    /// Reads an ONNX model. Nothing but these bytes is looked at.
    pub fn from_onnx(bytes: &[u8]) -> Result<Self, ImportError> {
        let model = ModelProto::decode(bytes)?;
        for opset in &model.opset_import {
            let standard = opset.domain.is_empty() || opset.domain == "ai.onnx";
            if standard && !(13..=21).contains(&opset.version) {
                return Err(ImportError::Opset(opset.version));
            }
        }
        read(model.graph.ok_or(ImportError::Graph)?)
    }

    /// Reads a network of the built-in trainer. Features from 0 to `feature_max` are its input.
    pub fn from_mlp(bytes: &[u8], feature_max: u32) -> Result<Self, ImportError> {
        let tensors = SafeTensors::deserialize(bytes)?;
        let matrix = |name: &str| {
            let tensor = tensors.tensor(name)?;
            let wrong = || ImportError::Tensor(name.to_owned());
            if tensor.dtype() != Dtype::F32 {
                return Err(wrong());
            }
            let (words, _) = tensor.data().as_chunks::<4>();
            let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
            if values.iter().any(|value| !value.is_finite()) {
                return Err(ImportError::NotFinite(name.to_owned()));
            }
            let rows = tensor.shape().first().and_then(|rows| u32::try_from(*rows).ok());
            Ok((rows.filter(|rows| *rows > 0).ok_or_else(wrong)?, values))
        };
        let (hidden, mut first) = matrix("fc1.weight")?;
        let (classes, second) = matrix("fc2.weight")?;
        let (first_bias, second_bias) = (matrix("fc1.bias")?.1, matrix("fc2.bias")?.1);
        let inputs = first.len() / hidden as usize;
        let fits = first.len() == inputs * hidden as usize
            && Some(second.len()) == (hidden as usize).checked_mul(classes as usize)
            && [first_bias.len(), second_bias.len()] == [hidden as usize, classes as usize];
        if !fits || inputs == 0 {
            return Err(ImportError::Tensor("fc1.weight".to_owned()));
        }
        // The trainer divides features by their maximum; here the weights do.
        #[expect(clippy::cast_precision_loss, reason = "feature ranges are small")]
        for weight in &mut first {
            *weight /= feature_max.max(1) as f32;
        }
        let node = |name: &str, size, kind| Node { name: name.to_owned(), shape: vec![size], kind };
        let dense = |input, weights, bias| Kind::Dense { input, kept: 0, weights, bias };
        let nodes = vec![
            node("fc1", hidden, dense(0, first, first_bias)),
            node("relu", hidden, Kind::Relu { input: 1, limit: None }),
            node("fc2", classes, dense(2, second, second_bias)),
        ];
        Ok(Self { input: vec![u32::try_from(inputs).map_err(|_| ImportError::Size)?], nodes })
    }
}

fn read(mut graph: GraphProto) -> Result<Graph, ImportError> {
    let mut constants = HashMap::new();
    for initializer in std::mem::take(&mut graph.initializer) {
        let name = initializer.name.clone();
        constants.insert(name, tensor::read(initializer)?);
    }
    if constants.values().map(tensor::Constant::len).sum::<usize>() > MAX_PARAMETERS {
        return Err(ImportError::Size);
    }
    let inputs: Vec<_> = graph.input.iter().filter(|i| !constants.contains_key(&i.name)).collect();
    let ([input], [output]) = (inputs.as_slice(), graph.output.as_slice()) else {
        return Err(ImportError::Graph);
    };
    let shape = input_shape(input)?;
    if Shape::new(&shape).is_err() {
        return Err(ImportError::Dynamic(input.name.clone()));
    }
    let empty = Graph { input: shape, nodes: vec![] };
    let mut context = Context::new(empty, constants, &input.name, &graph);
    for node in &graph.node {
        context.node(node)?;
    }
    Ok(fuse(context.finish(&output.name)?))
}

/// The input's shape without its batch of one.
fn input_shape(input: &ValueInfo) -> Result<Vec<u32>, ImportError> {
    let shape = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()?.shape.as_ref());
    let dimensions = &shape.ok_or(ImportError::Graph)?.dim;
    let dynamic = || ImportError::Dynamic(input.name.clone());
    let (batch, rest) = dimensions.split_first().ok_or_else(dynamic)?;
    // A batch of any size is fine: batches are the prover's matter.
    if rest.is_empty() || (batch.dim_value != 1 && batch.dim_param.is_empty()) {
        return Err(dynamic());
    }
    rest.iter()
        .map(|d| u32::try_from(d.dim_value).ok().filter(|size| *size > 0).ok_or_else(dynamic))
        .collect()
}
