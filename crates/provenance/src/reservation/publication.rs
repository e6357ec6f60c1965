//! TDMRep inside publications: the metadata of an EPUB's package document, and the XMP of a PDF
//! (W3C TDM Reservation Protocol, §"TDM metadata in EPUB" and §"in PDF").
//!
//! What is kept as evidence is the package document, or the XMP packet, not the publication.

use std::io::{Cursor, Read as _};

use quick_xml::{
    NsReader,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
    name::{QName, ResolveResult},
};
use zip::ZipArchive;

use super::{MAX_BYTES, MAX_STATEMENTS, ReservationError, Standard};

/// Where an EPUB says what its package documents are (EPUB OCF §"Container File").
const CONTAINER: &str = "META-INF/container.xml";
/// How the protocol's namespace begins: both forms, with `/` and with `#`, are in use.
const NAMESPACE: &str = "http://www.w3.org/ns/tdmrep";
/// The prefix of the protocol's properties in EPUB.
const PREFIX: &str = "tdm";
/// Most package documents or packets of one publication.
const MAX_DOCUMENTS: usize = 64;

/// The documents of a publication that may reserve it: an EPUB's package documents, a PDF's XMP
/// packets. `None` where the bytes are neither.
///
/// XMP packets are found as any scanner finds them (ISO 16684-1 §7.3): one that the PDF compresses or
/// encrypts is not.
///
/// # Errors
/// If an EPUB cannot be opened, or nothing in the publication could reserve it.
pub fn documents(bytes: &[u8]) -> Option<Result<Vec<Vec<u8>>, ReservationError>> {
    let found = if bytes.starts_with(b"PK\x03\x04") {
        packages(bytes).ok_or(ReservationError::Publication("is no EPUB that can be read"))
    } else if bytes.starts_with(b"%PDF-") {
        Ok(packets(bytes))
    } else {
        return None;
    };
    Some(found.and_then(|found| {
        let large = found.iter().map(Vec::len).find(|size| *size > MAX_BYTES);
        match (large, found.is_empty()) {
            (Some(size), _) => Err(ReservationError::TooLarge(size)),
            (None, true) => Err(ReservationError::Publication("has no metadata that can be read")),
            (None, false) => Ok(found),
        }
    }))
}

