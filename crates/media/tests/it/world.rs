//! Works, their author and the terms.

use std::{fs, path::PathBuf};

use probity_core::{
    Digest, Label,
    dsse::Envelope,
    keys::{KeyType, SecretKey},
    licence::{LicenceTerms, Permission},
    money::Bps,
};
use probity_media::{Credentials, sign, without_manifest};
use probity_provenance::{
    content::{Batch, ContentPredicate, Payee},
    media_type::MediaType,
    sidecar::Inspection,
};

pub(crate) const ALL: [MediaType; 5] =
    [MediaType::Jpeg, MediaType::Png, MediaType::Gif, MediaType::Webp, MediaType::Wav];

pub(crate) fn work(media_type: MediaType) -> Vec<u8> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"));
    fs::read(folder.join("work").with_extension(media_type.extension())).unwrap()
}

pub(crate) fn terms(train: Permission) -> LicenceTerms {
    LicenceTerms { train, ..LicenceTerms::open("CC-BY-4.0").unwrap() }
}

/// The author's statement about the bytes as they are without a manifest.
pub(crate) fn statement(bytes: &[u8], media_type: MediaType, train: Permission) -> Envelope {
    let key = SecretKey::generate(KeyType::Secp256k1).unwrap();
    let author = key.address().unwrap();
    let predicate = ContentPredicate {
        author,
        licence: terms(train),
        media_type: media_type.name().to_owned(),
        payees: vec![Payee { account: author, bps: Bps::WHOLE }],
        time: 1,
    };
    let digest = Digest::of(&without_manifest(bytes, media_type).unwrap());
    Batch::sign(&predicate, vec![("work".to_owned(), digest)], &key).unwrap().1
}

pub(crate) fn signed(media_type: MediaType, train: Permission, by: &Credentials) -> Vec<u8> {
    let bytes = work(media_type);
    let statement = statement(&bytes, media_type, train);
    sign(&bytes, media_type, "work", &terms(train), &statement, by).unwrap()
}

pub(crate) fn label(inspection: &Inspection, name: &str) -> Option<Label> {
    inspection.claims.iter().find(|claim| claim.name == name).map(|claim| claim.label)
}

pub(crate) fn codes(inspection: &Inspection) -> Vec<&str> {
    inspection.findings.iter().map(|finding| finding.code.as_str()).collect()
}

/// Where the picture or sound of the fixture is in a file made of it.
pub(crate) fn inside(file: &[u8], media_type: MediaType) -> usize {
    let original = work(media_type);
    let wanted = &original[original.len() - 24..original.len() - 16];
    file.windows(wanted.len()).position(|window| window == wanted).unwrap()
}
