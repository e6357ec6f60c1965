//! CAWG training and data mining assertions (version 1.1), and those of C2PA 1.x.

use std::fmt;

use probity_core::{Digest, Finding, licence::Permission};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use super::{MAX_STATEMENTS, Read, ReservationError, Standard, Statement, Use, evidence, quoted};

/// The assertion's label.
pub const LABEL: &str = "cawg.training-mining";
/// Its label in C2PA 1.x.
pub const FORMER_LABEL: &str = "c2pa.training-mining";

/// The predefined entries, without their prefix `cawg.` or, formerly, `c2pa.`.
const ENTRIES: [(&str, Use); 4] = [
    ("ai_training", Use::AiTraining),
    ("ai_generative_training", Use::AiGenerativeTraining),
    ("ai_inference", Use::AiInference),
    ("data_mining", Use::DataMining),
];

/// An entry that says what the standard lets it say.
#[derive(Deserialize)]
struct Known {
    #[serde(rename = "use")]
    usage: String,
    /// The standard's text and schema call it by two names.
    #[serde(alias = "constraints_info")]
    constraint_info: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Known(Known),
    Other(IgnoredAny),
}

/// The entries as they stand, repeated ones too: a reader that keeps the last of them would let a
/// permission hide a reservation.
struct Entries(Vec<(String, Entry)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of entries")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[derive(Deserialize)]
struct Assertion {
    entries: Entries,
}

/// As manifest definitions and reports hold it.
#[derive(Deserialize)]
struct Labelled {
    label: String,
    data: Assertion,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Labelled(Labelled),
    Bare(Assertion),
}

/// Reads an assertion in JSON: its data alone, or with its label as
/// `{"label": "cawg.training-mining", "data": …}`.
///
/// # Errors
/// If it is too large, or no such assertion.
pub fn read(bytes: &[u8]) -> Result<Read, ReservationError> {
    let digest = evidence(bytes)?;
    let document = serde_json::from_slice(bytes)
        .map_err(|source| ReservationError::Json { standard: Standard::Cawg, source })?;
    let entries = match document {
        Document::Bare(Assertion { entries }) => entries.0,
        Document::Labelled(Labelled { label, data }) => {
            // Several assertions of one kind in a manifest are told apart by `__1`, `__2`, ….
            let kind = label.split("__").next().unwrap_or_default();
            if ![LABEL, FORMER_LABEL].contains(&kind) {
                return Err(ReservationError::Label(quoted(&label)));
            }
            data.entries.0
        }
    };
    if entries.len() > MAX_STATEMENTS {
        return Err(ReservationError::TooMany(entries.len()));
    }
    let mut read = Read::default();
    for (name, entry) in entries {
        read_entry(&mut read, digest, &name, entry);
    }
    Ok(read)
}

fn read_entry(read: &mut Read, digest: Digest, name: &str, entry: Entry) {
    let (standard, known) = match name.split_once('.') {
        Some(("cawg", rest)) => (Standard::Cawg, rest),
        Some(("c2pa", rest)) => (Standard::C2pa, rest),
        _ => (Standard::Cawg, ""),
    };
    let Some((_, usage)) = ENTRIES.iter().find(|(entry, _)| *entry == known) else {
        let message = "is no use that the standard predefines, and was passed over";
        read.findings.push(Finding::info("reservation.cawg.entry.custom", quoted(name), message));
        return;
    };
    let (said, note) = match entry {
        Entry::Known(Known { usage, constraint_info }) => (quoted(&usage), constraint_info),
        Entry::Other(_) => ("something else".to_owned(), None),
    };
    let permission = match said.as_str() {
        "allowed" => Permission::Allow,
        "notAllowed" => Permission::Deny,
        "constrained" => Permission::Constrained,
        _ => {
            read.findings.push(Finding::warning(
                "reservation.cawg.use.unknown",
                name,
                format!(
                    "expected `allowed`, `notAllowed` or `constrained`, got `{said}`: read as \
                     `constrained`"
                ),
            ));
            Permission::Constrained
        }
    };
    read.statements.push(Statement {
        usage: *usage,
        permission,
        standard,
        evidence: digest,
        part: name.to_owned(),
        note: note.map(|note| quoted(&note)),
    });
}

/// The data of an assertion that says the same of all four predefined uses.
pub fn assertion(permission: Permission, constraint: Option<&str>) -> serde_json::Value {
    let usage = match permission {
        Permission::Allow => "allowed",
        Permission::Constrained => "constrained",
        Permission::Deny => "notAllowed",
    };
    let constraint = constraint.filter(|_| permission == Permission::Constrained);
    let entries = ENTRIES.iter().map(|(name, _)| {
        let mut entry = serde_json::json!({ "use": usage });
        if let Some(constraint) = constraint {
            entry["constraint_info"] = constraint.into();
        }
        (format!("cawg.{name}"), entry)
    });
    serde_json::json!({ "entries": entries.collect::<serde_json::Map<_, _>>() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reservation::Decisions;

    /// The standard's example (§3.2), with the braces that it lacks.
    const EXAMPLE: &str = r#"{"entries": {
        "cawg.ai_training": {"use": "allowed"},
        "cawg.ai_generative_training": {"use": "notAllowed"},
        "cawg.data_mining": {"use": "constrained",
            "constraint_info": "may only be mined on days whose names end in 'y'"}}}"#;

    fn decisions(json: &str) -> Decisions {
        Decisions::of(read(json.as_bytes()).unwrap().statements)
    }

    #[test]
    fn the_standards_example() {
        let decided = decisions(EXAMPLE);
        assert_eq!(decided.permission(Use::AiTraining), Some(Permission::Allow));
        assert_eq!(decided.permission(Use::AiGenerativeTraining), Some(Permission::Deny));
        assert_eq!(decided.permission(Use::DataMining), Some(Permission::Constrained));
        assert_eq!(decided.permission(Use::AiInference), None);
        let note = decided.uses[&Use::DataMining].sources[0].note.as_deref();
        assert_eq!(note, Some("may only be mined on days whose names end in 'y'"));
        assert!(decided.reserve_training() && decided.conflicts.is_empty());
    }

    #[test]
    fn labelled_assertions_and_those_of_c2pa_1() {
        let labelled = format!(r#"{{"label": "cawg.training-mining__1", "data": {EXAMPLE}}}"#);
        assert_eq!(decisions(&labelled).uses.len(), 3);
        let former = r#"{"label": "c2pa.training-mining", "data": {"entries":
            {"c2pa.ai_training": {"use": "notAllowed"}}}}"#;
        let decided = decisions(former);
        assert_eq!(decided.uses[&Use::AiTraining].sources[0].standard, Standard::C2pa);
        let other = former.replace("training-mining", "actions");
        assert!(matches!(read(other.as_bytes()), Err(ReservationError::Label(_))));
    }

    #[test]
    fn what_is_unknown_is_told_and_never_permits() {
        let custom = read(br#"{"entries": {"org.example.use": 7}}"#).unwrap();
        assert!(custom.statements.is_empty());
        assert_eq!(custom.findings[0].code, "reservation.cawg.entry.custom");
        for said in [r#"{"use": "Allowed"}"#, "{}", "7", r#"{"use": "allowed", "use": "x"}"#] {
            let json = format!(r#"{{"entries": {{"cawg.ai_training": {said}}}}}"#);
            let read = read(json.as_bytes()).unwrap();
            assert_eq!(read.findings[0].code, "reservation.cawg.use.unknown", "{said}");
            assert_eq!(read.statements[0].permission, Permission::Constrained, "{said}");
        }
    }

    #[test]
    fn a_repeated_entry_does_not_hide_the_first() {
        let twice = r#"{"entries": {"cawg.ai_training": {"use": "notAllowed"},
                                    "cawg.ai_training": {"use": "allowed"}}}"#;
        let decided = decisions(twice);
        assert_eq!(decided.permission(Use::AiTraining), Some(Permission::Deny));
        assert_eq!(decided.conflicts.len(), 1);
    }

    #[test]
    fn what_we_write_is_read_the_same() {
        for permission in [Permission::Allow, Permission::Constrained, Permission::Deny] {
            let data = assertion(permission, Some("ask")).to_string();
            let decided = decisions(&data);
            assert_eq!(decided.uses.len(), 4);
            for decision in decided.uses.values() {
                assert_eq!(decision.permission, permission);
                let note = (permission == Permission::Constrained).then(|| "ask".to_owned());
                assert_eq!(decision.sources[0].note, note);
            }
        }
    }
}
