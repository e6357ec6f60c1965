// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// Bonds and rulings, the same for disputes about dataset items and about payout roots.
///
/// A bond is taken at exactly its amount, credited to whoever ends up with it, and withdrawn by
/// them (pull).
interface ITribunal {
    event BondWithdrawn(address indexed token, address indexed account, uint256 amount);

    /// A bond of `bond` was due, `got` arrived: the token takes a fee.
    error BondMismatch(uint256 bond, uint256 got);
    /// Fewer than `threshold` arbiters signed this ruling.
    error SignaturesTooFew(uint256 valid, uint256 threshold);
    /// The account has no bonds to withdraw.
    error NothingOwed();

    /// Pays out what the caller is owed in bonds.
    function withdraw(address token) external returns (uint256 amount);

    /// What the account can withdraw.
    function owed(address token, address account) external view returns (uint256);
}
