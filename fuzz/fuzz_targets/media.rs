//! Any bytes are a media file with a manifest, or without, or are refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probity_provenance::media_type::MediaType;

fuzz_target!(|bytes: &[u8]| {
    if let Some(media_type) = MediaType::of(bytes) {
        probity_media::inspect(bytes, media_type, None);
        drop(probity_media::without_manifest(bytes, media_type));
    }
});
