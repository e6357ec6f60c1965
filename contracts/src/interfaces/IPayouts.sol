// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Dataset, Model} from "./IRegistry.sol";
import {ITribunal} from "./ITribunal.sol";

/// The money of one model in one token. All amounts in the token's smallest unit.
/// @param received all revenue ever
/// @param funded how much of it accepted roots have handed to the vault
/// @param accounted `received` as of the last accepted root
/// @param held part of `accounted` withheld because of a taint
/// @param epoch number of accepted roots
struct Pool {
    uint128 received;
    uint128 funded;
    uint128 accounted;
    uint128 held;
    uint64 epoch;
}

enum ProposalStatus {
    None,
    Proposed,
    Disputed
}

/// A payout root that is waiting.
/// @param root OpenZeppelin standard Merkle root, leaf types `["address","uint256"]`: payee and
/// cumulative amount
/// @param total sum of the cumulative amounts
/// @param received pool's `received` when proposed
/// @param held what `held` becomes
/// @param removed the dataset's removed weight when proposed
/// @param head the model's head when proposed
/// @param deadline end of the window now running
/// @param otherRoot, otherTotal the disputer's recomputation
struct Proposal {
    bytes32 root;
    uint128 total;
    uint128 received;
    uint128 held;
    uint64 removed;
    uint48 deadline;
    ProposalStatus status;
    bytes32 head;
    address disputer;
    bytes32 otherRoot;
    uint128 otherTotal;
}

/// Revenue per model, paid out by cumulative Merkle roots.
///
/// Revenue waits here until a root is accepted; then exactly the root's increase moves to the
/// pool's own vault, from which payees claim. Pools cannot touch each other's money, and a vault
/// cannot pay more than it was handed. While the model's head is tainted, the removed items' share
/// of new revenue is held back; the first root proposed after the taint is cleared may distribute
/// it.
///
/// `token` zero is the chain's native coin. Fee-on-transfer tokens are booked at what arrived;
/// rebasing tokens are not supported.
interface IPayouts is ITribunal {
    event RevenueReceived(
        bytes32 indexed model,
        address indexed token,
        address indexed payer,
        uint256 amount,
        bytes32 reference_
    );
    event RootProposed(
        bytes32 indexed model,
        address indexed token,
        uint64 indexed epoch,
        bytes32 root,
        uint128 total,
        uint128 held,
        uint48 deadline,
        bytes32 statement
    );
    event RootDisputed(
        bytes32 indexed model,
        address indexed token,
        uint64 indexed epoch,
        address disputer,
        bytes32 root,
        uint128 total,
        bytes32 statement
    );
    event RootAccepted(
        bytes32 indexed model,
        address indexed token,
        uint64 indexed epoch,
        bytes32 root,
        uint128 total,
        uint128 held,
        address vault
    );
    /// Dropped without effect: the taint or head changed under it, or nobody ruled.
    event RootDropped(
        bytes32 indexed model, address indexed token, uint64 indexed epoch, bytes32 root
    );

    error ModelUnknown(bytes32 model);
    error AmountInvalid(uint256 amount);
    error AccountantMismatch(address accountant, address got);
    error DatasetMismatch(bytes32 dataset, bytes32 got);
    error ProposalPending(bytes32 model, address token);
    error ProposalStatusMismatch(ProposalStatus status);
    /// `total` must lie between what is funded and what is distributable.
    error TotalInvalid(uint128 total, uint128 funded, uint128 distributable);
    error WindowOpen(uint48 deadline);
    error WindowClosed(uint48 deadline);

    /// Pays revenue to a model. Anybody may. `reference_` ties it to an invoice or usage record.
    function pay(bytes32 model, address token, uint256 amount, bytes32 reference_) external payable;

    /// The accountant proposes the next epoch's root with the model court's bond.
    /// @param dataset the dataset of the model's head
    /// @param statement SHA-256 of the payout computation
    function propose(
        Model calldata model,
        Dataset calldata dataset,
        address token,
        bytes32 root,
        uint128 total,
        bytes32 statement
    ) external;

    /// Disputes the waiting root with a recomputed one and an equal bond.
    function dispute(
        Model calldata model,
        address token,
        bytes32 root,
        uint128 total,
        bytes32 statement
    ) external;

    /// Carries out the court's ruling (EIP-712 `PayoutRuling(bytes32 model,address token,uint64
    /// epoch,bytes32 root,bytes32 otherRoot,uint48 deadline,bool upheld,bytes32 opinion)`, where
    /// `epoch` is the one proposed and `deadline` the ruling's, which no other dispute shares):
    /// upheld, the disputer's root is accepted and gets the accountant's bond; else the reverse.
    /// A court that finds both roots wrong does not rule: both are dropped.
    function rule(
        Model calldata model,
        address token,
        bool upheld,
        bytes32 opinion,
        bytes[] calldata signatures
    ) external;

    /// After the deadline: accepts an undisputed root, drops an unruled one.
    function settle(Model calldata model, address token) external;

    function poolOf(bytes32 model, address token) external view returns (Pool memory);
    function proposalOf(bytes32 model, address token) external view returns (Proposal memory);
    /// Where the pool's vault is or will be (CREATE2).
    function vaultOf(bytes32 model, address token) external view returns (address);
    /// What the next root may distribute at most, were it proposed now with this dataset and model.
    function distributable(Model calldata model, Dataset calldata dataset, address token)
        external
        view
        returns (uint128 total, uint128 held);
}
