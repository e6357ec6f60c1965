//! What cannot be done says why, and leaves everything as it was.

use std::{path::Path, sync::Arc};

use alloy_primitives::{Address, B256, U256};
use probity_chain::ChainError;
use probity_core::{
    SystemClock,
    keys::{KeyType, SecretKey},
    keystore::Cost,
    licence::{LicenceTerms, Permission},
    money::Bps,
};
use probity_node::{ChainChoice, NodeError, Work, Workspace, demo};
use probity_provenance::content::Payee;
use probity_testkit::{SmallDisk, chain_of};

async fn workspace(dir: &Path, funded: &[&SecretKey]) -> Result<Workspace, NodeError> {
    let coins = U256::from(10).pow(U256::from(18));
    let alloc = funded.iter().map(|key| (key.address().unwrap(), coins)).collect();
    let choice = ChainChoice::Embedded(alloc);
    let clock = Arc::new(SystemClock);
    let workspace = Workspace::create(dir, choice, true, "pass", Cost::Light, clock).await?;
    workspace.chain().deploy(funded[0]).await?;
    Ok(workspace)
}

fn key() -> SecretKey {
    SecretKey::generate(KeyType::Secp256k1).unwrap()
}

fn payees(parts: &[u16]) -> Vec<Payee> {
    let payee = |(index, part): (usize, &u16)| Payee {
        account: Address::with_last_byte(u8::try_from(index + 1).unwrap()),
        bps: Bps::new(*part).unwrap(),
    };
    parts.iter().enumerate().map(payee).collect()
}

fn terms() -> LicenceTerms {
    LicenceTerms {
        spdx: "CC-BY-4.0".to_owned(),
        train: Permission::Allow,
        commercial: true,
        derivatives: true,
        attribution: true,
        revenue_share: Bps::new(0).unwrap(),
    }
}

async fn contribute(
    workspace: &mut Workspace,
    author: &SecretKey,
    parts: &[u16],
    text: &str,
) -> Result<(), NodeError> {
    let works = [Work { name: "work".to_owned(), bytes: text.as_bytes().to_vec() }];
    let parts = payees(parts);
    workspace.contribute(author, terms(), parts, "text/plain", &works).await.map(drop)
}

