//! Certificates that may not sign.

use probity_core::licence::Permission;
use probity_media::{Credentials, MediaError, sign};
use probity_provenance::media_type::MediaType;
use probity_testkit::Authority;

use crate::world::{statement, terms, work};

const NOW: u64 = 1_800_000_000;

fn refused(chain: &str, key: &str) -> MediaError {
    Credentials::from_pem(chain.as_bytes(), key.as_bytes(), NOW).unwrap_err()
}

#[test]
fn malformed_foreign_and_expired_ones_are_refused() {
    let authority = Authority::new().unwrap();
    let (alice, bob) = (authority.issue("Alice").unwrap(), authority.issue("Bob").unwrap());
    assert!(matches!(refused("", &alice.key), MediaError::Chain(_)));
    assert!(matches!(refused("a poem", &alice.key), MediaError::Chain(_)));
    let damaged = alice.chain.replacen("MI", "XX", 1);
    assert!(matches!(refused(&damaged, &alice.key), MediaError::Chain(_)));
    for key in ["", "a poem", &alice.chain, &alice.key.replace("PRIVATE", "EC PRIVATE")] {
        let error = refused(&alice.chain, key);
        assert!(matches!(error, MediaError::Key(_)) && error.hint().is_some(), "{error}");
    }
    let error = refused(&alice.chain, &bob.key);
    assert!(matches!(error, MediaError::KeyMismatch(_)));
    assert!(error.to_string().contains("Alice"), "{error}");
    let old = authority.issue_until("Carol", "20210101000000Z").unwrap();
    let error = refused(&old.chain, &old.key);
    assert!(matches!(error, MediaError::Time { .. }), "{error}");
    assert!(error.to_string().contains("Carol") && error.to_string().contains("2021"), "{error}");
}

/// C2PA §14.5.1: an authority's own certificate is none for signing.
#[test]
fn a_certificate_of_an_authority_may_not_sign() {
    let authority = Authority::new().unwrap();
    let (chain, key) = (authority.anchor().unwrap(), authority.key().unwrap());
    let credentials = Credentials::from_pem(chain.as_bytes(), key.as_bytes(), NOW).unwrap();
    let bytes = work(MediaType::Png);
    let statement = statement(&bytes, MediaType::Png, Permission::Deny);
    let terms = terms(Permission::Deny);
    let error = sign(&bytes, MediaType::Png, "work", &terms, &statement, &credentials).unwrap_err();
    assert!(matches!(error, MediaError::Credentials(_)), "{error:?}");
}
