//! What a dataset would be built from, as Parquet tables for builds by SQL.

use std::{
    fs::File,
    io::{self, BufWriter},
    path::Path,
};

use alloy_primitives::B256;
use probity_provenance::{
    table::TableError,
    tables::{self, KNOWN_AUTHORS, OPT_OUTS, REMOVED, WORKS},
};

use crate::{NodeError, Workspace, dataset_folder::staged};

/// How much was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tables {
    /// Registered works, equal ones counted each time.
    pub works: u64,
    /// Opted-out works.
    pub opt_outs: u64,
    /// Works that challenges removed from earlier versions.
    pub removed: u64,
    /// Authors of the version before.
    pub known_authors: u64,
}

impl Workspace {
    /// Writes everything registered, and what decides about it, into a new folder. `previous` is the
    /// version that the dataset would follow, or zero.
    pub async fn export_tables(&self, previous: B256, dir: &Path) -> Result<Tables, NodeError> {
        let batches = self.anchored().await?;
        let deny_list = self.deny_list().await?;
        let removed = self.removed_before(previous).await?;
        let known_authors = self.authors_of(previous).await?;
        staged(dir, |staged| {
            table(&staged.join(WORKS), |out| tables::write_works(&batches, 0, out))?;
            table(&staged.join(OPT_OUTS), |out| tables::write_opt_outs(&deny_list, out))?;
            table(&staged.join(REMOVED), |out| tables::write_removed(&removed, out))?;
            table(&staged.join(KNOWN_AUTHORS), |out| {
                tables::write_known_authors(known_authors.iter(), out)
            })
        })?;
        Ok(Tables {
            works: batches.iter().map(|batch| batch.works.len() as u64).sum(),
            opt_outs: deny_list.works().len() as u64,
            removed: removed.len() as u64,
            known_authors: known_authors.len() as u64,
        })
    }
}

fn table(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), TableError>,
) -> Result<(), NodeError> {
    let file = File::create(path).map_err(NodeError::file("write", path))?;
    let mut out = BufWriter::new(file);
    write(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error);
    let synced = file.and_then(|file| file.sync_all());
    synced.map_err(NodeError::file("write", path))
}
