//! Collecting everything about a model into an evidence bundle, and auditing one.

mod inference;

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256};
use probity_chain::{Client, Contracts, SlotQuery};
use probity_core::{
    Digest, json,
    keys::{PublicKey, SecretKey},
    log::leaf_hash,
    records::{Anchor, Checkpoint, Content, Dataset, Model, OptOut, Run, record_id},
    statement::Signed,
};
use probity_provenance::{
    audit::{self, ChainNow, Context, Report},
    bundle::{
        self, ChainReference, FORMAT, Files, Inclusions, Index, LogReference, Records, Removal,
        Sealed, seal,
    },
    command::Provenance,
    content::Batch,
    dataset::{DATASET_TYPE, Manifest},
    ledger,
    optout::{self, DenyList, Evidence, OPT_OUT_SUBJECT, OptOutPredicate},
    payout::{Computation, PAYOUT_TYPE},
    reservation::{self, Source},
    training::ModelFile,
};

use crate::{NodeError, Workspace, archive, indexer::text, inference::checks};

/// Most bytes of a model that go into a bundle; of a larger one only the listing does.
const MAX_MODEL: u64 = 256 << 20;
/// Most bytes of a run's log that go into a bundle.
const MAX_RUN_LOG: u64 = 64 << 20;

/// Audits a bundle's files. With a chain, the bundle's block is looked up there; without one, its
/// block hash is the exporter's word.
pub async fn audit_bundle(files: &Files, chain: Option<&Client>) -> Result<Report, NodeError> {
    let contracts = Contracts::deterministic();
    let vault_of = |model, token| contracts.vault(model, token);
    let now = match (chain, bundle::unseal(files)) {
        (Some(chain), Ok(sealed)) => Some(ask(chain, &sealed).await?),
        _ => None,
    };
    let context = Context {
        contracts: contracts.stateful(),
        vault_of: &vault_of,
        inference: checks(),
        chain: now,
    };
    Ok(audit::audit(files, context))
}

/// What the chain says of a bundle's block, and what happened since.
async fn ask(chain: &Client, sealed: &Sealed<'_>) -> Result<ChainNow, NodeError> {
    let number = sealed.index.chain.block;
    let (block, newest) = (chain.block(number).await?, chain.newest_header().await?.number);
    let mut vaults: Vec<Address> = sealed.index.chain.vaults.values().copied().collect();
    let events =
        if newest > number { chain.events(number + 1, newest, &mut vaults).await? } else { vec![] };
    Ok(ChainNow {
        chain_id: chain.chain_id(),
        hash: block.hash,
        behind: newest.saturating_sub(number),
        events: events.len() as u64,
    })
}

/// Everything that goes into a bundle, while it is collected.
#[derive(Default)]
struct Collection {
    records: Records,
    manifests: BTreeMap<B256, Manifest>,
    statements: BTreeSet<Digest>,
    computations: Vec<Computation>,
    vaults: BTreeMap<Address, Address>,
    files: Files,
}

impl Workspace {
    /// The evidence bundle of a model, signed by `exporter`. Deterministic but for the block and
    /// time it is taken at.
    pub async fn export_bundle(
        &self,
        model: B256,
        exporter: &SecretKey,
    ) -> Result<Files, NodeError> {
        self.sync().await?;
        let mut collection = Collection::default();
        self.collect_training(model, &mut collection).await?;
        self.collect_inferences(&mut collection).await?;
        self.collect_data(&mut collection).await?;
        self.collect_money(model, &mut collection).await?;
        let log = self.collect_statements(&mut collection).await?;
        let chain = self.collect_chain(model, &mut collection).await?;
        let index = Index {
            format: FORMAT.to_owned(),
            model,
            chain,
            log,
            time: self.now(),
            files: BTreeMap::new(),
        };
        let records = json::canonical(&collection.records)?;
        collection.files.insert(bundle::RECORDS.to_owned(), records);
        Ok(seal(index, collection.files, exporter)?)
    }

