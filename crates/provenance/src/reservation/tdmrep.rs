//! W3C TDM Reservation Protocol (final report of May 2024): `/.well-known/tdmrep.json`, the fields
//! of an HTTP response, the metadata of an HTML document.
//!
//! A reservation covers text and data mining as article 4 of Directive (EU) 2019/790 has it, which
//! the training of models is part of. The protocol lets HTML metadata supersede the header, and the
//! header the file; here all of them count and the most restrictive holds, so that who strips a
//! header gains nothing.

use probity_core::{Digest, Finding, licence::Permission};
use serde::Deserialize;
use serde_json::Value;

use super::{
    MAX_STATEMENTS, Read, ReservationError, Standard, Statement, Use, evidence,
    path::{Pattern, UrlPath},
    publication::properties,
    quoted, text,
};

/// What a reservation of text and data mining covers.
const COVERED: [Use; 3] = [Use::DataMining, Use::AiTraining, Use::AiGenerativeTraining];
/// The protocol's two properties.
const RESERVATION: &str = "tdm-reservation";
const POLICY: &str = "tdm-policy";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Rule {
    location: Option<Value>,
    tdm_reservation: Option<Value>,
    tdm_policy: Option<Value>,
}

/// Reads a reservation in any of the forms, told apart by how it begins: `[` a file of rules, `<` an
/// HTML document or what [`super::publication::documents`] gives, anything else header fields. `location` is the path of the work's URL; only
/// a file of rules looks at it.
///
/// # Errors
/// If it is too large, not text, or not a list of rules; if the path is none.
pub fn read(bytes: &[u8], location: &str) -> Result<Read, ReservationError> {
    let digest = evidence(bytes)?;
    let text = text(bytes, Standard::TdmRepFile)?.trim_start_matches('\u{feff}').trim_start();
    match text.bytes().next() {
        Some(b'[') => read_file(text, digest, location),
        Some(b'<') => {
            let (standard, pairs) =
                properties(text).unwrap_or_else(|| (Standard::TdmRepHtml, meta(text)));
            Ok(read_pairs(&pairs, standard, digest))
        }
        _ => Ok(read_pairs(&header(text), Standard::TdmRepHeader, digest)),
    }
}

/// The first rule whose pattern matches holds.
fn read_file(text: &str, digest: Digest, location: &str) -> Result<Read, ReservationError> {
    let path = UrlPath::new(location)?;
    let rules: Vec<Rule> = serde_json::from_str(text)
        .map_err(|source| ReservationError::Json { standard: Standard::TdmRepFile, source })?;
    if rules.len() > MAX_STATEMENTS {
        return Err(ReservationError::TooMany(rules.len()));
    }
    let mut read = Read::default();
    for (position, rule) in rules.into_iter().enumerate() {
        let Some(pattern) = rule.location.as_ref().and_then(Value::as_str) else {
            let message = "has no `location`, and was passed over";
            let subject = format!("rule {position}");
            let finding = Finding::warning("reservation.tdmrep.rule.malformed", subject, message);
            read.findings.push(finding);
            continue;
        };
        if !Pattern::new(pattern).matches(&path) {
            continue;
        }
        let said = rule.tdm_reservation.map(|value| value.to_string());
        let policy = rule.tdm_policy.as_ref().and_then(Value::as_str);
        let part = quoted(pattern);
        if said_so(&mut read, said.as_deref(), policy, &part, Standard::TdmRepFile, digest) {
            break;
        }
    }
    Ok(read)
}

/// Name and value pairs of which every reservation counts, with the first policy.
fn read_pairs(pairs: &[(String, String)], standard: Standard, digest: Digest) -> Read {
    let of = |name: &str| {
        let name = name.to_owned();
        pairs.iter().filter(move |(key, _)| *key == name).map(|(_, value)| value.trim())
    };
    let policy = of(POLICY).next();
    let mut read = Read::default();
    for said in of(RESERVATION) {
        said_so(&mut read, Some(said), policy, RESERVATION, standard, digest);
    }
    if read.statements.is_empty() && read.findings.is_empty() {
        let message = "says nothing about `tdm-reservation`";
        read.findings.push(Finding::info("reservation.tdmrep.absent", standard, message));
    }
    read
}

