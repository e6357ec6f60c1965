// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// A token for demonstrations and tests that anybody mints: worthless, and named so.
contract DevToken is ERC20("Worthless Development Token", "DEV") {
    /// Mints any amount to any account.
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    /// As most stablecoins.
    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
