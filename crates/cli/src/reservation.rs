//! `probity optout import` and `inspect`: reservations in other people's formats.

use std::path::Path;

use anyhow::{Context as _, bail};
use probity_core::{Digest, Finding, Severity, licence::Permission};
use probity_node::Grounds;
use probity_provenance::{
    media_type::MediaType,
    reservation::{
        Decisions, Read, ReservationError, Source, Statement, aipref, cawg, publication, robots,
        tdmrep,
    },
    sidecar::Inspection,
};
use serde_json::json;

use crate::{
    args::{ImportOptOut, Sources},
    audit,
    content::work,
    media,
    output::{self, say},
    settings,
};

/// What documents say together, and the documents.
struct Imported {
    decisions: Decisions,
    findings: Vec<Finding>,
    grounds: Vec<Grounds>,
    /// Media files, each with what is left of it without its manifest.
    stripped: Vec<(Digest, Digest)>,
}

pub(crate) async fn import(args: ImportOptOut, json: bool) -> anyhow::Result<bool> {
    let ImportOptOut { works, sources, location, register, signer } = args;
    let works = works.iter().map(|text| Ok((text.clone(), work(text)?)));
    let mut works = works.collect::<anyhow::Result<Vec<_>>>()?;
    let imported = read_all(&sources, location.as_deref())?;
    // Who takes the manifest out of a file does not lift its reservation.
    for (file, plain) in &imported.stripped {
        if let Some((name, _)) = works.iter().find(|(_, work)| work == file)
            && works.iter().all(|(_, work)| work != plain)
        {
            works.push((format!("{name} without its manifest"), *plain));
        }
    }
    let reserved = imported.decisions.reserve_training();
    let mut sent = None;
    if let (true, true, Some(signer)) = (reserved, register, signer.signer()) {
        let (mut workspace, key) = settings::signer(&signer).await?;
        let receipts = workspace.opt_out_by(&key, &works, &imported.grounds).await?;
        sent = Some(receipts.iter().map(|receipt| receipt.transaction).collect::<Vec<_>>());
    }
    if json {
        output::json(&json!({
            "works": works.iter().map(|(_, digest)| digest).collect::<Vec<_>>(),
            "reservesTraining": reserved,
            "decisions": imported.decisions,
            "findings": imported.findings,
            "evidence": imported.grounds.iter().map(|it| Digest::of(&it.bytes)).collect::<Vec<_>>(),
            "transactions": sent,
        }))?;
        return Ok(reserved);
    }
    show(&imported.decisions)?;
    audit::findings(&imported.findings)?;
    match (reserved, &sent) {
        (true, Some(_)) => {
            output::line(format!("{} works are reserved against training", works.len()))?;
        }
        (true, None) => {
            output::line("training is reserved")?;
            say("nothing is registered; --register --key NAME does it");
        }
        (false, _) => output::line("training is not reserved: nothing to register")?,
    }
    Ok(reserved)
}

/// Every source in the order of its option; one that cannot be read stops everything.
fn read_all(sources: &Sources, location: Option<&str>) -> anyhow::Result<Imported> {
    let mut all = Read::default();
    let mut grounds = Vec::new();
    let mut add =
        |source: Source, bytes: Vec<u8>, read: Result<Read, ReservationError>, name: &str| {
            all.extend(read.with_context(|| format!("`{name}` is no reservation"))?);
            let location = location.filter(|_| source.has_paths()).map(str::to_owned);
            grounds.push(Grounds { source, bytes, location });
            anyhow::Ok(())
        };
    for path in &sources.tdmrep {
        let bytes = settings::read(path)?;
        let name = path.to_string_lossy();
        let documents = documents(bytes).with_context(|| format!("`{name}` is no reservation"))?;
        for bytes in documents {
            let read = tdmrep::read(&bytes, location.unwrap_or_default());
            add(Source::Tdmrep, bytes, read, &name)?;
        }
    }
    for text in &sources.aipref {
        let path = Path::new(text);
        let bytes = if path.exists() { settings::read(path)? } else { text.clone().into_bytes() };
        let read = aipref::read(&bytes);
        add(Source::Aipref, bytes, read, text)?;
    }
    for path in &sources.robots {
        let bytes = settings::read(path)?;
        let read = robots::read(&bytes, location.unwrap_or_default());
        add(Source::Robots, bytes, read, &path.to_string_lossy())?;
    }
    for path in &sources.cawg {
        let bytes = settings::read(path)?;
        let read = cawg::read(&bytes);
        add(Source::Cawg, bytes, read, &path.to_string_lossy())?;
    }
    let mut stripped = Vec::new();
    for path in &sources.c2pa {
        let bytes = settings::read(path)?;
        let name = path.display();
        let media_type =
            MediaType::of(&bytes).with_context(|| format!("`{name}` is no media file"))?;
        let (store, read) = manifest(&bytes, media_type)
            .with_context(|| format!("the manifest of `{name}` is no evidence"))?;
        add(Source::C2pa, store, Ok(read), &path.to_string_lossy())?;
        let plain = media::without_manifest(&bytes, media_type)?;
        stripped.push((Digest::of(&bytes), Digest::of(&plain)));
    }
    let Read { statements, findings } = all;
    Ok(Imported { decisions: Decisions::of(statements), findings, grounds, stripped })
}

