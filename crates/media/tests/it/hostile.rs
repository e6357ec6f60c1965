//! Tampering is seen, and any bytes are read without panic.

use std::{io::Cursor, sync::LazyLock};

use c2pa::{Builder, Context, EphemeralSigner, HashRange, Signer as _, assertions::DataHash};
use probity_core::{Label, licence::Permission};
use probity_media::{Credentials, inspect, sign, without_manifest};
use probity_provenance::{media_type::MediaType, sidecar::Inspection};
use proptest::prelude::*;
use serde_json::json;

use crate::world::{ALL, codes, inside, label, signed, statement, terms, work};

static SIGNED: LazyLock<Vec<(MediaType, Vec<u8>)>> = LazyLock::new(|| {
    let credentials = Credentials::development().unwrap();
    ALL.into_iter()
        .map(|media_type| (media_type, signed(media_type, Permission::Deny, &credentials)))
        .collect()
});

fn position(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|window| window == wanted).unwrap()
}

#[test]
fn a_changed_picture_is_seen() {
    for (media_type, file) in SIGNED.iter() {
        let mut bad = file.clone();
        bad[inside(file, *media_type)] ^= 1;
        let read = inspect(&bad, *media_type, None).inspection;
        assert!(!read.holds(), "{media_type}");
        assert_ne!(label(&read, "media.file"), Some(Label::Verified));
        for code in ["c2pa.assertion.dataHash.mismatch", "content.statement.other-work"] {
            assert!(codes(&read).contains(&code), "{media_type}: {read:?}");
        }
    }
}

#[test]
fn changed_assertions_and_signatures_are_seen() {
    let (media_type, file) = &SIGNED[1];
    for wanted in [&b"notAllowed"[..], b"work", b"payloadType"] {
        let at = position(file, wanted);
        let mut bad = file.clone();
        bad[at] ^= 1;
        let read = inspect(&bad, *media_type, None).inspection;
        assert!(!read.holds(), "{}", String::from_utf8_lossy(wanted));
        assert_ne!(label(&read, "media.manifest"), Some(Label::Verified));
    }
}

/// A signer may leave the picture out of the hash, so that it can be changed under a manifest that
/// holds by C2PA's rules: that file is not verified.
#[test]
fn a_manifest_that_leaves_the_picture_open_does_not_vouch_for_it() {
    let original = work(MediaType::Jpeg);
    let signer = EphemeralSigner::new("mallory.example").unwrap();
    let definition = json!({ "title": "work", "claim_generator_info": [{ "name": "x" }] });
    let mut builder = Builder::from_context(Context::new()).with_definition(definition).unwrap();
    let created = json!({ "actions": [{ "action": "c2pa.created", "digitalSourceType":
        "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCreation" }] });
    builder.add_assertion("c2pa.actions.v2", &created).unwrap();
    let hole = builder.data_hashed_placeholder(signer.reserve_size(), "image/jpeg").unwrap();
    let mut file = [&original[..2], &hole, &original[2..]].concat();
    let is_open = |open: usize, file: &mut Vec<u8>, builder: &mut Builder| {
        let mut hash = DataHash::new("jumbf manifest", "sha256");
        hash.add_exclusion(HashRange::new(2, (hole.len() + open) as u64));
        hash.gen_hash_from_stream(&mut Cursor::new(&*file)).unwrap();
        let manifest = builder.sign_data_hashed_embeddable(&signer, &hash, "image/jpeg").unwrap();
        file[2..2 + manifest.len()].copy_from_slice(&manifest);
        inspect(file, MediaType::Jpeg, None).inspection
    };
    let honest = is_open(0, &mut file.clone(), &mut builder);
    assert_eq!(label(&honest, "media.file"), Some(Label::Verified), "{honest:?}");
    let read = is_open(original.len() - 10, &mut file, &mut builder);
    assert!(read.holds(), "{read:?}");
    assert_eq!(label(&read, "media.file"), Some(Label::Asserted));
    assert!(codes(&read).contains(&"media.binding.partial"));
    let at = inside(&file, MediaType::Jpeg);
    file[at] ^= 1;
    let changed = inspect(&file, MediaType::Jpeg, None).inspection;
    assert_eq!(label(&changed, "media.file"), Some(Label::Asserted), "as the library has it");
}

/// A statement of one work inside another is no statement about that one.
#[test]
fn a_statement_cannot_be_moved_to_another_file() {
    let credentials = Credentials::development().unwrap();
    let statement = statement(&work(MediaType::Jpeg), MediaType::Jpeg, Permission::Allow);
    let terms = terms(Permission::Allow);
    let other = work(MediaType::Png);
    let error = sign(&other, MediaType::Png, "work", &terms, &statement, &credentials).unwrap_err();
    assert!(error.to_string().contains("content.statement.other-work"), "{error}");
}

#[test]
fn files_that_are_not_what_they_begin_as_are_refused() {
    let credentials = Credentials::development().unwrap();
    for media_type in ALL {
        let good = work(media_type);
        let terms = terms(Permission::Deny);
        let statement = statement(&good, media_type, Permission::Deny);
        let cut = &good[..good.len().min(10)];
        let refused = sign(cut, media_type, "work", &terms, &statement, &credentials);
        assert!(refused.is_err(), "{media_type}");
    }
}

#[test]
fn truncated_files_do_not_hold() {
    for (media_type, file) in SIGNED.iter() {
        for end in [0, 3, 12, 40, file.len() / 2, file.len() - 1] {
            let read = inspect(&file[..end], *media_type, None).inspection;
            assert_ne!(
                label(&read, "media.file"),
                Some(Label::Verified),
                "{media_type} cut at {end}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_bytes_are_read_without_panic(
        which in 0usize..5,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        keep in any::<prop::sample::Index>(),
    ) {
        let (media_type, file) = &SIGNED[which];
        let mut bytes = file.clone();
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        let read = inspect(&bytes, *media_type, None).inspection;
        // The room that C2PA leaves around a signature is nobody's: bytes in it say nothing.
        if read.holds() && label(&read, "media.file") == Some(Label::Verified) {
            prop_assert_eq!(without_manifest(&bytes, *media_type).unwrap(), work(*media_type));
            let said = |read: &Inspection| -> Vec<_> {
                read.statements.iter().map(|it| (it.usage, it.permission)).collect()
            };
            prop_assert_eq!(said(&read), said(&inspect(file, *media_type, None).inspection));
        }
        bytes.truncate(keep.index(bytes.len()));
        inspect(&bytes, *media_type, None);
        drop(without_manifest(&bytes, *media_type));
    }
}
