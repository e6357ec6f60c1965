// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import {IPayoutVault} from "./interfaces/IPayoutVault.sol";

/// One pool's accepted money. See `IPayoutVault`.
contract PayoutVault is IPayoutVault {
    using SafeERC20 for IERC20;

    /// Who may replace the root.
    address public immutable payouts;
    /// @inheritdoc IPayoutVault
    address public immutable token;
    /// @inheritdoc IPayoutVault
    bytes32 public root;
    /// @inheritdoc IPayoutVault
    mapping(address account => uint256) public claimed;

    constructor(address token_) {
        payouts = msg.sender;
        token = token_;
    }

    /// @inheritdoc IPayoutVault
    function update(bytes32 newRoot) external payable {
        if (msg.sender != payouts) revert CallerMismatch(msg.sender);
        root = newRoot;
    }

    /// @inheritdoc IPayoutVault
    function claim(address account, uint256 cumulative, bytes32[] calldata proof)
        external
        returns (uint256 amount)
    {
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(account, cumulative))));
        if (!MerkleProof.verifyCalldata(proof, root, leaf)) {
            revert ProofInvalid(account, cumulative);
        }
        uint256 before = claimed[account];
        if (cumulative <= before) return 0;
        unchecked {
            amount = cumulative - before;
        }
        claimed[account] = cumulative;
        emit Claimed(account, amount);
        if (!_send(account, amount)) revert TransferFailed(account, amount);
    }

    function _send(address account, uint256 amount) private returns (bool sent) {
        if (token != address(0)) return IERC20(token).trySafeTransfer(account, amount);
        // The proof names `account`, and `claimed` is written before.
        // slither-disable-next-line arbitrary-send-eth
        (sent,) = account.call{value: amount}("");
    }
}
