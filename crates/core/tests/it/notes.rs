//! C2SP signed-note and tlog-checkpoint.

use probity_core::{
    Digest,
    log::{Checkpoint, KeyError, NoteError, SignedNote, SignerKey, VerifierKey},
};
use proptest::prelude::*;
use serde::Deserialize;

use crate::log::{Cases, unhex, vectors};

#[derive(Deserialize)]
struct Note {
    key: String,
    secret: Option<String>,
    text: String,
    #[serde(rename = "note")]
    signed: String,
}

#[derive(Deserialize)]
struct Bad {
    key: String,
    cases: Vec<BadCase>,
}

#[derive(Deserialize)]
struct BadCase {
    name: String,
    note: String,
    code: String,
}

#[derive(Deserialize)]
struct Checkpoints {
    key: String,
    seed: String,
    cases: Vec<CheckpointCase>,
}

#[derive(Deserialize)]
struct CheckpointCase {
    name: String,
    size: u64,
    root: Digest,
    extensions: Vec<String>,
    note: String,
}

const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_SECRET: &str =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

#[test]
fn the_published_notes() {
    let Cases::<Note> { cases } = vectors("log/v1/notes.json");
    for Note { key, secret, text, signed } in cases {
        let key: VerifierKey = key.parse().unwrap();
        let parsed = SignedNote::parse(signed.as_bytes()).unwrap();
        assert_eq!(parsed.verify(&key), Ok(()));
        assert_eq!((parsed.text(), parsed.to_string()), (text.as_str(), signed.clone()));
        if let Some(secret) = secret {
            let signer = SignerKey::from_secret_text(&secret).unwrap();
            assert_eq!(SignedNote::sign(&text, &[&signer]).unwrap().to_string(), signed);
            assert_eq!(*signer.to_secret_text(), secret);
            assert!(!format!("{signer:?}").contains("AYEKFALV"));
        }
    }
    let bad: Bad = vectors("log/v1/bad_notes.json");
    let key = bad.key.parse().unwrap();
    for BadCase { name, note, code } in bad.cases {
        let found = SignedNote::parse(note.as_bytes()).and_then(|note| note.verify(&key));
        assert_eq!(found.map_err(|error| error.code()), Err(code.as_str()), "{name}");
    }
    assert_eq!(SignedNote::parse(b"\xff\n\n").unwrap_err(), NoteError::Encoding);
}

#[test]
fn notes_are_bounded() {
    let Cases::<Note> { cases } = vectors("log/v1/notes.json");
    let (text, signature) = cases[0].signed.rsplit_once("\n\n").unwrap();
    let with = |number: usize| format!("{text}\n\n{}", signature.repeat(number));
    assert_eq!(SignedNote::parse(with(64).as_bytes()).unwrap().signatures().len(), 64);
    let error = SignedNote::parse(with(65).as_bytes()).unwrap_err();
    assert_eq!(error, NoteError::TooManySignatures);
    let long = "x".repeat(256 * 1024 + 1);
    assert_eq!(SignedNote::parse(long.as_bytes()).unwrap_err(), NoteError::TooLong(long.len()));
}

/// The manglings of the Go checksum database's tests, and a bit more.
#[test]
fn mangled_keys_are_refused() {
    for key in [PETER, PETER_SECRET] {
        let refused = |text: &str| {
            text.parse::<VerifierKey>().is_err() && SignerKey::from_secret_text(text).is_err()
        };
        for from in 0..=key.len() {
            for to in from..=key.len() {
                assert!((from, to) == (0, key.len()) || refused(&key[from..to]), "{from}..{to}");
            }
        }
        for at in 0..key.len() {
            for bit in 0..7 {
                let mut bytes = key.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                assert!(refused(&String::from_utf8(bytes).unwrap()), "bit {bit} of byte {at}");
            }
        }
    }
    let wrong_length = "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==";
    assert!(wrong_length.parse::<VerifierKey>().is_err());
    let unknown = "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(unknown.parse::<VerifierKey>(), Err(KeyError::Algorithm));
    for name in ["", "a name", "a+b", "a\nb", "a\u{2003}b"] {
        assert!(matches!(SignerKey::from_seed(name, &[1; 32]), Err(KeyError::Name(_))), "{name}");
    }
    // Points of small order verify signatures that nobody made.
    let mut one = [0; 32];
    one[0] = 1;
    for weak in [[0; 32], one] {
        assert_eq!(VerifierKey::new("name", &weak), Err(KeyError::Point));
    }
}

