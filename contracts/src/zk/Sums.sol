// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {P} from "./Fr.sol";
import {Plans, Term} from "./Plan.sol";

/// Sums over public values and windows.
library Sums {
    /// The padded place of the row after the one at `place`.
    function following(uint256[] memory shape, uint256 place) internal pure returns (uint256) {
        unchecked {
            uint256 shift = 0;
            for (uint256 i = shape.length - 1; i > 0; --i) {
                uint256 bits = Plans.bitsOf(shape[i - 1]);
                uint256 digit = (place >> shift) & ((1 << bits) - 1);
                if (digit + 1 < shape[i - 1]) return place + (1 << shift);
                place -= digit << shift;
                shift += bits;
            }
            return place + (1 << shift);
        }
    }

    /// `Σ inner · (value + 128)` over a row of bytes.
    function bytesLine(uint256 data, uint256 count, uint256 inner)
        internal
        pure
        returns (uint256 sum)
    {
        assembly ("memory-safe") {
            let p := P

            let end := add(data, count)
            // Eight at a time; flipping a byte's sign bit adds 128.
            for {} iszero(lt(sub(end, data), 8)) { data := add(data, 8) } {
                let word := xor(calldataload(data), shl(192, 0x8080808080808080))
                sum := addmod(sum, mulmod(byte(0, word), mload(inner), p), p)
                sum := addmod(sum, mulmod(byte(1, word), mload(add(inner, 32)), p), p)
                sum := addmod(sum, mulmod(byte(2, word), mload(add(inner, 64)), p), p)
                sum := addmod(sum, mulmod(byte(3, word), mload(add(inner, 96)), p), p)
                sum := addmod(sum, mulmod(byte(4, word), mload(add(inner, 128)), p), p)
                sum := addmod(sum, mulmod(byte(5, word), mload(add(inner, 160)), p), p)
                sum := addmod(sum, mulmod(byte(6, word), mload(add(inner, 192)), p), p)
                sum := addmod(sum, mulmod(byte(7, word), mload(add(inner, 224)), p), p)
                inner := add(inner, 256)
            }
            for {} lt(data, end) { data := add(data, 1) } {
                let value := xor(shr(248, calldataload(data)), 0x80)
                sum := addmod(sum, mulmod(value, mload(inner), p), p)
                inner := add(inner, 32)
            }
        }
    }

    /// `Σ inner · (value + 2^63)` over a row of 64-bit words.
    function wordsLine(uint256 data, uint256 count, uint256 inner)
        internal
        pure
        returns (uint256 sum)
    {
        assembly ("memory-safe") {
            let p := P

            for { let end := add(data, shl(3, count)) } lt(data, end) { data := add(data, 8) } {
                let value := xor(shr(192, calldataload(data)), 0x8000000000000000)
                sum := addmod(sum, mulmod(value, mload(inner), p), p)
                inner := add(inner, 32)
            }
        }
    }

    /// `Φ` of a window along an axis (reference §5), from tables of `eq`. Without a table of the
    /// taps' factors, these are 1.
    function reach(
        Term memory term,
        uint256 axis,
        uint256[2] memory tables,
        uint256[2] memory sizes,
        uint256 taps
    ) internal pure returns (uint256 sum) {
        unchecked {
            uint256 kernel = Plans.kernel(term, axis);
            uint256 stride = Plans.stride(term, axis);
            int256 pad = Plans.pad(term, axis);
            assembly ("memory-safe") {
                let out := mload(tables)
                let spot := mload(add(tables, 32))
                let size := mload(add(sizes, 32))
                let from := sub(0, pad)
                let end := add(out, shl(5, mload(sizes)))
                for {} lt(out, end) { out := add(out, 32) } {
                    let inner := 0
                    for { let tap := 0 } lt(tap, kernel) { tap := add(tap, 1) } {
                        // A negative position is a large unsigned one.
                        let position := add(from, tap)
                        if lt(position, size) {
                            let value := mload(add(spot, shl(5, position)))
                            if taps { value := mulmod(value, mload(add(taps, shl(5, tap))), P) }
                            inner := addmod(inner, value, P)
                        }
                    }
                    sum := addmod(sum, mulmod(inner, mload(out), P), P)
                    from := add(from, stride)
                }
            }
        }
    }
}
