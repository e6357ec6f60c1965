//! Keys that accounts let sign for them.

use probity_core::{
    Digest,
    binding::{KEY_BINDING_TYPE, KeyBinding, KeyRing},
    keys::{KeyType, PublicKey, SecretKey},
    statement::{self, Signed},
};

use crate::{NodeError, Published, Workspace};

impl Workspace {
    /// Publishes that a P-256 or Ed25519 key may sign for an account from now on, for some seconds.
    pub async fn bind_key(
        &mut self,
        account: &SecretKey,
        key: &SecretKey,
        seconds: u64,
    ) -> Result<Published, NodeError> {
        if key.kind() == KeyType::Secp256k1 {
            return Err(NodeError::KeyBinding);
        }
        let now = self.now();
        let envelope = KeyBinding::sign(account, key, now, now.saturating_add(seconds))?;
        let published = self.publish(&[envelope]).await?;
        published.into_iter().next().ok_or(NodeError::KeyBinding)
    }

    /// Adds the accounts that a statement's other keys signed for to its signers.
    pub(crate) async fn resolve_signers(&self, signed: &mut Signed) -> Result<(), NodeError> {
        let bindings = self.bindings_of(signed).await?;
        let mut ring = KeyRing::default();
        for digest in bindings {
            let Some(row) = self.index.statement(&digest).await? else { continue };
            let binding = statement::open(&self.objects.get(&row.envelope).await?)?;
            // One that does not hold counts for nothing; anybody may have logged it.
            drop(ring.add(&binding));
        }
        ring.resolve_signers(signed);
        Ok(())
    }

    /// The statements that bind the keys a statement was signed with.
    pub(crate) async fn bindings_of(&self, signed: &Signed) -> Result<Vec<Digest>, NodeError> {
        let mut found = Vec::new();
        if signed.statement.predicate_type == KEY_BINDING_TYPE {
            return Ok(found);
        }
        for key in signed.signers.iter().filter(|key| !matches!(key, PublicKey::Account(_))) {
            let about = self.index.statements_about(&Digest::of(key.key_id().as_bytes())).await?;
            let bindings = about.iter().filter(|row| row.predicate_type == KEY_BINDING_TYPE);
            found.extend(bindings.map(|row| row.digest));
        }
        Ok(found)
    }
}