    /// The model, its checkpoints and their runs.
    async fn collect_training(
        &self,
        model: B256,
        collection: &mut Collection,
    ) -> Result<(), NodeError> {
        let record: Model = self.record(model).await?;
        collection.statements.insert(record.statement.into());
        collection.records.models.push(record);
        for link in self.index.links_to(&text(&model)).await? {
            if link.rel != "model" {
                continue;
            }
            let id: B256 = link.from.parse().map_err(|_| NodeError::Unknown(link.from.clone()))?;
            collection.records.checkpoints.push(self.record(id).await?);
        }
        let (_, head, ..) = self.head(model).await?;
        let position = |checkpoint: &Checkpoint| u8::from(*checkpoint == head);
        collection.records.checkpoints.sort_by_key(position);
        self.collect_ancestors(collection).await?;
        let lineage: Vec<Checkpoint> = collection.records.lineage().cloned().collect();
        for checkpoint in &lineage {
            collection.statements.insert(checkpoint.statement.into());
            let run: Run = self.record(checkpoint.run).await?;
            collection.statements.insert(run.statement.into());
            if !collection.records.runs.contains(&run) {
                self.collect_command(&run, collection).await?;
                collection.records.runs.push(run);
            }
            for record in self.versions(checkpoint.dataset).await? {
                if !collection.records.datasets.contains(&record) {
                    collection.records.datasets.push(record);
                }
            }
        }
        oldest_first(&mut collection.records.datasets);
        self.collect_files(&head, collection).await
    }

    /// What is said of the end of a run's command, its log, and the marks of it.
    async fn collect_command(
        &self,
        run: &Run,
        collection: &mut Collection,
    ) -> Result<(), NodeError> {
        collection.statements.extend(self.mark_statements(run).await?);
        let anchors = self.anchors_of(run).await?.into_iter().map(|(anchor, _)| anchor);
        collection.records.anchors.extend(anchors);
        let Some(signed) = self.provenance_of(run).await? else { return Ok(()) };
        collection.statements.insert(signed.digest);
        let log = Provenance::of(&signed.statement)?.log();
        if let Some(log) = log
            && self.objects.size(&log).await?.is_some_and(|size| size <= MAX_RUN_LOG)
        {
            let bytes = self.objects.get(&log).await?;
            collection.files.insert(bundle::run_log_name(record_id(run)), bytes.to_vec());
        }
        Ok(())
    }

    /// A dataset version and those before it.
    pub(crate) async fn versions(&self, dataset: B256) -> Result<Vec<Dataset>, NodeError> {
        let mut versions = Vec::new();
        let mut next: Option<B256> = Some(dataset);
        while let Some(id) = next {
            let record: Dataset = self.dataset(id).await?;
            next = Some(record.previous).filter(|previous| !previous.is_zero());
            versions.push(record);
        }
        Ok(versions)
    }

    /// The checkpoints of other models that the model's were made from, as far as this workspace knows
    /// all about them. Where it does not, the audit says that they are missing.
    async fn collect_ancestors(&self, collection: &mut Collection) -> Result<(), NodeError> {
        let parents = |checkpoint: &Checkpoint| checkpoint.parents.clone();
        let mut left: Vec<B256> = collection.records.checkpoints.iter().flat_map(parents).collect();
        while let Some(id) = left.pop() {
            if collection.records.lineage().any(|known| record_id(known) == id) {
                continue;
            }
            let checkpoint: Checkpoint = self.record(id).await?;
            if self.is_documented(&checkpoint).await? {
                left.extend(parents(&checkpoint));
                collection.records.ancestors.push(checkpoint);
            }
        }
        Ok(())
    }

