//! A dataset in a folder of its own: description, items table and manifest, checked against each
//! other and against the Merkle root. Any bytes give findings, never a panic.

use bytes::Bytes;
use probity_core::{Digest, Finding, merkle::StandardTree};

use crate::{
    croissant::{CROISSANT, Description, ITEMS, MANIFEST},
    dataset::{Item, MAX_MANIFEST_BYTES, Manifest},
    table::{self, Row},
};

/// More findings than this are not listed.
const MAX_FINDINGS: usize = 100;

/// The folder's files.
#[derive(Debug, Clone)]
pub struct Folder {
    /// [`CROISSANT`].
    pub description: Vec<u8>,
    /// [`ITEMS`].
    pub table: Bytes,
    /// [`MANIFEST`].
    pub manifest: Vec<u8>,
}

/// What a check says.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// The description, if it could be read.
    pub description: Option<Description>,
    /// What is wrong; nothing if the folder is consistent.
    pub findings: Vec<Finding>,
}

impl Checked {
    fn find(&mut self, code: &str, subject: impl std::fmt::Display, text: impl std::fmt::Display) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding::error(code, subject, text));
        }
    }
}

/// Checks a folder against itself. That a dataset of this root is registered, and by whom, is for
/// the caller to find out.
pub fn check(folder: &Folder) -> Checked {
    let mut checked = Checked::default();
    let description = match Description::decode(&folder.description) {
        Ok(description) => description,
        Err(error) => {
            checked.find("dataset.description.malformed", CROISSANT, error);
            return checked;
        }
    };
    let files = [
        (ITEMS, Digest::of(&folder.table), description.table),
        (MANIFEST, Digest::of(&folder.manifest), description.manifest),
    ];
    for (name, got, expected) in files {
        if got != expected {
            let text = format!("expected a file with digest `{expected}`, got `{got}`");
            checked.find("dataset.file.changed", name, text);
        }
    }
    let items = check_rows(folder, &mut checked);
    check_totals(&description, &items, &mut checked);
    check_manifest(folder, &description, &items, &mut checked);
    checked.description = Some(description);
    checked
}

/// The table's items, each with the content id that follows from its row.
fn check_rows(folder: &Folder, checked: &mut Checked) -> Vec<Item> {
    let mut items = Vec::new();
    let mut wrong = Vec::new();
    let read = table::read(folder.table.clone(), &mut |row: Row| {
        if row.content() != row.item.content && wrong.len() < MAX_FINDINGS {
            wrong.push(row.item.clone());
        }
        items.push(row.item);
    });
    for item in wrong {
        let text = "digest, licence, statement and author of its row give another content id";
        checked.find("dataset.item.invalid", name_of(&item), text);
    }
    if let Err(error) = read {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        let text = format!("{error}{}", cause.unwrap_or_default());
        checked.find("dataset.table.malformed", ITEMS, text);
    }
    items
}

fn check_totals(description: &Description, items: &[Item], checked: &mut Checked) {
    let root = StandardTree::new(items.iter().map(Item::leaf).collect()).map(|tree| tree.root());
    if root != Ok(description.root) {
        let text = format!("the items do not have the root `{}`", description.root);
        checked.find("dataset.root.mismatch", ITEMS, text);
    }
    let weight = items.iter().fold(0u64, |sum, item| sum.saturating_add(item.weight));
    if (items.len() as u64, weight) != (description.items, description.total_weight) {
        let text = format!(
            "expected {} items of weight {}, got {} of weight {weight}",
            description.items,
            description.total_weight,
            items.len()
        );
        checked.find("dataset.totals.mismatch", ITEMS, text);
    }
}

/// The manifest says the same. One that is too large to be read whole is covered by its digest alone.
fn check_manifest(
    folder: &Folder,
    description: &Description,
    items: &[Item],
    checked: &mut Checked,
) {
    if folder.manifest.len() > MAX_MANIFEST_BYTES {
        return;
    }
    let manifest = match Manifest::from_json(&folder.manifest) {
        Ok(manifest) => manifest,
        Err(error) => return checked.find("dataset.manifest.malformed", MANIFEST, error),
    };
    let said = (manifest.name.as_str(), manifest.policy.weights.name());
    if said != (description.name.as_str(), description.formula.as_str()) {
        checked.find("dataset.manifest.mismatch", MANIFEST, "name or formula is another");
    }
    for (item, expected) in items.iter().zip(&manifest.items) {
        if item != expected {
            let text = format!("manifest and table differ: the former has `{}`", expected.content);
            checked.find("dataset.item.changed", name_of(item), text);
        }
    }
    let (rows, named) = (items.len(), manifest.items.len());
    if rows != named {
        let text = format!("the manifest has {named} items, the table {rows}");
        checked.find("dataset.item.count", MANIFEST, text);
    }
}

fn name_of(item: &Item) -> String {
    format!("item {} ({})", item.index, item.content)
}
