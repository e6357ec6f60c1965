// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import {Registry} from "../src/Registry.sol";
import {Reason} from "../src/interfaces/IChallenges.sol";
import {IPayouts, Pool} from "../src/interfaces/IPayouts.sol";
import {
    Checkpoint,
    Content,
    Dataset,
    DatasetItem,
    IRegistry,
    Kind,
    Licence,
    Model,
    ModelKey,
    OptOut,
    Run
} from "../src/interfaces/IRegistry.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

/// One file of `vectors/`: `{"cases": [{"name": ..., ...}, ...]}`.
abstract contract VectorFile is World {
    string internal json;

    function _load(string memory file) internal {
        json = vm.readFile(string.concat("../vectors/", file));
    }

    function _at(uint256 index, string memory path) internal pure returns (string memory) {
        return string.concat(".cases[", vm.toString(index), "]", path);
    }

    function _exists(uint256 index) internal view returns (bool) {
        return vm.keyExistsJson(json, _at(index, ".name"));
    }

    function _string(uint256 index, string memory path) internal view returns (string memory) {
        return vm.parseJsonString(json, _at(index, path));
    }

    function _bytes32(uint256 index, string memory path) internal view returns (bytes32) {
        return vm.parseJsonBytes32(json, _at(index, path));
    }

    function _uint(uint256 index, string memory path) internal view returns (uint256) {
        return vm.parseJsonUint(json, _at(index, path));
    }

    function _same(string memory a, string memory b) internal pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }

    function _isBad(string memory name) internal pure returns (bool) {
        bytes memory bytes_ = bytes(name);
        return bytes_[0] == "b" && bytes_[1] == "a" && bytes_[2] == "d" && bytes_[3] == "_";
    }
}

