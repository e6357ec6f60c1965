use std::{net::IpAddr, sync::Arc};

use object_store::{
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    path::Path as Key,
};

use super::{Limits, ObjectError, Objects};

pub(super) fn open(
    location: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Objects, ObjectError> {
    let unknown = || ObjectError::Location(location.to_owned());
    match location.split_once("://") {
        None if location.is_empty() => Err(unknown()),
        None => Objects::folder(location),
        Some(("file", path)) if path.starts_with('/') => Objects::folder(path),
        Some(("s3", rest)) => {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(unknown());
            }
            s3(bucket, Key::parse(prefix).map_err(|_| unknown())?, environment)
        }
        Some(_) => Err(unknown()),
    }
}

fn s3(
    bucket: &str,
    prefix: Key,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Objects, ObjectError> {
    let mut builder = AmazonS3Builder::new();
    for (name, value) in environment {
        let key = name.starts_with("AWS_").then(|| name.to_ascii_lowercase().parse().ok());
        if let Some(key) = key.flatten() {
            builder = builder.with_config(key, value);
        }
    }
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
    let plain = endpoint.as_deref().is_some_and(|url| url.starts_with("http://"));
    if let Some(endpoint) = endpoint.filter(|url| plain && !is_loopback(url)) {
        return Err(ObjectError::PlainHttp(endpoint));
    }
    let builder = builder.with_bucket_name(bucket).with_allow_http(plain);
    let store = Arc::new(builder.build().map_err(ObjectError::Open)?);
    Ok(Objects { store, folder: None, prefix, limits: Limits::default() })
}

/// Whether `http://host[:port][/...]` names this machine.
fn is_loopback(url: &str) -> bool {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    // With user information in it, what looks like the host may not be the host.
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => authority.split(':').next(),
    };
    let host = host.unwrap_or_default();
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}
