//! A dataset described in `MLCommons` Croissant 1.1 (JSON-LD), so that the tools which read Croissant
//! load its items and check the table's digest.

use std::collections::BTreeSet;

use alloy_primitives::B256;
use probity_core::{
    Digest,
    json::{self, JsonError},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::table::COLUMNS;

/// Name of the description in a dataset's folder.
pub const CROISSANT: &str = "croissant.json";
/// Name of the items table.
pub const ITEMS: &str = "items.parquet";
/// Name of the manifest.
pub const MANIFEST: &str = "manifest.json";

/// What Croissant calls Parquet.
const PARQUET: &str = "application/x-parquet";
/// Version of the description.
const VERSION: &str = "1.0.0";

/// What a description says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The dataset's name.
    pub name: String,
    /// SPDX expressions of its items' licences.
    pub licences: BTreeSet<String>,
    /// How many items.
    pub items: u64,
    /// Sum of their weights.
    pub total_weight: u64,
    /// The formula that the weights follow.
    pub formula: String,
    /// Root of the Merkle tree over the items.
    pub root: B256,
    /// Digest of the items table.
    pub table: Digest,
    /// Digest of the manifest.
    pub manifest: Digest,
}

/// Why a description is refused.
#[derive(Debug, thiserror::Error)]
pub enum CroissantError {
    /// Not JSON, or without what a description of ours has.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A file that is described is missing.
    #[error("`distribution` does not describe `{0}`")]
    File(&'static str),
    /// Something in it is not as it is written here.
    #[error("it is not as this version of Probity describes a dataset: {0}")]
    Spelling(&'static str),
}

/// The standard's context (Croissant 1.1), with the vocabulary of ours.
fn context() -> Value {
    let mut context = json!({
        "@language": "en",
        "@vocab": "https://schema.org/",
        "data": { "@id": "cr:data", "@type": "@json" },
        "dataType": { "@id": "cr:dataType", "@type": "@vocab" },
        "dct": "http://purl.org/dc/terms/",
        "conformsTo": "dct:conformsTo",
        "cr": "http://mlcommons.org/croissant/",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "description": { "@container": "@language" },
        "name": { "@container": "@language" },
        "examples": { "@id": "cr:examples", "@type": "@json" },
        "sc": "https://schema.org/",
        "probity": "https://probity.dev/terms/",
    });
    let terms = [
        "arrayShape",
        "citeAs",
        "column",
        "containedIn",
        "equivalentProperty",
        "extract",
        "field",
        "fileProperty",
        "fileObject",
        "fileSet",
        "format",
        "includes",
        "isArray",
        "isLiveDataset",
        "jsonPath",
        "key",
        "md5",
        "parentField",
        "path",
        "recordSet",
        "references",
        "regex",
        "repeated",
        "replace",
        "samplingRate",
        "separator",
        "source",
        "subField",
        "transform",
    ];
    for term in terms {
        context[term] = format!("cr:{term}").into();
    }
    context
}

/// The page of an SPDX licence; an expression of several stays as it is.
fn licence(spdx: &str) -> String {
    let is_id = spdx.chars().all(|c| c.is_ascii_alphanumeric() || "-.+".contains(c));
    if is_id && !spdx.starts_with("LicenseRef-") {
        format!("https://spdx.org/licenses/{spdx}")
    } else {
        spdx.to_owned()
    }
}

impl Description {
    /// The description as JSON-LD. The same description gives the same bytes.
    pub fn to_json(&self) -> Result<Vec<u8>, CroissantError> {
        let field = |(name, is_integer, description): &(&str, bool, &str)| {
            json!({
                "@type": "cr:Field",
                "@id": format!("items/{name}"),
                "name": format!("items/{name}"),
                "description": description,
                "dataType": if *is_integer { "sc:Integer" } else { "sc:Text" },
                "source": { "fileObject": { "@id": ITEMS }, "extract": { "column": name } },
            })
        };
        let file = |name: &str, format: &str, digest: &Digest| {
            json!({
                "@type": "cr:FileObject",
                "@id": name,
                "name": name,
                "contentUrl": name,
                "encodingFormat": format,
                "sha256": digest.to_string(),
            })
        };
        let licences: Vec<String> = self.licences.iter().map(|spdx| licence(spdx)).collect();
        Ok(json::canonical(&json!({
            "@context": context(),
            "@type": "sc:Dataset",
            "conformsTo": "http://mlcommons.org/croissant/1.1",
            "name": self.name,
            "description": format!("{} items with their authors, licences and weights", self.items),
            "license": licences,
            "url": format!("https://probity.dev/dataset/{}", self.manifest),
            "version": VERSION,
            "distribution": [
                file(ITEMS, PARQUET, &self.table),
                file(MANIFEST, "application/json", &self.manifest),
            ],
            "recordSet": [{
                "@type": "cr:RecordSet",
                "@id": "items",
                "name": "items",
                "key": { "@id": "items/index" },
                "field": COLUMNS.iter().map(field).collect::<Vec<_>>(),
            }],
            "probity:formula": self.formula,
            "probity:items": self.items,
            "probity:licences": self.licences,
            "probity:merkleRoot": self.root,
            "probity:totalWeight": self.total_weight.to_string(),
        }))?)
    }

    /// Reads an untrusted description, in the one spelling that [`Description::to_json`] writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CroissantError> {
        let wire: Wire = json::decode(bytes)?;
        let digest = |name: &'static str| {
            let file = wire.distribution.iter().find(|file| file.id == name);
            file.map(|file| file.sha256).ok_or(CroissantError::File(name))
        };
        let total_weight = wire.total_weight.parse();
        let read = Self {
            items: wire.items,
            total_weight: total_weight.map_err(|_| CroissantError::Spelling("`totalWeight`"))?,
            formula: wire.formula,
            root: wire.root,
            table: digest(ITEMS)?,
            manifest: digest(MANIFEST)?,
            name: wire.name,
            licences: wire.licences,
        };
        if read.to_json()? == bytes {
            Ok(read)
        } else {
            Err(CroissantError::Spelling("a field was changed, added or left out"))
        }
    }
}

#[derive(Deserialize)]
struct Wire {
    name: String,
    distribution: Vec<WireFile>,
    #[serde(rename = "probity:formula")]
    formula: String,
    #[serde(rename = "probity:items")]
    items: u64,
    #[serde(rename = "probity:licences")]
    licences: BTreeSet<String>,
    #[serde(rename = "probity:merkleRoot")]
    root: B256,
    #[serde(rename = "probity:totalWeight")]
    total_weight: String,
}

#[derive(Deserialize)]
struct WireFile {
    #[serde(rename = "@id")]
    id: String,
    sha256: Digest,
}
