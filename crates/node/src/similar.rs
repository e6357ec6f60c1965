//! Which registered works a work resembles: candidates with evidence, not verdicts.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use probity_core::{Digest, records::record_id};
use probity_provenance::{
    media_type::MediaType,
    near::{NearPolicy, Resemblance},
};
use rayon::prelude::*;
use serde::Serialize;

use crate::{NodeError, Workspace};

/// Works read before they are compared.
const AT_ONCE: usize = 256;

/// What is looked for.
#[derive(Debug, Clone)]
pub enum Sought {
    /// A work by its bytes.
    Bytes(Vec<u8>),
    /// A registered work by its digest or by the id of its content record.
    Registered(B256),
}

/// A registered work that resembles the one that is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Similar {
    /// Id of its content record.
    pub content: B256,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Name its author gave it.
    pub name: String,
    /// Its author.
    pub author: Address,
    /// Digest of the statement that registered it.
    pub statement: Digest,
    /// How it resembles; nothing where the bytes are the same.
    pub resemblance: Option<Resemblance>,
}

/// What a search says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SimilarWorks {
    /// Digest of the work that was looked for.
    pub work: Digest,
    /// Whether its kind is one that is compared, and it is not too small or flat. Where not, only equal
    /// bytes are found.
    pub comparable: bool,
    /// Works that it was compared with.
    pub compared: usize,
    /// Registered works that are not kept here, erased ones among them.
    pub missing: usize,
    /// What it resembles, most alike first.
    pub found: Vec<Similar>,
}

/// A registered work, and the media type that its statement gives it.
struct Held {
    work: Similar,
    media_type: String,
}

impl Workspace {
    /// Looks through everything registered. `media_type` says of bytes that nobody registered what they
    /// are; without it their first bytes and their encoding do.
    pub async fn similar(
        &self,
        policy: &NearPolicy,
        sought: Sought,
        media_type: Option<&str>,
    ) -> Result<SimilarWorks, NodeError> {
        let held = self.held().await?;
        let (work, bytes) = match sought {
            Sought::Bytes(bytes) => (Digest::of(&bytes), bytes),
            Sought::Registered(id) => {
                let is_meant =
                    |held: &&Held| held.work.content == id || held.work.digest == Digest::from(id);
                let found = held.iter().find(is_meant);
                let found = found.ok_or_else(|| NodeError::Unknown(id.to_string()))?;
                (found.work.digest, self.work(&found.work.digest).await?)
            }
        };
        let registered = held.iter().find(|held| held.work.digest == work);
        let registered = registered.map(|held| held.media_type.as_str());
        let media_type = media_type.or(registered).unwrap_or_else(|| media_type_of(&bytes));
        let print = policy.fingerprint(media_type, &bytes);
        let comparable = print.is_some();
        let mut said = SimilarWorks { work, comparable, compared: 0, missing: 0, found: vec![] };
        for some in held.chunks(AT_ONCE) {
            let mut others: Vec<(&Held, Vec<u8>)> = Vec::with_capacity(some.len());
            for held in some {
                if held.work.digest == work {
                    said.found.push(held.work.clone());
                } else if self.objects.size(&held.work.digest).await?.is_none() {
                    said.missing += 1;
                } else if comparable {
                    others.push((held, self.work(&held.work.digest).await?));
                }
            }
            said.compared += others.len();
            let Some(print) = &print else { continue };
            let compared = others.par_iter().filter_map(|(held, bytes)| {
                let other = policy.fingerprint(&held.media_type, bytes)?;
                let resemblance = Some(policy.compare(print, &other)?);
                Some(Similar { resemblance, ..held.work.clone() })
            });
            said.found.extend(compared.collect::<Vec<_>>());
        }
        said.found.sort_by_key(|similar| {
            (similar.resemblance.as_ref().map(Resemblance::unlikeness), similar.content)
        });
        Ok(said)
    }

    /// Registered works, equal ones of one author once.
    async fn held(&self) -> Result<Vec<Held>, NodeError> {
        let mut held: BTreeMap<(Digest, Address), Held> = BTreeMap::new();
        for batch in self.anchored().await? {
            for ((name, digest), content) in batch.works.iter().zip(&batch.contents) {
                held.entry((*digest, content.author)).or_insert_with(|| Held {
                    work: Similar {
                        content: record_id(content),
                        digest: *digest,
                        name: name.clone(),
                        author: content.author,
                        statement: batch.statement,
                        resemblance: None,
                    },
                    media_type: batch.predicate.media_type.clone(),
                });
            }
        }
        Ok(held.into_values().collect())
    }
}

fn media_type_of(bytes: &[u8]) -> &'static str {
    match MediaType::of(bytes) {
        Some(media_type) => media_type.name(),
        None if std::str::from_utf8(bytes).is_ok() => "text/plain",
        None => "application/octet-stream",
    }
}