/// What of a file may be a reservation: of an EPUB or PDF its metadata, of another the file.
fn documents(bytes: Vec<u8>) -> Result<Vec<Vec<u8>>, ReservationError> {
    publication::documents(&bytes).unwrap_or_else(|| Ok(vec![bytes]))
}

/// What a media file's manifest reserves, with the manifest store. One that does not hold says
/// nothing.
fn manifest(bytes: &[u8], media_type: MediaType) -> anyhow::Result<(Vec<u8>, Read)> {
    let (store, inspection) = media::inspect(bytes, media_type, None)?;
    if let Some(broken) = inspection.findings.iter().find(|it| it.severity == Severity::Error) {
        bail!("it does not hold: {}: {}", broken.code, broken.message);
    }
    let store = store.context("the file embeds no C2PA manifest")?;
    let Inspection { statements, findings, .. } = inspection;
    Ok((store, Read { statements, findings }))
}

pub(crate) fn inspect(file: &Path, location: Option<&str>, json: bool) -> anyhow::Result<bool> {
    let bytes = settings::read(file)?;
    if MediaType::of(&bytes).is_some() {
        bail!("`{0}` is a media file: probity content inspect {0} reads it", file.display());
    }
    let evidence = Digest::of(&bytes);
    let mut read = Read::default();
    let no_reservation = || format!("`{}` is no reservation", file.display());
    for bytes in documents(bytes).with_context(no_reservation)? {
        let said = guess(&bytes, location.unwrap_or_default());
        read.extend(said.with_context(no_reservation)?);
    }
    let decisions = Decisions::of(read.statements);
    if json {
        output::json(&json!({
            "evidence": evidence,
            "reservesTraining": decisions.reserve_training(),
            "decisions": decisions,
            "findings": read.findings,
        }))?;
        return Ok(!decisions.uses.is_empty());
    }
    show(&decisions)?;
    audit::findings(&read.findings)?;
    if decisions.uses.is_empty() {
        output::line("nothing is said about any use")?;
    }
    Ok(!decisions.uses.is_empty())
}

/// Reads a file by how it begins. The header of an HTTP response may speak in two ways.
fn guess(bytes: &[u8], location: &str) -> Result<Read, ReservationError> {
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => cawg::read(bytes),
        Some(b'[' | b'<') => tdmrep::read(bytes, location),
        _ if has_field(bytes, "user-agent") => robots::read(bytes, location),
        _ if has_field(bytes, "tdm-reservation") => {
            let mut read = tdmrep::read(bytes, location)?;
            if has_field(bytes, "content-usage") {
                read.extend(aipref::read(bytes)?);
            }
            Ok(read)
        }
        _ => aipref::read(bytes),
    }
}

fn has_field(bytes: &[u8], name: &str) -> bool {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    text.lines().any(|line| line.split_once(':').is_some_and(|(field, _)| field.trim() == name))
}

pub(crate) fn show(decisions: &Decisions) -> anyhow::Result<()> {
    for (usage, decision) in &decisions.uses {
        output::line(format!("{usage}: {}", word(decision.permission)))?;
        for source in &decision.sources {
            output::line(format!("  {:<13} {}", word(source.permission), origin(source)))?;
        }
    }
    for conflict in &decisions.conflicts {
        output::line(format!(
            "conflict about {}: {} ({}) overrides {} ({})",
            conflict.stricter.usage,
            word(conflict.stricter.permission),
            origin(&conflict.stricter),
            word(conflict.looser.permission),
            origin(&conflict.looser),
        ))?;
    }
    Ok(())
}

fn origin(statement: &Statement) -> String {
    let note = statement.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    format!("{} {}{note}", statement.standard, statement.part)
}

pub(crate) fn word(permission: Permission) -> &'static str {
    match permission {
        Permission::Allow => "allowed",
        Permission::Constrained => "constrained",
        Permission::Deny => "not allowed",
    }
}
