// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// Keeps 1 % of every transfer.
contract FeeToken is ERC20("Fee", "FEE") {
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        uint256 fee = from == address(0) || to == address(0) ? 0 : amount / 100;
        super._update(from, to, amount - fee);
        if (fee != 0) super._update(from, address(0), fee);
    }
}

/// Calls back whoever armed it in the middle of a transfer, as ERC-777 does.
contract HookToken is ERC20("Hook", "HOOK") {
    address private target;
    bytes private call;
    /// What the last callback returned or reverted with.
    bytes public answer;
    bool public succeeded;

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function arm(address target_, bytes calldata call_) external {
        (target, call) = (target_, call_);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (target == address(0)) return;
        address once = target;
        target = address(0);
        // What it answers is what the tests look at.
        (succeeded, answer) = once.call(call);
    }
}

/// As early stablecoins: transfers return nothing.
contract SilentToken {
    mapping(address account => uint256) public balanceOf;

    function mint(address account, uint256 amount) external {
        balanceOf[account] += amount;
    }

    function transfer(address to, uint256 amount) external {
        _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// Moves nothing and says so by returning false; `honest` makes it work.
contract FalseToken is ERC20("False", "FALSE") {
    bool public honest;

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function setHonest(bool honest_) external {
        honest = honest_;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return honest && super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return honest && super.transferFrom(from, to, amount);
    }
}
