// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

import {Challenges} from "../src/Challenges.sol";
import {Payouts} from "../src/Payouts.sol";
import {Registry} from "../src/Registry.sol";
import {DevToken} from "../src/dev/DevToken.sol";
import {Reason} from "../src/interfaces/IChallenges.sol";
import {
    Checkpoint,
    Content,
    Court,
    Dataset,
    DatasetItem,
    Model,
    Run
} from "../src/interfaces/IRegistry.sol";
import {vm} from "./Vm.sol";

/// A Merkle tree over leaf hashes with sorted pairs; an odd node moves up.
library Tree {
    function root(bytes32[] memory level) internal pure returns (bytes32) {
        while (level.length > 1) level = _up(level);
        return level[0];
    }

    function proof(bytes32[] memory level, uint256 index)
        internal
        pure
        returns (bytes32[] memory siblings)
    {
        bytes32[] memory found = new bytes32[](64);
        uint256 count = 0;
        for (; level.length > 1; index /= 2) {
            if (index ^ 1 < level.length) found[count++] = level[index ^ 1];
            level = _up(level);
        }
        siblings = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            siblings[i] = found[i];
        }
    }

    function _up(bytes32[] memory level) private pure returns (bytes32[] memory above) {
        above = new bytes32[]((level.length + 1) / 2);
        for (uint256 i = 0; i < above.length; ++i) {
            above[i] = 2 * i + 1 == level.length
                ? level[2 * i]
                : Hashes.commutativeKeccak256(level[2 * i], level[2 * i + 1]);
        }
    }
}

