//! Any bytes are a model, ONNX or the trainer's, that can be run and quantised or refused, without a
//! panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probity_zk_prover::{Graph, quantise};

fuzz_target!(|bytes: &[u8]| {
    let read = Graph::from_onnx(bytes).or_else(|_| Graph::from_mlp(bytes, 16));
    let Ok(graph) = read else { return };
    let count: usize = graph.input.iter().map(|size| *size as usize).product();
    let largest = graph.nodes.iter().map(|node| node.shape.iter().product::<u32>()).max();
    if count < 1 << 12 && largest.unwrap_or(0) < 1 << 12 {
        if let Ok(quantised) = quantise(&graph, &[vec![0.5; count]]) {
            assert!(quantised.model.run(&vec![1; count]).is_ok());
        }
    }
});
