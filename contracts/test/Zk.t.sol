// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Zk} from "../src/Zk.sol";
import {ZkKeys} from "../src/ZkKeys.sol";
import {ZkOpening} from "../src/ZkOpening.sol";
import {IZk, InferenceClaim, Reason} from "../src/interfaces/IZk.sol";
import {IZkKeys} from "../src/interfaces/IZkKeys.sol";
import {VectorFile} from "./Vectors.t.sol";
import {vm} from "./Vm.sol";

/// The vectors that drive the Rust verifier too: `vectors/zk/v1`.
contract ZkTest is VectorFile {
    Zk private zk;
    ZkKeys private keys;

    function setUp() public override {
        keys = new ZkKeys();
        zk = new Zk(new ZkOpening(), keys);
    }

    function testCodeFitsTheLimit() public view {
        vm.assertTrue(address(zk).code.length <= 24_576);
        vm.assertTrue(address(keys).code.length <= 24_576);
        vm.assertTrue(address(zk.OPENING()).code.length <= 24_576);
    }

    function testVectors() public {
        (uint256 good, uint256 bad) = all("zk/v1/index.json");
        vm.assertEq(good, 8);
        vm.assertGe(bad, 63);
    }

    /// What provers that cheat send.
    function testForgedVectors() public {
        (uint256 good, uint256 bad) = all("zk/v1/forged.json");
        vm.assertEq(good, 3);
        vm.assertGe(bad, 30);
    }

    /// Nothing is no key, and a stored key is one for its own size of batches.
    function testKeyThatIsNotStored() public {
        _load("zk/v1/perceptron_batch_1.json");
        bytes memory key = _bytes(0, ".key");
        keys.store(2, key, 0);
        InferenceClaim memory claim;
        (claim.model, claim.batch) = (keccak256(key), 1);
        vm.expectRevert(
            abi.encodeWithSelector(IZkKeys.KeyNotStored.selector, claim.model, uint32(1), 0)
        );
        zk.verify(claim, "", "", "", "");
        claim.model = keccak256("");
        vm.expectRevert(
            abi.encodeWithSelector(IZkKeys.KeyNotStored.selector, claim.model, uint32(1), 0)
        );
        zk.verify(claim, "", "", "", "");
    }

    /// Hiding proofs and keys are none of this contract's, whatever they show.
    function testHidingIsRefused() public {
        _load("zk/v1/hiding.json");
        uint256 index = 0;
        for (; _exists(index); ++index) {
            this.refused(_string(index, ".name"));
            _load("zk/v1/hiding.json");
        }
        vm.assertGe(index, 30);
    }

    function refused(string calldata name) external {
        _load(string.concat("zk/v1/", name, ".json"));
        // As many inputs as the model reads, so that it is the proof or the key that is refused.
        bytes memory input = new bytes(5 * _uint(0, ".batch"));
        bytes memory output = _bytes(0, ".output");
        InferenceClaim memory claim = InferenceClaim({
            model: keccak256(_bytes(0, ".key")),
            context: _bytes32(0, ".context"),
            batch: uint32(_uint(0, ".batch")),
            input: keccak256(input),
            output: keccak256(output)
        });
        bytes memory version = abi.encodeWithSelector(IZk.ZkRejected.selector, Reason.Version);
        bytes memory key = _bytes(0, ".key");
        bytes memory proof = _bytes(0, ".proof");
        vm.expectRevert(version);
        zk.verify(claim, key, input, output, proof);
    }

    function all(string memory list) private returns (uint256 good, uint256 bad) {
        _load(list);
        for (uint256 index = 0; _exists(index); ++index) {
            string memory name = _string(index, ".name");
            // A call of its own frees its memory.
            if (this.check(name)) ++good;
            else ++bad;
            _load(list);
        }
    }

    /// Whether a case is good; fails if the contract does not say of it what Rust says.
    function check(string calldata name) external returns (bool) {
        _load(string.concat("zk/v1/", name, ".json"));
        string memory result = _string(0, ".result");
        vm.assertEq(keccak256(bytes(_string(0, ".name"))), keccak256(bytes(name)));
        vm.assertTrue(_isBad(name) != _same(result, "ok"), name);
        one(0, name, result);
        return _same(result, "ok");
    }

    function one(uint256 index, string memory name, string memory result) private {
        bytes memory key = _bytes(index, ".key");
        bytes memory input = _bytes(index, ".input");
        bytes memory output = _bytes(index, ".output");
        InferenceClaim memory claim = InferenceClaim({
            model: keccak256(key),
            context: _bytes32(index, ".context"),
            batch: uint32(_uint(index, ".batch")),
            input: keccak256(input),
            output: keccak256(output)
        });
        bytes memory proof = _bytes(index, ".proof");
        judge(claim, key, input, output, proof, name, result);
        // Under the stored key it is the same, of batches that the key can be decoded for.
        try keys.parts(claim.batch, key) returns (uint256 count) {
            for (uint256 part = 0; part < count; ++part) {
                keys.store(claim.batch, key, part);
            }
            judge(claim, "", input, output, proof, name, result);
        } catch (bytes memory error_) {
            rejected(error_, name, result);
        }
    }

    function judge(
        InferenceClaim memory claim,
        bytes memory key,
        bytes memory input,
        bytes memory output,
        bytes memory proof,
        string memory name,
        string memory result
    ) private view {
        // A precompile that refuses its input takes all gas.
        try zk.verify{gas: 10_000_000}(claim, key, input, output, proof) {
            vm.assertTrue(_same(result, "ok"), name);
        } catch (bytes memory error_) {
            rejected(error_, name, result);
        }
    }

    function rejected(bytes memory error_, string memory name, string memory result) private pure {
        vm.assertFalse(_same(result, "ok"), name);
        bytes32 expected =
            keccak256(abi.encodeWithSelector(IZk.ZkRejected.selector, reason(result)));
        vm.assertEq(keccak256(error_), expected, name);
    }

    function _bytes(uint256 index, string memory path) private view returns (bytes memory) {
        return vm.parseJsonBytes(json, _at(index, path));
    }

    /// The contract's reason for the Rust verifier's code.
    function reason(string memory code) private pure returns (Reason) {
        string[13] memory codes = [
            "zk.proof.version",
            "zk.proof.length",
            "zk.proof.scalar",
            "zk.proof.point",
            "zk.statement.values",
            "zk.lookup.sum",
            "zk.lookup.denominator",
            "zk.lookup.layer",
            "zk.lookup.leaves",
            "zk.operations",
            "zk.convolutions",
            "zk.opening.evaluations",
            "zk.opening.pairing"
        ];
        for (uint256 i = 0; i < codes.length; ++i) {
            if (_same(codes[i], code)) return Reason(i);
        }
        // Of another stage, or of none: the contract has one reason for both.
        if (_same(code, "zk.proof.stage")) return Reason.Version;
        revert(code);
    }
}
