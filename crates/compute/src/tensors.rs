//! The tensors of model files, by name, type, shape and digest: what tells two models apart.

mod onnx;
mod safetensors;

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek},
};

use probity_core::Digest;
use serde::Serialize;

/// A tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tensor {
    /// Its name within its file.
    pub name: String,
    /// Element type as safetensors names it, for example `F32`.
    pub dtype: String,
    /// Sizes of its dimensions.
    pub shape: Vec<u64>,
    /// Digest of its elements, little-endian, row by row. Two files that store a tensor in different
    /// ways give it the same.
    pub sha256: Digest,
}

/// Formats whose tensors can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// safetensors.
    Safetensors,
    /// ONNX: the graph's initialisers.
    Onnx,
}

impl Format {
    /// The format of a file, by the end of its name.
    pub fn of(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "safetensors" => Some(Self::Safetensors),
            "onnx" => Some(Self::Onnx),
            _ => None,
        }
    }
}

/// Why a file's tensors cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum TensorError {
    /// It cannot be read.
    #[error("cannot read the file")]
    Read(#[from] io::Error),
    /// Its header is longer than any model's.
    #[error("a header of {0} bytes is over the limit of {limit}", limit = safetensors::MAX_HEADER)]
    Header(u64),
    /// Not safetensors.
    #[error("malformed safetensors")]
    Safetensors(#[from] serde_json::Error),
    /// Its length is not what its header says.
    #[error("expected {expected} bytes of tensors, got {got}")]
    Length {
        /// By the header.
        expected: u64,
        /// There.
        got: u64,
    },
    /// Not ONNX.
    #[error("malformed ONNX")]
    Onnx(#[from] prost::DecodeError),
    /// Larger than ONNX files are (protobuf's limit).
    #[error("an ONNX file of {0} bytes is over the limit of {limit}", limit = onnx::MAX_FILE)]
    TooLarge(u64),
    /// A tensor whose elements are in a file that the model does not have, or beyond its end.
    #[error("the elements of tensor `{tensor}` are not in `{file}`")]
    External {
        /// The tensor.
        tensor: String,
        /// Where they should be, relative to the model's file.
        file: String,
    },
    /// A tensor whose elements do not fit its type and shape.
    #[error("tensor `{0}` does not have the elements of its type and shape")]
    Tensor(String),
}

/// Opens a file by its path relative to a model's file; `None` where the model does not have it.
pub type Beside<'a, R> = &'a mut dyn FnMut(&str) -> io::Result<Option<R>>;

/// The tensors of a file, in order of their names. safetensors are read in bounded memory, and so are
/// the files `beside` that hold elements of an ONNX file's tensors.
pub fn tensors<R: Read + Seek>(
    format: Format,
    file: &mut R,
    beside: Beside<'_, R>,
) -> Result<Vec<Tensor>, TensorError> {
    let mut tensors = match format {
        Format::Safetensors => safetensors::read(file)?,
        Format::Onnx => onnx::read(file, beside)?,
    };
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
}

/// A tensor and the file it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedTensor {
    /// Path of the file within the model.
    pub file: String,
    /// The tensor.
    #[serde(flatten)]
    pub tensor: Tensor,
}

/// A tensor before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// In the first model.
    pub from: ListedTensor,
    /// In the second.
    pub to: ListedTensor,
}

/// How the tensors of two models differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TensorDiff {
    /// Only in the second.
    pub added: Vec<ListedTensor>,
    /// Only in the first.
    pub removed: Vec<ListedTensor>,
    /// In both, of another type, shape or content.
    pub changed: Vec<Change>,
    /// How many are the same in both.
    pub same: u64,
}