/// The three contracts, people with keys, and a model trained on a dataset of three items.
abstract contract World {
    uint256 internal constant CREATOR = 0xC1;
    uint256 internal constant CURATOR = 0xC2;
    uint256 internal constant TRAINER = 0xC3;
    uint256 internal constant ACCOUNTANT = 0xC4;
    uint256 internal constant CHALLENGER = 0xC5;
    uint256 internal constant RESPONDER = 0xC6;
    uint256 internal constant CUSTOMER = 0xC7;
    uint256 internal constant STRANGER = 0xC8;
    uint96 internal constant BOND = 5e6;

    Registry internal registry;
    Challenges internal challenges;
    Payouts internal payouts;
    DevToken internal token;

    uint256[3] internal arbiterKeys;
    Dataset internal dataset;
    bytes32 internal datasetId;
    DatasetItem[] internal items;
    Model internal model;
    bytes32 internal modelId;
    Run internal run;
    bytes32 internal runId;
    Checkpoint internal checkpoint;
    bytes32 internal checkpointId;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        registry = new Registry();
        challenges = new Challenges(registry);
        payouts = new Payouts(registry, challenges);
        token = new DevToken();
        _sortArbiters();
        for (uint256 key = CREATOR; key <= STRANGER; ++key) {
            token.mint(vm.addr(key), 1e12);
            vm.startPrank(vm.addr(key));
            token.approve(address(challenges), type(uint256).max);
            token.approve(address(payouts), type(uint256).max);
            vm.stopPrank();
        }
        uint64[] memory contents = new uint64[](3);
        (contents[0], contents[1], contents[2]) = (0, 1, 2);
        _registerDataset(contents, 0);
        _registerModel("model");
        _registerCheckpoint("weights", new bytes32[](0));
    }

    // --- records

    function _court() internal view returns (Court memory court) {
        court.arbiters = new address[](3);
        for (uint256 i = 0; i < 3; ++i) {
            court.arbiters[i] = vm.addr(arbiterKeys[i]);
        }
        court.threshold = 2;
        court.bondToken = address(token);
        court.bond = BOND;
        court.responseWindow = 1 days;
        court.rulingWindow = 7 days;
    }

    function _content(bytes32 digest) internal pure returns (Content memory content) {
        content.digest = digest;
        content.licence = "licence";
        content.statement = "statement";
        content.author = vm.addr(CREATOR);
    }

    /// Registers a version of these contents (content `c`, from 0, weighs `3 - c`) as `dataset`.
    function _registerDataset(uint64[] memory contents, bytes32 previous) internal {
        delete items;
        uint64 total = 0;
        for (uint64 i = 0; i < contents.length; ++i) {
            uint64 weight = 3 - contents[i];
            items.push(DatasetItem(i, keccak256(abi.encode("content", contents[i])), weight));
            total += weight;
        }
        dataset = Dataset({
            root: Tree.root(_leaves()),
            items: uint64(contents.length),
            totalWeight: total,
            manifest: keccak256(abi.encode("manifest", previous)),
            previous: previous,
            treasury: vm.addr(0xDA0),
            treasuryBps: 1000,
            court: _court(),
            author: vm.addr(CURATOR)
        });
        vm.prank(vm.addr(CURATOR));
        datasetId = registry.registerDataset(dataset, "");
    }

    function _registerModel(bytes32 name) internal {
        model = Model({
            name: name,
            accountant: vm.addr(ACCOUNTANT),
            dataBps: 7000,
            court: _court(),
            statement: "statement",
            author: vm.addr(TRAINER)
        });
        vm.prank(vm.addr(TRAINER));
        modelId = registry.registerModel(model, "");
    }

    function _registerCheckpoint(bytes32 digest, bytes32[] memory parents) internal {
        vm.startPrank(vm.addr(TRAINER));
        run = Run(datasetId, digest, "statement", vm.addr(TRAINER));
        runId = registry.commitRun(run, "");
        checkpoint = Checkpoint({
            model: modelId,
            digest: digest,
            dataset: datasetId,
            run: runId,
            parents: parents,
            statement: "statement",
            author: vm.addr(TRAINER)
        });
        checkpointId = registry.registerCheckpoint(checkpoint, run, "");
        vm.stopPrank();
    }

    /// The next version of `dataset` without content 0, and a checkpoint trained on it.
    function _clearTaint() internal {
        uint64[] memory contents = new uint64[](2);
        (contents[0], contents[1]) = (1, 2);
        _registerDataset(contents, datasetId);
        _registerCheckpoint("clean", new bytes32[](0));
    }

    // --- items and cases

    function _leaf(DatasetItem memory item) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(item))));
    }

    function _leaves() internal view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](items.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = _leaf(items[i]);
        }
    }

    function _proof(uint256 index) internal view returns (bytes32[] memory) {
        return Tree.proof(_leaves(), index);
    }

    function _challenge(uint256 index) internal returns (bytes32) {
        return _challenge(index, Reason.Stolen);
    }

    function _challenge(uint256 index, Reason reason) internal returns (bytes32) {
        bytes32[] memory proof = _proof(index);
        vm.prank(vm.addr(CHALLENGER));
        return challenges.challenge(dataset, items[index], proof, reason, "evidence");
    }

    /// Challenges the item and lets the response window pass.
    function _remove(uint256 index) internal {
        bytes32 id = _challenge(index);
        _pass(dataset.court.responseWindow);
        challenges.settle(id, dataset, items[index]);
    }

    /// Just past a window that began now.
    function _pass(uint256 window) internal {
        vm.warp(block.timestamp + window + 1);
    }

    // --- signatures

    function _digest(address verifier, string memory name, bytes32 structHash)
        internal
        view
        returns (bytes32)
    {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,"
                    "address verifyingContract)"
                ),
                keccak256(bytes(name)),
                keccak256("1"),
                block.chainid,
                verifier
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _signRecord(uint256 key, bytes32 id) internal view returns (bytes memory) {
        return _sign(key, _digest(address(registry), "Probity Registry", id));
    }

    /// The first `count` arbiters' signatures.
    function _signRuling(uint256 count, bytes32 digest)
        internal
        view
        returns (bytes[] memory signatures)
    {
        signatures = new bytes[](3);
        for (uint256 i = 0; i < count; ++i) {
            signatures[i] = _sign(arbiterKeys[i], digest);
        }
    }

    function _rulingDigest(bytes32 id, bool upheld) internal view returns (bytes32) {
        bytes32 typehash = keccak256("Ruling(bytes32 id,bool upheld,bytes32 opinion)");
        bytes32 opinion = "opinion";
        return _digest(
            address(challenges),
            "Probity Challenges",
            keccak256(abi.encode(typehash, id, upheld, opinion))
        );
    }

    function _sortArbiters() private {
        arbiterKeys = [uint256(0xA1), 0xA2, 0xA3];
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 j = i + 1; j < 3; ++j) {
                if (vm.addr(arbiterKeys[i]) > vm.addr(arbiterKeys[j])) {
                    (arbiterKeys[i], arbiterKeys[j]) = (arbiterKeys[j], arbiterKeys[i]);
                }
            }
        }
    }
}
