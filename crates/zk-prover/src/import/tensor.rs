//! Constant tensors.

use super::{ImportError, proto::TensorProto};

pub(super) const FLOAT: i32 = 1;
const UINT8: i32 = 2;
const INT8: i32 = 3;
pub(super) const INT32: i32 = 6;
pub(super) const INT64: i32 = 7;
const BOOL: i32 = 9;
pub(super) const DOUBLE: i32 = 11;
const EXTERNAL: i32 = 1;

/// A tensor whose values are in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Constant {
    Floats {
        shape: Vec<usize>,
        values: Vec<f32>,
    },
    /// `least` is the least of their type.
    Integers {
        shape: Vec<usize>,
        values: Vec<i64>,
        least: i64,
    },
}

impl Constant {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Floats { values, .. } => values.len(),
            Self::Integers { values, .. } => values.len(),
        }
    }

    pub(super) fn shape(&self) -> &[usize] {
        let (Self::Floats { shape, .. } | Self::Integers { shape, .. }) = self;
        shape
    }

    pub(super) fn is_finite(&self) -> bool {
        match self {
            Self::Floats { values, .. } => values.iter().all(|value| value.is_finite()),
            Self::Integers { .. } => true,
        }
    }
}

/// Reads a tensor of floats or integers.
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
    // What has no values has no other dimensions either.
    if count == 0 && shape.len() > 1 {
        return Err(wrong());
    }
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
            let values = stored.chain(tensor.int64_data.clone()).collect();
            Constant::Integers { shape, values, least: i64::MIN }
        }
        INT8 | UINT8 | INT32 | BOOL => {
            let words = raw.as_chunks::<4>().0.iter().map(|word| i32::from_le_bytes(*word));
            let stored: Vec<i64> = match tensor.data_type {
                INT32 => words.map(i64::from).collect(),
                INT8 => raw.iter().map(|byte| i64::from(byte.cast_signed())).collect(),
                _ => raw.iter().copied().map(i64::from).collect(),
            };
            // Small integers may also be listed, a word each.
            let listed = tensor.int32_data.iter().copied().map(i64::from);
            let values: Vec<i64> = stored.into_iter().chain(listed).collect();
            let range = match tensor.data_type {
                INT8 => -128..=127,
                BOOL => 0..=1,
                UINT8 => 0..=255,
                _ => i64::from(i32::MIN)..=i64::from(i32::MAX),
            };
            if values.iter().any(|value| !range.contains(value)) {
                return Err(wrong());
            }
            Constant::Integers { shape, values, least: *range.start() }
        }
        _ => return Err(wrong()),
    };
    if constant.len() != count {
        return Err(wrong());
    }
    match &constant {
        // Masks have minus infinities; whatever else reads them refuses them.
        Constant::Floats { values, .. }
            if values.iter().any(|value| value.is_nan() || *value == f32::INFINITY) =>
        {
            Err(ImportError::NotFinite(tensor.name))
        }
        _ => Ok(constant),
    }
}
