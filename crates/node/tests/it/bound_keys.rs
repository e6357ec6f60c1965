//! Statements that keys sign for accounts.

use probity_core::{
    Label,
    binding::KEY_BINDING_TYPE,
    dsse::Envelope,
    keys::{KeyType, SecretKey},
    statement::{Signed, Statement},
};
use probity_node::NodeError;
use probity_provenance::dataset::{DATASET_TYPE, DatasetPredicate};

use crate::{
    checkpoints::{Trainer, errors, label},
    runs::without,
};

const DAY: u64 = 86_400;

impl Trainer {
    /// The curator's statement about the dataset, signed and logged by another key.
    async fn curated_by(&mut self, key: &SecretKey, time: u64) -> Envelope {
        let predicate = DatasetPredicate {
            author: self.party.key.address().unwrap(),
            name: self.manifest.name.clone(),
            deny_list: self.manifest.deny_list,
            time,
        };
        let subject = [("manifest".to_owned(), self.manifest.digest().unwrap())];
        let statement = Statement::new(DATASET_TYPE, subject, &predicate).unwrap();
        let envelope = statement.sign(&[key]).unwrap();
        self.party.workspace.publish(std::slice::from_ref(&envelope)).await.unwrap();
        self.party.workspace.sync().await.unwrap();
        envelope
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_keys_statement_counts_as_its_accounts() {
    for kind in [KeyType::P256, KeyType::Ed25519] {
        let mut trainer = Trainer::new().await;
        trainer.write("m/w", b"weights");
        let (model, run) = (trainer.party.model().await, trainer.run(1).await);
        trainer.register(model, &run, "m", vec![]).await.unwrap();
        let key = SecretKey::generate(kind).unwrap();
        let (account, workspace) = (trainer.party.key.clone(), &mut trainer.party.workspace);
        let refused = workspace.bind_key(&account, &account, DAY).await;
        assert!(matches!(refused, Err(NodeError::KeyBinding)));
        workspace.bind_key(&account, &key, DAY).await.unwrap();
        // Another time than the account's own statement has: equal statements are one.
        let now = trainer.party.workspace.now() + 60;
        let good = trainer.curated_by(&key, now).await;
        let late = trainer.curated_by(&key, now + 2 * DAY).await;
        let stranger = trainer.curated_by(&SecretKey::generate(kind).unwrap(), now + 1).await;

        // The account's own statement is left out: the key's stands for it.
        let files = trainer.export_of(model).await;
        let is_accounts = |signed: &Signed| {
            let is_keys = signed.digest == good.payload_digest();
            signed.statement.predicate_type == DATASET_TYPE && !is_keys
        };
        let files = without(&files, &is_accounts);
        let report = trainer.audit(files.clone()).await;
        assert_eq!(errors(&report), Vec::<&str>::new());
        assert_eq!(label(&report, "dataset.statement"), Some(Label::Verified));
        assert_eq!(label(&report, "statements.bound-keys"), Some(Label::Attested));

        let is_binding = |signed: &Signed| signed.statement.predicate_type == KEY_BINDING_TYPE;
        let report = trainer.audit(without(&files, &is_binding)).await;
        assert_eq!(errors(&report), ["statement.author.unsigned", "dataset.statement.missing"]);
        for other in [&late, &stranger] {
            let mut files = files.clone();
            trainer.add_statement(&mut files, other).await;
            assert_eq!(errors(&trainer.audit(files).await), ["statement.author.unsigned"]);
        }
        // A binding that no statement needs has no place in the bundle.
        let is_keys = |signed: &Signed| signed.digest == good.payload_digest();
        let report = trainer.audit(without(&files, &is_keys)).await;
        assert!(errors(&report).contains(&"bundle.unrelated"), "{:?}", errors(&report));
    }
}
