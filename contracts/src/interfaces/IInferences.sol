// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ModelKey} from "./IRegistry.sol";
import {InferenceClaim} from "./IZk.sol";

/// Proofs of inference by registered models: what a dispute over an output asks.
///
/// A registered key's record is its author's word that the key follows from a checkpoint's files;
/// under it, outputs are proved. Revoking the record changes nothing here, so that nobody escapes a
/// dispute by it: who relies on a key from now on looks at `IRegistry.revokedAt`.
interface IInferences {
    /// The model with the key of record `id` made the outputs that hash to `output` of the `batch`
    /// inputs that hash to `input`.
    event InferenceProved(
        bytes32 indexed id,
        bytes32 indexed context,
        bytes32 indexed output,
        bytes32 input,
        uint32 batch
    );

    /// No key is registered with these fields.
    error ModelKeyUnknown(bytes32 id);
    /// The claim is about the model with key `got`, the record of key `expected`.
    error ModelKeyMismatch(bytes32 expected, bytes32 got);

    /// Returns the id of the key's record if `proof` shows `claim` of the registered model, else
    /// reverts. `key`, `input` and `output` are what the claim's digests commit to (`IZk.verify`).
    function verify(
        ModelKey calldata modelKey,
        InferenceClaim calldata claim,
        bytes calldata key,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external view returns (bytes32 id);

    /// As `verify`, and says so in an event. Anybody may; a claim stays true however often it is
    /// proved.
    function prove(
        ModelKey calldata modelKey,
        InferenceClaim calldata claim,
        bytes calldata key,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external returns (bytes32 id);
}
