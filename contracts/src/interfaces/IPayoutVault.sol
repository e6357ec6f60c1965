// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// Holds one pool's accepted money and pays claims from it.
interface IPayoutVault {
    event Claimed(address indexed account, uint256 amount);

    error CallerMismatch(address got);
    error ProofInvalid(address account, uint256 cumulative);
    error TransferFailed(address account, uint256 amount);

    /// Replaces the root; only `Payouts`, which sends the increase along.
    function update(bytes32 newRoot) external payable;

    /// Pays `account` the rest of its cumulative amount. Anybody may call; a repeat pays 0.
    function claim(address account, uint256 cumulative, bytes32[] calldata proof)
        external
        returns (uint256 amount);

    function root() external view returns (bytes32);
    function token() external view returns (address);
    function claimed(address account) external view returns (uint256);
}
