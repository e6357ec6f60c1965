// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// Which check of a proof failed first (`docs/reference/zk-protocol.md`).
enum Reason {
    Version,
    ProofLength,
    ScalarEncoding,
    PointEncoding,
    PublicValues,
    LookupSum,
    LookupDenominator,
    LookupLayer,
    LookupLeaves,
    Operations,
    Convolutions,
    Evaluations,
    Opening,
    Key
}

/// The model with key digest `model` maps the `batch` inputs that hash to `input` to the outputs
/// that hash to `output`. `context` is what the proof is for: a caller that lets nobody replay
/// proofs derives it from its own address, the chain and the job.
struct InferenceClaim {
    bytes32 model;
    bytes32 context;
    uint32 batch;
    bytes32 input;
    bytes32 output;
}

/// Verifies proofs of inference of any model. Needs the BLS12-381 precompiles (EIP-2537, Prague).
interface IZk {
    /// A proof, or what was given with it, does not show the claim.
    error ZkRejected(Reason reason);

    /// Returns if `proof` shows `claim`, else reverts with `ZkRejected`. `key`, `input` and
    /// `output` are what the claim's digests commit to: the model key, a byte for each input
    /// value, eight for each output value. An empty `key` stands for the one that was stored for
    /// batches of this size (`IZkKeys`): if none was, it reverts with `KeyNotStored`.
    function verify(
        InferenceClaim calldata claim,
        bytes calldata key,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external view;
}
