//! A workspace and the files beside it.

use std::{fs, sync::Arc};

use alloy_primitives::U256;
use probity_core::{
    SystemClock,
    keys::{KeyType, SecretKey},
    keystore::Cost,
};
use probity_node::{ChainChoice, Workspace};

use crate::tool::{Said, probity};

const PASSPHRASE: &str = "a passphrase";

/// A workspace with a passphrase file beside it.
pub(crate) struct Desk {
    pub(crate) folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs a command on the workspace.
    pub(crate) fn read(&self, arguments: &[&str]) -> Said {
        let dir = self.path("w");
        probity(&[arguments, &["--dir", &dir]].concat())
    }

    /// Runs a command that signs with a key.
    pub(crate) fn signed(&self, key: &str, arguments: &[&str]) -> Said {
        let passphrase = self.path("passphrase");
        self.read(&[arguments, &["--key", key, "--passphrase-file", &passphrase]].concat())
    }

    /// As `signed`, and it must succeed; returns its only line.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let said = self.signed("owner", arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {}", said.err);
        said.out.trim().to_owned()
    }

    /// Makes a workspace with the key `owner`, which has all coins, and `release`, which signs models
    /// and whose public half is in `release.pem`. As `init` and `key new` do, but with keystores that
    /// open at once. Gives the owner's account.
    pub(crate) fn made(&self) -> String {
        let owner = SecretKey::generate(KeyType::Secp256k1).unwrap();
        let release = SecretKey::generate(KeyType::P256).unwrap();
        let account = owner.address().unwrap();
        let coins = ChainChoice::Embedded(vec![(account, U256::from(10).pow(U256::from(24)))]);
        let (dir, clock) = (self.folder.path().join("w"), Arc::new(SystemClock));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let made = Workspace::create(&dir, coins, true, PASSPHRASE, Cost::Light, clock).await;
            let workspace = made.unwrap();
            workspace.chain().deploy(&owner).await.unwrap();
            for (name, key) in [("owner", &owner), ("release", &release)] {
                workspace.keyring().store(name, key, PASSPHRASE, Cost::Light).unwrap();
            }
        });
        self.write("release.pem", &release.public().unwrap().to_pem().unwrap());
        account.to_string()
    }

    /// The file of a court that nobody calls upon, so that any address is its token.
    pub(crate) fn any_court(&self, account: &str) -> String {
        let text = format!(
            "arbiters = [\"{account}\"]\nthreshold = 1\nbond_token = \"{account}\"\nbond = 1\n\
             response_window = 60\nruling_window = 60\n"
        );
        self.write("court.toml", &text)
    }
}
