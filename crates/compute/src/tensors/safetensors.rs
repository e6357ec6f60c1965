//! safetensors: a JSON header, then the tensors one after the other.

use std::io::{Read, Seek, SeekFrom};

use probity_core::digest::Hasher;
use safetensors::tensor::Metadata;

use super::{Tensor, TensorError};

/// Longest header read, in bytes: some half a million tensors.
pub(super) const MAX_HEADER: u64 = 64 << 20;
const BUFFER_BYTES: usize = 256 << 10;

pub(super) fn read<R: Read + Seek>(file: &mut R) -> Result<Vec<Tensor>, TensorError> {
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err(TensorError::Header(length));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header)?;
    let header: Metadata = serde_json::from_slice(&header)?;
    let (expected, got) = (header.data_len() as u64, size.saturating_sub(8 + length));
    if expected != got {
        return Err(TensorError::Length { expected, got });
    }
    // In the order of the file, without gaps: the header was checked for that.
    let mut tensors = Vec::new();
    for name in header.offset_keys() {
        let Some(info) = header.info(&name) else { continue };
        let (start, end) = info.data_offsets;
        let sha256 = hash(file, end.saturating_sub(start))?;
        let shape = info.shape.iter().map(|size| *size as u64).collect();
        tensors.push(Tensor { name, dtype: format!("{:?}", info.dtype), shape, sha256 });
    }
    Ok(tensors)
}

fn hash<R: Read>(file: &mut R, mut left: usize) -> Result<probity_core::Digest, TensorError> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; left.min(BUFFER_BYTES)];
    while left > 0 {
        let count = left.min(BUFFER_BYTES);
        let Some(piece) = buffer.get_mut(..count) else { break };
        file.read_exact(piece)?;
        hasher.update(piece);
        left -= count;
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use probity_core::Digest;
    use safetensors::{Dtype, serialize, tensor::TensorView};

    use super::*;

    fn file() -> Vec<u8> {
        let (a, b) = ([1, 2, 3, 4], [5, 6]);
        let views = [
            ("a", TensorView::new(Dtype::F16, vec![2, 1], &a).unwrap()),
            ("b", TensorView::new(Dtype::U8, vec![2], &b).unwrap()),
            ("empty", TensorView::new(Dtype::F32, vec![0], &[]).unwrap()),
        ];
        serialize(views, None).unwrap()
    }

    #[test]
    fn types_shapes_and_digests_are_those_of_the_library() {
        let mut tensors = read(&mut Cursor::new(file())).unwrap();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        let said: Vec<_> = tensors.iter().map(|t| (t.dtype.as_str(), t.shape.clone())).collect();
        assert_eq!(said, [("F16", vec![2, 1]), ("U8", vec![2]), ("F32", vec![0])]);
        assert_eq!(tensors[0].sha256, Digest::of(&[1, 2, 3, 4]));
        assert_eq!(tensors[1].sha256, Digest::of(&[5, 6]));
    }

    #[test]
    fn cut_and_lengthened_files_are_refused() {
        let good = file();
        for length in 0..good.len() {
            assert!(read(&mut Cursor::new(&good[..length])).is_err(), "{length}");
        }
        let long = [good.as_slice(), &[0]].concat();
        assert!(matches!(read(&mut Cursor::new(long)), Err(TensorError::Length { .. })));
        let huge = u64::MAX.to_le_bytes();
        assert!(matches!(read(&mut Cursor::new(huge)), Err(TensorError::Header(_))));
    }
}