/// Compares two models tensor by tensor. A tensor that moved to another file of the same format is the
/// same tensor, unless its name is in several files.
///
/// ```
/// use probity_compute::{ListedTensor, Tensor, compare};
/// use probity_core::Digest;
///
/// let tensor = |file: &str, bytes: &[u8]| ListedTensor {
///     file: file.into(),
///     tensor: Tensor {
///         name: "w".into(), dtype: "U8".into(), shape: vec![1], sha256: Digest::of(bytes),
///     },
/// };
/// let old = [tensor("model.safetensors", b"a")];
/// assert_eq!(compare(&old, &[tensor("part-1.safetensors", b"a")]).same, 1);
/// assert_eq!(compare(&old, &[tensor("model.safetensors", b"b")]).changed.len(), 1);
/// ```
pub fn compare(first: &[ListedTensor], second: &[ListedTensor]) -> TensorDiff {
    let (old, mut new) = (by_key(first), by_key(second));
    let mut diff = TensorDiff::default();
    for (key, from) in old {
        match new.remove(&key) {
            None => diff.removed.push(from.clone()),
            Some(to) if to.tensor == from.tensor => diff.same += 1,
            Some(to) => diff.changed.push(Change { from: from.clone(), to: to.clone() }),
        }
    }
    diff.added = new.into_values().cloned().collect();
    diff
}

/// Tensors by format and name; those whose name is in several files by file and name.
fn by_key(tensors: &[ListedTensor]) -> BTreeMap<(Option<Format>, &str, &str), &ListedTensor> {
    let name = |listed: &'_ ListedTensor| (Format::of(&listed.file), listed.tensor.name.clone());
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for listed in tensors {
        *counts.entry(name(listed)).or_default() += 1;
    }
    let keyed = tensors.iter().map(|listed| {
        let is_unique = counts.get(&name(listed)) == Some(&1);
        let file = if is_unique { "" } else { listed.file.as_str() };
        ((Format::of(&listed.file), listed.tensor.name.as_str(), file), listed)
    });
    keyed.collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn listed(file: &str, name: &str, bytes: &[u8]) -> ListedTensor {
        let shape = vec![bytes.len() as u64];
        let sha256 = Digest::of(bytes);
        let tensor = Tensor { name: name.to_owned(), dtype: "U8".to_owned(), shape, sha256 };
        ListedTensor { file: file.to_owned(), tensor }
    }

    #[test]
    fn added_removed_changed_and_moved_tensors() {
        let old = [
            listed("a.safetensors", "gone", b"1"),
            listed("a.safetensors", "kept", b"2"),
            listed("a.safetensors", "grown", b"3"),
            listed("m.onnx", "kept", b"4"),
        ];
        let new = [
            listed("b.safetensors", "kept", b"2"),
            listed("b.safetensors", "grown", b"33"),
            listed("b.safetensors", "new", b"5"),
            listed("m.onnx", "kept", b"4"),
        ];
        let diff = compare(&old, &new);
        assert_eq!((diff.same, diff.changed.len()), (2, 1));
        assert_eq!(diff.changed[0].to.tensor.shape, [2]);
        assert_eq!((diff.added, diff.removed), (vec![new[2].clone()], vec![old[0].clone()]));
        // A name that is in two files counts by file.
        let twice = [listed("a.safetensors", "w", b"1"), listed("b.safetensors", "w", b"2")];
        let swapped = [listed("a.safetensors", "w", b"2"), listed("b.safetensors", "w", b"1")];
        assert_eq!(compare(&twice, &swapped).changed.len(), 2);
        assert_eq!(compare(&twice, &twice).same, 2);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for format in [Format::Safetensors, Format::Onnx] {
                drop(tensors(format, &mut Cursor::new(&bytes), &mut |_| Ok(None)));
            }
            // A header of a length that is there.
            if let Some(length) = bytes.len().checked_sub(8) {
                bytes[..8].copy_from_slice(&(length as u64).to_le_bytes());
                drop(tensors(Format::Safetensors, &mut Cursor::new(&bytes), &mut |_| Ok(None)));
            }
        }
    }
}
