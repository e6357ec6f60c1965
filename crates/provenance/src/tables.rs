//! What a dataset is built from, as Parquet tables: for builds by SQL over more works than memory
//! holds, on any engine that reads Parquet.
//!
//! Every cell has the one spelling that the items table has (`docs/reference/tables.md`).

use std::io::Write;

use alloy_primitives::{Address, B256};
use probity_core::{Digest, licence::Permission, records::record_id};

use crate::{
    columns::{Column, Layout},
    content::Batch,
    dataset::RemovedWorks,
    optout::DenyList,
    table::TableError,
};

/// Name of the table of registered works.
pub const WORKS: &str = "works.parquet";
/// Name of the table of opted-out works.
pub const OPT_OUTS: &str = "opt_outs.parquet";
/// Name of the table of works that challenges removed from earlier versions.
pub const REMOVED: &str = "removed.parquet";
/// Name of the table of the authors of the version before.
pub const KNOWN_AUTHORS: &str = "known_authors.parquet";

/// A registered work and the terms that its statement gives it.
struct Work<'a> {
    position: u64,
    content: B256,
    digest: Digest,
    name: &'a str,
    batch: &'a Batch,
    licence: Digest,
}

/// As the terms write it.
fn permission(permission: Permission) -> &'static str {
    match permission {
        Permission::Allow => "allow",
        Permission::Constrained => "constrained",
        Permission::Deny => "deny",
    }
}

/// Writes the table of works: a row for each, in the order of registration. Positions are counted
/// from `first`, so that several tables together are one.
pub fn write_works(
    batches: &[Batch],
    first: u64,
    out: impl Write + Send,
) -> Result<(), TableError> {
    let layout = Layout {
        schema: "message works {
            REQUIRED INT64 position (INTEGER(64,false));
            REQUIRED BYTE_ARRAY content (STRING);
            REQUIRED BYTE_ARRAY sha256 (STRING);
            REQUIRED BYTE_ARRAY author (STRING);
            REQUIRED BYTE_ARRAY statement (STRING);
            REQUIRED BYTE_ARRAY licence (STRING);
            REQUIRED BYTE_ARRAY spdx (STRING);
            REQUIRED BYTE_ARRAY train (STRING);
            REQUIRED BOOLEAN commercial;
            REQUIRED BYTE_ARRAY media_type (STRING);
            REQUIRED BYTE_ARRAY name (STRING);
        }",
        columns: &[
            Column::Number(|work: &Work<'_>| work.position),
            Column::Text(|work| work.content.to_string()),
            Column::Text(|work| work.digest.to_string()),
            Column::Text(|work| work.batch.predicate.author.to_string()),
            Column::Text(|work| work.batch.statement.to_string()),
            Column::Text(|work| work.licence.to_string()),
            Column::Text(|work| work.batch.predicate.licence.spdx.clone()),
            Column::Text(|work| permission(work.batch.predicate.licence.train).to_owned()),
            Column::Flag(|work| work.batch.predicate.licence.commercial),
            Column::Text(|work| work.batch.predicate.media_type.clone()),
            Column::Text(|work| work.name.to_owned()),
        ],
        unrepeated: &["content", "sha256"],
    };
    let pairs = batches.iter().flat_map(|batch| {
        batch.works.iter().zip(&batch.contents).map(move |(work, content)| (batch, work, content))
    });
    let works = (first..).zip(pairs).map(|(position, (batch, (name, digest), content))| Work {
        position,
        content: record_id(content),
        digest: *digest,
        name,
        batch,
        licence: content.licence.into(),
    });
    Ok(layout.write(works, out)?)
}

/// Writes the table of opted-out works.
pub fn write_opt_outs(list: &DenyList, out: impl Write + Send) -> Result<(), TableError> {
    let layout = Layout {
        schema: "message opt_outs { REQUIRED BYTE_ARRAY sha256 (STRING); }",
        columns: &[Column::Text(|work: &Digest| work.to_string())],
        unrepeated: &["sha256"],
    };
    Ok(layout.write(list.works().copied(), out)?)
}

/// Writes the table of works that challenges removed.
pub fn write_removed(works: &RemovedWorks, out: impl Write + Send) -> Result<(), TableError> {
    let layout = Layout {
        schema: "message removed {
            REQUIRED BYTE_ARRAY author (STRING);
            REQUIRED BYTE_ARRAY sha256 (STRING);
        }",
        columns: &[
            Column::Text(|work: &(Address, Digest)| work.0.to_string()),
            Column::Text(|work| work.1.to_string()),
        ],
        unrepeated: &["sha256"],
    };
    Ok(layout.write(works.iter().copied(), out)?)
}

/// Writes the table of the authors of the version before.
pub fn write_known_authors<'a>(
    authors: impl Iterator<Item = &'a Address>,
    out: impl Write + Send,
) -> Result<(), TableError> {
    let layout = Layout {
        schema: "message known_authors { REQUIRED BYTE_ARRAY author (STRING); }",
        columns: &[Column::Text(|author: &Address| author.to_string())],
        unrepeated: &["author"],
    };
    Ok(layout.write(authors.copied(), out)?)
}
