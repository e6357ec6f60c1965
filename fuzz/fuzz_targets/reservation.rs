//! Any bytes are a reservation in each of the formats or are refused; what was read is combined.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probity_provenance::reservation::{Decisions, aipref, cawg, tdmrep};

fuzz_target!(|input: (&[u8], &str)| {
    let (bytes, location) = input;
    let reads = [cawg::read(bytes), tdmrep::read(bytes, location), aipref::read(bytes)];
    let statements: Vec<_> =
        reads.into_iter().flatten().flat_map(|read| read.statements).collect();
    let decisions = Decisions::of(statements.clone());
    for statement in &statements {
        assert!(decisions.uses[&statement.usage].sources.contains(statement));
    }
});