fn packages(epub: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut archive = ZipArchive::new(Cursor::new(epub)).ok()?;
    let container = entry(&mut archive, CONTAINER)?;
    let mut reader = NsReader::from_str(std::str::from_utf8(&container).ok()?);
    let mut paths = Vec::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == b"rootfile" => {
                paths.extend(attribute(&tag, b"full-path"));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    paths.iter().take(MAX_DOCUMENTS).map(|path| entry(&mut archive, path)).collect()
}

/// An archive's entry, of which one byte more than the limit is read.
fn entry(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    archive.by_name(name).ok()?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn packets(pdf: &[u8]) -> Vec<Vec<u8>> {
    let (begin, end) = (b"<?xpacket begin".as_slice(), b"<?xpacket end".as_slice());
    let find = |within: &[u8], what: &[u8]| within.windows(what.len()).position(|at| at == what);
    let mut found = Vec::new();
    let mut rest = pdf;
    while found.len() < MAX_DOCUMENTS
        && let Some(at) = find(rest, begin)
    {
        rest = rest.get(at..).unwrap_or_default();
        let Some(length) = find(rest, end) else { break };
        let packet = rest.get(..length).unwrap_or_default();
        // Without the processing instruction, which says nothing.
        let start = find(packet, b"?>").map_or(0, |at| at + 2);
        found.push(packet.get(start..).unwrap_or_default().trim_ascii().to_vec());
        rest = rest.get(length..).unwrap_or_default();
    }
    found
}

/// The properties of a package document or of XMP, named as the protocol's other forms name them, and
/// which of the two it is. `None` where it is another document, such as HTML.
pub(super) fn properties(text: &str) -> Option<(Standard, Vec<(String, String)>)> {
    let mut reader = NsReader::from_str(text);
    let root = loop {
        match reader.read_event().ok()? {
            Event::Start(tag) | Event::Empty(tag) => break tag,
            Event::Eof => return None,
            _ => {}
        }
    };
    match root.local_name().as_ref() {
        b"package" => Some((Standard::TdmRepEpub, of_package(&mut reader, &root))),
        b"xmpmeta" | b"xapmeta" | b"RDF" => Some((Standard::TdmRepXmp, of_xmp(&mut reader))),
        _ => None,
    }
}

/// `<meta property="tdm:reservation">1</meta>`, and as EPUB 2 has it `<meta name="..." content="..."/>`.
fn of_package(reader: &mut NsReader<&[u8]>, root: &BytesStart<'_>) -> Vec<(String, String)> {
    let declared = attribute(root, b"prefix").unwrap_or_default();
    let words: Vec<&str> = declared.split_whitespace().collect();
    let mut prefixes = vec![PREFIX];
    for pair in words.windows(2) {
        if let [prefix, uri] = pair
            && let Some(prefix) = prefix.strip_suffix(':')
            && uri.starts_with(NAMESPACE)
        {
            prefixes.push(prefix);
        }
    }
    let name_of = |property: &str| {
        let (prefix, local) = property.trim().split_once(':')?;
        prefixes.contains(&prefix).then(|| format!("tdm-{local}"))
    };
    let mut found = Vec::new();
    while found.len() < MAX_STATEMENTS {
        let (tag, is_empty) = match reader.read_event() {
            Ok(Event::Start(tag)) => (tag, false),
            Ok(Event::Empty(tag)) => (tag, true),
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => continue,
        };
        if tag.local_name().as_ref() != b"meta" {
            continue;
        }
        if let Some(name) = attribute(&tag, b"property").as_deref().and_then(name_of) {
            let value = if is_empty { String::new() } else { content(reader, tag.name()) };
            found.push((name, value));
        } else if let Some(name) = attribute(&tag, b"name").as_deref().and_then(name_of) {
            found.push((name, attribute(&tag, b"content").unwrap_or_default()));
        }
    }
    found
}

/// Elements and attributes in the protocol's namespace, at any depth.
fn of_xmp(reader: &mut NsReader<&[u8]>) -> Vec<(String, String)> {
    let is_ours = |resolved: &ResolveResult<'_>| matches!(resolved, ResolveResult::Bound(uri) if uri.0.starts_with(NAMESPACE.as_bytes()));
    let named = |local: &[u8]| format!("tdm-{}", String::from_utf8_lossy(local));
    let mut found = Vec::new();
    while found.len() < MAX_STATEMENTS {
        let (resolved, event) = match reader.read_resolved_event() {
            Ok((resolved, event)) => (is_ours(&resolved), event),
            Err(_) => break,
        };
        let (tag, is_empty) = match event {
            Event::Start(tag) => (tag, false),
            Event::Empty(tag) => (tag, true),
            Event::Eof => break,
            _ => continue,
        };
        for attribute in tag.attributes().flatten() {
            let (resolved, local) = reader.resolver().resolve_attribute(attribute.key);
            if is_ours(&resolved) {
                let value = attribute.unescape_value().unwrap_or_default().into_owned();
                found.push((named(local.as_ref()), value));
            }
        }
        if resolved {
            let value = if is_empty { String::new() } else { content(reader, tag.name()) };
            found.push((named(tag.local_name().as_ref()), value));
        }
    }
    found
}

fn attribute(tag: &BytesStart<'_>, name: &[u8]) -> Option<String> {
    let found = tag.try_get_attribute(name).ok()??;
    Some(found.unescape_value().ok()?.into_owned())
}

/// The text up to the end of an element, and nothing where it has elements of its own.
fn content(reader: &mut NsReader<&[u8]>, name: QName<'_>) -> String {
    let mut text = String::new();
    loop {
        match reader.read_event() {
            Ok(Event::Text(part)) => text.push_str(&part.decode().unwrap_or_default()),
            Ok(Event::CData(part)) => text.push_str(&part.decode().unwrap_or_default()),
            Ok(Event::GeneralRef(reference)) => {
                let plain = reference.decode().unwrap_or_default();
                match (reference.resolve_char_ref(), resolve_predefined_entity(&plain)) {
                    (Ok(Some(letter)), _) => text.push(letter),
                    (_, Some(letter)) => text.push_str(letter),
                    _ => {}
                }
            }
            Ok(Event::Comment(_) | Event::PI(_)) => {}
            Ok(Event::End(end)) if end.name() == name => return text,
            // Another element, or the document's end.
            _ => return String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use probity_core::licence::Permission;
    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;
    use crate::reservation::{Decisions, Use, tdmrep};

    const PACKAGE: &str = r#"<?xml version="1.0"?>
        <package xmlns="http://www.idpf.org/2007/opf" version="3.0"
            prefix="x: http://example.org/ tdm: http://www.w3.org/ns/tdmrep#">
          <metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>A book</dc:title>
            <meta property="tdm:reservation">1</meta>
            <meta property="tdm:policy">https://provider.com/policies/policy.json?a&amp;b</meta>
          </metadata></package>"#;
    const XMP: &str = r#"<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
        <x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
          xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
          <rdf:Description rdf:about="" xmlns:tdm="http://www.w3.org/ns/tdmrep/">
            <tdm:reservation>1</tdm:reservation>
          </rdf:Description></rdf:RDF></x:xmpmeta>
        <?xpacket end="w"?>"#;

    fn epub(package: &str) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let container = r#"<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
            <rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>"#;
        for (name, text) in [(CONTAINER, container), ("OPS/book.opf", package)] {
            writer.start_file(name, SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn said(publication: &[u8]) -> Option<Permission> {
        let documents = documents(publication).unwrap().unwrap();
        let read = documents.iter().flat_map(|it| tdmrep::read(it, "").unwrap().statements);
        Decisions::of(read).permission(Use::AiTraining)
    }

    #[test]
    fn a_book_is_reserved_by_its_package_document() {
        assert_eq!(said(&epub(PACKAGE)), Some(Permission::Constrained));
        let read = tdmrep::read(PACKAGE.as_bytes(), "").unwrap();
        assert_eq!(read.statements[0].standard, Standard::TdmRepEpub);
        let policy = "https://provider.com/policies/policy.json?a&b";
        assert_eq!(read.statements[0].note.as_deref(), Some(policy));
        let renamed = PACKAGE.replace("tdm:", "rights:");
        assert_eq!(said(&epub(&renamed)), Some(Permission::Constrained));
        let foreign = PACKAGE.replace("tdm:res", "x:res").replace("tdm:pol", "x:pol");
        assert_eq!(said(&epub(&foreign)), None);
        let of_epub_2 = r#"<package><meta name="tdm:reservation" content="1"/></package>"#;
        assert_eq!(said(&epub(of_epub_2)), Some(Permission::Deny));
    }

    #[test]
    fn a_pdf_is_reserved_by_its_metadata() {
        let pdf = |xmp: &str| format!("%PDF-1.7\n1 0 obj stream\n{xmp}\nendstream").into_bytes();
        assert_eq!(said(&pdf(XMP)), Some(Permission::Deny));
        let short = XMP.replace("<tdm:reservation>1</tdm:reservation>", "").replace(
            "rdf:about=\"\"",
            "rdf:about=\"\" tdm:reservation=\"1\" tdm:policy=\"https://example.org/\"",
        );
        assert_eq!(said(&pdf(&short)), Some(Permission::Constrained));
        assert_eq!(said(&pdf(&XMP.replace("/ns/tdmrep/", "/ns/other/"))), None);
        // Every packet counts.
        let two = format!("{}{XMP}", XMP.replace(">1<", ">0<"));
        assert_eq!(said(&pdf(&two)), Some(Permission::Deny));
        let none = documents(b"%PDF-1.7\n%%EOF").unwrap().unwrap_err();
        assert!(none.to_string().contains("no metadata"), "{none}");
    }

    #[test]
    fn what_is_no_publication_is_refused() {
        assert!(documents(b"text").is_none());
        let whole = epub(PACKAGE);
        for cut in [4, whole.len() / 2, whole.len() - 1] {
            assert!(documents(&whole[..cut]).unwrap().is_err(), "{cut}");
        }
        let huge = format!("<package>{}</package>", " ".repeat(MAX_BYTES));
        assert!(matches!(documents(&epub(&huge)), Some(Err(ReservationError::TooLarge(_)))));
        assert_eq!(properties("<html><meta property='tdm:reservation'>1</meta></html>"), None);
        let (cut, _) = PACKAGE.split_once("</metadata>").unwrap();
        assert_eq!(properties(cut).unwrap().1.len(), 2, "what was said stays said");
    }
}