/// Records one reservation; `false`, with a finding, if its value is a protocol error, which counts
/// as unset.
fn said_so(
    read: &mut Read,
    said: Option<&str>,
    policy: Option<&str>,
    part: &str,
    standard: Standard,
    digest: Digest,
) -> bool {
    let permission = match said {
        // A policy tells how a licence is to be had.
        Some("1") if policy.is_some() => Permission::Constrained,
        Some("1") => Permission::Deny,
        Some("0") => Permission::Allow,
        _ => {
            let got = quoted(said.unwrap_or("nothing"));
            let message = format!("expected `tdm-reservation` to be 0 or 1, got `{got}`: unset");
            let code = "reservation.tdmrep.value.unknown";
            read.findings.push(Finding::warning(code, part, message));
            return false;
        }
    };
    let note = policy.filter(|_| permission != Permission::Allow).map(quoted);
    read.statements.extend(COVERED.map(|usage| Statement {
        usage,
        permission,
        standard,
        evidence: digest,
        part: part.to_owned(),
        note: note.clone(),
    }));
    true
}

/// The header fields of an HTTP message, names in lower case.
fn header(text: &str) -> Vec<(String, String)> {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    let pairs = pairs.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.to_owned()));
    pairs.take(MAX_STATEMENTS).collect()
}

/// The `name` and `content` of the `meta` elements of an HTML document, names in lower case.
/// Comments and scripts are passed over.
fn meta(html: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = html;
    while let Some((_, tag)) = rest.split_once('<') {
        rest = tag;
        if let Some(comment) = tag.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let (name, after) = word(tag);
        match name.as_str() {
            "script" | "style" => {
                let end = format!("</{name}").into_bytes();
                let mut windows = after.as_bytes().windows(end.len());
                let at = windows.position(|window| window.eq_ignore_ascii_case(&end));
                rest = at.and_then(|at| after.get(at..)).unwrap_or("");
            }
            "meta" if pairs.len() < MAX_STATEMENTS => {
                let (attributes, after) = attributes(after);
                rest = after;
                let of = |wanted: &str| {
                    attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value)
                };
                if let (Some(name), Some(content)) = (of("name"), of("content")) {
                    pairs.push((name.to_ascii_lowercase(), content.to_owned()));
                }
            }
            _ => {}
        }
    }
    pairs
}

/// A leading word of letters and hyphens, in lower case, and what follows it.
fn word(text: &str) -> (String, &str) {
    let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != ':' && c != '_';
    let (word, rest) = text.split_at(text.find(is_end).unwrap_or(text.len()));
    (word.to_ascii_lowercase(), rest)
}

