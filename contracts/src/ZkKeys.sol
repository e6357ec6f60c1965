// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IZkKeys} from "./interfaces/IZkKeys.sol";
import {Keys} from "./zk/Keys.sol";
import {POINT_BYTES} from "./zk/Messages.sol";
import {PLAN, PLAN_BYTES, Plan} from "./zk/Plan.sol";

/// Model keys, decoded. See `IZkKeys`. What is stored of a key is the memory from `PLAN` on as decoding
/// leaves it, then its rows.
contract ZkKeys is IZkKeys {
    /// A part's code starts with a byte that stops whoever calls it.
    uint256 private constant PART_BYTES = 24_575;
    /// Returns what follows it as code: PUSH2 length, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN;
    /// then the code's first byte, STOP.
    uint256 private constant INIT = 0x61000080600a5f395ff300;
    uint256 private constant INIT_BYTES = 11;

    /// @inheritdoc IZkKeys
    mapping(bytes32 model => mapping(uint32 batch => mapping(uint256 part => address))) public
        codeOf;

    /// @inheritdoc IZkKeys
    function decode(uint32 batch, bytes calldata key) external pure {
        uint256 end = Keys.read(key, batch).end;
        assembly {
            return(PLAN, sub(end, PLAN))
        }
    }

    /// @inheritdoc IZkKeys
    function parts(uint32 batch, bytes calldata key) external pure returns (uint256 count) {
        return partsOf(Keys.read(key, batch));
    }

    /// @inheritdoc IZkKeys
    function store(uint32 batch, bytes calldata key, uint256 part) external returns (address code) {
        Plan memory plan = Keys.read(key, batch);
        if (part >= partsOf(plan)) revert PartUnknown(part);
        bytes32 model = keccak256(key);
        code = codeOf[model][batch][part];
        if (code != address(0)) return code;
        uint256 rowBytes = plan.keyRows * POINT_BYTES;
        uint256 from = PLAN + part * PART_BYTES;
        uint256 end = plan.end;
        uint256 size = end + rowBytes - from;
        if (size > PART_BYTES) size = PART_BYTES;
        assembly ("memory-safe") {
            calldatacopy(end, sub(add(key.offset, key.length), rowBytes), rowBytes)
            let init := add(end, rowBytes)
            mstore(init, shl(168, or(INIT, shl(64, add(size, 1)))))
            mcopy(add(init, INIT_BYTES), from, size)
            code := create(0, init, add(INIT_BYTES, size))
            if iszero(code) { revert(0, 0) }
        }
        codeOf[model][batch][part] = code;
    }

    /// @inheritdoc IZkKeys
    function isStored(bytes32 model, uint32 batch) external view returns (bool) {
        if (codeOf[model][batch][0] == address(0)) return false;
        for (uint256 part = partsOf(head(model, batch)); part > 1; --part) {
            if (codeOf[model][batch][part - 1] == address(0)) return false;
        }
        return true;
    }

    /// @inheritdoc IZkKeys
    function load(bytes32 model, uint32 batch) external view {
        uint256 size = head(model, batch).end - PLAN;
        copy(model, batch, 0, size);
        assembly {
            return(PLAN, size)
        }
    }

    /// @inheritdoc IZkKeys
    function rows(bytes32 model, uint32 batch) external view {
        Plan memory plan = head(model, batch);
        uint256 size = plan.keyRows * POINT_BYTES;
        copy(model, batch, plan.end - PLAN, size);
        assembly {
            return(PLAN, size)
        }
    }

    function partsOf(Plan memory plan) private pure returns (uint256) {
        return (plan.end - PLAN + plan.keyRows * POINT_BYTES + PART_BYTES - 1) / PART_BYTES;
    }

    /// The start of a stored plan: its references lead nowhere.
    function head(bytes32 model, uint32 batch) private view returns (Plan memory plan) {
        copy(model, batch, 0, PLAN_BYTES);
        assembly ("memory-safe") {
            plan := PLAN
        }
    }

    /// Copies what is stored from `from` on to `PLAN`.
    function copy(bytes32 model, uint32 batch, uint256 from, uint256 size) private view {
        uint256 to = PLAN;
        while (size > 0) {
            uint256 part = from / PART_BYTES;
            address code = codeOf[model][batch][part];
            if (code == address(0)) revert KeyNotStored(model, batch, part);
            uint256 skipped = from % PART_BYTES;
            uint256 taken = PART_BYTES - skipped;
            if (taken > size) taken = size;
            assembly {
                extcodecopy(code, to, add(skipped, 1), taken)
            }
            (to, from, size) = (to + taken, from + taken, size - taken);
        }
    }
}
