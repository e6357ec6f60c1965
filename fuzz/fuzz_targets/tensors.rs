//! Any bytes are a model file or are refused.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use probity_compute::{Format, ListedTensor, compare, tensors};

fuzz_target!(|bytes: &[u8]| {
    for (format, file) in [(Format::Safetensors, "a.safetensors"), (Format::Onnx, "a.onnx")] {
        let Ok(found) = tensors(format, &mut Cursor::new(bytes), &mut |_| Ok(Some(Cursor::new(bytes)))) else { continue };
        let listed = |tensor| ListedTensor { file: file.to_owned(), tensor };
        let listed: Vec<ListedTensor> = found.into_iter().map(listed).collect();
        assert!(compare(&listed, &listed).changed.is_empty());
    }
});
