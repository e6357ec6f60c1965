// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Fr, P} from "./Fr.sol";
import {Plans} from "./Plan.sol";

/// One axis of a window: its output's and its input's part of a point, and both sizes.
struct Axis {
    uint256 out;
    uint256 outSize;
    uint256 outBits;
    uint256 source;
    uint256 size;
    uint256 bits;
    uint256 kernel;
    uint256 stride;
    int256 pad;
    /// A table of the taps' factors; 0 if these are 1.
    uint256 taps;
}

/// `Φ = Σ_{y, i: 0 <= y s + i − p < size} eq(out, y) w_i eq(at, y s + i − p)` (reference §5).
library Windows {
    /// Whether no tap reaches beyond its own stride, which is a power of two: as in a maximum or an
    /// average of what does not overlap. Each tap is then a part of the index's bits, of which `shift`
    /// are the stride's.
    function isAligned(Axis memory axis) internal pure returns (bool fits, uint256 shift) {
        unchecked {
            if (axis.pad > 0) return (false, 0);
            uint256 stride = axis.stride;
            if (uint256(-axis.pad) + axis.kernel > stride) return (false, 0);
            if (stride > 1) shift = Plans.bitsOf(stride);
            fits = 1 << shift == stride && shift <= axis.bits;
        }
    }

    /// `Φ` of a window whose taps are aligned, in as many steps as the index has bits. `last` keeps the
    /// last sum over the rest of the index: the windows of a maximum share it.
    function aligned(Axis memory axis, uint256 shift, uint256[4] memory last)
        internal
        pure
        returns (uint256 sum)
    {
        unchecked {
            uint256 high = axis.bits - shift;
            uint256 low = axis.source + (high << 5);
            for (uint256 tap = 0; tap < axis.kernel; ++tap) {
                uint256 offset = uint256(-axis.pad) + tap;
                if (offset >= axis.size) break;
                uint256 count = ((axis.size - 1 - offset) >> shift) + 1;
                if (count > axis.outSize) count = axis.outSize;
                uint256 value = shared(axis, high, count, last);
                if (shift > 0) value = Fr.mul(value, Fr.eqIndex(low, shift, offset));
                if (axis.taps > 0) value = Fr.mul(value, Fr.load(axis.taps, tap));
                sum = Fr.add(sum, value);
            }
        }
    }

    /// `both` of the axis, or what is kept of it: rows' and columns' sums take turns.
    function shared(Axis memory axis, uint256 high, uint256 count, uint256[4] memory last)
        private
        pure
        returns (uint256 value)
    {
        unchecked {
            uint256 id =
                axis.out << 192 | axis.source << 128 | axis.outBits << 96 | high << 64 | count;
            if (last[0] == id) return last[1];
            if (last[2] == id) return last[3];
            value = both(axis.out, axis.outBits, axis.source, high, count);
            (last[0], last[1], last[2], last[3]) = (last[2], last[3], id, value);
        }
    }

    /// `Σ eq(a, i) eq(b, i)` over `i < count`, which is at most 2^`aBits` and 2^`bBits`.
    function both(uint256 a, uint256 aBits, uint256 b, uint256 bBits, uint256 count)
        internal
        pure
        returns (uint256 sum)
    {
        unchecked {
            // The longer index is zero where the other ends.
            uint256 factor = 1;
            uint256 bits = aBits < bBits ? aBits : bBits;
            if (aBits > bits) factor = Fr.zeros(a, aBits - bits);
            if (bBits > bits) factor = Fr.zeros(b, bBits - bits);
            a += (aBits - bits) << 5;
            b += (bBits - bits) << 5;
            assembly ("memory-safe") {
                let p := P

                // From the last bit on: the sum over all indices, and over those below the count.
                let all := 1
                for { let i := shl(5, bits) } i { count := shr(1, count) } {
                    i := sub(i, 32)
                    let x := mload(add(a, i))
                    let y := mload(add(b, i))
                    let one := mulmod(x, y, p)
                    let zero := addmod(add(one, 1), sub(shl(1, p), add(x, y)), p)
                    switch and(count, 1)
                    case 0 { sum := mulmod(zero, sum, p) }
                    default { sum := addmod(mulmod(zero, all, p), mulmod(one, sum, p), p) }
                    all := mulmod(all, add(zero, one), p)
                }
                // What is left of the count is set if it is the whole range.
                if count { sum := all }
                sum := mulmod(sum, factor, p)
            }
        }
    }

    /// `Φ` of any window, from the tables of `eq`.
    function general(Axis memory axis, uint256 outTable, uint256 atTable)
        internal
        pure
        returns (uint256 sum)
    {
        unchecked {
            for (uint256 tap = 0; tap < axis.kernel; ++tap) {
                // forge-lint: disable-next-line(unsafe-typecast)
                int256 offset = int256(tap) - axis.pad;
                // The positions whose source lies within the input.
                uint256 stride = axis.stride;
                // forge-lint: disable-next-line(unsafe-typecast)
                uint256 first = offset < 0 ? (uint256(-offset) + stride - 1) / stride : 0;
                // forge-lint: disable-next-line(unsafe-typecast)
                int256 room = int256(axis.size) - 1 - offset;
                // forge-lint: disable-next-line(unsafe-typecast)
                uint256 last = room < 0 ? 0 : uint256(room) / stride + 1;
                if (last > axis.outSize) last = axis.outSize;
                if (first >= last) continue;
                // Neither wraps: the first source is not negative.
                // forge-lint: disable-next-line(unsafe-typecast)
                uint256 from = atTable + ((first * stride + uint256(offset)) << 5);
                uint256 value =
                    line(outTable + (first << 5), outTable + (last << 5), from, stride << 5);
                if (axis.taps > 0) value = Fr.mul(value, Fr.load(axis.taps, tap));
                sum = Fr.add(sum, value);
            }
        }
    }

    /// The inner product of the words from `out` to `end` and of those from `from` on, `step` apart.
    function line(uint256 out, uint256 end, uint256 from, uint256 step)
        private
        pure
        returns (uint256 sum)
    {
        assembly ("memory-safe") {
            let p := P

            // Pairs first: two elements fit a word.
            for {} gt(sub(end, out), 32) { out := add(out, 64) } {
                let next := add(from, step)
                let pair := mulmod(mload(out), mload(from), p)
                pair := add(pair, mulmod(mload(add(out, 32)), mload(next), p))
                sum := addmod(sum, pair, p)
                from := add(next, step)
            }
            if lt(out, end) { sum := addmod(sum, mulmod(mload(out), mload(from), p), p) }
        }
    }
}
