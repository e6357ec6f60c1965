//! C2PA manifests, in builds that have the `media` feature.

use std::fmt;

/// What a build without C2PA says when it is needed.
#[derive(Debug)]
pub(crate) struct Unsupported;

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this build of probity neither reads nor writes C2PA manifests")
    }
}

impl std::error::Error for Unsupported {}

impl Unsupported {
    pub(crate) const HINT: &str =
        "cargo build --release --features media makes one that does; --sidecar signs without";
}

/// Whether this build has C2PA.
pub(crate) const IS_SUPPORTED: bool = cfg!(feature = "media");

#[cfg(feature = "media")]
mod manifests {
    use probity_core::{Clock as _, SystemClock, dsse::Envelope, licence::LicenceTerms};
    use probity_media::MediaError;
    use probity_provenance::{media_type::MediaType, sidecar::Inspection};

    use crate::{args::SignContent, settings};

    pub(crate) type Credentials = probity_media::Credentials;

    /// The hint that belongs to an error.
    pub(crate) fn hint(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
        cause.downcast_ref::<MediaError>()?.hint().map(str::to_owned)
    }

    /// What manifests are signed with, if the command says so.
    pub(crate) fn credentials(args: &SignContent) -> anyhow::Result<Option<Credentials>> {
        if let (Some(cert), Some(key)) = (&args.cert, &args.cert_key) {
            let (chain, key) = (settings::read(cert)?, settings::read(key)?);
            let now = SystemClock.unix_seconds();
            return Ok(Some(Credentials::from_pem(&chain, &key, now)?));
        }
        if args.development_cert {
            return Ok(Some(Credentials::development()?));
        }
        Ok(None)
    }

    pub(crate) fn without_manifest(bytes: &[u8], media_type: MediaType) -> anyhow::Result<Vec<u8>> {
        Ok(probity_media::without_manifest(bytes, media_type)?)
    }

    pub(crate) fn sign(
        bytes: &[u8],
        media_type: MediaType,
        name: &str,
        terms: &LicenceTerms,
        statement: &Envelope,
        credentials: &Credentials,
    ) -> anyhow::Result<Vec<u8>> {
        Ok(probity_media::sign(bytes, media_type, name, terms, statement, credentials)?)
    }

    /// The manifest store, and what it says.
    #[allow(clippy::unnecessary_wraps, reason = "builds without C2PA refuse")]
    pub(crate) fn inspect(
        bytes: &[u8],
        media_type: MediaType,
        anchors: Option<&str>,
    ) -> anyhow::Result<(Option<Vec<u8>>, Inspection)> {
        let read = probity_media::inspect(bytes, media_type, anchors);
        Ok((read.store, read.inspection))
    }
}

#[cfg(not(feature = "media"))]
mod manifests {
    use probity_core::{dsse::Envelope, licence::LicenceTerms};
    use probity_provenance::{media_type::MediaType, sidecar::Inspection};

    use super::Unsupported;
    use crate::args::SignContent;

    /// There are none.
    #[derive(Debug)]
    pub(crate) enum Credentials {}

    pub(crate) fn hint(_: &(dyn std::error::Error + 'static)) -> Option<String> {
        None
    }

    pub(crate) fn credentials(args: &SignContent) -> anyhow::Result<Option<Credentials>> {
        if args.cert.is_some() || args.development_cert {
            return Err(Unsupported.into());
        }
        Ok(None)
    }

    pub(crate) fn without_manifest(_: &[u8], _: MediaType) -> anyhow::Result<Vec<u8>> {
        Err(Unsupported.into())
    }

    pub(crate) fn sign(
        _: &[u8],
        _: MediaType,
        _: &str,
        _: &LicenceTerms,
        _: &Envelope,
        credentials: &Credentials,
    ) -> anyhow::Result<Vec<u8>> {
        match *credentials {}
    }

    pub(crate) fn inspect(
        _: &[u8],
        _: MediaType,
        _: Option<&str>,
    ) -> anyhow::Result<(Option<Vec<u8>>, Inspection)> {
        Err(Unsupported.into())
    }
}

pub(crate) use manifests::{Credentials, credentials, hint, inspect, sign, without_manifest};