contract TypedDataVectorsTest is VectorFile {
    string private constant COURT = "Court(address[] arbiters,uint8 threshold,address bondToken,"
        "uint96 bond,uint32 responseWindow,uint32 rulingWindow)";

    Run private lastRun;

    /// Registers each case's record from a relayer at the address the signature names.
    function test_registry() public {
        _load("typed-data/v1/registry.json");
        address verifier = vm.parseJsonAddress(json, _at(0, ".domain.verifyingContract"));
        vm.etch(verifier, address(registry).code);
        registry = Registry(verifier);
        uint256 index = 0;
        for (; _exists(index); ++index) {
            string memory name = _string(index, ".name");
            vm.chainId(_uint(index, ".domain.chainId"));
            if (_isBad(name)) _refuse(index);
            else vm.assertEq(_register(index), _bytes32(index, ".id"), name);
        }
        vm.assertEq(index, 24);
    }

    /// Its record exists, but the signature is looked at first.
    function _refuse(uint256 index) private {
        address author = vm.parseJsonAddress(json, _at(index, ".fields.author"));
        vm.expectRevert(abi.encodeWithSelector(IRegistry.SignatureInvalid.selector, author));
        _register(index);
    }

    function _register(uint256 index) private returns (bytes32) {
        string memory type_ = _string(index, ".type");
        bytes memory signature = vm.parseJsonBytes(json, _at(index, ".signature"));
        if (_same(type_, "Content")) {
            bytes memory fields = _fields(
                index,
                "Content(bytes32 digest,bytes32 licence,bytes32 statement,bytes32 supersedes,"
                "address author)"
            );
            return registry.registerContent(abi.decode(fields, (Content)), signature);
        }
        if (_same(type_, "OptOut")) {
            bytes memory fields = _fields(
                index, "OptOut(bytes32 digest,bytes32 scope,bytes32 statement,address author)"
            );
            return registry.registerOptOut(abi.decode(fields, (OptOut)), signature);
        }
        if (_same(type_, "Licence")) {
            bytes memory fields =
                _fields(index, "Licence(bytes32 terms,string spdx,address author)");
            return registry.registerLicence(abi.decode(fields, (Licence)), signature);
        }
        if (_same(type_, "Dataset")) {
            bytes memory fields = _fields(
                index,
                string.concat(
                    "Dataset(bytes32 root,uint64 items,uint64 totalWeight,bytes32 manifest,",
                    "bytes32 previous,address treasury,uint16 treasuryBps,Court court,",
                    "address author)",
                    COURT
                )
            );
            return registry.registerDataset(abi.decode(fields, (Dataset)), signature);
        }
        return _registerTraining(index, type_, signature);
    }

    function _registerTraining(uint256 index, string memory type_, bytes memory signature)
        private
        returns (bytes32)
    {
        if (_same(type_, "Run")) {
            bytes memory fields = _fields(
                index, "Run(bytes32 dataset,bytes32 commitment,bytes32 statement,address author)"
            );
            lastRun = abi.decode(fields, (Run));
            return registry.commitRun(lastRun, signature);
        }
        if (_same(type_, "Model")) {
            bytes memory fields = _fields(
                index,
                string.concat(
                    "Model(bytes32 name,address accountant,uint16 dataBps,Court court,",
                    "bytes32 statement,address author)",
                    COURT
                )
            );
            return registry.registerModel(abi.decode(fields, (Model)), signature);
        }
        if (_same(type_, "ModelKey")) {
            bytes memory fields = _fields(
                index, "ModelKey(bytes32 checkpoint,bytes32 key,bytes32 statement,address author)"
            );
            return registry.registerModelKey(abi.decode(fields, (ModelKey)), signature);
        }
        vm.assertTrue(_same(type_, "Checkpoint"), type_);
        bytes memory encoded = _fields(
            index,
            string.concat(
                "Checkpoint(bytes32 model,bytes32 digest,bytes32 dataset,bytes32 run,",
                "bytes32[] parents,bytes32 statement,address author)"
            )
        );
        return registry.registerCheckpoint(abi.decode(encoded, (Checkpoint)), lastRun, signature);
    }

    function _fields(uint256 index, string memory type_) private view returns (bytes memory) {
        return vm.parseJsonType(json, _at(index, ".fields"), type_);
    }

    /// Anchors and their revocations, by their authors themselves.
    function test_unsigned() public {
        _load("typed-data/v1/unsigned.json");
        uint256 index = 0;
        for (; _exists(index); ++index) {
            bytes32 id = _bytes32(index, ".id");
            if (_same(_string(index, ".type"), "Anchor")) {
                vm.prank(vm.parseJsonAddress(json, _at(index, ".fields.author")));
                bytes32 anchored = registry.anchor(
                    _bytes32(index, ".fields.subject"),
                    _bytes32(index, ".fields.root"),
                    uint64(_uint(index, ".fields.size")),
                    _bytes32(index, ".fields.statement")
                );
                vm.assertEq(anchored, id);
            } else {
                bytes32 target = _bytes32(index, ".fields.target");
                vm.prank(registry.recordOf(target).author);
                registry.revoke(target, "reason");
                vm.assertEq(uint256(registry.recordOf(id).kind), uint256(Kind.Revocation));
            }
        }
        vm.assertEq(index, 4);
    }

    /// The digests that the arbiters sign, and that the signature is theirs.
    function test_rulings() public {
        _load("typed-data/v1/rulings.json");
        uint256 index = 0;
        for (; _exists(index); ++index) {
            vm.chainId(_uint(index, ".domain.chainId"));
            bytes32 structHash =
                _same(_string(index, ".type"), "Ruling") ? _ruling(index) : _payoutRuling(index);
            vm.assertEq(structHash, _bytes32(index, ".id"));
            bytes32 digest = _digest(
                vm.parseJsonAddress(json, _at(index, ".domain.verifyingContract")),
                _string(index, ".domain.name"),
                structHash
            );
            vm.assertEq(digest, _bytes32(index, ".digest"));
            bytes memory signature = _sign(_uint(index, ".privateKey"), digest);
            vm.assertEq(
                keccak256(signature), keccak256(vm.parseJsonBytes(json, _at(index, ".signature")))
            );
        }
        vm.assertEq(index, 5);
    }

    function _ruling(uint256 index) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("Ruling(bytes32 id,bool upheld,bytes32 opinion)"),
                _bytes32(index, ".fields.id"),
                _same(_string(index, ".fields.upheld"), "true"),
                _bytes32(index, ".fields.opinion")
            )
        );
    }

    function _payoutRuling(uint256 index) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "PayoutRuling(bytes32 model,address token,uint64 epoch,bytes32 root,"
                    "bytes32 otherRoot,uint48 deadline,bool upheld,bytes32 opinion)"
                ),
                _bytes32(index, ".fields.model"),
                vm.parseJsonAddress(json, _at(index, ".fields.token")),
                _uint(index, ".fields.epoch"),
                _bytes32(index, ".fields.root"),
                _bytes32(index, ".fields.otherRoot"),
                _uint(index, ".fields.deadline"),
                _same(_string(index, ".fields.upheld"), "true"),
                _bytes32(index, ".fields.opinion")
            )
        );
    }
}

