//! Signatures of a model's files as OpenSSF Model Signing v1.0 has them: a Sigstore bundle v0.3 with a
//! DSSE envelope of an in-toto statement, signed with a P-256 key.
//!
//! The statement's subject is one digest over the files' digests; it says nothing about their names.
//! The names are in the predicate, which is signed too. Whatever else names a checkpoint here names it
//! by [`files_digest`](crate::training::files_digest), which commits to both.
//!
//! ```
//! use probity_core::{Digest, keys::{KeyType, SecretKey}};
//! use probity_provenance::{model_signing::{open, sign}, training::ModelFile};
//!
//! let key = SecretKey::generate(KeyType::P256)?;
//! let weights = ModelFile { name: "w.bin".into(), size: 1, sha256: Digest::of(b"w") };
//! let bundle = sign("model", &[weights.clone()], &[], &key)?;
//! let signed = open(&bundle, &key.public()?).map_err(|findings| format!("{findings:?}"))?;
//! assert!(signed.compare(&[weights]).is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};

use probity_core::{
    Digest, Finding,
    dsse::{DsseError, Envelope, pae},
    json::{self, JsonError},
    keys::{KeyError, KeyType, PublicKey, SecretKey},
    statement::{Statement, StatementError},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::training::{ModelFile, is_path};

/// Predicate type of a model's signature.
pub const SIGNATURE_TYPE: &str = "https://model_signing/signature/v1.0";
/// Media type of the bundle (Sigstore bundle v0.3).
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// What is no part of a model unless one asks for it: what Git keeps beside it.
pub const GIT_PATHS: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];
/// The usual name of a signature that lies beside the files.
pub const SIGNATURE_FILE: &str = "model.sig";

/// Largest bundle read, in bytes: some 100,000 files.
pub const MAX_SIGNATURE_BYTES: usize = json::MAX_JSON_BYTES;

/// Why a model cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// Nothing to sign.
    #[error("the model has no files")]
    Empty,
    /// Another scheme than the one that other programs read.
    #[error("models are signed with a p256 key, got a {0} key")]
    KeyType(KeyType),
    /// A file that cannot be named.
    #[error("`{0}` is no path within a model, or is there twice")]
    Path(String),
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Value,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    #[serde(default)]
    public_key: Option<KeyHint>,
    #[serde(default)]
    tlog_entries: Vec<Value>,
}

