// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Fr, P} from "../src/zk/Fr.sol";
import {Sums} from "../src/zk/Sums.sol";
import {Axis, Windows} from "../src/zk/Windows.sol";
import {vm} from "./Vm.sol";

/// What the verifier computes in assembly or in closed form, compared with the definitions.
contract ZkMathTest {
    /// A point of `bits` coordinates that follow from a seed.
    function point(uint256 seed, uint256 bits) private pure returns (uint256 pointer) {
        pointer = Fr.alloc(bits);
        for (uint256 i = 0; i < bits; ++i) {
            uint256 value = uint256(keccak256(abi.encode(seed, i))) % P;
            assembly ("memory-safe") {
                mstore(add(pointer, shl(5, i)), value)
            }
        }
    }

    /// `eq(point, index)`, coordinate by coordinate.
    function plainEq(uint256 own, uint256 bits, uint256 index)
        private
        pure
        returns (uint256 product)
    {
        product = 1;
        for (uint256 i = 0; i < bits; ++i) {
            uint256 c = Fr.load(own, i);
            if ((index >> (bits - 1 - i)) & 1 == 0) c = addmod(1, P - c, P);
            product = mulmod(product, c, P);
        }
    }

    function testFuzz_tables(uint256 seed, uint256 bits, uint256 factor) public pure {
        (bits, factor) = (bits % 7, factor % P);
        uint256 own = point(seed, bits);
        uint256 table = Fr.scaledTable(own, bits, factor);
        for (uint256 i = 0; i < 1 << bits; ++i) {
            uint256 expected = plainEq(own, bits, i);
            vm.assertEq(Fr.eqIndex(own, bits, i), expected);
            vm.assertEq(Fr.load(table, i), mulmod(expected, factor, P));
        }
        vm.assertEq(Fr.zeros(own, bits), plainEq(own, bits, 0));
    }

    function testFuzz_scaledTables(uint256 seed, uint256 bits, uint256 factor) public pure {
        (bits, factor) = (1 + bits % 6, factor % P);
        uint256 count = 1 << bits;
        uint256 table = Fr.eqTable(point(seed, bits), bits);
        uint256 to = Fr.alloc(5 * count);
        Fr.putScaled(table, count, factor, to, 160);
        Fr.addScaled(table, count, 7, to, 160);
        for (uint256 i = 0; i < count; ++i) {
            uint256 expected = mulmod(Fr.load(table, i), addmod(factor, 7, P), P);
            vm.assertEq(Fr.load(to, 5 * i), expected);
        }
    }

    /// `Φ` by its definition.
    function plain(Axis memory axis) private pure returns (uint256 sum) {
        for (uint256 y = 0; y < axis.outSize; ++y) {
            for (uint256 tap = 0; tap < axis.kernel; ++tap) {
                int256 source = int256(y * axis.stride + tap) - axis.pad;
                if (source < 0 || source >= int256(axis.size)) continue;
                uint256 value = plainEq(axis.out, axis.outBits, y);
                value = mulmod(value, plainEq(axis.source, axis.bits, uint256(source)), P);
                if (axis.taps > 0) value = mulmod(value, Fr.load(axis.taps, tap), P);
                sum = addmod(sum, value, P);
            }
        }
    }

    function bitsOf(uint256 size) private pure returns (uint256 bits) {
        while (1 << bits < size) ++bits;
    }

    function testFuzz_windows(uint256 seed, uint8[6] memory raw) public pure {
        Axis memory axis;
        axis.outSize = 1 + raw[0] % 20;
        axis.size = 1 + raw[1] % 20;
        axis.kernel = 1 + raw[2] % 6;
        axis.stride = 1 + raw[3] % 5;
        // Half of the cases have aligned taps.
        axis.pad = int256(uint256(raw[4] % 9)) - 4;
        if (raw[4] & 64 > 0) {
            axis.stride = 1 << (raw[3] % 4);
            uint256 skipped = raw[4] % axis.stride;
            axis.pad = -int256(skipped);
            axis.kernel = 1 + raw[2] % (axis.stride - skipped);
        }
        (axis.outBits, axis.bits) = (bitsOf(axis.outSize), bitsOf(axis.size));
        (axis.out, axis.source) = (point(seed, axis.outBits), point(~seed, axis.bits));
        if (raw[5] & 1 > 0) axis.taps = point(seed ^ 1, axis.kernel);
        uint256 expected = plain(axis);
        uint256 out = Fr.eqTable(axis.out, axis.outBits);
        uint256 source = Fr.eqTable(axis.source, axis.bits);
        vm.assertEq(Windows.general(axis, out, source), expected);
        (bool fits, uint256 shift) = Windows.isAligned(axis);
        vm.assertTrue(fits || raw[4] & 64 == 0 || 1 << axis.bits < axis.stride);
        if (!fits) return;
        uint256[4] memory last;
        vm.assertEq(Windows.aligned(axis, shift, last), expected);
        // And from what was kept.
        vm.assertEq(Windows.aligned(axis, shift, last), expected);
    }

    function testFuzz_packed(uint256 seed, bytes calldata data, uint256 bits) public pure {
        bits = bits % 5;
        uint256 width = 1 << bits;
        uint256 chunks = (data.length + width - 1) / width;
        uint256 inner = point(seed, chunks + 1);
        uint256 expected = 0;
        for (uint256 chunk = 0; chunk < chunks; ++chunk) {
            int256 number = 0;
            for (uint256 i = chunk * width; i < (chunk + 1) * width; ++i) {
                number = 256 * number;
                if (i < data.length) number += int8(uint8(data[i]));
            }
            uint256 element = number < 0 ? P - uint256(-number) : uint256(number);
            expected = addmod(expected, mulmod(element, Fr.load(inner, chunk), P), P);
        }
        uint256 from;
        assembly ("memory-safe") {
            from := data.offset
        }
        vm.assertEq(Sums.packedLine(from, data.length, bits, inner), expected);
    }

    function testFuzz_packedRows(uint256 seed, bytes32[6] calldata data) public pure {
        // Three rows of 64 bytes, each four numbers.
        uint256 inner = point(seed, 4);
        uint256 outer = point(~seed, 3);
        uint256 from;
        assembly ("memory-safe") {
            from := data
        }
        uint256 expected = 0;
        for (uint256 i = 0; i < 3; ++i) {
            uint256 row = Sums.packedLine(from + 64 * i, 64, 4, inner);
            expected = addmod(expected, mulmod(row, Fr.load(outer, i), P), P);
        }
        vm.assertEq(Sums.packedRows(from, 64, inner, outer, 3), expected);
    }
}