/// Lends the library's calldata functions a call.
contract MerkleVerifier {
    function verify(bytes32[] calldata proof, bytes32 root, bytes32 leaf)
        external
        pure
        returns (bool)
    {
        return MerkleProof.verifyCalldata(proof, root, leaf);
    }
}

contract MerkleVectorsTest is VectorFile {
    MerkleVerifier private verifier = new MerkleVerifier();

    function test_standard() public {
        _load("merkle/v1/standard.json");
        uint256 index = 0;
        for (; _exists(index); ++index) {
            string memory name = _string(index, ".name");
            bytes32 root = _bytes32(index, ".root");
            if (_isBad(name)) {
                bytes32[] memory proof = vm.parseJsonBytes32Array(json, _at(index, ".proof"));
                vm.assertFalse(verifier.verify(proof, root, _bytes32(index, ".leaf")), name);
            } else {
                _assertTree(index, name, root);
            }
        }
        vm.assertEq(index, 25);
    }

    function _assertTree(uint256 index, string memory name, bytes32 root) private view {
        bytes32[] memory leaves = vm.parseJsonBytes32Array(json, _at(index, ".leaves"));
        bool payees = _same(_string(index, ".types[0]"), "address");
        for (uint256 i = 0; i < leaves.length; ++i) {
            string memory nth = string.concat("[", vm.toString(i), "]");
            string memory value = string.concat(".values", nth);
            vm.assertEq(leaves[i], payees ? _payee(index, value) : _item(index, value), name);
            string memory path = _at(index, string.concat(".proofs", nth));
            bytes32[] memory proof = vm.parseJsonBytes32Array(json, path);
            vm.assertTrue(verifier.verify(proof, root, leaves[i]), name);
        }
    }

    function _payee(uint256 index, string memory value) private view returns (bytes32) {
        address account = vm.parseJsonAddress(json, _at(index, string.concat(value, "[0]")));
        uint256 cumulative = _uint(index, string.concat(value, "[1]"));
        return keccak256(bytes.concat(keccak256(abi.encode(account, cumulative))));
    }

    function _item(uint256 index, string memory value) private view returns (bytes32) {
        return _leaf(
            DatasetItem({
                index: uint64(_uint(index, string.concat(value, "[0]"))),
                content: _bytes32(index, string.concat(value, "[1]")),
                weight: uint64(_uint(index, string.concat(value, "[2]")))
            })
        );
    }
}