/// The attributes of a tag up to its `>`, and what follows it.
fn attributes(mut text: &str) -> (Vec<(String, &str)>, &str) {
    let mut found = Vec::new();
    loop {
        text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        let Some(next) = text.chars().next() else { return (found, "") };
        if next == '>' {
            return (found, text.strip_prefix('>').unwrap_or(text));
        }
        let (name, after) = word(text);
        let after = after.trim_start();
        let Some(value) = after.strip_prefix('=').map(str::trim_start) else {
            // An attribute without a value, or a character that begins none.
            text = if name.is_empty() { text.strip_prefix(next).unwrap_or("") } else { after };
            continue;
        };
        let quote = value.chars().next().filter(|c| ['"', '\''].contains(c));
        let (value, after) = match quote {
            Some(quote) => {
                let value = value.strip_prefix(quote).unwrap_or(value);
                value.split_once(quote).unwrap_or((value, ""))
            }
            None => value.split_at(
                value.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(value.len()),
            ),
        };
        found.push((name, value));
        text = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reservation::Decisions;

    /// The protocol's examples of a file: everything reserved; three groups of files.
    const ALL: &str = r#"[{"location": "/", "tdm-reservation": 1}]"#;
    const GROUPS: &str = r#"[
        {"location": "/directory-a/", "tdm-reservation": 1},
        {"location": "/directory-b/html/", "tdm-reservation": 1,
         "tdm-policy": "https://provider.com/policies/policy.json"},
        {"location": "/directory-b/images/*.jpg", "tdm-reservation": 0}]"#;

    fn permission(text: &str, location: &str) -> Option<Permission> {
        let read = read(text.as_bytes(), location).unwrap();
        Decisions::of(read.statements).permission(Use::AiTraining)
    }

    #[test]
    fn the_protocols_files() {
        assert_eq!(permission(ALL, "/any/path?query"), Some(Permission::Deny));
        assert_eq!(permission(GROUPS, "/directory-a/x.pdf"), Some(Permission::Deny));
        assert_eq!(permission(GROUPS, "/directory-b/html/x"), Some(Permission::Constrained));
        assert_eq!(permission(GROUPS, "/directory-b/images/a/b.jpg"), Some(Permission::Allow));
        assert_eq!(permission(GROUPS, "/directory-b/images/a.png"), None);
        assert_eq!(permission(GROUPS, "/directory-A/x"), None);
        let read = read(GROUPS.as_bytes(), "/directory-b/html/x").unwrap();
        assert_eq!(
            read.statements[0].note.as_deref(),
            Some("https://provider.com/policies/policy.json")
        );
    }

    /// The protocol's examples of a header and of HTML.
    #[test]
    fn the_protocols_header_and_html() {
        let header = "HTTP/1.1 200 OK\r\nDate: Wed, 14 Jul 2021 12:07:48 GMT\r\n\
                      Content-type: image/jpg\r\ntdm-reservation: 1\r\n";
        assert_eq!(permission(header, "/"), Some(Permission::Deny));
        let policy = format!("{header}tdm-policy: https://provider.com/policies/policy.json\r\n");
        assert_eq!(permission(&policy, "/"), Some(Permission::Constrained));
        let html = r#"<!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8">
            <meta name="tdm-reservation" content="1">
            <meta name="tdm-policy" content="https://provider.com/policies/policy.json">
            <title>Document title</title></head><body></body></html>"#;
        assert_eq!(permission(html, "/"), Some(Permission::Constrained));
        let read = read(html.as_bytes(), "").unwrap();
        assert_eq!(read.statements[0].standard, Standard::TdmRepHtml);
        let hidden = html.replace("<meta name=\"tdm-res", "<!-- <meta name=\"tdm-res");
        assert_eq!(permission(&hidden, "/"), None);
        let script = "<script>'<meta name=tdm-reservation content=0>'</script>";
        assert_eq!(permission(script, "/"), None);
        let other = "<META CONTENT='1' Name=TDM-Reservation />";
        assert_eq!(permission(other, "/"), Some(Permission::Deny));
    }

    #[test]
    fn protocol_errors_are_unset_and_told() {
        for value in ["\"1\"", "2", "true", "1.0", "null"] {
            let file = format!(r#"[{{"location": "/", "tdm-reservation": {value}}}]"#);
            let read = read(file.as_bytes(), "/").unwrap();
            assert!(read.statements.is_empty(), "{value}");
            assert_eq!(read.findings[0].code, "reservation.tdmrep.value.unknown");
        }
        let first = r#"[{"tdm-reservation": 1}, {"location": "/a", "tdm-reservation": 7},
                        {"location": "/", "tdm-reservation": 1}]"#;
        let read_first = read(first.as_bytes(), "/a").unwrap();
        assert_eq!(read_first.findings.len(), 2);
        assert_eq!(permission(first, "/a"), Some(Permission::Deny));
        let twice = r#"[{"location": "/", "tdm-reservation": 1, "tdm-reservation": 0}]"#;
        assert!(matches!(read(twice.as_bytes(), "/"), Err(ReservationError::Json { .. })));
        let nothing = read(b"Server: x\n", "/").unwrap();
        assert_eq!(nothing.findings[0].code, "reservation.tdmrep.absent");
        let both = "tdm-reservation: 0\ntdm-reservation: 1\n";
        assert_eq!(permission(both, "/"), Some(Permission::Deny));
        for path in ["", "a.png", "https://example.org/"] {
            assert!(matches!(read(ALL.as_bytes(), path), Err(ReservationError::Location(_))));
        }
    }
}
