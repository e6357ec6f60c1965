// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Checkpoint, Dataset, DatasetItem} from "./IRegistry.sol";
import {ITribunal} from "./ITribunal.sol";

/// Why an item should not be in a dataset.
enum Reason {
    OptedOut,
    LicenceMismatch,
    Duplicate,
    FakeLabel,
    Stolen
}

/// Where a challenge stands. `Open`: waiting for an answer. `Answered`: waiting for a ruling.
/// `Upheld`: the item is removed. `Rejected`: it stays. `Lapsed`: nobody ruled, bonds went back.
enum Status {
    None,
    Open,
    Answered,
    Upheld,
    Rejected,
    Lapsed
}

/// The stored part of a challenge.
struct Case {
    address challenger;
    uint48 deadline;
    Status status;
    Reason reason;
    address responder;
}

/// Challenges of dataset items with bonds, rulings by the dataset's own arbiters, and the taint
/// that a removal puts on checkpoints.
///
/// A case's id is `keccak256(abi.encode(datasetId, item.index, item.content, item.weight, round))`,
/// so the item is proved once and resupplied afterwards; `round` counts the challenges of an item,
/// from 1. An item is its whole leaf, not its index: a tree with two leaves of one index cannot
/// shield either behind the other.
interface IChallenges is ITribunal {
    event Challenged(
        bytes32 indexed id,
        bytes32 indexed dataset,
        bytes32 indexed content,
        DatasetItem item,
        uint32 round,
        Reason reason,
        address challenger,
        bytes32 evidence
    );
    event ChallengeAnswered(bytes32 indexed id, address indexed responder, bytes32 rebuttal);
    event ChallengeSettled(bytes32 indexed id, Status status, bytes32 opinion);
    event ItemRemoved(
        bytes32 indexed dataset, bytes32 indexed content, uint64 index, uint64 weight
    );
    event TaintInherited(bytes32 indexed checkpoint, bytes32 indexed parent);

    error ProofInvalid(bytes32 dataset, uint64 index);
    error DatasetUnknown(bytes32 dataset);
    error ItemAlreadyRemoved(bytes32 dataset, uint64 index);
    error ChallengePending(bytes32 id);
    error StatusMismatch(bytes32 id, Status status);
    error WindowClosed(bytes32 id, uint48 deadline);
    error WindowOpen(bytes32 id, uint48 deadline);
    error ContentNotRemoved(bytes32 line, bytes32 content);
    error ParentMismatch(bytes32 checkpoint, bytes32 parent);

    /// Challenges one item and stakes the court's bond.
    /// @param evidence SHA-256 of the evidence bundle
    function challenge(
        Dataset calldata dataset,
        DatasetItem calldata item,
        bytes32[] calldata proof,
        Reason reason,
        bytes32 evidence
    ) external returns (bytes32 id);

    /// Defends the item with an equal bond, within the response window. Anybody may.
    function answer(
        bytes32 id,
        Dataset calldata dataset,
        DatasetItem calldata item,
        bytes32 rebuttal
    ) external;

    /// Carries out a ruling signed (EIP-712 `Ruling(bytes32 id,bool upheld,bytes32 opinion)`) by at
    /// least `threshold` arbiters. `signatures[i]` is arbiter `i`'s, or empty.
    function rule(
        bytes32 id,
        Dataset calldata dataset,
        DatasetItem calldata item,
        bool upheld,
        bytes32 opinion,
        bytes[] calldata signatures
    ) external;

    /// After the deadline: an unanswered challenge is upheld, an unruled one lapses.
    function settle(bytes32 id, Dataset calldata dataset, DatasetItem calldata item) external;

    /// Removes from a later version content that was removed from its line before: no bond, no
    /// court.
    function removeAgain(
        Dataset calldata dataset,
        DatasetItem calldata item,
        bytes32[] calldata proof
    ) external;

    /// Records that a checkpoint started from a tainted one.
    function inheritTaint(Checkpoint calldata checkpoint, bytes32 parent) external;

    function caseOf(bytes32 id) external view returns (Case memory);
    /// How often the item was challenged.
    function roundOf(bytes32 dataset, DatasetItem calldata item) external view returns (uint32);
    function isRemoved(bytes32 dataset, DatasetItem calldata item) external view returns (bool);
    /// Whether the content was removed from a version of the line for another reason than being a
    /// duplicate (the other copy stays).
    function removedFromLine(bytes32 line, bytes32 content) external view returns (bool);
    /// Number and weight of the items removed from a dataset version. The weight saturates.
    function removedOf(bytes32 dataset) external view returns (uint64 items, uint64 weight);
    /// Whether the checkpoint's dataset lost an item, or a recorded ancestor's did.
    function isTainted(bytes32 checkpoint) external view returns (bool);
    /// Whether the model's newest checkpoint is tainted.
    function isModelTainted(bytes32 model) external view returns (bool);
}
