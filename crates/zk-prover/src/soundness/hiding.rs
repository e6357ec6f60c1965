//! Hiding proofs: complete, sound, and simulated without a witness. `docs/reference/zk-protocol.md` §8.

use probity_zk::{HidingStatement, Rejection, Stage, verify, verify_hiding};
use zeroize::Zeroizing;

use super::{Case, ROW_BITS, model, network, pattern};
use crate::{InputOpening, ProvingKey, Seed, prove_hiding};

fn seed(byte: u8) -> Seed {
    Zeroizing::new([byte; 32])
}

#[test]
fn hiding_proofs_verify() {
    let keys = [
        ProvingKey::new(model()).unwrap(),
        ProvingKey::hiding(model(), &seed(1)).unwrap(),
    ];
    for key in &keys {
        for batch in [1, 3] {
            let values = pattern(70 * batch, 3);
            let input = InputOpening::new(values, seed(2));
            let (statement, proof) = prove_hiding(key, [9; 32], &input, &seed(3)).unwrap();
            assert_eq!(verify_hiding(key.model_key(), &statement, &proof), Ok(()));
        }
    }
}
