//! A lineage drawn: licences on the left, the model on the right.

use std::{collections::BTreeMap, fmt::Write as _};

use probity_core::Label;

use super::{Lineage, Node, NodeKind};

const WIDTH: usize = 250;
const LINE: usize = 16;
const GAP_X: usize = 70;
const GAP_Y: usize = 24;
const MARGIN: usize = 20;
/// Longest text in a box, in characters.
const TEXT: usize = 36;

struct Place {
    x: usize,
    y: usize,
    height: usize,
}

pub(super) fn draw(lineage: &Lineage) -> String {
    let places = places(lineage);
    let right = places.values().map(|place| place.x + WIDTH).max().unwrap_or(0) + MARGIN;
    let bottom = places.values().map(|place| place.y + place.height).max().unwrap_or(0) + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{right}\" height=\"{bottom}\" \
         viewBox=\"0 0 {right} {bottom}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Lineage of model {}</title>\n\
         <defs><marker id=\"head\" markerWidth=\"8\" markerHeight=\"8\" refX=\"8\" refY=\"4\" \
         orient=\"auto\"><path d=\"M0,0 L8,4 L0,8 z\" fill=\"#555\"/></marker></defs>\n\
         <rect width=\"{right}\" height=\"{bottom}\" fill=\"#fff\"/>\n",
        lineage.model
    );
    for edge in &lineage.edges {
        let ends = places.get(edge.to.as_str()).zip(places.get(edge.from.as_str()));
        let Some((start, end)) = ends else { continue };
        // Writing to a string does not fail.
        writeln!(svg, "{}", arrow(start, end)).unwrap_or_default();
    }
    for node in &lineage.nodes {
        if let Some(place) = places.get(node.id.as_str()) {
            svg.push_str(&boxed(node, place));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// A column for each kind that is there, a row for each node.
fn places(lineage: &Lineage) -> BTreeMap<&str, Place> {
    let mut kinds: Vec<NodeKind> = lineage.nodes.iter().map(|node| node.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut places = BTreeMap::new();
    for (column, kind) in kinds.into_iter().enumerate() {
        let x = MARGIN + column * (WIDTH + GAP_X);
        let mut y = MARGIN;
        for node in lineage.nodes.iter().filter(|node| node.kind == kind) {
            let height = LINE * (lines(node).len() + 1);
            places.insert(node.id.as_str(), Place { x, y, height });
            y += height + GAP_Y;
        }
    }
    places
}

fn lines(node: &Node) -> Vec<String> {
    let kind = format!("{:?}", node.kind).to_lowercase();
    let mut lines = vec![format!("{kind} {}", node.name)];
    if node.kind != NodeKind::Licence {
        lines.push(node.id.clone());
    }
    lines.extend(node.facts.iter().map(|(name, fact)| format!("{name}: {fact}")));
    lines.push(format!("[{}]", node.label));
    lines
}

/// From what something comes from to what came from it; within a column, around its left side.
fn arrow(start: &Place, end: &Place) -> String {
    let (from_y, to_y) = (start.y + start.height / 2, end.y + end.height / 2);
    let (from_x, to_x) = (start.x + WIDTH, end.x);
    let curve = if start.x == end.x {
        let out = start.x.saturating_sub(GAP_X / 2);
        format!("M{},{from_y} C{out},{from_y} {out},{to_y} {to_x},{to_y}", start.x)
    } else {
        let middle = usize::midpoint(from_x, to_x);
        format!("M{from_x},{from_y} C{middle},{from_y} {middle},{to_y} {to_x},{to_y}")
    };
    format!("<path d=\"{curve}\" fill=\"none\" stroke=\"#555\" marker-end=\"url(#head)\"/>")
}

fn boxed(node: &Node, place: &Place) -> String {
    let (fill, stroke) = match node.label {
        Label::Verified => ("#eaf6ea", "#2e7d32"),
        Label::Attested => ("#e8f2fa", "#1565c0"),
        Label::Asserted => ("#fdf6e3", "#b8860b"),
        Label::Missing => ("#fbeaea", "#b71c1c"),
    };
    let mut text = format!(
        "<g><title>{}</title><rect x=\"{}\" y=\"{}\" width=\"{WIDTH}\" height=\"{}\" rx=\"4\" \
         fill=\"{fill}\" stroke=\"{stroke}\"/>\n",
        escape(&node.id),
        place.x,
        place.y,
        place.height
    );
    for (index, line) in lines(node).iter().enumerate() {
        let (x, y) = (place.x + 8, place.y + LINE * (index + 1));
        let weight = if index == 0 { " font-weight=\"bold\"" } else { "" };
        let line = escape(&shortened(line));
        writeln!(text, "<text x=\"{x}\" y=\"{y}\"{weight}>{line}</text>").unwrap_or_default();
    }
    text.push_str("</g>\n");
    text
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= TEXT {
        return text.to_owned();
    }
    let start: String = text.chars().take(TEXT - 1).collect();
    format!("{start}…")
}

/// Text as XML 1.0 has it. What XML cannot hold at all was taken out when the node was added.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            // Not characters of XML.
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            other => escaped.push(other),
        }
    }
    escaped
}
