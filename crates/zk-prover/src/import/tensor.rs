//! Constant tensors.

use super::{ImportError, proto::TensorProto};

const FLOAT: i32 = 1;
const INT64: i32 = 7;
const DOUBLE: i32 = 11;
const EXTERNAL: i32 = 1;

/// A tensor whose values are in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Constant {
    Floats { shape: Vec<usize>, values: Vec<f32> },
    Integers(Vec<i64>),
}

impl Constant {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Floats { values, .. } => values.len(),
            Self::Integers(values) => values.len(),
        }
    }
}

/// Reads a tensor of floats or 64-bit integers.
pub(super) fn read(tensor: TensorProto) -> Result<Constant, ImportError> {
    let wrong = || ImportError::Tensor(tensor.name.clone());
    if tensor.data_location == EXTERNAL {
        return Err(ImportError::External(tensor.name));
    }
    let shape: Vec<usize> = tensor
        .dims
        .iter()
        .map(|d| usize::try_from(*d))
        .collect::<Result<_, _>>()
        .map_err(|_| wrong())?;
    let count =
        shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size)).ok_or_else(wrong)?;
    let raw = &tensor.raw_data;
    let constant = match tensor.data_type {
        FLOAT if raw.is_empty() => Constant::Floats { shape, values: tensor.float_data.clone() },
        FLOAT => {
            let (words, rest) = raw.as_chunks::<4>();
            let values = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
            if rest.is_empty() { Constant::Floats { shape, values } } else { return Err(wrong()) }
        }
        DOUBLE => {
            let (words, _) = raw.as_chunks::<8>();
            let stored = words
                .iter()
                .map(|word| f64::from_le_bytes(*word))
                .chain(tensor.double_data.clone());
            #[expect(clippy::cast_possible_truncation, reason = "weights are calibrated as f32")]
            let values = stored.map(|value| value as f32).collect();
            Constant::Floats { shape, values }
        }
        INT64 => {
            let (words, _) = raw.as_chunks::<8>();
            let stored = words.iter().map(|word| i64::from_le_bytes(*word));
            Constant::Integers(stored.chain(tensor.int64_data.clone()).collect())
        }
        _ => return Err(wrong()),
    };
    if constant.len() != count {
        return Err(wrong());
    }
    match &constant {
        Constant::Floats { values, .. } if values.iter().any(|value| !value.is_finite()) => {
            Err(ImportError::NotFinite(tensor.name))
        }
        _ => Ok(constant),
    }
}
