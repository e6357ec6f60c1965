//! Key bindings: an account vouches for a P-256 or Ed25519 key, for a time.
//!
//! Accounts are the identities. Another key speaks for an account only through a statement that
//! both signed: the account, to accept the key, and the key, to prove possession.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Digest, Finding,
    keys::{KeyType, PublicKey, SecretKey},
    statement::{Signed, Statement, StatementError},
};

/// Predicate type of a key binding.
pub const KEY_BINDING_TYPE: &str = "https://probity.dev/key-binding/v1";

/// An account's acceptance of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyBinding {
    /// The identity.
    pub account: Address,
    /// [`PublicKey::key_id`] of the key that may sign for it.
    pub key: String,
    /// First second it holds.
    pub not_before: u64,
    /// Last second it holds.
    pub not_after: u64,
}

impl KeyBinding {
    /// Makes the statement and signs it with both keys.
    pub fn sign(
        account: &SecretKey,
        key: &SecretKey,
        not_before: u64,
        not_after: u64,
    ) -> Result<crate::dsse::Envelope, StatementError> {
        let public = key.public().map_err(crate::dsse::DsseError::from)?;
        let key_id = public.key_id();
        let address = account.address().map_err(crate::dsse::DsseError::from)?;
        let binding = Self { account: address, key: key_id.clone(), not_before, not_after };
        let subject = [(key_id.clone(), Digest::of(key_id.as_bytes()))];
        Statement::new(KEY_BINDING_TYPE, subject, &binding)?.sign(&[account, key])
    }
}

/// The bindings somebody has checked; resolves a signer to the account it spoke for at a time.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    bindings: Vec<(PublicKey, KeyBinding)>,
}

impl KeyRing {
    /// Takes a binding whose signatures hold; else says why not.
    pub fn add(&mut self, signed: &Signed) -> Result<(), Finding> {
        let refuse = |code: &str, message: String| Finding::error(code, signed.digest, message);
        let binding: KeyBinding = signed
            .statement
            .predicate(KEY_BINDING_TYPE)
            .map_err(|error| refuse("binding.malformed", error.to_string()))?;
        let key = PublicKey::from_key_id(&binding.key)
            .map_err(|error| refuse("binding.key.invalid", error.to_string()))?;
        if key.kind() == KeyType::Secp256k1 {
            let message = "an account needs no binding".to_owned();
            return Err(refuse("binding.key.invalid", message));
        }
        if binding.not_before > binding.not_after {
            return Err(refuse("binding.validity.empty", "it never holds".to_owned()));
        }
        for (code, signer) in [
            ("binding.account.unsigned", PublicKey::Account(binding.account)),
            ("binding.possession.unproven", key),
        ] {
            if !signed.signers.contains(&signer) {
                return Err(refuse(code, format!("`{}` did not sign", signer.key_id())));
            }
        }
        self.bindings.push((key, binding));
        Ok(())
    }

    /// The account a key signed for at `time` (seconds): itself for an account, the binding's for
    /// a bound key within its validity.
    pub fn resolve(&self, key: &PublicKey, time: u64) -> Option<Address> {
        if let PublicKey::Account(address) = key {
            return Some(*address);
        }
        self.bindings
            .iter()
            .find(|(bound, binding)| {
                bound == key && (binding.not_before..=binding.not_after).contains(&time)
            })
            .map(|(_, binding)| binding.account)
    }
}

impl KeyRing {
    /// Adds the accounts that bound keys signed for to a statement's signers, and says how many. The
    /// time is the predicate's `time`: what the signer says of it. A statement without one counts for
    /// none.
    pub fn resolve_signers(&self, signed: &mut Signed) -> usize {
        let Some(time) = signed.statement.predicate.get("time").and_then(Value::as_u64) else {
            return 0;
        };
        let keys = signed.signers.iter().filter(|key| key.kind() != KeyType::Secp256k1);
        let accounts = keys.filter_map(|key| self.resolve(key, time)).map(PublicKey::Account);
        let accounts: Vec<PublicKey> = accounts.collect();
        let before = signed.signers.len();
        for account in accounts {
            if !signed.signers.contains(&account) {
                signed.signers.push(account);
            }
        }
        signed.signers.len() - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dsse::Envelope, statement};

    fn signed(envelope: &Envelope) -> Signed {
        statement::open(&envelope.to_json().unwrap()).unwrap()
    }

    fn keys() -> (SecretKey, SecretKey) {
        (
            SecretKey::generate(KeyType::Secp256k1).unwrap(),
            SecretKey::generate(KeyType::P256).unwrap(),
        )
    }

    #[test]
    fn a_bound_key_speaks_within_its_time_only() {
        let (account, key) = keys();
        let mut ring = KeyRing::default();
        ring.add(&signed(&KeyBinding::sign(&account, &key, 10, 20).unwrap())).unwrap();
        let public = key.public().unwrap();
        let address = account.address().unwrap();
        assert_eq!(
            [9, 10, 20, 21].map(|t| ring.resolve(&public, t)),
            [None, Some(address), Some(address), None]
        );
        assert_eq!(ring.resolve(&account.public().unwrap(), 0), Some(address));
    }

    #[test]
    fn a_bound_keys_statement_is_its_accounts_within_the_stated_time() {
        let (account, key) = keys();
        let mut ring = KeyRing::default();
        ring.add(&signed(&KeyBinding::sign(&account, &key, 10, 20).unwrap())).unwrap();
        let said = |predicate: Value, by: &SecretKey| {
            let subject = [("a".to_owned(), Digest::of(b"a"))];
            let statement = Statement::new("https://example.org/p/v1", subject, &predicate);
            let mut signed = signed(&statement.unwrap().sign(&[by]).unwrap());
            let added = ring.resolve_signers(&mut signed);
            let speaks = signed.signers.contains(&account.public().unwrap());
            assert_eq!(usize::from(speaks && by.kind() == KeyType::P256), added);
            speaks
        };
        let at = |time: u64| serde_json::json!({ "time": time });
        assert!(said(at(10), &key) && !said(at(21), &key), "within its time only");
        assert!(!said(serde_json::json!({}), &key), "no time, no account");
        assert!(!said(at(15), &SecretKey::generate(KeyType::P256).unwrap()), "another key");
        assert!(said(at(99), &account));
    }

    #[test]
    fn each_missing_signature_has_its_finding() {
        let (account, key) = keys();
        let mut ring = KeyRing::default();
        let good = KeyBinding::sign(&account, &key, 10, 20).unwrap();
        for (drop, code) in [(0, "binding.account.unsigned"), (1, "binding.possession.unproven")] {
            let mut bad = good.clone();
            bad.signatures.remove(drop);
            assert_eq!(ring.add(&signed(&bad)).unwrap_err().code, code);
        }
        let never = KeyBinding::sign(&account, &key, 2, 1).unwrap();
        assert_eq!(ring.add(&signed(&never)).unwrap_err().code, "binding.validity.empty");
        let same = KeyBinding::sign(&account, &account, 1, 2).unwrap();
        assert_eq!(ring.add(&signed(&same)).unwrap_err().code, "binding.key.invalid");
    }
}