#[derive(Serialize, Deserialize)]
struct KeyHint {
    #[serde(default)]
    hint: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Predicate {
    serialization: Serialization,
    resources: Vec<Resource>,
}

#[derive(Serialize, Deserialize)]
struct Serialization {
    method: String,
    hash_type: String,
    allow_symlinks: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ignore_paths: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Resource {
    name: String,
    algorithm: String,
    digest: Digest,
}

/// Signs the files of a model. `name` is for people; `ignored` says which paths beside the files are
/// no part of the model.
pub fn sign(
    name: &str,
    files: &[ModelFile],
    ignored: &[String],
    key: &SecretKey,
) -> Result<Vec<u8>, SigningError> {
    if key.kind() != KeyType::P256 {
        return Err(SigningError::KeyType(key.kind()));
    }
    let mut sorted: Vec<&ModelFile> = files.iter().collect();
    // As other programs sort: folder by folder, not by the path's bytes.
    sorted.sort_by(|a, b| a.name.split('/').cmp(b.name.split('/')));
    let twice = sorted.windows(2).find(|pair| matches!(pair, [a, b] if a.name == b.name));
    let unnamed = sorted.iter().find(|file| !is_path(&file.name));
    if let Some(file) = unnamed.or(twice.and_then(|pair| pair.first())) {
        return Err(SigningError::Path(file.name.clone()));
    }
    let resource = |file: &&ModelFile| Resource {
        name: file.name.clone(),
        algorithm: "sha256".to_owned(),
        digest: file.sha256,
    };
    let resources: Vec<Resource> = sorted.iter().map(resource).collect();
    if resources.is_empty() {
        return Err(SigningError::Empty);
    }
    let subject = [(name.to_owned(), root(&resources))];
    let serialization = Serialization {
        method: "files".to_owned(),
        hash_type: "sha256".to_owned(),
        allow_symlinks: false,
        ignore_paths: ignored.to_vec(),
    };
    let predicate = Predicate { serialization, resources };
    let mut envelope = Statement::new(SIGNATURE_TYPE, subject, &predicate)?.sign(&[key])?;
    for signature in &mut envelope.signatures {
        // The key is named by the bundle's hint.
        signature.key_id.clear();
    }
    let dsse = envelope.to_json().map_err(StatementError::from)?;
    let bundle = Bundle {
        media_type: MEDIA_TYPE.to_owned(),
        verification_material: Material {
            public_key: Some(KeyHint { hint: hint(&key.public()?) }),
            tlog_entries: vec![],
        },
        dsse_envelope: json::decode(&dsse)?,
    };
    Ok(json::canonical(&bundle)?)
}

/// The digest over the files' digests, in the order they are listed.
fn root(resources: &[Resource]) -> Digest {
    let digests: Vec<&[u8]> = resources.iter().map(|r| r.digest.as_bytes().as_slice()).collect();
    Digest::of_parts(&digests)
}

/// How a bundle names the key to check it with: the digest of its PEM.
fn hint(key: &PublicKey) -> Option<String> {
    key.to_pem().map(|pem| Digest::of(pem.as_bytes()).to_string())
}

/// What somebody signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedModel {
    /// The model's name, for people.
    pub name: String,
    /// The files' digests by path.
    pub files: BTreeMap<String, Digest>,
    /// Paths that the signer says are no part of the model.
    pub ignored: Vec<String>,
}

/// Checks a bundle's signature by `key` and everything it says of itself. Total on any bytes.
pub fn open(bundle: &[u8], key: &PublicKey) -> Result<SignedModel, Vec<Finding>> {
    let refuse = |code, message: String| vec![Finding::error(code, "signature", message)];
    let malformed = |error: &dyn std::error::Error| refuse("oms.malformed", text(error));
    let bundle: Bundle = json::decode(bundle).map_err(|error| malformed(&error))?;
    if bundle.media_type != MEDIA_TYPE {
        let message = format!("expected media type `{MEDIA_TYPE}`, got `{}`", bundle.media_type);
        return Err(refuse("oms.media-type.unknown", message));
    }
    check_key(&bundle.verification_material, key)
        .map_err(|(code, message)| refuse(code, message.to_owned()))?;
    let dsse = serde_json::to_vec(&bundle.dsse_envelope).map_err(|error| malformed(&error))?;
    let envelope = Envelope::from_json(&dsse).map_err(|error| match error {
        DsseError::SignatureCount(_) => refuse("oms.signature.count", error.to_string()),
        error => malformed(&error),
    })?;
    let [signature] = envelope.signatures.as_slice() else {
        let message = format!("expected one signature, got {}", envelope.signatures.len());
        return Err(refuse("oms.signature.count", message));
    };
    if !key.verify(&pae(&envelope.payload_type, &envelope.payload), &signature.bytes) {
        let message = format!("it is not a signature of `{}`", key.key_id());
        return Err(refuse("oms.signature.invalid", message));
    }
    let statement = Statement::from_envelope(&envelope)
        .map_err(|error| refuse("oms.statement.malformed", text(&error)))?;
    read(&statement)
}

fn check_key(material: &Material, key: &PublicKey) -> Result<(), (&'static str, &'static str)> {
    if key.kind() != KeyType::P256 {
        return Err(("oms.key.unsupported", "expected a p256 key"));
    }
    match &material.public_key {
        None => Err(("oms.material.unsupported", "it is not signed with a plain key")),
        // Signers before 1.0 gave no hint.
        Some(KeyHint { hint: named }) => match named.as_deref() {
            None | Some("") => Ok(()),
            Some(named) if hint(key).as_deref() == Some(named) => Ok(()),
            Some(_) => Err(("oms.key.mismatch", "it names another key")),
        },
    }
}

/// What a signed statement says, checked for consistency.
fn read(statement: &Statement) -> Result<SignedModel, Vec<Finding>> {
    let refuse = |code, message: String| vec![Finding::error(code, "signature", message)];
    let predicate: Predicate =
        statement.predicate(SIGNATURE_TYPE).map_err(|error| match error {
            StatementError::PredicateType { .. } => {
                refuse("oms.predicate.unknown", error.to_string())
            }
            error => refuse("oms.statement.malformed", text(&error)),
        })?;
    let [subject] = statement.subject.as_slice() else {
        let message = format!("expected one subject, got {}", statement.subject.len());
        return Err(refuse("oms.subject.count", message));
    };
    let serialization = &predicate.serialization;
    if (serialization.method.as_str(), serialization.hash_type.as_str()) != ("files", "sha256") {
        let message = format!(
            "expected `files` by `sha256`, got `{}` by `{}`",
            serialization.method, serialization.hash_type
        );
        return Err(refuse("oms.serialization.unsupported", message));
    }
    let mut files = BTreeMap::new();
    for resource in &predicate.resources {
        let name = &resource.name;
        let problem = if !is_path(name) {
            Some(("oms.resource.name", "it is no path within a model"))
        } else if resource.algorithm != "sha256" {
            Some(("oms.resource.algorithm", "its digest is no SHA-256"))
        } else if files.insert(name.clone(), resource.digest).is_some() {
            Some(("oms.resource.duplicate", "it is listed twice"))
        } else {
            None
        };
        if let Some((code, message)) = problem {
            return Err(vec![Finding::error(code, name, message)]);
        }
    }
    if root(&predicate.resources) != subject.digest.sha256 {
        let message = "the subject is not the digest of the files' digests".to_owned();
        return Err(refuse("oms.root.mismatch", message));
    }
    let (name, ignored) = (subject.name.clone(), predicate.serialization.ignore_paths);
    Ok(SignedModel { name, files, ignored })
}

/// An error and its causes in one line.
fn text(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl SignedModel {
    /// What differs between the signed files and those that are there: changed, missing, and new ones.
    pub fn compare(&self, files: &[ModelFile]) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut seen = BTreeSet::new();
        for file in files {
            seen.insert(file.name.as_str());
            match self.files.get(&file.name) {
                Some(signed) if *signed == file.sha256 => {}
                Some(signed) => findings.push(Finding::error(
                    "oms.file.changed",
                    &file.name,
                    format!("expected SHA-256 `{signed}`, got `{}`", file.sha256),
                )),
                None => findings.push(Finding::error(
                    "oms.file.unknown",
                    &file.name,
                    "the signature does not cover it",
                )),
            }
        }
        for name in self.files.keys().filter(|name| !seen.contains(name.as_str())) {
            findings.push(Finding::error(
                "oms.file.missing",
                name,
                "it was signed and is not there",
            ));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use probity_core::statement::PAYLOAD_TYPE;
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::*;

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes(KeyType::P256, Zeroizing::new([byte; 32])).unwrap()
    }

    fn file(name: &str) -> ModelFile {
        let bytes = name.as_bytes();
        ModelFile { name: name.to_owned(), size: bytes.len() as u64, sha256: Digest::of(bytes) }
    }

    fn files() -> Vec<ModelFile> {
        ["a.txt", "a/b", "weights.safetensors"].map(file).into()
    }

    fn bundle() -> Vec<u8> {
        sign("m", &files(), &["model.sig".to_owned()], &key(3)).unwrap()
    }

    fn codes(bundle: &[u8]) -> Vec<String> {
        match open(bundle, &key(3).public().unwrap()) {
            Ok(signed) => signed.compare(&files()).into_iter().map(|found| found.code).collect(),
            Err(findings) => findings.into_iter().map(|found| found.code).collect(),
        }
    }

    /// The bundle with its JSON changed.
    fn outside(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut value: Value = serde_json::from_slice(&bundle()).unwrap();
        change(&mut value);
        serde_json::to_vec(&value).unwrap()
    }

    /// The bundle with its statement changed, signed anew by its own key.
    fn signed_anew(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        outside(|bundle| {
            let bytes = serde_json::to_vec(&bundle["dsseEnvelope"]).unwrap();
            let envelope = Envelope::from_json(&bytes).unwrap();
            let mut statement: Value = serde_json::from_slice(&envelope.payload).unwrap();
            change(&mut statement);
            let payload = serde_json::to_vec(&statement).unwrap();
            let again = Envelope::sign(PAYLOAD_TYPE, payload, &[&key(3)]).unwrap();
            bundle["dsseEnvelope"] = serde_json::from_slice(&again.to_json().unwrap()).unwrap();
        })
    }

    #[test]
    fn signs_and_opens() {
        let signed = open(&bundle(), &key(3).public().unwrap()).unwrap();
        assert_eq!((signed.name.as_str(), signed.ignored.len()), ("m", 1));
        assert!(signed.compare(&files()).is_empty());
    }

    /// `a/b` is before `a.txt`, although `/` is after `.`.
    #[test]
    fn the_subject_is_over_digests_folder_by_folder() {
        let sorted = ["a/b", "a.txt", "weights.safetensors"].map(|name| file(name).sha256);
        let parts: Vec<&[u8]> = sorted.iter().map(|digest| digest.as_bytes().as_slice()).collect();
        let expected = Digest::of_parts(&parts).to_string();
        let other = signed_anew(|statement| {
            assert_eq!(statement["subject"][0]["digest"]["sha256"], expected.as_str());
        });
        assert!(codes(&other).is_empty());
    }

    #[test]
    fn each_field_outside_the_signature_has_its_finding() {
        let with = |change: fn(&mut Value)| codes(&outside(change));
        assert_eq!(with(|b| b["mediaType"] = "x".into()), ["oms.media-type.unknown"]);
        assert_eq!(with(|b| b["mediaType"] = 1.into()), ["oms.malformed"]);
        let material = |b: &mut Value, v: Value| b["verificationMaterial"] = v;
        assert_eq!(codes(&outside(|b| material(b, Value::Null))), ["oms.malformed"]);
        let certificate = serde_json::json!({"certificate": {}});
        assert_eq!(codes(&outside(|b| material(b, certificate))), ["oms.material.unsupported"]);
        let other = serde_json::json!({"publicKey": {"hint": "00"}});
        assert_eq!(codes(&outside(|b| material(b, other))), ["oms.key.mismatch"]);
        let none = serde_json::json!({"publicKey": {}});
        assert!(codes(&outside(|b| material(b, none))).is_empty(), "a hint is only a hint");
        let dsse = |field: &str, v: Value| codes(&outside(|b| b["dsseEnvelope"][field] = v));
        assert_eq!(dsse("payload", "e30=".into()), ["oms.signature.invalid"]);
        assert_eq!(dsse("payloadType", "text/plain".into()), ["oms.signature.invalid"]);
        assert_eq!(dsse("signatures", serde_json::json!([])), ["oms.signature.count"]);
        let two = outside(|b| {
            let first = b["dsseEnvelope"]["signatures"][0].clone();
            b["dsseEnvelope"]["signatures"] = Value::Array(vec![first.clone(), first]);
        });
        assert_eq!(codes(&two), ["oms.signature.count"]);
        let findings = open(&bundle(), &key(4).public().unwrap()).unwrap_err();
        assert_eq!(findings[0].code, "oms.key.mismatch");
    }

    #[test]
    fn each_field_of_the_statement_has_its_finding() {
        let with = |path: &str, v: Value| {
            codes(&signed_anew(|statement| *statement.pointer_mut(path).unwrap() = v))
        };
        assert_eq!(with("/_type", "x".into()), ["oms.statement.malformed"]);
        assert_eq!(with("/predicateType", "x".into()), ["oms.predicate.unknown"]);
        assert_eq!(with("/predicate", Value::Null), ["oms.statement.malformed"]);
        let digest = Digest::of(b"x").to_string();
        let root = "/subject/0/digest/sha256";
        assert_eq!(with(root, digest.as_str().into()), ["oms.root.mismatch"]);
        assert_eq!(
            with("/predicate/serialization/method", "shards".into()),
            ["oms.serialization.unsupported"]
        );
        assert_eq!(
            with("/predicate/serialization/hash_type", "blake3".into()),
            ["oms.serialization.unsupported"]
        );
        let first = "/predicate/resources/0";
        let field = |name: &str, v: &str| with(&format!("{first}/{name}"), v.into());
        assert_eq!(field("digest", &digest), ["oms.root.mismatch"]);
        assert_eq!(field("digest", "00"), ["oms.statement.malformed"]);
        assert_eq!(field("algorithm", "blake3"), ["oms.resource.algorithm"]);
        for name in ["../a", "/a", "a//b", ".", ""] {
            assert_eq!(field("name", name), ["oms.resource.name"]);
        }
        assert_eq!(field("name", "a.txt"), ["oms.resource.duplicate"]);
        // The subject's digest stays the same: it does not commit to names.
        assert_eq!(field("name", "renamed"), ["oms.file.unknown", "oms.file.missing"]);
        let two = signed_anew(|statement| {
            let subject = statement["subject"][0].clone();
            statement["subject"].as_array_mut().unwrap().push(subject);
        });
        assert_eq!(codes(&two), ["oms.subject.count"]);
        let swapped = signed_anew(|statement| {
            statement["predicate"]["resources"].as_array_mut().unwrap().swap(0, 1);
        });
        assert_eq!(codes(&swapped), ["oms.root.mismatch"]);
        let dropped = signed_anew(|statement| {
            statement["predicate"]["resources"].as_array_mut().unwrap().pop();
        });
        assert_eq!(codes(&dropped), ["oms.root.mismatch"]);
    }

    #[test]
    fn changed_renamed_new_and_missing_files_are_named() {
        let signed = open(&bundle(), &key(3).public().unwrap()).unwrap();
        let found = |change: fn(&mut Vec<ModelFile>)| -> Vec<(String, String)> {
            let mut files = files();
            change(&mut files);
            let found = signed.compare(&files).into_iter();
            found.map(|finding| (finding.code, finding.subject)).collect()
        };
        let pair = |code: &str, name: &str| (code.to_owned(), name.to_owned());
        let changed = found(|files| files[0].sha256 = Digest::of(b"x"));
        assert_eq!(changed, [pair("oms.file.changed", "a.txt")]);
        let gone = found(|files| drop(files.remove(1)));
        assert_eq!(gone, [pair("oms.file.missing", "a/b")]);
        let new = found(|files| files.push(file("new")));
        assert_eq!(new, [pair("oms.file.unknown", "new")]);
        let renamed = found(|files| files[0].name = "b.txt".to_owned());
        assert_eq!(renamed, [pair("oms.file.unknown", "b.txt"), pair("oms.file.missing", "a.txt")]);
        let swapped = found(|files| {
            let name = files[0].name.clone();
            files[0].name = std::mem::replace(&mut files[1].name, name);
        });
        assert_eq!(swapped.len(), 2, "two files that changed names");
    }

    #[test]
    fn what_cannot_be_signed_is_refused() {
        let refused = |files: &[ModelFile]| sign("m", files, &[], &key(3)).unwrap_err();
        assert!(matches!(refused(&[]), SigningError::Empty));
        assert!(matches!(refused(&[file("../a")]), SigningError::Path(_)));
        assert!(matches!(refused(&[file("a"), file("a")]), SigningError::Path(_)));
        let account = SecretKey::generate(KeyType::Secp256k1).unwrap();
        assert!(matches!(sign("m", &files(), &[], &account), Err(SigningError::KeyType(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(open(&bytes, &key(3).public().unwrap()).is_err());
        }

        #[test]
        fn no_flipped_bit_changes_what_was_signed(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bad = bundle();
            let at = at.index(bad.len());
            bad[at] ^= 1 << bit;
            let public = key(3).public().unwrap();
            if let Ok(signed) = open(&bad, &public) {
                prop_assert_eq!(signed, open(&bundle(), &public).unwrap());
            }
        }
    }
}
