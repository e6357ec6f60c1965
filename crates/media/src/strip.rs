//! Files without their manifests.

use std::{fs, io};

use c2pa::jumbf_io::remove_jumbf_from_file;
use probity_provenance::media_type::MediaType;

use crate::{MediaError, error::AnyError, read::guarded};

/// The file as it is without its embedded C2PA manifest: what the author's statement names.
///
/// # Errors
/// If it is not what it begins as, or there is no room for a temporary file.
pub fn without_manifest(bytes: &[u8], media_type: MediaType) -> Result<Vec<u8>, MediaError> {
    let stripped = match media_type {
        // The library leaves a hole of the manifest's size.
        MediaType::Webp | MediaType::Wav => {
            riff(bytes).ok_or_else(|| "its chunks do not add up to its size".into())
        }
        MediaType::Jpeg | MediaType::Png | MediaType::Gif => by_library(bytes, media_type),
    };
    stripped.map_err(MediaError::file::<AnyError>(media_type))
}

fn by_library(bytes: &[u8], media_type: MediaType) -> Result<Vec<u8>, AnyError> {
    // It removes manifests from named files only.
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("work").with_extension(media_type.extension());
    fs::write(&path, bytes)?;
    guarded(|| remove_jumbf_from_file(&path))
        .ok_or_else(|| io::Error::other("the reader of this format stopped"))??;
    Ok(fs::read(&path)?)
}

/// A RIFF file without its `C2PA` chunks (C2PA §A.3.5). `None` if its chunks do not fill it.
fn riff(bytes: &[u8]) -> Option<Vec<u8>> {
    let (head, mut rest) = bytes.split_at_checked(12)?;
    let size = usize::try_from(u32::from_le_bytes(head.get(4..8)?.try_into().ok()?)).ok()?;
    if !head.starts_with(b"RIFF") || size.checked_add(8)? != bytes.len() {
        return None;
    }
    let mut plain = head.to_vec();
    while !rest.is_empty() {
        let size = u32::from_le_bytes(rest.get(4..8)?.try_into().ok()?);
        // A chunk is padded to an even size.
        let end = usize::try_from(size).ok()?.checked_next_multiple_of(2)?.checked_add(8)?;
        let (chunk, after) = rest.split_at_checked(end)?;
        if !chunk.starts_with(b"C2PA") {
            plain.extend_from_slice(chunk);
        }
        rest = after;
    }
    let size = u32::try_from(plain.len().checked_sub(8)?).ok()?;
    plain.get_mut(4..8)?.copy_from_slice(&size.to_le_bytes());
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn riff_files_whose_chunks_do_not_fill_them_are_refused() {
        let good = b"RIFF\x16\0\0\0WAVEabcd\x01\0\0\0x\0C2PA\0\0\0\0".to_vec();
        let plain = riff(&good).unwrap();
        assert_eq!(plain, b"RIFF\x0e\0\0\0WAVEabcd\x01\0\0\0x\0");
        for end in 0..good.len() {
            assert_eq!(riff(&good[..end]), None, "cut at {end}");
        }
        let mut long = good.clone();
        long[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(riff(&long), None);
    }
}
