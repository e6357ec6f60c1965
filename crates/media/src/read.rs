//! What a media file's manifest says, and how well each claim stands.

use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
};

use c2pa::{
    Context, Manifest as C2paManifest, Reader, ValidationResults, jumbf_io::load_jumbf_from_memory,
    validation_status::ValidationStatus,
};
use probity_core::{Digest, Finding, Label, finding::plain};
use probity_provenance::{
    media_type::MediaType,
    reservation::{Statement, cawg},
    sidecar::{self, Inspection},
};
use serde_json::{Value, json};

use crate::{DEVELOPMENT_NAME, STATEMENT_LABEL, sign::settings, without_manifest};

/// The one failure that says nothing against the file: nobody vouches for the certificate.
const UNTRUSTED: &str = "signingCredential.untrusted";
/// The successes that bind a manifest to the bytes around it (C2PA §15.12).
const BINDINGS: [&str; 4] = [
    "assertion.dataHash.match",
    "assertion.boxesHash.match",
    "assertion.bmffHash.match",
    "assertion.collectionHash.match",
];

/// What is known about a media file.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// The manifest store, JUMBF bytes, if the file embeds one.
    pub store: Option<Vec<u8>>,
    /// The claims with their labels, what they reserve, what is wrong.
    pub inspection: Inspection,
}

/// Runs the library on bytes of others. It is meant to return errors; where it does not, `None`.
pub(crate) fn guarded<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}

/// Reads a media file's manifest. `anchors` are certificates, in PEM, of authorities whose word on
/// who signs counts; without them a signer's name is asserted only. Contacts nobody.
///
/// Findings have C2PA's own status codes after `c2pa.`, for example
/// `c2pa.assertion.dataHash.mismatch`; beside them `c2pa.manifest.missing`, `.remote`, `.unreadable`,
/// `media.certificate.development`, `media.statement.unbound`, and those of [`sidecar::inspect`].
pub fn inspect(bytes: &[u8], media_type: MediaType, anchors: Option<&str>) -> Manifest {
    let read = guarded(|| {
        let settings = match anchors {
            Some(anchors) => settings()?.with_value("trust.user_anchors", anchors)?,
            None => settings()?,
        };
        let context = Context::new().with_settings(settings)?;
        Reader::from_context(context).with_stream(media_type.name(), Cursor::new(bytes))
    });
    let name = media_type.name();
    let mut manifest = Manifest::default();
    let inspection = &mut manifest.inspection;
    match read {
        Some(Ok(reader)) => {
            manifest.store = guarded(|| load_jumbf_from_memory(name, bytes).ok()).flatten();
            describe(inspection, &reader, bytes, media_type, manifest.store.as_deref());
        }
        Some(Err(c2pa::Error::JumbfNotFound)) => {
            inspection.claim("media.manifest", Label::Missing, "the file embeds no C2PA manifest");
            let message = "nothing says where it comes from";
            inspection.findings.push(Finding::info("c2pa.manifest.missing", name, message));
        }
        Some(Err(c2pa::Error::RemoteManifestUrl(url))) => {
            inspection.claim("media.manifest", Label::Missing, "its manifest is elsewhere");
            let message = format!("its manifest is at `{url}`, which was not asked");
            inspection.findings.push(Finding::warning("c2pa.manifest.remote", name, message));
        }
        Some(Err(error)) => {
            inspection.findings.push(Finding::error("c2pa.manifest.unreadable", name, error));
        }
        None => {
            let message = "the reader of this format stopped";
            inspection.findings.push(Finding::error("c2pa.manifest.unreadable", name, message));
        }
    }
    manifest
}

fn describe(
    inspection: &mut Inspection,
    reader: &Reader,
    bytes: &[u8],
    media_type: MediaType,
    store: Option<&[u8]>,
) {
    let Some(active) = reader.active_manifest() else {
        let message = "the manifest store names no active manifest";
        let finding = Finding::error("c2pa.manifest.unreadable", media_type.name(), message);
        inspection.findings.push(finding);
        return;
    };
    let label = active.label().unwrap_or_default().to_owned();
    let results = reader.validation_results();
    inspection.findings.extend(results.map(failures).unwrap_or_default());
    let passed = |code: &str| {
        let active = results.and_then(ValidationResults::active_manifest);
        active.is_some_and(|codes| codes.success().iter().any(|status| status.code() == code))
    };
    let is_sound = inspection.holds() && passed("claimSignature.validated");
    if is_sound {
        let text = format!("manifest {label} is signed with the key of its certificate");
        inspection.claim("media.manifest", Label::Verified, text);
        let is_bound = BINDINGS.into_iter().any(passed);
        file(inspection, &label, is_bound, is_whole(reader, &label, bytes, media_type));
    }
    let is_vouched = is_sound && passed("signingCredential.trusted");
    signer(inspection, active, is_vouched, passed("timeStamp.trusted"));
    let evidence = Digest::of(store.unwrap_or_default());
    reservations(inspection, reader, evidence);
    statement(inspection, active, bytes, media_type);
}

/// Whether the file is as it was when its manifest was signed.
fn file(inspection: &mut Inspection, manifest: &str, is_bound: bool, is_whole: bool) {
    if !is_bound {
        let message = "nothing binds the manifest to this file";
        inspection.findings.push(Finding::error("media.binding.missing", manifest, message));
    } else if is_whole {
        let text = "the file is as it was when the manifest was signed";
        inspection.claim("media.file", Label::Verified, text);
    } else {
        let text =
            "as when the manifest was signed, but for parts that its signer may have left out";
        inspection.claim("media.file", Label::Asserted, text);
        let message = "the manifest may leave parts of the file open to change";
        inspection.findings.push(Finding::warning("media.binding.partial", manifest, message));
    }
}

