// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {PayoutVault} from "./PayoutVault.sol";
import {Records} from "./Records.sol";
import {Tribunal} from "./Tribunal.sol";
import {IChallenges} from "./interfaces/IChallenges.sol";
import {IPayouts, Pool, Proposal, ProposalStatus} from "./interfaces/IPayouts.sol";
import {Dataset, IRegistry, Kind, Model} from "./interfaces/IRegistry.sol";

/// Revenue per model, paid out by cumulative Merkle roots. See `IPayouts`.
contract Payouts is IPayouts, Tribunal {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    bytes32 private constant RULING_TYPEHASH = keccak256(
        "PayoutRuling(bytes32 model,address token,uint64 epoch,bytes32 root,bytes32 otherRoot,"
        "uint48 deadline,bool upheld,bytes32 opinion)"
    );
    uint256 private constant BPS = 10_000;

    /// Whose models earn.
    IRegistry public immutable registry;
    /// Who says what is tainted.
    IChallenges public immutable challenges;

    mapping(bytes32 key => Pool) private _pools;
    mapping(bytes32 key => Proposal) private _proposals;

    constructor(IRegistry registry_, IChallenges challenges_) EIP712("Probity Payouts", "1") {
        registry = registry_;
        challenges = challenges_;
    }

    /// @inheritdoc IPayouts
    function pay(bytes32 model, address token, uint256 amount, bytes32 reference_)
        external
        payable
        nonReentrant
    {
        _checkModel(model);
        if (msg.value != (token == address(0) ? amount : 0)) revert AmountInvalid(msg.value);
        uint256 got = token == address(0) ? amount : _pull(IERC20(token), amount);
        if (got == 0) revert AmountInvalid(amount);
        _pools[_key(model, token)].received += got.toUint128();
        emit RevenueReceived(model, token, msg.sender, got, reference_);
    }

    /// @inheritdoc IPayouts
    function propose(
        Model calldata model,
        Dataset calldata dataset,
        address token,
        bytes32 root,
        uint128 total,
        bytes32 statement
    ) external nonReentrant {
        bytes32 id = Records.hash(model);
        bytes32 key = _key(id, token);
        if (msg.sender != model.accountant) {
            revert AccountantMismatch(model.accountant, msg.sender);
        }
        if (_proposals[key].status != ProposalStatus.None) revert ProposalPending(id, token);

        Proposal memory proposal = _assess(id, model.dataBps, dataset, key);
        proposal.root = root;
        proposal.total = total;
        proposal.deadline = _deadline(model.court.responseWindow);
        proposal.status = ProposalStatus.Proposed;
        _checkTotal(total, _pools[key].funded, proposal);
        _proposals[key] = proposal;
        emit RootProposed(
            id,
            token,
            _pools[key].epoch + 1,
            root,
            total,
            proposal.held,
            proposal.deadline,
            statement
        );
        _takeBond(model.court);
    }

    /// @inheritdoc IPayouts
    function dispute(
        Model calldata model,
        address token,
        bytes32 root,
        uint128 total,
        bytes32 statement
    ) external nonReentrant {
        bytes32 id = Records.hash(model);
        bytes32 key = _key(id, token);
        Proposal storage proposal = _proposals[key];
        _checkStatus(proposal.status, ProposalStatus.Proposed);
        _checkBefore(proposal.deadline);
        _checkTotal(total, _pools[key].funded, proposal);

        proposal.disputer = msg.sender;
        proposal.otherRoot = root;
        proposal.otherTotal = total;
        proposal.status = ProposalStatus.Disputed;
        proposal.deadline = _deadline(model.court.rulingWindow);
        emit RootDisputed(id, token, _pools[key].epoch + 1, msg.sender, root, total, statement);
        _takeBond(model.court);
    }

    /// @inheritdoc IPayouts
    function rule(
        Model calldata model,
        address token,
        bool upheld,
        bytes32 opinion,
        bytes[] calldata signatures
    ) external nonReentrant {
        bytes32 id = Records.hash(model);
        bytes32 key = _key(id, token);
        Proposal memory proposal = _proposals[key];
        _checkStatus(proposal.status, ProposalStatus.Disputed);
        _checkBefore(proposal.deadline);
        bytes32 structHash = keccak256(
            abi.encode(
                RULING_TYPEHASH,
                id,
                token,
                _pools[key].epoch + 1,
                proposal.root,
                proposal.otherRoot,
                proposal.deadline,
                upheld,
                opinion
            )
        );
        _checkRuling(model.court, structHash, signatures);

        _credit(model.court, upheld ? proposal.disputer : model.accountant, 2);
        if (upheld) {
            proposal.root = proposal.otherRoot;
            proposal.total = proposal.otherTotal;
        }
        _conclude(id, token, proposal);
    }

    /// @inheritdoc IPayouts
    function settle(Model calldata model, address token) external nonReentrant {
        bytes32 id = Records.hash(model);
        bytes32 key = _key(id, token);
        Proposal memory proposal = _proposals[key];
        if (proposal.status == ProposalStatus.None) revert ProposalStatusMismatch(proposal.status);
        if (block.timestamp <= proposal.deadline) revert WindowOpen(proposal.deadline);

        _credit(model.court, model.accountant, 1);
        if (proposal.status == ProposalStatus.Proposed) {
            _conclude(id, token, proposal);
        } else {
            _credit(model.court, proposal.disputer, 1);
            _drop(id, token, proposal.root);
        }
    }

    /// @inheritdoc IPayouts
    function poolOf(bytes32 model, address token) external view returns (Pool memory) {
        return _pools[_key(model, token)];
    }

    /// @inheritdoc IPayouts
    function proposalOf(bytes32 model, address token) external view returns (Proposal memory) {
        return _proposals[_key(model, token)];
    }

    /// @inheritdoc IPayouts
    function distributable(Model calldata model, Dataset calldata dataset, address token)
        external
        view
        returns (uint128 total, uint128 held)
    {
        bytes32 id = Records.hash(model);
        Proposal memory proposal = _assess(id, model.dataBps, dataset, _key(id, token));
        return (proposal.received - proposal.held, proposal.held);
    }

    /// @inheritdoc IPayouts
    function vaultOf(bytes32 model, address token) public view returns (address) {
        bytes memory code = abi.encodePacked(type(PayoutVault).creationCode, abi.encode(token));
        return Create2.computeAddress(_key(model, token), keccak256(code));
    }

    /// Accepts the proposal's root, or drops it if what it was computed on is no longer so.
    function _conclude(bytes32 id, address token, Proposal memory proposal) private {
        if (_isStale(id, _key(id, token), proposal)) _drop(id, token, proposal.root);
        else _accept(id, token, proposal);
    }

    function _drop(bytes32 id, address token, bytes32 root) private {
        bytes32 key = _key(id, token);
        delete _proposals[key];
        emit RootDropped(id, token, _pools[key].epoch + 1, root);
    }

    function _accept(bytes32 id, address token, Proposal memory proposal) private {
        bytes32 key = _key(id, token);
        Pool storage pool = _pools[key];
        uint128 increase = proposal.total - pool.funded;
        uint64 epoch = ++pool.epoch;
        pool.funded = proposal.total;
        pool.accounted = proposal.received;
        pool.held = proposal.held;
        delete _proposals[key];

        PayoutVault vault = PayoutVault(vaultOf(id, token));
        emit RootAccepted(
            id, token, epoch, proposal.root, proposal.total, proposal.held, address(vault)
        );
        if (epoch == 1) vault = new PayoutVault{salt: key}(token);
        if (token == address(0)) {
            vault.update{value: increase}(proposal.root);
        } else {
            vault.update(proposal.root);
            IERC20(token).safeTransfer(address(vault), increase);
        }
    }

    /// The parts of a proposal made now that follow from the pool, the head and its taint.
    function _assess(bytes32 id, uint256 dataBps, Dataset calldata dataset, bytes32 key)
        private
        view
        returns (Proposal memory proposal)
    {
        _checkModel(id);
        proposal.head = registry.headOf(id);
        bytes32 datasetId = registry.datasetOf(proposal.head);
        bytes32 got = Records.hash(dataset);
        if (datasetId != got) revert DatasetMismatch(datasetId, got);

        Pool memory pool = _pools[key];
        proposal.received = pool.received;
        // Only the weight counts here.
        // slither-disable-next-line unused-return
        (, proposal.removed) = challenges.removedOf(datasetId);
        if (challenges.isTainted(proposal.head)) {
            uint256 bps2 = dataBps * (BPS - dataset.treasuryBps);
            // The tree may hold more weight than the dataset states; no item's part exceeds all.
            uint256 weight = Math.min(proposal.removed, dataset.totalWeight);
            // Below 2^(128 + 27 + 64). Rounded up: what is held back is never too little.
            uint256 fresh = Math.ceilDiv(
                uint256(pool.received - pool.accounted) * bps2 * weight,
                BPS * BPS * dataset.totalWeight
            );
            proposal.held = pool.held + fresh.toUint128();
        }
    }

    function _isStale(bytes32 id, bytes32 key, Proposal memory proposal)
        private
        view
        returns (bool)
    {
        bytes32 head = registry.headOf(id);
        if (head != proposal.head) return true;
        // Only the weight counts here.
        // slither-disable-next-line unused-return
        (, uint64 removed) = challenges.removedOf(registry.datasetOf(head));
        // A taint inherited meanwhile removes no weight, but keeps what is held.
        return removed != proposal.removed
            || (proposal.held < _pools[key].held && challenges.isTainted(head));
    }

    function _checkModel(bytes32 id) private view {
        if (registry.recordOf(id).kind != Kind.Model) revert ModelUnknown(id);
    }

    function _checkBefore(uint48 deadline) private view {
        if (block.timestamp > deadline) revert WindowClosed(deadline);
    }

    function _checkStatus(ProposalStatus status, ProposalStatus due) private pure {
        if (status != due) revert ProposalStatusMismatch(status);
    }

    function _checkTotal(uint128 total, uint128 funded, Proposal memory proposal) private pure {
        uint128 most = proposal.received - proposal.held;
        if (total < funded || total > most) revert TotalInvalid(total, funded, most);
    }

    function _key(bytes32 model, address token) private pure returns (bytes32) {
        return keccak256(abi.encode(model, token));
    }
}
