// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

// Order of BLS12-381's groups.
uint256 constant P = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;

uint256 constant TWICE = 0xe7db4ea6533afa906673b0101343b00aa77b4805fffcb7fdfffffffe00000002;

/// Multilinear extensions over the scalar field. Points and tables are words in memory from a
/// pointer on; a point starts with the coordinate of the index's most significant bit.
library Fr {
    function add(uint256 a, uint256 b) internal pure returns (uint256) {
        return addmod(a, b, P);
    }

    function mul(uint256 a, uint256 b) internal pure returns (uint256) {
        return mulmod(a, b, P);
    }

    function sub(uint256 a, uint256 b) internal pure returns (uint256) {
        unchecked {
            return addmod(a, P - b, P);
        }
    }

    /// The element that stands for a signed integer.
    function fromInt(int256 value) internal pure returns (uint256) {
        unchecked {
            // Magnitudes are below 2^63.
            // forge-lint: disable-next-line(unsafe-typecast)
            return value < 0 ? P - uint256(-value) : uint256(value);
        }
    }

    function load(uint256 pointer, uint256 index) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(pointer, shl(5, index)))
        }
    }

    function alloc(uint256 words) internal pure returns (uint256 pointer) {
        assembly ("memory-safe") {
            pointer := mload(0x40)
            mstore(0x40, add(pointer, shl(5, words)))
        }
    }

    /// Both points, one after the other.
    function concat(uint256 a, uint256 aBits, uint256 b, uint256 bBits)
        internal
        pure
        returns (uint256 pointer)
    {
        unchecked {
            pointer = alloc(aBits + bBits);
            assembly ("memory-safe") {
                mcopy(pointer, a, shl(5, aBits))
                mcopy(add(pointer, shl(5, aBits)), b, shl(5, bBits))
            }
        }
    }

    /// `eq(point, ·)` for every index of `bits` bits.
    function eqTable(uint256 point, uint256 bits) internal pure returns (uint256 table) {
        return scaledTable(point, bits, 1);
    }

    /// `factor · eq(point, ·)`.
    function scaledTable(uint256 point, uint256 bits, uint256 factor)
        internal
        pure
        returns (uint256 table)
    {
        unchecked {
            table = alloc(1 << bits);
            assembly ("memory-safe") {
                mstore(table, factor)
            }
            double(table, point, bits);
        }
    }

    /// Doubles a table of one value for each coordinate, the last one first: what is behind then has
    /// the coordinate as a factor, what was there its complement.
    function double(uint256 table, uint256 point, uint256 bits) private pure {
        assembly ("memory-safe") {
            let p := P

            let size := 32
            let spot := add(point, shl(5, bits))
            if bits {
                spot := sub(spot, 32)
                let v := mload(table)
                let high := mulmod(v, mload(spot), p)
                mstore(add(table, 32), high)
                mstore(table, addmod(v, sub(p, high), p))
                size := 64
            }
            for {} gt(spot, point) { size := shl(1, size) } {
                spot := sub(spot, 32)
                let c := mload(spot)
                let to := add(table, size)
                // Two values at a time.
                for { let from := table } lt(from, add(table, size)) { from := add(from, 64) } {
                    let v := mload(from)
                    let high := mulmod(v, c, p)
                    mstore(to, high)
                    mstore(from, addmod(v, sub(p, high), p))
                    v := mload(add(from, 32))
                    high := mulmod(v, c, p)
                    mstore(add(to, 32), high)
                    mstore(add(from, 32), addmod(v, sub(p, high), p))
                    to := add(to, 64)
                }
            }
        }
    }

    /// Writes a table, an even number of values, times `factor` to the words from `to` on, `step`
    /// bytes apart.
    function putScaled(uint256 table, uint256 count, uint256 factor, uint256 to, uint256 step)
        internal
        pure
    {
        assembly ("memory-safe") {
            let p := P

            for { let end := add(table, shl(5, count)) } lt(table, end) { table := add(table, 64) }
            {
                mstore(to, mulmod(mload(table), factor, p))
                mstore(add(to, step), mulmod(mload(add(table, 32)), factor, p))
                to := add(to, shl(1, step))
            }
        }
    }

    /// Adds a table, an even number of values, times `factor` to the words from `to` on, `step` bytes
    /// apart.
    function addScaled(uint256 table, uint256 count, uint256 factor, uint256 to, uint256 step)
        internal
        pure
    {
        assembly ("memory-safe") {
            let p := P

            for { let end := add(table, shl(5, count)) } lt(table, end) { table := add(table, 64) }
            {
                let high := mulmod(mload(table), factor, p)
                mstore(to, addmod(mload(to), high, p))
                to := add(to, step)
                high := mulmod(mload(add(table, 32)), factor, p)
                mstore(to, addmod(mload(to), high, p))
                to := add(to, step)
            }
        }
    }

    function eq(uint256 a, uint256 b, uint256 bits) internal pure returns (uint256 product) {
        assembly ("memory-safe") {
            let p := P

            let twice := TWICE

            product := 1
            // Where b's coordinate lies, seen from a's.
            let other := sub(b, a)
            for { let end := add(a, shl(5, bits)) } lt(a, end) { a := add(a, 32) } {
                let x := mload(a)
                let y := mload(add(a, other))
                // 1 + 2xy − (x + y); twice an element fits a word.
                let xy := mulmod(x, y, p)
                xy := addmod(add(xy, add(xy, 1)), sub(twice, add(x, y)), p)
                product := mulmod(product, xy, p)
            }
        }
    }

    function eqIndex(uint256 point, uint256 bits, uint256 index)
        internal
        pure
        returns (uint256 product)
    {
        assembly ("memory-safe") {
            let p := P

            product := 1
            let complement := add(p, 1)
            for { let spot := add(point, shl(5, bits)) } gt(spot, point) { index := shr(1, index) }
            {
                spot := sub(spot, 32)
                let c := mload(spot)
                if iszero(and(index, 1)) { c := sub(complement, c) }
                product := mulmod(product, c, p)
            }
        }
    }

    /// `Σ eq(point, i)` over `i < count`.
    function lessThan(uint256 point, uint256 bits, uint256 count)
        internal
        pure
        returns (uint256 sum)
    {
        unchecked {
            if (count >> bits > 0) return 1;
            assembly ("memory-safe") {
                let p := P

                let prefix := 1
                for { let end := add(point, shl(5, bits)) } lt(point, end) {
                    point := add(point, 32)
                } {
                    bits := sub(bits, 1)
                    let high := mulmod(prefix, mload(point), p)
                    let low := addmod(prefix, sub(p, high), p)
                    prefix := low
                    if and(shr(bits, count), 1) {
                        sum := addmod(sum, low, p)
                        prefix := high
                    }
                }
            }
        }
    }

    /// The extension of `i ↦ i`.
    function identity(uint256 point, uint256 bits) internal pure returns (uint256 value) {
        unchecked {
            assembly ("memory-safe") {
                let p := P

                for { let end := add(point, shl(5, bits)) } lt(point, end) {
                    point := add(point, 32)
                } {
                    value := addmod(addmod(value, value, p), mload(point), p)
                }
            }
        }
    }

    /// `Π (1 − x)` of the first `count` coordinates.
    function zeros(uint256 point, uint256 count) internal pure returns (uint256 product) {
        assembly ("memory-safe") {
            let p := P

            product := 1
            for { let end := add(point, shl(5, count)) } lt(point, end) { point := add(point, 32) }
            {
                product := mulmod(product, sub(add(p, 1), mload(point)), p)
            }
        }
    }

    /// Zero for zero.
    function inverse(uint256 value) internal view returns (uint256 result) {
        assembly ("memory-safe") {
            let p := P

            let m := mload(0x40)
            mstore(m, 32)
            mstore(add(m, 32), 32)
            mstore(add(m, 64), 32)
            mstore(add(m, 96), value)
            mstore(add(m, 128), sub(p, 2))
            mstore(add(m, 160), p)
            if iszero(staticcall(gas(), 5, m, 192, m, 32)) { revert(0, 0) }
            result := mload(m)
        }
    }
}
