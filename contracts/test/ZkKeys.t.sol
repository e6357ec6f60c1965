// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ZkKeys} from "../src/ZkKeys.sol";
import {IZk, Reason} from "../src/interfaces/IZk.sol";
import {IZkKeys} from "../src/interfaces/IZkKeys.sol";
import {vm} from "./Vm.sol";

/// Keys in the code of contracts; `ZkTest` verifies proofs under them.
contract ZkKeysTest {
    /// One dense layer of 128 inputs and 256 outputs in rows of 64: 49,152 bytes of rows, three parts.
    uint256 private constant ROWS = 512;
    uint256 private constant PARTS = 3;
    uint32 private constant BATCH = 2;

    ZkKeys private keys;
    bytes private key;
    bytes private rows;
    bytes32 private model;

    function setUp() public {
        keys = new ZkKeys();
        for (uint256 i = 0; i < 3 * ROWS; ++i) {
            rows = bytes.concat(rows, keccak256(abi.encode(i)));
        }
        key = bytes.concat(
            hex"505a4b3100",
            hex"06",
            hex"d39b9f2d047cc9dca2de58f264b6a09448ccd34db967881a6713eacacf0f26b7",
            // The input, one operation: its shape, no shift, table or bias, a dense term that keeps none.
            hex"0100000080",
            hex"0001",
            hex"0100000100",
            hex"0000ff",
            hex"0101000000",
            hex"00",
            abi.encodePacked(uint32(ROWS)),
            rows
        );
        model = keccak256(key);
    }

    function _raw(bytes memory asked) private view returns (bytes memory) {
        (bool succeeded, bytes memory answer) = address(keys).staticcall(asked);
        vm.assertTrue(succeeded);
        return answer;
    }

    function _assertSame(bytes memory left, bytes memory right) private pure {
        vm.assertEq(keccak256(left), keccak256(right));
    }

    function _missing(uint32 batch, uint256 part) private view returns (bytes memory) {
        return abi.encodeWithSelector(IZkKeys.KeyNotStored.selector, model, batch, part);
    }

    /// In any order; what is loaded is what decoding gives.
    function test_store() public {
        vm.assertEq(keys.parts(BATCH, key), PARTS);
        vm.expectRevert(_missing(BATCH, 0));
        keys.load(model, BATCH);
        for (uint256 i = PARTS; i > 0; --i) {
            vm.assertFalse(keys.isStored(model, BATCH));
            address code = keys.store(BATCH, key, i - 1);
            vm.assertEq(keys.codeOf(model, BATCH, i - 1), code);
            vm.assertEq(uint8(code.code[0]), 0);
        }
        vm.assertTrue(keys.isStored(model, BATCH));
        bytes memory decoded = _raw(abi.encodeCall(IZkKeys.decode, (BATCH, key)));
        _assertSame(decoded, _raw(abi.encodeCall(IZkKeys.load, (model, BATCH))));
        _assertSame(rows, _raw(abi.encodeCall(IZkKeys.rows, (model, BATCH))));
        // Each starts with a byte of its own.
        uint256 total = 0;
        for (uint256 i = 0; i < PARTS; ++i) {
            total += keys.codeOf(model, BATCH, i).code.length;
        }
        vm.assertEq(total - PARTS, decoded.length + rows.length);
    }

    /// A key of which a part is missing is no key, whichever it is.
    function test_store_incomplete() public {
        for (uint256 missing = 0; missing < PARTS; ++missing) {
            keys = new ZkKeys();
            for (uint256 i = 0; i < PARTS; ++i) {
                if (i != missing) keys.store(BATCH, key, i);
            }
            vm.assertFalse(keys.isStored(model, BATCH));
            vm.expectRevert(_missing(BATCH, missing));
            keys.rows(model, BATCH);
        }
    }

    /// The plan is another for each batch; storing twice changes nothing.
    function test_store_again() public {
        address code = keys.store(BATCH, key, 0);
        vm.prank(address(1));
        vm.assertEq(keys.store(BATCH, key, 0), code);
        vm.expectRevert(_missing(1, 0));
        keys.load(model, 1);
        vm.assertTrue(keys.store(1, key, 0) != code);
    }

    function test_store_unknownPart() public {
        vm.expectRevert(abi.encodeWithSelector(IZkKeys.PartUnknown.selector, PARTS));
        keys.store(BATCH, key, PARTS);
        vm.expectRevert(abi.encodeWithSelector(IZkKeys.PartUnknown.selector, type(uint256).max));
        keys.store(BATCH, key, type(uint256).max);
    }

    /// Weights beyond 2^26, which no list of sizes has room for.
    function test_store_tooManyWeights() public {
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory header =
                hex"505a4b310006d39b9f2d047cc9dca2de58f264b6a09448ccd34db967881a6713eacacf0f26b7";
            // 2^11 or 2^12 inputs, 2^16 outputs; a key that counts no row.
            bytes memory input = i == 0 ? bytes(hex"0100000800") : bytes(hex"0100001000");
            key = bytes.concat(
                header,
                input,
                hex"00010100010000",
                hex"0000ff",
                hex"0101000000",
                hex"00",
                hex"00000000"
            );
            vm.expectRevert(abi.encodeWithSelector(IZk.ZkRejected.selector, Reason.Key));
            keys.parts(1, key);
        }
    }

    function test_store_malformed() public {
        key.push(0);
        vm.expectRevert(abi.encodeWithSelector(IZk.ZkRejected.selector, Reason.Key));
        keys.store(BATCH, key, 0);
        vm.expectRevert(abi.encodeWithSelector(IZk.ZkRejected.selector, Reason.PublicValues));
        keys.store(0, key, 0);
        vm.expectRevert(abi.encodeWithSelector(IZk.ZkRejected.selector, Reason.Version));
        keys.store(BATCH, "PZK2", 0);
    }
}