/// Whether the manifest's hash leaves out no more of the file than the manifest itself takes. The
/// library lets a signer leave out whatever it likes, as long as that is one range.
fn is_whole(reader: &Reader, manifest: &str, bytes: &[u8], media_type: MediaType) -> bool {
    let Ok(report) = serde_json::from_str::<Value>(&reader.detailed_json()) else { return false };
    let exclusions =
        report["manifests"][manifest]["assertion_store"]["c2pa.hash.data"]["exclusions"].as_array();
    let excluded = exclusions.and_then(|ranges| {
        ranges.iter().try_fold(0_u64, |sum, range| sum.checked_add(range["length"].as_u64()?))
    });
    let taken = without_manifest(bytes, media_type)
        .ok()
        .and_then(|plain| bytes.len().checked_sub(plain.len()))
        .and_then(|taken| u64::try_from(taken).ok());
    excluded.zip(taken).is_some_and(|(excluded, taken)| excluded <= taken)
}

/// What C2PA's rules find wrong, with the manifest and with those it builds on.
fn failures(results: &ValidationResults) -> Vec<Finding> {
    let finding = |status: &ValidationStatus| {
        let code = format!("c2pa.{}", plain(status.code()));
        let subject = status.url().unwrap_or_default();
        let message = status.explanation().unwrap_or_default();
        if status.code() == UNTRUSTED {
            let message = "no authority that was given vouches for the signer's certificate";
            Finding::warning(&code, subject, message)
        } else {
            Finding::error(&code, subject, message)
        }
    };
    let active = results.active_manifest().map(|codes| codes.failure().iter().map(finding));
    let parents = results.ingredient_deltas().into_iter().flatten();
    let parents = parents.flat_map(|delta| delta.validation_deltas().failure()).map(finding);
    active.into_iter().flatten().chain(parents).collect()
}

fn signer(inspection: &mut Inspection, active: &C2paManifest, is_vouched: bool, is_stamped: bool) {
    let common = active.common_name();
    let name = common.clone().or_else(|| active.issuer()).unwrap_or_else(|| "nobody".to_owned());
    if common.is_some_and(|name| name.contains(DEVELOPMENT_NAME)) {
        let message = "made on the spot for development: it shows nothing about who signed";
        let code = "media.certificate.development";
        inspection.findings.push(Finding::warning(code, &name, message));
    }
    let (label, text) = if is_vouched {
        (Label::Attested, format!("{name}, says an authority that was given"))
    } else {
        (Label::Asserted, format!("{name}, by its own word"))
    };
    inspection.claim("media.signer", label, text);
    match active.time() {
        Some(time) if is_stamped => inspection.claim("media.time", Label::Attested, time),
        Some(time) => inspection.claim("media.time", Label::Asserted, time),
        None => inspection.claim(
            "media.time",
            Label::Missing,
            "no authority stamped when it was signed: it holds as long as the certificate",
        ),
    }
}

/// The training and data mining assertions of the manifest and of all it builds on: who signs a
/// file anew does not lift a reservation.
fn reservations(inspection: &mut Inspection, reader: &Reader, evidence: Digest) {
    let active = reader.active_label();
    let mut manifests: Vec<(&String, &C2paManifest)> = reader.manifests().iter().collect();
    manifests.sort_by_key(|(label, _)| (Some(label.as_str()) != active, *label));
    let mut found = Vec::new();
    for (label, manifest) in manifests {
        for assertion in manifest.assertions() {
            let kind = assertion.label();
            if ![cawg::LABEL, cawg::FORMER_LABEL].iter().any(|known| kind.starts_with(known)) {
                continue;
            }
            let Ok(data) = assertion.value() else { continue };
            let document = json!({ "label": kind, "data": data }).to_string();
            match cawg::read(document.as_bytes()) {
                Ok(read) => {
                    inspection.findings.extend(read.findings);
                    let of = if Some(label.as_str()) == active {
                        String::new()
                    } else {
                        plain(&format!(" of its ingredient {label}"))
                    };
                    found.extend(read.statements.into_iter().map(|statement| Statement {
                        evidence,
                        part: format!("{}{of}", statement.part),
                        ..statement
                    }));
                }
                Err(error) => {
                    let code = "reservation.cawg.malformed";
                    inspection.findings.push(Finding::warning(code, kind, error));
                }
            }
        }
    }
    inspection.statements.extend(found);
}

/// The author's statement, which must name the file without its manifest.
fn statement(
    inspection: &mut Inspection,
    active: &C2paManifest,
    bytes: &[u8],
    media_type: MediaType,
) {
    let mut assertions = active.assertions().iter();
    let Some(assertion) = assertions.find(|it| it.label() == STATEMENT_LABEL) else {
        let text = "the manifest holds no author's statement";
        inspection.claim("content.author", Label::Missing, text);
        return;
    };
    let envelope = assertion.value().map(ToString::to_string).unwrap_or_default();
    match without_manifest(bytes, media_type) {
        Ok(plain) => inspection.extend(sidecar::inspect(envelope.as_bytes(), Digest::of(&plain))),
        Err(error) => {
            let code = "media.statement.unbound";
            inspection.findings.push(Finding::error(code, STATEMENT_LABEL, error));
        }
    }
}
