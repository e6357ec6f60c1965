//! ONNX: the initialisers of a model's main graph (onnx.proto, IR version 10). The graph itself is not
//! read; proofs of inference do that.

use std::io::{Read, Seek, SeekFrom};

use bytes::Bytes;
use probity_core::{Digest, digest::Hasher};
use prost::Message;

use super::{Beside, Tensor, TensorError};

/// Largest file: protobuf's limit.
pub(super) const MAX_FILE: u64 = 2 << 30;
/// Read at once of another file.
const BUFFER_BYTES: usize = 256 << 10;
/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(float, repeated, tag = "4")]
    float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    int32_data: Vec<i32>,
    #[prost(bytes = "bytes", repeated, tag = "6")]
    string_data: Vec<Bytes>,
    #[prost(int64, repeated, tag = "7")]
    int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "bytes", tag = "9")]
    raw_data: Bytes,
    #[prost(double, repeated, tag = "10")]
    double_data: Vec<f64>,
    #[prost(uint64, repeated, tag = "11")]
    uint64_data: Vec<u64>,
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<Entry>,
    #[prost(int32, tag = "14")]
    data_location: i32,
}

/// `StringStringEntryProto`.
#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

pub(super) fn read<R: Read + Seek>(
    file: &mut R,
    beside: Beside<'_, R>,
) -> Result<Vec<Tensor>, TensorError> {
    let size = file.seek(SeekFrom::End(0))?;
    if size > MAX_FILE {
        return Err(TensorError::TooLarge(size));
    }
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    // Tensors stay parts of these bytes; they are not copied.
    let model = Model::decode(Bytes::from(bytes))?;
    let tensors = model.graph.map(|graph| graph.initializer).unwrap_or_default();
    tensors.iter().map(|proto| tensor(proto, beside)).collect()
}

fn tensor<R: Read + Seek>(
    proto: &TensorProto,
    beside: Beside<'_, R>,
) -> Result<Tensor, TensorError> {
    let name = proto.name.clone();
    let wrong = || TensorError::Tensor(name.clone());
    let sizes = proto.dims.iter().map(|size| u64::try_from(*size));
    let shape: Vec<u64> = sizes.collect::<Result<_, _>>().map_err(|_| wrong())?;
    let count = shape.iter().try_fold(1u64, |count, size| count.checked_mul(*size));
    let count = count.ok_or_else(wrong)?;
    let (dtype, bits) = element(proto.data_type).ok_or_else(wrong)?;
    let sha256 = if dtype == "STRING" {
        // Strings cannot be in other files.
        strings(proto, count).ok_or_else(wrong)?
    } else {
        let expected = count.checked_mul(bits).ok_or_else(wrong)?.div_ceil(8);
        if proto.data_location == EXTERNAL {
            external(proto, expected, beside)?
        } else {
            let bytes = elements(proto);
            if bytes.len() as u64 != expected {
                return Err(wrong());
            }
            Digest::of(&bytes)
        }
    };
    Ok(Tensor { name, dtype: dtype.to_owned(), shape, sha256 })
}

/// The digest of elements that are in another file: `location`, and from `offset` on `length` bytes
/// (onnx/docs/ExternalData.md).
fn external<R: Read + Seek>(
    proto: &TensorProto,
    expected: u64,
    beside: Beside<'_, R>,
) -> Result<Digest, TensorError> {
    let wrong = || TensorError::Tensor(proto.name.clone());
    let of = |key: &str| {
        let mut entries = proto.external_data.iter();
        entries.find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    };
    let number = |key: &str| of(key).map(str::parse::<u64>).transpose().map_err(|_| wrong());
    let location = of("location").ok_or_else(wrong)?;
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    if length.is_some_and(|length| length != expected) {
        return Err(wrong());
    }
    let missing =
        || TensorError::External { tensor: proto.name.clone(), file: location.to_owned() };
    let mut file = beside(location)?.ok_or_else(missing)?;
    file.seek(SeekFrom::Start(offset))?;
    let (mut hasher, mut left) = (Hasher::default(), expected);
    let mut buffer = vec![0; BUFFER_BYTES];
    while left > 0 {
        let most = usize::try_from(left).map_or(BUFFER_BYTES, |left| left.min(BUFFER_BYTES));
        let part = buffer.get_mut(..most).unwrap_or_default();
        let count = file.read(part)?;
        if count == 0 {
            return Err(missing());
        }
        hasher.update(part.get(..count).unwrap_or_default());
        left = left.saturating_sub(count as u64);
    }
    Ok(hasher.finish())
}

