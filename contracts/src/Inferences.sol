// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Records} from "./Records.sol";
import {IInferences} from "./interfaces/IInferences.sol";
import {IRegistry, Kind, ModelKey} from "./interfaces/IRegistry.sol";
import {IZk, InferenceClaim} from "./interfaces/IZk.sol";

/// Ties the verifier of proofs to the registry. See `IInferences`.
contract Inferences is IInferences {
    /// Where keys are registered.
    IRegistry public immutable registry;
    /// What verifies proofs.
    IZk public immutable zk;

    constructor(IRegistry registry_, IZk zk_) {
        registry = registry_;
        zk = zk_;
    }

    /// @inheritdoc IInferences
    function prove(
        ModelKey calldata modelKey,
        InferenceClaim calldata claim,
        bytes calldata key,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external returns (bytes32 id) {
        id = verify(modelKey, claim, key, input, output, proof);
        emit InferenceProved(id, claim.context, claim.output, claim.input, claim.batch);
    }

    /// @inheritdoc IInferences
    function verify(
        ModelKey calldata modelKey,
        InferenceClaim calldata claim,
        bytes calldata key,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) public view returns (bytes32 id) {
        id = Records.hash(modelKey);
        if (registry.recordOf(id).kind != Kind.ModelKey) revert ModelKeyUnknown(id);
        if (claim.model != modelKey.key) revert ModelKeyMismatch(modelKey.key, claim.model);
        zk.verify(claim, key, input, output, proof);
    }
}
