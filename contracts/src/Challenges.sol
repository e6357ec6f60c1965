// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {Records} from "./Records.sol";
import {Tribunal} from "./Tribunal.sol";
import {Case, IChallenges, Reason, Status} from "./interfaces/IChallenges.sol";
import {Checkpoint, Dataset, DatasetItem, IRegistry, Kind} from "./interfaces/IRegistry.sol";

/// Challenges of dataset items, and the taint of removals. See `IChallenges`.
contract Challenges is IChallenges, Tribunal {
    using SafeCast for uint256;

    bytes32 private constant RULING_TYPEHASH =
        keccak256("Ruling(bytes32 id,bool upheld,bytes32 opinion)");

    /// What is stored about a challenged item.
    struct ItemState {
        uint32 round;
        bool removed;
    }

    /// Sums over the removed items of a dataset version.
    struct Removed {
        uint64 items;
        uint64 weight;
    }

    /// Whose records the challenges are about.
    IRegistry public immutable registry;

    mapping(bytes32 id => Case) private _cases;
    mapping(bytes32 item => ItemState) private _items;
    mapping(bytes32 dataset => Removed) private _removed;
    mapping(bytes32 line => mapping(bytes32 content => bool)) private _removedFromLine;
    mapping(bytes32 checkpoint => bool) private _inherited;

    constructor(IRegistry registry_) EIP712("Probity Challenges", "1") {
        registry = registry_;
    }

    /// @inheritdoc IChallenges
    function challenge(
        Dataset calldata dataset,
        DatasetItem calldata item,
        bytes32[] calldata proof,
        Reason reason,
        bytes32 evidence
    ) external nonReentrant returns (bytes32 id) {
        bytes32 datasetId = _checkItem(dataset, item, proof);
        ItemState storage state = _items[_itemKey(datasetId, item)];
        if (state.removed) revert ItemAlreadyRemoved(datasetId, item.index);
        if (state.round != 0) _checkNotPending(_caseId(datasetId, item, state.round));

        uint32 round = ++state.round;
        id = _caseId(datasetId, item, round);
        _cases[id] = Case({
            challenger: msg.sender,
            deadline: _deadline(dataset.court.responseWindow),
            status: Status.Open,
            reason: reason,
            responder: address(0)
        });
        emit Challenged(id, datasetId, item.content, item, round, reason, msg.sender, evidence);
        _takeBond(dataset.court);
    }

    /// @inheritdoc IChallenges
    function answer(
        bytes32 id,
        Dataset calldata dataset,
        DatasetItem calldata item,
        bytes32 rebuttal
    ) external nonReentrant {
        _checkPreimage(id, dataset, item);
        Case storage case_ = _cases[id];
        _checkStatus(id, case_.status, Status.Open);
        _checkBefore(id, case_.deadline);

        case_.responder = msg.sender;
        case_.status = Status.Answered;
        case_.deadline = _deadline(dataset.court.rulingWindow);
        emit ChallengeAnswered(id, msg.sender, rebuttal);
        _takeBond(dataset.court);
    }

    /// @inheritdoc IChallenges
    function rule(
        bytes32 id,
        Dataset calldata dataset,
        DatasetItem calldata item,
        bool upheld,
        bytes32 opinion,
        bytes[] calldata signatures
    ) external nonReentrant {
        bytes32 datasetId = _checkPreimage(id, dataset, item);
        Case storage case_ = _cases[id];
        _checkStatus(id, case_.status, Status.Answered);
        _checkBefore(id, case_.deadline);
        _checkRuling(
            dataset.court, keccak256(abi.encode(RULING_TYPEHASH, id, upheld, opinion)), signatures
        );

        _credit(dataset.court, upheld ? case_.challenger : case_.responder, 2);
        _close(id, upheld ? Status.Upheld : Status.Rejected, opinion);
        if (upheld) _remove(datasetId, item, case_.reason);
    }

    /// @inheritdoc IChallenges
    function settle(bytes32 id, Dataset calldata dataset, DatasetItem calldata item)
        external
        nonReentrant
    {
        bytes32 datasetId = _checkPreimage(id, dataset, item);
        Case storage case_ = _cases[id];
        Status status = case_.status;
        if (status != Status.Open && status != Status.Answered) revert StatusMismatch(id, status);
        if (block.timestamp <= case_.deadline) revert WindowOpen(id, case_.deadline);

        _credit(dataset.court, case_.challenger, 1);
        if (status == Status.Open) {
            _close(id, Status.Upheld, 0);
            _remove(datasetId, item, case_.reason);
        } else {
            _credit(dataset.court, case_.responder, 1);
            _close(id, Status.Lapsed, 0);
        }
    }

    /// @inheritdoc IChallenges
    function removeAgain(
        Dataset calldata dataset,
        DatasetItem calldata item,
        bytes32[] calldata proof
    ) external nonReentrant {
        bytes32 datasetId = _checkItem(dataset, item, proof);
        if (_items[_itemKey(datasetId, item)].removed) {
            revert ItemAlreadyRemoved(datasetId, item.index);
        }
        bytes32 line = registry.lineOf(datasetId);
        if (!_removedFromLine[line][item.content]) revert ContentNotRemoved(line, item.content);
        _markRemoved(datasetId, item);
    }

    /// @inheritdoc IChallenges
    function inheritTaint(Checkpoint calldata checkpoint, bytes32 parent) external nonReentrant {
        bytes32 id = Records.hash(checkpoint);
        bool child = false;
        for (uint256 i = 0; i < checkpoint.parents.length && !child; ++i) {
            child = checkpoint.parents[i] == parent;
        }
        if (!child || registry.recordOf(id).kind != Kind.Checkpoint || !isTainted(parent)) {
            revert ParentMismatch(id, parent);
        }
        if (_inherited[id]) return;
        _inherited[id] = true;
        emit TaintInherited(id, parent);
    }

    /// @inheritdoc IChallenges
    function caseOf(bytes32 id) external view returns (Case memory) {
        return _cases[id];
    }

    /// @inheritdoc IChallenges
    function roundOf(bytes32 dataset, DatasetItem calldata item) external view returns (uint32) {
        return _items[_itemKey(dataset, item)].round;
    }

    /// @inheritdoc IChallenges
    function isRemoved(bytes32 dataset, DatasetItem calldata item) external view returns (bool) {
        return _items[_itemKey(dataset, item)].removed;
    }

    /// @inheritdoc IChallenges
    function removedFromLine(bytes32 line, bytes32 content) external view returns (bool) {
        return _removedFromLine[line][content];
    }

    /// @inheritdoc IChallenges
    function removedOf(bytes32 dataset) external view returns (uint64 items, uint64 weight) {
        Removed memory removed = _removed[dataset];
        return (removed.items, removed.weight);
    }

    /// @inheritdoc IChallenges
    function isModelTainted(bytes32 model) external view returns (bool) {
        return isTainted(registry.headOf(model));
    }

    /// @inheritdoc IChallenges
    function isTainted(bytes32 checkpoint) public view returns (bool) {
        return _inherited[checkpoint] || _removed[registry.datasetOf(checkpoint)].items != 0;
    }

    function _close(bytes32 id, Status status, bytes32 opinion) private {
        _cases[id].status = status;
        emit ChallengeSettled(id, status, opinion);
    }

    function _remove(bytes32 datasetId, DatasetItem calldata item, Reason reason) private {
        // Of a duplicate, the other copy stays rightful.
        if (reason != Reason.Duplicate) {
            _removedFromLine[registry.lineOf(datasetId)][item.content] = true;
        }
        // `removeAgain` may have been faster.
        if (!_items[_itemKey(datasetId, item)].removed) _markRemoved(datasetId, item);
    }

    function _markRemoved(bytes32 datasetId, DatasetItem calldata item) private {
        _items[_itemKey(datasetId, item)].removed = true;
        Removed memory removed = _removed[datasetId];
        // Saturates, so that weights beyond the stated total cannot keep an item in.
        uint256 weight = Math.min(uint256(removed.weight) + item.weight, type(uint64).max);
        _removed[datasetId] = Removed({items: removed.items + 1, weight: weight.toUint64()});
        emit ItemRemoved(datasetId, item.content, item.index, item.weight);
    }

    function _checkItem(
        Dataset calldata dataset,
        DatasetItem calldata item,
        bytes32[] calldata proof
    ) private view returns (bytes32 datasetId) {
        datasetId = Records.hash(dataset);
        if (registry.recordOf(datasetId).kind != Kind.Dataset) revert DatasetUnknown(datasetId);
        if (!MerkleProof.verifyCalldata(proof, dataset.root, Records.leaf(item))) {
            revert ProofInvalid(datasetId, item.index);
        }
    }

    /// The case's id proves dataset and item, once `id` is known to be a case.
    function _checkPreimage(bytes32 id, Dataset calldata dataset, DatasetItem calldata item)
        private
        view
        returns (bytes32 datasetId)
    {
        datasetId = Records.hash(dataset);
        uint32 round = _items[_itemKey(datasetId, item)].round;
        if (round == 0 || _caseId(datasetId, item, round) != id) {
            revert ProofInvalid(datasetId, item.index);
        }
    }

    function _checkNotPending(bytes32 id) private view {
        Status status = _cases[id].status;
        if (status == Status.Open || status == Status.Answered) revert ChallengePending(id);
    }

    function _checkBefore(bytes32 id, uint48 deadline) private view {
        if (block.timestamp > deadline) revert WindowClosed(id, deadline);
    }

    function _checkStatus(bytes32 id, Status status, Status due) private pure {
        if (status != due) revert StatusMismatch(id, status);
    }

    function _caseId(bytes32 datasetId, DatasetItem calldata item, uint32 round)
        private
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(datasetId, item, round));
    }

    function _itemKey(bytes32 datasetId, DatasetItem calldata item) private pure returns (bytes32) {
        return keccak256(abi.encode(datasetId, item));
    }
}
