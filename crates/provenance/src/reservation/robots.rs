//! `Content-Usage` rules of `robots.txt`: draft-ietf-aipref-attach §"Robots Exclusion Protocol", which
//! extends RFC 9309.
//!
//! A crawler follows the groups that name it. Which crawler somebody used is not known here, so the
//! groups of every crawler count, and the most restrictive holds. Where a group disallows crawling
//! the draft has it state nothing; here it then permits nothing.

use std::collections::BTreeMap;

use probity_core::{Digest, Finding, licence::Permission};

use super::{
    MAX_STATEMENTS, Read, ReservationError, Standard, aipref, evidence,
    path::{Pattern, UrlPath},
    quoted, text,
};

/// What a group says: whether paths may be crawled, and how their content may be used.
#[derive(Default)]
struct Group<'a> {
    crawling: Vec<(&'a str, bool)>,
    usage: Vec<(&'a str, &'a str)>,
}

/// Reads the rules about one path of a site. `location` is the path of the work's URL.
///
/// # Errors
/// If it is too large, not text, or has more rules than anybody writes; if the path is none.
pub fn read(bytes: &[u8], location: &str) -> Result<Read, ReservationError> {
    let digest = evidence(bytes)?;
    let text = text(bytes, Standard::Robots)?;
    let path = UrlPath::new(location)?;
    let mut read = Read::default();
    for (agent, group) in groups(text, &mut read)? {
        group.say(&agent, &path, digest, &mut read);
    }
    Ok(read)
}

/// The groups by product token, those of one token as one (RFC 9309 §2.2.1).
fn groups<'a>(
    text: &'a str,
    read: &mut Read,
) -> Result<BTreeMap<String, Group<'a>>, ReservationError> {
    let mut groups: BTreeMap<String, Group<'a>> = BTreeMap::new();
    let (mut agents, mut has_rules, mut rules) = (Vec::new(), false, 0);
    for line in text.trim_start_matches('\u{feff}').split(['\r', '\n']) {
        let line = line.split('#').next().unwrap_or_default();
        let Some((key, value)) = line.split_once(':') else { continue };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        if key == "user-agent" {
            if has_rules {
                (agents, has_rules) = (Vec::new(), false);
            }
            let agent = value.to_ascii_lowercase();
            groups.entry(agent.clone()).or_default();
            agents.push(agent);
            continue;
        }
        let is_usage = key == "content-usage";
        if !is_usage && key != "allow" && key != "disallow" {
            continue;
        }
        if is_usage && agents.is_empty() {
            let message = "is in no group, and was passed over";
            let code = "reservation.robots.rule.ungrouped";
            read.findings.push(Finding::warning(code, quoted(value), message));
        }
        has_rules = true;
        rules += agents.len();
        if rules > MAX_STATEMENTS {
            return Err(ReservationError::TooMany(rules));
        }
        for agent in &agents {
            let Some(group) = groups.get_mut(agent) else { continue };
            if is_usage {
                group.usage.push(usage(value));
            } else {
                group.crawling.push((value, key == "allow"));
            }
        }
    }
    Ok(groups)
}

/// Path and preference of a rule's value. Without a path it is about every one.
fn usage(value: &str) -> (&str, &str) {
    if value.starts_with('/') {
        value.split_once([' ', '\t']).unwrap_or((value, ""))
    } else {
        ("", value)
    }
}

