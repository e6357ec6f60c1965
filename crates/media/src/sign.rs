//! Putting manifests into files.

use std::io::Cursor;

use c2pa::{Builder, BuilderIntent, Context, Settings};
use probity_core::{Digest, dsse::Envelope, licence::LicenceTerms};
use probity_provenance::{media_type::MediaType, reservation::cawg};
use serde_json::{Value, json};

use crate::{Credentials, MediaError, inspect, without_manifest};

/// The assertion that holds the author's statement: its DSSE envelope in JSON.
pub const STATEMENT_LABEL: &str = "dev.probity.content";

/// Puts a manifest into a copy of a media file: the CAWG training and data mining assertion that
/// follows from the terms, and the author's statement. A manifest that is there already becomes the
/// new one's parent.
///
/// The statement must name [`without_manifest`] of the file.
///
/// # Errors
/// If the file is not what it begins as, the certificate may not sign, or the result does not hold
/// when it is read back.
pub fn sign(
    bytes: &[u8],
    media_type: MediaType,
    name: &str,
    terms: &LicenceTerms,
    statement: &Envelope,
    credentials: &Credentials,
) -> Result<Vec<u8>, MediaError> {
    let plain = without_manifest(bytes, media_type)?;
    let mut signed = Cursor::new(Vec::new());
    let mut builder = builder(name, terms, statement).map_err(MediaError::file(media_type))?;
    builder
        .sign(credentials.signer(), media_type.name(), &mut Cursor::new(bytes), &mut signed)
        .map_err(|error| refusal(error, media_type))?;
    let signed = signed.into_inner();
    check(&signed, &plain, media_type)?;
    Ok(signed)
}

fn builder(name: &str, terms: &LicenceTerms, statement: &Envelope) -> c2pa::Result<Builder> {
    let context = Context::new().with_settings(settings()?)?;
    let definition = json!({
        "title": name,
        "claim_generator_info": [{ "name": "probity", "version": env!("CARGO_PKG_VERSION") }],
    });
    let mut builder = Builder::from_context(context).with_definition(definition)?;
    // How the work was made is not known here; that it was opened as it is, is.
    builder.set_intent(BuilderIntent::Edit);
    let reservation = cawg::assertion(terms.train, Some(&terms.spdx));
    builder.add_assertion(cawg::LABEL, &reservation)?;
    let envelope = statement.to_json().map_err(|error| c2pa::Error::OtherError(error.into()))?;
    let envelope: Value = serde_json::from_slice(&envelope)?;
    builder.add_assertion_json(STATEMENT_LABEL, &envelope)?;
    Ok(builder)
}

/// Contacts nobody; takes nothing from the environment.
pub(crate) fn settings() -> c2pa::Result<Settings> {
    Settings::new()
        .with_value("verify.remote_manifest_fetch", false)?
        .with_value("verify.ocsp_fetch", false)?
        // Identities of CAWG are not judged here, so nothing is said about them.
        .with_value("core.decode_identity_assertions", false)
}

fn refusal(error: c2pa::Error, media_type: MediaType) -> MediaError {
    use c2pa::Error as E;
    match error {
        E::CoseInvalidCert
        | E::CoseNoCerts
        | E::CertificateProfileError(_)
        | E::CertificateTrustError(_)
        | E::InvalidCertificateError(_)
        | E::RawSignerError(_) => MediaError::Credentials(Box::new(error)),
        other => MediaError::File { media_type, source: other.into() },
    }
}

/// Reads the result back as anybody would, and compares what is left without the manifest.
fn check(signed: &[u8], plain: &[u8], media_type: MediaType) -> Result<(), MediaError> {
    if Digest::of(&without_manifest(signed, media_type)?) != Digest::of(plain) {
        return Err(MediaError::Broken("it changes more of the file than itself".to_owned()));
    }
    let manifest = inspect(signed, media_type, None);
    let broken = manifest.inspection.findings.iter();
    match broken.into_iter().find(|it| it.severity == probity_core::Severity::Error) {
        Some(finding) => Err(MediaError::Broken(format!("{}: {}", finding.code, finding.message))),
        None => Ok(()),
    }
}
