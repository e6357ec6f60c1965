// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Inferences} from "../src/Inferences.sol";
import {Zk} from "../src/Zk.sol";
import {ZkKeys} from "../src/ZkKeys.sol";
import {ZkOpening} from "../src/ZkOpening.sol";
import {IInferences} from "../src/interfaces/IInferences.sol";
import {ModelKey} from "../src/interfaces/IRegistry.sol";
import {IZk, InferenceClaim, Reason} from "../src/interfaces/IZk.sol";
import {VectorFile} from "./Vectors.t.sol";
import {vm} from "./Vm.sol";

/// A proof of the vectors, of a model whose key the trainer registered.
contract InferencesTest is VectorFile {
    Inferences private inferences;
    ModelKey private modelKey;
    bytes32 private id;
    InferenceClaim private claim;
    bytes private key;
    bytes private input;
    bytes private output;
    bytes private proof;

    function setUp() public override {
        super.setUp();
        inferences = new Inferences(registry, new Zk(new ZkOpening(), new ZkKeys()));
        _load("zk/v1/perceptron_batch_1.json");
        key = vm.parseJsonBytes(json, _at(0, ".key"));
        input = vm.parseJsonBytes(json, _at(0, ".input"));
        output = vm.parseJsonBytes(json, _at(0, ".output"));
        proof = vm.parseJsonBytes(json, _at(0, ".proof"));
        claim = InferenceClaim({
            model: keccak256(key),
            context: _bytes32(0, ".context"),
            batch: uint32(_uint(0, ".batch")),
            input: keccak256(input),
            output: keccak256(output)
        });
        modelKey = ModelKey(checkpointId, claim.model, "statement", vm.addr(TRAINER));
        vm.prank(vm.addr(TRAINER));
        id = registry.registerModelKey(modelKey, "");
    }

    /// Whether the contract accepts the claim as it stands.
    function _verifies() private view returns (bool) {
        // A precompile that refuses its input takes all the gas.
        try inferences.verify{gas: 10_000_000}(modelKey, claim, key, input, output, proof) returns (
            bytes32 of_
        ) {
            vm.assertEq(of_, id);
            return true;
        } catch {
            return false;
        }
    }

    function test_prove() public {
        vm.assertTrue(_verifies());
        vm.expectEmit(true, true, true, true, address(inferences));
        emit IInferences.InferenceProved(id, claim.context, claim.output, claim.input, 1);
        vm.prank(vm.addr(STRANGER));
        vm.assertEq(inferences.prove(modelKey, claim, key, input, output, proof), id);
    }

    /// Each field of the record is needed: what is not registered proves nothing.
    function test_verify_unregistered() public {
        for (uint256 field = 0; field < 4; ++field) {
            ModelKey memory other = modelKey;
            if (field == 0) other.checkpoint = runId;
            if (field == 1) other.key = "other";
            if (field == 2) other.statement = "other";
            if (field == 3) other.author = vm.addr(STRANGER);
            vm.expectRevert(
                abi.encodeWithSelector(
                    IInferences.ModelKeyUnknown.selector, registry.hashModelKey(other)
                )
            );
            inferences.verify(other, claim, key, input, output, proof);
        }
    }

    /// A good proof of one model is none of another, registered as it may be.
    function test_verify_anotherModelsProof() public {
        ModelKey memory other = modelKey;
        other.key = "other";
        vm.prank(vm.addr(TRAINER));
        registry.registerModelKey(other, "");
        vm.expectRevert(
            abi.encodeWithSelector(
                IInferences.ModelKeyMismatch.selector, bytes32("other"), claim.model
            )
        );
        inferences.verify(other, claim, key, input, output, proof);
    }

    function test_verify_rejected() public {
        output[7] ^= 0x01;
        vm.expectRevert(abi.encodeWithSelector(IZk.ZkRejected.selector, Reason.PublicValues));
        inferences.verify(modelKey, claim, key, input, output, proof);
    }

    function test_verify_otherContext() public {
        claim.context = "another job";
        vm.assertFalse(_verifies());
    }

    /// Whoever registered the key does not escape a dispute by revoking it.
    function test_verify_revoked() public {
        vm.prank(vm.addr(TRAINER));
        registry.revoke(id, "reason");
        vm.assertTrue(_verifies());
    }

    function testFuzz_verify_changed(uint256 seed, uint8 bit) public {
        bytes1 flip = bytes1(uint8(1) << (bit % 8));
        if (seed % 8 == 0) key[seed / 8 % key.length] ^= flip;
        else if (seed % 8 == 1) input[seed / 8 % input.length] ^= flip;
        else if (seed % 8 == 2) output[seed / 8 % output.length] ^= flip;
        else proof[seed / 8 % proof.length] ^= flip;
        vm.assertFalse(_verifies());
    }
}