impl Group<'_> {
    /// Whether a path may be crawled: the longest pattern decides, of two the one that allows.
    fn allows(&self, path: &UrlPath) -> bool {
        let of = |(pattern, allows): &(&str, bool)| {
            let pattern = Pattern::new(pattern);
            (pattern.len() > 0 && pattern.matches(path)).then_some((pattern.len(), *allows))
        };
        self.crawling.iter().filter_map(of).max().is_none_or(|(_, allows)| allows)
    }

    /// The rules of the longest pattern that matches; each counts.
    fn say(&self, agent: &str, path: &UrlPath, digest: Digest, read: &mut Read) {
        let matching = self.usage.iter().filter_map(|(pattern, value)| {
            let known = Pattern::new(pattern);
            known.matches(path).then_some((known.len(), *pattern, *value))
        });
        let matching: Vec<_> = matching.collect();
        let longest = matching.iter().map(|(length, ..)| *length).max();
        let allowed = self.allows(path);
        for (_, pattern, value) in matching.iter().filter(|rule| Some(rule.0) == longest) {
            let mut said = Read::default();
            aipref::read_value(&mut said, digest, value);
            said.statements.retain(|it| allowed || it.permission != Permission::Allow);
            for statement in &mut said.statements {
                statement.standard = Standard::Robots;
                statement.part = quoted(&format!("{agent} {pattern} {}", statement.part));
            }
            read.extend(said);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reservation::{Decisions, Use};

    /// draft-ietf-aipref-attach, "Example".
    const EXAMPLE: &str = "User-Agent: *\nAllow: /\nDisallow: /never/\nContent-Usage: train-ai=n\n\
                           Content-Usage: /ai-ok/ train-ai=y\n";
    const BOT: &str = "\nUser-Agent: ExampleBot\nAllow: /\nContent-Usage: train-ai=y\n";

    fn said(text: &str, path: &str) -> Option<Permission> {
        let read = read(text.as_bytes(), path).unwrap();
        Decisions::of(read.statements).permission(Use::AiGenerativeTraining)
    }

    #[test]
    fn the_drafts_example() {
        assert_eq!(said(EXAMPLE, "/test"), Some(Permission::Deny));
        assert_eq!(said(EXAMPLE, "/ai-ok/test"), Some(Permission::Allow));
        // What only one crawler may do is not what everybody may.
        let both = format!("{EXAMPLE}{BOT}");
        assert_eq!(said(&both, "/test"), Some(Permission::Deny));
        assert_eq!(said(BOT, "/test"), Some(Permission::Allow));
        let read = read(both.as_bytes(), "/ai-ok/x").unwrap();
        let parts: Vec<_> = read.statements.iter().map(|it| it.part.as_str()).collect();
        assert_eq!(parts, ["* /ai-ok/ train-ai", "examplebot  train-ai"]);
        assert!(read.statements.iter().all(|it| it.standard == Standard::Robots));
    }

    #[test]
    fn what_may_not_be_crawled_is_not_permitted() {
        let text = "user-agent: *\ndisallow: /a\nallow: /a/b\ncontent-usage: train-ai=y, search=y";
        assert_eq!(said(text, "/a/c"), None);
        assert_eq!(said(text, "/a/b/c"), Some(Permission::Allow));
        assert_eq!(said(&text.replace("ai=y", "ai=n"), "/a/c"), Some(Permission::Deny));
        assert_eq!(
            said(&text.replace("disallow: /a", "disallow:"), "/a/c"),
            Some(Permission::Allow)
        );
        assert_eq!(said(&text.replace("/a/b", "/a"), "/a/c"), Some(Permission::Allow));
    }

    #[test]
    fn groups_comments_and_identical_paths() {
        let text = "Content-Usage: train-ai=n\r\nUser-agent: a # one\r\nUSER-AGENT: b\r\n\
                    content-usage :/x* train-ai=y # not n\r\nSitemap: /s\r\nUser-agent: A\r\n\
                    Content-Usage: /x*\ttrain-ai=n\r\n";
        let read = read(text.as_bytes(), "/xy").unwrap();
        assert_eq!(read.findings[0].code, "reservation.robots.rule.ungrouped");
        let of = |agent: &str| -> Vec<Permission> {
            let its = read.statements.iter().filter(|it| it.part.starts_with(agent));
            its.map(|it| it.permission).collect()
        };
        assert_eq!(of("a "), [Permission::Allow, Permission::Deny]);
        assert_eq!(of("b "), [Permission::Allow]);
        assert_eq!(said(text, "/y"), None);
        for path in ["", "x"] {
            assert!(matches!(super::read(b"", path), Err(ReservationError::Location(_))));
        }
        let many = format!("{}{}", "user-agent: a\n".repeat(101), "allow: /\n".repeat(101));
        assert!(matches!(super::read(many.as_bytes(), "/"), Err(ReservationError::TooMany(_))));
    }
}