    /// Whether the statements and manifests behind a checkpoint are here.
    async fn is_documented(&self, checkpoint: &Checkpoint) -> Result<bool, NodeError> {
        let run: Run = self.record(checkpoint.run).await?;
        let mut statements: Vec<Digest> = vec![checkpoint.statement.into(), run.statement.into()];
        for dataset in self.versions(checkpoint.dataset).await? {
            let digest = Digest::from(dataset.manifest);
            if self.objects.size(&digest).await?.is_none() {
                return Ok(false);
            }
            statements.extend(self.manifest(&digest).await?.sources);
        }
        for statement in &statements {
            if self.index.statement(statement).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The newest checkpoint's files, or only their listing; and their signature.
    async fn collect_files(
        &self,
        head: &Checkpoint,
        collection: &mut Collection,
    ) -> Result<(), NodeError> {
        let (said, files) = self.checkpoint_statement(&head.statement.into()).await?;
        let size = files.iter().fold(0u64, |sum, file| sum.saturating_add(file.size));
        let name = |file: &ModelFile| format!("{}{}", bundle::MODEL, file.name);
        if size <= MAX_MODEL && files.iter().all(|file| archive::is_name(&name(file))) {
            for file in &files {
                let bytes = self.objects.get(&file.sha256).await?;
                collection.files.insert(name(file), bytes.to_vec());
            }
        } else {
            collection.files.insert(bundle::LISTING.to_owned(), json::canonical(&files)?);
        }
        if let Some(signature) = said.signature {
            let bytes = self.objects.get(&signature.sha256).await?;
            collection.files.insert(bundle::MODEL_SIGNATURE.to_owned(), bytes.to_vec());
        }
        Ok(())
    }

    /// Manifests, the statements they draw on, opt-outs and removals.
    async fn collect_data(&self, collection: &mut Collection) -> Result<(), NodeError> {
        let datasets = collection.records.datasets.clone();
        for dataset in &datasets {
            let digest = Digest::from(dataset.manifest);
            let manifest = self.manifest(&digest).await?;
            let id = record_id(dataset);
            collection.files.insert(bundle::manifest_name(&digest), manifest.to_json()?);
            collection.statements.extend(&manifest.sources);
            collection.statements.extend(&manifest.tallies);
            for row in self.index.statements_about(&digest).await? {
                if row.predicate_type != DATASET_TYPE {
                    continue;
                }
                let (signed, _) = self.statement(&row.digest).await?;
                if signed.signers.contains(&PublicKey::Account(dataset.author)) {
                    collection.statements.insert(row.digest);
                }
            }
            for index in self.removed_items(id, &manifest).await? {
                collection.records.removals.push(Removal { dataset: id, index });
            }
            collection.manifests.insert(id, manifest);
        }
        self.collect_anchors(collection).await?;
        self.collect_opt_outs(collection).await
    }

    /// The anchors of the content batches and the contents of theirs that were registered singly; the
    /// opt-out lists that the datasets' curators anchored. Only what is exactly theirs: others may
    /// have registered records that name the same statements or roots.
    async fn collect_anchors(&self, collection: &mut Collection) -> Result<(), NodeError> {
        let sources: BTreeSet<Digest> =
            collection.manifests.values().flat_map(|manifest| manifest.sources.clone()).collect();
        let mut contents: BTreeSet<B256> = BTreeSet::new();
        for source in sources {
            let batch = Batch::open(&self.statement(&source).await?.0)?;
            collection.records.anchors.push(batch.anchor());
            contents.extend(batch.contents.iter().map(record_id));
        }
        for row in self.index.records("content", None, u32::MAX).await? {
            let Ok(content) = Self::body::<Content>(&row) else { continue };
            if contents.contains(&record_id(&content)) {
                collection.records.contents.push(content);
            }
        }
        let lists: BTreeSet<(B256, Address)> = (collection.records.datasets.iter())
            .filter_map(|dataset| {
                let manifest = collection.manifests.get(&record_id(dataset))?;
                Some((manifest.deny_list.into(), dataset.author))
            })
            .collect();
        for row in self.index.records("anchor", None, u32::MAX).await? {
            let Ok(anchor) = Self::body::<Anchor>(&row) else { continue };
            let is_list = anchor.subject == OPT_OUT_SUBJECT;
            if is_list && lists.contains(&(anchor.root, anchor.author)) {
                let works = self.objects.get(&anchor.statement.into()).await?;
                let name = bundle::deny_list_name(&Digest::from(anchor.root));
                collection.files.insert(name, works.to_vec());
                collection.records.anchors.push(anchor);
            }
        }
        Ok(())
    }

    /// The first opt-out of each work on the datasets' lists and among their works. Others may have
    /// registered it elsewhere: its statement is taken along where it is in the log's checkpoint.
    async fn collect_opt_outs(&self, collection: &mut Collection) -> Result<(), NodeError> {
        let mut works: BTreeSet<Digest> = BTreeSet::new();
        for manifest in collection.manifests.values() {
            works.extend(manifest.items.iter().map(|item| item.digest));
            works.extend(manifest.excluded.iter().map(|excluded| excluded.digest));
            let list = collection.files.get(&bundle::deny_list_name(&manifest.deny_list));
            let listed = list.map(|bytes| DenyList::works_from_json(bytes)).transpose()?;
            works.extend(listed.unwrap_or_default());
        }
        let signed = self.log().folder().checkpoint(&self.log_verifier()?)?.size();
        for (statement, erasure) in self.erasures().await? {
            let row = self.index.statement(&statement).await?;
            let is_covered = row.is_some_and(|row| row.log_index < signed);
            if is_covered && !erasure.works.is_disjoint(&works) {
                collection.statements.insert(statement);
            }
        }
        for row in self.index.records("opt-out", None, u32::MAX).await? {
            let Ok(record) = Self::body::<OptOut>(&row) else { continue };
            // In the order of the chain: the first one is taken, and the work is done with.
            if !optout::is_of_training(&record) || !works.remove(&record.digest.into()) {
                continue;
            }
            let statement = Digest::from(record.statement);
            if let Some(row) = self.index.statement(&statement).await?
                && row.predicate_type == optout::OPT_OUT_TYPE
                && row.log_index < signed
            {
                let (stated, _) = self.statement(&statement).await?;
                if optout::open(&stated).is_ok_and(|records| records.contains(&record)) {
                    self.collect_evidence(&stated, collection).await?;
                    collection.statements.insert(statement);
                }
            }
            collection.records.opt_outs.push(record);
        }
        Ok(())
    }

    /// The documents that an opt-out rests on, of those that the audit reads again.
    async fn collect_evidence(
        &self,
        stated: &Signed,
        collection: &mut Collection,
    ) -> Result<(), NodeError> {
        let said: OptOutPredicate = stated.statement.predicate(optout::OPT_OUT_TYPE)?;
        for Evidence { source, digest, .. } in &said.evidence {
            let size = self.objects.size(digest).await?;
            let is_small = size.is_some_and(|size| size <= reservation::MAX_BYTES as u64);
            if is_small && *source != Source::C2pa {
                let bytes = self.objects.get(digest).await?;
                collection.files.insert(bundle::reservation_name(digest), bytes.to_vec());
            }
        }
        Ok(())
    }

    /// Payout computations and vaults, by token.
    async fn collect_money(
        &self,
        model: B256,
        collection: &mut Collection,
    ) -> Result<(), NodeError> {
        let money = self.index.money_of_model(&text(&model)).await?;
        let tokens: BTreeSet<Address> =
            money.iter().filter_map(|money| money.token.parse().ok()).collect();
        for token in tokens {
            collection.vaults.insert(token, self.chain().contracts().vault(model, token));
            for computation in self.computations(model, token).await? {
                let bytes = computation.to_json()?;
                let about = self.index.statements_about(&Digest::of(&bytes)).await?;
                let signed = about.iter().filter(|row| row.predicate_type == PAYOUT_TYPE);
                collection.statements.extend(signed.map(|row| row.digest));
                let name =
                    format!("{}{}-{}.json", bundle::PAYOUTS, text(&token), computation.epoch);
                collection.files.insert(name, bytes);
                collection.computations.push(computation);
            }
        }
        Ok(())
    }

    /// Envelopes, the log's checkpoint, and inclusion proofs.
    async fn collect_statements(
        &self,
        collection: &mut Collection,
    ) -> Result<LogReference, NodeError> {
        let key = self.log_verifier()?;
        let checkpoint = self.log().folder().checkpoint(&key)?;
        let note = self.log().folder().checkpoint_bytes()?.unwrap_or_default();
        let mut bindings = BTreeSet::new();
        for digest in &collection.statements {
            bindings.extend(self.bindings_of(&self.statement(digest).await?.0).await?);
        }
        collection.statements.extend(bindings);
        let mut inclusions = Inclusions::default();
        for digest in &collection.statements {
            let unknown = || NodeError::Unknown(digest.to_string());
            let row = self.index.statement(digest).await?.ok_or_else(unknown)?;
            let bytes = self.objects.get(&row.envelope).await?;
            let proof = self.log().prove_inclusion(row.log_index, checkpoint.size())?;
            debug_assert!(
                proof.verify(&leaf_hash(row.envelope.as_bytes()), checkpoint.root()).is_ok()
            );
            inclusions.0.insert(*digest, proof);
            collection.files.insert(format!("{}{digest}.json", bundle::STATEMENTS), bytes.to_vec());
        }
        inclusions.write(&mut collection.files)?;
        collection.files.insert(bundle::LOG_CHECKPOINT.to_owned(), note);
        Ok(LogReference { origin: checkpoint.origin().to_owned(), key: key.to_string() })
    }

    /// Storage proofs of everything the audit asks for, at one block.
    async fn collect_chain(
        &self,
        model: B256,
        collection: &mut Collection,
    ) -> Result<ChainReference, NodeError> {
        let contracts = *self.chain().contracts();
        let mut queries = vec![
            SlotQuery { address: contracts.registry, slots: registry_slots(model, collection) },
            SlotQuery { address: contracts.challenges, slots: challenge_slots(collection) },
        ];
        let tokens = collection.vaults.keys();
        let pools = tokens.flat_map(|token| ledger::pool_slots(model, *token)).collect();
        queries.push(SlotQuery { address: contracts.payouts, slots: pools });
        for (token, vault) in &collection.vaults {
            let of_token = collection.computations.iter().filter(|c| c.terms.token == *token);
            let accounts: BTreeSet<Address> =
                of_token.flat_map(|c| c.entries.iter().map(|entry| entry.account)).collect();
            let mut slots = vec![ledger::VAULT_ROOT_SLOT];
            slots.extend(accounts.into_iter().map(ledger::claimed_slot));
            queries.push(SlotQuery { address: *vault, slots });
        }
        let (header, proofs) = self.chain().prove(&queries).await?;
        collection.files.insert(bundle::HEADER.to_owned(), header.rlp.to_vec());
        collection.files.insert(bundle::STATE.to_owned(), json::canonical(&proofs)?);
        Ok(ChainReference {
            chain_id: self.chain().chain_id(),
            registry: contracts.registry,
            challenges: contracts.challenges,
            payouts: contracts.payouts,
            block: header.number,
            block_hash: header.hash,
            vaults: collection.vaults.clone(),
        })
    }

    pub(crate) fn body<R: serde::de::DeserializeOwned>(
        row: &probity_store::index::Record,
    ) -> Result<R, NodeError> {
        let record = row.body.get("record").cloned().unwrap_or_default();
        Ok(serde_json::from_value(record).map_err(json::JsonError::from)?)
    }
}

fn registry_slots(model: B256, collection: &Collection) -> Vec<B256> {
    let records = &collection.records;
    let mut ids: Vec<B256> = Vec::new();
    ids.extend(records.contents.iter().map(record_id));
    ids.extend(records.opt_outs.iter().map(record_id));
    ids.extend(records.anchors.iter().map(record_id));
    ids.extend(records.datasets.iter().map(record_id));
    ids.extend(records.runs.iter().map(record_id));
    ids.extend(records.models.iter().map(record_id));
    ids.extend(records.lineage().map(record_id));
    ids.extend(records.model_keys.iter().map(record_id));
    let mut slots: BTreeSet<B256> = BTreeSet::new();
    for id in &ids {
        slots.insert(ledger::record_slot(*id));
        slots.insert(ledger::record_slot(ledger::revocation_id(*id)));
    }
    slots.insert(ledger::head_slot(model));
    slots.into_iter().collect()
}

fn challenge_slots(collection: &Collection) -> Vec<B256> {
    let mut slots: BTreeSet<B256> = BTreeSet::new();
    let head = collection.records.checkpoints.last().map(record_id);
    slots.extend(head.map(ledger::inherited_slot));
    for (id, manifest) in &collection.manifests {
        slots.insert(ledger::removed_slot(*id));
        for removal in collection.records.removals.iter().filter(|r| r.dataset == *id) {
            let item = manifest.items.iter().find(|item| item.index == removal.index);
            slots.extend(item.map(|item| ledger::item_slot(*id, &item.record())));
        }
    }
    slots.into_iter().collect()
}

/// Orders the versions of one line: each after those before it.
fn oldest_first(datasets: &mut [Dataset]) {
    let previous: BTreeMap<B256, B256> =
        datasets.iter().map(|dataset| (record_id(dataset), dataset.previous)).collect();
    let depth = |dataset: &Dataset| {
        let mut depth = 0;
        let mut before = Some(&dataset.previous);
        while let Some(id) = before {
            depth += 1;
            before = previous.get(id);
        }
        depth
    };
    datasets.sort_by_cached_key(depth);
}
