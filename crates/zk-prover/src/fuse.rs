//! Joining nodes that are one operation of integers.

use crate::graph::{Graph, Kind, Part};
use probity_zk::{Labels, labels::SUMMED, network::MAX_OPERATIONS};

/// Joins sums into sums and transpositions into products, where nothing else reads what is between,
/// and drops what is then read by nothing.
pub(crate) fn fuse(mut graph: Graph) -> Graph {
    if graph.nodes.len() > MAX_OPERATIONS {
        // Refused later anyway.
        return graph;
    }
    for index in 0..graph.nodes.len() {
        while let Some(joined) = sum_of_sum(&graph, index) {
            graph.nodes[index].kind = joined;
        }
        if let Some(joined) = turned_product(&graph, index) {
            graph.nodes[index].kind = joined;
        }
    }
    drop_unread(graph)
}

/// How many nodes read a value, as often as they do.
fn readers(graph: &Graph, value: usize) -> usize {
    graph.nodes.iter().flat_map(|node| node.kind.inputs()).filter(|input| *input == value).count()
}

fn sum_of_sum(graph: &Graph, index: usize) -> Option<Kind> {
    let Kind::Combine { parts, bias } = &graph.nodes.get(index)?.kind else { return None };
    let inner = |part: &Part| match &graph.nodes.get(part.input.checked_sub(1)?)?.kind {
        Kind::Combine { parts, bias } if bias.is_empty() => Some(parts.clone()),
        _ => None,
    };
    let (place, inner) = parts
        .iter()
        .enumerate()
        .filter(|(_, part)| readers(graph, part.input) == 1)
        .find_map(|(place, part)| Some((place, inner(part)?)))?;
    let outer = parts.get(place)?;
    let mut joined = parts.clone();
    joined.remove(place);
    for part in inner {
        let middle = graph.shape(outer.input);
        let labels = compose(outer.labels, part.labels, middle)?;
        joined.push(Part { input: part.input, labels, factor: part.factor * outer.factor });
    }
    Some(Kind::Combine { parts: joined, bias: bias.clone() })
}

/// Labels of a value's dimensions in the outer sum, through the inner one's. A value that the inner
/// sum repeats along what the outer one sums would count several times: that is left alone.
fn compose(outer: Labels, inner: Labels, middle: &[u32]) -> Option<Labels> {
    let summed = |(_, (label, size)): &(u8, (u8, u32))| *label >= SUMMED && *size > 1;
    if (0u8..).zip(outer.of(middle)).filter(summed).any(|(place, _)| !inner.has(place)) {
        return None;
    }
    let (outer, inner) = (outer.bytes(), inner.bytes());
    let mut next = SUMMED;
    let mut summed = || {
        next += 1;
        next - 1
    };
    let label = |label: u8| match label {
        255 => 255,
        label if label < SUMMED => match outer.get(usize::from(label)) {
            Some(outer) if *outer < SUMMED => *outer,
            _ => summed(),
        },
        _ => summed(),
    };
    Some(Labels::new(&inner.map(label)))
}

/// A transposition of a product that nothing else reads.
fn turned_product(graph: &Graph, index: usize) -> Option<Kind> {
    let Kind::Combine { parts, bias } = &graph.nodes.get(index)?.kind else { return None };
    let [part] = parts.as_slice() else { return None };
    let before = graph.nodes.get(part.input.checked_sub(1)?)?;
    let turned = before.shape.len() == graph.nodes.get(index)?.shape.len()
        && part.labels.of(&before.shape).all(|(label, _)| label < SUMMED);
    let Kind::Product { inputs, labels, factor } = &before.kind else { return None };
    if !turned || !bias.is_empty() || readers(graph, part.input) != 1 {
        return None;
    }
    let to = part.labels.bytes();
    let label = |label: u8| match to.get(usize::from(label)) {
        Some(turned) if label < SUMMED => *turned,
        _ => label,
    };
    let labels = labels.map(|labels| Labels::new(&labels.bytes().map(label)));
    Some(Kind::Product { inputs: *inputs, labels, factor: factor * part.factor })
}

fn drop_unread(graph: Graph) -> Graph {
    let count = graph.nodes.len();
    let mut read = vec![false; count + 1];
    read[count] = true;
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if read[index + 1] {
            node.kind.inputs().into_iter().for_each(|input| read[input] = true);
        }
    }
    // New numbers of values; the input keeps 0.
    let mut numbers = vec![0; count + 1];
    let mut nodes = vec![];
    for (index, mut node) in graph.nodes.into_iter().enumerate() {
        if read[index + 1] {
            node.kind.inputs_mut().into_iter().for_each(|input| *input = numbers[*input]);
            nodes.push(node);
            numbers[index + 1] = nodes.len();
        }
    }
    Graph { input: graph.input, nodes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Node;

    #[test]
    fn joined_nodes_compute_the_same() {
        let node = |shape: &[u32], kind| Node { name: String::new(), shape: shape.to_vec(), kind };
        let part =
            |input, labels: &[u8], factor| Part { input, labels: Labels::new(labels), factor };
        let sum = |parts| Kind::Combine { parts, bias: vec![] };
        let scores = Kind::Product {
            inputs: [2, 2],
            labels: [Labels::new(&[0, 4]), Labels::new(&[1, 4])],
            factor: 0.5,
        };
        let graph = Graph {
            input: vec![3, 4],
            nodes: vec![
                // A mean, the distance to it, and what nothing reads.
                node(&[3, 1], sum(vec![part(0, &[0, 4], 0.25)])),
                node(&[3, 4], sum(vec![part(0, &[0, 1], 1.0), part(1, &[0, 5], -1.0)])),
                node(&[3, 4], sum(vec![part(0, &[0, 1], 9.0)])),
                node(&[3, 3], scores),
                node(&[3, 3], sum(vec![part(4, &[1, 0], 2.0)])),
            ],
        };
        let input: Vec<f32> =
            [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8].map(|x: u8| f32::from(x)).to_vec();
        let fused = fuse(graph.clone());
        assert_eq!(fused.nodes.len(), 2);
        assert_eq!(fused.run(&input).unwrap().pop(), graph.run(&input).unwrap().pop());
    }
}