/// An element type's name and bits (`TensorProto.DataType`).
fn element(data_type: i32) -> Option<(&'static str, u64)> {
    Some(match data_type {
        1 => ("F32", 32),
        2 => ("U8", 8),
        3 => ("I8", 8),
        4 => ("U16", 16),
        5 => ("I16", 16),
        6 => ("I32", 32),
        7 => ("I64", 64),
        8 => ("STRING", 0),
        9 => ("BOOL", 8),
        10 => ("F16", 16),
        11 => ("F64", 64),
        12 => ("U32", 32),
        13 => ("U64", 64),
        14 => ("C64", 64),
        15 => ("C128", 128),
        16 => ("BF16", 16),
        17 => ("F8_E4M3", 8),
        18 => ("F8_E4M3FNUZ", 8),
        19 => ("F8_E5M2", 8),
        20 => ("F8_E5M2FNUZ", 8),
        21 => ("U4", 4),
        22 => ("I4", 4),
        23 => ("F4", 4),
        _ => return None,
    })
}

/// The elements as little-endian bytes, wherever they are kept.
fn elements(proto: &TensorProto) -> Bytes {
    if !proto.raw_data.is_empty() {
        return proto.raw_data.clone();
    }
    let mut bytes: Vec<u8> = Vec::new();
    bytes.extend(proto.float_data.iter().flat_map(|value| value.to_le_bytes()));
    bytes.extend(proto.double_data.iter().flat_map(|value| value.to_le_bytes()));
    bytes.extend(proto.int64_data.iter().flat_map(|value| value.to_le_bytes()));
    for value in &proto.uint64_data {
        // 32-bit integers without sign are kept in fields of 64.
        let width = if proto.data_type == 12 { 4 } else { 8 };
        bytes.extend(value.to_le_bytes().into_iter().take(width));
    }
    let width = match element(proto.data_type) {
        Some((_, 16)) => 2,
        Some((_, 32)) => 4,
        _ => 1,
    };
    for value in &proto.int32_data {
        bytes.extend(value.to_le_bytes().into_iter().take(width));
    }
    bytes.into()
}

