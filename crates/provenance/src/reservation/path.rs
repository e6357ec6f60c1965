//! Patterns of URL paths, as RFC 9309 §2.2.2 has them and TDMRep after it.

use super::{ReservationError, quoted};

/// Longest path, in bytes, that is matched against patterns.
const MAX_LOCATION: usize = 2048;

/// The path of a work's URL, in one spelling.
pub(super) struct UrlPath(Vec<u8>);

impl UrlPath {
    pub(super) fn new(location: &str) -> Result<Self, ReservationError> {
        if !location.starts_with('/') || location.len() > MAX_LOCATION {
            return Err(ReservationError::Location(quoted(location)));
        }
        Ok(Self(normal(location, true)))
    }
}

/// A pattern, in one spelling.
pub(super) struct Pattern(Vec<u8>);

impl Pattern {
    pub(super) fn new(pattern: &str) -> Self {
        Self(normal(pattern, false))
    }

    /// Bytes: of two patterns the longer one decides.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn matches(&self, path: &UrlPath) -> bool {
        matches(&self.0, &path.0)
    }
}

/// A path or pattern in one spelling: unreserved characters plain, all others that were
/// percent-encoded with upper-case digits. In a path, what means something in a pattern is encoded.
fn normal(text: &str, is_path: bool) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut normal = Vec::with_capacity(bytes.len());
    let mut position = 0;
    while let Some(&byte) = bytes.get(position) {
        position += 1;
        let digits = bytes.get(position..position + 2).filter(|_| byte == b'%');
        let decoded = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (value, was_encoded) = decoded.map_or((byte, false), |value| (value, true));
        position += if was_encoded { 2 } else { 0 };
        let is_unreserved = value.is_ascii_alphanumeric() || b"-._~".contains(&value);
        let means_something = is_path && b"*$".contains(&value);
        if (was_encoded && !is_unreserved) || means_something {
            normal.extend_from_slice(format!("%{value:02X}").as_bytes());
        } else {
            normal.push(value);
        }
    }
    normal
}

/// Whether a pattern matches the beginning of a path: `*` stands for any characters, `$` for the
/// path's end. Takes the earliest place for each literal part, so it never tries again.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    let (pattern, to_end) =
        pattern.strip_suffix(b"$").map_or((pattern, false), |pattern| (pattern, true));
    let mut parts = pattern.split(|byte| *byte == b'*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return !to_end || rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if to_end && parts.peek().is_none() {
            return rest.ends_with(part);
        }
        if part.is_empty() {
            continue;
        }
        let Some(at) = rest.windows(part.len()).position(|window| window == part) else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The protocol's pattern language, with the examples of its table.
    #[test]
    fn patterns() {
        let holds =
            |pattern, path| Pattern(normal(pattern, false)).matches(&UrlPath(normal(path, true)));
        assert!(holds("/this/path/exactly$", "/this/path/exactly"));
        assert!(!holds("/this/path/exactly$", "/this/path/exactly/not"));
        assert!(holds("/this/*/then", "/this/and/that/then/more"));
        assert!(!holds("/this/*/then", "/this/then"));
        assert!(holds("/path/foo-%24", "/path/foo-$"));
        assert!(holds("/*.jpg$", "/a.jpg.jpg") && !holds("/*.jpg$", "/a.jpg?x"));
        assert!(holds("/a%62c", "/abc") && holds("/abc", "/%61bc"));
        assert!(holds("/a%2fb", "/a%2Fb") && !holds("/a%2fb", "/a/b"));
        assert!(!holds("/ab*bc$", "/abc"));
        assert!(holds("*", "/") && holds("/**$", "/") && holds("$", "") && !holds("$", "x"));
    }
}
