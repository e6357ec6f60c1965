// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {Court} from "./interfaces/IRegistry.sol";
import {ITribunal} from "./interfaces/ITribunal.sol";

/// Bonds and rulings, shared by `Challenges` and `Payouts`.
abstract contract Tribunal is ITribunal, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    mapping(address token => mapping(address account => uint256)) private _owed;

    /// @inheritdoc ITribunal
    function withdraw(address token) external nonReentrant returns (uint256 amount) {
        amount = _owed[token][msg.sender];
        if (amount == 0) revert NothingOwed();
        _owed[token][msg.sender] = 0;
        emit BondWithdrawn(token, msg.sender, amount);
        IERC20(token).safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc ITribunal
    function owed(address token, address account) external view returns (uint256) {
        return _owed[token][account];
    }

    /// Takes the court's bond from the caller. Only in `nonReentrant` functions: the balance is
    /// measured around a call to the token.
    function _takeBond(Court calldata court) internal {
        uint256 got = _pull(IERC20(court.bondToken), court.bond);
        if (got != court.bond) revert BondMismatch(court.bond, got);
    }

    /// Credits a number of the court's bonds.
    function _credit(Court calldata court, address account, uint256 bonds) internal {
        _owed[court.bondToken][account] += bonds * court.bond;
    }

    /// Transfers `amount` from the caller and returns what arrived.
    function _pull(IERC20 token, uint256 amount) internal returns (uint256) {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        return token.balanceOf(address(this)) - before;
    }

    /// `signatures[i]` is arbiter `i`'s over the EIP-712 digest of `structHash`, or empty.
    function _checkRuling(Court calldata court, bytes32 structHash, bytes[] calldata signatures)
        internal
        view
    {
        bytes32 digest = _hashTypedDataV4(structHash);
        uint256 valid = 0;
        for (uint256 i = 0; i < court.arbiters.length && i < signatures.length; ++i) {
            if (signatures[i].length == 0) continue;
            if (SignatureChecker.isValidSignatureNowCalldata(
                    court.arbiters[i], digest, signatures[i]
                )) ++valid;
        }
        if (valid < court.threshold) revert SignaturesTooFew(valid, court.threshold);
    }

    function _deadline(uint32 window) internal view returns (uint48) {
        return uint48(block.timestamp) + window;
    }
}