#[test]
fn checkpoints_signed_elsewhere() {
    let Checkpoints { key, seed, cases } = vectors("log/v1/checkpoints.json");
    let key: VerifierKey = key.parse().unwrap();
    let seed = unhex(&seed).try_into().unwrap();
    let signer = SignerKey::from_seed(key.name(), &seed).unwrap();
    assert_eq!(signer.verifier(), &key);
    for CheckpointCase { name, size, root, extensions, note } in cases {
        let made = Checkpoint::new(key.name(), size, root).unwrap();
        let made = extensions.iter().fold(made, |made, line| made.with_extension(line).unwrap());
        assert_eq!(made.sign(&signer).unwrap(), note, "{name}");
        let read = Checkpoint::verify(note.as_bytes(), &key).unwrap();
        assert_eq!(read, made, "{name}");
        assert_eq!(read.extensions(), extensions, "{name}");
        let other = Checkpoint::verify_origin(note.as_bytes(), &key, "log.example/other");
        assert_eq!(other.unwrap_err().code(), "log.checkpoint.origin");
    }
    let bad: Bad = vectors("log/v1/bad_checkpoints.json");
    for BadCase { name, note, code } in bad.cases {
        SignedNote::parse(note.as_bytes()).unwrap().verify(&key).unwrap();
        let error = Checkpoint::verify(note.as_bytes(), &key).unwrap_err();
        assert_eq!(error.code(), code, "{name}");
    }
}

/// One byte of a checkpoint changed, put in or left out, anywhere.
#[test]
fn no_byte_of_a_checkpoint_can_change() {
    let Checkpoints { key, cases, .. } = vectors("log/v1/checkpoints.json");
    let key: VerifierKey = key.parse().unwrap();
    for CheckpointCase { note, .. } in cases {
        let note = note.as_bytes();
        let refused = |bytes: &[u8]| Checkpoint::verify(bytes, &key).is_err();
        for at in 0..=note.len() {
            for byte in [0, b'\n', b' ', b'+', b'0', b'=', b'A', 0x80, 0xff] {
                let put_in = [&note[..at], &[byte], &note[at..]].concat();
                assert!(refused(&put_in), "byte {byte} at {at}");
            }
            if at == note.len() {
                break;
            }
            for bit in 0..8 {
                let mut changed = note.to_vec();
                changed[at] ^= 1 << bit;
                assert!(refused(&changed), "bit {bit} of byte {at}");
            }
            assert!(refused(&[&note[..at], &note[at + 1..]].concat()), "without byte {at}");
            assert!(refused(&note[..at]), "the first {at} bytes");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_note_in_one_form_only(bytes: Vec<u8>, text in "[a-z—\n +A-Za-z0-9=/]{0,200}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            if let Ok(note) = SignedNote::parse(bytes) {
                let written = note.to_string();
                prop_assert_eq!(written.as_bytes(), bytes);
            }
            let key: VerifierKey = PETER.parse().unwrap();
            prop_assert!(Checkpoint::verify(bytes, &key).is_err());
        }
    }

    #[test]
    fn any_text_is_a_key_in_one_form_only(text in "([a-zA-Z]{0,5}[+]){0,3}[0-9a-f]{0,9}[+]?[A-Za-z0-9+/=]{0,50}") {
        if let Ok(key) = text.parse::<VerifierKey>() {
            prop_assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn signed_notes_read_back(lines in prop::collection::vec("[^\\x00-\\x1f]{0,20}", 1..6), seed: [u8; 32]) {
        let text = lines.join("\n") + "\n";
        let signer = SignerKey::from_seed("a.name/of-a-log", &seed).unwrap();
        let note = SignedNote::sign(&text, &[&signer]).unwrap();
        let read = SignedNote::parse(note.to_string().as_bytes()).unwrap();
        prop_assert_eq!(read.verify(signer.verifier()), Ok(()));
        prop_assert_eq!(read, note);
    }
}
