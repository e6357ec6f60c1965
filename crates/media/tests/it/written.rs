//! What is written is read back, with labels no stronger than their evidence.

use probity_core::{Digest, Label, licence::Permission};
use probity_media::{Credentials, DEVELOPMENT_NAME, inspect, sign, without_manifest};
use probity_provenance::{
    media_type::MediaType,
    reservation::{Decisions, Standard, Use},
};
use probity_testkit::Authority;

use crate::world::{ALL, codes, label, signed, statement, terms, work};

#[test]
fn every_format_is_signed_and_read_back() {
    let credentials = Credentials::development().unwrap();
    for media_type in ALL {
        let original = work(media_type);
        assert_eq!(MediaType::of(&original), Some(media_type));
        let file = signed(media_type, Permission::Deny, &credentials);
        assert_eq!(MediaType::of(&file), Some(media_type));
        let plain = without_manifest(&file, media_type).unwrap();
        assert_eq!(Digest::of(&plain), Digest::of(&original), "{media_type}");
        let read = inspect(&file, media_type, None);
        let inspection = &read.inspection;
        assert!(inspection.holds(), "{media_type}: {:?}", inspection.findings);
        assert!(read.store.is_some());
        for (name, expected) in [
            ("media.file", Label::Verified),
            ("media.manifest", Label::Verified),
            ("media.signer", Label::Asserted),
            ("media.time", Label::Missing),
            ("content.work", Label::Verified),
            ("content.author", Label::Attested),
            ("content.terms", Label::Attested),
            ("content.rights", Label::Asserted),
        ] {
            assert_eq!(label(inspection, name), Some(expected), "{media_type}: {name}");
        }
        let decisions = Decisions::of(inspection.statements.clone());
        assert_eq!(decisions.uses.len(), 4);
        assert_eq!(decisions.permission(Use::DataMining), Some(Permission::Deny));
        assert!(decisions.conflicts.is_empty());
        let evidence = Digest::of(&read.store.unwrap());
        let cawg = inspection.statements.iter().filter(|it| it.standard == Standard::Cawg);
        assert!(cawg.map(|it| it.evidence).all(|digest| digest == evidence));
    }
}

/// A certificate shows who signed only if somebody trusted says so.
#[test]
fn a_signer_is_attested_by_the_authority_that_is_given_only() {
    let authority = Authority::new().unwrap();
    let alice = authority.issue("Alice").unwrap();
    let credentials =
        Credentials::from_pem(alice.chain.as_bytes(), alice.key.as_bytes(), 1_800_000_000).unwrap();
    let file = signed(MediaType::Png, Permission::Allow, &credentials);
    let anchor = authority.anchor().unwrap();
    let known = inspect(&file, MediaType::Png, Some(&anchor)).inspection;
    assert_eq!(label(&known, "media.signer"), Some(Label::Attested));
    assert!(known.findings.is_empty(), "{:?}", known.findings);
    let signer = known.claims.iter().find(|claim| claim.name == "media.signer").unwrap();
    assert!(signer.text.contains("Alice"), "{}", signer.text);
    let stranger = Authority::new().unwrap().anchor().unwrap();
    for anchors in [None, Some(stranger.as_str())] {
        let unknown = inspect(&file, MediaType::Png, anchors).inspection;
        assert_eq!(label(&unknown, "media.signer"), Some(Label::Asserted));
        assert_eq!(codes(&unknown), ["c2pa.signingCredential.untrusted"]);
        assert!(unknown.holds());
    }
}

#[test]
fn certificates_for_development_cannot_be_taken_for_others() {
    let credentials = Credentials::development().unwrap();
    let file = signed(MediaType::Jpeg, Permission::Allow, &credentials);
    let read = inspect(&file, MediaType::Jpeg, None).inspection;
    assert!(codes(&read).contains(&"media.certificate.development"));
    let signer = read.claims.iter().find(|claim| claim.name == "media.signer").unwrap();
    assert!(signer.text.contains(DEVELOPMENT_NAME), "{}", signer.text);
}

/// Whoever signs a file anew does not lift the reservation of its first signer.
#[test]
fn a_second_signature_keeps_the_first_reservation() {
    let credentials = Credentials::development().unwrap();
    let first = signed(MediaType::Jpeg, Permission::Deny, &credentials);
    let again = statement(&first, MediaType::Jpeg, Permission::Allow);
    let terms = terms(Permission::Allow);
    let second = sign(&first, MediaType::Jpeg, "work", &terms, &again, &credentials).unwrap();
    let read = inspect(&second, MediaType::Jpeg, None).inspection;
    assert!(read.holds(), "{:?}", read.findings);
    let decisions = Decisions::of(read.statements);
    assert_eq!(decisions.permission(Use::AiTraining), Some(Permission::Deny));
    let conflicts = decisions.conflicts.iter().filter(|it| it.stricter.usage == Use::AiTraining);
    let conflicts: Vec<_> = conflicts.collect();
    assert_eq!(conflicts.len(), 2, "the new assertion and the new terms are overridden");
    assert!(conflicts.iter().all(|it| it.stricter.part.contains("of its ingredient")));
}

#[test]
fn constraints_name_the_licence() {
    let credentials = Credentials::development().unwrap();
    let file = signed(MediaType::Png, Permission::Constrained, &credentials);
    let read = inspect(&file, MediaType::Png, None).inspection;
    let mining = read.statements.iter().find(|it| it.usage == Use::DataMining).unwrap();
    assert_eq!(mining.permission, Permission::Constrained);
    assert_eq!(mining.note.as_deref(), Some("CC-BY-4.0"));
}

#[test]
fn a_file_without_a_manifest_says_nothing() {
    for media_type in ALL {
        let read = inspect(&work(media_type), media_type, None);
        assert_eq!(label(&read.inspection, "media.manifest"), Some(Label::Missing));
        assert_eq!(codes(&read.inspection), ["c2pa.manifest.missing"]);
        assert!(read.store.is_none() && read.inspection.holds());
    }
}
