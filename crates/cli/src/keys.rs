//! `probity key`.

use probity_core::{keys::KeyType, keystore::Cost};
use probity_node::Workspace;
use serde_json::json;

use crate::{
    args::{Folder, Key, KeyKind},
    output, settings,
};

pub(crate) async fn run(command: Key, json: bool) -> anyhow::Result<bool> {
    let ring = |folder: &Folder| Workspace::keyring_in(&folder.dir);
    match command {
        Key::New { name, kind, folder, passphrase } => {
            let kind = match kind {
                KeyKind::Secp256k1 => KeyType::Secp256k1,
                KeyKind::P256 => KeyType::P256,
                KeyKind::Ed25519 => KeyType::Ed25519,
            };
            let passphrase = output::passphrase(&passphrase)?;
            let key = ring(&folder)?.generate(&name, kind, &passphrase, Cost::Standard)?;
            show(&name, &key.public()?.key_id(), json)
        }
        Key::Import { name, file, folder, passphrase } => {
            let passphrase = output::passphrase(&passphrase)?;
            let key = ring(&folder)?.import(&name, &file, &passphrase)?;
            show(&name, &key.public()?.key_id(), json)
        }
        Key::Public { name, folder, passphrase } => {
            let key = ring(&folder)?.unlock(&name, &output::passphrase(&passphrase)?)?.public()?;
            let pem = key.to_pem();
            if json {
                output::json(&json!({ "name": name, "key": key.key_id(), "pem": pem }))?;
            } else {
                output::line(
                    pem.as_deref().map_or_else(|| key.to_hex(), |pem| pem.trim().to_owned()),
                )?;
            }
            Ok(true)
        }
        Key::Bind { name, days, signer } => {
            let (mut workspace, account) = settings::signer(&signer).await?;
            let passphrase = output::passphrase(&signer.passphrase)?;
            let key = workspace.keyring().unlock(&name, &passphrase)?;
            let published = workspace.bind_key(&account, &key, u64::from(days) * 86_400).await?;
            if json {
                let (account, key) = (account.address()?, key.public()?.key_id());
                output::json(
                    &json!({ "statement": published.digest, "account": account, "key": key }),
                )?;
            } else {
                output::line(published.digest)?;
            }
            Ok(true)
        }
        Key::List(folder) => {
            let keys = ring(&folder)?.list()?;
            if json {
                output::json(&keys)?;
            } else {
                for key in keys {
                    let address = key.address.unwrap_or_else(|| "-".to_owned());
                    output::line(format!("{:<16} {address}", key.name))?;
                }
            }
            Ok(true)
        }
    }
}

fn show(name: &str, id: &str, json: bool) -> anyhow::Result<bool> {
    if json {
        output::json(&json!({ "name": name, "key": id }))?;
    } else {
        output::line(id)?;
    }
    Ok(true)
}
