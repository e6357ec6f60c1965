//! in-toto Statements v1: who says what about which digests.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Digest, Finding,
    dsse::{DsseError, Envelope},
    json::{self, JsonError},
    keys::{PublicKey, SecretKey},
};

/// `_type` of every statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// DSSE payload type of every statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A statement: a predicate about subjects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// Always [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What it is about; at least one.
    pub subject: Vec<Subject>,
    /// URI that names the predicate's meaning and version.
    pub predicate_type: String,
    /// What is said.
    pub predicate: Value,
}

/// One thing a statement is about (in-toto `ResourceDescriptor`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// A name for people, unique within the statement.
    pub name: String,
    /// Its digests.
    pub digest: DigestSet,
}

/// The digests of a subject; always SHA-256 here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestSet {
    /// SHA-256.
    pub sha256: Digest,
}

/// Why an envelope does not hold a statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The envelope is malformed.
    #[error(transparent)]
    Dsse(#[from] DsseError),
    /// The payload is malformed.
    #[error("malformed in-toto statement")]
    Json(#[from] JsonError),
    /// Another payload type.
    #[error("expected payload type `{PAYLOAD_TYPE}`, got `{0}`")]
    PayloadType(String),
    /// Another `_type`.
    #[error("expected statement type `{STATEMENT_TYPE}`, got `{0}`")]
    StatementType(String),
    /// Another predicate type.
    #[error("expected predicate type `{expected}`, got `{got}`")]
    PredicateType {
        /// What the reader understands.
        expected: String,
        /// What the statement has.
        got: String,
    },
    /// Nothing is said about anything.
    #[error("a statement needs at least one subject")]
    NoSubject,
}

impl Statement {
    /// A statement with this predicate.
    pub fn new<P: Serialize>(
        predicate_type: &str,
        subjects: impl IntoIterator<Item = (String, Digest)>,
        predicate: &P,
    ) -> Result<Self, StatementError> {
        let subject: Vec<_> = subjects
            .into_iter()
            .map(|(name, sha256)| Subject { name, digest: DigestSet { sha256 } })
            .collect();
        if subject.is_empty() {
            return Err(StatementError::NoSubject);
        }
        Ok(Self {
            kind: STATEMENT_TYPE.to_owned(),
            subject,
            predicate_type: predicate_type.to_owned(),
            predicate: serde_json::to_value(predicate).map_err(JsonError::from)?,
        })
    }

    /// Signs the statement. The payload is its canonical JSON, so equal statements have equal
    /// digests.
    pub fn sign(&self, keys: &[&SecretKey]) -> Result<Envelope, StatementError> {
        Ok(Envelope::sign(PAYLOAD_TYPE, json::canonical(self)?, keys)?)
    }

    /// Reads the statement out of an envelope without checking signatures.
    pub fn from_envelope(envelope: &Envelope) -> Result<Self, StatementError> {
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(StatementError::PayloadType(envelope.payload_type.clone()));
        }
        let statement: Self = json::decode(&envelope.payload)?;
        if statement.kind != STATEMENT_TYPE {
            return Err(StatementError::StatementType(statement.kind));
        }
        if statement.subject.is_empty() {
            return Err(StatementError::NoSubject);
        }
        Ok(statement)
    }

    /// Reads the predicate as the type that `predicate_type` names.
    pub fn predicate<P: DeserializeOwned>(
        &self,
        predicate_type: &str,
    ) -> Result<P, StatementError> {
        if self.predicate_type != predicate_type {
            return Err(StatementError::PredicateType {
                expected: predicate_type.to_owned(),
                got: self.predicate_type.clone(),
            });
        }
        Ok(serde_json::from_value(self.predicate.clone()).map_err(JsonError::from)?)
    }
}

/// A statement whose signatures were checked.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The statement.
    pub statement: Statement,
    /// The digest of its payload.
    pub digest: Digest,
    /// Whose signatures hold.
    pub signers: Vec<PublicKey>,
    /// What is wrong with the others.
    pub findings: Vec<Finding>,
}

impl Signed {
    /// Whether a digest is among the subjects.
    pub fn is_about(&self, digest: &Digest) -> bool {
        self.statement.subject.iter().any(|subject| subject.digest.sha256 == *digest)
    }
}

/// Decodes an envelope, checks its signatures and reads its statement.
pub fn open(bytes: &[u8]) -> Result<Signed, StatementError> {
    let envelope = Envelope::from_json(bytes)?;
    let statement = Statement::from_envelope(&envelope)?;
    let (signers, findings) = envelope.verify();
    Ok(Signed { statement, digest: envelope.payload_digest(), signers, findings })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyType;

    #[test]
    fn sign_open_and_read_the_predicate() {
        let key = SecretKey::generate(KeyType::Secp256k1).unwrap();
        let subject = [("a".to_owned(), Digest::of(b"a"))];
        let statement = Statement::new("https://example.org/p/v1", subject, &7u8).unwrap();
        let bytes = statement.sign(&[&key]).unwrap().to_json().unwrap();
        let signed = open(&bytes).unwrap();
        assert_eq!(signed.statement, statement);
        assert_eq!(signed.signers, [key.public().unwrap()]);
        assert_eq!(signed.statement.predicate::<u8>("https://example.org/p/v1").unwrap(), 7);
        assert!(signed.statement.predicate::<u8>("https://example.org/p/v2").is_err());
        assert!(signed.statement.predicate::<String>("https://example.org/p/v1").is_err());
    }

    #[test]
    fn other_types_are_refused() {
        let key = SecretKey::generate(KeyType::Ed25519).unwrap();
        let open_json = |kind: &str, json: &str| {
            let envelope = Envelope::sign(kind, json.as_bytes().to_vec(), &[&key]).unwrap();
            open(&envelope.to_json().unwrap())
        };
        assert!(matches!(open_json("text/plain", "{}"), Err(StatementError::PayloadType(_))));
        assert!(matches!(open_json(PAYLOAD_TYPE, "{}"), Err(StatementError::Json(_))));
        let no_subject = r#"{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"x","predicate":1}"#;
        assert!(matches!(open_json(PAYLOAD_TYPE, no_subject), Err(StatementError::NoSubject)));
        let old = no_subject.replace("v1", "v0.1");
        assert!(matches!(open_json(PAYLOAD_TYPE, &old), Err(StatementError::StatementType(_))));
    }
}