/// Everything that a contribution would change.
async fn state(workspace: &Workspace) -> (u64, u64, String) {
    workspace.sync().await.unwrap();
    let block = workspace.chain().newest_header().await.unwrap().number;
    (workspace.log().size(), block, workspace.index().dump().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_contributions_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (author, poor) = (key(), key());
    let mut workspace = workspace(&folder.path().join("w"), &[&author]).await.unwrap();
    contribute(&mut workspace, &author, &[10_000], "a poem").await.unwrap();
    let before = state(&workspace).await;

    let twice = contribute(&mut workspace, &author, &[10_000], "a poem").await.unwrap_err();
    assert!(twice.to_string().contains("was registered before"), "{twice}");
    let short = contribute(&mut workspace, &author, &[5_000, 4_999], "another").await.unwrap_err();
    assert!(short.to_string().contains("got `9999`"), "{short}");
    let unpaid = contribute(&mut workspace, &poor, &[10_000], "another").await.unwrap_err();
    assert!(
        matches!(&unpaid, NodeError::Chain(ChainError::InsufficientFunds { account, .. })
            if *account == poor.address().unwrap()),
        "{unpaid}"
    );
    assert!(unpaid.hint().unwrap().contains("send native coin"));
    assert_eq!(state(&workspace).await, before);

    // The same work of another author is no duplicate of the author's own.
    let other = key();
    let coins = U256::from(10).pow(U256::from(17));
    let data = alloy_primitives::Bytes::new();
    workspace.chain().send_raw(&author, other.address().unwrap(), data, coins).await.unwrap();
    contribute(&mut workspace, &other, &[10_000], "a poem").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_race_for_a_nonce_is_told_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let author = key();
    let workspace = workspace(&folder.path().join("w"), &[&author]).await.unwrap();
    let to = Address::repeat_byte(9);
    let send = || {
        let data = alloy_primitives::Bytes::new();
        workspace.chain().send_raw(&author, to, data, U256::ONE)
    };
    let (mut sent, mut lost) = (0_u64, 0);
    while lost == 0 {
        for outcome in futures::future::join_all((0..8).map(|_| send())).await {
            match outcome {
                Ok(_) => sent += 1,
                Err(ChainError::NonceRace { account, .. }) => {
                    assert_eq!(account, author.address().unwrap());
                    lost += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert!(sent < 4_000, "eight senders at once never met");
    }
    // Who lost sent nothing.
    assert_eq!(workspace.chain().balance(to).await.unwrap(), U256::from(sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_chain_than_the_workspaces_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("w");
    drop(workspace(&dir, &[&key()]).await.unwrap());
    let path = dir.join("probity.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let id = config.lines().find_map(|line| line.strip_prefix("chain_id = ")).unwrap();
    std::fs::write(&path, config.replace(id, "1")).unwrap();
    let error = Workspace::open(&dir, Arc::new(SystemClock)).await.unwrap_err();
    assert!(error.to_string().contains(&format!("expected chain id `1`, the chain says `{id}`")));
}

/// A statement that a crash left in the log before its transaction counts for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_unregistered_statement_counts_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let author = key();
    let mut workspace = workspace(&folder.path().join("w"), &[&author]).await.unwrap();
    let predicate = probity_provenance::content::ContentPredicate {
        author: author.address().unwrap(),
        licence: terms(),
        media_type: "text/plain".to_owned(),
        payees: payees(&[10_000]),
        time: workspace.now(),
    };
    let named = vec![("work".to_owned(), probity_core::Digest::of(b"a poem"))];
    let (_, envelope) =
        probity_provenance::content::Batch::sign(&predicate, named, &author).unwrap();
    workspace.publish(&[envelope]).await.unwrap();
    let policy = probity_provenance::dataset::Policy::default();
    assert!(
        workspace.plan_dataset("none", &policy, B256::ZERO).await.is_err(),
        "there is nothing to take"
    );
    contribute(&mut workspace, &author, &[10_000], "a poem").await.unwrap();
    let manifest = workspace.plan_dataset("one", &policy, B256::ZERO).await.unwrap();
    assert_eq!((manifest.items.len(), manifest.excluded.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_what_was_done_stays() {
    let Some(disk) = SmallDisk::mount(12) else { return };
    let dir = disk.path().join("w");
    let author = key();
    disk.fill().unwrap();
    let refused = workspace(&dir, &[&author]).await.unwrap_err();
    assert!(chain_of(&refused).contains("No space left"), "{}", chain_of(&refused));
    disk.free().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();

    let mut workspace = workspace(&dir, &[&author]).await.unwrap();
    contribute(&mut workspace, &author, &[10_000], "a poem").await.unwrap();
    let before = state(&workspace).await;
    disk.fill().unwrap();
    let refused = contribute(&mut workspace, &author, &[10_000], &"long ".repeat(100_000)).await;
    let refused = refused.unwrap_err();
    assert!(chain_of(&refused).contains("No space left"), "{}", chain_of(&refused));
    disk.free().unwrap();
    assert_eq!(state(&workspace).await, before);
    drop(workspace);
    let mut workspace = Workspace::open(&dir, Arc::new(SystemClock)).await.unwrap();
    assert_eq!(state(&workspace).await, before);
    contribute(&mut workspace, &author, &[10_000], "another poem").await.unwrap();
    workspace.embedded().unwrap().verify(|_, _| ()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passphrases_and_missing_keys_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("w");
    let workspace = workspace(&dir, &[&key()]).await.unwrap();
    let wrong = workspace.keyring().unlock("log", demo::PASSPHRASE).unwrap_err();
    assert!(chain_of(&wrong).contains("wrong passphrase"), "{}", chain_of(&wrong));
    assert!(wrong.hint().is_some());
    let unknown = workspace.keyring().unlock("nobody", "pass").unwrap_err();
    assert_eq!(unknown.to_string(), "there is no key `nobody` in this workspace");
}