contract PayoutVectorsTest is VectorFile {
    function test_pools() public {
        _load("payout/v1/pools.json");
        uint256 index = 0;
        for (; _exists(index); ++index) {
            _begin(index);
            for (uint256 i = 0;; ++i) {
                string memory step = string.concat(".steps[", vm.toString(i), "]");
                if (!vm.keyExistsJson(json, _at(index, step))) break;
                _apply(index, step);
                _assertPool(index, string.concat(step, ".pool"));
            }
        }
        vm.assertEq(index, 14);
    }

    function _begin(uint256 index) private {
        delete datasetId;
        dataset.treasuryBps = uint16(_uint(index, ".treasuryBps"));
        dataset.manifest = keccak256(abi.encode("case", index));
        model.dataBps = uint16(_uint(index, ".dataBps"));
        model.name = keccak256(abi.encode("case", index));
        vm.prank(vm.addr(TRAINER));
        modelId = registry.registerModel(model, "");
        _head(index, ".dataset");
    }

    function _head(uint256 index, string memory path) private {
        dataset.previous = datasetId;
        dataset.root = _bytes32(index, string.concat(path, ".root"));
        dataset.items = uint64(_uint(index, string.concat(path, ".items")));
        dataset.totalWeight = uint64(_uint(index, string.concat(path, ".totalWeight")));
        vm.prank(vm.addr(CURATOR));
        datasetId = registry.registerDataset(dataset, "");
        _registerCheckpoint("case", new bytes32[](0));
    }

    function _apply(uint256 index, string memory step) private {
        string memory op = _string(index, string.concat(step, ".op"));
        if (_same(op, "pay")) {
            uint256 amount = _uint(index, string.concat(step, ".amount"));
            token.mint(address(this), amount);
            token.approve(address(payouts), amount);
            payouts.pay(modelId, address(token), amount, "");
        } else if (_same(op, "remove")) {
            _removeItem(index, step);
        } else if (_same(op, "head")) {
            _head(index, step);
        } else if (_same(op, "propose") || _same(op, "bad_propose")) {
            _propose(index, step, _isBad(op));
        } else {
            vm.assertTrue(_same(op, "accept") || _same(op, "drop"), op);
            _pass(1 days);
            payouts.settle(model, address(token));
        }
    }

    function _removeItem(uint256 index, string memory step) private {
        DatasetItem memory item = DatasetItem({
            index: uint64(_uint(index, string.concat(step, ".index"))),
            content: _bytes32(index, string.concat(step, ".content")),
            weight: uint64(_uint(index, string.concat(step, ".weight")))
        });
        string memory path = _at(index, string.concat(step, ".proof"));
        bytes32[] memory proof = vm.parseJsonBytes32Array(json, path);
        uint256 start = block.timestamp;
        vm.prank(vm.addr(CHALLENGER));
        bytes32 id = challenges.challenge(dataset, item, proof, Reason.OptedOut, "");
        _pass(1 days);
        challenges.settle(id, dataset, item);
        // A proposal under way keeps waiting.
        vm.warp(start);
    }

    function _propose(uint256 index, string memory step, bool bad) private {
        uint128 total = uint128(_uint(index, string.concat(step, ".total")));
        (uint128 most, uint128 held) = payouts.distributable(model, dataset, address(token));
        vm.assertEq(held, _uint(index, string.concat(step, ".held")), "held");
        vm.assertEq(most, _uint(index, string.concat(step, ".distributable")), "distributable");
        if (bad) {
            uint128 funded = payouts.poolOf(modelId, address(token)).funded;
            vm.expectRevert(
                abi.encodeWithSelector(IPayouts.TotalInvalid.selector, total, funded, most)
            );
        }
        vm.prank(vm.addr(ACCOUNTANT));
        payouts.propose(model, dataset, address(token), keccak256(bytes(step)), total, "");
    }

    function _assertPool(uint256 index, string memory path) private view {
        Pool memory pool = payouts.poolOf(modelId, address(token));
        vm.assertEq(pool.received, _uint(index, string.concat(path, ".received")), "received");
        vm.assertEq(pool.funded, _uint(index, string.concat(path, ".funded")), "funded");
        vm.assertEq(pool.accounted, _uint(index, string.concat(path, ".accounted")), "accounted");
        vm.assertEq(pool.held, _uint(index, string.concat(path, ".held")), "held");
        vm.assertEq(pool.epoch, _uint(index, string.concat(path, ".epoch")), "epoch");
    }
}
