// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {P} from "./Fr.sol";

/// Sums over public values.
library Sums {
    /// The padded place of the row after the one at `place`.
    function following(uint256[] memory shape, uint256 place) internal pure returns (uint256) {
        unchecked {
            uint256 shift = 0;
            for (uint256 i = shape.length - 1; i > 0; --i) {
                uint256 bits = shape[i - 1] & 255;
                uint256 digit = (place >> shift) & ((1 << bits) - 1);
                if (digit + 1 < shape[i - 1] >> 8) return place + (1 << shift);
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

    /// `Σ inner · number` over a row of bytes, of which 2^`bits` are a big-endian number each. Each is
    /// signed, and behind the row are zeros.
    function packedLine(uint256 data, uint256 count, uint256 bits, uint256 inner)
        internal
        pure
        returns (uint256 sum)
    {
        assembly ("memory-safe") {
            let p := P

            let width := 1
            width := shl(bits, width)
            let drop := sub(256, shl(3, width))
            let signs := shr(drop, shl(128, 0x80808080808080808080808080808080))
            for { let end := add(data, count) } lt(data, end) { data := add(data, width) } {
                let behind := 0
                if lt(sub(end, data), width) { behind := shl(3, sub(width, sub(end, data))) }
                let flips := shl(behind, shr(behind, signs))
                let chunk := shl(behind, shr(add(drop, behind), calldataload(data)))
                // Flipping a byte's sign bit adds 128, which is taken off again.
                chunk := add(xor(chunk, flips), sub(p, flips))
                sum := addmod(sum, mulmod(chunk, mload(inner), p), p)
                inner := add(inner, 32)
            }
        }
    }

    /// The same of rows of 16 bytes a number and an even number of these, each row with a factor of its
    /// own: two numbers are a word.
    function packedRows(uint256 data, uint256 count, uint256 inner, uint256 outer, uint256 rows)
        internal
        pure
        returns (uint256 sum)
    {
        assembly ("memory-safe") {
            let p := P

            let minus := sub(p, 0x80808080808080808080808080808080)
            for { let last := add(outer, shl(5, rows)) } lt(outer, last) { outer := add(outer, 32) }
            {
                let row := 0
                let factor := inner
                for { let end := add(data, count) } lt(data, end) { data := add(data, 32) } {
                    let word :=
                        xor(
                            calldataload(data),
                            0x8080808080808080808080808080808080808080808080808080808080808080
                        )
                    let high := mulmod(add(shr(128, word), minus), mload(factor), p)
                    word := add(and(word, 0xffffffffffffffffffffffffffffffff), minus)
                    high := add(high, mulmod(word, mload(add(factor, 32)), p))
                    row := addmod(row, high, p)
                    factor := add(factor, 64)
                }
                sum := addmod(sum, mulmod(row, mload(outer), p), p)
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
}
