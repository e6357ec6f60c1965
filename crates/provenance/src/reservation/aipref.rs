//! IETF AI preferences: `Content-Usage` labels.
//!
//! The vocabulary is draft-ietf-aipref-vocab as its working group had it in August 2026, with the
//! categories `train-ai` and `search`; a dictionary of RFC 9651.

use probity_core::{Digest, Finding, licence::Permission};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::{Read, ReservationError, Standard, Statement, Use, evidence, quoted, text};

/// The categories of the vocabulary.
const LABELS: [(&str, Use); 2] = [("train-ai", Use::AiGenerativeTraining), ("search", Use::Search)];

/// Labels of earlier drafts. The newest says that unknown labels must be ignored.
const FORMER: [&str; 8] =
    ["tdm", "ai", "genai", "all", "bots", "train-genai", "ai-use", "ai-output"];

/// Reads preferences: the value of a `Content-Usage` field alone, or the header fields of an HTTP
/// message, of which every `Content-Usage` counts by itself.
///
/// What does not parse states nothing (draft §"Multiple Preferences"), and is a finding.
///
/// # Errors
/// If it is too large, or not text.
pub fn read(bytes: &[u8]) -> Result<Read, ReservationError> {
    let digest = evidence(bytes)?;
    let text = text(bytes, Standard::Aipref)?;
    let mut read = Read::default();
    let fields: Vec<&str> = text.lines().filter_map(field).collect();
    if fields.is_empty() {
        read_value(&mut read, digest, text);
    }
    for value in fields {
        read_value(&mut read, digest, value);
    }
    Ok(read)
}

/// The value of a `Content-Usage` header line. Field names have any case (RFC 9110 §5.1).
fn field(line: &str) -> Option<&str> {
    let (name, value) = line.split_once(':')?;
    name.trim().eq_ignore_ascii_case("content-usage").then_some(value)
}

pub(super) fn read_value(read: &mut Read, digest: Digest, value: &str) {
    let value = value.trim();
    let dictionary = match Parser::new(value).parse::<Dictionary>() {
        Ok(dictionary) => dictionary,
        Err(error) => {
            let message = format!("is no dictionary of RFC 9651 ({error}): it states nothing");
            let finding = Finding::warning("reservation.aipref.malformed", quoted(value), message);
            read.findings.push(finding);
            return;
        }
    };
    for (label, entry) in &dictionary {
        let label = label.as_str();
        let Some((_, usage)) = LABELS.iter().find(|(known, _)| *known == label) else {
            read.findings.push(unknown(label));
            continue;
        };
        let permission = match entry {
            ListEntry::Item(item) => match &item.bare_item {
                BareItem::Token(token) if token.as_str() == "y" => Permission::Allow,
                BareItem::Token(token) if token.as_str() == "n" => Permission::Deny,
                _ => {
                    read.findings.push(unstated(label));
                    continue;
                }
            },
            ListEntry::InnerList(_) => {
                read.findings.push(unstated(label));
                continue;
            }
        };
        read.statements.push(Statement {
            usage: *usage,
            permission,
            standard: Standard::Aipref,
            evidence: digest,
            part: label.to_owned(),
            note: None,
        });
    }
}

fn unknown(label: &str) -> Finding {
    if FORMER.contains(&label) {
        let message = "is a label of an earlier draft, and was passed over as the newest asks";
        Finding::warning("reservation.aipref.label.former", label, message)
    } else {
        let message = "is no label of the vocabulary, and was passed over";
        Finding::info("reservation.aipref.label.unknown", quoted(label), message)
    }
}

fn unstated(label: &str) -> Finding {
    let message = "is neither `y` nor `n`: the preference is unknown";
    Finding::warning("reservation.aipref.value.unknown", label, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(text: &str) -> Vec<(Use, Permission)> {
        let read = read(text.as_bytes()).unwrap();
        read.statements.iter().map(|it| (it.usage, it.permission)).collect()
    }

    fn codes(text: &str) -> Vec<String> {
        read(text.as_bytes()).unwrap().findings.into_iter().map(|it| it.code).collect()
    }

    /// draft-ietf-aipref-vocab, "Exemplary Serialization Format".
    #[test]
    fn the_drafts_example() {
        assert_eq!(
            stated("train-ai=y, search=n"),
            [(Use::AiGenerativeTraining, Permission::Allow), (Use::Search, Permission::Deny)]
        );
    }

    /// The same, "Multiple Preferences" and "Preference Parameters".
    #[test]
    fn the_drafts_examples_of_what_is_unknown() {
        let text = r#"train-ai=y, train-ai, search=n, search="n""#;
        assert!(stated(text).is_empty());
        assert_eq!(codes(text), ["reservation.aipref.value.unknown"; 2]);
        let allowed = [(Use::AiGenerativeTraining, Permission::Allow)];
        assert_eq!(stated("train-ai;allow=n, train-ai=y"), allowed);
        assert!(stated(r#"train-ai;has;parameters="?""#).is_empty());
        assert!(stated("TRAIN-AI=n").is_empty());
        assert_eq!(codes("TRAIN-AI=n"), ["reservation.aipref.malformed"]);
        assert_eq!(codes("train-ai=(n)"), ["reservation.aipref.value.unknown"]);
    }

    /// draft-ietf-aipref-attach, "Examples".
    #[test]
    fn the_drafts_http_response() {
        let response = "HTTP/1.1 200 OK\r\nDate: Wed, 23 Apr 2025 04:48:02 GMT\r\n\
                        Content-Type: text/plain\r\nContent-Usage: train-ai=n\r\n\r\n";
        assert_eq!(stated(response), [(Use::AiGenerativeTraining, Permission::Deny)]);
    }

    #[test]
    fn each_field_counts_and_former_labels_are_told() {
        let fields = "Content-Usage: train-ai=n\ncontent-usage: train-ai=y\n";
        assert_eq!(stated(fields).len(), 2);
        assert_eq!(codes("genai=n"), ["reservation.aipref.label.former"]);
        assert_eq!(codes("x=n"), ["reservation.aipref.label.unknown"]);
        assert!(matches!(read(&[0xff]), Err(ReservationError::NotText(_))));
    }
}
