//! Any bytes are a dataset's folder or are refused: the description, the Parquet table and the
//! manifest, alone and together.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probity_provenance::{
    croissant::Description,
    folder::{Folder, check},
};

fuzz_target!(|parts: (Vec<u8>, Vec<u8>, Vec<u8>)| {
    let (description, table, manifest) = parts;
    if let Ok(read) = Description::decode(&description) {
        assert_eq!(read.to_json().expect("what was read is written again"), description);
    }
    check(&Folder { description, table: table.into(), manifest });
});
