//! Tiles, entry bundles, notes, checkpoints and proofs of any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probity_core::{
    Digest,
    log::{
        Checkpoint, ConsistencyProof, InclusionProof, SignedNote, Tile, VerifierKey, decode_bundle,
    },
};

fuzz_target!(|input: (u8, u64, u16, &[u8])| {
    let (level, index, width, bytes) = input;
    if let Ok(tile) = Tile::new(level, index, width) {
        let _ = tile.decode(bytes);
    }
    let _ = decode_bundle(bytes, width);
    let _ = SignedNote::parse(bytes);
    let _ = Checkpoint::parse_unverified(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = text.parse::<VerifierKey>();
        let _ = text.parse::<Tile>();
    }
    let root = Digest::of(bytes);
    if let Ok(proof) = serde_json::from_slice::<InclusionProof>(bytes) {
        let _ = proof.verify(&root, &root);
    }
    if let Ok(proof) = serde_json::from_slice::<ConsistencyProof>(bytes) {
        let _ = proof.verify(&root, &root);
    }
});