/// Strings, each with its length.
fn strings(proto: &TensorProto, count: u64) -> Option<Digest> {
    if proto.string_data.len() as u64 != count {
        return None;
    }
    let mut hasher = Hasher::default();
    for text in &proto.string_data {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Reads a tensor of a model that has a file `w.bin` beside it.
    fn read_one(proto: TensorProto) -> Result<Tensor, TensorError> {
        let model = Model { graph: Some(Graph { initializer: vec![proto] }) };
        let other = [[0; 4], 1.5f32.to_le_bytes(), (-2.0f32).to_le_bytes()].concat();
        let mut beside = |name: &str| Ok((name == "w.bin").then(|| Cursor::new(other.clone())));
        let mut tensors = read(&mut Cursor::new(model.encode_to_vec()), &mut beside)?;
        Ok(tensors.remove(0))
    }

    fn proto(data_type: i32, dims: &[i64]) -> TensorProto {
        TensorProto { name: "w".into(), data_type, dims: dims.to_vec(), ..Default::default() }
    }

    /// The same elements, raw and in the field of their type, are the same tensor.
    #[test]
    fn raw_and_typed_elements_are_the_same() {
        let raw = |data_type, dims: &[i64], bytes: &[u8]| {
            let raw_data = Bytes::copy_from_slice(bytes);
            read_one(TensorProto { raw_data, ..proto(data_type, dims) }).unwrap()
        };
        let floats = TensorProto { float_data: vec![1.5, -2.0], ..proto(1, &[2, 1]) };
        let bytes = [1.5f32.to_le_bytes(), (-2.0f32).to_le_bytes()].concat();
        let tensor = read_one(floats).unwrap();
        assert_eq!(tensor, raw(1, &[2, 1], &bytes));
        assert_eq!((tensor.dtype.as_str(), tensor.shape.as_slice()), ("F32", [2, 1].as_slice()));
        let halves = TensorProto { int32_data: vec![0x3c00], ..proto(10, &[1]) };
        assert_eq!(read_one(halves).unwrap(), raw(10, &[1], &[0, 0x3c]));
        let bytes = TensorProto { int32_data: vec![-1, 2], ..proto(3, &[2]) };
        assert_eq!(read_one(bytes).unwrap(), raw(3, &[2], &[0xff, 2]));
        let words = TensorProto { uint64_data: vec![7], ..proto(12, &[]) };
        assert_eq!(read_one(words).unwrap(), raw(12, &[], &[7, 0, 0, 0]));
        let nibbles = TensorProto { int32_data: vec![0x21, 0x03], ..proto(21, &[3]) };
        assert_eq!(read_one(nibbles).unwrap(), raw(21, &[3], &[0x21, 0x03]));
    }

    #[test]
    fn strings_do_not_run_together() {
        let read = |texts: &[&'static str]| {
            let string_data =
                texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect();
            read_one(TensorProto { string_data, ..proto(8, &[2]) }).unwrap()
        };
        assert_ne!(read(&["ab", "c"]).sha256, read(&["a", "bc"]).sha256);
    }

    #[test]
    fn tensors_without_their_elements_are_refused() {
        let refused = |proto| matches!(read_one(proto), Err(TensorError::Tensor(_)));
        assert!(refused(TensorProto { float_data: vec![1.0], ..proto(1, &[2]) }));
        assert!(refused(TensorProto { raw_data: Bytes::from_static(b"x"), ..proto(1, &[1]) }));
        assert!(refused(proto(1, &[-1])));
        assert!(refused(proto(1, &[i64::MAX, i64::MAX])));
        assert!(refused(proto(99, &[0])));
    }

    #[test]
    fn elements_in_another_file_are_read_there() {
        let elsewhere = |entries: &[(&str, &str)], count: i64| {
            let entry = |(key, value): &(&str, &str)| Entry {
                key: (*key).to_owned(),
                value: (*value).to_owned(),
            };
            let external_data = entries.iter().map(entry).collect();
            let proto = proto(1, &[count]);
            read_one(TensorProto { data_location: EXTERNAL, external_data, ..proto })
        };
        let inside = TensorProto { float_data: vec![1.5, -2.0], ..proto(1, &[2]) };
        let inside = read_one(inside).unwrap();
        let place = [("location", "w.bin"), ("offset", "4"), ("length", "8")];
        assert_eq!(elsewhere(&place, 2).unwrap(), inside);
        assert_eq!(elsewhere(&place[..2], 2).unwrap(), inside, "a length need not be given");
        assert_ne!(elsewhere(&place[..1], 2).unwrap(), inside);
        let missing = |result| matches!(result, Err(TensorError::External { .. }));
        assert!(missing(elsewhere(&place[..2], 3)), "beyond the end");
        assert!(missing(elsewhere(&[("location", "x.bin")], 1)));
        assert!(missing(elsewhere(&[("location", "w.bin"), ("offset", "99")], 1)));
        let wrong = |result| matches!(result, Err(TensorError::Tensor(_)));
        assert!(wrong(elsewhere(&[], 1)));
        assert!(wrong(elsewhere(&place, 1)), "another length than its shape's");
        assert!(wrong(elsewhere(&[("location", "w.bin"), ("offset", "-1")], 1)));
    }
}
